r"""Responses, written for the wire (``response``; RFC 3501 section 9).

Everything is checked before anything is returned: no text of the application, and so no text that
came from a peer, can end its line, its string or its list. What the grammar cannot express is a
LocalProtocolError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from mailproto._core.strict import NUMBER_64, encode_base64
from mailproto.errors import LocalProtocolError
from mailproto.imap.mailbox_name import MailboxName
from mailproto.imap.response_code import (
    NUMBER_CODES,
    AppendUid,
    BadCharset,
    CapabilityCode,
    Code,
    CopyUid,
    NumberCode,
    PermanentFlags,
    ResponseCode,
)
from mailproto.imap.responses import (
    BAD,
    NO,
    OK,
    CapabilityData,
    Challenge,
    Completion,
    Condition,
    Continuation,
    EnabledData,
    ESearchData,
    ExistsData,
    ExpungeData,
    FetchData,
    FlagsData,
    IdData,
    ListData,
    LsubData,
    NamespaceData,
    NamespaceEntry,
    RecentData,
    Response,
    SearchData,
    StatusData,
)
from mailproto.imap.serialize.responses_fetch import fetch_data
from mailproto.imap.serialize.responses_values import nstring, string, value
from mailproto.imap.wire.strings import (
    as_astring,
    check_atom,
    check_literal,
    check_number,
    check_tag,
    flag_list_text,
    sequence_set_text,
)

__all__ = ["serialize"]


def serialize(response: Response) -> list[bytes | int]:
    """``response`` with its CRLF; a number stands for so many octets of a streamed literal.

    Raises LocalProtocolError. A ``LiteralChunk`` is no response of its own.
    """
    if type(response) is FetchData:
        return fetch_data(response)
    writer = _WRITERS.get(type(response))
    if writer is None:
        raise LocalProtocolError(f"not a response: {type(response).__name__}")
    return [writer(response)]


# ------------------------------------------------------------------------------ status responses

_UNSENDABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]|\{[0-9]+\+?\}\Z")
# What a server says is mostly the same; only texts that may be sent as they are get in.
_TEXTS: Final[dict[str, bytes]] = {}
_REMEMBER: Final = 256
_REMEMBERED_OCTETS: Final = 200
_CODE_ARGUMENT: Final = re.compile(rb"[^\x00\r\n\]]+")


def _text(text: str, code: ResponseCode | None) -> bytes:
    """``resp-text``; one that a client would take for a code or a literal is refused."""
    known = _TEXTS.get(text)
    if known is not None and code is None:
        return known
    if not text:
        raise LocalProtocolError("a status response needs a text")
    found = _UNSENDABLE.search(text)
    if found is not None or (code is None and text[0] == "["):
        what = "[" if found is None else found[0]
        raise LocalProtocolError(f"a text cannot hold {what!r} there: {text[:200]!r}")
    octets = text.encode("utf-8", "backslashreplace")
    if code is not None:
        return b"[" + _code(code) + b"] " + octets
    if len(octets) <= _REMEMBERED_OCTETS:
        if len(_TEXTS) >= _REMEMBER:
            _TEXTS.clear()
        _TEXTS[text] = octets
    return octets


def _code(code: ResponseCode) -> bytes:
    match code:
        case Code(name, argument):
            if argument is None:
                return check_atom(name)
            if _CODE_ARGUMENT.fullmatch(argument) is None:
                raise LocalProtocolError(f"not the argument of a code: {argument[:200]!r}")
            return check_atom(name) + b" " + argument
        case NumberCode(name, number):
            if name not in NUMBER_CODES:
                raise LocalProtocolError(f"not a code with a number: {name!r}")
            return check_atom(name) + b" " + check_number(number, NUMBER_64)
        case BadCharset(charsets):
            listed = b" ".join([_astring(charset) for charset in charsets])
            return b"BADCHARSET (" + listed + b")" if charsets else b"BADCHARSET"
        case CapabilityCode(capabilities):
            return b"CAPABILITY " + _atoms(capabilities)
        case PermanentFlags(flags):
            return b"PERMANENTFLAGS " + flag_list_text(flags)
        case AppendUid(uid_validity, uids):
            return b"APPENDUID %b %b" % (check_number(uid_validity), sequence_set_text(uids))
        case CopyUid(uid_validity, source, destination):
            return b"COPYUID %b %b %b" % (
                check_number(uid_validity),
                sequence_set_text(source),
                sequence_set_text(destination),
            )


def _condition(response: Condition) -> bytes:
    return b"* %b %b\r\n" % (
        response.state.value.encode("ascii"),
        _text(response.text, response.code),
    )


_COMPLETED: Final = {OK: b" OK ", NO: b" NO ", BAD: b" BAD "}


def _completion(response: Completion) -> bytes:
    state = _COMPLETED.get(response.state)
    if state is None:
        raise LocalProtocolError(f"a command is completed by OK, NO or BAD, not {response.state}")
    return check_tag(response.tag) + state + _text(response.text, response.code) + b"\r\n"


def _continuation(response: Continuation) -> bytes:
    if not response.text and response.code is None:
        return b"+ \r\n"
    return b"+ " + _text(response.text, response.code) + b"\r\n"


def _challenge(response: Challenge) -> bytes:
    return b"+ " + encode_base64(response.data) + b"\r\n"


# ---------------------------------------------------------------- data about server and mailboxes


# Their case does not matter, but there are clients that look for these spellings.
_SPELT: Final = {"IMAP4REV1": b"IMAP4rev1", "IMAP4REV2": b"IMAP4rev2"}


def _atoms(names: Iterable[str]) -> bytes:
    listed = b" ".join([_SPELT.get(name) or check_atom(name) for name in names])
    if not listed:
        raise LocalProtocolError("a list of capabilities cannot be empty")
    return listed


def _astring(octets: bytes) -> bytes:
    plain = as_astring(octets)
    return b"{%d}\r\n%b" % (len(octets), check_literal(octets)) if plain is None else plain


def _mailbox(name: MailboxName) -> bytes:
    return _astring(name.octets)


def _delimiter(character: str | None) -> bytes:
    if character is None:
        return b"NIL"
    if len(character) != 1 or not character.isascii() or character in "\0\r\n":
        raise LocalProtocolError(f"a hierarchy delimiter is one character: {character!r}")
    return string(character.encode("ascii"))


def _parameters(pairs: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    words: list[bytes] = []
    for name, text in pairs:
        words += (string(name), nstring(text))
    return b"(" + b" ".join(words) + b")" if words else b"NIL"


def _capability(response: CapabilityData) -> bytes:
    return b"* CAPABILITY " + _atoms(response.capabilities) + b"\r\n"


def _enabled(response: EnabledData) -> bytes:
    names = [check_atom(name) for name in response.capabilities]
    return b" ".join([b"* ENABLED", *names]) + b"\r\n"


def _id(response: IdData) -> bytes:
    return b"* ID " + _parameters(response.parameters) + b"\r\n"


def _namespace_entry(entry: NamespaceEntry) -> bytes:
    words = [string(entry.prefix.octets), _delimiter(entry.delimiter)]
    for name, texts in entry.extensions:
        words += (string(name), b"(" + b" ".join([string(text) for text in texts]) + b")")
    return b"(" + b" ".join(words) + b")"


def _namespaces(entries: tuple[NamespaceEntry, ...]) -> bytes:
    return b"(" + b"".join([_namespace_entry(e) for e in entries]) + b")" if entries else b"NIL"


def _namespace(response: NamespaceData) -> bytes:
    return b"* NAMESPACE %b %b %b\r\n" % (
        _namespaces(response.personal),
        _namespaces(response.other_users),
        _namespaces(response.shared),
    )


def _list(response: ListData) -> bytes:
    line = b"* LIST %b %b %b" % (
        flag_list_text(response.attributes),
        _delimiter(response.delimiter),
        _mailbox(response.mailbox),
    )
    if response.extended:
        items = [_astring(name) + b" " + value(item) for name, item in response.extended]
        line += b" (" + b" ".join(items) + b")"
    return line + b"\r\n"


def _lsub(response: LsubData) -> bytes:
    return b"* LSUB %b %b %b\r\n" % (
        flag_list_text(response.attributes),
        _delimiter(response.delimiter),
        _mailbox(response.mailbox),
    )


def _status(response: StatusData) -> bytes:
    words: list[bytes] = []
    for item, number in response.items:
        words.append(item.value.encode("ascii") + b" " + check_number(number, NUMBER_64))
    for name, other in response.others:
        words.append(check_atom(name) + b" " + value(other))
    return b"* STATUS %b (%b)\r\n" % (_mailbox(response.mailbox), b" ".join(words))


def _search(response: SearchData) -> bytes:
    numbers = response.numbers
    line = "* SEARCH"
    if numbers:
        check_number(min(numbers), minimum=1)
        check_number(max(numbers))
        line = f"{line} {' '.join(map(str, numbers))}"
    if response.mod_seq is not None:
        line += f" (MODSEQ {check_number(response.mod_seq, NUMBER_64).decode()})"
    return line.encode("ascii") + b"\r\n"


def _esearch(response: ESearchData) -> bytes:
    words = [b"* ESEARCH"]
    if response.tag is not None:
        words.append(b"(TAG " + string(check_tag(response.tag)) + b")")
    if response.uid:
        words.append(b"UID")
    if response.min is not None:
        words.append(b"MIN " + check_number(response.min, minimum=1))
    if response.max is not None:
        words.append(b"MAX " + check_number(response.max, minimum=1))
    if response.all is not None:
        words.append(b"ALL " + sequence_set_text(response.all))
    if response.count is not None:
        words.append(b"COUNT " + check_number(response.count))
    if response.mod_seq is not None:
        words.append(b"MODSEQ " + check_number(response.mod_seq, NUMBER_64))
    words += [check_atom(name) + b" " + value(item) for name, item in response.others]
    return b" ".join(words) + b"\r\n"


def _flags(response: FlagsData) -> bytes:
    return b"* FLAGS " + flag_list_text(response.flags) + b"\r\n"


def _exists(response: ExistsData) -> bytes:
    return b"* " + check_number(response.number) + b" EXISTS\r\n"


def _recent(response: RecentData) -> bytes:
    return b"* " + check_number(response.number) + b" RECENT\r\n"


def _expunge(response: ExpungeData) -> bytes:
    return b"* " + check_number(response.number, minimum=1) + b" EXPUNGE\r\n"


# The type of a writer's argument is the key it stands under, which no type can say.
_WRITERS: Final[dict[type[object], Callable[[Any], bytes]]] = {
    Condition: _condition,
    Completion: _completion,
    Continuation: _continuation,
    Challenge: _challenge,
    CapabilityData: _capability,
    EnabledData: _enabled,
    IdData: _id,
    NamespaceData: _namespace,
    ListData: _list,
    LsubData: _lsub,
    StatusData: _status,
    SearchData: _search,
    ESearchData: _esearch,
    FlagsData: _flags,
    ExistsData: _exists,
    RecentData: _recent,
    ExpungeData: _expunge,
}
