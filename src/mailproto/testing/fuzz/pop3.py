"""Fuzz targets for the machines of POP3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mailproto import pop3
from mailproto._core.machine import PAUSED
from mailproto.testing.chop import joined
from mailproto.testing.fuzz.case import Case, Turn
from mailproto.testing.fuzz.conversation import Conversation, Violation, heard
from mailproto.testing.fuzz.flood import check_case

__all__ = ["client", "server"]

_TIMESTAMP: Final = "<1896.697170952@dbc.mtview.ca.us>"
_CAPABLE: Final = b"+OK\r\nUSER\r\nUTF8 USER\r\nPIPELINING\r\nSTLS\r\nSASL PLAIN\r\n.\r\n"


def server(data: bytes) -> None:
    """``pop3.Server``: any client and any application; what it says is read by ``pop3.Client``."""
    check_case(data, _new_server, _Application)


def client(data: bytes) -> None:
    """``pop3.Client``: any server, and an application that sends what it likes."""
    check_case(data, _new_client, _User)


# ------------------------------------------------------------------------------------- server


def _new_server(case: Case) -> pop3.Server:
    on = case.option
    limits = pop3.POP3ServerLimits()
    if on(10) or case.flood:
        limits = pop3.POP3ServerLimits(command_line=64, authentication_line=256, errors=3)
    offer = pop3.Offer(
        user=not on(0),
        mechanisms=("PLAIN", "LOGIN") if on(3) else (),
        stls=on(2),
        insecure_auth=not on(5),
        timestamp=_TIMESTAMP if on(4) else None,
        rpop=on(11),
        last=on(6),
        utf8=on(7),
        languages=on(8),
        login_delay=pop3.LoginDelay(900, per_user=True) if on(9) else None,
        expire=pop3.Expire(None) if on(9) else None,
        implementation="x" if on(9) else None,
    )
    return pop3.Server(offer=offer, tls=on(1), limits=limits, trace=case.trace(13))


class _Application:
    """Answers everything: properly, with a refusal, or first with what does not fit."""

    def __init__(self, conversation: Conversation[pop3.Server]) -> None:
        self._conversation = conversation

    def answer(self, machine: pop3.Server, event: object) -> None:
        conversation = self._conversation
        if event is PAUSED:
            if machine.state is pop3.State.GREETING and not conversation.case.option(14):
                self._say([self._proper(None)], None)
            return
        if conversation.decide(4) == 3:
            # What does not fit is refused; what does is the answer.
            if self._say([self._anything()], event):
                return
        if conversation.decide(4) == 3:
            self._refuse(event)
        elif not self._say(self._whole(event), event):
            said = conversation.do(machine.accept)
            if said is None:
                self._refuse(event)
            else:
                self._heard(said, None, event)

    def move(self, machine: pop3.Server, turn: Turn) -> None:
        match turn.move % 8:
            case 1:
                # Whether a stray answer is taken follows from the state alone.
                self._conversation.say(self._anything())
            case 2:
                self._conversation.do(lambda: machine.farewell(pop3.Err(turn.text)))
            case 3:
                self._conversation.do(machine.accept)
            case _:
                pass

    def _refuse(self, event: object) -> None:
        text = self._conversation.text
        code = pop3.ResponseCode(text())
        for item in (pop3.Err(text(), code), pop3.Err(text()), pop3.Err("no")):
            if self._say([item], event):
                return

    def _say(self, items: Sequence[pop3.ServerItem], event: object) -> bool:
        """Send an answer in its pieces; false if the first was refused."""
        said: list[bytes] = []
        sent: list[pop3.ServerItem] = []
        for item in items:
            octets = self._conversation.say(item)
            if octets is None:
                if not sent:
                    return False
                continue
            said.append(octets)
            sent.append(item)
        complete = isinstance(sent[-1], pop3.EndOfMessage | pop3.EndOfListing)
        if complete or not _is_multi_line(event) or isinstance(sent[0], pop3.Err):
            self._heard(b"".join(said), sent, event)
        else:
            # Only its first line: the rest follows.
            end = pop3.EndOfMessage() if _is_message(event) else pop3.EndOfListing()
            octets = self._conversation.say(end)
            if octets is None:
                raise Violation(f"{end!r} was refused after {sent!r}")
            self._heard(b"".join([*said, octets]), [*sent, end], event)
        return True

    def _heard(self, said: bytes, sent: Sequence[pop3.ServerItem] | None, event: object) -> None:
        if not self._conversation.quick:
            _heard(said, sent, event)

    def _whole(self, event: object) -> Sequence[pop3.ServerItem]:
        """A proper answer with its pieces."""
        first = self._proper(event)
        if isinstance(first, pop3.Err):
            return [first]
        decide, text = self._conversation.decide, self._conversation.text
        if _is_message(event):
            bodies = [pop3.Body(text().encode(errors="replace")) for _ in range(decide(4))]
            return [first, *bodies, pop3.EndOfMessage()]
        match event:
            case pop3.List(None):
                scans = {decide(9): decide(200) for _ in range(decide(4))}
                return [first, pop3.ScanListings(scans), pop3.EndOfListing()]
            case pop3.Uidl(None):
                ids = {decide(9): text() for _ in range(decide(4))}
                return [first, pop3.UniqueIdListings(ids), pop3.EndOfListing()]
            case _:
                return [first]

    def _proper(self, event: object) -> pop3.Answer:
        """The first line of an answer of the right class; its content may be impossible."""
        decide, text = self._conversation.decide, self._conversation.text
        match event:
            case None:
                return pop3.Greeting("ready", _TIMESTAMP if self._timestamp else None)
            case pop3.Stat():
                return pop3.DropListing(decide(9), decide(200))
            case pop3.List(int(message)):
                return pop3.ScanListing(message, decide(200))
            case pop3.Uidl(int(message)):
                return pop3.UniqueIdListing(message, text())
            case pop3.Lang(None):
                return pop3.Languages((pop3.Language("es", text()), pop3.Language(text())))
            case pop3.Lang():
                return pop3.LanguageChanged("es", text())
            case pop3.Last():
                return pop3.LastAccessed(decide(9))
            case pop3.Auth() | pop3.AuthResponse() if decide(2):
                return pop3.Challenge(text().encode(errors="replace"))
            case pop3.AuthCancel() | pop3.Invalid():
                return pop3.Err(text())
            case _:
                return pop3.Ok(text())

    @property
    def _timestamp(self) -> bool:
        return self._conversation.case.option(4)

    def _anything(self) -> pop3.ServerItem:
        decide, text = self._conversation.decide, self._conversation.text
        return _ANSWERS[decide(len(_ANSWERS))](text())


_ANSWERS: Final[Sequence[Callable[[str], pop3.ServerItem]]] = (
    pop3.Ok,
    lambda text: pop3.Ok(text, pop3.ResponseCode(text)),
    pop3.Err,
    pop3.Greeting,
    lambda text: pop3.Greeting(text, text),
    lambda text: pop3.DropListing(-len(text), 2**70),
    lambda text: pop3.ScanListing(1, -1),
    lambda text: pop3.UniqueIdListing(0, text),
    lambda text: pop3.Capabilities(implementation=text, other=(text,), sasl=(text,)),
    lambda text: pop3.Languages((pop3.Language(text, text),)),
    lambda text: pop3.LanguageChanged(text, text),
    lambda text: pop3.LastAccessed(-1),
    lambda text: pop3.Challenge(text.encode(errors="replace")),
    lambda text: pop3.Body(text.encode(errors="replace")),
    lambda text: pop3.EndOfMessage(),
    lambda text: pop3.EndOfListing(),
    lambda text: pop3.ScanListings({1: 1, -1: 2**70}),
    lambda text: pop3.UniqueIdListings({1: text}),
)


def _is_message(event: object) -> bool:
    return isinstance(event, pop3.Retr | pop3.Top)


def _is_multi_line(event: object) -> bool:
    return _is_message(event) or (
        isinstance(event, pop3.List | pop3.Uidl) and event.message is None
    )


def _heard(said: bytes, sent: Sequence[pop3.ServerItem] | None, event: object) -> None:
    """P15: what was said is that answer to our strict client, and nothing else."""
    reader = _client_that_waits_for(event)
    found = list(joined(heard(reader, said)))
    if sent is None:
        if len(found) != 1:
            raise Violation(f"P15: {said!r} is not one answer to {event!r}, but {found!r}")
        return
    expected = [
        item
        for item in joined(sent)
        if item not in (pop3.Body(b""), pop3.ScanListings({}), pop3.UniqueIdListings({}))
    ]
    kinds = [type(item) for item in expected]
    if kinds != [type(item) for item in found] and not _ends_line(expected, found):
        raise Violation(f"P15: {said!r} is {found!r} instead of {expected!r}")
    for one, other in zip(expected, found, strict=False):
        if isinstance(one, pop3.Body) and isinstance(other, pop3.Body):
            # A message that does not end its last line gets the end of it.
            if other.data not in (one.data, one.data + b"\r\n"):
                raise Violation(f"P15: content {one.data!r} was heard as {other.data!r}")
        elif not isinstance(one, _LOOSE) and one != other:
            raise Violation(f"P15: {one!r} was heard as {other!r}")


# Their text may look like a response code; the end of a message says what was in it.
_LOOSE: Final = (pop3.Ok, pop3.Err, pop3.EndOfMessage)


def _ends_line(expected: list[object], found: list[object]) -> bool:
    """Whether all that was added is the line end of an empty message."""
    return [item for item in found if item != pop3.Body(b"\r\n")] == expected


def _client_that_waits_for(event: object) -> pop3.Client:
    reader = pop3.Client(apop=True)
    if event is None:
        return reader
    reader.receive_data(b"+OK " + _TIMESTAMP.encode() + b"\r\n")
    reader.next_event()
    reader.send(pop3.Capa())
    reader.receive_data(_CAPABLE)
    reader.next_event()
    if isinstance(event, pop3.AuthResponse | pop3.AuthCancel):
        reader.send(pop3.Auth("PLAIN"))
        reader.receive_data(b"+ \r\n")
        reader.next_event()
        reader.send(event)
        return reader
    if isinstance(event, pop3.Pass):
        reader.send(pop3.User("x"))
        reader.receive_data(b"+OK\r\n")
        reader.next_event()
    elif isinstance(event, _NEEDS_LOGIN):
        reader.send(pop3.Apop("x", "0" * 32))
        reader.receive_data(b"+OK\r\n")
        reader.next_event()
    reader.send(pop3.Capa() if isinstance(event, pop3.Invalid) else _as_command(event))
    return reader


def _as_command(event: object) -> pop3.ClientItem:
    assert isinstance(event, pop3.ClientItem)
    return event


_NEEDS_LOGIN: Final = (
    pop3.Stat,
    pop3.List,
    pop3.Uidl,
    pop3.Retr,
    pop3.Top,
    pop3.Dele,
    pop3.Noop,
    pop3.Rset,
    pop3.Last,
)


# ------------------------------------------------------------------------------------- client


def _new_client(case: Case) -> pop3.Client:
    on = case.option
    limits = pop3.POP3ClientLimits()
    if on(5) or case.flood:
        limits = pop3.POP3ClientLimits(
            response_line=128, listing_lines=10, capabilities=512, pending_commands=3
        )
    machine = pop3.Client(tls=on(1), apop=on(2), limits=limits, trace=case.trace(6))
    if on(7):
        machine.receive_data(b"+OK " + _TIMESTAMP.encode() + b"\r\n")
        machine.next_event()
        machine.send(pop3.Capa())
        machine.receive_data(_CAPABLE)
        machine.next_event()
        if on(8):
            machine.send(pop3.User("x"))
            machine.send(pop3.Pass("x"))
            machine.receive_data(b"+OK\r\n+OK\r\n")
            machine.next_event()
            machine.next_event()
    return machine


class _User:
    """Sends one command each turn, in any state, and checks its octets."""

    def __init__(self, conversation: Conversation[pop3.Client]) -> None:
        self._conversation = conversation

    def answer(self, machine: pop3.Client, event: object) -> None:
        """Do nothing: what is said while answers are under way may depend on their chunks."""

    def move(self, machine: pop3.Client, turn: Turn) -> None:
        kind = turn.move % 32
        if kind >= len(_COMMANDS):
            return
        command = _COMMANDS[kind](self._conversation.text())
        said = self._conversation.say(command)
        if said is None:
            return
        if said[-2:] != b"\r\n" or any(octet in said[:-2] for octet in b"\r\n\0"):
            raise Violation(f"P04: {command!r} was sent as {said!r}")


_COMMANDS: Final[Sequence[Callable[[str], pop3.ClientItem]]] = (
    pop3.User,
    pop3.Pass,
    lambda text: pop3.User("mrose"),
    lambda text: pop3.Apop(text, "0" * 32),
    lambda text: pop3.Apop("mrose", text),
    lambda text: pop3.Auth("PLAIN", text.encode(errors="replace")),
    pop3.Auth,
    lambda text: pop3.AuthResponse(text.encode(errors="replace")),
    lambda text: pop3.AuthCancel(),
    lambda text: pop3.Stls(),
    lambda text: pop3.Capa(),
    lambda text: pop3.Utf8(),
    pop3.Lang,
    lambda text: pop3.Lang(),
    lambda text: pop3.Stat(),
    lambda text: pop3.List(),
    lambda text: pop3.List(len(text)),
    lambda text: pop3.Uidl(),
    lambda text: pop3.Uidl(1),
    lambda text: pop3.Retr(len(text)),
    lambda text: pop3.Top(1, len(text) - 1),
    lambda text: pop3.Dele(1),
    lambda text: pop3.Noop(),
    lambda text: pop3.Rset(),
    lambda text: pop3.Last(),
    lambda text: pop3.Quit(),
)
