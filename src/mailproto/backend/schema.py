"""The tables of the sqlite3 store, and what a file must be to be opened as one.

body      octets as they arrived, cut into chunks; shared by copies and recipients
content   a prefix of one recipient and a body; what a message's key names, never used again
message   a content in a mailbox; one body may serve many
expunged  the UIDs that are gone, for ``changes``; kept as long as the mailbox

What a killed process leaves behind is known, not searched for: ``unfinished`` names bodies that
are written in several transactions, ``abandoned`` contents of no message that somebody reads.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from mailproto.backend.store import StoreFailure

__all__ = ["APPLICATION_ID", "VERSION", "prepare"]

APPLICATION_ID: Final = 0x6D70726F  # "mpro"
VERSION: Final = 3

_TABLES: Final = """
CREATE TABLE counter (uid_validity INTEGER NOT NULL);
INSERT INTO counter VALUES (0);

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    special_use TEXT,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL DEFAULT 1,
    recent INTEGER NOT NULL DEFAULT 1,
    modseq INTEGER NOT NULL DEFAULT 1,
    UNIQUE (account, name)
);
CREATE TABLE subscription (
    account INTEGER NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;

CREATE TABLE body (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    size INTEGER NOT NULL
);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, -- the body's id and the chunk's number in one
    data BLOB NOT NULL
);
CREATE TABLE content (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix BLOB NOT NULL,
    body INTEGER NOT NULL REFERENCES body
);
CREATE INDEX content_body ON content (body);

CREATE TABLE unfinished (body INTEGER PRIMARY KEY);
CREATE TABLE abandoned (content INTEGER PRIMARY KEY);

CREATE TABLE message (
    mailbox INTEGER NOT NULL REFERENCES mailbox,
    uid INTEGER NOT NULL,
    flags TEXT NOT NULL, -- with a blank before, between and behind
    internal_date TEXT NOT NULL,
    size INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    content INTEGER NOT NULL REFERENCES content,
    eight_bit INTEGER, -- NULL: not known, from before version 2
    canonical INTEGER, -- NULL: not known, from before version 3
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX message_modseq ON message (mailbox, modseq);
CREATE INDEX message_content ON message (content);

CREATE TABLE expunged (
    mailbox INTEGER NOT NULL REFERENCES mailbox,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX expunged_modseq ON expunged (mailbox, modseq);
"""


def prepare(db: sqlite3.Connection, file: str) -> None:
    """Make the tables in an empty file, or what an older one lacks.

    Raises StoreFailure for a file of something else.
    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("BEGIN IMMEDIATE")
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if not tables:
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        elif application != APPLICATION_ID:
            raise StoreFailure(f"{file} is a database, but no mail store")
        elif version in (1, 2):
            if version == 1:
                db.execute("ALTER TABLE message ADD COLUMN eight_bit INTEGER")
            db.execute("ALTER TABLE message ADD COLUMN canonical INTEGER")
            db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise StoreFailure(f"{file} has schema version {version}, this program knows {VERSION}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
