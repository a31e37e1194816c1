"""A store in one sqlite3 file that no crash harms: what was delivered is there, whole and once.

Every method is one transaction. Those that take a message in wait until the disk has it
(``synchronous = FULL``); those that change flags survive a killed process, and a power failure
once anything is delivered after them. One connection, guarded by one lock, serves all threads;
listeners are called after the lock is released.

A large body is written ahead in transactions of its own, so that the last one is small and
others get their turn; what a crash leaves of it is removed when the store is opened next.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from typing import Final

from typing_extensions import TypeVar

from mailproto.backend import rules, schema, statements
from mailproto.backend.lines import canonical
from mailproto.backend.listeners import Listeners
from mailproto.backend.spool import Prefixed, Spool, sealed
from mailproto.backend.store import (
    Changes,
    Copied,
    Draft,
    FlagChange,
    MailboxEntry,
    MailboxStatus,
    MessageGone,
    MessageInfo,
    NoSuchMailbox,
    StoreFailure,
)
from mailproto.errors import StoreError

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_CHUNKS_AHEAD: Final = 32
"""So many chunks are written in one transaction; a body of no more goes in with its message."""


class SQLiteStore:
    """A ``Store`` in the sqlite3 database ``file``, made when it does not exist.

    Raises StoreFailure when the file cannot be opened or is something else. ``busy_timeout`` is
    how many seconds to wait for another process that is writing. Only one process may serve a
    file: maildrop locks and listeners are those of a process.
    """

    def __init__(self, file: str | os.PathLike[str], *, busy_timeout: float = 10.0) -> None:
        self._file = os.fspath(file)
        self._lock = threading.RLock()
        self._listeners = Listeners()
        self._maildrops = set[int]()
        self._readers = weakref.WeakSet[_Body]()
        self._durable: bool | None = None
        try:
            _make_file(self._file)
            self._db = sqlite3.connect(
                self._file, timeout=busy_timeout, isolation_level=None, check_same_thread=False
            )
        except OSError as error:
            raise StoreFailure(f"cannot open {self._file}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise StoreFailure(f"cannot open {self._file}: {error}") from error
        try:
            with self.reading() as db:
                schema.prepare(db, self._file)
            with self.transaction() as db:
                statements.clean(db)
        except BaseException:
            self._db.close()
            raise

    @property
    def file(self) -> str:
        """The path of the database."""
        return self._file

    @property
    def delimiter(self) -> str:
        """The hierarchy delimiter of mailbox names."""
        return rules.DELIMITER

    def account(self, name: str) -> _Account:
        """The account of that name, made with an empty INBOX when it is new."""
        with self.reading() as db:
            account = statements.find_account(db, name)
        if account is None:
            with self.transaction() as db:
                account = statements.make_account(db, name)
        return _Account(self, account, name)

    def draft(self) -> Spool:
        """Begin to receive a message."""
        return Spool()

    def deliver(self, draft: Draft, recipients: Mapping[str, bytes]) -> None:
        """Put the draft into the INBOX of every account named, all or none, durably."""
        spool = sealed(draft)
        date = _now()
        with self.body(spool) as body_in, self.transaction() as db:
            body = body_in(db)
            contents = dict[bytes, int]()
            for name, prefix in recipients.items():
                if prefix not in contents:
                    contents[prefix] = statements.content_row(db, prefix, body)
                account = statements.make_account(db, name)
                inbox = statements.find_mailbox(db, account, rules.INBOX)
                size = len(prefix) + spool.size
                eight_bit = spool.eight_bit or not prefix.isascii()
                lines = spool.canonical and canonical(prefix)
                message = (" ", date, size, contents[prefix], eight_bit, lines)
                statements.add_messages(db, inbox, [message])
        for name in recipients:
            self.tell(name, [rules.INBOX])

    def close(self) -> None:
        """Write what is not yet written and close the file."""
        with self._lock:
            self._db.close()

    # What the accounts and mailboxes of this store use of it.

    @contextlib.contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """The connection; no other thread has it until the block ends."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StoreFailure(f"{self._file}: {error}") from error

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Generator[sqlite3.Connection]:
        """The connection, in a transaction that ends with the block, all or nothing."""
        with self.reading() as db:
            if durable is not self._durable:
                db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def body(self, spool: Spool) -> Generator[Callable[[sqlite3.Connection], int]]:
        """A function that gives the body's id inside of the transaction that refers to it."""
        if spool.size <= statements.CHUNK * _CHUNKS_AHEAD:
            yield functools.partial(_small_body, spool=spool)
            return
        with self.transaction(durable=False) as db:
            body = statements.body_row(db, spool.size, unfinished=True)
        try:
            for first in range(0, -(-spool.size // statements.CHUNK), _CHUNKS_AHEAD):
                with self.transaction(durable=False) as db:
                    statements.write_chunks(db, spool, body, first, first + _CHUNKS_AHEAD)
            yield functools.partial(statements.finish_body, body=body)
        except BaseException:
            with contextlib.suppress(StoreFailure), self.transaction(durable=False) as db:
                statements.drop_body(db, body)
            raise

    def content(self, mailbox: int, uid: int) -> Prefixed | None:
        """The content of a message; it stays readable when the message is expunged."""
        with self.reading() as db:
            found = statements.find_content(db, mailbox, uid)
            if found is None:
                return None
            content, prefix, body, size = found
            reader = _Body(self, content, body, size)
            self._readers.add(reader)
            return Prefixed(prefix, reader)

    def collect(self, db: sqlite3.Connection, contents: Iterable[int]) -> None:
        """Remove those of the contents that no message has and nobody reads."""
        statements.collect(db, contents, {reader.content_id for reader in self._readers})

    def lock_maildrop(self, mailbox: int) -> bool:
        """Take the maildrop lock of a mailbox; false when it is taken."""
        with self._lock:
            if mailbox in self._maildrops:
                return False
            self._maildrops.add(mailbox)
            return True

    def unlock_maildrop(self, mailbox: int) -> None:
        """Give the maildrop lock back."""
        with self._lock:
            self._maildrops.discard(mailbox)

    def tell(self, account: str, mailboxes: Iterable[str]) -> None:
        """Tell the listeners of an account, with the lock released."""
        self._listeners.tell(account, mailboxes)

    def listen(self, account: str, listener: Callable[[str], None]) -> Callable[[], None]:
        """Add a listener to an account."""
        return self._listeners.add(account, listener)


def _make_file(file: str) -> None:
    """Make the file, where it is not there, before sqlite3 does it with wider permissions."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    # The name of a new file outlives a power failure once its directory is written.
    with contextlib.suppress(OSError):  # not every system opens directories
        directory = os.open(os.path.dirname(os.path.abspath(file)), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _small_body(db: sqlite3.Connection, spool: Spool) -> int:
    body = statements.body_row(db, spool.size)
    statements.write_chunks(db, spool, body, 0, _CHUNKS_AHEAD)
    return body


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


class _Body:
    """The octets of a body, read from its chunks."""

    def __init__(self, store: SQLiteStore, content_id: int, body: int, size: int) -> None:
        self._store = store
        self._body = body
        self._size = size
        self.content_id = content_id

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        end = min(self._size, offset + size)
        pieces = list[bytes]()
        while offset < end:
            number, skip = divmod(offset, statements.CHUNK)
            wanted = min(end - offset, statements.CHUNK - skip)
            with self._store.reading() as db:
                piece = statements.read_chunk(db, self._body, number, skip, wanted)
            if piece is None:
                raise StoreFailure(f"the octets of body {self._body} from {offset} on are lost")
            pieces.append(piece)
            offset += wanted
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Account:
    def __init__(self, store: SQLiteStore, id: int, name: str) -> None:
        self._store = store
        self._id = id
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def mailboxes(self) -> Sequence[MailboxEntry]:
        with self._store.reading() as db:
            names = statements.find_mailboxes(db, self._id)
            return rules.listing(names, statements.find_subscriptions(db, self._id))

    def create(self, name: str, special_use: str | None = None) -> None:
        name = rules.canonical(name)
        with self._store.transaction() as db:
            made = rules.new_names(name, statements.find_mailboxes(db, self._id))
            for each in made:
                use = special_use if each == name else None
                statements.make_mailbox(db, self._id, each, use)
        self._store.tell(self._name, made)

    def delete(self, name: str) -> None:
        name = rules.canonical(name)
        if name == rules.INBOX:
            raise StoreError("INBOX cannot be deleted")
        with self._store.transaction() as db:
            mailbox = statements.find_mailbox(db, self._id, name)
            self._store.collect(db, statements.drop_mailbox(db, mailbox))
        self._store.tell(self._name, [name])

    def rename(self, name: str, new_name: str) -> None:
        name, new_name = rules.canonical(name), rules.canonical(new_name)
        with self._store.transaction() as db:
            existing = statements.find_mailboxes(db, self._id)
            if name == rules.INBOX:
                made = rules.new_names(new_name, existing)
                told = [*made, name]
            else:
                moved = rules.renamed(name, new_name, existing)
                made = rules.new_names(new_name, existing.keys() - moved.keys())[:-1]
                told = [*moved, *moved.values(), *made]
                statements.rename_mailboxes(db, self._id, moved)
            for each in made:
                statements.make_mailbox(db, self._id, each)
            if name == rules.INBOX:
                inbox = statements.find_mailbox(db, self._id, name)
                target = statements.find_mailbox(db, self._id, new_name)
                uids = [message.uid for message in statements.find_messages(db, inbox)]
                statements.copy_messages(db, inbox, uids, target)
                statements.drop_messages(db, inbox, uids)
        self._store.tell(self._name, told)

    def subscribe(self, name: str, subscribed: bool) -> None:
        with self._store.transaction() as db:
            statements.subscribe(db, self._id, rules.canonical(name), subscribed)

    def open(self, name: str) -> _Mailbox:
        name = rules.canonical(name)
        with self._store.reading() as db:
            mailbox = statements.find_mailbox(db, self._id, name)
        return _Mailbox(self._store, self._id, self._name, mailbox, name)

    def append(
        self,
        name: str,
        draft: Draft,
        flags: Collection[str] = (),
        internal_date: datetime.datetime | None = None,
    ) -> tuple[int, int]:
        name = rules.canonical(name)
        date = internal_date.isoformat() if internal_date else _now()
        text = statements.flags_text(rules.Flags(flags).all())
        with self._store.reading() as db:
            statements.find_mailbox(db, self._id, name)
        spool = sealed(draft)
        with self._store.body(spool) as body_in, self._store.transaction() as db:
            mailbox = statements.find_mailbox(db, self._id, name)
            content = statements.content_row(db, b"", body_in(db))
            message = (text, date, spool.size, content, spool.eight_bit, spool.canonical)
            (uid,) = statements.add_messages(db, mailbox, [message])
            uid_validity = statements.uid_validity(db, mailbox)
        self._store.tell(self._name, [name])
        return uid_validity, uid

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        return self._store.listen(self._name, listener)


class _Mailbox:
    def __init__(
        self, store: SQLiteStore, account: int, account_name: str, id: int, name: str
    ) -> None:
        self._store = store
        self._account = account
        self._account_name = account_name
        self._id = id
        self._name = name
        self._has_lock = False

    @property
    def name(self) -> str:
        return self._name

    def status(self) -> MailboxStatus:
        with self._store.reading() as db:
            return self._present(statements.find_status(db, self._id))

    def messages(self) -> Changes:
        with self._store.reading() as db:
            return self._present(statements.find_changes(db, self._id, None))

    def page(self, after: int, limit: int) -> Sequence[MessageInfo]:
        with self._store.reading() as db:
            return self._present(statements.find_page(db, self._id, after, limit))

    def changes(self, since: int) -> Changes:
        with self._store.reading() as db:
            return self._present(statements.find_changes(db, self._id, since))

    def _present(self, found: T | None) -> T:
        if found is None:
            raise NoSuchMailbox(f"mailbox {self._name!r} was deleted")
        return found

    def claim_recent(self) -> frozenset[int]:
        with self._store.transaction(durable=False) as db:
            return statements.take_recent(db, self._id)

    def content(self, uid: int) -> Prefixed:
        content = self._store.content(self._id, uid)
        if content is None:
            raise MessageGone(f"message {uid} of mailbox {self._name!r} was expunged")
        return content

    def set_flags(
        self,
        uids: Collection[int],
        change: FlagChange,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Sequence[int]:
        with self._store.transaction(durable=False) as db:
            refused, changed = statements.set_flags(
                db, self._id, uids, change, rules.Flags(flags), unchanged_since
            )
            names = self._names(db) if changed else []
        self._tell(names)
        return refused

    def expunge(self, uids: Collection[int] | None = None) -> Sequence[int]:
        with self._store.transaction() as db:
            gone = self._drop(db, statements.find_deleted(db, self._id, uids))
            names = self._names(db) if gone else []
        self._tell(names)
        return gone

    def remove(self, uids: Collection[int]) -> Sequence[int]:
        with self._store.transaction() as db:
            gone = self._drop(db, uids)
            names = self._names(db) if gone else []
        self._tell(names)
        return gone

    def _drop(self, db: sqlite3.Connection, uids: Collection[int]) -> list[int]:
        gone, contents = statements.drop_messages(db, self._id, uids)
        self._store.collect(db, contents)
        return gone

    def copy(self, uids: Collection[int], destination: str) -> Copied:
        with self._store.transaction() as db:
            target = statements.find_mailbox(db, self._account, rules.canonical(destination))
            copied = statements.copy_messages(db, self._id, uids, target)
        if copied.source:
            self._tell([rules.canonical(destination)])
        return copied

    def move(self, uids: Collection[int], destination: str) -> Copied:
        with self._store.transaction() as db:
            target = statements.find_mailbox(db, self._account, rules.canonical(destination))
            copied = statements.copy_messages(db, self._id, uids, target)
            statements.drop_messages(db, self._id, copied.source)
            names = [*self._names(db), rules.canonical(destination)] if copied.source else []
        self._tell(names)
        return copied

    def lock(self) -> bool:
        taken = self._store.lock_maildrop(self._id)
        self._has_lock = self._has_lock or taken
        return taken

    def unlock(self) -> None:
        if self._has_lock:
            self._has_lock = False
            self._store.unlock_maildrop(self._id)

    def _names(self, db: sqlite3.Connection) -> list[str]:
        """The name that the mailbox has now."""
        return statements.mailbox_names(db, self._id)

    def _tell(self, names: Iterable[str]) -> None:
        self._store.tell(self._account_name, names)
