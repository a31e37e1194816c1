"""Every mechanism by the same rules: both sides agree, wrong secrets fail, anything can be sent."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import sasl
from mailproto.errors import LocalProtocolError
from mailproto.sasl.saslprep import saslprep
from sasl.realm import Realm, converse, pair, settle

# Characters that SASLprep leaves alone or only rewrites: no control, no surrogate, no mixture of
# directions. What it forbids is tested in test_saslprep.py.
text = st.text(
    st.characters(
        codec="utf-8",
        categories=("Lu", "Ll", "Lt", "Nd", "Po", "Pd", "Sc", "Sm", "So"),
        exclude_characters="\u2028\u2029",
        max_codepoint=0x52F,
    ),
    min_size=1,
    max_size=20,
)
names = st.one_of(text, st.sampled_from([",", "=", "=2C", "=3D2C", "a,b=c", "user@example.org"]))
rooms = st.sampled_from([None, 0])
tokens = st.from_regex(r"\A[A-Za-z0-9._~+/-]+=*\Z")

PASSWORD = (*sasl.PASSWORD_MECHANISMS, sasl.CRAM_MD5)
WITH_IDENTITY = [m for m in PASSWORD if m not in (sasl.LOGIN, sasl.CRAM_MD5)]


def ident(mechanism: sasl.Mechanism) -> str:
    return mechanism.name


def prepared(text: str) -> bool:
    """Whether SASLprep leaves it as it is, for SCRAM hands prepared names to the realm."""
    return saslprep(text) == text


@pytest.mark.parity("smtp-client UTF-8 in names and passwords")
@pytest.mark.parametrize("mechanism", PASSWORD, ids=ident)
@settings(max_examples=15)
@given(
    user=names.filter(prepared), password=names.filter(prepared), room=st.sampled_from([None, 0])
)
def test_sides_agree_on_the_right_password(
    mechanism: sasl.Mechanism, user: str, password: str, room: int | None
) -> None:
    realm = Realm(user, password)
    client, server = pair(mechanism, sasl.PasswordCredentials(user, password))
    talk = converse(client, server, realm, room=room)
    assert talk.outcome == sasl.Success("account", user)


@pytest.mark.parametrize("mechanism", PASSWORD, ids=ident)
@settings(max_examples=15)
@given(user=names.filter(prepared), right=names.filter(prepared), wrong=names.filter(prepared))
def test_P07_wrong_password_always_fails(
    mechanism: sasl.Mechanism, user: str, right: str, wrong: str
) -> None:
    realm = Realm(user, right)
    client, server = pair(mechanism, sasl.PasswordCredentials(user, wrong))
    outcome = converse(client, server, realm).outcome
    if right == wrong:
        assert outcome == sasl.Success("account", user)
    else:
        assert outcome == sasl.Failure(sasl.FailureReason.REFUSED)


@pytest.mark.parametrize("mechanism", WITH_IDENTITY, ids=ident)
@settings(max_examples=10)
@given(user=names.filter(prepared), identity=names)
def test_authorization_identity_arrives(
    mechanism: sasl.Mechanism, user: str, identity: str
) -> None:
    realm = Realm(user, "secret")
    client, server = pair(mechanism, sasl.PasswordCredentials(user, "secret", identity))
    converse(client, server, realm)
    asked = realm.asked[-1]
    assert isinstance(asked, sasl.PasswordCredentials | sasl.ProvenCredentials)
    assert asked.authorization_identity == identity


@pytest.mark.parametrize("mechanism", [sasl.LOGIN, sasl.CRAM_MD5], ids=ident)
def test_an_identity_that_cannot_be_carried_is_refused(mechanism: sasl.Mechanism) -> None:
    with pytest.raises(LocalProtocolError, match="authorization identity"):
        pair(mechanism, sasl.PasswordCredentials("alice", "secret", "bob"))


@pytest.mark.parametrize("mechanism", [sasl.OAUTHBEARER, sasl.XOAUTH2], ids=ident)
@given(
    user=names,
    token=tokens,
    host=st.sampled_from(["", "mail.example.org"]),
    port=st.none() | st.integers(1, 65535),
    room=rooms,
)
def test_sides_agree_on_a_token(
    mechanism: sasl.Mechanism, user: str, token: str, host: str, port: int | None, room: int | None
) -> None:
    realm = Realm(user, "", token)
    credentials = sasl.TokenCredentials(user, token, host, port)
    client, server = pair(mechanism, credentials)
    talk = converse(client, server, realm, room=room)
    assert talk.outcome == sasl.Success("account", user)
    if mechanism is sasl.OAUTHBEARER:
        assert realm.asked == [credentials]


@pytest.mark.parity("smtp-client XOAUTH2", "smtp-server XOAUTH2")
@pytest.mark.parametrize("mechanism", [sasl.OAUTHBEARER, sasl.XOAUTH2], ids=ident)
@pytest.mark.parametrize("room", [None, 0])
def test_a_wrong_token_fails_after_the_error_challenge(
    mechanism: sasl.Mechanism, room: int | None
) -> None:
    realm = Realm("alice", "", "right")
    client, server = pair(mechanism, sasl.TokenCredentials("alice", "wrong"))
    talk = converse(client, server, realm, room=room)
    assert talk.outcome == sasl.Failure(sasl.FailureReason.REFUSED)
    assert talk.said[-1] == ("C", b"\x01" if mechanism is sasl.OAUTHBEARER else b"")
    assert '"status"' in (client.server_error or "")


@pytest.mark.parametrize("mechanism", [sasl.OAUTHBEARER, sasl.XOAUTH2], ids=ident)
def test_what_the_server_says_of_a_token_is_one_line_without_the_token(
    mechanism: sasl.Mechanism,
) -> None:
    token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    client, _ = pair(mechanism, sasl.TokenCredentials("alice", token))
    client.start()
    client.respond(b"{\r\n" + token.encode() + b" is\x1b[31m stale\xff" + 5000 * b"!")
    error = client.server_error
    assert error is not None
    assert error.startswith(r"{\x0d\x0a<hidden> is\x1b[31m stale\xff!!")
    assert len(error) < 2100


@given(identity=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_external_carries_any_identity(identity: str) -> None:
    realm = Realm("", "")
    client, server = pair(sasl.EXTERNAL, sasl.ExternalCredentials(identity))
    assert converse(client, server, realm).outcome == sasl.Success("account", "certificate")
    assert realm.asked == [sasl.ExternalCredentials(identity, "certificate")]


@given(trace=text)
def test_anonymous_carries_the_trace(trace: str) -> None:
    realm = Realm("", "")
    client, server = pair(sasl.ANONYMOUS, sasl.AnonymousCredentials(trace))
    assert converse(client, server, realm).outcome == sasl.Success("account", "")
    assert realm.asked == [sasl.AnonymousCredentials(trace)]


@pytest.mark.parametrize(
    ("trace", "allowed"),
    [
        ("", True),
        ("sirhc", True),
        ("sirhc@example.org", True),
        ("a b\u00a0c\u00ad", True),  # what SASLprep would change stays as it is
        ("\u00e9" * 255, True),
        ("\u00e9" * 256, False),
        ("\u0627\u0628", True),
        ("\U0001f600", True),
        # the tables C.2.1, C.2.2, C.3, C.4, C.6, C.8 (twice) and C.9
        ("a\nb", False),
        ("a\u2028b", False),
        ("\ue000", False),
        ("\ufdd0", False),
        ("\ufffd", False),
        ("\u202etxt.exe", False),
        ("\u200e", False),
        ("\U000e0001", False),
        # both directions (RFC 3454 section 6)
        ("\u0627a", False),
        ("\u0627a\u0628", False),
        ("\u06271", False),
    ],
)
def test_P17_the_trace_of_ANONYMOUS_keeps_to_its_profile(trace: str, allowed: bool) -> None:
    """RFC 4505 section 3, on both sides."""
    credentials = sasl.AnonymousCredentials(trace)
    _, server = pair(sasl.ANONYMOUS, sasl.AnonymousCredentials())
    step = server.start(trace.encode())
    if allowed:
        client, _ = pair(sasl.ANONYMOUS, credentials)
        assert client.start() == trace.encode()
        assert step == sasl.Verify(credentials)
    else:
        with pytest.raises(LocalProtocolError, match="the trace has"):
            pair(sasl.ANONYMOUS, credentials)
        assert step == sasl.Failure(sasl.FailureReason.MALFORMED)


CREDENTIALS = {
    **{mechanism: sasl.PasswordCredentials("alice", "secret") for mechanism in PASSWORD},
    sasl.OAUTHBEARER: sasl.TokenCredentials("alice", "token"),
    sasl.XOAUTH2: sasl.TokenCredentials("alice", "token"),
    sasl.EXTERNAL: sasl.ExternalCredentials("alice"),
    sasl.ANONYMOUS: sasl.AnonymousCredentials("alice"),
}


def test_every_mechanism_is_under_test() -> None:
    assert set(CREDENTIALS) == set(sasl.MECHANISMS)


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=ident)
@pytest.mark.parametrize("room", [None, 0])
def test_P26_cancel_at_every_step(mechanism: sasl.Mechanism, room: int | None) -> None:
    realm = Realm("alice", "secret", "token")
    reached = 0
    for cancel_at in range(5):
        client, server = pair(mechanism, CREDENTIALS[mechanism])
        step = settle(server, server.start(client.start(room)), realm)
        for _ in range(cancel_at):
            if isinstance(step, sasl.Challenge):
                step = settle(server, server.respond(client.respond(step.data)), realm)
        if isinstance(step, sasl.Success):
            break
        reached += 1
        assert server.cancel() == sasl.Failure(sasl.FailureReason.CANCELLED)
        with pytest.raises(LocalProtocolError):
            server.respond(b"")
        with pytest.raises(LocalProtocolError):
            server.cancel()
    else:
        pytest.fail("the exchange has no end")
    one_message = room is None and mechanism not in (sasl.LOGIN, sasl.CRAM_MD5)
    assert reached >= (0 if one_message and not mechanism.name.startswith("SCRAM") else 1)


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=ident)
def test_P26_cancel_while_the_application_is_asked(mechanism: sasl.Mechanism) -> None:
    client, server = pair(mechanism, CREDENTIALS[mechanism])
    step = server.start(client.start())
    while isinstance(step, sasl.Challenge):
        step = server.respond(client.respond(step.data))
    assert isinstance(step, sasl.Verify | sasl.Lookup)
    assert server.cancel() == sasl.Failure(sasl.FailureReason.CANCELLED)
    with pytest.raises(LocalProtocolError):
        server.answer("alice")


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=ident)
@settings(max_examples=40)
@given(messages=st.lists(st.binary(max_size=60) | st.none(), min_size=1, max_size=6))
def test_any_octets_from_a_client_end_in_an_outcome(
    mechanism: sasl.Mechanism, messages: list[bytes | None]
) -> None:
    _, server = pair(mechanism, CREDENTIALS[mechanism])
    realm = Realm("mallory", "never", "never")
    step = settle(server, server.start(messages[0]), realm)
    for message in [*messages[1:], b"", b"", b"", b""]:
        if isinstance(step, sasl.Challenge):
            step = settle(server, server.respond(message or b""), realm)
    assert isinstance(step, sasl.Success | sasl.Failure)
    if mechanism not in (sasl.EXTERNAL, sasl.ANONYMOUS):
        assert isinstance(step, sasl.Failure)


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=ident)
@given(challenges=st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_octets_from_a_server_give_octets_or_a_sasl_error(
    mechanism: sasl.Mechanism, challenges: list[bytes]
) -> None:
    client, _ = pair(mechanism, CREDENTIALS[mechanism])
    client.start()
    try:
        for challenge in challenges:
            assert isinstance(client.respond(challenge), bytes)
        client.succeed()
    except sasl.SASLError:
        with pytest.raises(sasl.SASLError):
            client.succeed()
    else:
        # Only what never proves the server may believe it.
        assert mechanism.strength < sasl.Strength.MUTUAL


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=ident)
@settings(max_examples=25)
@given(data=st.data())
def test_a_changed_response_never_logs_in_as_somebody_else(
    mechanism: sasl.Mechanism, data: st.DataObject
) -> None:
    """One octet of one message changed: a refusal, or the same identity as without."""
    realm = Realm("alice", "secret", "token")
    where = data.draw(st.integers(0, 3))

    def forge(count: int, response: bytes) -> bytes:
        if count != where or not response:
            return response
        at = data.draw(st.integers(0, len(response) - 1))
        return response[:at] + data.draw(st.binary(min_size=1, max_size=1)) + response[at + 1 :]

    client, server = pair(mechanism, CREDENTIALS[mechanism])
    try:
        outcome = converse(client, server, realm, forge=forge).outcome
    except sasl.SASLError:
        return
    if mechanism in PASSWORD or isinstance(CREDENTIALS[mechanism], sasl.TokenCredentials):
        assert isinstance(outcome, sasl.Failure) or outcome.user == "alice"


@pytest.mark.parametrize(
    ("mechanism", "initial"),
    [
        (sasl.PLAIN, b""),
        (sasl.PLAIN, b"alice\0secret"),
        (sasl.PLAIN, b"\0alice\0secret\0"),
        (sasl.PLAIN, b"\0\0secret"),
        (sasl.PLAIN, b"\0alice\0"),
        (sasl.PLAIN, b"\0alice\0\xff"),
        (sasl.EXTERNAL, b"\xff"),
        (sasl.EXTERNAL, b"a\0b"),
        (sasl.ANONYMOUS, b"\xff"),
        (sasl.ANONYMOUS, b"a\nb"),
        (sasl.ANONYMOUS, b"a" * 256),
        (sasl.CRAM_MD5, b""),
        (sasl.XOAUTH2, b"user=alice\x01auth=Bearer token\x01"),
        (sasl.XOAUTH2, b"user=\x01auth=Bearer token\x01\x01"),
        (sasl.XOAUTH2, b"user=\xff\x01auth=Bearer token\x01\x01"),
        (sasl.OAUTHBEARER, b"\x01"),
        (sasl.OAUTHBEARER, b"n,,\x01\x01"),
        (sasl.OAUTHBEARER, b"p,,\x01auth=Bearer token\x01\x01"),
        (sasl.OAUTHBEARER, b"p=tls-exporter,,\x01auth=Bearer token\x01\x01"),
        (sasl.OAUTHBEARER, b"n,a==,\x01auth=Bearer token\x01\x01"),
        (sasl.OAUTHBEARER, b"n,a=\xff,\x01auth=Bearer token\x01\x01"),
        (sasl.OAUTHBEARER, b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01"),
        (sasl.OAUTHBEARER, b"n,,\x01port=+1\x01auth=Bearer a\x01\x01"),
        (sasl.OAUTHBEARER, b"n,,\x01port=65536\x01auth=Bearer a\x01\x01"),
        (sasl.OAUTHBEARER, b"n,,\x01port=0\x01auth=Bearer a\x01\x01"),
    ],
)
def test_P17_malformed_messages_are_called_so(mechanism: sasl.Mechanism, initial: bytes) -> None:
    _, server = pair(mechanism, CREDENTIALS[mechanism])
    assert server.start(initial) == sasl.Failure(sasl.FailureReason.MALFORMED)


@given(password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@pytest.mark.parametrize("repeat", [1, 100])
def test_cram_md5_is_the_hmac_of_the_standard_library(password: str, repeat: int) -> None:
    key = password * repeat
    expected = hmac.new(key.encode(), b"<1@localhost>", "md5").hexdigest().encode()
    assert sasl.CramMD5Keys(key).digest(b"<1@localhost>") == expected


@pytest.mark.parametrize("digest", [b"", b"0" * 31, b"0" * 33, b"G" * 32, b"A" * 32, b"\xd9" * 32])
def test_P17_cram_md5_wants_32_small_hexadecimal_digits(digest: bytes) -> None:
    _, server = pair(sasl.CRAM_MD5, CREDENTIALS[sasl.CRAM_MD5])
    server.start()
    assert server.respond(b"alice " + digest) == sasl.Failure(sasl.FailureReason.MALFORMED)


@pytest.mark.parametrize(
    "message",
    [
        b"user=alice\x01auth=Bearer token\x01\x01",
        b"user=alice\x01auth=bearer token\x01vendor=company\x01\x01",
    ],
)
def test_xoauth2_passes_over_further_pairs(message: bytes) -> None:
    _, server = pair(sasl.XOAUTH2, CREDENTIALS[sasl.XOAUTH2])
    assert server.start(message) == sasl.Verify(sasl.TokenCredentials("alice", "token"))


@pytest.mark.parametrize(
    ("mechanism", "credentials"),
    [
        (sasl.PLAIN, sasl.PasswordCredentials("", "secret")),
        (sasl.PLAIN, sasl.PasswordCredentials("alice", "")),
        (sasl.PLAIN, sasl.PasswordCredentials("alice", "se\0cret")),
        (sasl.PLAIN, sasl.PasswordCredentials("al\0ice", "secret")),
        (sasl.PLAIN, sasl.PasswordCredentials("alice", "secret", "b\0b")),
        (sasl.PLAIN, sasl.PasswordCredentials("alice", "\ud800")),
        (sasl.LOGIN, sasl.PasswordCredentials("", "secret")),
        (sasl.LOGIN, sasl.PasswordCredentials("alice", "")),
        (sasl.LOGIN, sasl.PasswordCredentials("alice", "\udfff")),
        (sasl.CRAM_MD5, sasl.PasswordCredentials("", "secret")),
        (sasl.CRAM_MD5, sasl.PasswordCredentials("alice", "\0")),
        (sasl.SCRAM_SHA_256, sasl.PasswordCredentials("", "secret")),
        (sasl.SCRAM_SHA_256, sasl.PasswordCredentials("alice", "")),
        (sasl.SCRAM_SHA_256, sasl.PasswordCredentials("alice", "a\x07b")),
        (sasl.SCRAM_SHA_256, sasl.PasswordCredentials("alice", "secret", "b\0b")),
        (sasl.XOAUTH2, sasl.TokenCredentials("", "token")),
        (sasl.XOAUTH2, sasl.TokenCredentials("a\x01", "token")),
        (sasl.XOAUTH2, sasl.TokenCredentials("alice", "to ken")),
        (sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "")),
        (sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "token\r\n")),
        (sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "token", "h\x01")),
        (sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "token", "h\u00f6st")),
        (sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "token", "ho st")),
        (sasl.OAUTHBEARER, sasl.TokenCredentials("alice", "token", "", 0)),
        (sasl.EXTERNAL, sasl.ExternalCredentials("a\0b")),
        (sasl.ANONYMOUS, sasl.AnonymousCredentials("a\r\nb")),
        (sasl.ANONYMOUS, sasl.AnonymousCredentials("a" * 256)),
    ],
)
def test_P04_credentials_that_cannot_be_expressed_are_refused_before_anything_is_sent(
    mechanism: sasl.Mechanism, credentials: sasl.Credentials
) -> None:
    with pytest.raises(LocalProtocolError):
        pair(mechanism, credentials)
