"""The client's conversations of SMTP and LMTP, as flows over a ``smtp.Client``.

Commands that a program sends one by one return their reply as data. What a session cannot go on
without raises: the greeting, EHLO, STARTTLS, AUTH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from email.message import Message
from itertools import islice
from typing import Final, TypeAlias

from mailproto import sasl
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    LocalProtocolError,
    MailError,
    RemoteProtocolError,
    SecurityError,
    TransportError,
)
from mailproto.flows.authentication import server_has_proved_itself
from mailproto.flows.effects import Flow, close, deadline, read, start_tls, write
from mailproto.flows.smtp_message import envelope_of, flatten
from mailproto.flows.smtp_result import DeliveryUnknown, RecipientResult, SendResult
from mailproto.smtp import (
    Auth,
    AuthCancel,
    AuthResponse,
    Bdat,
    Body,
    BodyType,
    Capabilities,
    Challenge,
    Client,
    Command,
    ConnectionClosed,
    Data,
    Ehlo,
    EndOfMessage,
    Expn,
    ForwardPath,
    Helo,
    Help,
    Lhlo,
    Mail,
    Mailbox,
    MailParameter,
    Noop,
    Quit,
    Rcpt,
    Reply,
    ReversePath,
    Rset,
    StartTLS,
    State,
    Vrfy,
)
from mailproto.smtp.states import NAMES

__all__ = ["Content", "Session"]

Content: TypeAlias = bytes | Iterable[bytes] | Message
"""A message: its octets whole or in pieces, with CRLF, or an ``email.message.EmailMessage``."""

_PIECE: Final = 256 * 1024
# RCPT commands in one write: a server that answers at once cannot fill the buffers both ways.
_GROUP: Final = 100
# An initial response of AUTH that keeps its line under 12,288 octets (RFC 4954 section 4).
_ROOM: Final = 9000


class Session:
    """A client's conversations with one server; every method is a flow.

    ``domain`` is how the client names itself in EHLO. ``timeout`` replaces the RFC's time for
    every phase; a phase is the wait for one reply, or the sending of one piece of content.
    """

    def __init__(
        self, machine: Client, domain: str = "localhost", *, timeout: float | None = None
    ) -> None:
        self.machine = machine
        self._domain = domain
        self._timeout = timeout

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server has offered."""
        return self.machine.capabilities

    # --- beginning and end

    def begin(self, *, starttls: bool = False) -> Flow[Reply]:
        """Await the greeting, say EHLO, upgrade to TLS if asked to; the greeting.

        Raises CommandFailed when the server refuses, SecurityError when TLS is not to be had.
        """
        greeting = _expect("the greeting", (yield from self._reply()))
        yield from self.hello()
        if starttls:
            yield from self.starttls()
        return greeting

    def hello(self) -> Flow[Capabilities]:
        """Say EHLO, or HELO where that is refused, or LHLO. Raises CommandFailed."""
        if self.machine.lmtp:
            _expect("LHLO", (yield from self.call(Lhlo(self._domain))))
        else:
            reply = yield from self.call(Ehlo(self._domain))
            if reply.permanent:
                reply = yield from self.call(Helo(self._domain))
            _expect("EHLO", reply)
        assert self.machine.capabilities is not None
        return self.machine.capabilities

    def starttls(self) -> Flow[None]:
        """Upgrade to TLS and say EHLO again. Raises SecurityError when the server will not."""
        if not self.machine.offers("STARTTLS"):
            raise SecurityError("the server does not offer STARTTLS")
        reply = yield from self.call(StartTLS())
        if not reply.positive:
            raise SecurityError(f"the server refused STARTTLS: {reply}")
        # Octets behind the reply are found here: they were never under TLS.
        self.machine.next_event()
        yield from self._arm()
        yield from start_tls()
        self.machine.start_tls()
        yield from self.hello()

    def authenticate(
        self,
        credentials: sasl.Credentials,
        *,
        floor: sasl.Strength = sasl.Strength.ANONYMOUS,
        channel_binding: sasl.ChannelBinding | None = None,
        mechanisms: Sequence[sasl.Mechanism] = sasl.MECHANISMS,
    ) -> Flow[Reply]:
        """Log in by the strongest mechanism that both sides have; the server's 235.

        Raises SecurityError when no mechanism is acceptable, AuthenticationFailed when the
        server refuses, SASLError when its part of the exchange is wrong.
        """
        if not (self.machine.tls or self.machine.allow_insecure_auth):
            raise SecurityError("AUTH without TLS; allow_insecure_auth=True would permit it")
        self._expect_silence()
        offered = self.machine.capabilities.mechanisms if self.machine.capabilities else ()
        exchange = sasl.choose(
            offered,
            credentials,
            tls=self.machine.tls,
            floor=floor,
            allow_insecure_auth=self.machine.allow_insecure_auth,
            channel_binding=channel_binding,
            mechanisms=mechanisms,
        )
        self.machine.send(Auth(exchange.name, exchange.start(_ROOM)))
        event = yield from self._event()
        while isinstance(event, Challenge):
            try:
                response = exchange.respond(event.data)
            except sasl.SASLError as error:
                yield from self._cancel_auth(error)
                raise
            self.machine.send(AuthResponse(response))
            event = yield from self._event()
        if self.machine.state is State.AUTHENTICATING:
            malformed = sasl.SASLError("the server's challenge is not base64")
            yield from self._cancel_auth(malformed)
            raise malformed
        if not event.positive:
            raise AuthenticationFailed(
                "AUTH", str(event), code=str(event.code), temporary=event.temporary
            )
        yield from server_has_proved_itself(exchange)
        return event

    def _cancel_auth(self, error: sasl.SASLError) -> Flow[None]:
        """Give up the exchange; a server that calls that a success is left."""
        reply = yield from self.call(AuthCancel())
        if reply.positive:
            yield from close()
            raise sasl.ServerNotProven("the server reported success for a cancel") from error

    def quit(self) -> Flow[None]:
        """Say goodbye, as far as the connection still allows it."""
        machine = self.machine
        if machine.failed or machine.closing or machine.state is State.CONTENT:
            return
        try:
            yield from self.call(Quit())
        except (MailError, ConnectionError):
            # The server may have gone already, and nothing depends on its answer.
            return

    # --- single commands

    def call(self, command: Command) -> Flow[Reply]:
        """The reply to any one command, as data."""
        self._expect_silence()
        self.machine.send(command)
        return (yield from self._reply())

    def verify(self, text: str) -> Flow[Reply]:
        """VRFY: is this a user or mailbox?"""
        return (yield from self.call(Vrfy(text, not text.isascii())))

    def expand(self, text: str) -> Flow[Reply]:
        """EXPN: who is on this list?"""
        return (yield from self.call(Expn(text, not text.isascii())))

    def help(self, topic: str = "") -> Flow[Reply]:
        """HELP: what the server says about itself."""
        return (yield from self.call(Help(topic)))

    def noop(self) -> Flow[Reply]:
        """NOOP: is the server there?"""
        return (yield from self.call(Noop()))

    def reset(self) -> Flow[Reply]:
        """RSET: end any transaction."""
        return (yield from self.call(Rset()))

    # --- sending

    def send(
        self,
        content: Content,
        reverse_path: ReversePath | str | None = None,
        forward_paths: Iterable[ForwardPath | Rcpt | str] | None = None,
        *,
        size: int | None = None,
        parameters: tuple[MailParameter, ...] = (),
        body: BodyType | None = None,
        chunking: bool | None = None,
    ) -> Flow[SendResult]:
        """Send one message; what became of it for each recipient is data.

        Without paths they are those of the header of a ``Message``: Sender or From, and To, Cc
        and Bcc. ``size`` is the number of octets of content in pieces. ``parameters`` go with
        MAIL; a recipient with parameters is given as ``Rcpt``. ``body`` says what the content is
        where its octets do not: BINARY_MIME has them all go as they are. With ``chunking`` BDAT
        is used, without it DATA; unsaid it is BDAT where that saves a round trip.

        Raises LocalProtocolError, before anything is sent, for what cannot be sent, and
        DeliveryUnknown when the connection ends after the content was sent and before it was
        answered.
        """
        sender, recipients = envelope_of(content, reverse_path, forward_paths)
        smtputf8 = not all(
            path.is_ascii
            for path in (sender, *(r.forward_path for r in recipients))
            if isinstance(path, Mailbox)
        )
        offers_8bit = self.machine.offers("8BITMIME")
        if isinstance(content, Message):
            content = flatten(content, utf8=smtputf8, eight_bit=offers_8bit)
        binary = body is BodyType.BINARY_MIME
        if chunking is None:
            offered = self.machine.offers("CHUNKING") and not self.machine.offers("PIPELINING")
            chunking = binary or (offered and isinstance(content, bytes))
        elif binary and not chunking:
            raise LocalProtocolError("content that is BINARYMIME is sent by BDAT, not by DATA")
        if chunking and not self.machine.offers("CHUNKING"):
            raise LocalProtocolError("BDAT needs CHUNKING, which the server has not offered")
        if isinstance(content, bytes):
            if chunking and not (binary or content.endswith(b"\r\n")):
                # As the end of content after DATA has it.
                content += b"\r\n"
            if not binary:
                self.machine.check_content(content, chunks=chunking)
            size = len(content)
            eight_bit = not content.isascii()
        else:
            eight_bit = offers_8bit
        mail = Mail(
            sender,
            size if self.machine.offers("SIZE") else None,
            body or (BodyType.EIGHT_BIT_MIME if eight_bit and offers_8bit else None),
            smtputf8,
            None,
            parameters,
        )
        self.machine.check_transaction(mail, recipients)
        self._expect_silence()
        replies, refusal = yield from self._begin_transaction(mail, recipients, chunking)
        accepted = [number for number, reply in enumerate(replies) if reply.positive]
        if refusal is not None:
            # Each recipient that was accepted fails with DATA, the others for their own reason.
            results = [reply if not reply.positive else refusal for reply in replies]
            yield from self._end_transaction()
            return _result(recipients, results, None)
        spread = _spread_lmtp if self.machine.lmtp else _spread
        send = self._send_chunks if chunking else self._send_content
        finals = yield from send(
            content if accepted else b"",
            lambda known: _result(recipients, spread(replies, accepted, known), None),
        )
        yield from self._end_transaction()
        final = finals[-1] if accepted else None
        return _result(recipients, spread(replies, accepted, finals), final)

    def _end_transaction(self) -> Flow[None]:
        """Say RSET where something of the transaction is left."""
        if self.machine.state is not State.READY and not self.machine.closing:
            yield from self.reset()

    def _begin_transaction(
        self, mail: Mail, recipients: Sequence[Rcpt], chunking: bool
    ) -> Flow[tuple[list[Reply], Reply | None]]:
        """The replies to RCPT, or that to MAIL for each, and why no content can be sent."""
        machine = self.machine
        machine.send(mail)
        if not machine.offers("PIPELINING"):
            answer = yield from self._reply()
            if not answer.positive:
                return [answer] * len(recipients), answer
            replies: list[Reply] = []
            for recipient in recipients:
                replies.append((yield from self.call(recipient)))
                if machine.closing:
                    break
            refused = next((reply for reply in reversed(replies) if not reply.positive), None)
            if machine.closing:
                replies += [replies[-1]] * (len(recipients) - len(replies))
            if refused is not None and (machine.closing or not machine.recipients):
                return replies, refused
            if chunking:
                return replies, None
            return replies, _refusal((yield from self.call(Data())))
        return (yield from self._begin_pipelined(recipients, chunking))

    def _begin_pipelined(
        self, recipients: Sequence[Rcpt], chunking: bool
    ) -> Flow[tuple[list[Reply], Reply | None]]:
        machine = self.machine
        mail: Reply | None = None
        replies: list[Reply] = []
        waiting = iter(recipients)
        sent = 0
        while sent < len(recipients):
            for recipient in islice(waiting, _GROUP):
                machine.send(recipient)
                sent += 1
            if sent == len(recipients) and not chunking:
                machine.send(Data())
            if mail is None:
                mail = yield from self._reply()
            while len(replies) < sent and not machine.closing:
                replies.append((yield from self._reply()))
            if machine.closing:
                last = replies[-1] if replies else mail
                return replies + [last] * (len(recipients) - len(replies)), last
            if not mail.positive and sent < len(recipients):
                return [mail] * len(recipients), mail
        assert mail is not None
        if not mail.positive:
            replies = [mail] * len(recipients)
        if not chunking:
            return replies, _refusal((yield from self._reply()))
        return replies, None if machine.recipients else _refusal(replies[-1])

    def _send_chunks(
        self, content: bytes | Iterable[bytes], result: Callable[[list[Reply]], SendResult]
    ) -> Flow[list[Reply]]:
        """Send the content by BDAT, octets as one chunk and pieces as one chunk each."""
        machine = self.machine
        if isinstance(content, bytes):
            pieces = _pieces(content)
            machine.send(Bdat(len(content), last=True))
            # The command and the first octets go out in one write.
            for piece in islice(pieces, 1):
                machine.send(Body(piece))
            return (yield from self._finish(pieces, (), result))
        for piece in content:
            machine.send(Bdat(len(piece)))
            try:
                machine.send(Body(piece))
            except LocalProtocolError:
                # The octets that were promised will not come.
                yield from close()
                raise
            reply = yield from self._reply()
            if not reply.positive or machine.closing:
                return [reply] * (machine.recipients if machine.lmtp else 1)
        machine.send(Bdat(0, last=True))
        return (yield from self._finish(b"", (), result))

    def _send_content(
        self, content: bytes | Iterable[bytes], result: Callable[[list[Reply]], SendResult]
    ) -> Flow[list[Reply]]:
        """Send the content after DATA, and its end."""
        return (yield from self._finish(content, (EndOfMessage(),), result))

    def _finish(
        self,
        content: bytes | Iterable[bytes],
        end: Iterable[Command],
        result: Callable[[list[Reply]], SendResult],
    ) -> Flow[list[Reply]]:
        """Send the rest of the content; the replies, in LMTP one for each accepted recipient."""
        machine = self.machine
        expected = machine.recipients if machine.lmtp else 1
        try:
            for piece in _pieces(content):
                if waiting := machine.data_to_send():
                    yield from self._arm()
                    yield from write(waiting)
                machine.send(Body(piece))
            for command in end:
                machine.send(command)
        except LocalProtocolError:
            # Half a message is out, and nothing but the end of the connection takes it back.
            yield from close()
            raise
        replies: list[Reply] = []
        try:
            while len(replies) < expected and not machine.closing:
                replies.append((yield from self._reply()))
        except (TransportError, RemoteProtocolError) as error:
            # From the first octet of the terminator or last chunk on, the server may have it all.
            message = f"no reply to the content: {error}"
            raise DeliveryUnknown(message, result(replies)) from error
        return replies + replies[-1:] * (expected - len(replies))

    def content(self, data: bytes) -> Flow[None]:
        """Send a piece of content, after ``call(Data())`` was answered with 354.

        The end of it is ``call(EndOfMessage())``.
        """
        self.machine.send(Body(data))
        yield from self._arm()
        yield from write(self.machine.data_to_send())

    # --- waiting

    def _arm(self) -> Flow[None]:
        yield from deadline(self._timeout or self.machine.timeout_hint)

    def _expect_silence(self) -> None:
        """See that nothing has come that would be taken for the reply to the next command."""
        if self.machine.pending or self.machine.awaiting_tls:
            return
        event = self.machine.next_event()
        if isinstance(event, Reply):
            raise ConnectionLost(f"the server closes the connection: {event}")

    def _reply(self) -> Flow[Reply]:
        event = yield from self._event()
        if isinstance(event, Challenge):
            name = NAMES[type(self.machine.answered)]
            raise RemoteProtocolError(f"a challenge does not answer {name}")
        return event

    def _event(self) -> Flow[Reply | Challenge]:
        """Send what waits, and read until something answers it, within the time of its phase."""
        machine = self.machine
        yield from self._arm()
        yield from write(machine.data_to_send())
        ended = False
        while True:
            try:
                event = machine.next_event()
            except RemoteProtocolError as error:
                if ended:
                    raise ConnectionLost(str(error)) from None
                raise
            if isinstance(event, Reply | Challenge):
                return event
            if isinstance(event, ConnectionClosed):
                raise ConnectionLost("the server closed the connection")
            data = yield from read()
            ended = not data
            machine.receive_data(data or b"")


def _expect(command: str, reply: Reply) -> Reply:
    if not reply.positive:
        raise CommandFailed(command, str(reply), code=str(reply.code), temporary=reply.temporary)
    return reply


def _refusal(reply: Reply) -> Reply | None:
    return None if reply.positive else reply


def _pieces(content: bytes | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]
    else:
        yield from content


def _spread(
    replies: Sequence[Reply], accepted: Sequence[int], finals: Sequence[Reply]
) -> list[Reply | None]:
    """The deciding reply of every recipient: its refusal, or the one reply to the content."""
    results: list[Reply | None] = list(replies)
    for number in accepted:
        results[number] = finals[0] if finals else None
    return results


def _spread_lmtp(
    replies: Sequence[Reply], accepted: Sequence[int], finals: Sequence[Reply]
) -> list[Reply | None]:
    """The same where each accepted recipient has its own reply to the content."""
    results: list[Reply | None] = list(replies)
    for position, number in enumerate(accepted):
        results[number] = finals[position] if position < len(finals) else None
    return results


def _result(
    recipients: Sequence[Rcpt], replies: Sequence[Reply | None], final: Reply | None
) -> SendResult:
    pairs = zip(recipients, replies, strict=True)
    return SendResult(tuple(RecipientResult(r.forward_path, reply) for r, reply in pairs), final)
