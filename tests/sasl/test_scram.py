"""SCRAM against scramp, another implementation, and against servers and clients that cheat."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scramp import ScramClient, ScramException, ScramMechanism

from mailproto import sasl
from mailproto.errors import LocalProtocolError
from mailproto.sasl.saslprep import saslprep
from sasl.realm import Realm, converse, pair, settle

PLAIN_FORMS = [sasl.SCRAM_SHA_1, sasl.SCRAM_SHA_256, sasl.SCRAM_SHA_512]
BOUND_FORMS = [sasl.SCRAM_SHA_1_PLUS, sasl.SCRAM_SHA_256_PLUS, sasl.SCRAM_SHA_512_PLUS]
ALL_FORMS = PLAIN_FORMS + BOUND_FORMS
ALICE = sasl.PasswordCredentials("alice", "secret")
BINDING = sasl.ChannelBinding("tls-unique", b"what the handshake ended with")
SALT = b"0123456789abcdef"
credentials_text = st.one_of(
    # scramp refuses what was unassigned in Unicode 3.2
    st.text(st.characters(max_codepoint=0x21F), min_size=1, max_size=12),
    st.sampled_from(["user", "a,b=c", "=2C", "\u00aa\u00ad\u2168", "\u0627\u0628"]),
)


def ident(mechanism: sasl.Mechanism) -> str:
    return mechanism.name


# ------------------------------------------------------------------------------ against scramp


@pytest.mark.parity(
    "smtp-client SCRAM-SHA-1, -256 and -512",
    "smtp-server SCRAM-SHA-1, -256 and -512",
)
@pytest.mark.parametrize("mechanism", ALL_FORMS, ids=ident)
@settings(max_examples=12)
@given(user=credentials_text, password=credentials_text, right=st.booleans())
def test_our_client_and_their_server(
    mechanism: sasl.Mechanism, user: str, password: str, right: bool
) -> None:
    assume(saslprep(user) and saslprep(password) and password != "another")
    theirs = ScramMechanism(mechanism.name)
    stored = theirs.make_auth_info(password if right else "another")
    cb = ("tls-unique", BINDING.data) if mechanism.binds else None
    server = theirs.make_server(lambda name: stored, channel_binding=cb)
    client, _ = pair(mechanism, sasl.PasswordCredentials(user, password), binding=BINDING)
    if not mechanism.binds:
        client = sasl.choose([mechanism.name], sasl.PasswordCredentials(user, password), tls=True)
    server.set_client_first((client.start() or b"").decode())
    response = client.respond(server.get_server_first().encode()).decode()
    if not right:
        with pytest.raises(ScramException):
            server.set_client_final(response)
        return
    server.set_client_final(response)
    assert client.respond(server.get_server_final().encode()) == b""
    client.succeed()


@pytest.mark.parity(
    "smtp-client SCRAM-SHA-1, -256 and -512",
    "smtp-server SCRAM-SHA-1, -256 and -512",
)
@pytest.mark.parametrize("mechanism", ALL_FORMS, ids=ident)
@settings(max_examples=12)
@given(user=credentials_text, password=credentials_text, right=st.booleans())
def test_their_client_and_our_server(
    mechanism: sasl.Mechanism, user: str, password: str, right: bool
) -> None:
    name, secret = saslprep(user), saslprep(password)
    assume(name and secret and secret != "another")
    assert name is not None
    realm = Realm(name, password if right else "another", salt=SALT)
    _, server = pair(mechanism, ALICE, binding=BINDING if mechanism.binds else None)
    cb = ("tls-unique", BINDING.data) if mechanism.binds else None
    client = ScramClient([mechanism.name], user, password, channel_binding=cb)
    step = settle(server, server.start(client.get_client_first().encode()), realm)
    assert isinstance(step, sasl.Challenge)
    client.set_server_first(step.data.decode())
    step = settle(server, server.respond(client.get_client_final().encode()), realm)
    if not right:
        assert step == sasl.Failure(sasl.FailureReason.REFUSED)
        return
    assert isinstance(step, sasl.Challenge)
    client.set_server_final(step.data.decode())
    assert server.respond(b"") == sasl.Success("account", name)


@pytest.mark.parametrize("mechanism", PLAIN_FORMS, ids=ident)
@settings(max_examples=8)
@given(password=credentials_text, salt=st.binary(min_size=12, max_size=40))
def test_stored_keys_are_theirs(mechanism: sasl.Mechanism, password: str, salt: bytes) -> None:
    assume(saslprep(password))
    theirs = ScramMechanism(mechanism.name).make_auth_info(password, 10_000, salt)
    ours = sasl.ScramKeys.derive(mechanism.name, password, salt, 10_000)
    assert (ours.salt, ours.stored_key, ours.server_key, ours.iterations) == theirs
    assert ours.fits(password)
    assert not ours.fits("another")


# ---------------------------------------------------------------------- a server that cheats


class WorkDone(AssertionError):
    """The expensive derivation was called."""


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> bytes:
        raise WorkDone

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", refuse)


def client_with_nonce(mechanism: sasl.Mechanism = sasl.SCRAM_SHA_256) -> sasl.ClientExchange:
    client = sasl.choose([mechanism.name], ALICE, tls=True, nonce=lambda: "abc")
    assert client.start() == b"n,,n=alice,r=abc"
    return client


COUNTS = [
    b"0", b"1", b"4095", b"1000001", b"2147483648", b"9" * 30, b"9" * 100_000, b"", b"-4096",
    b"+4096", b"04096", b"4096.0", b"4_096", b" 4096", b"4096 ", "４０９６".encode(), b"0x1000",
]  # fmt: skip


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("count", COUNTS, ids=lambda count: repr(count[:10]))
def test_P07_P17_iteration_counts_out_of_bounds_cost_no_work(count: bytes) -> None:
    client = client_with_nonce()
    with pytest.raises(sasl.SASLError):
        client.respond(b"r=abcdef,s=" + b64encode(SALT) + b",i=" + count)
    with pytest.raises(sasl.SASLError):
        client.succeed()


@pytest.mark.parametrize("count", [b"4096", b"5000"])
def test_P07_iteration_counts_within_bounds_are_accepted(count: bytes) -> None:
    assert client_with_nonce().respond(b"r=abcdef,s=" + b64encode(SALT) + b",i=" + count)


@pytest.mark.usefixtures("no_work")
def test_P07_the_greatest_iteration_count_is_worked_on() -> None:
    with pytest.raises(WorkDone):
        client_with_nonce().respond(b"r=abcdef,s=" + b64encode(SALT) + b",i=1000000")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=abcdef",
        b"r=abcdef,s=,i=4096",
        b"r=abcdef,s=QQ,i=4096",
        b"r=abcdef,s=QQ=,i=4096",
        b"r=abcdef,s=Q!==,i=4096",
        b"r=abcdef,s=QR==,i=4096",
        b"r=abcdef,s= QQ==,i=4096",
        b"s=QQ==,r=abcdef,i=4096",
        b"m=x,r=abcdef,s=QQ==,i=4096",
        b"r=abcdef,s=QQ==,i=4096,",
        b"r=abcdef,s=QQ==,i=4096,x",
        b"r=abcdef,s=QQ==,i=4096\0",
        # RFC 5802 section 5.1: "m" ends every exchange, and the others have one place each
        b"r=abcdef,s=QQ==,i=4096,m=x",
        b"r=abcdef,s=QQ==,i=4096,x=y,m=x",
        b"r=abcdef,s=QQ==,i=4096,i=4096",
        b"r=abcdef,s=QQ==,i=4096,r=abcdef",
        b"r=abcdef,s=QQ==,i=4096,s=QQ==",
        b"r=abcdef,s=QQ==,i=4096,p=QQ==",
        b"r=abcdef,s=QQ==,i=4096,v=QQ==",
        b"r=abcdef,s=QQ==,i=4096,e=other-error",
        b"r=abcdef,i=4096,s=QQ==",
        b"r=abcd\xc3\xa9f,s=QQ==,i=4096",
        b"r=abc,s=QQ==,i=4096",
        b"r=xyzdef,s=QQ==,i=4096",
        b"r=ab,s=QQ==,i=4096",
        b"e=other-error",
    ],
)
def test_P07_P17_a_first_message_that_is_wrong_costs_no_work(message: bytes) -> None:
    with pytest.raises(sasl.SASLError):
        client_with_nonce().respond(message)


def test_optional_extensions_of_the_server_are_passed_over() -> None:
    realm = Realm("alice", "secret")
    client = client_with_nonce()
    _, server = pair(sasl.SCRAM_SHA_256, ALICE)
    step = settle(server, server.start(b"n,,n=alice,r=abc,z=extension"), realm)
    assert isinstance(step, sasl.Challenge)
    assert client.respond(step.data + b",x=y,z=w")


@pytest.mark.parametrize("mechanism", ALL_FORMS, ids=ident)
@pytest.mark.parametrize("final", [b"v=AAAA", b"v=", b"", b"v=!", b"V=AAAA"])
def test_P07_success_needs_the_servers_signature(mechanism: sasl.Mechanism, final: bytes) -> None:
    client, server = pair(mechanism, ALICE)
    step = settle(server, server.start(client.start()), Realm("alice", "secret"))
    assert isinstance(step, sasl.Challenge)
    client.respond(step.data)
    with pytest.raises(sasl.SASLError):
        client.respond(final)
    with pytest.raises(sasl.SASLError):
        client.succeed()


@pytest.mark.parametrize("mechanism", ALL_FORMS, ids=ident)
def test_P07_an_error_of_the_server_is_kept_and_no_success_believed_after_it(
    mechanism: sasl.Mechanism,
) -> None:
    """RFC 5802 section 7, server-error."""
    for believed in (False, True):
        client, server = pair(mechanism, ALICE)
        step = settle(server, server.start(client.start()), Realm("alice", "secret"))
        assert isinstance(step, sasl.Challenge)
        client.respond(step.data)
        assert client.respond(b"e=channel-bindings-dont-match") == b""
        assert client.server_error == "channel-bindings-dont-match"
        if believed:
            with pytest.raises(sasl.ServerNotProven):
                client.succeed()
        else:
            with pytest.raises(sasl.SASLError):
                client.respond(b"")


@pytest.mark.parametrize("mechanism", ALL_FORMS, ids=ident)
def test_P07_success_at_any_earlier_step_is_not_believed(mechanism: sasl.Mechanism) -> None:
    for steps in range(2):
        for final in (None, b"", b"v=AAAA"):
            client, server = pair(mechanism, ALICE)
            step = settle(server, server.start(client.start()), Realm("alice", "secret"))
            if steps:
                assert isinstance(step, sasl.Challenge)
                client.respond(step.data)
            with pytest.raises(sasl.SASLError):
                client.succeed(final)
            with pytest.raises(sasl.SASLError):
                client.succeed()


@pytest.mark.parametrize("mechanism", ALL_FORMS, ids=ident)
def test_P07_a_server_without_the_keys_is_found_out(mechanism: sasl.Mechanism) -> None:
    """It knows the user's StoredKey and so accepts the proof, but it has not his ServerKey."""
    client, server = pair(mechanism, ALICE)
    right = sasl.ScramKeys.derive(mechanism.name.removesuffix("-PLUS"), "secret", SALT)
    stolen = sasl.ScramKeys(
        right.scheme, right.salt, right.iterations, right.stored_key, bytes(len(right.server_key))
    )
    step = server.start(client.start())
    assert isinstance(step, sasl.Lookup)
    step = server.answer(stolen)
    assert isinstance(step, sasl.Challenge)
    step = server.respond(client.respond(step.data))
    assert isinstance(step, sasl.Verify)
    step = server.answer("alice")
    assert isinstance(step, sasl.Challenge)
    with pytest.raises(sasl.ServerNotProven):
        client.respond(step.data)


# ---------------------------------------------------------------------- a client that cheats


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,n=alice",
        b"n,,n=,r=abc",
        b"n,,n=alice,r=",
        b"n,,r=abc,n=alice",
        b"n,,m=x,n=alice,r=abc",
        b"n,n=alice,r=abc",
        b"x,,n=alice,r=abc",
        b"N,,n=alice,r=abc",
        b"p=,,n=alice,r=abc",
        b"n,a=,n=alice,r=abc",
        b"n,,n=al=ice,r=abc",
        b"n,,n=al=2Dice,r=abc",
        b"n,,n=al\0ice,r=abc",
        b"n,,n=al\xffice,r=abc",
        b"n,,n=al\x07ice,r=abc",
        b"n,,n=\xc2\xad,r=abc",
        b"n,a=\xff,n=alice,r=abc",
        b"n,,n=alice,r=a\x7fbc",
        b"n,,n=alice,r=a bc",
        b"n,,n=alice,r=abc,",
        b"n,,n=alice,r=abc,p=x",
        b"n,,n=alice,r=abc,m=x",
        b"n,,n=alice,r=abc,n=bob",
        b"n,,n=alice,r=abc,a=bob",
        b"n,,n=alice,r=abc,r=abc",
        b"n,,n=alice,r=abc,c=biws",
    ],
)
def test_P17_a_malformed_first_message_of_the_client(message: bytes) -> None:
    _, server = pair(sasl.SCRAM_SHA_256, ALICE)
    assert server.start(message) == sasl.Failure(sasl.FailureReason.MALFORMED)


def final_message(**changes: bytes) -> tuple[sasl.ServerExchange, bytes]:
    """A server that waits for the client's final message, and the right one with changes."""
    client, server = pair(sasl.SCRAM_SHA_256, ALICE, nonce=lambda: "abc")
    step = settle(server, server.start(client.start()), Realm("alice", "secret"))
    assert isinstance(step, sasl.Challenge)
    fields = dict(field.split(b"=", 1) for field in client.respond(step.data).split(b","))
    fields |= {name.encode(): change for name, change in changes.items()}
    return server, b",".join(name + b"=" + text for name, text in fields.items())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"p": b"AAAA"}, sasl.FailureReason.MALFORMED),
        ({"p": b"!"}, sasl.FailureReason.MALFORMED),
        ({"p": b64encode(bytes(32))}, sasl.FailureReason.REFUSED),
        ({"c": b64encode(b"y,,")}, sasl.FailureReason.REFUSED),
        ({"c": b64encode(b"n,a=root,")}, sasl.FailureReason.REFUSED),
        ({"c": b"!"}, sasl.FailureReason.MALFORMED),
        ({"r": b"abc"}, sasl.FailureReason.REFUSED),
        ({"r": b"abcx"}, sasl.FailureReason.REFUSED),
        ({"c": b"biws,m=x"}, sasl.FailureReason.MALFORMED),
        ({"c": b"biws,c=biws"}, sasl.FailureReason.MALFORMED),
        ({"p": b64encode(bytes(32)) + b",m=x"}, sasl.FailureReason.MALFORMED),
    ],
)
def test_a_final_message_that_is_wrong(
    changes: dict[str, bytes], reason: sasl.FailureReason
) -> None:
    server, message = final_message()
    assert isinstance(server.respond(message), sasl.Verify)
    server, message = final_message(**changes)
    assert server.respond(message) == sasl.Failure(reason)


@pytest.mark.parametrize("nonce", ["as it is", "cut", "longer", "another"])
def test_a_proof_over_another_nonce_is_no_proof(nonce: str) -> None:
    """RFC 5802 section 5.1: who knows the password signs what he says, and says something else."""
    server, message = final_message()
    right = dict(field.split(b"=", 1) for field in message.split(b","))[b"r"]
    said = {"as it is": right, "cut": right[:-1], "longer": right + b"x", "another": b"abcxyz"}
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", SALT, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = b"c=biws,r=" + said[nonce]
    signed = b"n=alice,r=abc,r=%b,s=%b,i=4096,%b" % (right, b64encode(SALT), without_proof)
    signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    step = server.respond(without_proof + b",p=" + b64encode(proof))
    assert isinstance(step, sasl.Verify) == (nonce == "as it is")


def test_P07_data_with_the_success_after_the_mechanism_is_finished() -> None:
    client, server = pair(sasl.SCRAM_SHA_256, ALICE)
    converse(client, server, Realm("alice", "secret"))
    client.succeed()
    with pytest.raises(sasl.SASLError, match="more after the mechanism was finished"):
        client.succeed(b"v=AAAA")


def test_final_data_must_be_answered_with_nothing() -> None:
    for response, outcome in (
        (b"", sasl.Success("alice", "alice")),
        (b"x", sasl.Failure(sasl.FailureReason.MALFORMED)),
    ):
        server, message = final_message()
        assert isinstance(server.respond(message), sasl.Verify)
        assert isinstance(server.answer("alice"), sasl.Challenge)
        assert server.respond(response) == outcome


def test_P26_cancel_after_the_proof_was_right_logs_nobody_in() -> None:
    server, message = final_message()
    server.respond(message)
    assert isinstance(server.answer("alice"), sasl.Challenge)
    assert server.cancel() == sasl.Failure(sasl.FailureReason.CANCELLED)


def test_P26_unknown_users_look_like_wrong_passwords() -> None:
    """The same steps of the same size, and the same salt whenever the same name is tried."""
    offer = sasl.Offer([sasl.SCRAM_SHA_256])
    realm = Realm("alice", "secret")

    def attempt(user: str) -> tuple[list[int], bytes, object]:
        credentials = sasl.PasswordCredentials(user, "wrong")
        client = sasl.choose(["SCRAM-SHA-256"], credentials, tls=True)
        server = offer.begin("SCRAM-SHA-256", tls=True)
        assert server is not None
        talk = converse(client, server, realm)
        first = talk.said[1][1] or b""
        return [len(line or b"") for _, line in talk.said], first.split(b",s=")[1], talk.outcome

    known, unknown, again = attempt("alice"), attempt("malle"), attempt("malle")
    assert known[0] == unknown[0]
    assert known[2] == unknown[2] == sasl.Failure(sasl.FailureReason.REFUSED)
    assert unknown[1] == again[1]
    assert attempt("molly")[1] != unknown[1]
    other = sasl.Offer([sasl.SCRAM_SHA_256])
    offer = other
    assert attempt("malle")[1] != unknown[1]


def test_P26_a_decoy_cannot_be_met_even_by_who_knows_it() -> None:
    """A Lookup that was answered None fails although the proof would fit the decoy."""
    key = b"k" * 32
    decoy = sasl.ScramKeys.decoy("SCRAM-SHA-256", "alice", key, 4096)
    assert decoy == sasl.ScramKeys.decoy("SCRAM-SHA-256", "alice", key, 4096)
    assert decoy != sasl.ScramKeys.decoy("SCRAM-SHA-256", "alice", b"l" * 32, 4096)
    assert (len(decoy.salt), len(decoy.stored_key)) == (16, 32)


def test_P26_every_challenge_is_new() -> None:
    first_lines = set()
    for _ in range(200):
        _, server = pair(sasl.SCRAM_SHA_256, ALICE)
        step = settle(server, server.start(b"n,,n=alice,r=abc"), Realm("bob", "secret"))
        assert isinstance(step, sasl.Challenge)
        nonce = step.data.split(b",")[0].removeprefix(b"r=abc")
        assert len(nonce) >= 11  # 64 bits at six a character
        first_lines.add(nonce)
        _, server = pair(sasl.CRAM_MD5, ALICE)
        step = server.start()
        assert isinstance(step, sasl.Challenge)
        first_lines.add(step.data)
    assert len(first_lines) == 400


# ------------------------------------------------------------------------- channel binding


@pytest.mark.parity("smtp-client SCRAM-*-PLUS", "smtp-server SCRAM-*-PLUS")
@pytest.mark.parametrize("mechanism", BOUND_FORMS, ids=ident)
def test_another_tls_connection_is_found_out(mechanism: sasl.Mechanism) -> None:
    """Somebody in the middle has one TLS connection to each: the bindings differ."""
    realm = Realm("alice", "secret")
    client, _ = pair(mechanism, ALICE, binding=BINDING)
    _, server = pair(mechanism, ALICE, binding=sasl.ChannelBinding("tls-unique", b"another"))
    outcome = converse(client, server, realm).outcome
    assert outcome == sasl.Failure(sasl.FailureReason.REFUSED)


def test_a_binding_type_that_the_server_has_not_is_refused() -> None:
    client, _ = pair(sasl.SCRAM_SHA_256_PLUS, ALICE, binding=BINDING)
    _, server = pair(sasl.SCRAM_SHA_256_PLUS, ALICE)
    assert server.start(client.start()) == sasl.Failure(sasl.FailureReason.REFUSED)


def test_the_client_chooses_among_the_servers_bindings() -> None:
    offer = sasl.Offer([sasl.SCRAM_SHA_256_PLUS])
    both = [sasl.tls_exporter(bytes(32)), BINDING]
    for binding in both:
        client, _ = pair(sasl.SCRAM_SHA_256_PLUS, ALICE, binding=binding)
        server = offer.begin("SCRAM-SHA-256-PLUS", tls=True, channel_bindings=both)
        assert server is not None
        outcome = converse(client, server, Realm("alice", "secret")).outcome
        assert outcome == sasl.Success("account", "alice")


def test_P07_stripping_plus_from_the_offer_is_found_out() -> None:
    """The client says "y": it could bind, but was told that the server cannot. The server can."""
    offer = sasl.Offer()
    offered = offer.names(tls=True, channel_bindings=[BINDING])
    stripped = [name for name in offered if not name.endswith("-PLUS")]
    client = sasl.choose(stripped, ALICE, tls=True, channel_binding=BINDING)
    assert (client.start() or b"").startswith(b"y,,")
    server = offer.begin(client.name, tls=True, channel_bindings=[BINDING])
    assert server is not None
    assert server.start(client.start()) == sasl.Failure(sasl.FailureReason.REFUSED)


def test_a_server_that_cannot_bind_accepts_a_client_that_could() -> None:
    client = sasl.choose(["SCRAM-SHA-256"], ALICE, tls=True, channel_binding=BINDING)
    server = sasl.Offer().begin("SCRAM-SHA-256", tls=True)
    assert server is not None
    outcome = converse(client, server, Realm("alice", "secret")).outcome
    assert outcome == sasl.Success("account", "alice")


@pytest.mark.parametrize("same", [True, False])
def test_P07_a_client_may_bind_without_saying_PLUS(same: bool) -> None:
    """As Cyrus SASL's does; the binding is verified all the same."""
    client, _ = pair(sasl.SCRAM_SHA_256_PLUS, ALICE, binding=BINDING)
    here = BINDING if same else sasl.ChannelBinding("tls-unique", b"another")
    server = sasl.Offer().begin("SCRAM-SHA-256", tls=True, channel_bindings=[here])
    assert server is not None
    outcome = converse(client, server, Realm("alice", "secret")).outcome
    assert isinstance(outcome, sasl.Success) == same


@pytest.mark.parametrize("flag", [b"n", b"y", b"p=tls-unique"])
def test_the_flag_must_fit_the_mechanism(flag: bytes) -> None:
    message = flag + b",,n=alice,r=abc"
    _, bound = pair(sasl.SCRAM_SHA_256_PLUS, ALICE, binding=BINDING)
    _, unbound = pair(sasl.SCRAM_SHA_256, ALICE)
    refused = sasl.Failure(sasl.FailureReason.REFUSED)
    assert (bound.start(message) == refused) == (not flag.startswith(b"p"))
    assert (unbound.start(message) == refused) == flag.startswith(b"p")


# ---------------------------------------------------------------------------- stored keys


@pytest.mark.parametrize("iterations", [-1, 0, 4095, 1_000_001])
def test_P07_keys_that_our_client_would_refuse_are_not_made(iterations: int) -> None:
    with pytest.raises(LocalProtocolError):
        sasl.ScramKeys.derive("SCRAM-SHA-256", "secret", SALT, iterations)


def test_a_password_that_saslprep_refuses_is_never_right() -> None:
    keys = sasl.ScramKeys.derive("SCRAM-SHA-256", "-", SALT)
    assert keys.fits("-")
    for refused in ("", "\x07", "\u00ad", "\ud800"):
        assert not keys.fits(refused)
        with pytest.raises(LocalProtocolError):
            sasl.ScramKeys.derive("SCRAM-SHA-256", refused, SALT)


@pytest.mark.parametrize("iterations", [1, 1000])
def test_keys_of_another_making_are_compared_whatever_their_count(iterations: int) -> None:
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", SALT, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    keys = sasl.ScramKeys("SCRAM-SHA-256", SALT, iterations, stored, bytes(32))
    assert keys.fits("secret")
    assert not keys.fits("wrong")


def test_keys_are_made_for_the_schemes_there_are() -> None:
    for scheme in ("SCRAM-SHA-256-PLUS", "CRAM-MD5", "scram-sha-256"):
        with pytest.raises(LocalProtocolError, match=f"{scheme!r} is none of SCRAM-SHA-1, "):
            sasl.ScramKeys.derive(scheme, "secret", SALT)


def test_keys_of_another_scheme_are_the_applications_mistake() -> None:
    _, server = pair(sasl.SCRAM_SHA_256, ALICE)
    assert isinstance(server.start(b"n,,n=alice,r=abc"), sasl.Lookup)
    with pytest.raises(TypeError):
        server.answer(sasl.CramMD5Keys("secret"))
    _, server = pair(sasl.SCRAM_SHA_256, ALICE)
    server.start(b"n,,n=alice,r=abc")
    with pytest.raises(TypeError, match="SCRAM-SHA-1"):
        server.answer(sasl.ScramKeys.derive("SCRAM-SHA-1", "secret", SALT))
