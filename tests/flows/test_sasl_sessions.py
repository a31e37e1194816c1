"""SASL in whole sessions of every protocol: what goes over the wire when it does not go well."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from flows.sasl_world import (
    CANCELLED,
    MALFORMED,
    PROTOCOLS,
    REFUSED,
    TOKEN,
    Everyone,
    Tamper,
    World,
    ident,
    is_challenge,
    log_in,
    words,
)
from mailproto import sasl
from mailproto.backend.directory import Users
from mailproto.errors import AuthenticationFailed, MailError
from mailproto.flows.effects import Flow, read, write

INITIAL = [
    pytest.param(None, id="initial response"),
    pytest.param(0, id="no initial response"),
]
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
every_mechanism = pytest.mark.parametrize("mechanism", sasl.MECHANISMS, ids=ident)


@pytest.fixture
def no_initial_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command has room for an initial response."""
    start = sasl.ClientExchange.start
    monkeypatch.setattr(sasl.ClientExchange, "start", lambda self, room=None: start(self, 0))


def nth(number: int, chosen: Callable[[bytes], bool], new: bytes) -> Tamper:
    """Puts ``new`` in the place of one of the lines that are ``chosen``."""
    count = itertools.count()

    def change(line: bytes) -> bytes:
        return new if chosen(line) and next(count) == number else line

    return change


def after_commands(change: Callable[[int, bytes], bytes]) -> Tamper:
    """Changes the client's responses, which are the lines after AUTH; counted from 0."""
    count: Iterator[int] | None = None

    def tamper(line: bytes) -> bytes:
        nonlocal count
        if b"AUTH" in line:
            count = itertools.count()
            return line
        return line if count is None else change(next(count), line)

    return tamper


def in_the_first_attempt(world: World, step: int, new: bytes, number: int, line: bytes) -> bytes:
    return new if number == step and len(world.attempts()) == 1 else line


# -------------------------------------------------------------------------------- the cancel


def logged_in_at_last(world: World, mechanism: sasl.Mechanism) -> Flow[MailError | None]:
    """The error of the first attempt, if there was one; then the same connection logs in."""
    session = world.session()
    yield from world.open(session)
    error = yield from log_in(world, mechanism, session)
    if error is not None:
        yield from world.probe(session)
        assert (yield from log_in(world, mechanism, session)) is None
    return error


@pytest.mark.usefixtures("no_initial_response")
@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@every_mechanism
def test_P26_a_client_may_cancel_at_every_step(protocol: str, mechanism: sasl.Mechanism) -> None:
    """The server says so in the words of the protocol, and the same connection logs in then."""
    world = World(protocol)

    attempts = world.attempts()
    step = 0
    while step < 10:
        cancel = after_commands(partial(in_the_first_attempt, world, step, b"*"))
        error = world.run(logged_in_at_last(world, mechanism), to_server=cancel)
        attempts = world.attempts()
        if error is None:
            break
        assert isinstance(error, AuthenticationFailed)
        assert words(attempts[0][-1][1]) == CANCELLED[protocol]
        assert len(attempts) == 2
        step += 1
    responses = [line for side, line in attempts[0][1:] if side == "C"]
    assert step == len(responses) > 0


@pytest.mark.usefixtures("no_initial_response")
@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@every_mechanism
def test_P26_a_client_cancels_whatever_step_makes_no_sense(
    protocol: str, mechanism: sasl.Mechanism
) -> None:
    """A challenge that is not base64 is answered by ``*``; the same connection logs in then."""
    world = World(protocol)
    marker = b"+ " if protocol in ("imap", "pop3") else b"334 "

    attempts = world.attempts()
    step = 0
    while step < 10:
        garble = nth(step, is_challenge, marker + b"=not base64=")
        error = world.run(logged_in_at_last(world, mechanism), to_client=garble)
        attempts = world.attempts()
        if error is None:
            break
        assert isinstance(error, sasl.SASLError)
        assert attempts[0][-2:-1] == [("C", b"*")]
        assert words(attempts[0][-1][1]) == CANCELLED[protocol]
        step += 1
    assert step == sum(side == "S" for side, _ in attempts[0]) - 1 > 0


@every_protocol
def test_P26_whoever_goes_on_after_a_cancel_is_left(protocol: str) -> None:
    """A server that answers a cancel by another challenge would keep the client for ever."""
    world = World(protocol)
    challenge = b"+ YQ==\r\n" if protocol in ("imap", "pop3") else b"334 YQ==\r\n"
    hello = {
        "smtp": [b"220 x\r\n", b"250-x\r\n250 AUTH SCRAM-SHA-256\r\n"],
        "lmtp": [b"220 x\r\n", b"250-x\r\n250 AUTH SCRAM-SHA-256\r\n"],
        "imap": [b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256] hi\r\n"],
        "pop3": [b"+OK hi\r\n", b"+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n"],
    }[protocol]

    def server() -> Flow[None]:
        yield from write(hello[0])
        for answer in [*hello[1:], *[challenge] * 50]:
            if not (yield from read()):
                return
            yield from write(answer)

    def client(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        return (yield from log_in(world, sasl.SCRAM_SHA_256, session))

    error = world.talk(client(world.session()), server())
    assert error is not None
    assert not isinstance(error, AuthenticationFailed | sasl.SASLError)
    assert world.said("C").count(b"*") == 1


# ------------------------------------------------------------------- what each side takes and sends


@every_protocol
@every_mechanism
@pytest.mark.parametrize("room", INITIAL)
def test_P07_every_mechanism_logs_in(
    protocol: str,
    mechanism: sasl.Mechanism,
    room: int | None,
    request: pytest.FixtureRequest,
) -> None:
    """One-step and two-step alike; final data come as one more challenge before the success."""
    if room == 0:
        request.getfixturevalue("no_initial_response")
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        return (yield from log_in(world, mechanism, session))

    assert world.run(flow(world.session())) is None
    (attempt,) = world.attempts()
    command, challenges = attempt[0][1], [line for _, line in attempt if is_challenge(line)]
    empty = [line for line in challenges if line in (b"334 ", b"+ ", b"+")]
    server_first = mechanism in (sasl.LOGIN, sasl.CRAM_MD5)
    has_initial = command.split(b" ")[-1] != mechanism.name.encode()
    assert has_initial == (room is None and not server_first)
    assert bool(empty) == (not has_initial and not server_first)
    if mechanism is sasl.EXTERNAL and room is None:
        assert command.endswith(b" EXTERNAL =")
    if mechanism.name.startswith("SCRAM"):
        final = base64.b64decode(challenges[-1].partition(b" ")[2])
        assert final.startswith(b"v=")
        assert attempt[-2] == ("C", b"")


@every_protocol
@pytest.mark.parametrize("mechanism", [sasl.OAUTHBEARER, sasl.XOAUTH2], ids=ident)
@pytest.mark.parametrize("room", INITIAL)
def test_a_token_that_is_refused_gets_its_error_challenge_and_the_dummy_answer(
    protocol: str,
    mechanism: sasl.Mechanism,
    room: int | None,
    request: pytest.FixtureRequest,
) -> None:
    """RFC 7628 section 3.2.3."""
    if room == 0:
        request.getfixturevalue("no_initial_response")
    world = World(protocol)

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        wrong = sasl.TokenCredentials("alice", TOKEN[:-1])
        with pytest.raises(AuthenticationFailed, match='"status"'):
            yield from session.authenticate(wrong, mechanisms=(mechanism,))
        yield from world.probe(session)
        assert (yield from log_in(world, mechanism, session)) is None

    world.run(flow(world.session()))
    attempt = world.attempts()[0]
    error, dummy, verdict = attempt[-3:]
    assert b'"status"' in base64.b64decode(error[1].partition(b" ")[2])
    assert dummy == ("C", b"AQ==" if mechanism is sasl.OAUTHBEARER else b"")
    assert words(verdict[1]) == REFUSED[protocol]


@every_protocol
@pytest.mark.parametrize("name", [b"plain", b"Plain", b"pLAIN"])
def test_names_of_mechanisms_have_no_case(protocol: str, name: bytes) -> None:
    """On both sides: in what the server announces and in what the client asks for."""
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        return (yield from log_in(world, sasl.PLAIN, session))

    assert (
        world.run(
            flow(world.session()),
            to_server=lambda line: line.replace(b"PLAIN", name),
            to_client=lambda line: line.replace(b"PLAIN", name),
        )
        is None
    )


@every_protocol
@pytest.mark.parametrize(
    "response", [b"=", b"YQ", b"YR==", b"YQ==YQ==", b"Y Q==", b"\xff", b"**", b"YQ-_"]
)
def test_P17_a_response_that_is_not_base64_is_refused(protocol: str, response: bytes) -> None:
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        error = yield from log_in(world, sasl.LOGIN, session)
        yield from world.probe(session)
        assert (yield from log_in(world, sasl.LOGIN, session)) is None
        return error

    garble = after_commands(partial(in_the_first_attempt, world, 0, response))
    error = world.run(flow(world.session()), to_server=garble)
    assert isinstance(error, AuthenticationFailed)
    verdict = words(world.attempts()[0][-1][1])
    assert verdict.startswith((b"501 5.5.2 ", b"BAD ", b"-ERR "))
    assert b"[AUTH" not in verdict


@every_protocol
@pytest.mark.parametrize("mechanism", [sasl.LOGIN, sasl.CRAM_MD5], ids=ident)
def test_an_initial_response_where_the_server_speaks_first(
    protocol: str, mechanism: sasl.Mechanism
) -> None:
    """CRAM-MD5 refuses it (RFC 4954 section 4: 501); LOGIN takes it for the user."""
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        return (yield from log_in(world, mechanism, session))

    name = mechanism.name.encode()
    error = world.run(
        flow(world.session()), to_server=lambda line: line.replace(name, name + b" YWxpY2U=")
    )
    assert isinstance(error, sasl.SASLError | AuthenticationFailed)
    if mechanism is sasl.CRAM_MD5:
        assert words(world.attempts()[0][-1][1]) == MALFORMED[protocol]
    else:
        assert base64.b64decode(world.attempts()[0][1][1].split(b" ")[1]) == b"Password:"


@every_protocol
@pytest.mark.parametrize(
    ("user", "password"),
    [("jörg", "geheimnisträger"), ("алиса", "пароль"), ("愛麗絲", "密碼\U0001f511")],
)
@pytest.mark.parametrize(
    "mechanism",
    [sasl.PLAIN, sasl.LOGIN, sasl.CRAM_MD5, sasl.SCRAM_SHA_256, sasl.SCRAM_SHA_512_PLUS],
    ids=ident,
)
def test_names_and_passwords_are_utf8_everywhere(
    protocol: str, user: str, password: str, mechanism: sasl.Mechanism
) -> None:
    world = World(protocol, directory=Users({user: password}, cram_md5=True))

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        credentials = sasl.PasswordCredentials(user, password)
        yield from session.authenticate(credentials, mechanisms=(mechanism,))

    world.run(flow(world.session()))


@every_protocol
@pytest.mark.parametrize("mechanism", [sasl.OAUTHBEARER, sasl.XOAUTH2], ids=ident)
@pytest.mark.parametrize("size", [100, 1000, 8000])
def test_a_long_token_goes_where_there_is_room(
    protocol: str, mechanism: sasl.Mechanism, size: int
) -> None:
    """A command has at most 512 octets in SMTP, 255 in POP3, 8,192 in IMAP (RFC 7162)."""
    token = "x" * size
    world = World(protocol, directory=Everyone(token))

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        credentials = sasl.TokenCredentials("alice", token)
        yield from session.authenticate(credentials, mechanisms=(mechanism,))

    world.run(flow(world.session()))
    command, *rest = [line for side, line in world.attempts()[0] if side == "C"]
    longest = {"pop3": 255, "imap": 8192}.get(protocol, 512)
    assert len(command) + 2 <= longest
    assert bool(rest) == (size * 4 // 3 > longest)


# ------------------------------------------------------------------------------ one's own


def _mirror_client(
    credentials: sasl.AnonymousCredentials, settings: sasl.ClientSettings
) -> sasl.ClientDialogue:
    challenge = yield None
    while challenge is not None:
        challenge = yield challenge[::-1]


def _mirror_server(initial: bytes | None, settings: sasl.ServerSettings) -> sasl.ServerDialogue:
    for text in (b"one", b"", b"three"):
        if (yield sasl.Challenge(text)) != text[::-1]:
            return sasl.Failure(sasl.FailureReason.REFUSED)
    return sasl.Success("mirror", "")


MIRROR = sasl.Mechanism(
    "X-MIRROR",
    sasl.Strength.CHALLENGE,
    sasl.takes(sasl.AnonymousCredentials, _mirror_client),
    _mirror_server,
)


@every_protocol
def test_a_mechanism_of_ones_own(protocol: str) -> None:
    world = World(protocol, (MIRROR,))

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        yield from session.authenticate(sasl.AnonymousCredentials(), mechanisms=(MIRROR,))

    world.run(flow(world.session()))
    assert sum(is_challenge(line) for _, line in world.attempts()[0]) == 3


@every_protocol
@pytest.mark.parametrize("user", ["I\u00adX", "\u2168", "IX"])
@pytest.mark.parametrize(
    "mechanism", [sasl.PLAIN, sasl.LOGIN, sasl.SCRAM_SHA_1, sasl.SCRAM_SHA_256_PLUS], ids=ident
)
def test_names_and_passwords_are_prepared(
    protocol: str, user: str, mechanism: sasl.Mechanism
) -> None:
    """RFC 4013 section 3: these are one name."""
    world = World(protocol, directory=ROMAN)

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        credentials = sasl.PasswordCredentials(user, user)
        yield from session.authenticate(credentials, mechanisms=(mechanism,))

    world.run(flow(world.session()))


ROMAN = Users({"IX": "IX"})
