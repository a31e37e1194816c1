"""What every store must do, shown on both: the cases that the state machine does not reach."""

from __future__ import annotations

import datetime
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailproto.backend import (
    Account,
    Content,
    Draft,
    FlagChange,
    Mailbox,
    MailboxExists,
    MemoryStore,
    NoSuchMailbox,
    SQLiteStore,
    Store,
    StoreError,
    StoreFailure,
)
from mailproto.backend.spool import IN_MEMORY, Spool

AnyStore = MemoryStore | SQLiteStore

MESSAGE = b"Subject: hello\r\n\r\nworld\r\n"
BIG = 5 * 1024 * 1024 + 17


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyStore]:
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "mail.db")
    yield made
    made.close()


def drafted(store: AnyStore, *pieces: bytes) -> Spool:
    draft = store.draft()
    for piece in pieces:
        draft.write(piece)
    return draft


def pattern(size: int) -> bytes:
    """Octets whose place can be told."""
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


def test_a_store_has_the_types_of_the_interface(store: AnyStore) -> None:
    # The assignments are checked by mypy and pyright.
    whole: Store = store
    account: Account = store.account("ada")
    draft: Draft = drafted(store, MESSAGE)
    store.deliver(draft, {"ada": b""})
    mailbox: Mailbox = store.account("ada").open("INBOX")
    content: Content = store.account("ada").open("INBOX").content(1)
    assert (whole.delimiter, account.name, mailbox.name, content.size) == (
        "/",
        "ada",
        "INBOX",
        len(MESSAGE),
    )


# ------------------------------------------------------------------------------------ contents


def test_a_large_message_is_read_anywhere(store: AnyStore) -> None:
    data = pattern(BIG)
    prefix = b"Return-Path: <ada@example.org>\r\n"
    draft = store.draft()
    for start in range(0, BIG, 100_000):
        draft.write(data[start : start + 100_000])
    assert draft.read(BIG - 5, 100) == data[-5:]
    store.deliver(draft, {"ada": prefix, "bob": b""})
    whole = prefix + data
    content = store.account("ada").open("INBOX").content(1)
    assert content.size == len(whole)
    for offset, size in [
        (0, 10),
        (len(prefix) - 3, 6),
        (len(prefix) + 65_530, 12),
        (65_536 * 3, 65_536),
        (1_000_000, 1_000_000),
        (len(whole) - 4, 100),
        (len(whole), 10),
        (len(whole) + 10, 10),
    ]:
        assert content.read(offset, size) == whole[offset : offset + size]
    assert store.account("bob").open("INBOX").content(1).read(0, BIG) == data


def test_a_content_stays_readable_after_its_message_is_gone(store: AnyStore) -> None:
    data = pattern(200_000)
    store.deliver(drafted(store, data), {"ada": b""})
    inbox = store.account("ada").open("INBOX")
    content = inbox.content(1)
    begin = content.read(0, 1000)
    inbox.remove([1])
    store.deliver(drafted(store, MESSAGE), {"ada": b""})
    assert begin + content.read(1000, 200_000) == data


def test_copies_have_the_key_of_their_source_and_other_prefixes_another(store: AnyStore) -> None:
    store.deliver(
        drafted(store, MESSAGE), {"ada": b"A: 1\r\n", "bob": b"B: 1\r\n", "cy": b"A: 1\r\n"}
    )
    keys = {
        name: store.account(name).open("INBOX").messages().messages[0].key
        for name in ("ada", "bob", "cy")
    }
    assert keys["ada"] != keys["bob"]
    ada = store.account("ada")
    ada.create("Archive")
    ada.open("INBOX").copy([1], "Archive")
    assert ada.open("Archive").messages().messages[0].key == keys["ada"]


def test_a_key_is_never_used_again(store: AnyStore) -> None:
    inbox = store.account("ada").open("INBOX")
    keys = list[str]()
    for _ in range(5):
        store.deliver(drafted(store, MESSAGE), {"ada": b""})
        keys.append(inbox.messages().messages[0].key)
        inbox.remove([inbox.messages().messages[0].uid])
    assert len(set(keys)) == 5


def test_P08_a_large_draft_does_not_lie_in_memory(store: AnyStore) -> None:
    chunk = b"x" * 65_536
    tracemalloc.start()
    try:
        draft = store.draft()
        for _ in range(40 * 16):
            draft.write(chunk)
        store.deliver(draft, {"ada": b"", "bob": b"P: 1\r\n"})
        content = store.account("bob").open("INBOX").content(1)
        octets = sum(len(content.read(at, 65_536)) for at in range(0, content.size, 65_536))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert octets == 40 * 1024 * 1024 + 6
    assert peak < 4 * IN_MEMORY


# -------------------------------------------------------------------------------------- drafts


def test_a_draft_can_be_delivered_and_appended_again(store: AnyStore) -> None:
    draft = drafted(store, MESSAGE)
    store.deliver(draft, {"ada": b""})
    store.account("ada").append("INBOX", draft)
    draft.discard()
    inbox = store.account("ada").open("INBOX")
    assert [inbox.content(uid).read(0, 100) for uid in (1, 2)] == [MESSAGE, MESSAGE]


def test_a_delivered_draft_takes_no_more_octets(store: AnyStore) -> None:
    draft = drafted(store, MESSAGE)
    store.deliver(draft, {"ada": b""})
    with pytest.raises(StoreFailure, match="delivered already"):
        draft.write(b"more")


def test_a_draft_of_another_store_is_refused(store: AnyStore) -> None:
    class Foreign:
        size = 0

        def read(self, offset: int, size: int) -> bytes:
            return b""

        def write(self, data: bytes) -> None: ...
        def discard(self) -> None: ...

    with pytest.raises(StoreError, match="no draft of this store"):
        store.deliver(Foreign(), {"ada": b""})


def test_delivery_to_nobody_changes_nothing(store: AnyStore) -> None:
    store.deliver(drafted(store, MESSAGE), {})
    assert store.account("ada").open("INBOX").status().messages == 0


# ------------------------------------------------------------------------------ names and flags


@pytest.mark.parametrize("name", ["", "/", "a//b", "a/", "/a"])
def test_a_name_with_an_empty_level_is_refused(store: AnyStore, name: str) -> None:
    account = store.account("ada")
    with pytest.raises(StoreError, match="empty level"):
        account.create(name)
    account.create("x")
    with pytest.raises(StoreError):
        account.rename("x", name)
    assert [entry.name for entry in account.mailboxes()] == ["INBOX", "x"]


@pytest.mark.parametrize(
    "name", ["a.b", "a*b%", 'a"b\\', "日本語", "a\nb", "'; DROP TABLE message", "👍" * 200]
)
def test_P28_names_are_data(store: AnyStore, name: str) -> None:
    account = store.account(name)
    account.create(name)
    account.subscribe(name, True)
    assert account.mailboxes()[1].name == name
    assert account.append(name, drafted(store, MESSAGE))[1] == 1
    account.rename(name, name + "2")
    assert account.open(name + "2").status().messages == 1


def test_a_mailbox_made_again_has_a_greater_uid_validity(store: AnyStore) -> None:
    account = store.account("ada")
    seen = list[int]()
    for _ in range(4):
        account.create("x")
        seen.append(account.open("x").status().uid_validity)
        account.delete("x")
    assert seen == sorted(set(seen))


def test_a_mailbox_below_itself(store: AnyStore) -> None:
    account = store.account("ada")
    account.create("a/c")
    account.append("a", drafted(store, MESSAGE))
    account.rename("a", "a/b")
    assert [entry.name for entry in account.mailboxes()] == ["INBOX", "a", "a/b", "a/b/c"]
    assert account.open("a/b").status().messages == 1
    assert account.open("a").status().messages == 0
    with pytest.raises(MailboxExists):
        account.rename("a", "a/b")


def test_flags_are_kept_as_spelt_first_and_system_flags_as_the_rfc_spells_them(
    store: AnyStore,
) -> None:
    account = store.account("ada")
    account.append("INBOX", drafted(store, MESSAGE), ["\\SEEN", "$Work", "\\recent"])
    inbox = account.open("INBOX")
    inbox.set_flags([1], FlagChange.ADD, ["$WORK", "\\deleted"])
    assert inbox.messages().messages[0].flags == {"\\Seen", "\\Deleted", "$Work"}
    inbox.set_flags([1], FlagChange.REPLACE, ["$work"])
    assert inbox.messages().messages[0].flags == {"$Work"}


def test_a_change_that_changes_nothing_has_no_mod_sequence(store: AnyStore) -> None:
    store.deliver(drafted(store, MESSAGE), {"ada": b""})
    inbox = store.account("ada").open("INBOX")
    inbox.set_flags([1], FlagChange.ADD, ["\\Seen"])
    before = inbox.messages()
    told = list[str]()
    store.account("ada").listen(told.append)
    inbox.set_flags([1, 7], FlagChange.ADD, ["\\seen"])
    assert inbox.messages() == before
    assert told == []


def test_the_internal_date_keeps_its_zone(store: AnyStore) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    date = datetime.datetime(1994, 2, 7, 21, 52, 25, tzinfo=zone)
    account = store.account("ada")
    account.append("INBOX", drafted(store, MESSAGE), (), date)
    found = account.open("INBOX").messages().messages[0].internal_date
    assert (found, found.utcoffset()) == (date, zone.utcoffset(None))


# ---------------------------------------------------------------------------- many at a time


def test_threads_deliver_change_and_read_at_once(store: AnyStore) -> None:
    messages, threads = 25, 6
    started = threading.Barrier(threads)

    def work(number: int) -> list[int]:
        started.wait(10)
        inbox = store.account("ada").open("INBOX")
        uids = list[int]()
        for each in range(messages):
            data = b"%d-%d:" % (number, each) + bytes(70_000 if each % 10 == 0 else 10)
            store.deliver(drafted(store, data), {"ada": b"", "bob": b"P: 1\r\n"})
            _validity, uid = store.account("ada").append("INBOX", drafted(store, data))
            inbox.set_flags([uid], FlagChange.ADD, [f"thread{number}"])
            assert inbox.content(uid).read(0, len(data)) == data
            uids.append(uid)
        return uids

    with ThreadPoolExecutor(threads) as pool:
        uids = [uid for done in pool.map(work, range(threads)) for uid in done]
    inbox = store.account("ada").open("INBOX")
    assert len(set(uids)) == messages * threads
    found = inbox.messages().messages
    assert [info.uid for info in found] == list(range(1, 2 * messages * threads + 1))
    assert sum(bool(info.flags) for info in found) == messages * threads
    assert store.account("bob").open("INBOX").status().messages == messages * threads


def test_a_listener_may_be_added_twice_and_taken_off_once(store: AnyStore) -> None:
    told = list[str]()
    account = store.account("ada")
    first, second = account.listen(told.append), account.listen(told.append)
    account.create("x")
    assert told == ["x", "x"]
    first()
    first()
    account.delete("x")
    assert told == ["x", "x", "x"]
    second()
    account.create("y")
    assert len(told) == 3


def test_many_messages_are_changed_and_removed_in_one_step(store: AnyStore) -> None:
    account = store.account("ada")
    account.create("Trash")
    draft = drafted(store, MESSAGE)
    for _ in range(300):
        account.append("INBOX", draft)
    inbox = account.open("INBOX")
    before = inbox.messages().modseq
    assert inbox.set_flags(range(1, 301), FlagChange.ADD, ["\\Deleted"]) == []
    changes = inbox.changes(before)
    assert len(changes.messages) == 300
    assert {info.modseq for info in changes.messages} == {changes.modseq}
    assert inbox.set_flags(range(1, 301), FlagChange.ADD, ["x"], unchanged_since=before) == list(
        range(1, 301)
    )
    copied = inbox.move(range(300, 100, -1), "Trash")
    assert list(copied.source) == list(range(101, 301))
    assert list(copied.destination) == list(range(1, 201))
    assert list(inbox.expunge()) == list(range(1, 101))
    assert list(inbox.changes(before).expunged) == list(range(1, 301))


def test_pages_are_all_messages_in_order(store: AnyStore) -> None:
    inbox = store.account("ada").open("INBOX")
    assert inbox.page(0, 10) == []
    for _ in range(7):
        store.deliver(drafted(store, MESSAGE), {"ada": b""})
    inbox.remove([2, 3])
    assert [info.uid for info in inbox.page(0, 3)] == [1, 4, 5]
    assert inbox.page(1, 100) == list(inbox.messages().messages[1:])
    assert inbox.page(7, 100) == []
    store.account("ada").create("gone")
    gone = store.account("ada").open("gone")
    store.account("ada").delete("gone")
    with pytest.raises(NoSuchMailbox):
        gone.page(0, 1)


def test_messages_beyond_ascii_are_known(store: AnyStore) -> None:
    for content, prefix in [
        (MESSAGE, b""),
        ("Subject: ü\r\n\r\n".encode(), b""),
        (MESSAGE, "Return-Path: <ü@example.org>\r\n".encode()),
    ]:
        store.deliver(drafted(store, content[:9], content[9:]), {"ada": prefix})
    account = store.account("ada")
    account.append("INBOX", drafted(store, b"caf\xe9"))
    inbox = account.open("INBOX")
    inbox.set_flags([2], FlagChange.ADD, ["\\Seen"])
    inbox.copy([2], "INBOX")
    assert [info.eight_bit for info in inbox.messages().messages] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_messages_that_are_not_lines_with_crlf_are_known(store: AnyStore) -> None:
    for pieces, prefix in [
        ((MESSAGE,), b""),
        ((b"a\r", b"\n", b"b\r\n"), b"Received: x\r\n"),
        ((), b""),
        ((b"a\r", b"b\r\n"), b""),
        ((b"a\n",), b""),
        ((b"a\r\n", b"\nb\r\n"), b""),
        ((b"no end",), b""),
        ((b"a\r",), b""),
        ((b"\n",), b""),
        ((MESSAGE,), b"Received: x\n"),
        ((MESSAGE,), b"Received: x"),
    ]:
        store.deliver(drafted(store, *pieces), {"ada": prefix})
    account = store.account("ada")
    account.append("INBOX", drafted(store, b"no end"))
    inbox = account.open("INBOX")
    inbox.set_flags([1, 4], FlagChange.ADD, ["\\Seen"])
    inbox.copy([1, 4], "INBOX")
    found = [info.canonical for info in inbox.messages().messages]
    assert found == [True] * 3 + [False] * 9 + [True, False]
