"""The way on: a blocking connection to the server that takes mail for other domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mailproto.flows.effects import Flow
from mailproto.flows.opening import Login, TLSMode
from mailproto.flows.smtp_delivery import NextHop
from mailproto.smtp import Timeouts
from mailproto.sync import smtp

if TYPE_CHECKING:
    import ssl

    from mailproto._core.machine import Trace
    from mailproto.flows.smtp_client import Session

__all__ = ["relay"]

T = TypeVar("T")


def relay(
    host: str,
    port: int | None = None,
    *,
    domain: str,
    tls: TLSMode = "none",
    login: Login = None,
    tls_context: ssl.SSLContext | None = None,
    allow_insecure_auth: bool = False,
    timeout: Timeouts | float | None = None,
    connect_timeout: float | None = 30.0,
    trace: Trace | None = None,
) -> Callable[[], NextHop]:
    """What connects to ``host``, naming itself ``domain``: the ``next_hop`` of ``Services``.

    The arguments are those of ``sync.smtp.connect``. Messages with REQUIRETLS go on only with
    ``tls`` (RFC 8689).
    """

    def connect() -> NextHop:
        client = smtp.connect(
            host,
            port,
            tls=tls,
            login=login,
            domain=domain,
            tls_context=tls_context,
            allow_insecure_auth=allow_insecure_auth,
            long_lines=True,
            timeout=timeout,
            connect_timeout=connect_timeout,
            trace=trace,
        )
        return _Hop(client)

    return connect


class _Hop:
    """A connection to the next hop."""

    def __init__(self, client: smtp.Client) -> None:
        self._client = client

    @property
    def session(self) -> Session:
        return self._client.session

    def run(self, flow: Flow[T]) -> T:
        return self._client.run(flow)

    def close(self) -> None:
        if not self._client.closed:
            self._client.quit()
