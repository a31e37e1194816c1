"""How a relay works: the fields that ``sync.smtp.Relay`` and ``aio.smtp.Relay`` share."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import Final, Literal, TypeAlias, get_args

import attrs

from mailproto._core.machine import Trace
from mailproto.errors import LocalProtocolError
from mailproto.flows.opening import SMTP_PORTS, Login
from mailproto.flows.smtp_relay_route import Order, ResolveMX, shuffled
from mailproto.smtp import Timeouts
from mailproto.smtp.address import check_domain

__all__ = ["RelaySettings", "RelayTLS"]

RelayTLS: TypeAlias = Literal["none", "opportunistic", "required", "implicit"]
"""Never; where the server has it, and else in clear; always, by STARTTLS; from the first octet."""

_RELAY_PORT: Final = 25


@attrs.frozen(kw_only=True)
class RelaySettings:
    """How a relay works.

    Raises LocalProtocolError for a ``domain`` that is none, for a ``login`` without
    ``smart_host``, and for one that would be told to a server that nobody has verified.
    """

    domain: str | None = None
    """What the relay calls itself in EHLO, by default its address; it should be a name that
    resolves to that address."""
    smart_host: str | None = None
    """The one host that takes everything, instead of the hosts of each recipient's domain."""
    port: int | None = None
    """By default 25, and for a smart host 587 or 465 where ``tls`` is required or implicit."""
    login: Login = attrs.field(default=None, repr=False)
    """User and password, or credentials of ``mailproto.sasl``, for the smart host."""
    tls: RelayTLS = "none"
    """Only ``"opportunistic"`` ever falls back to clear text, and never for a message that carries
    REQUIRETLS; it accepts any certificate."""
    tls_context: ssl.SSLContext | None = None
    """Replaces the context that follows from ``tls``."""
    allow_insecure_auth: bool = False
    """Log in without TLS, or with a TLS that is merely opportunistic."""
    resolve_mx: ResolveMX | None = None
    """Looks up MX records, by default with dnspython (``mailproto[dns]``)."""
    order: Order = shuffled
    """The order among hosts of one preference."""
    own_names: Collection[str] = ()
    """What this host is called in MX records: it does not relay to itself or to worse hosts."""
    most_hosts: int = 10
    """Hosts to try for one recipient."""
    most_addresses: int = 5
    """Addresses to try of one host."""
    long_lines: bool = False
    """Allow lines of more than 998 octets in content."""
    timeout: Timeouts | float | None = None
    """Seconds for each phase, or for all alike, instead of those of RFC 5321 section 4.5.3.2."""
    connect_timeout: float | None = 30.0
    """Seconds to connect to one address."""
    deadline: float | None = None
    """Seconds for all attempts together; a resolver has its own."""
    trace: Trace | None = None
    """Gets every line, without secrets."""

    def __attrs_post_init__(self) -> None:
        if self.domain is not None:
            check_domain(self.domain)
        modes = get_args(RelayTLS)
        if self.tls not in modes:
            # What is misspelt would pass for "none" otherwise.
            raise LocalProtocolError(f"tls={self.tls!r} is none of {', '.join(map(repr, modes))}")
        if self.login is None:
            return
        if self.smart_host is None:
            raise LocalProtocolError("a login is for a smart host, not for every host of the MX")
        if self.tls in ("none", "opportunistic") and not self.allow_insecure_auth:
            raise LocalProtocolError(
                f"a login with tls={self.tls!r}; allow_insecure_auth=True would permit it"
            )

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        if self.port is not None:
            return self.port
        if self.tls == "implicit":
            return SMTP_PORTS["implicit"]
        if self.smart_host is not None and self.tls == "required":
            return SMTP_PORTS["starttls"]
        return _RELAY_PORT
