"""Commands, written for the wire (RFC 3501 section 9: ``command``).

The result is octets and, between them, the strings that must travel as literals: how those are
announced, and what has to be awaited, is the machine's business. Everything is checked before
anything is returned, so that no argument can end its line; what the grammar cannot express is a
LocalProtocolError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto._core.strict import NUMBER_32, NUMBER_64
from mailproto.errors import LocalProtocolError
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
    Subscribe,
    Unselect,
    Unsubscribe,
)
from mailproto.imap.fetch_item import BodySection, FetchItem, FetchMacro, Section, SectionText
from mailproto.imap.mailbox_name import MailboxName
from mailproto.imap.search_key import (
    And,
    Not,
    Or,
    SearchDate,
    SearchFlag,
    SearchHeader,
    SearchKey,
    SearchKeyword,
    SearchSet,
    SearchSize,
    SearchText,
    SearchUid,
)
from mailproto.imap.streamed import Streamed
from mailproto.imap.wire.strings import (
    as_astring,
    as_quoted,
    check_atom,
    check_flag,
    check_literal,
    check_number,
    date_text,
    date_time_text,
    sequence_set_text,
)
from mailproto.sasl import encode_initial_response

__all__ = ["LiteralArgument", "Part", "serialize_command"]


@frozen
class LiteralArgument:
    """A string that travels as a literal; it may be a password."""

    data: bytes | Streamed = field(repr=False)

    @property
    def size(self) -> int:
        """Octets."""
        return self.data.size if isinstance(self.data, Streamed) else len(self.data)


Part: TypeAlias = bytes | LiteralArgument
_Parts: TypeAlias = "list[Part]"

_LIST_PATTERN: Final = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]{1,1000}")


def serialize_command(command: Command) -> list[Part]:
    """``command`` without its tag and its CRLF: octets, and literals between them.

    Raises LocalProtocolError.
    """
    name = _NAMES.get(type(command))
    if name is not None:
        return [name]
    writer = _WRITERS.get(type(command))
    if writer is None:
        raise LocalProtocolError(f"not a command: {type(command).__name__}")
    return _joined(writer(command))


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Adjacent octets made one."""
    joined: list[Part] = []
    for part in parts:
        if joined and isinstance(part, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


_NAMES: Final[dict[type[Command], bytes]] = {
    Capability: b"CAPABILITY",
    Noop: b"NOOP",
    Logout: b"LOGOUT",
    StartTLS: b"STARTTLS",
    Namespace: b"NAMESPACE",
    Idle: b"IDLE",
    Check: b"CHECK",
    Close: b"CLOSE",
    Unselect: b"UNSELECT",
}


# ----------------------------------------------------------------------------- strings


def _astring(octets: bytes) -> Part:
    written = as_astring(octets)
    return LiteralArgument(check_literal(octets)) if written is None else written


def _string(octets: bytes) -> Part:
    written = as_quoted(octets)
    return LiteralArgument(check_literal(octets)) if written is None else written


def _pattern(name: MailboxName) -> Part:
    """``list-mailbox``: an atom may hold wildcards."""
    if _LIST_PATTERN.fullmatch(name.octets) is not None and name.octets.upper() != b"NIL":
        return name.octets
    return _string(name.octets)


def _flags(flags: Sequence[str]) -> bytes:
    for flag in flags:
        if flag in ("\\*", "\\Recent"):
            raise LocalProtocolError(f"not a flag that a client can set: {flag}")
    return b"(" + b" ".join(map(check_flag, flags)) + b")"


def _uid(uid: bool) -> bytes:
    return b"UID " if uid else b""


# ---------------------------------------------------------------------------- session


def _id(command: Id) -> Sequence[Part]:
    if not command.parameters:
        return [b"ID NIL"]
    parts: _Parts = [b"ID ("]
    for name, text in command.parameters:
        if len(parts) > 1:
            parts.append(b" ")
        parts += (_string(name), b" ", b"NIL" if text is None else _string(text))
    parts.append(b")")
    return parts


def _authenticate(command: Authenticate) -> Sequence[Part]:
    name = b"AUTHENTICATE " + check_atom(command.mechanism)
    if command.initial_response is None:
        return [name]
    return [name, b" ", encode_initial_response(command.initial_response)]


def _login(command: Login) -> Sequence[Part]:
    if command.password.count(0):
        raise LocalProtocolError("a password cannot hold NUL")
    return [b"LOGIN ", _astring(command.user), b" ", _astring(command.password)]


def _enable(command: Enable) -> Sequence[Part]:
    if not command.capabilities:
        raise LocalProtocolError("ENABLE needs a capability")
    return [b"ENABLE ", b" ".join(map(check_atom, command.capabilities))]


# ----------------------------------------------------------------------------- mailboxes


def _one_mailbox(
    name: bytes,
) -> Callable[[Select | Examine | Create | Delete | Subscribe | Unsubscribe], Sequence[Part]]:
    def write(
        command: Select | Examine | Create | Delete | Subscribe | Unsubscribe,
    ) -> Sequence[Part]:
        return [name, _astring(command.mailbox.octets)]

    return write


def _rename(command: Rename) -> Sequence[Part]:
    old, new = command.mailbox.octets, command.new_name.octets
    return [b"RENAME ", _astring(old), b" ", _astring(new)]


def _list(command: List) -> Sequence[Part]:
    return [b"LIST ", _astring(command.reference.octets), b" ", _pattern(command.pattern)]


def _lsub(command: Lsub) -> Sequence[Part]:
    return [b"LSUB ", _astring(command.reference.octets), b" ", _pattern(command.pattern)]


def _status(command: Status) -> Sequence[Part]:
    if not command.items:
        raise LocalProtocolError("STATUS needs a data item")
    items = " ".join([item.value for item in command.items])
    return [b"STATUS ", _astring(command.mailbox.octets), f" ({items})".encode("ascii")]


def _append(command: Append) -> Sequence[Part]:
    parts: _Parts = [b"APPEND ", _astring(command.mailbox.octets), b" "]
    if command.flags:
        parts.append(_flags(command.flags) + b" ")
    if command.internal_date is not None:
        parts.append(date_time_text(command.internal_date) + b" ")
    message = command.message
    if isinstance(message, Streamed):
        check_number(message.size, NUMBER_64)
    else:
        check_literal(message)
    parts.append(LiteralArgument(message))
    return parts


# ------------------------------------------------------------------------------ messages


def _expunge(command: Expunge) -> Sequence[Part]:
    if command.uids is None:
        return [b"EXPUNGE"]
    return [b"UID EXPUNGE ", sequence_set_text(command.uids)]


def _fetch(command: Fetch) -> Sequence[Part]:
    head = b"%bFETCH %b " % (_uid(command.uid), sequence_set_text(command.sequence_set))
    items = command.items
    if isinstance(items, FetchMacro):
        return [head, items.value.encode("ascii")]
    if not items:
        raise LocalProtocolError("FETCH needs a data item")
    if len(items) == 1:
        return [head, *_fetch_item(items[0])]
    parts: _Parts = [head + b"("]
    for item in items:
        if len(parts) > 1:
            parts.append(b" ")
        parts += _fetch_item(item)
    parts.append(b")")
    return parts


def _fetch_item(item: FetchItem) -> Sequence[Part]:
    if not isinstance(item, BodySection):
        return [item.value.encode("ascii")]
    parts: _Parts = [b"BODY.PEEK[" if item.peek else b"BODY[", *_section(item.section), b"]"]
    if item.partial is not None:
        first, count = item.partial
        begin = check_number(first, NUMBER_64)
        parts.append(b"<%b.%b>" % (begin, check_number(count, NUMBER_64, minimum=1)))
    return parts


def _section(section: Section) -> Sequence[Part]:
    with_fields = section.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
    if with_fields != bool(section.fields) or (
        section.text is SectionText.MIME and not section.part
    ):
        raise LocalProtocolError(f"not a section: {section!r}")
    parts: _Parts = [b".".join([check_number(number, minimum=1) for number in section.part])]
    if section.text is not None:
        parts.append(b"." * bool(section.part) + section.text.value.encode("ascii"))
    for number, name in enumerate(section.fields):
        parts += (b" " if number else b" (", _astring(name))
    if section.fields:
        parts.append(b")")
    return parts


def _store(command: Store) -> Sequence[Part]:
    return [
        _uid(command.uid),
        b"STORE ",
        sequence_set_text(command.sequence_set),
        b" ",
        command.action.value.encode("ascii"),
        b".SILENT " if command.silent else b" ",
        _flags(command.flags),
    ]


def _copy(command: Copy | Move) -> Sequence[Part]:
    return [
        _uid(command.uid),
        b"COPY " if isinstance(command, Copy) else b"MOVE ",
        sequence_set_text(command.sequence_set),
        b" ",
        _astring(command.mailbox.octets),
    ]


def _search(command: Search) -> Sequence[Part]:
    if not command.keys:
        raise LocalProtocolError("SEARCH needs a key")
    parts: _Parts = [_uid(command.uid), b"SEARCH "]
    if command.return_options is not None:
        options = " ".join([option.value for option in command.return_options])
        parts.append(f"RETURN ({options}) ".encode("ascii"))
    if command.charset is not None:
        try:
            charset = command.charset.encode()
        except UnicodeEncodeError:
            raise LocalProtocolError(f"surrogates in {command.charset!r}") from None
        parts += (b"CHARSET ", _astring(charset), b" ")
    # What is still to be written, the next at the end: keys nest as deep as the caller likes.
    rest: list[SearchKey | bytes] = _between(command.keys)
    while rest:
        key = rest.pop()
        if isinstance(key, bytes):
            parts.append(key)
        elif isinstance(key, And):
            if not key.keys:
                raise LocalProtocolError("a parenthesized search needs a key")
            rest += (b")", *_between(key.keys), b"(")
        elif isinstance(key, Or):
            rest += (key.right, b" ", key.left, b"OR ")
        elif isinstance(key, Not):
            rest += (key.key, b"NOT ")
        else:
            parts += _search_key(key, ascii_only=command.charset is None)
    return parts


def _between(keys: Sequence[SearchKey]) -> list[SearchKey | bytes]:
    """Keys in reverse, with spaces between them."""
    rest: list[SearchKey | bytes] = []
    for key in reversed(keys):
        rest += (key, b" ")
    rest.pop()
    return rest


def _search_key(key: SearchKey, *, ascii_only: bool) -> Sequence[Part]:
    """A key without keys in it."""
    match key:
        case SearchFlag():
            return [key.value.encode("ascii")]
        case SearchText(name, text):
            return [f"{name.value} ".encode("ascii"), _search_string(text, ascii_only)]
        case SearchHeader(field, text):
            return [b"HEADER ", _astring(field), b" ", _search_string(text, ascii_only)]
        case SearchDate(name, date):
            return [f"{name.value} ".encode("ascii"), date_text(date)]
        case SearchSize(name, size):
            return [f"{name.value} ".encode("ascii"), check_number(size, NUMBER_32)]
        case SearchKeyword(flag, present):
            return [b"KEYWORD " if present else b"UNKEYWORD ", check_atom(flag)]
        case SearchSet(sequence_set):
            return [sequence_set_text(sequence_set)]
        case SearchUid(uids):
            return [b"UID ", sequence_set_text(uids)]
        case _:
            raise LocalProtocolError(f"not a search key: {key!r}")


def _search_string(text: bytes, ascii_only: bool) -> Part:
    if ascii_only and not text.isascii():
        raise LocalProtocolError(f"a search for {text[:64]!r} needs a charset")
    return _astring(text)


# A writer is only ever called with its own class.
_WRITERS: Final[dict[type[Command], Callable[[Any], Sequence[Part]]]] = {
    Append: _append,
    Authenticate: _authenticate,
    Copy: _copy,
    Create: _one_mailbox(b"CREATE "),
    Delete: _one_mailbox(b"DELETE "),
    Enable: _enable,
    Examine: _one_mailbox(b"EXAMINE "),
    Expunge: _expunge,
    Fetch: _fetch,
    Id: _id,
    List: _list,
    Login: _login,
    Lsub: _lsub,
    Move: _copy,
    Rename: _rename,
    Search: _search,
    Select: _one_mailbox(b"SELECT "),
    Status: _status,
    Store: _store,
    Subscribe: _one_mailbox(b"SUBSCRIBE "),
    Unsubscribe: _one_mailbox(b"UNSUBSCRIBE "),
}
