"""The statements of the sqlite3 store: functions on a connection that is inside of a transaction.

Flags lie as text with a blank before, between and behind them, so that one is found by ``instr``;
dates as ISO 8601 with their offset.
"""

from __future__ import annotations

import datetime
import functools
import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from mailproto.backend import rules
from mailproto.backend.spool import Spool
from mailproto.backend.store import (
    Changes,
    Copied,
    FlagChange,
    MailboxStatus,
    MessageInfo,
    NoSuchMailbox,
    StoreFailure,
)

CHUNK: Final = 64 * 1024
"""Octets of a body in one row."""

_CHUNK_BITS: Final = 24  # so many bits of a chunk's id are its number, those above the body's id

NewMessage: TypeAlias = tuple[str, str, int, int, bool | None, bool | None]
"""Flags as text, date as text, size, content id, whether it is more than ASCII."""

_Row: TypeAlias = tuple[int, str, str, int, int, int, int | None, int | None]


# ------------------------------------------------------------------------ accounts, mailboxes


def find_account(db: sqlite3.Connection, name: str) -> int | None:
    """The id of the account of that name."""
    row = db.execute("SELECT id FROM account WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def make_account(db: sqlite3.Connection, name: str) -> int:
    """The id of the account of that name, made with its INBOX when it is new."""
    account = find_account(db, name)
    if account is None:
        account = _last_id(db.execute("INSERT INTO account (name) VALUES (?)", (name,)))
        make_mailbox(db, account, rules.INBOX)
    return account


def find_mailboxes(db: sqlite3.Connection, account: int) -> dict[str, str | None]:
    """The names of an account's mailboxes, with their special uses."""
    return dict(
        db.execute("SELECT name, special_use FROM mailbox WHERE account = ?", (account,)).fetchall()
    )


def find_subscriptions(db: sqlite3.Connection, account: int) -> set[str]:
    """The names an account is subscribed to."""
    rows = db.execute("SELECT name FROM subscription WHERE account = ?", (account,))
    return {name for (name,) in rows}


def find_mailbox(db: sqlite3.Connection, account: int, name: str) -> int:
    """The id of a mailbox. Raises NoSuchMailbox."""
    row = db.execute(
        "SELECT id FROM mailbox WHERE account = ? AND name = ?", (account, name)
    ).fetchone()
    if row is None:
        raise NoSuchMailbox(f"no mailbox {name!r}")
    (mailbox,) = row
    return int(mailbox)


def make_mailbox(
    db: sqlite3.Connection, account: int, name: str, special_use: str | None = None
) -> None:
    """Make a mailbox with a UIDVALIDITY that none had before."""
    (last,) = db.execute("SELECT uid_validity FROM counter").fetchone()
    new = max(last + 1, int(time.time()))
    db.execute("UPDATE counter SET uid_validity = ?", (new,))
    db.execute(
        "INSERT INTO mailbox (account, name, special_use, uid_validity) VALUES (?, ?, ?, ?)",
        (account, name, special_use, new),
    )


def rename_mailboxes(db: sqlite3.Connection, account: int, moved: Mapping[str, str]) -> None:
    """Give mailboxes their new names, none of which exists."""
    db.executemany(
        "UPDATE mailbox SET name = ? WHERE account = ? AND name = ?",
        [(new, account, old) for old, new in moved.items()],
    )


def subscribe(db: sqlite3.Connection, account: int, name: str, subscribed: bool) -> None:
    """Set or clear a subscription."""
    if subscribed:
        db.execute("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (account, name))
    else:
        db.execute("DELETE FROM subscription WHERE account = ? AND name = ?", (account, name))


def mailbox_names(db: sqlite3.Connection, mailbox: int) -> list[str]:
    """The name of a mailbox, none when it was deleted."""
    rows = db.execute("SELECT name FROM mailbox WHERE id = ?", (mailbox,))
    return [name for (name,) in rows]


def drop_mailbox(db: sqlite3.Connection, mailbox: int) -> list[int]:
    """Remove a mailbox with its messages; the result is the contents these had."""
    rows = db.execute("SELECT DISTINCT content FROM message WHERE mailbox = ?", (mailbox,))
    contents = [content for (content,) in rows]
    db.execute("DELETE FROM message WHERE mailbox = ?", (mailbox,))
    db.execute("DELETE FROM expunged WHERE mailbox = ?", (mailbox,))
    db.execute("DELETE FROM mailbox WHERE id = ?", (mailbox,))
    return contents


def uid_validity(db: sqlite3.Connection, mailbox: int) -> int:
    """The UIDVALIDITY of a mailbox that exists."""
    row = db.execute("SELECT uid_validity FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    return int(row[0])


def find_status(db: sqlite3.Connection, mailbox: int) -> MailboxStatus | None:
    """Counts of a mailbox, ``None`` when it was deleted."""
    row = db.execute(
        "SELECT uid_validity, uid_next, mailbox.modseq, COUNT(uid),"
        " COALESCE(SUM(instr(flags, ' \\Seen ') = 0), 0),"
        " COALESCE(SUM(instr(flags, ' \\Deleted ') > 0), 0),"
        " COALESCE(SUM(uid >= recent), 0), COALESCE(SUM(size), 0)"
        " FROM mailbox LEFT JOIN message ON message.mailbox = mailbox.id"
        " WHERE mailbox.id = ? GROUP BY mailbox.id",
        (mailbox,),
    ).fetchone()
    return None if row is None else MailboxStatus(*row)


# ---------------------------------------------------------------------------------- messages


def find_messages(db: sqlite3.Connection, mailbox: int) -> list[MessageInfo]:
    """All messages of a mailbox, ascending by UID."""
    return _infos(db.execute(f"{_SELECT} ORDER BY uid", (mailbox,)))


def find_page(
    db: sqlite3.Connection, mailbox: int, after: int, limit: int
) -> list[MessageInfo] | None:
    """The first messages above a UID; ``None`` when the mailbox was deleted."""
    if not db.execute("SELECT 1 FROM mailbox WHERE id = ?", (mailbox,)).fetchone():
        return None
    rows = db.execute(f"{_SELECT} AND uid > ? ORDER BY uid LIMIT ?", (mailbox, after, limit))
    return _infos(rows)


def find_changes(db: sqlite3.Connection, mailbox: int, since: int | None) -> Changes | None:
    """What happened after ``since``, or all messages; ``None`` when the mailbox was deleted."""
    row = db.execute("SELECT modseq FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    if row is None:
        return None
    if since is None:
        return Changes(find_messages(db, mailbox), (), row[0])
    changed = _infos(db.execute(f"{_SELECT} AND modseq > ? ORDER BY uid", (mailbox, since)))
    gone = db.execute(
        "SELECT uid FROM expunged WHERE mailbox = ? AND modseq > ? ORDER BY uid", (mailbox, since)
    )
    return Changes(changed, [uid for (uid,) in gone], row[0])


def find_deleted(db: sqlite3.Connection, mailbox: int, uids: Collection[int] | None) -> list[int]:
    """The UIDs of the messages that are flagged as deleted, among ``uids`` where given."""
    rows = db.execute(
        "SELECT uid FROM message WHERE mailbox = ? AND instr(flags, ' \\Deleted ') > 0", (mailbox,)
    )
    wanted = None if uids is None else set(uids)
    return [uid for (uid,) in rows if wanted is None or uid in wanted]


def add_messages(db: sqlite3.Connection, mailbox: int, messages: Sequence[NewMessage]) -> list[int]:
    """Put messages into a mailbox that exists; their UIDs."""
    uid_next, modseq = db.execute(
        "SELECT uid_next, modseq + 1 FROM mailbox WHERE id = ?", (mailbox,)
    ).fetchone()
    uids = list(range(uid_next, uid_next + len(messages)))
    db.execute(
        "UPDATE mailbox SET uid_next = ?, modseq = ? WHERE id = ?",
        (uid_next + len(messages), modseq, mailbox),
    )
    db.executemany(
        "INSERT INTO message"
        " (mailbox, uid, flags, internal_date, size, content, eight_bit, canonical, modseq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(mailbox, uid, *message, modseq) for uid, message in zip(uids, messages, strict=True)],
    )
    return uids


def copy_messages(
    db: sqlite3.Connection, mailbox: int, uids: Collection[int], destination: int
) -> Copied:
    """Copy those of the messages that are there."""
    rows = db.execute(
        "SELECT uid, flags, internal_date, size, content, eight_bit, canonical FROM message"
        " WHERE mailbox = ? AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
        (mailbox, _json(uids)),
    ).fetchall()
    added = add_messages(db, destination, [tuple(row[1:]) for row in rows]) if rows else ()
    return Copied(uid_validity(db, destination), [row[0] for row in rows], added)


def drop_messages(
    db: sqlite3.Connection, mailbox: int, uids: Collection[int]
) -> tuple[list[int], list[int]]:
    """Remove those of the messages that are there; their UIDs, ascending, and their contents."""
    rows = db.execute(
        "SELECT uid, content FROM message WHERE mailbox = ?"
        " AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
        (mailbox, _json(uids)),
    ).fetchall()
    if rows:
        modseq = _next_modseq(db, mailbox)
        gone = [(mailbox, uid) for uid, _content in rows]
        db.executemany("DELETE FROM message WHERE mailbox = ? AND uid = ?", gone)
        db.executemany(
            "INSERT INTO expunged (mailbox, uid, modseq) VALUES (?, ?, ?)",
            [(*each, modseq) for each in gone],
        )
    return [uid for uid, _content in rows], [content for _uid, content in rows]


def set_flags(
    db: sqlite3.Connection,
    mailbox: int,
    uids: Collection[int],
    change: FlagChange,
    flags: rules.Flags,
    unchanged_since: int | None,
) -> tuple[list[int], bool]:
    """Change flags; the UIDs that were left alone, and whether anything changed."""
    rows = db.execute(
        "SELECT uid, flags, modseq FROM message WHERE mailbox = ?"
        " AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
        (mailbox, _json(uids)),
    )
    refused, changed = list[int](), list[tuple[str, int]]()
    for uid, text, modseq in rows:
        if unchanged_since is not None and modseq > unchanged_since:
            refused.append(uid)
            continue
        old = _flags_of(text)
        new = flags.applied(change, old)
        if new != old:
            changed.append((flags_text(new), uid))
    if changed:
        modseq = _next_modseq(db, mailbox)
        db.executemany(
            "UPDATE message SET flags = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
            [(text, modseq, mailbox, uid) for text, uid in changed],
        )
    return refused, bool(changed)


def take_recent(db: sqlite3.Connection, mailbox: int) -> frozenset[int]:
    """The UIDs that nobody took before."""
    rows = db.execute(
        "SELECT uid FROM message JOIN mailbox ON mailbox.id = mailbox"
        " WHERE mailbox = ? AND uid >= recent",
        (mailbox,),
    )
    recent = frozenset(uid for (uid,) in rows)
    db.execute("UPDATE mailbox SET recent = uid_next WHERE id = ?", (mailbox,))
    return recent


def flags_text(flags: frozenset[str]) -> str:
    """Flags as they lie in the table."""
    return f" {' '.join(sorted(flags))} " if flags else " "


@functools.lru_cache(maxsize=4096)
def _flags_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SELECT: Final = (
    "SELECT uid, flags, internal_date, size, modseq, content, eight_bit, canonical FROM message"
    " WHERE mailbox = ?"
)


def _json(numbers: Iterable[int]) -> str:
    return json.dumps(list(numbers))


def _infos(rows: Iterable[_Row]) -> list[MessageInfo]:
    date_of = datetime.datetime.fromisoformat
    return [
        MessageInfo(
            uid,
            _flags_of(flags),
            date_of(date),
            size,
            modseq,
            str(content),
            None if eight_bit is None else bool(eight_bit),
            None if canonical is None else bool(canonical),
        )
        for uid, flags, date, size, modseq, content, eight_bit, canonical in rows
    ]


def _next_modseq(db: sqlite3.Connection, mailbox: int) -> int:
    db.execute("UPDATE mailbox SET modseq = modseq + 1 WHERE id = ?", (mailbox,))
    row = db.execute("SELECT modseq FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    return int(row[0])


def _last_id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid


# ---------------------------------------------------------------------------------- contents


def body_row(db: sqlite3.Connection, size: int, *, unfinished: bool = False) -> int:
    """The id of a new body, whose chunks are to follow in later transactions if unfinished."""
    body = _last_id(db.execute("INSERT INTO body (size) VALUES (?)", (size,)))
    if unfinished:
        db.execute("INSERT INTO unfinished VALUES (?)", (body,))
    return body


def finish_body(db: sqlite3.Connection, body: int) -> int:
    """The id of a body whose chunks are all there, from now on no longer unfinished."""
    if not db.execute("DELETE FROM unfinished WHERE body = ?", (body,)).rowcount:
        raise StoreFailure(f"another process removed the body {body} while it was written")
    return body


def write_chunks(db: sqlite3.Connection, spool: Spool, body: int, first: int, end: int) -> None:
    """Write the chunks of a body from number ``first`` up to ``end``."""
    for number in range(first, min(end, -(-spool.size // CHUNK))):
        data = spool.read(number * CHUNK, CHUNK)
        db.execute("INSERT INTO chunk VALUES (?, ?)", ((body << _CHUNK_BITS) + number, data))


def read_chunk(
    db: sqlite3.Connection, body: int, number: int, offset: int, size: int
) -> bytes | None:
    """Octets of one chunk of a body."""
    row = db.execute(
        "SELECT substr(data, ?, ?) FROM chunk WHERE id = ?",
        (offset + 1, size, (body << _CHUNK_BITS) + number),
    ).fetchone()
    return None if row is None else row[0]


def drop_body(db: sqlite3.Connection, body: int) -> None:
    """Remove a body that no content has."""
    first = body << _CHUNK_BITS
    db.execute(
        "DELETE FROM chunk WHERE id BETWEEN ? AND ?", (first, first + (1 << _CHUNK_BITS) - 1)
    )
    db.execute("DELETE FROM unfinished WHERE body = ?", (body,))
    db.execute("DELETE FROM body WHERE id = ?", (body,))


def content_row(db: sqlite3.Connection, prefix: bytes, body: int) -> int:
    """The id of a new content."""
    return _last_id(db.execute("INSERT INTO content (prefix, body) VALUES (?, ?)", (prefix, body)))


def find_content(
    db: sqlite3.Connection, mailbox: int, uid: int
) -> tuple[int, bytes, int, int] | None:
    """Content id, prefix, body id and size of the body of a message."""
    row = db.execute(
        "SELECT content.id, prefix, body, body.size FROM message"
        " JOIN content ON content.id = message.content JOIN body ON body.id = content.body"
        " WHERE mailbox = ? AND uid = ?",
        (mailbox, uid),
    ).fetchone()
    return None if row is None else tuple(row)


def collect(db: sqlite3.Connection, contents: Iterable[int], in_use: Collection[int]) -> None:
    """Remove those of the contents that no message has; those in use at some later call."""
    waiting = {content for (content,) in db.execute("SELECT content FROM abandoned")}
    candidates = waiting.union(contents)
    kept = candidates.intersection(in_use)
    db.executemany("INSERT OR IGNORE INTO abandoned VALUES (?)", [(each,) for each in kept])
    db.executemany("DELETE FROM abandoned WHERE content = ?", [(each,) for each in waiting - kept])
    bodies = set[int]()
    for content in candidates - kept:
        row = db.execute(
            "SELECT body FROM content WHERE id = ?1"
            " AND NOT EXISTS (SELECT 1 FROM message WHERE content = ?1)",
            (content,),
        ).fetchone()
        if row is not None:
            db.execute("DELETE FROM content WHERE id = ?", (content,))
            bodies.add(row[0])
    for body in bodies:
        if not db.execute("SELECT 1 FROM content WHERE body = ? LIMIT 1", (body,)).fetchone():
            drop_body(db, body)


def clean(db: sqlite3.Connection) -> None:
    """Remove what a process left that was killed: unfinished bodies, contents that it read."""
    for (body,) in db.execute("SELECT body FROM unfinished").fetchall():
        drop_body(db, body)
    collect(db, (), ())
