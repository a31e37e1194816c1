r"""Commands, read from the frames a client sends (``command``; RFC 3501 section 9).

The head (tag and name) comes first and alone, because what a name may do in the state of the
connection is decided before its literals are asked for. One function reads the arguments of each
command; it raises ``Malformed``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import field

from mailproto._core.frozen import frozen
from mailproto._core.strict import date_time
from mailproto.imap.commands import (
    Append,
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Examine,
    Expunge,
    Fetch,
    Id,
    Idle,
    List,
    Login,
    Logout,
    Lsub,
    Move,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    StartTLS,
    Status,
    Store,
    StoreAction,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from mailproto.imap.flags import canonical_flag
from mailproto.imap.mailbox_name import MailboxName
from mailproto.imap.parse.commands_fetch import fetch_items
from mailproto.imap.parse.commands_search import read_sequence_set, search
from mailproto.imap.parse.commands_usual import usual_command
from mailproto.imap.status_item import StatusItem
from mailproto.imap.streamed import Streamed
from mailproto.imap.wire.cursor import ATOM, QUOTED, Cursor, Malformed, unquote
from mailproto.imap.wire.frames import Frame
from mailproto.sasl import Unusable, decode_initial_response

__all__ = ["KINDS", "Head", "append", "arguments", "general_command", "head"]


@frozen
class Head:
    """The first words of a command line."""

    tag: str | None
    """``None`` when the line does not begin with a tag."""
    name: bytes
    """In upper case, with ``UID`` before it where that is said: ``b"UID FETCH"``; may be empty."""
    end: int = field(default=0)
    """Where the name ends in the line."""


# tag = 1*<any ASTRING-CHAR except "+">, of a length that can be sent back
_TAG: Final = rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]{1,64}+"
_HEAD: Final = re.compile(rb"(" + _TAG + rb")(?: ((?:[Uu][Ii][Dd] )?[A-Za-z]+)(?![^ \r]))?")


def head(line: bytes) -> Head:
    """The head of a line; it never fails, what is missing stays empty."""
    found = _HEAD.match(line)
    if found is None:
        return Head(None, b"")
    tag, name = found.groups()
    if name is None:
        end = found.end()
        return Head(tag.decode("ascii") if line[end : end + 1] in (b" ", b"") else None, b"")
    return Head(tag.decode("ascii"), name.upper(), found.end())


def arguments(name: bytes, frame: Frame, position: int, *, depth: int) -> Command:
    """The command ``name``, one of ``KINDS``, with its arguments from ``position``.

    Raises Malformed. APPEND is read by ``append``, before its literal; without one it is malformed.
    """
    if not frame.literals:
        usual = usual_command(name, frame.text, position)
        if usual is not None:
            return usual
    return general_command(name, frame, position, depth=depth)


def general_command(name: bytes, frame: Frame, position: int, *, depth: int) -> Command:
    """As ``arguments``, whatever the shape. Raises Malformed."""
    return _TABLE[name][1](Cursor(frame, position, depth=depth))


# ------------------------------------------------------------------- commands without arguments


def _plain(command: Command) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        cursor.end()
        return command

    return read


# ----------------------------------------------------------------------- arguments by their kind


def _mailbox(cursor: Cursor) -> MailboxName:
    cursor.expect(b" ")
    octets = cursor.astring()
    if not octets or b"\0" in octets:
        raise Malformed("a mailbox name that is not empty and holds no NUL", octets, 0)
    return MailboxName(octets)


def _one_mailbox(make: Callable[[MailboxName], Command]) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        mailbox = _mailbox(cursor)
        cursor.end()
        return make(mailbox)

    return read


_PATTERN: Final = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")


def _pattern(make: Callable[[MailboxName, MailboxName], Command]) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        cursor.expect(b" ")
        reference = cursor.astring()
        cursor.expect(b" ")
        plain = cursor.match(_PATTERN)
        pattern = cursor.string() if plain is None else plain[0]
        cursor.end()
        return make(MailboxName(reference), MailboxName(pattern))

    return read


_FLAG: Final = rb"\\?" + ATOM
_FLAG_LIST: Final = re.compile(rb"\(((?:" + _FLAG + rb"(?: " + _FLAG + rb")*+)?)\)")
_STORE_FLAGS: Final = re.compile(
    rb"\(((?:" + _FLAG + rb"(?: " + _FLAG + rb")*+)?)\)|(" + _FLAG + rb"(?: " + _FLAG + rb")*+)"
)


def _flags(text: bytes) -> tuple[str, ...]:
    if not text:
        return ()
    return tuple([canonical_flag(flag) for flag in text.decode("ascii").split(" ")])


# ----------------------------------------------------------------------- login and capabilities


def _login(cursor: Cursor) -> Command:
    try:
        cursor.expect(b" ")
        user = cursor.astring()
        cursor.expect(b" ")
        password = cursor.astring()
        cursor.end()
    except Malformed:
        # The complaint would quote what may be the password.
        raise Malformed("a user name and a password", b"", 0) from None
    return Login(user, password)


_MECHANISM: Final = re.compile(rb" ([A-Za-z0-9_-]{1,20})(?: ([A-Za-z0-9+/=]+))?")


def _authenticate(cursor: Cursor) -> Command:
    found = cursor.match(_MECHANISM)
    if found is None or not cursor.at_end:
        raise Malformed("a mechanism, and perhaps an initial response in base64", b"", 0)
    initial = None if found[2] is None else decode_initial_response(found[2])
    if isinstance(initial, Unusable):
        raise Malformed("an initial response in base64", b"", 0)
    return Authenticate(found[1].decode("ascii").upper(), initial)


_ENABLE: Final = re.compile(rb"(?: " + ATOM + rb")+")


def _enable(cursor: Cursor) -> Command:
    found = cursor.read(_ENABLE, "capabilities to enable")
    cursor.end()
    return Enable(tuple(found[0][1:].decode("ascii").upper().split(" ")))


_NIL: Final = re.compile(rb"NIL(?=$)", re.IGNORECASE)
_ID_PAIRS: Final = 30


def _id(cursor: Cursor) -> Command:
    cursor.expect(b" ")
    if cursor.match(_NIL):
        return Id()
    cursor.expect(b"(")
    pairs: list[tuple[bytes, bytes | None]] = []
    while not cursor.take(b")"):
        if pairs:
            cursor.expect(b" ")
        if len(pairs) >= _ID_PAIRS:
            raise cursor.fail(f"at most {_ID_PAIRS} fields")
        name = cursor.string()
        cursor.expect(b" ")
        pairs.append((name, cursor.nstring()))
    cursor.end()
    return Id(tuple(pairs))


# ------------------------------------------------------------------------------------ mailboxes


def _rename(cursor: Cursor) -> Command:
    mailbox = _mailbox(cursor)
    new_name = _mailbox(cursor)
    cursor.end()
    return Rename(mailbox, new_name)


_STATUS_ITEMS: Final = re.compile(rb" \(([A-Za-z]+(?: [A-Za-z]+)*+)\)")
_STATUS: Final = {item.value.encode("ascii"): item for item in StatusItem}


def _status(cursor: Cursor) -> Command:
    mailbox = _mailbox(cursor)
    start = cursor.position
    found = cursor.read(_STATUS_ITEMS, "a list of status items")
    words = found[1].upper().split(b" ")
    items = tuple([_STATUS[word] for word in words if word in _STATUS])
    if len(items) < len(words):
        cursor.position = start
        raise cursor.fail("status items")
    cursor.end()
    return Status(mailbox, items)


_DATE_TIME: Final = re.compile(QUOTED)


def append(frame: Frame, position: int, size: int) -> Append:
    """APPEND up to its message of ``size`` octets, whose header ends the text of ``frame``."""
    cursor = Cursor(frame, position)
    mailbox = _mailbox(cursor)
    cursor.expect(b" ")
    flags: tuple[str, ...] = ()
    if cursor.at(b"("):
        flags = _flags(cursor.read(_FLAG_LIST, "a list of flags")[1])
        cursor.expect(b" ")
    when = None
    if cursor.at(b'"'):
        start = cursor.position
        when = date_time(unquote(cursor.read(_DATE_TIME, "a date")[1]))
        if when is None:
            cursor.position = start
            raise cursor.fail('a date like " 1-Feb-1994 09:00:00 +0000"')
        cursor.expect(b" ")
    if cursor.rest.find(b"{") != 0:
        raise cursor.fail("the message as a literal")
    return Append(mailbox, Streamed(size), flags, when)


# ------------------------------------------------------------------------------------- messages


def _fetch(uid: bool) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        cursor.expect(b" ")
        numbers = read_sequence_set(cursor)
        cursor.expect(b" ")
        return Fetch(numbers, fetch_items(cursor), uid)

    return read


_STORE: Final = re.compile(rb" ([+-]?FLAGS)(\.SILENT)? ", re.IGNORECASE)
_ACTIONS: Final = {action.value.encode("ascii"): action for action in StoreAction}


def _store(uid: bool) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        cursor.expect(b" ")
        numbers = read_sequence_set(cursor)
        found = cursor.read(_STORE, "FLAGS, +FLAGS or -FLAGS")
        listed = cursor.read(_STORE_FLAGS, "flags")
        cursor.end()
        flags = _flags(listed[1] if listed[2] is None else listed[2])
        return Store(numbers, _ACTIONS[found[1].upper()], flags, found[2] is not None, uid)

    return read


def _copy(make: type[Copy | Move], uid: bool) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        cursor.expect(b" ")
        numbers = read_sequence_set(cursor)
        mailbox = _mailbox(cursor)
        cursor.end()
        return make(numbers, mailbox, uid)

    return read


def _uid_expunge(cursor: Cursor) -> Command:
    cursor.expect(b" ")
    uids = read_sequence_set(cursor)
    cursor.end()
    return Expunge(uids)


def _append_without_message(cursor: Cursor) -> Command:
    raise Malformed("the message as a literal", b"", 0)


_TABLE: Final[dict[bytes, tuple[type[Command], Callable[[Cursor], Command]]]] = {
    b"CAPABILITY": (Capability, _plain(Capability())),
    b"NOOP": (Noop, _plain(Noop())),
    b"LOGOUT": (Logout, _plain(Logout())),
    b"STARTTLS": (StartTLS, _plain(StartTLS())),
    b"NAMESPACE": (Namespace, _plain(Namespace())),
    b"IDLE": (Idle, _plain(Idle())),
    b"CHECK": (Check, _plain(Check())),
    b"CLOSE": (Close, _plain(Close())),
    b"UNSELECT": (Unselect, _plain(Unselect())),
    b"EXPUNGE": (Expunge, _plain(Expunge())),
    b"ID": (Id, _id),
    b"AUTHENTICATE": (Authenticate, _authenticate),
    b"LOGIN": (Login, _login),
    b"ENABLE": (Enable, _enable),
    b"SELECT": (Select, _one_mailbox(Select)),
    b"EXAMINE": (Examine, _one_mailbox(Examine)),
    b"CREATE": (Create, _one_mailbox(Create)),
    b"DELETE": (Delete, _one_mailbox(Delete)),
    b"SUBSCRIBE": (Subscribe, _one_mailbox(Subscribe)),
    b"UNSUBSCRIBE": (Unsubscribe, _one_mailbox(Unsubscribe)),
    b"RENAME": (Rename, _rename),
    b"LIST": (List, _pattern(List)),
    b"LSUB": (Lsub, _pattern(Lsub)),
    b"STATUS": (Status, _status),
    b"APPEND": (Append, _append_without_message),
    b"FETCH": (Fetch, _fetch(uid=False)),
    b"UID FETCH": (Fetch, _fetch(uid=True)),
    b"STORE": (Store, _store(uid=False)),
    b"UID STORE": (Store, _store(uid=True)),
    b"COPY": (Copy, _copy(Copy, uid=False)),
    b"UID COPY": (Copy, _copy(Copy, uid=True)),
    b"MOVE": (Move, _copy(Move, uid=False)),
    b"UID MOVE": (Move, _copy(Move, uid=True)),
    b"SEARCH": (Search, lambda cursor: search(cursor, uid=False)),
    b"UID SEARCH": (Search, lambda cursor: search(cursor, uid=True)),
    b"UID EXPUNGE": (Expunge, _uid_expunge),
}

KINDS: Final[Mapping[bytes, type[Command]]] = {name: kind for name, (kind, _) in _TABLE.items()}
"""Every name of a command, and its class."""
