"""The way on: an asyncio connection to the server that takes mail for other domains."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from mailproto.aio import smtp
from mailproto.flows.effects import Flow
from mailproto.flows.smtp_delivery import NextHop

if TYPE_CHECKING:
    from mailproto._core.machine import Trace
    from mailproto.flows.smtp_client import Session

__all__ = ["relay"]

T = TypeVar("T")


def relay(
    host: str, port: int, *, domain: str, trace: Trace | None = None
) -> Callable[[], Awaitable[NextHop]]:
    """What connects to ``host``, naming itself ``domain``: the ``next_hop`` of ``Services``."""

    async def connect() -> NextHop:
        client = await smtp.connect(
            host, port, tls="none", domain=domain, long_lines=True, trace=trace
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
