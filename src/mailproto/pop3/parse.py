"""From octets to values: commands on the server's side, responses on the client's.

Nothing here raises for what a peer sent: a function returns the value, or what is wrong with it.
Listings are parsed many lines at a time, by a pattern for the strict form, and line by line only
where that does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mailproto._core.strict import NUMBER_32, NUMBER_64, decode_base64, number
from mailproto.pop3.capabilities import Capabilities, Expire, LoginDelay
from mailproto.pop3.commands import (
    Apop,
    Auth,
    AuthCancel,
    AuthResponse,
    Capa,
    Command,
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
from mailproto.pop3.quirks import Quirk
from mailproto.pop3.responses import Greeting, Language, ResponseCode

__all__ = [
    "BY_MESSAGE",
    "LANGUAGE_TAG",
    "MECHANISM",
    "MSG_ID",
    "RESP_CODE",
    "SCAN_LISTINGS",
    "UNIQUE_ID_LISTINGS",
    "USUAL",
    "parse_auth_line",
    "parse_capabilities",
    "parse_command",
    "parse_greeting",
    "parse_language",
    "parse_scan_listing",
    "parse_scan_listings",
    "parse_text",
    "parse_unique_id_listing",
    "parse_unique_id_listings",
    "text_of",
]

# sasl-mech (RFC 4422 section 3.1); lower case is put into upper case
MECHANISM: Final = re.compile(rb"[A-Za-z0-9_-]{1,20}")

# A basic language range or a language tag (RFC 4647 section 2.1), or "*"
LANGUAGE_TAG: Final = re.compile(rb"[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8}){0,20}")

# digest: MD5 in lower case hexadecimal (RFC 1939 section 7)
DIGEST: Final = re.compile(rb"[0-9a-f]{32}")

_ATOM: Final = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\".\[\]]+"
_WORDS: Final = _ATOM + rb"(?:\." + _ATOM + rb")*"

# msg-id = "<" addr-spec ">" (RFC 822 section 4.6.1), without quoted strings
MSG_ID: Final = re.compile(rb"<" + _WORDS + rb"@(?:" + _WORDS + rb"|\[[!-Z^-~]*\])>")

# resp-code = "[" resp-level *("/" resp-level) "]" (RFC 2449 section 3)
RESP_CODE: Final = re.compile(rb"\[([!-.0-\\^-~]+(?:/[!-.0-\\^-~]+)*)\] ?")

# Many scan listings or unique-id listings in the strict form (RFC 1939 section 5 and 7), with
# numbers that json.loads and int take as they are
SCAN_LISTINGS: Final = re.compile(rb"(?:[1-9][0-9]{0,8}+ [0-9]{1,18}+\r\n)*+")
UNIQUE_ID_LISTINGS: Final = re.compile(rb"(?:[1-9][0-9]{0,8}+ [!-~]{1,70}+\r\n)*+")

# What no argument holds (RFC 1939 section 3; RFC 6856 section 2.2 by way of SASLprep)
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

# A whole line of a command about one message, as clients write it
USUAL: Final = re.compile(rb"(RETR|DELE|LIST|UIDL) ([1-9][0-9]{0,8})\r\n")
BY_MESSAGE: Final[Mapping[bytes, Callable[[int], Command]]] = {
    b"RETR": Retr,
    b"DELE": Dele,
    b"LIST": List,
    b"UIDL": Uidl,
}

# The second field may be missing
_TWO_FIELDS: Final = re.compile(rb"([ \t]*)([^ \t]+)([ \t]*)(.*)", re.DOTALL)


# ---------------------------------------------------------------------------------- commands


def parse_command(line: bytes) -> Command | str:
    """A command line without its CRLF; a text for the ``-ERR`` if it is none.

    The keyword may be in any case; numbers may be followed by spaces. User names and passwords
    are everything behind the first space (RFC 1939 section 7).
    """
    keyword, space, argument = line.partition(b" ")
    parser = _COMMANDS.get(keyword) or _COMMANDS.get(keyword.upper())
    if parser is None:
        return "unknown command"
    return parser(argument if space else None)


def _plain(command: Command) -> Callable[[bytes | None], Command | str]:
    def parse(argument: bytes | None) -> Command | str:
        if argument and argument.strip(b" "):
            return "this command has no argument"
        return command

    return parse


def _message(
    make: Callable[[int], Command], alone: Command | None = None
) -> Callable[[bytes | None], Command | str]:
    def parse(argument: bytes | None) -> Command | str:
        digits = (argument or b"").rstrip(b" ")
        if not digits:
            return "a message number is missing" if alone is None else alone
        message = number(digits, minimum=1)
        return "not a message number" if message is None else make(message)

    return parse


def _top(argument: bytes | None) -> Command | str:
    fields = (argument or b"").split(b" ")
    if len(fields) < 2:
        return "TOP needs a message number and a number of lines"
    message, lines = number(fields[0], minimum=1), number(b"".join(fields[1:]))
    if message is None or lines is None or any(fields[2:]):
        return "not a message number and a number of lines"
    return Top(message, lines)


def _string(make: Callable[[str], Command], what: str) -> Callable[[bytes | None], Command | str]:
    def parse(argument: bytes | None) -> Command | str:
        if not argument:
            return f"a {what} is missing"
        try:
            text = argument.decode()
        except UnicodeDecodeError:
            return f"the {what} is not UTF-8"
        return f"the {what} has a control character" if CONTROL.search(text) else make(text)

    return parse


def _apop(argument: bytes | None) -> Command | str:
    name, _, digest = (argument or b"").rpartition(b" ")
    if not name or DIGEST.fullmatch(digest) is None:
        return "APOP needs a name and a digest"
    return _string(lambda text: Apop(text, digest.decode()), "name")(name)


def _auth(argument: bytes | None) -> Command | str:
    mechanism, space, initial = (argument or b"").rstrip(b" ").partition(b" ")
    if MECHANISM.fullmatch(mechanism) is None:
        return "AUTH needs the name of a mechanism"
    if not space:
        return Auth(mechanism.decode().upper())
    response = b"" if initial == b"=" else decode_base64(initial)
    if response is None or not initial:
        return "the initial response is not base64"
    return Auth(mechanism.decode().upper(), response)


def _lang(argument: bytes | None) -> Command | str:
    language_range = (argument or b"").rstrip(b" ")
    if not language_range:
        return Lang()
    if language_range != b"*" and LANGUAGE_TAG.fullmatch(language_range) is None:
        return "not a language range"
    return Lang(language_range.decode())


_COMMANDS: Final[Mapping[bytes, Callable[[bytes | None], Command | str]]] = {
    b"USER": _string(User, "name"),
    b"PASS": _string(Pass, "password"),
    b"RPOP": _string(Rpop, "name"),
    b"APOP": _apop,
    b"AUTH": _auth,
    b"STLS": _plain(Stls()),
    b"CAPA": _plain(Capa()),
    b"UTF8": _plain(Utf8()),
    b"LANG": _lang,
    b"STAT": _plain(Stat()),
    b"LIST": _message(List, List()),
    b"UIDL": _message(Uidl, Uidl()),
    b"RETR": _message(Retr),
    b"DELE": _message(Dele),
    b"TOP": _top,
    b"NOOP": _plain(Noop()),
    b"RSET": _plain(Rset()),
    b"LAST": _plain(Last()),
    b"QUIT": _plain(Quit()),
}


def parse_auth_line(line: bytes) -> AuthResponse | AuthCancel | str:
    """A line of the client inside a SASL exchange (RFC 5034 section 4)."""
    if line == b"*":
        return AuthCancel()
    data = decode_base64(line)
    return "the response is not base64" if data is None else AuthResponse(data)


# --------------------------------------------------------------------------------- responses


def text_of(octets: bytes) -> str:
    """Human-readable text: UTF-8 (RFC 6856 section 3.2), other octets escaped in hexadecimal."""
    return octets.decode("utf-8", "backslashreplace")


def parse_text(octets: bytes) -> tuple[str, ResponseCode | None]:
    """What follows the status indicator and its space: text and response code."""
    if octets[:1] == b"[" and (found := RESP_CODE.match(octets)) is not None:
        code = ResponseCode(found[1].decode("ascii").upper())
        return text_of(octets[found.end() :]), code
    return text_of(octets), None


def parse_greeting(octets: bytes) -> Greeting:
    """The text of a positive greeting; its timestamp only if it is an RFC 822 msg-id.

    A timestamp of any other octets is how an APOP digest is made to betray the password
    (RFC 1939's "MUST conform to msg-id" is the defence).
    """
    found = MSG_ID.search(octets)
    if found is None:
        return Greeting(text_of(octets))
    rest = octets[: found.start()].rstrip(b" ") + octets[found.end() :]
    return Greeting(text_of(rest), found[0].decode("ascii"))


def parse_scan_listing(line: bytes) -> tuple[tuple[int, int], Quirk | None] | str:
    """``1 120``, maybe with more behind it, which RFC 1939 leaves open."""
    found = _TWO_FIELDS.fullmatch(line)
    if found is None:
        return "not two numbers"
    message = number(found[2], NUMBER_32, minimum=1)
    octets = number(re.split(rb"[ \t]", found[4], maxsplit=1)[0], NUMBER_64)
    if message is None or octets is None:
        return "not two numbers"
    return (message, octets), _spacing(found)


def parse_unique_id_listing(line: bytes) -> tuple[tuple[int, str], Quirk | None] | str:
    """``1 whqtswO00WBw418f9t5JxYwZ``; without a unique-id it is empty."""
    found = _TWO_FIELDS.fullmatch(line)
    message = None if found is None else number(found[2], NUMBER_32, minimum=1)
    if found is None or message is None:
        return "not a message number and a unique-id"
    unique_id = found[4].rstrip(b" ")
    proper = UNIQUE_ID_LISTINGS.fullmatch(b"1 " + unique_id + b"\r\n") is not None
    return (message, unique_id.decode("latin-1")), _spacing(found) if proper else Quirk.UNIQUE_ID


def _spacing(found: re.Match[bytes]) -> Quirk | None:
    return None if found[1] == b"" and found[3] == b" " else Quirk.SPACING


def parse_scan_listings(lines: bytes) -> dict[int, int] | None:
    """Whole lines with their CRLFs; ``None`` unless all are in the strict form.

    And unless each is about another message, for one of two would be lost.
    """
    if SCAN_LISTINGS.fullmatch(lines) is None:
        return None
    # Every blank and CR becomes a comma, and LF is white space in JSON.
    try:
        numbers = _numbers(lines.translate(_COMMAS)[:-2].decode("ascii"))
    except ValueError:
        # A size that begins with a needless zero.
        return None
    found = dict(zip(numbers[::2], numbers[1::2], strict=True))
    return found if len(found) * 2 == len(numbers) else None


def parse_unique_id_listings(lines: bytes) -> dict[int, str] | None:
    """What ``parse_scan_listings`` does, for the lines of UIDL."""
    if UNIQUE_ID_LISTINGS.fullmatch(lines) is None:
        return None
    fields = lines.decode("ascii").split()
    messages, unique_ids = fields[::2], fields[1::2]
    found = dict(zip(_message_numbers(messages), unique_ids, strict=True))
    return found if len(found) == len(messages) else None


def _message_numbers(messages: list[str]) -> Iterable[int]:
    """Message numbers that a pattern has checked.

    Most often each follows the one before. Then their text is compared with what is due, thousand
    by thousand, in a third of the time that it takes to read them.
    """
    text = ",".join(messages)
    due = range(int(messages[0]), int(messages[-1]) + 1) if messages else range(0)
    if len(due) == len(messages):
        numerals = [
            f"{k}" + f",{k}".join(_LAST_DIGITS[max(due.start - 1000 * k, 0) : due.stop - 1000 * k])
            for k in range(due.start // 1000, (due.stop - 1) // 1000 + 1)
        ]
        if ",".join(numerals) == text:
            return due
    return _numbers(text)


_LAST_DIGITS: Final = tuple([f"{number:03}" for number in range(1000)])
_COMMAS: Final = bytes.maketrans(b"\r ", b",,")


def _numbers(separated: str) -> list[int]:
    """Decimal numbers between commas, which a pattern has checked."""
    # Loaded when first needed, because servers do not. It reads numbers in half the time of
    # map(int, ...).
    import json

    numbers: list[int] = json.loads(f"[{separated}]")
    return numbers


def parse_language(line: bytes) -> Language | None:
    """``es Espanol`` (RFC 6856 section 3.2); also the text behind ``+OK`` of LANG."""
    tag, _, description = line.partition(b" ")
    if LANGUAGE_TAG.fullmatch(tag) is None:
        return None
    return Language(tag.decode("ascii"), text_of(description))


def parse_capabilities(lines: list[bytes]) -> tuple[Capabilities, bool]:
    """The lines of a CAPA answer, and whether one that is known was malformed."""
    known: dict[str, list[str]] = {}
    other: list[str] = []
    login_delay: LoginDelay | None = None
    expire: Expire | None = None
    implementation: str | None = None
    malformed = False
    for line in lines:
        text = text_of(line)
        tag, *parameters = text.split(" ")
        tag = tag.upper()
        if tag in _FLAGS:
            known[tag] = parameters
        elif tag == "LOGIN-DELAY" and (seconds := _period(parameters)) is not None:
            login_delay = LoginDelay(*seconds)
        elif tag == "EXPIRE" and parameters and parameters[0].upper() == "NEVER":
            expire = Expire(None, _per_user(parameters))
        elif tag == "EXPIRE" and (days := _period(parameters)) is not None:
            expire = Expire(*days)
        elif tag == "IMPLEMENTATION" and (rest := text[15:].strip(" ")):
            implementation = rest
        else:
            other.append(text)
            malformed |= tag in {"LOGIN-DELAY", "EXPIRE", "IMPLEMENTATION"}
    mechanisms = known.get("SASL")
    return Capabilities(
        top="TOP" in known,
        uidl="UIDL" in known,
        user="USER" in known,
        sasl=None if mechanisms is None else tuple(name.upper() for name in mechanisms if name),
        stls="STLS" in known,
        pipelining="PIPELINING" in known,
        resp_codes="RESP-CODES" in known,
        auth_resp_code="AUTH-RESP-CODE" in known,
        login_delay=login_delay,
        expire=expire,
        utf8="UTF8" in known,
        utf8_user=_per_user(["", *known.get("UTF8", [])]),
        lang="LANG" in known,
        implementation=implementation,
        other=tuple(other),
    ), malformed


_FLAGS: Final = frozenset(
    {
        "TOP",
        "UIDL",
        "USER",
        "SASL",
        "STLS",
        "PIPELINING",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "UTF8",
        "LANG",
    }
)


def _period(parameters: list[str]) -> tuple[int, bool] | None:
    """A number, and whether ``USER`` follows it."""
    value = number(parameters[0].encode()) if parameters else None
    return None if value is None else (value, _per_user(parameters))


def _per_user(parameters: list[str]) -> bool:
    return len(parameters) > 1 and parameters[1].upper() == "USER"
