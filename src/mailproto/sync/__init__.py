"""Blocking clients and servers: thin facades over ``mailproto.flows`` and one small driver.

``sync.smtp``, ``sync.imap`` and ``sync.pop3`` have ``connect``; ``sync.Server`` listens. The
names are the same in ``mailproto.aio``. A protocol is loaded when its module is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mailproto.sync.server import Server

if TYPE_CHECKING:
    from mailproto.sync import imap as imap
    from mailproto.sync import pop3 as pop3
    from mailproto.sync import smtp as smtp
    from mailproto.sync.next_hop import relay as relay

__all__ = ["Server", "imap", "pop3", "relay", "smtp"]


def __getattr__(name: str) -> object:
    if name in ("imap", "pop3", "smtp"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "relay":
        from mailproto.sync.next_hop import relay

        return relay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
