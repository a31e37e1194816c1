"""What extensions add: EHLO keywords, and the parameters of MAIL and RCPT that each allows.

A server refuses a parameter whose extension it did not offer; a client does not send one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from mailproto._core import strict
from mailproto._core.frozen import frozen
from mailproto.smtp.parameter_values import parse_date_time
from mailproto.smtp.replies import Reply

__all__ = ["Capabilities", "Extension", "FutureRelease"]

MAIL_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SIZE": "SIZE",  # RFC 1870
        "BODY": "8BITMIME",  # RFC 6152, RFC 3030
        "SMTPUTF8": "SMTPUTF8",  # RFC 6531
        "AUTH": "AUTH",  # RFC 4954
        "RET": "DSN",  # RFC 3461
        "ENVID": "DSN",
        "BY": "DELIVERBY",  # RFC 2852
        "HOLDFOR": "FUTURERELEASE",  # RFC 4865
        "HOLDUNTIL": "FUTURERELEASE",
        "MT-PRIORITY": "MT-PRIORITY",  # RFC 6710
        "REQUIRETLS": "REQUIRETLS",  # RFC 8689
        "SOLICIT": "NO-SOLICITING",  # RFC 3865
        "MTRK": "MTRK",  # RFC 3885
        "TRANSID": "CHECKPOINT",  # RFC 1845
        "CONPERM": "CONPERM",  # RFC 4141
    }
)
"""Keyword of each parameter that the RFCs put on MAIL, and the extension that it belongs to."""

RCPT_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NOTIFY": "DSN",  # RFC 3461
        "ORCPT": "DSN",
        "RRVS": "RRVS",  # RFC 7293
        "CONNEG": "CONNEG",  # RFC 4141
    }
)
"""The same for RCPT."""

_ALSO: Final[Mapping[str, str]] = MappingProxyType({"ENVID": "MTRK", "ORCPT": "MTRK"})
"""Parameters of DSN that another extension brings too (RFC 3885 section 2)."""

XCLIENT_ATTRIBUTES: Final = (
    "NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT",
)  # fmt: skip
"""What Postfix's XCLIENT can say."""

XFORWARD_ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
"""What Postfix's XFORWARD can say."""

# ehlo-keyword (RFC 5321 section 4.1.1.1); "AUTH=LOGIN" is an old spelling of "AUTH LOGIN"
_EHLO_LINE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =]+(.*))?")
# limit-name-value (RFC 9422 section 3), and the values of section 4
_LIMIT: Final = re.compile(r"[A-Za-z0-9_-]+(?:=[\x21-\x3a\x3c-\x7e]+)?")
_LIMIT_VALUE: Final = re.compile(r"[1-9][0-9]{0,5}")


@frozen
class Extension:
    """A line of the EHLO reply that a server adds to those of its own: ``250 DSN``.

    The parameters that the RFCs give to the extension are then accepted; those of a private
    extension are named here.
    """

    keyword: str
    values: tuple[str, ...] = ()
    mail_parameters: tuple[str, ...] = ()
    rcpt_parameters: tuple[str, ...] = ()


@frozen
class FutureRelease:
    """``250 FUTURERELEASE 604800 2026-12-31T00:00:00Z``: how long mail is held (RFC 4865)."""

    interval: int
    """The greatest HOLDFOR, in seconds."""
    until: datetime.datetime
    """The latest HOLDUNTIL, aware of its zone."""


@frozen
class Capabilities:
    """What a server offers in its reply to EHLO or LHLO (RFC 5321 section 4.1.1.1)."""

    domain: str
    """How the server names itself."""
    keywords: Mapping[str, tuple[str, ...]]
    """Keyword in upper case, known or not, with what follows it; in the server's order."""

    @classmethod
    def of_reply(cls, reply: Reply) -> Capabilities:
        """Read the lines of a positive reply; a line that is no keyword is left out."""
        keywords: dict[str, list[str]] = {}
        for line in reply.lines[1:]:
            match = _EHLO_LINE.fullmatch(line)
            if match is not None:
                keywords.setdefault(match[1].upper(), []).extend((match[2] or "").split())
        offered = {keyword: tuple(values) for keyword, values in keywords.items()}
        return cls(reply.lines[0].strip(" ").partition(" ")[0], MappingProxyType(offered))

    def to_reply(self) -> Reply:
        """The positive reply to EHLO that says so; ``of_reply`` reads the same out of it."""
        lines = [" ".join((keyword, *values)) for keyword, values in self.keywords.items()]
        return Reply(250, (self.domain, *lines))

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @cached_property
    def size(self) -> int | None:
        """The greatest message in octets, or ``None`` if there is no fixed limit (RFC 1870)."""
        return self._number("SIZE", strict.NUMBER_64) or None

    def limit(self, name: str) -> int | None:
        """The value of MAILMAX, RCPTMAX or RCPTDOMAINMAX of LIMITS (RFC 9422 section 4)."""
        limits = self.keywords.get("LIMITS", ())
        if not all(map(_LIMIT.fullmatch, limits)):
            # Section 3.7: then the value is ignored as a whole.
            return None
        for text in limits:
            found, _, value = text.partition("=")
            if found.upper() == name:
                return int(value) if _LIMIT_VALUE.fullmatch(value) else None
        return None

    @property
    def deliver_by(self) -> int:
        """The least BY of mode R in seconds; 0 where DELIVERBY names none (RFC 2852 section 2)."""
        return self._number("DELIVERBY", 999_999_999) or 0

    @property
    def future_release(self) -> FutureRelease | None:
        """The bounds of FUTURERELEASE; ``None`` where there are none that can be read."""
        interval = self._number("FUTURERELEASE", 999_999_999)
        values = self.keywords.get("FUTURERELEASE", ())
        until = parse_date_time(values[1]) if len(values) > 1 else None
        return None if interval is None or until is None else FutureRelease(interval, until)

    @property
    def priority_policy(self) -> str | None:
        """The name of the policy behind MT-PRIORITY, where it is told (RFC 6710 section 3)."""
        values = self.keywords.get("MT-PRIORITY", ())
        return values[0] if values else None

    @property
    def no_soliciting(self) -> tuple[str, ...]:
        """The classes of solicitation that are not wanted (RFC 3865 section 2.1)."""
        names = ",".join(self.keywords.get("NO-SOLICITING", ())).split(",")
        return tuple([name for name in names if name])

    @property
    def burl(self) -> tuple[str, ...]:
        """Which URLs BURL takes: ``imap``, ``imap://host`` (RFC 4468 section 3.3)."""
        return self.keywords.get("BURL", ())

    def _number(self, keyword: str, most: int) -> int | None:
        values = self.keywords.get(keyword, ())
        return strict.number(values[0].encode(errors="replace"), most) if values else None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms of AUTH, in upper case (RFC 4954 section 3)."""
        return tuple(name.upper() for name in self.keywords.get("AUTH", ()))


def parameters_of(
    keywords: Iterable[str], known: Mapping[str, str], named: Iterable[str] = ()
) -> frozenset[str]:
    """The parameters of ``known`` that these extensions allow, with those that are ``named``."""
    offered = frozenset(keywords)
    return frozenset(
        [name for name in known if not offered.isdisjoint(extensions_of(name, known))]
        + [name.upper() for name in named]
    )


def extensions_of(parameter: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """The extensions each of which brings a parameter of ``known``."""
    also = _ALSO.get(parameter)
    return (known[parameter],) if also is None else (known[parameter], also)
