"""MX records from dnspython, which the extra ``dns`` installs; ``aio.resolving`` is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailproto.errors import TransportError
from mailproto.flows.smtp_relay_route import MXRecords, NoSuchDomain

if TYPE_CHECKING:
    from dns.resolver import Resolver

__all__ = ["resolve_mx"]


def resolve_mx(domain: str, resolver: Resolver | None = None) -> MXRecords:
    """The MX records of a domain, none if it has none; the ``resolve_mx`` of a ``Relay``.

    ``resolver`` is by default one with the system's settings. Raises NoSuchDomain, TransportError
    when the DNS does not answer, ImportError without dnspython.
    """
    from dns.exception import DNSException
    from dns.name import from_text
    from dns.rdatatype import MX
    from dns.rdtypes.ANY.MX import MX as Record
    from dns.resolver import NXDOMAIN, NoAnswer
    from dns.resolver import Resolver as SystemResolver

    try:
        name = from_text(domain)
    except DNSException as error:
        raise NoSuchDomain(f"{domain!a} is no name of the DNS: {error}") from error
    try:
        answer = (resolver or SystemResolver()).resolve(name, MX)
    except NXDOMAIN as error:
        raise NoSuchDomain(f"{domain} does not exist") from error
    except NoAnswer:
        return ()
    except DNSException as error:
        raise TransportError(f"no MX records of {domain}: {error}") from error
    records = [record for record in answer if isinstance(record, Record)]
    return [(r.preference, r.exchange.to_text(omit_final_dot=True)) for r in records]
