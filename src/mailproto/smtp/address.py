"""Mailboxes and paths by the grammar of RFC 5321 section 4.1.2, with the UTF-8 of RFC 6531.

A mailbox is kept by meaning: the local part without its quotes, so that ``"joe"@example.com`` and
``joe@example.com`` are equal; it is written with as little quoting as it needs.
"""

from __future__ import annotations

import enum
import re
from typing import Final, Literal, TypeAlias

from mailproto._core import abnf
from mailproto._core.frozen import frozen
from mailproto.errors import LocalProtocolError

__all__ = [
    "NULL_PATH",
    "POSTMASTER",
    "AddressError",
    "ForwardPath",
    "Mailbox",
    "ReversePath",
    "SpecialPath",
]

LOCAL_PART_LIMIT: Final = 64
DOMAIN_LIMIT: Final = 255
PATH_LIMIT: Final = 256
"""Octets (RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.3); a path counts its angle brackets."""

# A lone surrogate stands for no octets, so that it could never be sent.
_UTF8: Final = "[^\\x00-\\x7f\\ud800-\\udfff]"
_ATEXT: Final = f"(?:{abnf.ATEXT.decode()}|{_UTF8})"
_LET_DIG: Final = f"(?:{abnf.LET_DIG.decode()}|{_UTF8})"
_SUB_DOMAIN: Final = f"{_LET_DIG}+(?:-+{_LET_DIG}+)*"

# Dot-string, Quoted-string, Domain with the additions of RFC 6531 section 3.3
_DOT_STRING: Final = re.compile(f"{_ATEXT}+(?:\\.{_ATEXT}+)*")
_QUOTED_STRING: Final = re.compile(
    f'"((?:[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]|{_UTF8}|\\\\[\\x20-\\x7e])*)"'
)
_DOMAIN: Final = re.compile(f"{_SUB_DOMAIN}(?:\\.{_SUB_DOMAIN})*")

# address-literal (RFC 5321 section 4.1.3); dcontent is %d33-90 / %d94-126
_ADDRESS_LITERAL: Final = re.compile(
    r"\[(?:([0-9]{1,3}(?:\.[0-9]{1,3}){3})|[Ii][Pp][Vv]6:([0-9A-Fa-f:.]{2,45})"
    r"|(?![Ii][Pp][Vv]6:)[A-Za-z0-9-]*[A-Za-z0-9]:[\x21-\x5a\x5e-\x7e]+)\]"
)

# A-d-l ":" (RFC 5321 section 4.1.2): accepted and ignored
_SOURCE_ROUTE: Final = re.compile(f"@{_DOMAIN.pattern}(?:,@{_DOMAIN.pattern})*:")

_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_UNQUOTABLE: Final = re.compile("[\\x00-\\x1f\\x7f\\ud800-\\udfff]")
_TO_QUOTE: Final = re.compile(r'(["\\])')


class AddressError(LocalProtocolError, ValueError):
    """Text that is no address: ``problem`` says what is wrong and ``position`` where."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        super().__init__(f"{problem} at position {position} of {_shown(text)}")
        self.problem = problem
        self.position = position


class SpecialPath(enum.Enum):
    """The two paths that name no mailbox."""

    NULL = ""
    POSTMASTER = "Postmaster"

    def __str__(self) -> str:
        return self.value


NULL_PATH: Final = SpecialPath.NULL
"""``MAIL FROM:<>``, the reverse-path of notifications (RFC 5321 section 4.5.5)."""

POSTMASTER: Final = SpecialPath.POSTMASTER
"""``RCPT TO:<Postmaster>`` without a domain (RFC 5321 section 4.1.1.3)."""


@frozen
class Mailbox:
    """``Local-part "@" ( Domain / address-literal )``; ``str()`` writes it without brackets.

    The constructor checks nothing; a machine checks what it is to send, and ``parse`` what it
    reads. Both name the fault and its place.
    """

    local_part: str
    """As meant, without quotes and backslashes; case is kept."""
    domain: str
    """As spelt; an address literal with its square brackets."""

    @classmethod
    def parse(cls, text: str) -> Mailbox:
        """Read ``"Joe Q."@example.com``; raises AddressError, which is also a ValueError."""
        mailbox, end = scan_mailbox(text, 0)
        if end != len(text):
            raise AddressError(f"unexpected {text[end]!a}", text, end)
        return mailbox

    def __str__(self) -> str:
        local_part = self.local_part
        if _DOT_STRING.fullmatch(local_part) is None:
            escaped = _TO_QUOTE.sub(r"\\\1", local_part)
            local_part = f'"{escaped}"'
        return f"{local_part}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """Whether it can be sent without SMTPUTF8."""
        return self.local_part.isascii() and self.domain.isascii()


ReversePath: TypeAlias = Mailbox | Literal[SpecialPath.NULL]
"""What MAIL carries: where notifications go, or ``NULL_PATH``."""

ForwardPath: TypeAlias = Mailbox | Literal[SpecialPath.POSTMASTER]
"""What RCPT carries: a mailbox, or ``POSTMASTER``."""


def domain_of(path: ForwardPath) -> str:
    """The domain of a recipient in lower case; none for ``POSTMASTER``."""
    return path.domain.lower() if isinstance(path, Mailbox) else ""


def check_path(path: Mailbox | SpecialPath) -> str:
    """The path as it goes between angle brackets; raises AddressError for what cannot go there."""
    text = str(path)
    if isinstance(path, Mailbox):
        unquotable = _UNQUOTABLE.search(path.local_part)
        if unquotable is not None:
            problem = f"{unquotable[0]!a} in the local part"
            raise AddressError(problem, path.local_part, unquotable.start())
        _, end = scan_mailbox(text, 0)
        if end != len(text):
            raise AddressError(f"unexpected {text[end]!a}", text, end)
        if _octets(text) + 2 > PATH_LIMIT:
            raise AddressError(f"path longer than {PATH_LIMIT} octets", text, 0)
    return text


def check_domain(domain: str) -> str:
    """A domain or an address literal for EHLO; raises AddressError for anything else.

    It is ASCII even where SMTPUTF8 is offered (RFC 6531 section 3.7.1).
    """
    if not domain.isascii():
        raise AddressError("a domain of EHLO that is not ASCII", domain, 0)
    end = _scan_domain(domain, 0)
    if end != len(domain):
        raise AddressError(f"unexpected {domain[end]!a}", domain, end)
    return domain


def scan_path(text: str, start: int) -> tuple[Mailbox | SpecialPath, int]:
    """The path whose ``<`` is at ``start``, and the position behind its ``>``.

    A source route is accepted and dropped. Raises AddressError.
    """
    if text[start : start + 1] != "<":
        raise AddressError('expected "<"', text, start)
    position = start + 1
    if text.startswith(">", position):
        return NULL_PATH, position + 1
    if text[position : position + 11].lower() == "postmaster>":
        return POSTMASTER, position + 11
    if text.startswith("@", position):
        route = _SOURCE_ROUTE.match(text, position)
        if route is None:
            raise AddressError("malformed source route", text, position)
        position = route.end()
    mailbox, end = scan_mailbox(text, position)
    if not text.startswith(">", end):
        raise AddressError('expected ">"', text, end)
    if _octets(text[start : end + 1]) > PATH_LIMIT:
        raise AddressError(f"path longer than {PATH_LIMIT} octets", text, start)
    return mailbox, end + 1


def scan_mailbox(text: str, start: int) -> tuple[Mailbox, int]:
    """The mailbox that begins at ``start``, and the position behind it; raises AddressError."""
    if text.startswith('"', start):
        match = _QUOTED_STRING.match(text, start)
        if match is None:
            raise AddressError("malformed quoted local part", text, start)
        local_part = _QUOTED_PAIR.sub(r"\1", match[1])
    else:
        match = _DOT_STRING.match(text, start)
        if match is None:
            raise AddressError("no local part", text, start)
        local_part = match[0]
    if _octets(local_part) > LOCAL_PART_LIMIT:
        raise AddressError(f"local part longer than {LOCAL_PART_LIMIT} octets", text, start)
    at = match.end()
    if not text.startswith("@", at):
        raise AddressError('expected "@" and a domain', text, at)
    end = _scan_domain(text, at + 1)
    return Mailbox(local_part, text[at + 1 : end]), end


def _scan_domain(text: str, start: int) -> int:
    if text.startswith("[", start):
        match = _ADDRESS_LITERAL.match(text, start)
        if match is None or not _is_address(match):
            raise AddressError("malformed address literal", text, start)
    else:
        match = _DOMAIN.match(text, start)
        if match is None:
            raise AddressError("no domain", text, start)
    if _octets(match[0]) > DOMAIN_LIMIT:
        raise AddressError(f"domain longer than {DOMAIN_LIMIT} octets", text, start)
    return match.end()


def _is_address(literal: re.Match[str]) -> bool:
    if literal[1]:
        return all(int(snum) <= 255 for snum in literal[1].split("."))
    if literal[2]:
        from ipaddress import AddressValueError, IPv6Address

        try:
            IPv6Address(literal[2])
        except AddressValueError:
            return False
    return True


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
