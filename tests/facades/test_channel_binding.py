"""SCRAM-*-PLUS through real sessions: offered and chosen where TLS gives the default binding."""

from __future__ import annotations

import ssl

import pytest

from facades.world import World
from mailproto.errors import AuthenticationFailed


def mechanisms(world: World) -> list[str]:
    """The mechanisms that clients have named, in order."""
    words = [line.split() for line in world.said("C")]
    named = [w[w.index(k) + 1] for w in words for k in (b"AUTH", b"AUTHENTICATE") if k in w[:2]]
    return [name.decode() for name in named]


@pytest.mark.parity("smtp-client SCRAM-*-PLUS", "smtp-server SCRAM-*-PLUS")
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize(
    ("version", "mechanism"),
    [
        (ssl.TLSVersion.TLSv1_2, "SCRAM-SHA-512-PLUS"),  # tls-unique
        (ssl.TLSVersion.TLSv1_3, "SCRAM-SHA-512"),  # no interpreter has tls-exporter yet
    ],
)
def test_P07_the_login_is_bound_to_the_connection_where_both_know_how(
    world: World, protocol: str, tls: str, version: ssl.TLSVersion, mechanism: str
) -> None:
    if "tls-exporter" in ssl.CHANNEL_BINDING_TYPES:
        mechanism = "SCRAM-SHA-512-PLUS"
    world.tls.minimum_version = world.tls.maximum_version = version
    with world.connect(protocol, tls):
        pass
    with pytest.raises(AuthenticationFailed):
        world.connect(protocol, tls, login=("alice", "wrong"))
    assert mechanisms(world) == [mechanism, mechanism]
