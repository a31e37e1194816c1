"""Fuzz targets for the machines of SMTP and LMTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mailproto import smtp
from mailproto._core.machine import PAUSED
from mailproto.errors import LocalProtocolError
from mailproto.testing.fuzz.case import Case, Turn
from mailproto.testing.fuzz.conversation import Conversation, Violation, heard
from mailproto.testing.fuzz.flood import check_case

__all__ = ["client", "server"]

_BARE: Final = (smtp.BareNewlines.REJECT, smtp.BareNewlines.REPAIR, smtp.BareNewlines.PASS)
_EXTENDED: Final = b"250-x\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"


def server(data: bytes) -> None:
    """``smtp.Server``: any client and any application; what it says is read by ``smtp.Client``."""
    check_case(data, _new_server, _Application)


def client(data: bytes) -> None:
    """``smtp.Client``: any server, and an application that sends what it likes."""
    check_case(data, _new_client, _User)


# ------------------------------------------------------------------------------------- server


def _new_server(case: Case) -> smtp.Server:
    on = case.option
    limits = smtp.SMTPServerLimits()
    if on(10) or case.flood:
        limits = smtp.SMTPServerLimits(
            command_line=128, authentication_line=256, content=300, recipients=2, errors=3
        )
    return smtp.Server(
        "mx.example.com",
        lmtp=on(0),
        tls=on(1),
        offer=smtp.Offer(
            starttls=on(2),
            mechanisms=("PLAIN", "LOGIN") if on(3) else (),
            insecure_auth=on(5),
            smtputf8=not on(7),
            enhanced_codes=not on(8),
            dsn=on(9),
            checkpoint=on(9),
            etrn=on(9),
            atrn=on(9),
            burl=("imap",) if on(9) else None,
        ),
        require_auth=on(4),
        trust_auth_parameter=on(6),
        bare_newlines=_BARE[(case.options >> 11 & 3) % len(_BARE)],
        limits=limits,
        trace=case.trace(13),
    )


class _Application:
    """Answers everything: properly, with a refusal, or first with what does not fit."""

    def __init__(self, conversation: Conversation[smtp.Server]) -> None:
        self._conversation = conversation

    def answer(self, machine: smtp.Server, event: object) -> None:
        conversation = self._conversation
        if event is PAUSED:
            if machine.state is smtp.State.GREETING and not conversation.case.option(14):
                self._accept(machine, None)
            return
        if isinstance(event, smtp.Body):
            return
        if isinstance(event, smtp.Burl):
            self._resolve(machine, event)
            return
        if isinstance(event, smtp.Mail) and event.parameters and conversation.decide(2):
            said = conversation.do(lambda: machine.resume(7, 1))
            if said is not None:
                if not said.startswith(b"355 7 "):
                    raise Violation(f"P15: a transaction was resumed by {said!r}")
                return
        if conversation.decide(4) == 3:
            self._reply(machine, event)
        for _ in range(machine.replies_due):
            self._answer_once(machine, event)

    def move(self, machine: smtp.Server, turn: Turn) -> None:
        within = machine.state in (smtp.State.CONTENT, smtp.State.CHUNK)
        match turn.move % 8:
            case 1:
                self._reply(machine, None)
            case 2:
                self._heard(self._conversation.say(smtp.Reply(421, turn.text)), 1, None, machine)
            case 3:
                self._conversation.say(smtp.Challenge(turn.data[:50]))
            case _:
                pass
        # How much of the content has come until a 421 breaks it off may depend on its chunks.
        events = self._conversation.events
        while within and machine.closing and events and isinstance(events[-1], smtp.Body):
            events.pop()

    def _answer_once(self, machine: smtp.Server, event: object) -> None:
        conversation = self._conversation
        match conversation.decide(6):
            case 0 | 1 | 2:
                self._accept(machine, event)
            case 3:
                self._reply(machine, event)
            case 4:
                self._refuse(machine, event, 450)
            case _:
                self._refuse(machine, event, 550)
        if machine.replies_due and event is not None and not machine.closing:
            self._refuse(machine, event, 554)

    def _resolve(self, machine: smtp.Server, event: object) -> None:
        """What a URL stands for, or a refusal."""
        if self._conversation.decide(3):
            content = self._conversation.text().encode(errors="replace")
            self._conversation.do(lambda: machine.supply(content))
        else:
            self._refuse(machine, event, 554)

    def _accept(self, machine: smtp.Server, event: object) -> None:
        due = machine.replies_due
        said = self._conversation.do(machine.accept)
        if said is not None:
            self._heard(said, due, event, machine)
        elif isinstance(event, smtp.Auth | smtp.AuthResponse):
            if self._conversation.decide(2):
                challenge = smtp.Challenge(self._conversation.text().encode(errors="replace"))
                self._heard(self._conversation.say(challenge), 1, challenge, machine)
            else:
                self._heard(self._conversation.say(smtp.Reply(235, "in")), 1, event, machine)

    def _reply(self, machine: smtp.Server, event: object) -> None:
        """A reply that need not fit."""
        conversation = self._conversation
        code = _CODES[conversation.decide(len(_CODES))]
        lines = tuple([conversation.text() for _ in range(conversation.decide(3))])
        status = code // 100 if conversation.decide(2) else 5
        enhanced = smtp.EnhancedCode(status, 1, 0) if conversation.decide(2) else None
        said = conversation.say(smtp.Reply(code, lines, enhanced))
        self._heard(said, 1, event, machine)

    def _refuse(self, machine: smtp.Server, event: object, code: int) -> None:
        conversation = self._conversation
        said = conversation.say(smtp.Reply(code, conversation.text()))
        if said is None:
            said = conversation.say(smtp.Reply(code, "no"))
        self._heard(said, 1, event, machine)

    def _heard(self, said: bytes | None, replies: int, event: object, machine: smtp.Server) -> None:
        """P15: what was said is so many replies to our strict client, and nothing else."""
        if said is None or self._conversation.quick:
            return
        greeting = event is None and not said.startswith(b"421")
        reader = smtp.Client() if greeting else _client_that_waits_for(said, replies, event)
        found = heard(reader, said)
        if [type(event) in (smtp.Reply, smtp.Challenge) for event in found] != [True] * replies:
            raise Violation(f"P15: {said!r} is {found!r} instead of {replies} replies")
        offered = reader.capabilities
        if isinstance(event, smtp.Ehlo | smtp.Lhlo) and offered and offered != machine.capabilities:
            raise Violation(f"P15: {machine.capabilities!r} was understood as {offered!r}")


_CODES: Final = (220, 250, 251, 354, 334, 235, 221, 421, 450, 550, 199, 600, 0, 252)


def _client_that_waits_for(said: bytes, replies: int, event: object) -> smtp.Client:
    reader = smtp.Client(lmtp=isinstance(event, smtp.Lhlo), allow_insecure_auth=True)
    reader.receive_data(b"220 x\r\n")
    reader.next_event()
    hello = smtp.Lhlo("x") if isinstance(event, smtp.Lhlo) else smtp.Ehlo("x")
    reader.send(hello)
    if isinstance(event, smtp.Ehlo | smtp.Lhlo):
        return reader
    reader.receive_data(_EXTENDED)
    reader.next_event()
    if said.startswith(b"334"):
        reader.send(smtp.Auth("PLAIN"))
    elif said.startswith(b"354"):
        reader.send(smtp.Mail(smtp.NULL_PATH))
        reader.send(smtp.Rcpt(smtp.POSTMASTER))
        reader.send(smtp.Data())
        reader.receive_data(b"250 x\r\n250 x\r\n")
        reader.next_event()
        reader.next_event()
    else:
        for _ in range(replies):
            reader.send(smtp.Rset())
    return reader


# ------------------------------------------------------------------------------------- client


def _new_client(case: Case) -> smtp.Client:
    on = case.option
    limits = smtp.SMTPClientLimits()
    if on(5) or case.flood:
        limits = smtp.SMTPClientLimits(
            reply_line=128, reply=1024, reply_lines=5, pending_commands=3
        )
    machine = smtp.Client(
        lmtp=on(0),
        tls=on(1),
        allow_insecure_auth=on(2),
        bare_newlines=smtp.BareNewlines.REPAIR if on(3) else smtp.BareNewlines.REJECT,
        long_lines=on(4),
        limits=limits,
        trace=case.trace(6),
    )
    if on(7):
        machine.receive_data(b"220 x\r\n")
        machine.next_event()
        machine.send(smtp.Lhlo("x") if on(0) else smtp.Ehlo("x"))
        machine.receive_data(_EXTENDED)
        machine.next_event()
    return machine


class _User:
    """Sends one command each turn, in any state, and checks its octets."""

    def __init__(self, conversation: Conversation[smtp.Client]) -> None:
        self._conversation = conversation
        self._content: list[bytes] | None = None

    def answer(self, machine: smtp.Client, event: object) -> None:
        """Do nothing: what is said while replies are under way may depend on their chunks."""

    def move(self, machine: smtp.Client, turn: Turn) -> None:
        kind = turn.move % 32
        if kind >= len(_COMMANDS):
            return
        try:
            command = _COMMANDS[kind](self._conversation.text())
        except LocalProtocolError:
            return  # an address that is none
        said = self._conversation.say(command)
        if said is None:
            return
        if isinstance(command, smtp.Body | smtp.EndOfMessage):
            self._check_content(command, said)
        elif said[-2:] != b"\r\n" or any(octet in said[:-2] for octet in b"\r\n\0"):
            raise Violation(f"P04: {command!r} was sent as {said!r}")
        else:
            self._content = [b"\r\n"]

    def _check_content(self, command: smtp.Body | smtp.EndOfMessage, said: bytes) -> None:
        """P03: a bare CR or LF never leaves, and only the end is a terminator."""
        if self._content is None:
            self._content = [b"\r\n"]
        self._content.append(said)
        sent = b"".join(self._content)
        end = sent.find(b"\r\n.\r\n")
        if isinstance(command, smtp.EndOfMessage):
            self._content = None
            if end != len(sent) - 5:
                raise Violation(f"P03: content with its end at {end}: {sent!r}")
            if b"\r" in (rest := sent.replace(b"\r\n", b"")) or b"\n" in rest:
                raise Violation(f"P03: bare CR or LF in {sent!r}")
        elif end >= 0:
            raise Violation(f"P03: content ended itself: {sent!r}")


def _path(text: str) -> smtp.Mailbox:
    return smtp.Mailbox.parse(text)


_COMMANDS: Final[Sequence[Callable[[str], smtp.Command]]] = (
    lambda text: smtp.Ehlo("client.example.org"),
    lambda text: smtp.Lhlo("client.example.org"),
    smtp.Ehlo,
    smtp.Helo,
    lambda text: smtp.Mail(smtp.NULL_PATH),
    lambda text: smtp.Mail(_path(text), size=len(text), smtputf8=True),
    lambda text: smtp.Mail(smtp.NULL_PATH, parameters=(smtp.Parameter("RET", text),)),
    lambda text: smtp.Rcpt(smtp.POSTMASTER),
    lambda text: smtp.Rcpt(smtp.Mailbox(text, "example.com")),
    lambda text: smtp.Rcpt(_path(text), (smtp.Parameter(text),)),
    lambda text: smtp.Data(),
    lambda text: smtp.Body(text.encode(errors="replace")),
    lambda text: smtp.Body(b"line\r\n"),
    lambda text: smtp.EndOfMessage(),
    lambda text: smtp.Rset(),
    smtp.Noop,
    lambda text: smtp.Vrfy(text, smtputf8=True),
    smtp.Expn,
    smtp.Help,
    lambda text: smtp.Quit(),
    lambda text: smtp.StartTLS(),
    lambda text: smtp.Auth("PLAIN", text.encode(errors="replace")),
    lambda text: smtp.Auth(text),
    lambda text: smtp.AuthResponse(text.encode(errors="replace")),
    lambda text: smtp.AuthCancel(),
    lambda text: smtp.Etrn(text),
    lambda text: smtp.Etrn(text, "#"),
    lambda text: smtp.Atrn((text,)),
    lambda text: smtp.Burl(text),
    lambda text: smtp.OtherCommand(text),
)
