"""One mail transaction of a client: envelope, content, and what became of each recipient.

Commands go out in as few writes as PIPELINING and CHUNKING allow (RFC 2920, RFC 3030). From the
first octet that may complete the content on, a lost connection leaves the outcome unknown; before
it, nothing was delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from mailproto.errors import (
    ConnectionLost,
    DeadlineExceeded,
    RemoteProtocolError,
    TransportError,
)
from mailproto.flows.effects import Flow, close
from mailproto.flows.smtp_content import Rest, Source
from mailproto.flows.smtp_conversation import Conversation
from mailproto.flows.smtp_result import DeliveryUnknown, RecipientResult, SendResult
from mailproto.smtp import (
    Bdat,
    Body,
    Data,
    EndOfMessage,
    Mail,
    Rcpt,
    Reply,
    Rset,
    State,
    TransId,
)

__all__ = ["INLINE", "Transaction"]

INLINE: Final = 64 * 1024
"""Octets of content that go out together with the envelope, before a recipient is accepted."""

# Seconds for words that have come long ago, if they have.
_LAST_WORDS: Final = 1.0

# Seconds for the answer to RSET, when the result is known and only the connection is to be kept.
_TIDY: Final = 10.0

# RCPT commands in one write: a server that answers at once cannot fill the buffers both ways.
_GROUP: Final = 100


class Transaction:
    """The state of one transaction; ``run`` is the flow.

    ``chunking`` sends the content by BDAT. ``octets`` is the content where it is at hand whole;
    ``source`` has it otherwise.
    """

    def __init__(
        self,
        conversation: Conversation,
        mail: Mail,
        recipients: Sequence[Rcpt],
        *,
        source: Source,
        octets: bytes | None = None,
        chunking: bool = False,
    ) -> None:
        self._conversation = conversation
        self._machine = conversation.machine
        self._mail = mail
        self._recipients = recipients
        self._source = source
        self._octets = octets
        self._chunking = chunking
        # The replies to RCPT, or what stands for them, and those to the content.
        self._replies: list[Reply] = []
        self._finals: list[Reply] = []
        # Whether the server may have the content whole.
        self._complete = False
        # Whether a write has failed: what has come before may still be read.
        self._broken = False

    def run(self) -> Flow[SendResult]:
        """Send the message. Raises DeliveryUnknown; LocalProtocolError closes the connection."""
        try:
            yield from self._run()
        except (TransportError, RemoteProtocolError) as error:
            if not self._complete:
                raise
            message = f"no reply to the content: {error}"
            raise DeliveryUnknown(message, self._result()) from error
        yield from close() if self._broken else self._reset()
        return self._result()

    def _run(self) -> Flow[None]:
        machine = self._machine
        if machine.offers("PIPELINING"):
            refusal = yield from self._begin_pipelined()
        else:
            refusal = yield from self._begin()
        if refusal is not None:
            # Each recipient that was accepted fails with it, the others for their own reason.
            self._replies = [r if not r.positive else refusal for r in self._replies]
        elif self._complete:
            yield from self._read_finals(machine.recipients)
        elif self._chunking:
            yield from self._send_chunks()
        else:
            yield from self._send_content()

    def _reset(self) -> Flow[None]:
        """Say RSET where something of the transaction is left."""
        machine = self._machine
        if machine.state is not State.READY and not (machine.closing or machine.failed):
            yield from self._settle(self._conversation.call(Rset(), _TIDY))

    @staticmethod
    def _settle(flow: Flow[object]) -> Flow[None]:
        """Bring the connection in order, or close it: the result is known by now."""
        try:
            yield from flow
        except (TransportError, RemoteProtocolError):
            yield from close()

    # --- the envelope

    def _begin(self) -> Flow[Reply | None]:
        """One command after the other; why no content can be sent."""
        machine, conversation = self._machine, self._conversation
        reply = yield from conversation.call(self._mail)
        if not reply.positive:
            self._answer_all(reply)
            return reply
        if self._goes_on(reply):
            return (yield from self._begin_content())
        for recipient in self._recipients:
            reply = yield from conversation.call(recipient)
            self._replies.append(reply)
            if machine.closing:
                self._answer_all(reply)
                return reply
        if not machine.recipients:
            return self._replies[-1]
        return (yield from self._begin_content())

    def _begin_content(self) -> Flow[Reply | None]:
        """Say DATA, where the content goes by it; its refusal."""
        if self._chunking:
            return None
        return _refusal((yield from self._conversation.call(Data())))

    @property
    def _may_go_on(self) -> bool:
        return any(p.keyword == TransId.keyword for p in self._mail.parameters)

    def _goes_on(self, reply: Reply) -> bool:
        """Whether ``reply`` to MAIL has the transaction go on where it was interrupted.

        The recipients are those of the earlier session then, and the octets that the server has
        are left out (RFC 1845 section 3).
        """
        offset = self._machine.resumed
        if offset is None:
            return False
        self._answer_all(reply)
        self._source = Rest(self._source, offset, whole_lines=not self._chunking)
        if self._octets is not None:
            self._octets = self._octets[offset:]
        return True

    def _begin_pipelined(self) -> Flow[Reply | None]:
        """All commands of a group in one write; MAIL alone where its answer says what follows."""
        machine, conversation = self._machine, self._conversation
        machine.send(self._mail)
        accepted: Reply | None = None
        if self._may_go_on:
            accepted = yield from conversation.reply()
            if not accepted.positive:
                return (yield from self._give_up(accepted))
            if self._goes_on(accepted):
                return (yield from self._begin_content())
        waiting = iter(self._recipients)
        sent = 0
        while sent < len(self._recipients):
            for recipient in islice(waiting, _GROUP):
                machine.send(recipient)
                sent += 1
            if sent == len(self._recipients):
                self._end_group()
            if accepted is None:
                accepted = yield from conversation.reply()
                if not accepted.positive:
                    return (yield from self._give_up(accepted))
            while len(self._replies) < sent:
                reply = yield from conversation.reply()
                self._replies.append(reply)
                if machine.closing:
                    return (yield from self._give_up(reply))
        if not machine.recipients:
            return (yield from self._give_up(self._replies[-1]))
        if self._chunking:
            return None
        return _refusal((yield from conversation.reply()))

    def _give_up(self, refusal: Reply) -> Flow[Reply]:
        """Nobody can have the message: read what answers the rest of the group."""
        self._answer_all(refusal)
        yield from self._settle(self._drain())
        return refusal

    def _drain(self) -> Flow[None]:
        machine = self._machine
        while machine.pending and not machine.closing:
            yield from self._conversation.reply()
        if machine.state is State.CONTENT:
            # RFC 2920 section 3.1: DATA was accepted although nobody was.
            yield from self._conversation.call(EndOfMessage())

    def _end_group(self) -> None:
        """What follows the last RCPT without waiting: DATA, or the content if it is small."""
        machine = self._machine
        if not self._chunking:
            machine.send(Data())
        elif self._octets is not None and len(self._octets) <= INLINE:
            machine.send(Bdat(len(self._octets), last=True))
            machine.send(Body(self._octets))
            self._complete = True

    def _answer_all(self, reply: Reply) -> None:
        """Let ``reply`` stand for the replies that will not come."""
        self._replies += [reply] * (len(self._recipients) - len(self._replies))

    # --- the content

    def _send_content(self) -> Flow[None]:
        """Send the content after DATA, and its end."""
        recipients = self._machine.recipients
        refusal = yield from self._send_pieces()
        if refusal is not None:
            self._refuse_all(refusal, recipients)
            return
        yield from self._try_send(EndOfMessage())
        self._complete = True
        yield from self._read_finals(recipients)

    def _send_pieces(self) -> Flow[Reply | None]:
        """Send the content without its end; the refusal of a server that takes no more of it."""
        piece = yield from self._next_piece()
        while piece is not None:
            yield from self._try_send(Body(piece))
            following = yield from self._next_piece()
            if following is not None:
                # The last one goes out with the end of the content.
                refusal = yield from self._write_piece(piece)
                if refusal is not None:
                    return refusal
            piece = following
        return None

    def _write_piece(self, piece: bytes = b"") -> Flow[Reply | None]:
        """Send what is queued, ``piece`` of the content last; the refusal where that fails."""
        try:
            yield from self._conversation.write_content()
        except (ConnectionLost, DeadlineExceeded):
            if not self._machine.pending:
                # It cannot go out, but what has come answers it.
                self._machine.send(Body(b"\n" if piece.endswith(b"\r") else b"\r\n"))
                self._machine.send(EndOfMessage())
            refusal = yield from self._last_words()
            if refusal is None:
                raise
            return refusal
        return None

    def _last_words(self) -> Flow[Reply | None]:
        """What a server refused the content with before it closed the connection or read no more.

        It should have waited for the end. But nothing was delivered, and the next attempt would
        end alike, so its refusal counts: as with Postfix.
        """
        self._broken = True
        # What waits cannot go out.
        self._machine.data_to_send()
        try:
            reply = yield from self._conversation.reply(_LAST_WORDS)
        except (TransportError, RemoteProtocolError):
            return None
        return None if reply.positive else reply

    def _refuse_all(self, refusal: Reply, recipients: int) -> None:
        """Let ``refusal`` be the reply to the content for each accepted recipient."""
        self._finals = [refusal] * (recipients if self._machine.lmtp else 1)

    def _send_chunks(self) -> Flow[None]:
        """Send the content by BDAT: octets as one chunk, pieces as one chunk each."""
        machine = self._machine
        recipients = machine.recipients
        if self._octets is not None:
            yield from self._try_send(Bdat(len(self._octets), last=True))
            refusal = yield from self._send_pieces()
            if refusal is not None:
                self._refuse_all(refusal, recipients)
                return
        else:
            piece = yield from self._next_piece()
            while piece is not None:
                following = yield from self._next_piece()
                last = following is None
                yield from self._try_send(Bdat(len(piece), last=last))
                yield from self._try_send(Body(piece))
                if last:
                    break
                refusal = yield from self._write_piece(piece)
                if refusal is None:
                    reply = yield from self._conversation.reply()
                    refusal = _refusal(reply)
                if refusal is not None:
                    self._refuse_all(refusal, recipients)
                    return
                piece = following
            else:
                yield from self._try_send(Bdat(0, last=True))
        self._complete = True
        yield from self._read_finals(recipients)

    def _next_piece(self) -> Flow[bytes | None]:
        """The next octets of the content, none of them ever empty."""
        piece: bytes | None = b""
        try:
            while piece == b"":
                piece = yield from self._source.next()
        except Exception:
            # Half a message is out, and nothing but the end of the connection takes it back.
            yield from close()
            raise
        return piece

    def _try_send(self, command: Bdat | Body | EndOfMessage) -> Flow[None]:
        try:
            self._machine.send(command)
        except Exception:
            # The same: what is wrong with a piece is found only when it is due.
            yield from close()
            raise

    def _read_finals(self, recipients: int) -> Flow[None]:
        """The replies to the whole content: one, in LMTP one for each accepted recipient."""
        machine = self._machine
        expected = recipients if machine.lmtp else 1
        refusal = yield from self._write_piece()
        if refusal is not None:
            self._finals.append(refusal)
        while len(self._finals) < expected and not (self._broken or machine.closing):
            self._finals.append((yield from self._conversation.reply()))
        self._finals += self._finals[-1:] * (expected - len(self._finals))

    # --- the result

    def _result(self) -> SendResult:
        """What became of each recipient, as far as that is known."""
        results: list[RecipientResult] = []
        position = 0
        for number, recipient in enumerate(self._recipients):
            reply = self._replies[number] if number < len(self._replies) else None
            if reply is not None and reply.positive:
                place = position if self._machine.lmtp else 0
                reply = self._finals[place] if place < len(self._finals) else None
                position += 1
            results.append(RecipientResult(recipient.forward_path, reply))
        final = self._finals[-1] if position and self._finals else None
        return SendResult(tuple(results), final)


def _refusal(reply: Reply) -> Reply | None:
    return None if reply.positive else reply
