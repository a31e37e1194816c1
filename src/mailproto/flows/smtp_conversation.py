"""One command and its reply: what every conversation of an SMTP client is made of."""

from __future__ import annotations

import math

from mailproto.errors import (
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from mailproto.flows.effects import Deadline, Flow, Write, close, not_taken, read, too_late, write
from mailproto.smtp import Bdat, Body, Challenge, Client, Command, ConnectionClosed, Reply
from mailproto.smtp.states import NAMES

__all__ = ["Conversation", "expect"]


class Conversation:
    """A machine and its waits, each within the time of its phase; methods are flows."""

    def __init__(self, machine: Client) -> None:
        self.machine = machine

    def call(self, command: Command, within: float = math.inf) -> Flow[Reply]:
        """The reply to any one command, as data, in no more than ``within`` seconds.

        Raises LocalProtocolError for a command that cannot be sent now, and for content, which is
        answered only when it is complete.
        """
        if isinstance(command, Body) or (isinstance(command, Bdat) and command.size):
            raise LocalProtocolError(
                "content is sent by send, or by content and chunk of a session"
            )
        self.expect_silence()
        self.machine.send(command)
        return (yield from self.reply(within))

    def reply(self, within: float = math.inf) -> Flow[Reply]:
        """Send what waits, and read the next reply, in no more than ``within`` seconds."""
        event = yield from self.event(within)
        if isinstance(event, Challenge):
            name = NAMES[type(self.machine.answered)]
            raise RemoteProtocolError(f"a challenge does not answer {name}")
        return event

    def event(self, within: float = math.inf) -> Flow[Reply | Challenge]:
        """Send what waits, and read until something answers it."""
        machine = self.machine
        seconds = min(machine.timeout_hint, within)
        yield Deadline(seconds)
        ended = False
        try:
            if waiting := machine.data_to_send():
                yield Write(waiting)
            while not isinstance(event := machine.next_event(), Reply | Challenge):
                if isinstance(event, ConnectionClosed):
                    raise ConnectionLost("the server closed the connection")
                data = yield from read()
                ended = not data
                machine.receive_data(data or b"")
        except RemoteProtocolError as error:
            if ended:
                raise ConnectionLost(str(error)) from None
            raise
        except DeadlineExceeded:
            raise too_late(machine.waiting_for, seconds) from None
        if isinstance(event, Reply) and event.code == 421:
            # The server goes, whatever it was asked (RFC 5321 section 3.8).
            yield from close()
        return event

    def write_content(self) -> Flow[None]:
        """Send the content that waits, in the time for one piece of it."""
        seconds = self.machine.timeout_hint
        yield Deadline(seconds)
        try:
            yield from write(self.machine.data_to_send())
        except DeadlineExceeded:
            raise not_taken(seconds) from None

    def expect_silence(self) -> None:
        """See that nothing has come that would be taken for the reply to the next command."""
        if self.machine.pending or self.machine.awaiting_tls:
            return
        event = self.machine.next_event()
        if isinstance(event, Reply):
            raise ConnectionLost(f"the server closes the connection: {event}")


def expect(command: str, reply: Reply) -> Reply:
    """``reply`` where it is positive; else raises CommandFailed."""
    if not reply.positive:
        raise CommandFailed(command, str(reply), code=str(reply.code), temporary=reply.temporary)
    return reply
