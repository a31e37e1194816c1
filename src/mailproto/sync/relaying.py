"""A blocking relay: ``flows.smtp_relay`` on sockets, named as in ``mailproto.aio.relaying``."""

from __future__ import annotations

import inspect
import socket
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs

from mailproto.flows.effects import Call, Flow
from mailproto.flows.smtp_content import Content
from mailproto.flows.smtp_relay import deliver
from mailproto.flows.smtp_relay_result import RelayResult
from mailproto.flows.smtp_relay_settings import RelaySettings
from mailproto.smtp import BodyType, ForwardPath, Mail, MailParameter, Rcpt, ReversePath
from mailproto.sync import connecting

if TYPE_CHECKING:
    import ssl

    from mailproto.flows.smtp_relay_route import MXRecords

__all__ = ["Relay"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Relay(RelaySettings):
    """Delivers messages to the servers of their recipients, or to a smart host.

    ::

        relay = sync.smtp.Relay(domain="mail.example.com", tls="opportunistic")
        result = relay.send(content, "alice@example.com", ["bob@example.org"])
        advice = advise([result], age=0.0)

    It keeps no connection and no queue; any number of threads may use it at a time.
    """

    def send(
        self,
        content: Content,
        reverse_path: Mail | ReversePath | str | None = None,
        forward_paths: Iterable[ForwardPath | Rcpt | str] | None = None,
        *,
        size: int | None = None,
        parameters: tuple[MailParameter, ...] = (),
        body: BodyType | None = None,
        chunking: bool | None = None,
    ) -> RelayResult:
        """Try to deliver a message to every recipient, now.

        The arguments are those of ``Client.send``; content must be such that it can be read more
        than once, as octets, lists and files that can seek are. A transaction that was received
        goes on as its ``smtp.Mail`` and ``smtp.Rcpt``: each host is told what it has extensions
        for, with the time that is left (``smtp.onward``). Without ``chunking`` the content never
        goes out before a recipient was accepted.

        What became of each recipient is in the result, with an account of every attempt, and no
        failure of a server or of the network is raised. Raises LocalProtocolError for what no
        server could be sent, AddressError for an address that is none, and SecurityError for a
        message with REQUIRETLS that these settings cannot protect.
        """
        flow = deliver(
            self,
            _Network(),
            content,
            reverse_path,
            forward_paths,
            size=size,
            parameters=parameters,
            body=body,
            chunking=chunking,
        )
        return _run(flow)


class _Network:
    """The ``Transport`` of a blocking relay."""

    def clock(self) -> float:
        return time.monotonic()

    def resolve_mx(self, domain: str) -> MXRecords:
        from mailproto.sync.resolving import resolve_mx

        return resolve_mx(domain)

    def resolve_addresses(self, host: str) -> Sequence[str]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except UnicodeError:
            # No name of the DNS: a label of more than 63 octets, for one.
            return ()
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
                return ()
            raise
        return [str(address[0]) for *_, address in found]

    def connect(
        self,
        address: str,
        port: int,
        *,
        server_hostname: str,
        tls: ssl.SSLContext | None,
        timeout: float | None,
    ) -> connecting.Client:
        driver = connecting.dial(
            address, port, tls=tls, timeout=timeout, server_hostname=server_hostname
        )
        return connecting.Client(driver)


def _run(flow: Flow[T]) -> T:
    """Run a flow of ``Call`` effects in this thread."""
    result: object = None
    error: Exception | None = None
    while True:
        try:
            effect = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            value: T = stop.value
            return value
        assert isinstance(effect, Call)
        result, error = None, None
        try:
            result = effect.function()
        except Exception as caught:
            error = caught
        if inspect.isawaitable(result):
            if isinstance(result, Coroutine):
                result.close()
            raise TypeError("the blocking relay got an awaitable from a resolver")
