"""Blocking clients and servers: thin facades over ``mailproto.flows`` and one small driver.

``sync.smtp``, ``sync.imap`` and ``sync.pop3`` have ``connect``; ``sync.Server`` listens. The
names are the same in ``mailproto.aio``. A protocol is loaded when its module is first used.
"""

from __future__ import annotations

from mailproto.sync.server import Server

__all__ = ["Server"]
