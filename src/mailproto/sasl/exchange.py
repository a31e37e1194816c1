"""The loop of RFC 4422 section 3, both sides, for every mechanism; it knows no protocol.

A mechanism is written once for each side as a generator, a *dialogue*; the exchange drives it and
keeps the rules that all mechanisms share. Challenges and responses are octets: how they travel
(base64, ``+``, 334) is the business of the protocols, with ``mailproto.sasl.wire``.

A client's dialogue yields its initial response first (``None`` when the server speaks first) and
then responses; it is sent challenges, or ``None`` when the server reports success; it returns when
it is content and raises SASLError when it is not.

A server's dialogue yields ``Challenge``, ``Verify`` or ``Lookup``, is sent the response or the
answer, and returns ``Success`` or ``Failure``. It never decides about a password itself: it asks.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from attrs import field
from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.errors import LocalProtocolError, MailError, SecurityError
from mailproto.sasl.credentials import Credentials, StoredKeys

__all__ = [
    "Answer",
    "Challenge",
    "ClientDialogue",
    "ClientExchange",
    "ErrorResponse",
    "Failure",
    "FailureReason",
    "Lookup",
    "SASLError",
    "ServerDialogue",
    "ServerExchange",
    "ServerNotProven",
    "ServerPart",
    "Step",
    "Success",
    "Verify",
    "challenge",
    "conclude",
    "expect_challenge",
    "expect_success",
    "first_response",
    "lookup",
    "take_refusal",
    "verify",
]

_LONGEST_ERROR: Final = 2000
"""Octets of a server's error that are kept for the application."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

T = TypeVar("T")
Keys = TypeVar("Keys", bound=StoredKeys)


class SASLError(MailError):
    """The server's side of an exchange cannot be followed: the client must cancel (``*``)."""


class ServerNotProven(SASLError, SecurityError):
    """The server reported success, but did not show that it knows the user's keys (SCRAM)."""


class FailureReason(enum.Enum):
    """Why an exchange failed on the server; nothing in it tells users from passwords."""

    REFUSED = "authentication failed"
    """The credentials were not accepted: 535 5.7.8, [AUTHENTICATIONFAILED], [AUTH]."""
    MALFORMED = "the response is malformed"
    """A response was not what the mechanism defines: 501 5.5.2, BAD."""
    CANCELLED = "the client cancelled the exchange"
    """The client sent ``*``: 501 5.7.0, BAD."""


@frozen
class Challenge:
    """Send these octets to the client, and give its response to ``respond``."""

    data: bytes = field(repr=False)


@frozen
class Verify:
    """Ask the application who these credentials make the client.

    It answers with the name of the account, or ``None`` when they are not right.
    """

    credentials: Credentials


@frozen
class Lookup:
    """Ask the application what it keeps of a user's password.

    It answers with ``ScramKeys`` or ``CramMD5Keys`` as the scheme says, or with ``None`` for a
    user or a scheme that it does not know; the exchange then goes on with keys that fit nothing,
    so that the client cannot tell. They are made from the name as it stands here: whoever knows a
    user by several names answers with ``ScramKeys.decoy`` for the one that they all come to.
    """

    user: str
    scheme: str
    """``SCRAM-SHA-256`` or another of its family (never with ``-PLUS``), or ``CRAM-MD5``."""


@frozen
class Success:
    """The client is authenticated."""

    identity: str
    """The account, as the application answered."""
    user: str
    """The authentication identity as the client gave it; empty where there is none."""
    final: bytes | None = field(default=None, repr=False)
    """Octets to send with the success; only where the protocol has room for them."""


@frozen
class Failure:
    """The client is not authenticated, and the exchange is over."""

    reason: FailureReason


Step: TypeAlias = Challenge | Verify | Lookup | Success | Failure
"""What a server must do next."""

Answer: TypeAlias = str | StoredKeys | None
"""What the application answers: an account (``Verify``) or keys (``Lookup``); ``None`` is no."""


@frozen
class ErrorResponse:
    """A response of a client's dialogue to a challenge in which the server reported an error."""

    response: bytes = field(repr=False)
    error: str
    """What the server said, as one line of ASCII."""


ClientDialogue: TypeAlias = Generator[bytes | ErrorResponse | None, bytes | None, None]
"""The client's side of one mechanism."""

ServerPart: TypeAlias = Generator[Challenge | Verify | Lookup, "bytes | Answer", T]
"""A part of the server's side, with a result."""

ServerDialogue: TypeAlias = ServerPart[Success | Failure]
"""The server's side of one mechanism."""


# ------------------------------------------------------------------- the words of dialogues


def challenge(data: bytes) -> ServerPart[bytes]:
    """The client's response to ``data``."""
    response = yield Challenge(data)
    assert isinstance(response, bytes)
    return response


def first_response(initial: bytes | None) -> ServerPart[bytes]:
    """The client's first message, which is asked for where it did not come with the command."""
    return (yield from challenge(b"")) if initial is None else initial


def verify(credentials: Credentials) -> ServerPart[str | None]:
    """The application's verdict: the name of an account or ``None``."""
    answer = yield Verify(credentials)
    if answer is not None and not isinstance(answer, str):
        raise TypeError("Verify is answered with the name of an account or None")
    return answer


def lookup(user: str, scheme: str, kind: type[Keys]) -> ServerPart[Keys | None]:
    """The keys of ``user`` for ``scheme``, or ``None``."""
    answer = yield Lookup(user, scheme)
    if answer is not None and not isinstance(answer, kind):
        raise TypeError(f"a Lookup of {scheme} is answered with {kind.__name__} or None")
    return answer


def conclude(
    credentials: Credentials, user: str, final: bytes | None = None
) -> ServerPart[Success | Failure]:
    """The end of a dialogue: what the application says of ``credentials`` decides."""
    identity = yield from verify(credentials)
    if identity is None:
        return Failure(FailureReason.REFUSED)
    return Success(identity, user, final)


def expect_challenge(received: bytes | None) -> bytes:
    """The challenge; refuses the server's success, which is too early here."""
    if received is None:
        raise ServerNotProven("the server reported success before the mechanism was finished")
    return received


def take_refusal(error: bytes, dummy: bytes) -> ClientDialogue:
    """The end after an ``error`` that the server has told in a challenge: nothing but its refusal.

    ``dummy`` is what the mechanism answers to the challenge.
    """
    text = _CONTROL.sub(_escaped, error[:_LONGEST_ERROR].decode("ascii", "backslashreplace"))
    if (yield ErrorResponse(dummy, text)) is None:
        raise ServerNotProven(f"the server reported an error and then success: {text}")
    raise SASLError("the server sent a challenge after the end of the mechanism")


def _escaped(character: re.Match[str]) -> str:
    return f"\\x{ord(character[0]):02x}"


def expect_success(received: bytes | None) -> None:
    """Refuse anything but the server's success: the client's side has said all it has to say."""
    if received is not None:
        raise SASLError("the server sent a challenge after the last response of the mechanism")


# ---------------------------------------------------------------------------- the two ends


class ClientExchange:
    """The client's side of one authentication.

    ::

        exchange = sasl.choose(offered, credentials, tls=True)
        initial = exchange.start()              # octets or None
        response = exchange.respond(challenge)  # as often as the server sends a challenge
        exchange.succeed()                      # the server said yes; raises if it is not proven

    Every method raises SASLError when the server's side makes no sense; the protocol then sends
    ``*`` and waits for the refusal.
    """

    __slots__ = ("_deferred", "_dialogue", "_done", "_initial", "name", "server_error")

    def __init__(self, name: str, dialogue: ClientDialogue) -> None:
        self.name: str = name
        """The mechanism's name for the AUTH or AUTHENTICATE command."""
        self.server_error: str | None = None
        """What the server said of its refusal inside the mechanism: the JSON of OAUTHBEARER, the
        ``e=`` of SCRAM; one line of ASCII."""
        self._dialogue: ClientDialogue | None = dialogue
        self._done = False
        self._deferred = False
        first = next(dialogue)  # credentials that the mechanism cannot express are refused here
        assert not isinstance(first, ErrorResponse)
        self._initial = first

    def __repr__(self) -> str:
        return f"<ClientExchange {self.name}>"

    def start(self, room: int | None = None) -> bytes | None:
        """The initial response, or ``None`` when none goes with the command.

        ``room`` is how many octets the protocol can carry with its command, before base64; 0 means
        none at all, not even an empty one. What does not fit is the answer to the first challenge,
        which is empty then.
        """
        initial = self._initial
        if initial is not None and room is not None and (room == 0 or len(initial) > room):
            self._deferred = True
            return None
        return initial

    def respond(self, challenge: bytes) -> bytes:
        """The response to a challenge. Raises SASLError."""
        if self._deferred:
            self._deferred = False
            if challenge:
                raise self._over("the server's first challenge should be empty")
            assert self._initial is not None
            return self._initial
        response = self._resume(challenge)
        # A dialogue that ends on a challenge has got the final data there; RFC 4422 section 3.5
        # has the client answer them with an empty response.
        return b"" if response is None else response

    def succeed(self, final: bytes | None = None) -> None:
        """Take note that the server reported success, with ``final`` data where there were any.

        Raises ServerNotProven or SASLError when the mechanism cannot accept that.
        """
        if self._deferred:
            raise self._over("the server reported success before it got the initial response")
        if self._done and final is None:
            return
        if self._resume(final) is not None:
            raise self._over("the server reported success before the mechanism was finished")

    def _resume(self, received: bytes | None) -> bytes | None:
        dialogue = self._dialogue
        if dialogue is None or self._done:
            raise self._over("the server sent more after the mechanism was finished")
        try:
            response = dialogue.send(received)
        except StopIteration:
            self._done = True
            return None
        except SASLError:
            self._dialogue = None
            raise
        if isinstance(response, ErrorResponse):
            self.server_error = response.error
            return response.response
        assert response is not None
        return response

    def _over(self, message: str) -> SASLError:
        self._dialogue = None
        self._done = False
        return SASLError(f"{self.name}: {message}")


class ServerExchange:
    """The server's side of one authentication.

    ::

        step = exchange.start(initial_response)     # octets or None
        step = exchange.respond(response)           # after a Challenge
        step = exchange.answer(account_or_keys)     # after a Verify or a Lookup
        step = exchange.cancel()                    # the client sent "*": a Failure

    SMTP, IMAP and POP3 have no room for final data beside their success: there they travel as one
    more challenge, which the client answers with nothing (RFC 4422 section 3.5). That is the
    default; ``final_with_success`` puts them into ``Success.final`` instead.
    """

    __slots__ = ("_awaits_end", "_begin", "_dialogue", "_final_with_success", "_step", "name")

    def __init__(
        self,
        name: str,
        begin: Callable[[bytes | None], ServerDialogue],
        *,
        final_with_success: bool = False,
    ) -> None:
        self.name: str = name
        """The mechanism's name."""
        self._begin = begin
        self._dialogue: ServerDialogue | None = None
        self._final_with_success = final_with_success
        self._step: Step | None = None
        self._awaits_end: Success | None = None

    def __repr__(self) -> str:
        return f"<ServerExchange {self.name}>"

    def start(self, initial: bytes | None = None) -> Step:
        """The first step, given the initial response, ``None`` when the command had none.

        An empty initial response (``=`` in the command) is ``b""``, not ``None``.
        """
        if self._step is not None:
            raise LocalProtocolError(f"{self.name}: the exchange has been started already")
        self._dialogue = self._begin(initial)
        return self._resume(None)

    def respond(self, response: bytes) -> Step:
        """The next step, given the client's response to a ``Challenge``."""
        if not isinstance(self._step, Challenge):
            raise LocalProtocolError(f"{self.name}: no challenge waits for a response")
        success = self._awaits_end
        if success is None:
            return self._resume(response)
        self._awaits_end = None
        self._step = Failure(FailureReason.MALFORMED) if response else success
        return self._step

    def answer(self, answer: Answer) -> Step:
        """The next step, given the application's answer to a ``Verify`` or a ``Lookup``."""
        if not isinstance(self._step, Verify | Lookup):
            raise LocalProtocolError(f"{self.name}: no question waits for an answer")
        return self._resume(answer)

    def cancel(self) -> Failure:
        """End the exchange because the client sent ``*``."""
        return self._fail(FailureReason.CANCELLED)

    def malformed(self) -> Failure:
        """End the exchange because a response was not base64."""
        return self._fail(FailureReason.MALFORMED)

    def _fail(self, reason: FailureReason) -> Failure:
        if isinstance(self._step, Success | Failure):
            raise LocalProtocolError(f"{self.name}: the exchange is over")
        if self._dialogue is not None:
            self._dialogue.close()
        self._step = failure = Failure(reason)
        return failure

    def _resume(self, received: bytes | Answer) -> Step:
        dialogue = self._dialogue
        assert dialogue is not None
        try:
            # A fresh generator takes None only, which is what start() sends.
            self._step = dialogue.send(received)
        except StopIteration as end:
            self._step = self._ended(end.value)
        return self._step

    def _ended(self, outcome: Success | Failure) -> Step:
        if isinstance(outcome, Failure) or outcome.final is None or self._final_with_success:
            return outcome
        self._awaits_end = Success(outcome.identity, outcome.user)
        return Challenge(outcome.final)
