"""From values to octets, for both sides; nothing can leave its field.

Every function raises LocalProtocolError for what cannot be written, before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, assert_never

from mailproto._core.strict import NUMBER_32, NUMBER_64, encode_base64
from mailproto.errors import LocalProtocolError
from mailproto.pop3.capabilities import Capabilities
from mailproto.pop3.commands import (
    Apop,
    Auth,
    AuthCancel,
    AuthResponse,
    Capa,
    ClientItem,
    Dele,
    Lang,
    Last,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rpop,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from mailproto.pop3.parse import (
    CONTROL,
    DIGEST,
    LANGUAGE_TAG,
    MECHANISM,
    MSG_ID,
    RESP_CODE,
    UNIQUE_ID_LISTINGS,
)
from mailproto.pop3.responses import (
    Answer,
    Challenge,
    DropListing,
    Err,
    Greeting,
    LanguageChanged,
    Languages,
    LastAccessed,
    Ok,
    ResponseCode,
    ScanListing,
    ScanListings,
    UniqueIdListing,
    UniqueIdListings,
)

__all__ = [
    "COMMAND_LINE",
    "initial_response_room",
    "serialize_answer",
    "serialize_command",
    "serialize_listings",
    "serialize_ok",
]

COMMAND_LINE: Final = 255
"""Octets of the longest command with its CRLF (RFC 2449 section 4)."""

_RESPONSE_LINE: Final = 512
"""Octets of the longest status line with its CRLF (RFC 1939 section 3)."""

_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]*")

_BARE: Final[Mapping[type[ClientItem], bytes]] = {
    Stls: b"STLS\r\n",
    Capa: b"CAPA\r\n",
    Utf8: b"UTF8\r\n",
    Stat: b"STAT\r\n",
    Noop: b"NOOP\r\n",
    Rset: b"RSET\r\n",
    Last: b"LAST\r\n",
    Quit: b"QUIT\r\n",
    AuthCancel: b"*\r\n",
}


# ---------------------------------------------------------------------------------- commands


def serialize_command(item: ClientItem) -> bytes:
    """The line of a command or of a client's answer in a SASL exchange, with its CRLF."""
    # The usual one first, and without the cost of a match statement.
    if isinstance(item, Retr):
        return b"RETR %d\r\n" % _number(item.message, "message number", minimum=1)
    bare = _BARE.get(type(item))
    if bare is not None:
        return bare
    match item:
        case Dele(message):
            return b"DELE %d\r\n" % _number(message, "message number", minimum=1)
        case List(message) | Uidl(message):
            keyword = b"LIST" if isinstance(item, List) else b"UIDL"
            if message is None:
                return keyword + b"\r\n"
            return b"%s %d\r\n" % (keyword, _number(message, "message number", minimum=1))
        case Top(message, lines):
            number = _number(message, "message number", minimum=1)
            return b"TOP %d %d\r\n" % (number, _number(lines, "number of lines"))
        case User(name):
            line = b"USER " + _argument(name, "user name")
        case Pass(password):
            line = b"PASS " + _argument(password, "password", secret=True)
        case Rpop(name):
            line = b"RPOP " + _argument(name, "user name")
        case Apop(name, digest):
            if DIGEST.fullmatch(digest.encode("utf-8", "replace")) is None:
                raise LocalProtocolError("an APOP digest is 32 lower case hexadecimal digits")
            line = b"APOP %s %s" % (_argument(name, "user name"), digest.encode())
        case Auth(mechanism, initial_response):
            line = b"AUTH " + _matching(MECHANISM, mechanism, "SASL mechanism").upper()
            if initial_response is not None:
                line += b" " + (encode_base64(initial_response) or b"=")
        case Lang(language_range):
            line = b"LANG"
            if language_range == "*":
                line += b" *"
            elif language_range is not None:
                line += b" " + _matching(LANGUAGE_TAG, language_range, "language range")
        case AuthResponse(data):
            return encode_base64(data) + b"\r\n"
        case Stls() | Capa() | Utf8() | Stat() | Noop() | Rset() | Last() | Quit() | AuthCancel():
            raise AssertionError("bare commands are in the table")
        case _:
            assert_never(item)
    if len(line) + 2 > COMMAND_LINE:
        raise LocalProtocolError(
            f"{line[:4].decode()} would be a line of {len(line) + 2} octets, over {COMMAND_LINE}"
        )
    return line + b"\r\n"


def initial_response_room(mechanism: str) -> int:
    """How many octets of an initial response fit into AUTH (RFC 5034 section 4)."""
    return max(0, (COMMAND_LINE - len("AUTH  \r\n") - len(mechanism)) // 4 * 3)


# --------------------------------------------------------------------------------- responses


def serialize_answer(item: Answer) -> bytes:
    """A status line, with the lines behind it for ``Capabilities`` and ``Languages``."""
    if isinstance(item, Ok):
        return _status(b"+OK", item.text, item.code)
    match item:
        case Err(text, code):
            return _status(b"-ERR", text, code)
        case DropListing(messages, octets):
            return b"+OK %d %d\r\n" % (
                _number(messages, "number of messages"),
                _number(octets, "size", NUMBER_64),
            )
        case ScanListing(message, octets):
            return b"+OK %d %d\r\n" % (
                _number(message, "message number", minimum=1),
                _number(octets, "size", NUMBER_64),
            )
        case UniqueIdListing(message, unique_id):
            line = serialize_listings(UniqueIdListings({message: unique_id}))
            return b"+OK " + line
        case Greeting(text, timestamp):
            return _greeting(text, timestamp)
        case Challenge(data):
            return b"+ " + encode_base64(data) + b"\r\n"
        case Capabilities():
            return _lines("Capability list follows", _capability_lines(item))
        case Languages(languages):
            return _lines(
                "Language listing follows",
                [_language(entry.tag, entry.description) for entry in languages],
            )
        case LanguageChanged(tag, text):
            return _limited(b"+OK " + _language(tag, text) + b"\r\n")
        case LastAccessed(message):
            return b"+OK %d\r\n" % _number(message, "message number")
        case _:
            assert_never(item)


def serialize_ok(text: str) -> bytes:
    """The status line of ``Ok(text)``."""
    return _status(b"+OK", text, None) if text else b"+OK\r\n"


def serialize_listings(item: ScanListings | UniqueIdListings) -> bytes:
    """The lines of a listing: one template for all of them, and checks of all of them at once."""
    entries = item.entries
    count = len(entries)
    # Twice as quick as to chain the pairs.
    columns: list[object] = [None] * (2 * count)
    columns[::2], columns[1::2] = entries, entries.values()
    fields = tuple(columns)
    if isinstance(item, ScanListings):
        lines = (b"%d %d\r\n" * count) % fields
        if count and (
            b"-" in lines
            or 0 in entries
            or max(entries) > NUMBER_32
            or max(item.entries.values()) > NUMBER_64
        ):
            raise LocalProtocolError("scan listings are message numbers from 1 and sizes from 0")
        return lines
    text = ("%d %s\r\n" * count) % fields
    if (
        not text.isascii()
        or UNIQUE_ID_LISTINGS.fullmatch(lines := text.encode("ascii")) is None
        # A unique-id that holds lines of its own fits the pattern, too.
        or lines.count(b"\n") != count
    ):
        raise LocalProtocolError(
            "unique-id listings are message numbers from 1 and 1 to 70 printable ASCII characters"
        )
    return lines


def _status(status: bytes, text: str, code: ResponseCode | None) -> bytes:
    if code is not None:
        bracketed = f"[{code.text}]".encode("utf-8", "replace")
        if RESP_CODE.fullmatch(bracketed) is None:
            raise LocalProtocolError(f"not a response code: {code.text!r}")
        status += b" " + bracketed
    elif not text:
        return status + b"\r\n"
    elif text[0] == "[":
        raise LocalProtocolError(f"a text that begins like a response code: {text!r}")
    return _limited(b"%s %s\r\n" % (status, _text(text))) if text else status + b"\r\n"


def _greeting(text: str, timestamp: str | None) -> bytes:
    if "<" in text or ">" in text:
        raise LocalProtocolError(f"angle brackets are for the timestamp: {text!r}")
    line = b"+OK " + _text(text) if text else b"+OK"
    if timestamp is not None:
        line += b" " + _matching(MSG_ID, timestamp, "msg-id")
    return _limited(line + b"\r\n")


def _capability_lines(item: Capabilities) -> list[bytes]:
    lines: list[str] = []
    for present, line in (
        (item.top, "TOP"),
        (item.uidl, "UIDL"),
        (item.user, "USER"),
        (item.stls, "STLS"),
        (item.pipelining, "PIPELINING"),
        (item.resp_codes, "RESP-CODES"),
        (item.auth_resp_code, "AUTH-RESP-CODE"),
        (item.utf8, "UTF8 USER" if item.utf8_user else "UTF8"),
        (item.lang, "LANG"),
    ):
        if present:
            lines.append(line)
    if item.sasl is not None:
        for mechanism in item.sasl:
            _matching(MECHANISM, mechanism, "SASL mechanism")
        lines.append(" ".join(("SASL", *item.sasl)))
    if item.login_delay is not None:
        seconds = _number(item.login_delay.seconds, "number of seconds")
        lines.append(f"LOGIN-DELAY {seconds}{' USER' if item.login_delay.per_user else ''}")
    if item.expire is not None:
        days = item.expire.days
        period = "NEVER" if days is None else str(_number(days, "number of days"))
        lines.append(f"EXPIRE {period}{' USER' if item.expire.per_user else ''}")
    if item.implementation is not None:
        lines.append(f"IMPLEMENTATION {item.implementation}")
    for line in item.other:
        if not line.strip(" "):
            raise LocalProtocolError("an empty capability")
    return [_text(line) for line in (*lines, *item.other)]


def _language(tag: str, description: str) -> bytes:
    octets = _matching(LANGUAGE_TAG, tag, "language tag")
    return octets + b" " + _text(description) if description else octets


def _lines(text: str, lines: list[bytes]) -> bytes:
    """A multi-line answer with its first line, dot-stuffed."""
    stuffed = (b"." + line if line[:1] == b"." else line for line in lines)
    return (
        b"+OK %s\r\n" % text.encode() + b"".join(_limited(s + b"\r\n") for s in stuffed) + b".\r\n"
    )


# ------------------------------------------------------------------------------------ fields


def _limited(line: bytes) -> bytes:
    if len(line) > _RESPONSE_LINE:
        raise LocalProtocolError(f"a line of {len(line)} octets, over {_RESPONSE_LINE}")
    return line


def _text(text: str) -> bytes:
    if not text.isprintable() and _TEXT.fullmatch(text) is None:
        raise LocalProtocolError(f"control characters in {text!r}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(f"surrogates in {text!r}") from None


def _argument(text: str, what: str, *, secret: bool = False) -> bytes:
    """A user name or password; a secret is not quoted in the error, nor its cause."""
    if not text:
        raise LocalProtocolError(f"an empty {what}")
    shown = "" if secret else f": {text!r}"
    if CONTROL.search(text) is not None:
        raise LocalProtocolError(f"control characters in the {what}{shown}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass  # It holds the text, and so must not be the cause of what is raised.
    raise LocalProtocolError(f"surrogates in the {what}{shown}")


def _matching(pattern: re.Pattern[bytes], text: str, what: str) -> bytes:
    octets = text.encode("utf-8", "replace")
    if pattern.fullmatch(octets) is None:
        raise LocalProtocolError(f"not a {what}: {text!r}")
    return octets


def _number(value: int, what: str, maximum: int = NUMBER_32, *, minimum: int = 0) -> int:
    if not minimum <= value <= maximum:
        raise LocalProtocolError(f"not a {what}: {value}")
    return value
