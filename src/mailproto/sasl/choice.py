"""Which mechanism a client uses: the strongest that the server offers, never below a floor.

The choice fails closed. A mechanism that tells the server the secret is not used without TLS,
whatever the server offers, unless the caller insists by name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

from mailproto.errors import SecurityError
from mailproto.sasl.channel_binding import ChannelBinding
from mailproto.sasl.credentials import Credentials
from mailproto.sasl.exchange import ClientExchange
from mailproto.sasl.mechanism import ClientSettings, Mechanism, Strength
from mailproto.sasl.mechanisms import MECHANISMS

__all__ = ["choose"]


def choose(
    offered: Iterable[str],
    credentials: Credentials,
    *,
    tls: bool,
    floor: Strength = Strength.ANONYMOUS,
    allow_insecure_auth: bool = False,
    channel_binding: ChannelBinding | None = None,
    mechanisms: Sequence[Mechanism] = MECHANISMS,
    nonce: Callable[[], str] = secrets.token_urlsafe,
) -> ClientExchange:
    """Begin the strongest mechanism of ``offered`` that fits ``credentials``.

    ``offered`` are the names that the server announced, in any case. ``tls`` says whether the
    connection is protected; without it neither EXTERNAL nor anything of strength PLAINTEXT is used
    unless ``allow_insecure_auth``. ``floor`` is the least strength to accept: with
    ``Strength.MUTUAL`` a server (or whoever changed its announcement) that offers only PLAIN gets
    nothing. ``channel_binding`` enables the ``-PLUS`` mechanisms. Among equals the earlier in
    ``mechanisms`` wins; to use one mechanism only, pass only that one.

    Raises SecurityError, which says why and what would help, when nothing acceptable is offered;
    LocalProtocolError when the credentials cannot be expressed in the mechanism. Nothing has been
    sent then.
    """
    names = {name.upper() for name in offered if name.isascii()}
    if not any(mechanism.binds for mechanism in mechanisms):
        channel_binding = None  # "y" would say that it was the server who cannot bind
    settings = ClientSettings(
        nonce=nonce,
        channel_binding=channel_binding,
        server_can_bind=any(m.binds and m.name in names for m in mechanisms),
    )
    refused: list[str] = []
    for mechanism in sorted(mechanisms, key=lambda m: m.strength, reverse=True):
        if mechanism.name not in names:
            continue
        dialogue = mechanism.client(credentials, settings)
        if dialogue is None:
            continue
        if mechanism.binds and channel_binding is None:
            refused.append(f"{mechanism.name} needs a channel_binding, and there is none")
        elif mechanism.strength < floor:
            refused.append(
                f"{mechanism.name} is weaker than {floor.name}, only a lower floor would permit it"
            )
        elif mechanism.external and not (tls or allow_insecure_auth):
            refused.append(
                f"{mechanism.name} would rest on TLS, and there is none, "
                "only allow_insecure_auth=True would permit it"
            )
        elif mechanism.strength == Strength.PLAINTEXT and not (tls or allow_insecure_auth):
            refused.append(
                f"{mechanism.name} would tell the secret without TLS, "
                "only allow_insecure_auth=True would permit it"
            )
        else:
            return ClientExchange(mechanism.name, dialogue)
    why = "; ".join(refused) or f"none of them takes {type(credentials).__name__}"
    if not any(mechanism.name in names for mechanism in mechanisms):
        usable = ", ".join([mechanism.name for mechanism in mechanisms])
        why = f"none of them is one of {usable}"
    if not names:
        why = "it may do so under TLS only, or somebody has taken its offer away"
    listed = ", ".join(sorted(names)) or "no AUTH at all"
    raise SecurityError(f"no acceptable SASL mechanism: the server offers {listed}: {why}")
