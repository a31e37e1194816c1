"""What a listener knows of a connection, and how a conversation begins on it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias, cast

from attrs import evolve, field

from mailproto import proxy
from mailproto._core.frozen import frozen
from mailproto.errors import (
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    MailError,
    RemoteProtocolError,
    StoreError,
)
from mailproto.flows.effects import Flow, Secured, Wakeup, deadline, read, start_tls, unread

__all__ = [
    "Network",
    "NotIntroduced",
    "Peer",
    "SessionFactory",
    "await_silence",
    "conversations",
    "is_worth_a_log",
]

_HANDSHAKE: Final = 60.0
# A proxy sends its header at once; three seconds allow for one segment that is lost.
_PROXY_HEADER: Final = 10.0

Network: TypeAlias = IPv4Network | IPv6Network
"""What ``ipaddress.ip_network`` gives."""


@frozen
class Peer:
    """The two ends of an accepted connection, as the socket or a trusted proxy tells them."""

    address: str
    """Host of the client (``127.0.0.1``), or the path of a Unix socket."""
    port: int
    """Port of the client; 0 for a Unix socket."""
    local_address: str
    """Host that was connected to."""
    local_port: int
    """Port that was connected to."""
    proxied: proxy.Header | None = None
    """What the proxy has said, where there is one; it may tell of TLS between client and proxy."""
    secured: Secured | None = None
    """What the handshake has established, where the connection began with TLS."""
    starttls: bool = field(default=True, eq=False)
    """Whether the transport can do the handshake that STARTTLS and STLS ask for. It is not of the
    ends: peers are equal without it."""

    @classmethod
    def of(cls, remote: object, local: object, *, starttls: bool) -> Peer:
        """From the names that ``getpeername`` and ``getsockname`` give."""
        return cls(*_host_and_port(remote), *_host_and_port(local), starttls=starttls)

    def within(self, networks: Collection[Network]) -> bool:
        """Whether the client's address is in one of ``networks``."""
        try:
            address = ip_address(self.address)
        except ValueError:
            return False
        return any(address in network for network in networks)

    def behind(self, header: proxy.Header) -> Peer:
        """The ends that ``header`` names; without any they stay, and are those of the proxy."""
        if header.source is None or header.destination is None:
            return evolve(self, proxied=header)
        ends = (*_end(header.source), *_end(header.destination))
        return Peer(*ends, header, starttls=self.starttls)


def _host_and_port(name: object) -> tuple[str, int]:
    if isinstance(name, tuple):
        host, port = cast("tuple[object, object]", name[:2])
        return str(host), int(str(port))
    return str(name or ""), 0


def _end(address: proxy.Address) -> tuple[str, int]:
    if isinstance(address, proxy.UnixAddress):
        return address.path.decode("utf-8", "backslashreplace"), 0
    ip = address.ip
    # A client of IPv4 is one, whatever socket the proxy has met it on.
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return str(mapped or ip), address.port


SessionFactory: TypeAlias = Callable[[Peer], Flow[None]]
"""Makes the conversation for one accepted connection: a new machine and the flow that serves it."""


def conversations(
    factory: SessionFactory,
    *,
    implicit_tls: bool = False,
    proxied_by: Collection[Network] = (),
) -> SessionFactory:
    """``factory``, and before its sessions what a connection begins with.

    That is the PROXY header, which a client in ``proxied_by`` must send (else NotIntroduced) and
    which is never read from any other, and then the TLS handshake (RFC 8314 section 3).
    """

    def conversation(peer: Peer) -> Flow[None]:
        if peer.within(proxied_by):
            peer = yield from _introduced(peer)
        if implicit_tls:
            yield from deadline(_HANDSHAKE)
            peer = evolve(peer, secured=(yield from start_tls()))
        yield from factory(peer)

    return conversation


def await_silence(seconds: float | None, wakeup: Wakeup) -> Flow[bytes]:
    """Let the time before a greeting pass; what the client says in it (``None``: none passes).

    In SMTP, POP3 and IMAP the server speaks first. Who does not wait speaks another protocol, or
    sends without listening. The end of its input is no octets, and the session will see it again.
    """
    if seconds is None:
        return b""
    early: bytes | None = b""
    try:
        yield from deadline(seconds)
        early = yield from read(wakeup)
    except DeadlineExceeded:
        pass
    yield from deadline(None)
    return early or b""


class NotIntroduced(MailError):
    """A client in ``proxied_by`` has sent no PROXY header: settings here and there disagree."""


def is_worth_a_log(error: BaseException) -> bool:
    """Whether a session has ended with an error of this side: a handler, a store, a setting.

    Peers that vanish, fail the handshake or break the protocol are daily life.
    """
    ours = LocalProtocolError | StoreError | NotIntroduced
    return not isinstance(error, MailError) or isinstance(error, ours)


def _introduced(peer: Peer) -> Flow[Peer]:
    """Read the PROXY header and leave what is behind it; the client that it speaks of.

    Raises NotIntroduced, and ConnectionLost where the proxy has only looked whether we are here.
    """
    yield from deadline(_PROXY_HEADER)
    reader = proxy.Reader()
    silent = True
    try:
        while not isinstance(header := reader.next_event(), proxy.Header):
            data = (yield from read()) or b""
            silent = silent and not data
            reader.receive_data(data)
    except DeadlineExceeded as error:
        late = f"a PROXY header from {peer.address} has not come in {_PROXY_HEADER:g} seconds"
        raise NotIntroduced(late) from error
    except RemoteProtocolError as error:
        if silent:
            raise ConnectionLost("the proxy closed the connection") from None
        raise NotIntroduced(f"no PROXY header from {peer.address}: {error}") from error
    yield from unread(reader.trailing_data)
    yield from deadline(None)
    return peer.behind(header)
