"""The fuzz target for the server's side of every SASL mechanism.

The client of a turn is anybody (its octets are the response) or our own client with the right or
a wrong password, its responses changed or not. What must never happen is a success that the
application did not grant, or a proof that is believed without the password.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailproto import sasl
from mailproto.errors import LocalProtocolError, MailError, SecurityError
from mailproto.testing.fuzz.case import Case, Turn
from mailproto.testing.fuzz.conversation import Violation

__all__ = ["exchange"]

_USER: Final = "user"
_PASSWORD: Final = "pencil-and-paper"
_WRONG: Final = "paper-and-pencil"
_SALT: Final = bytes(range(16))
_KEYS: Final = {
    name: sasl.ScramKeys.derive(name, _PASSWORD, _SALT)
    for name in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")
}
_BINDING: Final = sasl.ChannelBinding("tls-exporter", b"x" * 32)
_LONGEST: Final = 6
_NAMES: Final = tuple([mechanism.name for mechanism in sasl.MECHANISMS])


def exchange(data: bytes) -> None:
    """Any client against ``sasl.ServerExchange``; the mechanism is one of the options."""
    case = Case.parse(data)
    name = _NAMES[case.options % len(_NAMES)]
    honest = case.option(8)
    bindings = (_BINDING,) if case.option(9) or name.endswith("-PLUS") else ()
    offer = sasl.Offer(sasl.MECHANISMS, decoy_key=b"decoy", nonce=lambda: "n" * 24)
    server = offer.begin(name, tls=True, channel_bindings=bindings, external_identity="certified")
    assert server is not None
    _Exchange(case, server, _client(name, _PASSWORD if honest else _WRONG, bindings), honest).run()


def _client(
    name: str, password: str, bindings: tuple[sasl.ChannelBinding, ...]
) -> sasl.ClientExchange | None:
    """Our own client, for the mechanisms that work with a password."""
    try:
        return sasl.choose(
            [name],
            sasl.PasswordCredentials(_USER, password),
            tls=True,
            channel_binding=bindings[0] if bindings else None,
            nonce=lambda: "c" * 24,
        )
    except SecurityError:
        return None


class _Exchange:
    """One exchange, with what the application has granted so far."""

    def __init__(
        self,
        case: Case,
        server: sasl.ServerExchange,
        client: sasl.ClientExchange | None,
        honest: bool,
    ) -> None:
        self._case = case
        self._server = server
        self._client = client
        self._honest = honest
        self._granted: str | None = None
        self._decided = 0
        self._steps = 0

    def run(self) -> None:
        turns = list(self._case.turns)
        server = self._server
        first = turns.pop(0) if turns and self._case.option(10) else None
        step = server.start(None if first is None else self._initial(first))
        while True:
            self._steps += 1
            if self._steps > _LONGEST:
                raise Violation(f"{server.name} does not end: {step!r}")
            match step:
                case sasl.Challenge(data):
                    self._refuses(lambda: server.answer("x"))
                    if not turns:
                        step = server.cancel()
                        continue
                    turn = turns.pop(0)
                    match turn.move % 8:
                        case 6:
                            step = server.cancel()
                        case 7:
                            step = server.malformed()
                        case _:
                            step = server.respond(self._response(turn, data))
                case sasl.Verify(credentials):
                    self._refuses(lambda: server.respond(b""))
                    step = self._verify(credentials)
                case sasl.Lookup(user, scheme):
                    self._refuses(lambda: server.respond(b""))
                    step = server.answer(self._keys(user, scheme))
                case sasl.Success(identity):
                    if identity != self._granted:
                        raise Violation(f"{server.name}: success as {identity!r}, not granted")
                    break
                case sasl.Failure():
                    break
        self._refuses(lambda: server.respond(b""))
        self._refuses(lambda: server.answer("x"))
        self._refuses(server.cancel)

    def _verify(self, credentials: sasl.Credentials) -> sasl.Step:
        if isinstance(credentials, sasl.ProvenCredentials) and not self._honest:
            raise Violation(f"P07: {credentials!r} proved without the password")
        if isinstance(credentials, sasl.PasswordCredentials) and (
            len(credentials.password) > 12
            and credentials.password not in credentials.user + credentials.authorization_identity
            and credentials.password in repr(credentials)
        ):
            raise Violation(f"P16: the password is in {credentials!r}")
        self._granted = "account" if self._decide(3) else None
        return self._server.answer(self._granted)

    def _keys(self, user: str, scheme: str) -> sasl.StoredKeys | None:
        if self._decide(4) == 3:
            return None
        if scheme == "CRAM-MD5":
            return sasl.CramMD5Keys(_PASSWORD)
        return _KEYS[scheme]

    def _decide(self, count: int) -> int:
        self._decided += 1
        decisions = self._case.decisions
        return decisions[(self._decided - 1) % len(decisions)] % count

    def _initial(self, turn: Turn) -> bytes:
        if self._client is None or turn.move % 4 == 0:
            return turn.data
        return _changed(self._client.start() or b"", turn)

    def _response(self, turn: Turn, challenge: bytes) -> bytes:
        client = self._client
        if client is None or turn.move % 4 == 0:
            return turn.data
        try:
            if self._steps == 1 and not self._case.option(10) and client.start() is not None:
                response = client.start() or b""
            else:
                response = client.respond(challenge)
        except MailError:
            return turn.data  # a client that refuses to go on, as it should
        return _changed(response, turn)

    def _refuses(self, step: Callable[[], object]) -> None:
        try:
            step()
        except LocalProtocolError:
            return
        raise Violation(f"{self._server.name} took a step that was not due")


def _changed(response: bytes, turn: Turn) -> bytes:
    """An honest response, with some octets of it replaced where the turn says so."""
    if turn.move % 4 != 3 or not turn.data:
        return response
    at = turn.data[0] % (len(response) + 1)
    return response[:at] + turn.data[1:] + response[at + len(turn.data) :]
