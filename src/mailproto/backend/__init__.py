"""Where mail lies: the Store interface that embedders implement, and two stores that keep it.

``MemoryStore``, ``SQLiteStore`` and ``DownloadDirectory``, where mail goes that a client fetches,
are loaded when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailproto.backend.store import (
    Account,
    Changes,
    Content,
    Copied,
    Draft,
    FlagChange,
    Mailbox,
    MailboxEntry,
    MailboxExists,
    MailboxStatus,
    Maybe,
    MessageGone,
    MessageInfo,
    NoSuchMailbox,
    OverQuota,
    Store,
    StoreFailure,
)
from mailproto.errors import StoreError

if TYPE_CHECKING:
    from mailproto.backend.downloads import Arrivals, DownloadDirectory, Incoming
    from mailproto.backend.memory import MemoryStore
    from mailproto.backend.sqlite import SQLiteStore

__all__ = [
    "Store",
    "Account",
    "Mailbox",
    "Content",
    "Draft",
    "Maybe",
    "MessageInfo",
    "Changes",
    "MailboxEntry",
    "MailboxStatus",
    "Copied",
    "FlagChange",
    "StoreError",
    "NoSuchMailbox",
    "MailboxExists",
    "MessageGone",
    "OverQuota",
    "StoreFailure",
    "MemoryStore",
    "SQLiteStore",
    "Arrivals",
    "Incoming",
    "DownloadDirectory",
]


def __getattr__(name: str) -> object:
    if name == "MemoryStore":
        from mailproto.backend.memory import MemoryStore

        return MemoryStore
    if name == "SQLiteStore":
        from mailproto.backend.sqlite import SQLiteStore

        return SQLiteStore
    if name in ("Arrivals", "Incoming", "DownloadDirectory"):
        from mailproto.backend import downloads

        found: object = getattr(downloads, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
