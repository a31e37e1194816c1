"""Asyncio clients and servers: thin facades over ``mailproto.flows`` and one small driver.

``aio.smtp``, ``aio.imap`` and ``aio.pop3`` have ``connect``; ``aio.Server`` listens. The
names are the same in ``mailproto.sync``. A protocol is loaded when its module is first used.
"""

from __future__ import annotations

from mailproto.aio.server import Server

__all__ = ["Server"]
