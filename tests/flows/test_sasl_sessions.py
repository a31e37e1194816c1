"""SASL in whole sessions of every protocol: what goes over the wire when it does not go well."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from flows.sasl_world import (
    BINDING,
    CREDENTIALS,
    EVERYONE,
    PASSWORD,
    PROTOCOLS,
    TOKEN,
    Tamper,
    World,
    ident,
    is_challenge,
    words,
)
from mailproto import sasl
from mailproto.errors import AuthenticationFailed, LocalProtocolError, MailError, SecurityError
from mailproto.flows.effects import Flow, Secured, read, write

ALICE = sasl.PasswordCredentials("alice", PASSWORD)
CANCELLED = {
    "smtp": b"501 5.7.0 Authentication cancelled",
    "lmtp": b"501 5.7.0 Authentication cancelled",
    "imap": b"BAD the client cancelled the exchange",
    "pop3": b"-ERR the client cancelled the exchange",
}
REFUSED = {
    "smtp": b"535 5.7.8 Authentication failed",
    "lmtp": b"535 5.7.8 Authentication failed",
    "imap": b"NO [AUTHENTICATIONFAILED] the credentials are not right",
    "pop3": b"-ERR [AUTH] the user name or the password is wrong",
}
MALFORMED = {
    "smtp": b"501 5.5.2 The response is malformed",
    "lmtp": b"501 5.5.2 The response is malformed",
    "imap": b"BAD the response is malformed",
    "pop3": b"-ERR the response is malformed",
}
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


def log_in(
    world: World, mechanism: sasl.Mechanism, session: Any, **options: Any
) -> Flow[MailError | None]:
    """What a login raises."""
    try:
        yield from session.authenticate(CREDENTIALS[mechanism], mechanisms=(mechanism,), **options)
    except MailError as error:
        return error
    return None


# -------------------------------------------------------------------------------- the cancel


@pytest.mark.usefixtures("no_initial_response")
@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@every_mechanism
def test_P26_a_client_may_cancel_at_every_step(protocol: str, mechanism: sasl.Mechanism) -> None:
    """The server says so in the words of the protocol, and the same connection logs in then."""
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        error = yield from log_in(world, mechanism, session)
        if error is not None:
            yield from world.probe(session)
            assert (yield from log_in(world, mechanism, session)) is None
        return error

    attempts = world.attempts()
    step = 0
    while step < 10:
        cancel = after_commands(partial(in_the_first_attempt, world, step, b"*"))
        error = world.run(flow(world.session()), to_server=cancel)
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

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        error = yield from log_in(world, mechanism, session)
        if error is not None:
            yield from world.probe(session)
            assert (yield from log_in(world, mechanism, session)) is None
        return error

    attempts = world.attempts()
    step = 0
    while step < 10:
        garble = nth(step, is_challenge, marker + b"=not base64=")
        error = world.run(flow(world.session()), to_client=garble)
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
    from mailproto.backend.directory import Users

    world = World(protocol, directory=Users({user: password}, cram_md5=True))

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        credentials = sasl.PasswordCredentials(user, password)
        yield from session.authenticate(credentials, mechanisms=(mechanism,))

    world.run(flow(world.session()))


# --------------------------------------------------------------------------- channel binding

BOUND = [mechanism for mechanism in sasl.MECHANISMS if mechanism.binds]
UNIQUE = sasl.tls_unique(b"finished 1.2", "TLSv1.2")
END_POINT = sasl.ChannelBinding("tls-server-end-point", bytes(32))


def without_plus(line: bytes) -> bytes:
    """The line of a server's offer, as somebody on the wire leaves it."""
    return b" ".join(word for word in line.split(b" ") if not word.endswith(b"-PLUS"))


@every_protocol
@pytest.mark.parametrize("mechanism", BOUND, ids=ident)
@pytest.mark.parametrize("binding", [BINDING, UNIQUE, END_POINT], ids=lambda b: b.type)
@pytest.mark.parametrize("same", [True, False])
def test_P07_a_binding_from_outside_must_be_the_servers(
    protocol: str, mechanism: sasl.Mechanism, binding: sasl.ChannelBinding, same: bool
) -> None:
    """Also tls-exporter, which no handshake of Python's ``ssl`` gives yet (RFC 9266)."""
    world = World(protocol, secured=Secured((UNIQUE, END_POINT, BINDING)))
    mine = binding if same else sasl.ChannelBinding(binding.type, b"\xff" + binding.data[1:])

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        return (yield from log_in(world, mechanism, session, channel_binding=mine))

    error = world.run(flow(world.session()))
    if same:
        assert error is None
    else:
        assert isinstance(error, AuthenticationFailed)
        assert words(world.attempts()[0][-1][1]) == REFUSED[protocol]


@every_protocol
def test_P07_tls_unique_is_not_a_binding_of_TLS_1_3(protocol: str) -> None:
    """RFC 9266 section 3: nobody makes one, and a server that has none refuses it."""
    with pytest.raises(LocalProtocolError, match=r"TLSv1\.3"):
        sasl.tls_unique(b"finished 1.3", "TLSv1.3")
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        return (yield from log_in(world, sasl.SCRAM_SHA_256_PLUS, session, channel_binding=UNIQUE))

    error = world.run(flow(world.session()))
    assert isinstance(error, AuthenticationFailed)
    # Refused at the first message: there is nothing to compare with.
    assert [side for side, _ in world.attempts()[0]] == ["C", "S"]
    assert words(world.attempts()[0][-1][1]) == REFUSED[protocol]


@every_protocol
def test_P07_a_client_that_could_bind_and_was_told_otherwise_is_refused(protocol: str) -> None:
    """Somebody takes the -PLUS names away: the client says "y", and the server knows better."""
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        try:
            yield from session.authenticate(ALICE)
        except MailError as error:
            return error
        return None

    error = world.run(flow(world.session()), to_client=without_plus)
    assert isinstance(error, AuthenticationFailed)
    ((command, verdict),) = world.attempts()
    name, initial = command[1].split(b" ")[-2:]
    assert name == b"SCRAM-SHA-512"
    assert base64.b64decode(initial).startswith(b"y,,n=alice,r=")
    assert words(verdict[1]) == REFUSED[protocol]
    # Before anything of the user was asked for.
    assert EVERYONE.lookups == []


@every_protocol
@pytest.mark.parametrize("flag", [b"n,,", b"p=tls-exporter,,"])
def test_P07_the_flag_cannot_be_changed_on_the_way(protocol: str, flag: bytes) -> None:
    """Who takes the -PLUS names away and says "n" for the client is found by the proof."""
    world = World(protocol)

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        try:
            yield from session.authenticate(ALICE)
        except MailError as error:
            return error
        return None

    def forge(line: bytes) -> bytes:
        head, _, initial = line.rpartition(b" ")
        if b"AUTH" not in head:
            return line
        message = base64.b64decode(initial).replace(b"y,,", flag)
        return head + b" " + base64.b64encode(message)

    error = world.run(flow(world.session()), to_client=without_plus, to_server=forge)
    assert isinstance(error, AuthenticationFailed)
    assert words(world.attempts()[0][-1][1]) == REFUSED[protocol]


@every_protocol
@pytest.mark.parametrize("flag", ["y", "n"])
def test_P07_a_server_that_offers_plus_refuses_y_and_takes_n(protocol: str, flag: str) -> None:
    """RFC 5802 section 6; "n" is a client that knows of no binding."""
    world = World(protocol)
    seen: list[bytes] = []

    def flow(session: Any) -> Flow[MailError | None]:
        yield from world.open(session)
        # A client that could bind, and does not see the names of the others.
        binding = {"channel_binding": BINDING} if flag == "y" else {}
        known = sasl.MECHANISMS if flag == "y" else [sasl.SCRAM_SHA_256]
        try:
            yield from session.authenticate(ALICE, mechanisms=known, **binding)
        except MailError as error:
            return error
        return None

    def note(line: bytes) -> bytes:
        seen.append(line)
        return line

    hide = without_plus if flag == "y" else (lambda line: line)
    error = world.run(flow(world.session(Secured())), to_client=hide, to_server=note)
    first = next(line for line in seen if b"AUTH" in line).split(b" ")[-1]
    assert base64.b64decode(first)[:2] == flag.encode() + b","
    assert (error is None) == (flag == "n")


@every_protocol
def test_a_server_that_cannot_bind_takes_y(protocol: str) -> None:
    world = World(protocol, secured=Secured())

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        yield from session.authenticate(ALICE, channel_binding=BINDING)

    world.run(flow(world.session()))
    initial = world.attempts()[0][0][1].split(b" ")[-1]
    assert base64.b64decode(initial).startswith(b"y,,")


# ------------------------------------------------------------------------------- the floor


def only(*names: bytes) -> Tamper:
    """An offer in which nothing is left but ``names``; without any, no offer."""

    def change(line: bytes) -> bytes:
        kept = [b"AUTH=" + name for name in names] + list(names)
        return b" ".join(
            word
            for word in line.split(b" ")
            if word in kept
            or not (
                word.startswith(b"AUTH=")
                or any(word == mechanism.name.encode() for mechanism in sasl.MECHANISMS)
            )
        )

    return change


def gone(line: bytes) -> bytes:
    """No trace of an offer."""
    line = only()(line)
    return {b"250-AUTH": b"250-X", b"SASL": b"X"}.get(line, line)


@every_protocol
@pytest.mark.parametrize(
    ("left", "floor", "says"),
    [
        (gone, "PLAINTEXT", "offers no AUTH at all: it may do so under TLS only, or somebody"),
        (only(), "PLAINTEXT", "no AUTH at all"),
        (only(b"ANONYMOUS"), "PLAINTEXT", "offers ANONYMOUS: none of them takes Password"),
        (only(b"PLAIN"), "CHALLENGE", "PLAIN is weaker than CHALLENGE, only a lower floor would"),
        (only(b"PLAIN", b"LOGIN"), "MUTUAL", "PLAIN is weaker than MUTUAL.*LOGIN is weaker"),
        (only(b"CRAM-MD5"), "MUTUAL", "CRAM-MD5 is weaker than MUTUAL"),
        (without_plus, "BOUND", "SCRAM-SHA-512 is weaker than BOUND, only a lower floor would"),
    ],
)
def test_P07_an_offer_below_the_floor_is_an_error_that_says_what_would_help(
    protocol: str, left: Tamper, floor: str, says: str
) -> None:
    world = World(protocol)

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        with pytest.raises(SecurityError, match=says) as caught:
            yield from session.authenticate(ALICE, floor=sasl.Strength[floor])
        assert PASSWORD not in str(caught.value)
        yield from world.probe(session)

    world.run(flow(world.session()), to_client=left)
    assert world.attempts() == []


@every_protocol
def test_P07_a_floor_of_bound_without_a_binding_says_so(protocol: str) -> None:
    world = World(protocol)

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        with pytest.raises(SecurityError, match="SCRAM-SHA-1-PLUS needs a channel_binding"):
            yield from session.authenticate(ALICE, floor=sasl.Strength.BOUND)

    world.run(flow(world.session(Secured())))
    assert world.attempts() == []
