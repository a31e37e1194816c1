"""The client's conversations of SMTP and LMTP, as flows over a ``smtp.Client``.

Commands that a program sends one by one return their reply as data. What a session cannot go on
without raises: the greeting, EHLO, STARTTLS, AUTH.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email.message import Message
from typing import Final

from mailproto import sasl
from mailproto.errors import (
    AuthenticationFailed,
    ConnectionLost,
    LocalProtocolError,
    MailError,
    SecurityError,
)
from mailproto.flows.authentication import binding_of, refusal, server_has_proved_itself
from mailproto.flows.effects import Flow, Secured, close, start_tls
from mailproto.flows.smtp_content import Content, source_of
from mailproto.flows.smtp_conversation import Conversation, expect
from mailproto.flows.smtp_message import envelope_of, flatten, needs_utf8
from mailproto.flows.smtp_result import SendResult
from mailproto.flows.smtp_transaction import INLINE, Transaction
from mailproto.smtp import (
    Auth,
    AuthCancel,
    AuthResponse,
    BareNewlines,
    Bdat,
    Body,
    BodyType,
    Capabilities,
    Challenge,
    Client,
    Ehlo,
    Etrn,
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
    initial_response_room,
)
from mailproto.smtp.content import ContentNotASCII

__all__ = ["HELO_AFTER", "ClosedAtEhlo", "Content", "Session"]

HELO_AFTER: Final = frozenset({500, 501, 502, 504, 550, 554})
"""The refusals of EHLO after which HELO is said (RFC 5321 section 3.2, RFC 1869 section 4.4 on).

500 and 502: the server does not know EHLO, or does not do it; 501 and 504: it does not like the
argument; 550 and 554: it does not want to say what it offers. After 4yz it is busy, and HELO would
not help.
"""

_CANNOT_QUIT: Final = (State.CONTENT, State.CHUNK, State.REVERSED)


class ClosedAtEhlo(ConnectionLost):
    """The server has closed the connection at EHLO; HELO on another one may do.

    RFC 1869 section 4.7 has it so for whom no extension is needed.
    """


class Session(Conversation):
    """A client's conversations with one server; every method is a flow.

    ``domain`` is how the client names itself in EHLO. Each wait has the time that the machine's
    ``timeouts`` give to its phase. With ``extended=False`` HELO is said at once: there is no TLS,
    no login and no extension then.
    """

    def __init__(
        self, machine: Client, domain: str = "localhost", *, extended: bool = True
    ) -> None:
        super().__init__(machine)
        self._domain = domain
        self._extended = extended
        self.secured: Secured | None = None
        """What the TLS handshake has established; whoever does that from outside sets it."""

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server has offered."""
        return self.machine.capabilities

    # --- beginning and end

    def begin(self, *, starttls: bool = False) -> Flow[Reply]:
        """Await the greeting, say EHLO, upgrade to TLS if asked to; the greeting.

        Raises CommandFailed when the server refuses, SecurityError when TLS is not to be had.
        """
        greeting = expect("the greeting", (yield from self.reply()))
        yield from self.hello()
        if starttls:
            yield from self.starttls()
        return greeting

    def hello(self) -> Flow[Capabilities]:
        """Say EHLO, or HELO after a refusal in ``HELO_AFTER``, or LHLO; what the server offers.

        It may be said again, for a server that offers more after a login (RFC 5321 section 4.1.4):
        a transaction in progress ends, and a refusal then leaves all as it was. Raises
        CommandFailed, and ClosedAtEhlo when the connection ends instead of an answer.
        """
        if self.machine.lmtp:
            expect("LHLO", (yield from self.call(Lhlo(self._domain))))
        elif not self._extended:
            expect("HELO", (yield from self.call(Helo(self._domain))))
        else:
            first = self.machine.capabilities is None
            try:
                reply = yield from self.call(Ehlo(self._domain))
                if first and reply.code in HELO_AFTER:
                    reply = yield from self.call(Helo(self._domain))
            except ConnectionLost as error:
                raise ClosedAtEhlo(str(error)) from error
            expect("EHLO", reply)
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
        self.secured = yield from start_tls(self.machine.timeout_hint)
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
            raise SecurityError(
                "AUTH is not sent without TLS, only allow_insecure_auth=True would permit it"
            )
        self.expect_silence()
        offered = self.machine.capabilities.mechanisms if self.machine.capabilities else ()
        exchange = sasl.choose(
            offered,
            credentials,
            tls=self.machine.tls,
            floor=floor,
            allow_insecure_auth=self.machine.allow_insecure_auth,
            channel_binding=channel_binding or binding_of(self.secured, floor),
            mechanisms=mechanisms,
        )
        initial = exchange.start(initial_response_room(exchange.name))
        self.machine.send(Auth(exchange.name, initial))
        event = yield from self.event()
        while isinstance(event, Challenge):
            try:
                response = exchange.respond(event.data)
            except sasl.SASLError as error:
                yield from self._cancel_auth(error)
                raise
            self.machine.send(AuthResponse(response))
            event = yield from self.event()
        if self.machine.state is State.AUTHENTICATING:
            malformed = sasl.SASLError("the server's challenge is not base64")
            yield from self._cancel_auth(malformed)
            raise malformed
        if not event.positive:
            raise AuthenticationFailed(
                "AUTH",
                refusal(exchange, str(event)),
                code=str(event.code),
                temporary=event.temporary,
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
        if machine.failed or machine.closing or machine.state in _CANNOT_QUIT:
            return
        try:
            yield from self.call(Quit())
        except (MailError, ConnectionError):
            # The server may have gone already, and nothing depends on its answer.
            return

    # --- single commands

    def verify(self, text: str) -> Flow[Reply]:
        """VRFY: is this a user or mailbox?"""
        return (yield from self.call(Vrfy(text, not text.isascii())))

    def expand(self, text: str) -> Flow[Reply]:
        """EXPN: who is on this list?"""
        return (yield from self.call(Expn(text, not text.isascii())))

    def help(self, topic: str = "") -> Flow[Reply]:
        """HELP: what the server says about itself."""
        return (yield from self.call(Help(topic)))

    def etrn(self, node: str) -> Flow[Reply]:
        """ETRN: send what waits for a node; ``@node`` with its subdomains, ``#`` for a queue.

        250 to 253 say how it stands, 458 and 459 that it will not be (RFC 1985).
        """
        match node[:1]:
            case "@" | "#" as option:
                command = Etrn(node[1:], option)
            case _:
                command = Etrn(node)
        return (yield from self.call(command))

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
        reverse_path: Mail | ReversePath | str | None = None,
        forward_paths: Iterable[ForwardPath | Rcpt | str] | None = None,
        *,
        size: int | None = None,
        parameters: tuple[MailParameter, ...] = (),
        body: BodyType | None = None,
        chunking: bool | None = None,
    ) -> Flow[SendResult]:
        """Send one message; what became of it for each recipient is data.

        Without paths they are those of the header of a ``Message``: Sender or From, and To, Cc and
        Bcc; of one that was resent the same of its Resent fields. A sender with parameters is given
        as ``Mail``, a recipient as ``Rcpt``, as a server has received them; ``parameters`` and
        ``body`` say the same of MAIL beside an address. ``size`` is the number of octets of content
        in pieces. BINARY_MIME has all octets go as they are. With ``chunking`` BDAT is used,
        without it DATA; unsaid it is BDAT where that saves a round trip. A small message then goes
        out together with its envelope, and a connection lost before the server has said anything
        leaves the outcome unknown.

        Raises LocalProtocolError, before anything is sent, for what cannot be sent, and
        DeliveryUnknown when the connection ends after the content was sent and before it was
        answered. What is wrong with a piece of content, or raised by its source, closes the
        connection.
        """
        mail, recipients = envelope_of(content, reverse_path, forward_paths)
        body = body or mail.body
        offers_8bit = self.machine.offers("8BITMIME")
        smtputf8 = mail.smtputf8 or not all(
            path.is_ascii
            for path in (mail.reverse_path, *(r.forward_path for r in recipients))
            if isinstance(path, Mailbox)
        )
        if isinstance(content, Message):
            smtputf8 = smtputf8 or needs_utf8(content)
            content = flatten(content, utf8=smtputf8, eight_bit=offers_8bit)
        binary = body is BodyType.BINARY_MIME
        octets: bytes | None = None
        if isinstance(content, bytes | bytearray | memoryview):
            octets = content if isinstance(content, bytes) else bytes(content)
        chunking = self._uses_chunks(octets, chunking, binary=binary)
        if octets is not None:
            octets = self._checked(octets, chunking=chunking, binary=binary)
            content, size = octets, len(octets)
        if body is None and offers_8bit and (octets is None or not octets.isascii()):
            body = BodyType.EIGHT_BIT_MIME
        size = mail.size if size is None else size
        mail = Mail(
            mail.reverse_path,
            size if self.machine.offers("SIZE") else None,
            body,
            smtputf8,
            mail.auth,
            mail.parameters + parameters,
        )
        self.machine.check_transaction(mail, recipients)
        self.expect_silence()
        transaction = Transaction(
            self, mail, recipients, source=source_of(content), octets=octets, chunking=chunking
        )
        return (yield from transaction.run())

    def _uses_chunks(self, octets: bytes | None, chunking: bool | None, *, binary: bool) -> bool:
        """Whether the content goes by BDAT. Raises LocalProtocolError where it cannot."""
        offered = self.machine.offers("CHUNKING")
        if chunking is None:
            small = octets is not None and len(octets) <= INLINE
            saves = small if self.machine.offers("PIPELINING") else octets is not None
            # BDAT repairs nothing.
            repairs = self.machine.bare_newlines is BareNewlines.REPAIR
            chunking = binary or (offered and saves and not repairs)
        if binary and not chunking:
            raise LocalProtocolError("content that is BINARYMIME is sent by BDAT, not by DATA")
        if chunking and not offered:
            raise LocalProtocolError("BDAT needs CHUNKING, which the server has not offered")
        return chunking

    def _checked(self, octets: bytes, *, chunking: bool, binary: bool) -> bytes:
        """The content as it goes out. Raises LocalProtocolError for what cannot."""
        if binary:
            return octets
        if chunking and not octets.endswith(b"\r\n"):
            # As the end of content after DATA has it.
            octets += b"\r\n"
        self.machine.check_content(octets, chunks=chunking)
        if not (octets.isascii() or self.machine.offers("8BITMIME")):
            raise ContentNotASCII("the content is not ASCII, and the server has no 8BITMIME")
        return octets

    def content(self, data: bytes) -> Flow[None]:
        """Send a piece of content, after ``call(Data())`` was answered with 354.

        The end of it is ``call(EndOfMessage())``.
        """
        self.machine.send(Body(data))
        yield from self.write_content()

    def chunk(self, data: bytes, *, last: bool = False) -> Flow[Reply]:
        """Send a piece of content by BDAT, the last one included; the reply to it.

        In LMTP more replies answer the last one, for which ``reply`` waits.
        """
        self.expect_silence()
        self.machine.send(Bdat(len(data), last))
        if data:
            self.machine.send(Body(data))
        return (yield from self.reply())
