"""Choice and offer: the strongest that fits, nothing below the floor, no secret without TLS."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import sasl
from mailproto.errors import SecurityError
from sasl.realm import Realm, converse

ALICE = sasl.PasswordCredentials("alice", "secret")
TOKEN = sasl.TokenCredentials("alice", "token")
BINDING = sasl.tls_exporter(bytes(32))
STRENGTH = {mechanism.name: mechanism.strength for mechanism in sasl.MECHANISMS}
offers = st.lists(st.sampled_from(sorted(STRENGTH)), unique=True)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("PLAIN LOGIN", "PLAIN"),
        ("LOGIN", "LOGIN"),
        ("PLAIN CRAM-MD5", "CRAM-MD5"),
        ("CRAM-MD5 SCRAM-SHA-1", "SCRAM-SHA-1"),
        ("SCRAM-SHA-1 SCRAM-SHA-256 PLAIN", "SCRAM-SHA-256"),
        ("SCRAM-SHA-512 SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"),
        ("plain Scram-Sha-256 GSSAPI", "SCRAM-SHA-256"),
        ("OAUTHBEARER XOAUTH2 PLAIN ANONYMOUS", "PLAIN"),
    ],
)
def test_the_strongest_is_chosen(offered: str, chosen: str) -> None:
    exchange = sasl.choose(offered.split(), ALICE, tls=True, channel_binding=BINDING)
    assert exchange.name == chosen


def test_what_may_be_used_is_named_where_the_server_offers_something_else() -> None:
    only_cram = [mechanism for mechanism in sasl.MECHANISMS if mechanism.name == "CRAM-MD5"]
    with pytest.raises(SecurityError, match="offers PLAIN: none of them is one of CRAM-MD5"):
        sasl.choose(["PLAIN"], ALICE, tls=True, mechanisms=only_cram)
    with pytest.raises(SecurityError, match=r"offers GSSAPI: none of them is one of .*PLAIN"):
        sasl.choose(["GSSAPI"], ALICE, tls=True)


def test_tokens_and_certificates_have_their_own_mechanisms() -> None:
    everything = list(STRENGTH)
    assert sasl.choose(everything, TOKEN, tls=True).name == "OAUTHBEARER"
    assert sasl.choose(["XOAUTH2", "PLAIN"], TOKEN, tls=True).name == "XOAUTH2"
    assert sasl.choose(everything, sasl.ExternalCredentials(), tls=True).name == "EXTERNAL"
    assert sasl.choose(everything, sasl.AnonymousCredentials(), tls=True).name == "ANONYMOUS"


@given(
    offered=offers,
    credentials=st.sampled_from([ALICE, TOKEN]),
    tls=st.booleans(),
    insecure=st.booleans(),
    floor=st.sampled_from(list(sasl.Strength)),
    binding=st.sampled_from([None, BINDING]),
)
def test_P06_P07_no_choice_is_below_the_floor_or_tells_a_secret_in_clear(
    offered: list[str],
    credentials: sasl.Credentials,
    tls: bool,
    insecure: bool,
    floor: sasl.Strength,
    binding: sasl.ChannelBinding | None,
) -> None:
    try:
        exchange = sasl.choose(
            offered,
            credentials,
            tls=tls,
            floor=floor,
            allow_insecure_auth=insecure,
            channel_binding=binding,
        )
    except SecurityError:
        return
    strength = STRENGTH[exchange.name]
    assert exchange.name in offered
    assert strength >= floor
    assert tls or insecure or strength > sasl.Strength.PLAINTEXT
    assert binding or not exchange.name.endswith("-PLUS")


@pytest.mark.parametrize("offered", [[], ["GSSAPI"], ["PLAIN"], ["LOGIN", "PLAIN"]])
def test_P07_downgrade_is_refused(offered: list[str]) -> None:
    with pytest.raises(SecurityError):
        sasl.choose(offered, ALICE, tls=True, floor=sasl.Strength.MUTUAL)


def test_P06_plaintext_without_tls_only_by_name() -> None:
    with pytest.raises(SecurityError, match="PLAIN would tell the secret without TLS"):
        sasl.choose(["PLAIN"], ALICE, tls=False)
    assert sasl.choose(["PLAIN"], ALICE, tls=False, allow_insecure_auth=True).name == "PLAIN"
    assert sasl.choose(["PLAIN", "SCRAM-SHA-1"], ALICE, tls=False).name == "SCRAM-SHA-1"


def test_P06_P07_what_rests_on_tls_proves_nothing_without_it() -> None:
    """A server that offers EXTERNAL in clear would meet any floor."""
    for floor in (sasl.Strength.ANONYMOUS, sasl.Strength.MUTUAL):
        with pytest.raises(SecurityError, match="EXTERNAL would rest on TLS, and there is none"):
            sasl.choose(["EXTERNAL"], sasl.ExternalCredentials(), tls=False, floor=floor)
    insecure = sasl.choose(
        ["EXTERNAL"], sasl.ExternalCredentials(), tls=False, allow_insecure_auth=True
    )
    assert insecure.name == "EXTERNAL"


def test_a_floor_of_bound_wants_a_binding() -> None:
    offered = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]
    with pytest.raises(SecurityError):
        sasl.choose(offered, ALICE, tls=True, floor=sasl.Strength.BOUND)
    bound = sasl.choose(
        offered, ALICE, tls=True, floor=sasl.Strength.BOUND, channel_binding=BINDING
    )
    assert bound.name == "SCRAM-SHA-256-PLUS"


def test_nothing_acceptable_names_what_was_offered() -> None:
    with pytest.raises(SecurityError, match="the server offers GSSAPI, NTLM") as raised:
        sasl.choose(["ntlm", "GSSAPI"], ALICE, tls=True)
    assert "secret" not in str(raised.value)


def test_a_name_beyond_ascii_is_not_one_of_ours() -> None:
    """Upper case turns U+017F into an S."""
    with pytest.raises(SecurityError):
        sasl.choose(["\u017fCRAM-SHA-1"], ALICE, tls=True)


# ------------------------------------------------------------------------------------- offer


def test_nothing_is_offered_without_tls_unless_by_name() -> None:
    assert sasl.Offer().names(tls=False) == ()
    assert sasl.Offer().begin("SCRAM-SHA-256", tls=False) is None
    insecure = sasl.Offer(allow_insecure_auth=True)
    assert insecure.names(tls=False) == insecure.names(tls=True)


def test_names_follow_the_connection() -> None:
    offer = sasl.Offer(sasl.MECHANISMS)
    for bindings, external in itertools.product([(), (BINDING,)], ["", "alice"]):
        names = offer.names(tls=True, channel_bindings=bindings, external_identity=external)
        assert any(name.endswith("-PLUS") for name in names) == bool(bindings)
        assert ("EXTERNAL" in names) == bool(external)
        for name in STRENGTH:
            exchange = offer.begin(
                name, tls=True, channel_bindings=bindings, external_identity=external
            )
            assert (exchange is not None) == (name in names)


@pytest.mark.parametrize("name", ["plain", "PLAIN", "Plain", "pLaIn"])
def test_names_are_case_insensitive(name: str) -> None:
    exchange = sasl.Offer().begin(name, tls=True)
    assert exchange is not None
    assert exchange.name == "PLAIN"


@pytest.mark.parametrize("name", ["", "PLAIN ", "PLAİN", "ſCRAM-SHA-1", "CRAM-MD5", "\0"])
def test_what_is_not_offered_does_not_begin(name: str) -> None:
    assert sasl.Offer().begin(name, tls=True) is None


@pytest.mark.parametrize("binding", [None, BINDING])
def test_our_own_client_and_server_take_the_strongest(
    binding: sasl.ChannelBinding | None,
) -> None:
    offer = sasl.Offer()
    bindings = [binding] if binding else []
    names = offer.names(tls=True, channel_bindings=bindings)
    client = sasl.choose(names, ALICE, tls=True, channel_binding=binding)
    server = offer.begin(client.name, tls=True, channel_bindings=bindings)
    assert server is not None
    assert client.name == ("SCRAM-SHA-512-PLUS" if binding else "SCRAM-SHA-512")
    outcome = converse(client, server, Realm("alice", "secret")).outcome
    assert outcome == sasl.Success("account", "alice")
