"""The examples of the RFCs, octet for octet, on both sides."""

from __future__ import annotations

from base64 import b64decode

import pytest

from mailproto import sasl
from sasl.realm import Realm, converse, pair, settle

PENCIL = sasl.PasswordCredentials("user", "pencil")


@pytest.mark.parity(
    "smtp-client SCRAM-SHA-1, -256 and -512",
    "smtp-server SCRAM-SHA-1, -256 and -512",
)
@pytest.mark.parametrize(
    ("mechanism", "nonce", "extension", "salt", "lines"),
    [
        pytest.param(
            sasl.SCRAM_SHA_1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "3rfcNHYJY1ZVvWVs7j",
            "QSXCR+Q6sek8bf92",
            [
                b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                (
                    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                    b"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
                ),
                b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
                b"",
            ],
            id="RFC 5802 section 5",
        ),
        pytest.param(
            sasl.SCRAM_SHA_256,
            "rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            [
                b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                (
                    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                    b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
                ),
                (
                    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
                ),
                b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
                b"",
            ],
            id="RFC 7677 section 3",
        ),
    ],
)
def test_P07_scram_vectors(
    mechanism: sasl.Mechanism, nonce: str, extension: str, salt: str, lines: list[bytes]
) -> None:
    realm = Realm("user", "pencil", salt=b64decode(salt))
    client = sasl.choose(
        [mechanism.name], PENCIL, tls=True, mechanisms=[mechanism], nonce=lambda: nonce
    )
    server = sasl.Offer([mechanism], nonce=lambda: extension).begin(mechanism.name, tls=True)
    assert server is not None
    talk = converse(client, server, realm)
    assert [line for _, line in talk.said] == lines
    assert talk.outcome == sasl.Success("account", "user")


def test_P07_scram_final_data_with_success() -> None:
    """Where a protocol has room for it, the server's proof comes with the success itself."""
    mechanism = sasl.SCRAM_SHA_256
    client, begun = pair(mechanism, PENCIL)
    settings = sasl.ServerSettings(nonce=lambda: "nonce", decoy_key=b"key")
    server = sasl.ServerExchange(
        begun.name, lambda initial: mechanism.server(initial, settings), final_with_success=True
    )
    talk = converse(client, server, Realm("user", "pencil"))
    assert isinstance(talk.outcome, sasl.Success)
    assert (talk.outcome.final or b"").startswith(b"v=")
    assert len(talk.said) == 3


@pytest.mark.parity("smtp-client PLAIN", "smtp-server PLAIN")
def test_plain_vectors() -> None:
    """RFC 4616 section 4."""
    for credentials, message in (
        (sasl.PasswordCredentials("tim", "tanstaaftanstaaf"), b"\0tim\0tanstaaftanstaaf"),
        (sasl.PasswordCredentials("Kurt", "xipj3plmq", "Ursel"), b"Ursel\0Kurt\0xipj3plmq"),
    ):
        client, server = pair(sasl.PLAIN, credentials)
        assert client.start() == message
        assert server.start(message) == sasl.Verify(credentials)
    assert server.answer(None) == sasl.Failure(sasl.FailureReason.REFUSED)


@pytest.mark.parity("smtp-client CRAM-MD5", "smtp-server CRAM-MD5")
def test_cram_md5_vector() -> None:
    """RFC 2195 section 2."""
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    client, _ = pair(sasl.CRAM_MD5, sasl.PasswordCredentials("tim", "tanstaaftanstaaf"))
    assert client.start() is None
    response = client.respond(challenge)
    assert response == b"tim b913a602c7eda7a495b4e6e7334d3890"
    client.succeed()

    offer = sasl.Offer(
        [sasl.CRAM_MD5], hostname="postoffice.reston.mci.net", nonce=lambda: "1896.697170952"
    )
    server = offer.begin("cram-md5", tls=True)
    assert server is not None
    assert server.start() == sasl.Challenge(challenge)
    step = settle(server, server.respond(response), Realm("tim", "tanstaaftanstaaf"))
    assert step == sasl.Success("account", "tim")


OAUTHBEARER_IMAP = (
    b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
    b"HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)


@pytest.mark.parity("smtp-client OAUTHBEARER", "smtp-server OAUTHBEARER")
def test_oauthbearer_vectors() -> None:
    """RFC 7628 sections 4.1 and 4.3."""
    credentials = sasl.TokenCredentials(
        "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 143
    )
    client, server = pair(sasl.OAUTHBEARER, credentials)
    assert client.start() == b64decode(OAUTHBEARER_IMAP)
    assert server.start(b64decode(OAUTHBEARER_IMAP)) == sasl.Verify(credentials)
    assert server.answer("user") == sasl.Success("user", "user@example.com")

    asking = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01"
    _, server = pair(sasl.OAUTHBEARER, credentials)
    step = server.start(asking)
    assert isinstance(step, sasl.Challenge)
    assert step.data == b'{"status":"invalid_token"}'
    assert server.respond(b"\x01") == sasl.Failure(sasl.FailureReason.REFUSED)


@pytest.mark.parity("smtp-client OAUTHBEARER", "smtp-server OAUTHBEARER")
def test_oauthbearer_error_challenge_is_kept_and_answered() -> None:
    """RFC 7628 section 4.3, the client's side."""
    client, _ = pair(sasl.OAUTHBEARER, sasl.TokenCredentials("user@example.com", "stale"))
    client.start()
    told = (
        '{"status":"invalid_token","scope":"example_scope",'
        '"openid-configuration":"https://example.com/.well-known/openid-configuration"}'
    )
    assert client.respond(told.encode()) == b"\x01"
    assert client.server_error == told
    with pytest.raises(sasl.ServerNotProven):
        client.succeed()


@pytest.mark.parity("smtp-client XOAUTH2", "smtp-server XOAUTH2")
def test_xoauth2_message() -> None:
    """The example of Google's description of the mechanism."""
    credentials = sasl.TokenCredentials(
        "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    )
    encoded = (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRx"
        b"bVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )
    client, server = pair(sasl.XOAUTH2, credentials)
    assert sasl.encode_initial_response(client.start() or b"") == encoded
    assert server.start(b64decode(encoded)) == sasl.Verify(credentials)


@pytest.mark.parity("smtp-client EXTERNAL", "smtp-server EXTERNAL")
def test_external_vectors() -> None:
    """RFC 4422 appendix A.4: with and without an identity to act as."""
    for identity in ("", "fred@example.com"):
        client, server = pair(sasl.EXTERNAL, sasl.ExternalCredentials(identity))
        assert client.start() == identity.encode()
        assert server.start(identity.encode()) == sasl.Verify(
            sasl.ExternalCredentials(identity, "certificate")
        )
        assert server.answer("fred") == sasl.Success("fred", "certificate")


@pytest.mark.parity("smtp-client ANONYMOUS", "smtp-server ANONYMOUS")
def test_anonymous_vector() -> None:
    """RFC 2245 section 3 and RFC 4505 section 4: the trace is "sirhc"."""
    client, server = pair(sasl.ANONYMOUS, sasl.AnonymousCredentials("sirhc"))
    assert sasl.encode_initial_response(client.start() or b"") == b"c2lyaGM="
    assert server.start(b"sirhc") == sasl.Verify(sasl.AnonymousCredentials("sirhc"))
    assert server.answer("guest") == sasl.Success("guest", "")


@pytest.mark.parity("smtp-client LOGIN", "smtp-server LOGIN")
@pytest.mark.parametrize(
    "prompts", [(b"Username:", b"Password:"), (b"User Name\0", b""), (b"", b"x")]
)
def test_login_answers_whatever_the_prompts_say(prompts: tuple[bytes, bytes]) -> None:
    client, _ = pair(sasl.LOGIN, sasl.PasswordCredentials("alice", "secret"))
    assert client.start() is None
    assert [client.respond(prompt) for prompt in prompts] == [b"alice", b"secret"]
    client.succeed()


@pytest.mark.parity("smtp-client LOGIN", "smtp-server LOGIN")
@pytest.mark.parametrize("initial", [None, b"alice"])
def test_login_server_takes_the_user_with_the_command(initial: bytes | None) -> None:
    _, server = pair(sasl.LOGIN, sasl.PasswordCredentials("alice", "secret"))
    step = server.start(initial)
    if initial is None:
        assert step == sasl.Challenge(b"Username:")
        step = server.respond(b"alice")
    assert step == sasl.Challenge(b"Password:")
    assert server.respond(b"secret") == sasl.Verify(sasl.PasswordCredentials("alice", "secret"))
