"""The grammar of each parameter's value: from the text behind the ``=`` to the parameter.

Whatever the grammar of the RFC does not allow gives ``None``.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, cast

from mailproto._core import strict
from mailproto.smtp.parameters import (
    EVENTS,
    Conneg,
    Conperm,
    DeliverBy,
    EnvId,
    HoldFor,
    HoldUntil,
    MailParameter,
    MtPriority,
    Mtrk,
    Notify,
    Orcpt,
    Parameter,
    RcptParameter,
    RequireTLS,
    Ret,
    Rrvs,
    Solicit,
    TransId,
)
from mailproto.smtp.xtext import of_unitext, of_xtext

__all__ = [
    "HOLD_FOR",
    "SOLICITATION_KEYWORDS",
    "parse_date_time",
    "parse_mail_parameter",
    "parse_rcpt_parameter",
]

ENVELOPE_ID_LIMIT: Final = 100
"""Characters of ENVID (RFC 3461 section 4.4; RFC 3885 section 2 counts them as encoded)."""
SOLICIT_LIMIT: Final = 1000
"""Characters of SOLICIT (RFC 3865 section 2.2)."""
ORCPT_LIMIT: Final = 500
"""Characters of ORCPT (RFC 3461 section 4.2)."""
TRANS_ID_LIMIT: Final = 80
"""Characters of TRANSID with its angle brackets (RFC 1845 section 2)."""

_NOT_PRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

# by-value (RFC 2852 section 4)
_BY: Final = re.compile(r"([+-]?[0-9]{1,9});([NRnr])([Tt]?)")
# future-release-integer (RFC 4865 section 3)
HOLD_FOR: Final = re.compile(r"[1-9][0-9]{0,8}")
# priority-value (RFC 6710 section 7)
_PRIORITY: Final = re.compile(r"-?[1-9]|0")
# date-time (RFC 3339 section 5.6)
_DATE_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
# Solicitation-keywords (RFC 3865 section 2.2)
SOLICITATION_KEYWORDS: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9:._-]*(?:,[A-Za-z][A-Za-z0-9:._-]*)*",
)
# mtrk-parameter (RFC 3885 section 3.1): there "=" is no part of base64, but some may send it
_MTRK: Final = re.compile(r"([A-Za-z0-9+/]+)={0,2}(?::([0-9]{1,9}))?")
# original-recipient-address (RFC 3461 section 4.2)
_ORCPT: Final = re.compile(r"([A-Za-z0-9!#$%&'*+/?^_`{|}~-]+);(.*)", re.DOTALL)
# transid-value (RFC 1845 section 2), tspecials (RFC 2045 section 5.1)
_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+^_`{|}~-]+)*"
_TRANS_ID: Final = re.compile(f"<({_TOKEN}@{_TOKEN})>")


def parse_date_time(text: str, *, fraction: bool = True) -> datetime.datetime | None:
    """``date-time`` of RFC 3339 section 5.6 in UTC; a leap second is the second after it."""
    match = _DATE_TIME.fullmatch(text)
    if match is None or (match[7] is not None and not fraction):
        return None
    year, month, day, hour, minute, second, digits, sign, hours, minutes = match.groups("0")
    zone = datetime.timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or int(hours) > 23:
        return None
    leap = second == "60"
    try:
        time = datetime.datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            59 if leap else int(second),
            int(digits[:6].ljust(6, "0")),
            tzinfo=datetime.timezone(-zone if sign == "-" else zone),
        ).astimezone(datetime.UTC)
        if leap and (time.hour, time.minute) != (23, 59):
            return None
        return time + datetime.timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


_RETS: Final = {"FULL": Ret("FULL"), "HDRS": Ret("HDRS")}


def _ret(value: str) -> Ret | None:
    return _RETS.get(value.upper())


def _env_id(value: str) -> EnvId | None:
    text = of_xtext(value)
    if not text or len(value) > ENVELOPE_ID_LIMIT or _NOT_PRINTABLE.search(text):
        return None
    return EnvId(text)


def _notify(value: str) -> Notify | None:
    if value.upper() == "NEVER":
        return Notify(frozenset())
    # The lists of RFC 822 section 2.7 may have empty elements.
    names = frozenset(value.upper().split(",")) - {""}
    if not names or not names <= frozenset(EVENTS):
        return None
    return Notify(cast("frozenset[Literal['SUCCESS', 'FAILURE', 'DELAY']]", names))


def _orcpt(value: str) -> Orcpt | None:
    match = _ORCPT.fullmatch(value)
    if match is None or len(value) > ORCPT_LIMIT:
        return None
    kind, encoded = match.groups()
    # RFC 6533 section 3; xtext without a backslash means the same there.
    unitext = kind.lower() == "utf-8" and ("\\" in encoded or "+" not in encoded)
    address = of_unitext(encoded) if unitext else of_xtext(encoded)
    if address is None or (_CONTROL if unitext else _NOT_PRINTABLE).search(address):
        return None
    return Orcpt(kind, address)


def _deliver_by(value: str) -> DeliverBy | None:
    match = _BY.fullmatch(value)
    if match is None:
        return None
    seconds = int(match[1])
    mode = cast("Literal['N', 'R']", match[2].upper())
    if mode == "R" and seconds <= 0:
        return None
    return DeliverBy(seconds, mode, bool(match[3]))


def _hold_for(value: str) -> HoldFor | None:
    return None if HOLD_FOR.fullmatch(value) is None else HoldFor(int(value))


def _hold_until(value: str) -> HoldUntil | None:
    time = parse_date_time(value)
    return None if time is None else HoldUntil(time)


def _mt_priority(value: str) -> MtPriority | None:
    return None if _PRIORITY.fullmatch(value) is None else MtPriority(int(value))


def _solicit(value: str) -> Solicit | None:
    if len(value) > SOLICIT_LIMIT or SOLICITATION_KEYWORDS.fullmatch(value) is None:
        return None
    return Solicit(tuple(value.split(",")))


def _mtrk(value: str) -> Mtrk | None:
    match = _MTRK.fullmatch(value)
    if match is None:
        return None
    padding = "=" * (-len(match[1]) % 4)
    certifier = strict.decode_base64((match[1] + padding).encode())
    if certifier is None:
        return None
    return Mtrk(certifier, None if match[2] is None else int(match[2]))


def _trans_id(value: str) -> TransId | None:
    match = _TRANS_ID.fullmatch(value)
    return None if match is None or len(value) > TRANS_ID_LIMIT else TransId(match[1])


def _rrvs(value: str) -> Rrvs | None:
    text, separator, action = value.partition(";")
    since = parse_date_time(text, fraction=False)
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
