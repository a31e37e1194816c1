"""The way on: a blocking connection to the server that takes mail for other domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mailproto.flows.effects import Flow
from mailproto.flows.smtp_delivery import NextHop
from mailproto.sync import smtp

if TYPE_CHECKING:
    from mailproto._core.machine import Trace
    from mailproto.flows.smtp_client import Session

__all__ = ["relay"]

T = TypeVar("T")


def relay(
    host: str, port: int, *, domain: str, trace: Trace | None = None
) -> Callable[[], NextHop]:
    """What connects to ``host``, naming itself ``domain``: the ``next_hop`` of ``Services``."""

    def connect() -> NextHop:
        client = smtp.connect(host, port, tls="none", domain=domain, long_lines=True, trace=trace)
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
