"""What only a store on a disk must do: survive, share, refuse other files, leave no garbage."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mailproto.backend import SQLiteStore, StoreFailure

DELIVERER = Path(__file__).with_name("deliverer.py")
MESSAGE = b"Subject: hello\r\n\r\nworld\r\n"


def deliver(store: SQLiteStore, data: bytes, *recipients: str) -> None:
    draft = store.draft()
    draft.write(data)
    store.deliver(draft, {name: b"To: %s\r\n" % name.encode() for name in recipients})


def rows(file: Path, table: str) -> int:
    with sqlite3.connect(file) as db:
        count = db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    db.close()
    return int(count)


def test_a_killed_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    printed = list[int]()
    for round in range(6):
        process = subprocess.Popen(
            [sys.executable, str(DELIVERER), str(file), str(1000 * round)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process, process.stdout:
            # The kill comes at another point of a delivery every time.
            for _ in range(3 + 5 * round):
                printed.append(int(process.stdout.readline()))
            process.kill()
            printed += map(int, process.stdout.read().split(b"\n")[:-1])
    store = SQLiteStore(file)
    for name, prefix in (("ada", b"Return-Path: <>\r\n"), ("bob", b"")):
        inbox = store.account(name).open("INBOX")
        found = list[int]()
        for info in inbox.messages().messages:
            octets = inbox.content(info.uid).read(0, info.size + 1)
            assert len(octets) == info.size
            assert octets.startswith(prefix)
            header, body = octets[len(prefix) :].split(b"\r\n\r\n", 1)
            subject, digest = header.split(b"\r\n")
            assert digest == b"X-Digest: " + hashlib.sha256(body).hexdigest().encode()
            found.append(int(subject.removeprefix(b"Subject: ")))
        assert len(found) == len(set(found))
        assert set(printed) <= set(found)
        # At most the one that was under way in each round was stored and not yet told of.
        assert len(set(found) - set(printed)) <= 6
    store.close()
    # Whatever the last round left unfinished is gone.
    assert rows(file, "unfinished") == 0
    assert rows(file, "body") == rows(file, "content") / 2 == rows(file, "message") / 2


def test_a_body_left_unfinished_is_removed_at_start(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    SQLiteStore(file).close()
    with sqlite3.connect(file) as db:
        db.execute("INSERT INTO body VALUES (7, 200000)")
        db.execute("INSERT INTO unfinished VALUES (7)")
        db.execute("INSERT INTO chunk VALUES (?, ?)", (7 << 24, bytes(65536)))
    db.close()
    SQLiteStore(file).close()
    assert [rows(file, table) for table in ("body", "unfinished", "chunk")] == [0, 0, 0]


def test_content_that_was_being_read_is_removed_later(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    store = SQLiteStore(file)
    deliver(store, MESSAGE, "ada")
    deliver(store, MESSAGE, "ada")
    inbox = store.account("ada").open("INBOX")
    content = inbox.content(1)
    inbox.remove([1])
    assert rows(file, "content") == 2
    del content
    inbox.remove([2])
    assert [rows(file, t) for t in ("content", "body", "chunk", "abandoned")] == [0, 0, 0, 0]
    deliver(store, MESSAGE, "ada")
    content = inbox.content(3)
    inbox.remove([3])
    assert rows(file, "abandoned") == 1
    assert content.size == len(MESSAGE) + 9
    store.close()
    SQLiteStore(file).close()
    assert [rows(file, t) for t in ("content", "body", "chunk", "abandoned")] == [0, 0, 0, 0]


def test_recipients_and_copies_share_one_body(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    store = SQLiteStore(file)
    names = [f"user{number}" for number in range(10)]
    deliver(store, os.urandom(1_000_000), *names)
    for name in names:
        account = store.account(name)
        account.create("Copy")
        account.open("INBOX").copy([1], "Copy")
        account.open("INBOX").remove([1])
        assert account.open("Copy").content(1).read(0, 9) == b"To: " + name.encode()
    store.close()
    assert rows(file, "body") == 1
    assert file.stat().st_size < 1_200_000


def test_a_delivery_that_fails_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    store = SQLiteStore(file, busy_timeout=0.05)
    deliver(store, MESSAGE, "ada")
    other = sqlite3.connect(file)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFailure, match="locked"):
        deliver(store, bytes(3_000_000), "ada", "bob")
    with pytest.raises(StoreFailure, match="locked"):
        deliver(store, MESSAGE, "ada", "bob")
    other.rollback()
    other.close()
    # The trigger stands for a disk that is full when the last recipient's turn comes.
    with sqlite3.connect(file) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON message WHEN NEW.uid = 1"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    db.close()
    for size in (10, 3_000_000):
        with pytest.raises(StoreFailure, match="disk full"):
            deliver(store, bytes(size), "ada", "bob")
    assert store.account("ada").open("INBOX").status().messages == 1
    store.close()
    assert [rows(file, t) for t in ("message", "body", "chunk", "unfinished")] == [1, 1, 1, 0]


def test_deliveries_wait_for_the_disk_and_flags_do_not(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "mail.db")
    levels = list[int]()
    with store.transaction() as db:
        levels += db.execute("PRAGMA synchronous").fetchone()
    with store.transaction(durable=False) as db:
        levels += db.execute("PRAGMA synchronous").fetchone()
    with store.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()
    assert levels == [2, 1]  # FULL, NORMAL


def test_mail_is_private(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    store = SQLiteStore(file)
    deliver(store, MESSAGE, "ada")
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    store.close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"From ada@example.org\n" * 100)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    newer = tmp_path / "newer.db"
    SQLiteStore(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for file, words in [
        (text, "not a database"),
        (foreign, "no mail store"),
        (newer, "version 99"),
        (tmp_path / "missing" / "mail.db", "No such file"),
        (tmp_path, "unable to open"),
    ]:
        with pytest.raises(StoreFailure, match=words) as caught:
            SQLiteStore(file)
        assert str(file) in str(caught.value)
    assert text.read_bytes().startswith(b"From ada")


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_is_read_and_written(tmp_path: Path, version: int) -> None:
    file = tmp_path / "mail.db"
    store = SQLiteStore(file)
    deliver(store, MESSAGE, "ada")
    store.close()
    with sqlite3.connect(file) as db:
        db.execute("ALTER TABLE message DROP COLUMN canonical")
        if version == 1:
            db.execute("ALTER TABLE message DROP COLUMN eight_bit")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    for _ in range(2):
        store = SQLiteStore(file)
        deliver(store, MESSAGE, "ada")
        store.close()
    store = SQLiteStore(file)
    messages = store.account("ada").open("INBOX").messages().messages
    before = None if version == 1 else False
    assert [message.eight_bit for message in messages] == [before, False, False]
    assert [message.canonical for message in messages] == [None, True, True]
    store.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "mail.db")
    store.close()
    store.close()
    with pytest.raises(StoreFailure, match="closed"):
        deliver(store, MESSAGE, "ada")


def test_damage_is_a_store_failure(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    store = SQLiteStore(file)
    deliver(store, bytes(200_000), "ada")
    with store.transaction() as db:
        db.execute("DELETE FROM chunk WHERE id & 3 = 1")
    content = store.account("ada").open("INBOX").content(1)
    assert len(content.read(0, 60_000)) == 60_000
    with pytest.raises(StoreFailure, match="are lost"):
        content.read(0, 200_000)
    store.close()
