"""The way on: an asyncio connection to the server that takes mail for other domains."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from mailproto.aio import smtp
from mailproto.flows.effects import Flow
from mailproto.flows.opening import Login, TLSMode
from mailproto.flows.smtp_delivery import NextHop
from mailproto.smtp import Timeouts

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
) -> Callable[[], Awaitable[NextHop]]:
    """What connects to ``host``, naming itself ``domain``: the ``next_hop`` of ``Services``.

    The arguments are those of ``aio.smtp.connect``. Messages with REQUIRETLS go on only with
    ``tls`` (RFC 8689).
    """

    async def connect() -> NextHop:
        client = await smtp.connect(
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

    async def run(self, flow: Flow[T]) -> T:
        return await self._client.run(flow)

    async def close(self) -> None:
        if not self._client.closed:
            await self._client.quit()
