"""What ``mailproto serve`` offers and bounds: the values of ``--offer`` and ``--limit``.

Each is read where the option is, so that a wrong one is told before anything is opened.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs
from attrs import evolve

from mailproto._core.limits import IMAPServerLimits, POP3ServerLimits, SMTPServerLimits
from mailproto.cli.usage import UsageError, date_time, number, seconds
from mailproto.flows.services import Services
from mailproto.smtp import FutureRelease, Offer
from mailproto.smtp.parameter_values import SOLICITATION_KEYWORDS

__all__ = ["OFFERS", "Extension", "Limit", "extension", "limit", "limited", "smtp_offer"]

Extension: TypeAlias = tuple[str, Callable[[Offer], Offer]]
"""The keyword that EHLO shows, and what offering it does to an ``Offer``."""

Limit: TypeAlias = tuple[str, str, int]
"""The protocol, the name of the limit, and its value."""


def _deliver_by(offer: Offer, value: str) -> Offer:
    return evolve(offer, deliver_by=seconds(value) if value else 0)


def _future_release(offer: Offer, value: str) -> Offer:
    longest, comma, latest = value.partition(",")
    if not comma:
        raise argparse.ArgumentTypeError("FUTURERELEASE needs SECONDS,TIME")
    return evolve(offer, future_release=FutureRelease(seconds(longest), date_time(latest)))


def _mt_priority(offer: Offer, value: str) -> Offer:
    # The profile's name is one word of the reply to EHLO (RFC 6710 section 7).
    if value and not (value.isascii() and value.replace("-", "").isalnum()):
        raise argparse.ArgumentTypeError(f"{value!r} is not the name of a policy")
    return evolve(offer, mt_priority=value)


def _no_soliciting(offer: Offer, value: str) -> Offer:
    if value and SOLICITATION_KEYWORDS.fullmatch(value) is None:
        raise argparse.ArgumentTypeError(f"{value!r} are no classes of solicitation")
    return evolve(offer, no_soliciting=tuple(value.split(",")) if value else ())


_WITH_VALUE: Final[Mapping[str, Callable[[Offer, str], Offer]]] = MappingProxyType(
    {
        "DELIVERBY": _deliver_by,
        "FUTURERELEASE": _future_release,
        "MT-PRIORITY": _mt_priority,
        "NO-SOLICITING": _no_soliciting,
    }
)
_PLAIN: Final[Mapping[str, Callable[[Offer], Offer]]] = MappingProxyType(
    {
        "BINARYMIME": lambda offer: evolve(offer, binarymime=True),
        "DSN": lambda offer: evolve(offer, dsn=True),
        "LIMITS": lambda offer: evolve(offer, advertise_limits=True),
        "MTRK": lambda offer: evolve(offer, mtrk=True),
        "REQUIRETLS": lambda offer: evolve(offer, requiretls=True),
        "RRVS": lambda offer: evolve(offer, rrvs=True),
    }
)
# What the store does not do, and submission passes on (``smtp.onward``).
_OF_NEXT_HOP: Final = frozenset({"DSN", "FUTURERELEASE", "MTRK", "RRVS"})

OFFERS: Final = (
    "BINARYMIME, DELIVERBY[=SECONDS], LIMITS, MT-PRIORITY[=POLICY], NO-SOLICITING[=CLASS,...],"
    " REQUIRETLS; with --relay, which must do what it says, also DSN,"
    " FUTURERELEASE=SECONDS,TIME, MTRK, RRVS"
)
"""What ``--offer`` takes, in words."""


def extension(text: str) -> Extension:
    """``NAME`` or ``NAME=VALUE``; for argparse."""
    name, equals, value = text.partition("=")
    name = name.upper()
    if name in _PLAIN and not equals:
        return name, _PLAIN[name]
    if name in _WITH_VALUE and bool(value) == bool(equals):
        switch = _WITH_VALUE[name]
        # What is wrong with the value is to be told now.
        switch(Offer(), value)
        return name, lambda offer: switch(offer, value)
    raise argparse.ArgumentTypeError(f"{text!r} is none of {OFFERS}")


def smtp_offer(extensions: Iterable[Extension], *, relayed: bool) -> Offer:
    """What ``smtp.Offer`` has by default, and these. Raises UsageError."""
    offer = Offer()
    for name, switch in extensions:
        if name in _OF_NEXT_HOP and not relayed:
            raise UsageError(f"--offer {name} needs --relay: nothing is held or reported here")
        offer = switch(offer)
    return offer


_LIMITS: Final[Mapping[str, type]] = MappingProxyType(
    {"smtp": SMTPServerLimits, "imap": IMAPServerLimits, "pop3": POP3ServerLimits}
)


def limit(text: str) -> Limit:
    """``PROTOCOL.NAME=NUMBER``; for argparse."""
    name, _, value = text.partition("=")
    protocol, _, field = name.partition(".")
    kind = _LIMITS.get(protocol)
    names = [] if kind is None else [a.name for a in attrs.fields(kind)]
    if field not in names:
        choice = f" of {protocol}: {', '.join(names)}" if names else ": smtp., imap. or pop3.NAME"
        raise argparse.ArgumentTypeError(f"{name!r} is no limit{choice}")
    return protocol, field, number(value)


def limited(services: Services, limits: Iterable[Limit]) -> Services:
    """The services with these limits instead of theirs."""
    changes: dict[str, dict[str, int]] = {protocol: {} for protocol in _LIMITS}
    for protocol, field, value in limits:
        changes[protocol][field] = value
    return evolve(
        services,
        smtp_limits=evolve(services.smtp_limits, **changes["smtp"]),
        imap_limits=evolve(services.imap_limits, **changes["imap"]),
        pop3=evolve(services.pop3, limits=evolve(services.pop3.limits, **changes["pop3"])),
    )
