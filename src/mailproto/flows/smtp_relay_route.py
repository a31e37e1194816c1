"""Which hosts take the mail of a domain, and in which order (RFC 5321 section 5.1)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, TypeAlias

from mailproto.backend.store import Maybe
from mailproto.errors import MailError
from mailproto.smtp import EnhancedCode, Reply

__all__ = [
    "MXRecords",
    "NoSuchDomain",
    "Order",
    "ResolveMX",
    "literal_address",
    "route",
    "shuffled",
]

MXRecords: TypeAlias = Sequence[tuple[int, str]]
"""Preference and host of each MX record."""

ResolveMX: TypeAlias = Callable[[str], Maybe[MXRecords]]
"""The MX records of a domain, none if it has none.

Raises NoSuchDomain when there is no such name, and any other MailError or OSError when the answer
cannot be had now. Messages with REQUIRETLS want an answer that DNSSEC protects (RFC 8689 section
4.2.1).
"""

Order: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
"""The order in which hosts of the same preference are tried."""

_NULL_MX: Final = Reply(556, "The domain does not accept mail", EnhancedCode(5, 1, 10))
_LOOP: Final = Reply(554, "The mail would come back to this host", EnhancedCode(5, 4, 6))
_IPV6: Final = "ipv6:"


class NoSuchDomain(MailError):
    """The name does not exist in the DNS."""


def shuffled(hosts: Sequence[str]) -> Sequence[str]:
    """A random order, which spreads the load as RFC 5321 section 5.1 wants it."""
    return secrets.SystemRandom().sample(hosts, len(hosts))


def route(
    domain: str, records: MXRecords, *, order: Order, own_names: Collection[str] = ()
) -> tuple[str, ...] | Reply:
    """The hosts to try for ``domain`` in turn, or why there are none.

    Without MX records the domain is its own host. A single record for the root says that it takes
    no mail (RFC 7505). Hosts that are no better than this one, which is called ``own_names``, would
    send the message back and are left out.
    """
    if not records:
        return (_name(domain),)
    hosts = [(preference, _name(host)) for preference, host in records]
    if all(host == "" for _, host in hosts):
        return _NULL_MX
    own = {_name(name) for name in own_names}
    mine = min((preference for preference, host in hosts if host in own), default=None)
    better = [p for p in hosts if p[1] != "" and (mine is None or p[0] < mine)]
    if not better:
        return _LOOP
    return tuple(dict.fromkeys(_in_order(better, order)))


def literal_address(domain: str) -> str | None:
    """The address in an address literal, ``None`` for a name (RFC 5321 section 4.1.3)."""
    if not domain.startswith("["):
        return None
    address = domain[1:-1]
    return address[len(_IPV6) :] if address.lower().startswith(_IPV6) else address


def _in_order(hosts: Collection[tuple[int, str]], order: Order) -> Iterable[str]:
    for preference in sorted({preference for preference, _ in hosts}):
        yield from order(sorted({host for p, host in hosts if p == preference}))


def _name(host: str) -> str:
    return host.removesuffix(".").lower()
