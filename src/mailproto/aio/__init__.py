"""Asyncio clients and servers: thin facades over ``mailproto.flows`` and one small driver.

``aio.smtp``, ``aio.imap`` and ``aio.pop3`` have ``connect``; ``aio.Server`` listens. The
names are the same in ``mailproto.sync``. A protocol is loaded when its module is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mailproto.aio.server import Server

if TYPE_CHECKING:
    from mailproto.aio import imap as imap
    from mailproto.aio import pop3 as pop3
    from mailproto.aio import smtp as smtp
    from mailproto.aio.next_hop import relay as relay

__all__ = ["Server", "imap", "pop3", "relay", "smtp"]


def __getattr__(name: str) -> object:
    if name in ("imap", "pop3", "smtp"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "relay":
        from mailproto.aio.next_hop import relay

        return relay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
