"""What extensions add: EHLO keywords, and the parameters of MAIL and RCPT that each allows.

A server refuses a parameter whose extension it did not offer; a client does not send one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from mailproto._core import strict
from mailproto._core.frozen import frozen
from mailproto.smtp.replies import Reply

__all__ = ["Capabilities", "Extension"]

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

XCLIENT_ATTRIBUTES: Final = (
    "NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT",
)  # fmt: skip
"""What Postfix's XCLIENT can say."""

XFORWARD_ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
"""What Postfix's XFORWARD can say."""

# ehlo-keyword (RFC 5321 section 4.1.1.1); "AUTH=LOGIN" is an old spelling of "AUTH LOGIN"
_EHLO_LINE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =]+(.*))?")


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
class Capabilities:
    """What a server offers in its reply to EHLO or LHLO (RFC 5321 section 4.1.1.1)."""

    domain: str
    """How the server names itself."""
    keywords: Mapping[str, tuple[str, ...]]
    """Keyword in upper case, known or not, with what follows it; in the server's order."""

    @classmethod
    def of_reply(cls, reply: Reply) -> Capabilities:
        """Read the lines of a positive reply; a line that is no keyword is left out."""
        keywords: dict[str, tuple[str, ...]] = {}
        for line in reply.lines[1:]:
            match = _EHLO_LINE.fullmatch(line)
            if match is not None:
                keyword = match[1].upper()
                values = tuple((match[2] or "").split())
                keywords[keyword] = keywords.get(keyword, ()) + values
        return cls(reply.lines[0].partition(" ")[0], MappingProxyType(keywords))

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int | None:
        """The greatest message in octets, or ``None`` if there is no fixed limit (RFC 1870)."""
        values = self.keywords.get("SIZE", ())
        limit = strict.number(values[0].encode(), strict.NUMBER_64) if values else None
        return limit or None

    def limit(self, name: str) -> int | None:
        """The value of MAILMAX, RCPTMAX or RCPTDOMAINMAX of LIMITS (RFC 9422 section 4)."""
        for text in self.keywords.get("LIMITS", ()):
            found, _, value = text.partition("=")
            if found.upper() == name:
                # A limit that cannot be read is none (section 3).
                return strict.number(value.encode(errors="replace"), 999_999, minimum=1)
        return None

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
        [parameter for parameter, extension in known.items() if extension in offered]
        + [name.upper() for name in named]
    )
