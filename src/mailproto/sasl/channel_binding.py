"""Channel bindings (RFC 5929, RFC 9266): what ties an authentication to one TLS connection.

The octets come from whoever does TLS; here they get their name, and what can be computed from a
certificate alone is computed.
"""

from __future__ import annotations

from attrs import field

from mailproto._core.frozen import frozen

__all__ = ["ChannelBinding"]


@frozen
class ChannelBinding:
    """The octets of one channel-binding type for one connection."""

    type: str
    """``tls-server-end-point``, ``tls-exporter`` or ``tls-unique``."""
    data: bytes = field(repr=False)
