"""P07: whoever takes away from an offer, or from an exchange, is found out in whole sessions."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from flows.sasl_world import (
    BINDING,
    CANCELLED,
    EVERYONE,
    PASSWORD,
    PROTOCOLS,
    REFUSED,
    Tamper,
    World,
    ident,
    is_challenge,
    log_in,
    words,
)
from mailproto import sasl
from mailproto.errors import AuthenticationFailed, LocalProtocolError, MailError, SecurityError
from mailproto.flows.effects import Flow, Secured

ALICE = sasl.PasswordCredentials("alice", PASSWORD)
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


# ------------------------------------------------------------------- what a false server may say


def forged(old: bytes, new: bytes) -> Tamper:
    """Changes what stands inside the challenges."""

    def change(line: bytes) -> bytes:
        head, _, challenge = line.partition(b" ")
        if not is_challenge(line) or old not in base64.b64decode(challenge):
            return line
        return head + b" " + base64.b64encode(base64.b64decode(challenge).replace(old, new))

    return change


def cancelled(world: World, lie: Tamper, error: type[sasl.SASLError]) -> None:
    """The client cancels, says why, and logs in on the same connection once nobody lies."""

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        with pytest.raises(error):
            yield from session.authenticate(ALICE)
        yield from world.probe(session)
        yield from session.authenticate(ALICE)

    world.run(
        flow(world.session()),
        to_client=lambda line: lie(line) if len(world.attempts()) == 1 else line,
    )
    first, second = world.attempts()
    assert first[-2] == ("C", b"*")
    assert words(first[-1][1]) == CANCELLED[world.protocol]
    assert second[-2] == ("C", b"")


@every_protocol
@pytest.mark.parametrize("count", [b"1", b"4095", b"1000001", b"99999999999999999999"])
def test_P07_an_iteration_count_out_of_bounds_is_cancelled_without_any_work(
    protocol: str, count: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[int] = []
    derive = hashlib.pbkdf2_hmac

    def pbkdf2_hmac(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        work.append(iterations)
        return derive(name, password, salt, iterations)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", pbkdf2_hmac)
    cancelled(World(protocol), forged(b",i=4096", b",i=" + count), sasl.SASLError)
    assert work == [4096]  # of the login that was good


@every_protocol
def test_P07_a_signature_that_is_not_the_users_is_cancelled(protocol: str) -> None:
    """The server has accepted the client's proof by then, and does not log him in all the same."""

    def lie(line: bytes) -> bytes:
        head, _, challenge = line.partition(b" ")
        if not is_challenge(line) or not base64.b64decode(challenge).startswith(b"v="):
            return line
        return head + b" " + base64.b64encode(b"v=" + base64.b64encode(bytes(64)))

    cancelled(World(protocol), lie, sasl.ServerNotProven)


@every_protocol
def test_P07_a_nonce_that_does_not_begin_with_the_clients_is_cancelled(protocol: str) -> None:
    cancelled(World(protocol), forged(b"r=", b"r=another"), sasl.SASLError)


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
