"""The loop of RFC 4422: what both exchanges refuse, and a mechanism of one's own."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from mailproto import sasl
from mailproto.errors import LocalProtocolError
from sasl.realm import Realm, converse, pair

ALICE = sasl.PasswordCredentials("alice", "secret")


# ------------------------------------------------------------------------------ the client's


def test_an_initial_response_waits_where_it_does_not_fit() -> None:
    message = b"\0alice\0secret"
    for room, goes in ((None, True), (100, True), (len(message), True), (12, False), (0, False)):
        client, _ = pair(sasl.PLAIN, ALICE)
        assert client.start(room) == (message if goes else None)
        if not goes:
            assert client.respond(b"") == message
        client.succeed()


def test_an_empty_initial_response_does_not_go_where_there_is_no_room() -> None:
    client, _ = pair(sasl.EXTERNAL, sasl.ExternalCredentials())
    assert client.start() == b""
    client, _ = pair(sasl.EXTERNAL, sasl.ExternalCredentials())
    assert client.start(0) is None
    assert client.respond(b"") == b""
    client.succeed()


def test_the_first_challenge_must_be_empty_when_the_client_speaks_first() -> None:
    client, _ = pair(sasl.PLAIN, ALICE)
    client.start(0)
    with pytest.raises(sasl.SASLError):
        client.respond(b"say something")
    with pytest.raises(sasl.SASLError):
        client.succeed()


@pytest.mark.parametrize("room", [None, 0])
def test_a_challenge_after_the_last_response_is_refused(room: int | None) -> None:
    client, _ = pair(sasl.PLAIN, ALICE)
    client.start(room)
    if room == 0:
        with pytest.raises(sasl.SASLError):
            pair(sasl.PLAIN, ALICE)[0].succeed(b"data")
        client.respond(b"")
    with pytest.raises(sasl.SASLError):
        client.respond(b"more")
    with pytest.raises(sasl.SASLError):
        client.succeed()


def test_success_before_the_initial_response_was_asked_for_is_refused() -> None:
    client, _ = pair(sasl.PLAIN, ALICE)
    client.start(0)
    with pytest.raises(sasl.SASLError):
        client.succeed()


@pytest.mark.parametrize("mechanism", [sasl.LOGIN, sasl.CRAM_MD5])
def test_success_before_the_server_asked_is_refused(mechanism: sasl.Mechanism) -> None:
    client, _ = pair(mechanism, ALICE)
    assert client.start() is None
    with pytest.raises(sasl.SASLError):
        client.succeed()


def test_final_data_that_no_one_waits_for_are_refused() -> None:
    client, _ = pair(sasl.PLAIN, ALICE)
    client.start()
    with pytest.raises(sasl.SASLError):
        client.succeed(b"data")


# ------------------------------------------------------------------------------ the server's


@pytest.mark.parametrize(
    "mistake",
    [
        lambda server: server.respond(b""),
        lambda server: server.answer("alice"),
        lambda server: (server.start(b"\0alice\0secret"), server.start(b"")),
        lambda server: (server.start(b"\0alice\0secret"), server.respond(b"")),
        lambda server: (server.start(), server.answer("alice")),
        lambda server: (server.start(), server.cancel(), server.respond(b"")),
        lambda server: (server.start(), server.malformed(), server.cancel()),
    ],
)
def test_steps_out_of_order_are_refused(mistake: Callable[[sasl.ServerExchange], object]) -> None:
    _, server = pair(sasl.PLAIN, ALICE)
    with pytest.raises(LocalProtocolError):
        mistake(server)


def test_a_mistaken_call_changes_nothing() -> None:
    _, server = pair(sasl.PLAIN, ALICE)
    assert isinstance(server.start(), sasl.Challenge)
    with pytest.raises(LocalProtocolError):
        server.answer("alice")
    assert server.respond(b"\0alice\0secret") == sasl.Verify(ALICE)
    with pytest.raises(LocalProtocolError):
        server.respond(b"")
    assert server.answer("alice") == sasl.Success("alice", "alice")


def test_a_response_that_is_not_base64_ends_the_exchange() -> None:
    _, server = pair(sasl.LOGIN, ALICE)
    server.start()
    assert server.malformed() == sasl.Failure(sasl.FailureReason.MALFORMED)


def test_P26_cancel_before_the_start() -> None:
    _, server = pair(sasl.PLAIN, ALICE)
    assert server.cancel() == sasl.Failure(sasl.FailureReason.CANCELLED)
    with pytest.raises(LocalProtocolError):
        server.start(b"\0alice\0secret")


def test_an_answer_of_the_wrong_kind_never_logs_in() -> None:
    _, server = pair(sasl.PLAIN, ALICE)
    server.start(b"\0alice\0secret")
    with pytest.raises(TypeError):
        server.answer(sasl.CramMD5Keys("secret"))
    assert server.cancel() == sasl.Failure(sasl.FailureReason.CANCELLED)
    _, server = pair(sasl.SCRAM_SHA_1, ALICE)
    server.start(b"n,,n=alice,r=abc")
    with pytest.raises(TypeError):
        server.answer("alice")
    assert server.cancel() == sasl.Failure(sasl.FailureReason.CANCELLED)


def test_P26_a_refusal_says_one_thing_only() -> None:
    """Unknown user, wrong password, identity that is not his: the same Failure."""
    refused = sasl.Failure(sasl.FailureReason.REFUSED)
    for mechanism in (*sasl.PASSWORD_MECHANISMS, sasl.CRAM_MD5):
        for user, password in (("alice", "wrong"), ("nobody", "secret")):
            client, server = pair(mechanism, sasl.PasswordCredentials(user, password))
            assert converse(client, server, Realm("alice", "secret")).outcome == refused


# -------------------------------------------------------------------------- one of one's own


@attrs.frozen
class CountingCredentials(sasl.Credentials):
    numbers: tuple[int, ...]


def count_client(
    credentials: CountingCredentials, settings: sasl.ClientSettings
) -> sasl.ClientDialogue:
    received = yield None
    for number in credentials.numbers:
        if received is None:
            raise sasl.ServerNotProven("it did not count to the end")
        received = yield str(number).encode()


def count_server(initial: bytes | None, settings: sasl.ServerSettings) -> sasl.ServerDialogue:
    for number in range(3):
        answer = yield sasl.Challenge(b"next")
        if answer != str(number).encode():
            return sasl.Failure(sasl.FailureReason.REFUSED)
    return sasl.Success("counter", "")


COUNTING = sasl.Mechanism(
    "X-COUNTING",
    sasl.Strength.CHALLENGE,
    sasl.takes(CountingCredentials, count_client),
    count_server,
)


@pytest.mark.parity("smtp-client own mechanism", "smtp-server own mechanism")
@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 1, 3)])
def test_a_mechanism_of_ones_own(numbers: tuple[int, ...]) -> None:
    client = sasl.choose(
        ["PLAIN", "X-counting"],
        CountingCredentials(numbers),
        tls=False,
        mechanisms=(*sasl.MECHANISMS, COUNTING),
    )
    server = sasl.Offer([COUNTING]).begin(client.name, tls=True)
    assert server is not None
    outcome = converse(client, server, Realm("", "")).outcome
    assert isinstance(outcome, sasl.Success) == (numbers == (0, 1, 2))
    assert COUNTING not in sasl.MECHANISMS


@pytest.mark.parametrize(
    "name", ["", "x-mirror", "X MIRROR", "X\r\nY", "X-\u017f", "X" * 21, "X=Y", "X,Y"]
)
def test_P04_a_name_that_no_server_could_announce_is_none(name: str) -> None:
    """RFC 4422 section 3.1."""
    with pytest.raises(LocalProtocolError, match="is no name of a mechanism"):
        sasl.Mechanism(name, sasl.Strength.CHALLENGE, lambda _, __: None, count_server)


# ---------------------------------------------------------------------------------- secrets

CANARY = "canary-7f3a"


def everything_shown(thing: object) -> str:
    shown = [repr(thing), str(thing), f"{thing}"]
    if isinstance(thing, BaseException):
        shown += [repr(thing.args), repr(vars(thing))]
        for other in (thing.__cause__, thing.__context__):
            if other is not None:
                shown.append(everything_shown(other))
                shown.append(repr(getattr(other, "object", "")))
    return "\n".join(shown)


def secrets_of(mechanism: sasl.Mechanism) -> sasl.Credentials:
    if mechanism in (sasl.OAUTHBEARER, sasl.XOAUTH2):
        return sasl.TokenCredentials("alice", CANARY)
    if mechanism is sasl.EXTERNAL:
        return sasl.ExternalCredentials()
    if mechanism is sasl.ANONYMOUS:
        return sasl.AnonymousCredentials()
    return sasl.PasswordCredentials("alice", CANARY)


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=lambda mechanism: mechanism.name)
@pytest.mark.parametrize("right", [True, False])
def test_P16_nothing_shows_the_secret(mechanism: sasl.Mechanism, right: bool) -> None:
    realm = Realm("alice", CANARY if right else "x", CANARY if right else "x")
    credentials = secrets_of(mechanism)
    client, server = pair(mechanism, credentials)
    talk = converse(client, server, realm)
    keys = [sasl.ScramKeys.derive("SCRAM-SHA-256", CANARY, b"salt"), sasl.CramMD5Keys(CANARY)]
    lines = [line for _, line in talk.said if line is not None]
    steps = [sasl.Challenge(line) for line in lines]
    things = [credentials, client, server, talk.outcome, mechanism, *realm.asked, *keys, *steps]
    things += [
        sasl.ErrorResponse(CANARY.encode(), "no"),
        sasl.tls_exporter(CANARY.encode() * 2 + bytes(10)),
    ]
    assert CANARY not in "\n".join(everything_shown(thing) for thing in things)


WITH_SECRET = [m for m in sasl.MECHANISMS if m not in (sasl.EXTERNAL, sasl.ANONYMOUS)]


@pytest.mark.parametrize("bad", ["\0", "\ud800", "\x07", "\r\n", "\xe9\x01"])
@pytest.mark.parametrize("mechanism", WITH_SECRET, ids=lambda mechanism: mechanism.name)
def test_P16_no_exception_shows_the_secret(mechanism: sasl.Mechanism, bad: str) -> None:
    credentials: sasl.Credentials = sasl.PasswordCredentials("alice", CANARY + bad)
    if isinstance(secrets_of(mechanism), sasl.TokenCredentials):
        credentials = sasl.TokenCredentials("alice", CANARY + bad)
    with pytest.raises((LocalProtocolError, sasl.SASLError)) as raised:
        client, _ = pair(mechanism, credentials)
        if client.start() is None:
            client.succeed(b"too early")
        else:
            client.respond(b"\xff")
    assert CANARY not in everything_shown(raised.value)
