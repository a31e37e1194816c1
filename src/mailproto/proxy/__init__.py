r"""The PROXY protocol, versions 1 and 2: what a proxy says of its client, before the client speaks.

::

    reader = proxy.Reader()
    reader.receive_data(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\nEHLO client\r\n")
    reader.next_event()          # Header | NEED_DATA; raises RemoteProtocolError
    reader.trailing_data         # b"EHLO client\r\n": the client's own octets

``serialize(header)`` is the other direction. The specification is HAProxy's proxy-protocol.txt.
Nothing here decides whether a header is to be believed: that is a matter of who sent it (see
``proxied_by`` of ``sync.Server.listen`` and ``aio.Server.listen``).
"""

from mailproto._core.limits import ProxyLimits
from mailproto.proxy.header import Address, Command, Header, InternetAddress, Transport, UnixAddress
from mailproto.proxy.reader import Reader, serialize
from mailproto.proxy.tlv import (
    ALPN,
    CRC32C,
    SSL,
    TLV,
    Authority,
    Client,
    NetworkNamespace,
    Noop,
    UniqueID,
    Unknown,
)

__all__ = [
    "ALPN",
    "CRC32C",
    "SSL",
    "TLV",
    "Address",
    "Authority",
    "Client",
    "Command",
    "Header",
    "InternetAddress",
    "NetworkNamespace",
    "Noop",
    "ProxyLimits",
    "Reader",
    "Transport",
    "UniqueID",
    "Unknown",
    "UnixAddress",
    "serialize",
]
