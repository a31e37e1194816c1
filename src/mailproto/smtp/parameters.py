"""The parameters that extensions add to MAIL and RCPT: a class for each, with keyword and value.

A value is checked in one place only, by ``parse``: what is sent is read back before it goes out.
"""

from __future__ import annotations

import datetime
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypeAlias, cast

from attrs import field

from mailproto._core import strict
from mailproto._core.frozen import frozen

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

# xtext (RFC 3461 section 4)
_XTEXT: Final = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_TO_XTEXT: Final = re.compile(rb"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")
_HEXCHAR: Final = re.compile(rb"\+([0-9A-F]{2})")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")

# by-value (RFC 2852 section 4)
_BY: Final = re.compile(r"(-?)([0-9]{1,9});([NRnr])([Tt]?)")
# future-release-integer (RFC 4865 section 5)
_HOLD_FOR: Final = re.compile(r"[1-9][0-9]{0,8}")
# priority-value (RFC 6710 section 8)
_PRIORITY: Final = re.compile(r"-?[1-9]|0")
# date-time (RFC 3339 section 5.6)
_DATE_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
# Solicitation-keywords (RFC 3865 section 2.2)
_SOLICIT: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9:._-]*(?:,[A-Za-z][A-Za-z0-9:._-]*)*",
)
# mtrk-parameter (RFC 3885 section 3.1)
_MTRK: Final = re.compile(r"([A-Za-z0-9+/]+={0,2})(?::([0-9]{1,9}))?")
# original-recipient-address (RFC 3461 section 4.2)
_ORCPT: Final = re.compile(r"([A-Za-z0-9-]+);(.+)", re.DOTALL)
_TRANS_ID: Final = re.compile(r"<([\x21-\x3b\x3f-\x7e]+)>")

ENVELOPE_ID_LIMIT: Final = 100
"""Characters of ENVID before they are encoded (RFC 3461 section 4.4)."""
SOLICIT_LIMIT: Final = 1000
"""Octets of SOLICIT (RFC 3865 section 2.3)."""
ORCPT_LIMIT: Final = 500
"""Octets of ORCPT (RFC 3461 section 4.2)."""


def to_xtext(text: str) -> str:
    """``text`` in the encoding of RFC 3461 section 4."""
    return _TO_XTEXT.sub(lambda match: b"+%02X" % match[0][0], text.encode()).decode()


def of_xtext(text: str) -> str | None:
    """What xtext stands for, or ``None`` for what is not xtext of UTF-8."""
    if _XTEXT.fullmatch(text) is None:
        return None
    octets = _HEXCHAR.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


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
    """Printable ASCII, decoded."""

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
        return ",".join(name for name in _EVENTS if name in self.events) or "NEVER"


@frozen
class Orcpt(_Known):
    """``ORCPT=rfc822;Bob@example.com``: the recipient first named (RFC 3461 section 4.2)."""

    keyword: ClassVar[str] = "ORCPT"
    address_type: str
    """``rfc822``, ``utf-8``, or another registered name; as spelt."""
    address: str
    """Decoded."""

    @property
    def value(self) -> str:
        """As it goes over the wire: the address is xtext."""
        return f"{self.address_type};{to_xtext(self.address)}"


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
    """``HOLDFOR=3600``: release the message so many seconds later (RFC 4865 section 5)."""

    keyword: ClassVar[str] = "HOLDFOR"
    seconds: int

    @property
    def value(self) -> str:
        """As it goes over the wire."""
        return str(self.seconds)


@frozen
class HoldUntil(_Known):
    """``HOLDUNTIL=2026-12-24T18:00:00Z``: release the message then (RFC 4865 section 5)."""

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
    """``MTRK=cjJhZGE=:86400``: the message may be tracked (RFC 3885 section 3.1)."""

    keyword: ClassVar[str] = "MTRK"
    certifier: bytes = field(repr=False)
    """A digest of the secret that queries will show."""
    timeout: int | None = None
    """Seconds for which tracking is wanted."""

    @property
    def value(self) -> str:
        """As it goes over the wire: base64."""
        timeout = "" if self.timeout is None else f":{self.timeout}"
        return strict.encode_base64(self.certifier).decode() + timeout


@frozen
class TransId(_Known):
    """``TRANSID=<12345@example.com>``: names a transaction to go on with (RFC 1845 section 4)."""

    keyword: ClassVar[str] = "TRANSID"
    text: str
    """Without the angle brackets."""

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
    """``RRVS=2014-04-03T23:01:00Z``: the mailbox had its owner by then (RFC 7293 section 5.1)."""

    keyword: ClassVar[str] = "RRVS"
    since: datetime.datetime
    """Aware of its zone."""
    otherwise: Literal["C", "R"] | None = None
    """Where the next hop has no RRVS: continue, or reject."""

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

_EVENTS: Final = ("SUCCESS", "FAILURE", "DELAY")


def _date_time(time: datetime.datetime) -> str:
    if time.tzinfo is None:
        return time.isoformat()
    try:
        return time.astimezone(datetime.UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        return ""


def _parse_date_time(text: str) -> datetime.datetime | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups("0")
    zone = datetime.timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or int(hours) > 23:
        return None
    try:
        return datetime.datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            int(fraction.ljust(6, "0")),
            tzinfo=datetime.timezone(-zone if sign == "-" else zone),
        ).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


_RETS: Final = {"FULL": Ret("FULL"), "HDRS": Ret("HDRS")}


def _ret(value: str) -> Ret | None:
    return _RETS.get(value.upper())


def _env_id(value: str) -> EnvId | None:
    text = of_xtext(value)
    if not text or len(text) > ENVELOPE_ID_LIMIT or _PRINTABLE.fullmatch(text) is None:
        return None
    return EnvId(text)


def _notify(value: str) -> Notify | None:
    names = value.upper().split(",")
    if names == ["NEVER"]:
        return Notify(frozenset())
    if len(set(names)) != len(names) or not set(names) <= set(_EVENTS):
        return None
    return Notify(frozenset(cast("list[Literal['SUCCESS', 'FAILURE', 'DELAY']]", names)))


def _orcpt(value: str) -> Orcpt | None:
    match = _ORCPT.fullmatch(value)
    if match is None or len(value) > ORCPT_LIMIT:
        return None
    address = of_xtext(match[2])
    return None if not address else Orcpt(match[1], address)


def _deliver_by(value: str) -> DeliverBy | None:
    match = _BY.fullmatch(value)
    if match is None:
        return None
    seconds = -int(match[2]) if match[1] else int(match[2])
    mode = cast("Literal['N', 'R']", match[3].upper())
    if mode == "R" and seconds <= 0:
        return None
    return DeliverBy(seconds, mode, bool(match[4]))


def _hold_for(value: str) -> HoldFor | None:
    return None if _HOLD_FOR.fullmatch(value) is None else HoldFor(int(value))


def _hold_until(value: str) -> HoldUntil | None:
    time = _parse_date_time(value)
    return None if time is None else HoldUntil(time)


def _mt_priority(value: str) -> MtPriority | None:
    return None if _PRIORITY.fullmatch(value) is None else MtPriority(int(value))


def _solicit(value: str) -> Solicit | None:
    if len(value) > SOLICIT_LIMIT or _SOLICIT.fullmatch(value) is None:
        return None
    return Solicit(tuple(value.split(",")))


def _mtrk(value: str) -> Mtrk | None:
    match = _MTRK.fullmatch(value)
    certifier = None if match is None else strict.decode_base64(match[1].encode())
    if match is None or not certifier:
        return None
    return Mtrk(certifier, None if match[2] is None else int(match[2]))


def _trans_id(value: str) -> TransId | None:
    match = _TRANS_ID.fullmatch(value)
    return None if match is None else TransId(match[1])


def _rrvs(value: str) -> Rrvs | None:
    text, separator, action = value.partition(";")
    since = _parse_date_time(text)
    action = action.upper()
    if since is None or (separator and action not in ("C", "R")):
        return None
    return Rrvs(since, cast("Literal['C', 'R']", action) if separator else None)


_MAIL: Final[Mapping[str, Callable[[str], MailParameter | None]]] = MappingProxyType(
    {
        "RET": _ret,
        "ENVID": _env_id,
        "BY": _deliver_by,
        "HOLDFOR": _hold_for,
        "HOLDUNTIL": _hold_until,
        "MT-PRIORITY": _mt_priority,
        "SOLICIT": _solicit,
        "MTRK": _mtrk,
        "TRANSID": _trans_id,
    }
)
_MAIL_FLAGS: Final[Mapping[str, MailParameter]] = MappingProxyType(
    {"REQUIRETLS": RequireTLS(), "CONPERM": Conperm()}
)
_RCPT: Final[Mapping[str, Callable[[str], RcptParameter | None]]] = MappingProxyType(
    {"NOTIFY": _notify, "ORCPT": _orcpt, "RRVS": _rrvs}
)
_RCPT_FLAGS: Final[Mapping[str, RcptParameter]] = MappingProxyType({"CONNEG": Conneg()})


def parse_mail_parameter(keyword: str, value: str | None) -> MailParameter | None:
    """The parameter of MAIL with this keyword in upper case; ``None`` if its value is malformed."""
    if keyword in _MAIL_FLAGS:
        return _MAIL_FLAGS[keyword] if value is None else None
    parser = _MAIL.get(keyword)
    if parser is None:
        return Parameter(keyword, value)
    return None if value is None else parser(value)


def parse_rcpt_parameter(keyword: str, value: str | None) -> RcptParameter | None:
    """The same for RCPT."""
    if keyword in _RCPT_FLAGS:
        return _RCPT_FLAGS[keyword] if value is None else None
    parser = _RCPT.get(keyword)
    if parser is None:
        return Parameter(keyword, value)
    return None if value is None else parser(value)
