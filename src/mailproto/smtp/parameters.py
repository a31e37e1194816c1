"""The parameters that extensions add to MAIL and RCPT: a class for each, with keyword and value.

A value is checked in one place only, ``parameter_values``: what is sent is read back before it
goes out.
"""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal, TypeAlias

from attrs import field

from mailproto._core import strict
from mailproto._core.frozen import frozen
from mailproto.smtp.xtext import to_unitext, to_xtext

__all__ = [
    "Conneg",
    "Conperm",
    "DeliverBy",
    "EnvId",
    "HoldFor",
    "HoldUntil",
    "MailParameter",
    "MtPriority",
    "Mtrk",
    "Notify",
    "Orcpt",
    "Parameter",
    "RcptParameter",
    "RequireTLS",
    "Ret",
    "Rrvs",
    "Solicit",
    "TransId",
]

EVENTS: Final = ("SUCCESS", "FAILURE", "DELAY")


@frozen
class Parameter:
    """A parameter of MAIL or RCPT that has no class of its own: ``X-TRACE=7``."""

    keyword: str
    """In upper case."""
    value: str | None = None
    """As spelt, or ``None`` where there is no ``=``."""


class _Known(ABC):
    """A parameter whose meaning an RFC gives; all of them are values."""

    __slots__ = ()

    keyword: ClassVar[str]

    @property
    @abstractmethod
    def value(self) -> str | None:
        """What stands behind the ``=``; ``None`` where there is none."""


@frozen
class Ret(_Known):
    """``RET=HDRS``: how much of the message a failure returns (RFC 3461 section 4.3)."""

    keyword: ClassVar[str] = "RET"
    content: Literal["FULL", "HDRS"]

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return self.content


@frozen
class EnvId(_Known):
    """``ENVID=QQ314159``: what notifications name the message by (RFC 3461 section 4.4)."""

    keyword: ClassVar[str] = "ENVID"
    text: str
    """Printable ASCII, decoded; encoded it has at most 100 characters."""

    @property
    def value(self) -> str:
        """As it goes over the wire: xtext."""
        return to_xtext(self.text)


@frozen
class Notify(_Known):
    """``NOTIFY=SUCCESS,FAILURE``: when to send a notification (RFC 3461 section 4.1)."""

    keyword: ClassVar[str] = "NOTIFY"
    events: frozenset[Literal["SUCCESS", "FAILURE", "DELAY"]]
    """Without any: ``NEVER``."""

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return ",".join(name for name in EVENTS if name in self.events) or "NEVER"


@frozen
class Orcpt(_Known):
    """``ORCPT=rfc822;Bob@example.com``: the recipient first named (RFC 3461 section 4.2)."""

    keyword: ClassVar[str] = "ORCPT"
    address_type: str
    """``rfc822``, ``utf-8`` (RFC 6533 section 3), or another registered name; as spelt."""
    address: str
    """Decoded: printable ASCII, of type ``utf-8`` any characters but controls."""

    @property
    def value(self) -> str:
        """As it goes over the wire: xtext, of type ``utf-8`` the form that needs no SMTPUTF8."""
        encode = to_unitext if self.address_type.lower() == "utf-8" else to_xtext
        return f"{self.address_type};{encode(self.address)}"


@frozen
class DeliverBy(_Known):
    """``BY=120;R``: deliver within that time (RFC 2852 section 4)."""

    keyword: ClassVar[str] = "BY"
    seconds: int
    """Left; negative where the time has passed, which needs mode ``N``."""
    mode: Literal["N", "R"]
    """After that time notify the sender, or return the message."""
    trace: bool = False
    """Notify the sender also when it is relayed to where there is no DELIVERBY."""

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return f"{self.seconds};{self.mode}{'T' if self.trace else ''}"


@frozen
class HoldFor(_Known):
    """``HOLDFOR=3600``: release the message so many seconds later (RFC 4865 section 3)."""

    keyword: ClassVar[str] = "HOLDFOR"
    seconds: int

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return str(self.seconds)


@frozen
class HoldUntil(_Known):
    """``HOLDUNTIL=2026-12-24T18:00:00Z``: release the message then (RFC 4865 section 3)."""

    keyword: ClassVar[str] = "HOLDUNTIL"
    time: datetime.datetime
    """Aware of its zone."""

    @property
    def value(self) -> str:
        """As it goes over the wire: in UTC."""
        return _date_time(self.time)


@frozen
class MtPriority(_Known):
    """``MT-PRIORITY=3``: -9, the lowest, to 9 (RFC 6710 section 4)."""

    keyword: ClassVar[str] = "MT-PRIORITY"
    level: int
    """Whom to believe a level over 0 is the application's to decide (section 4.1)."""

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return str(self.level)


@frozen
class RequireTLS(_Known):
    """``REQUIRETLS``: never transmit the message without TLS (RFC 8689 section 2)."""

    keyword: ClassVar[str] = "REQUIRETLS"

    @property
    def value(self) -> None:
        """None."""
        return


@frozen
class Solicit(_Known):
    """``SOLICIT=net.example:ADV``: what kind of solicitation this is (RFC 3865 section 2.3)."""

    keyword: ClassVar[str] = "SOLICIT"
    keywords: tuple[str, ...]

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return ",".join(self.keywords)


@frozen
class Mtrk(_Known):
    """``MTRK=cjJhZGE:86400``: the message may be tracked (RFC 3885 section 3.1).

    It needs an ``EnvId`` beside it, of the form ``unique@host`` (section 3.2).
    """

    keyword: ClassVar[str] = "MTRK"
    certifier: bytes = field(repr=False)
    """A digest of the secret that queries will show."""
    timeout: int | None = None
    """Seconds for which tracking is wanted."""

    @property
    def value(self) -> str:
        """As it goes over the wire: base64, whose padding no value can hold."""
        timeout = "" if self.timeout is None else f":{self.timeout}"
        return strict.encode_base64(self.certifier).decode().rstrip("=") + timeout


@frozen
class TransId(_Known):
    """``TRANSID=<12345@example.com>``: names a transaction to go on with (RFC 1845 section 3)."""

    keyword: ClassVar[str] = "TRANSID"
    text: str
    """Without the angle brackets; case counts."""

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return f"<{self.text}>"


@frozen
class Conperm(_Known):
    """``CONPERM``: the content may be converted (RFC 4141 section 4)."""

    keyword: ClassVar[str] = "CONPERM"

    @property
    def value(self) -> None:
        """None."""
        return


@frozen
class Conneg(_Known):
    """``CONNEG``: say what the recipient can handle (RFC 4141 section 5)."""

    keyword: ClassVar[str] = "CONNEG"

    @property
    def value(self) -> None:
        """None."""
        return


@frozen
class Rrvs(_Known):
    """``RRVS=2014-04-03T23:01:00Z``: the mailbox had its owner by then (RFC 7293 section 3.1)."""

    keyword: ClassVar[str] = "RRVS"
    since: datetime.datetime
    """Aware of its zone, in whole seconds."""
    otherwise: Literal["C", "R"] | None = None
    """Where the next hop has no RRVS: continue, or reject, which is also what ``None`` means."""

    @property
    def value(self) -> str:
        """As it goes over the wire: in UTC."""
        suffix = "" if self.otherwise is None else f";{self.otherwise}"
        return _date_time(self.since) + suffix


MailParameter: TypeAlias = (
    Parameter
    | Ret
    | EnvId
    | DeliverBy
    | HoldFor
    | HoldUntil
    | MtPriority
    | RequireTLS
    | Solicit
    | Mtrk
    | TransId
    | Conperm
)
"""What ``Mail.parameters`` may hold."""

RcptParameter: TypeAlias = Parameter | Notify | Orcpt | Rrvs | Conneg
"""What ``Rcpt.parameters`` may hold."""


def _date_time(time: datetime.datetime) -> str:
    if time.tzinfo is None:
        return time.isoformat()
    try:
        return time.astimezone(datetime.UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        return ""
