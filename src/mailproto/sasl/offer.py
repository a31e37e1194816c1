"""Which mechanisms a server offers on a connection, and the exchanges it begins."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from mailproto.sasl.channel_binding import ChannelBinding
from mailproto.sasl.exchange import ServerExchange
from mailproto.sasl.mechanism import Mechanism, ServerSettings
from mailproto.sasl.mechanisms import PASSWORD_MECHANISMS

__all__ = ["Offer"]


class Offer:
    """A server's SASL configuration: make one for each server and keep it.

    ::

        offer = sasl.Offer()
        offer.names(tls=True)                     # for EHLO, CAPA, CAPABILITY
        exchange = offer.begin("plain", tls=True) # None: not offered here (504, -ERR, NO)

    Without TLS nothing is offered unless ``allow_insecure_auth``.

    A ``-PLUS`` mechanism has no way to say which channel bindings the server knows: clients take
    tls-exporter under TLS 1.3 and tls-unique before (RFC 9266, RFC 5802 section 6.1), and fail
    where the server lacks it. So a server that has nothing but tls-server-end-point offers
    ``-PLUS`` only if ``certificate_binding`` says that its clients are known to use that one.
    """

    __slots__ = (
        "_by_name",
        "_certificate_binding",
        "_decoy_iterations",
        "_decoy_key",
        "_hostname",
        "_insecure",
        "_nonce",
    )

    def __init__(
        self,
        mechanisms: Sequence[Mechanism] = PASSWORD_MECHANISMS,
        *,
        allow_insecure_auth: bool = False,
        certificate_binding: bool = False,
        hostname: str = "localhost",
        decoy_iterations: int = 4096,
        decoy_key: bytes | None = None,
        nonce: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._by_name = {mechanism.name: mechanism for mechanism in mechanisms}
        self._insecure = allow_insecure_auth
        self._certificate_binding = certificate_binding
        self._hostname = hostname
        self._decoy_iterations = decoy_iterations
        self._decoy_key = secrets.token_bytes(32) if decoy_key is None else decoy_key
        self._nonce = nonce

    @property
    def takes_certificates(self) -> bool:
        """Whether a client's certificate is of use: EXTERNAL is among the mechanisms."""
        return any(mechanism.external for mechanism in self._by_name.values())

    def names(
        self,
        *,
        tls: bool,
        channel_bindings: Sequence[ChannelBinding] = (),
        external_identity: str = "",
    ) -> tuple[str, ...]:
        """The mechanisms to announce on a connection, in order; empty: do not announce AUTH.

        ``channel_bindings`` are those of the connection; without one no ``-PLUS`` is offered.
        ``external_identity`` is whom TLS has authenticated; without one EXTERNAL is not offered.
        """
        if not (tls or self._insecure):
            return ()
        binds = any(
            self._certificate_binding or binding.type != "tls-server-end-point"
            for binding in channel_bindings
        )
        return tuple(
            name
            for name, mechanism in self._by_name.items()
            if (binds or not mechanism.binds) and (external_identity or not mechanism.external)
        )

    def begin(
        self,
        name: str,
        *,
        tls: bool,
        channel_bindings: Sequence[ChannelBinding] = (),
        external_identity: str = "",
    ) -> ServerExchange | None:
        """Begin the mechanism ``name``, in any case; ``None`` when it is not offered here."""
        names = self.names(
            tls=tls, channel_bindings=channel_bindings, external_identity=external_identity
        )
        wanted = name.upper()
        if wanted not in names or not name.isascii():  # upper() makes an S of U+017F
            return None
        mechanism = self._by_name[wanted]
        settings = ServerSettings(
            nonce=self._nonce,
            decoy_key=self._decoy_key,
            decoy_iterations=self._decoy_iterations,
            hostname=self._hostname,
            channel_bindings=tuple(channel_bindings),
            offers_binding=any(self._by_name[offered].binds for offered in names),
            external_identity=external_identity,
        )
        return ServerExchange(wanted, lambda initial: mechanism.server(initial, settings))
