"""Fuzz targets for the machines of IMAP."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Final

from mailproto import imap
from mailproto._core.machine import PAUSED
from mailproto.errors import LocalProtocolError
from mailproto.testing.fuzz.case import Case, Turn
from mailproto.testing.fuzz.conversation import Conversation, Violation, heard
from mailproto.testing.fuzz.flood import check_case

__all__ = ["client", "server"]


def server(data: bytes) -> None:
    """``imap.Server``: any client and any application; what it says is read by ``imap.Client``."""
    found = check_case(data, _new_server, _Application)
    if found.error is None and found.output.count(b"\r\n") > 10_000:
        raise Violation(f"{len(found.output)} octets of output for {len(data)} of input")


def client(data: bytes) -> None:
    """``imap.Client``: any server, and an application that sends what it likes."""
    check_case(data, _new_client, _User)


# ------------------------------------------------------------------------------------- server


def _new_server(case: Case) -> imap.Server:
    on = case.option
    limits = imap.IMAPServerLimits()
    if on(10) or case.flood:
        limits = imap.IMAPServerLimits(
            command_line_unauthenticated=256,
            command_line=512,
            literal_unauthenticated=32,
            literal=128,
            append=256,
            authentication_line=256,
            depth=5,
            errors=3,
        )
    offer = imap.Offer(
        mechanisms=("PLAIN", "LOGIN") if on(3) else (),
        login=not on(0),
        starttls=on(2),
        insecure_auth=not on(5),
        extensions=() if on(4) else imap.EXTENSIONS,
    )
    return imap.Server(offer=offer, tls=on(1), limits=limits, trace=case.trace(13))


class _Application:
    """Answers everything: properly, with a refusal, or first with what does not fit."""

    def __init__(self, conversation: Conversation[imap.Server]) -> None:
        self._conversation = conversation
        # The tag of the last command, which what continues it does not repeat.
        self._tag: str | None = None

    def answer(self, machine: imap.Server, event: object) -> None:
        conversation = self._conversation
        if isinstance(event, imap.Tagged | imap.InvalidCommand):
            self._tag = event.tag
        if event is PAUSED:
            if machine.state is imap.State.GREETING and not conversation.case.option(14):
                preauth = conversation.case.option(15)
                state = imap.PREAUTH if preauth else imap.OK
                self._say(imap.Condition(state, "ready"))
            return
        if isinstance(event, imap.LiteralChunk):
            return
        for _ in range(max(0, conversation.decide(6) - 3)):
            self._say_anything(event)
        if conversation.decide(5) == 4:
            self._refuse(event)
        else:
            self._accept(machine, event)

    def move(self, machine: imap.Server, turn: Turn) -> None:
        conversation = self._conversation
        match turn.move % 8:
            case 1:
                self._say_anything(None)
            case 2:
                self._say(imap.Condition(imap.BYE, conversation.text()))
            case 3:
                conversation.do(machine.accept)
            case 4:
                self._say(imap.ExistsData(turn.move))
            case _:
                pass

    def _accept(self, machine: imap.Server, event: object) -> None:
        conversation = self._conversation
        if isinstance(event, imap.Tagged):
            if isinstance(event.command, imap.Authenticate) and conversation.decide(2):
                challenge = conversation.text().encode(errors="replace")
                if self._say(imap.Challenge(challenge)):
                    return
            if isinstance(event.command, imap.Select | imap.Examine):
                self._say(imap.ExistsData(3))
                self._say(imap.Completion(event.tag, imap.OK, "selected", imap.READ_WRITE))
                return
            if isinstance(event.command, imap.Fetch):
                self._say_fetch()
        said = conversation.do(machine.accept)
        if said is None:
            self._refuse(event)
        elif not conversation.quick:
            _heard_accept(said, self._tag)

    def _refuse(self, event: object) -> None:
        conversation = self._conversation
        if isinstance(event, imap.Tagged | imap.InvalidCommand) and event.tag is not None:
            state = imap.BAD if conversation.decide(2) else imap.NO
            code = _CODES[conversation.decide(len(_CODES))](conversation.text())
            item = imap.Completion(event.tag, state, conversation.text(), code)
            if not self._say(item):
                self._say(imap.Completion(event.tag, state, "no"))
        else:
            conversation.do(conversation.machine.accept)

    def _say_fetch(self) -> None:
        """A FETCH response whose section is streamed, in chunks that fit and one that does not."""
        conversation = self._conversation
        data = conversation.text().encode(errors="replace")
        section = imap.SectionData(imap.WHOLE_MESSAGE, imap.Streamed(len(data)))
        first = conversation.say(imap.FetchData(conversation.decide(3), sections=(section,)))
        if first is None or not data:
            return
        if conversation.say(imap.LiteralChunk(data + b"x")) is not None:
            raise Violation("more octets than a literal announced were taken")
        if conversation.say(imap.ExistsData(1)) is not None:
            raise Violation("a response inside of a literal was taken")
        chunk = conversation.say(imap.LiteralChunk(data))
        if chunk is None:
            raise Violation("the octets of a literal were refused")
        if not conversation.quick:
            _heard(first + chunk, imap.FetchData)

    def _say_anything(self, event: object) -> None:
        conversation = self._conversation
        tag = event.tag if isinstance(event, imap.Tagged | imap.InvalidCommand) else None
        make = _RESPONSES[conversation.decide(len(_RESPONSES))]
        text, number = conversation.text(), conversation.decide(200)
        try:
            response = make(text, number, tag or text)
        except (ValueError, LocalProtocolError):
            return  # a name, a set or a string that cannot even be constructed
        self._say(response)

    def _say(self, item: imap.Response) -> bool:
        said = self._conversation.say(item)
        if said is None:
            return False
        if isinstance(item, imap.Continuation) and said == b"":
            return True  # for a literal that does not wait for it
        if isinstance(item, imap.Completion):
            said = _retagged(said, item.tag)
        if not self._conversation.quick:
            _heard(said, type(item))
        return True


def _retagged(said: bytes, tag: str, start: int = 0) -> bytes:
    """What was said, its completion with the tag that our own client gives its first command."""
    prefix = tag.encode() + b" "
    if not said.startswith(prefix, start):
        raise Violation(f"P15: {said!r} has not the tag {tag!r} at {start}")
    return said[:start] + b"A1 " + said[start + len(prefix) :]


def _heard_accept(said: bytes, tag: str | None) -> None:
    """What ``accept`` said: any number of responses, the last perhaps a completion."""
    if said == b"":
        return  # an APPEND that does not wait for a continuation
    if said.startswith(b"+ "):
        _heard(said, imap.Continuation)
        return
    if tag is not None:
        said = _retagged(said, tag, said.rfind(b"\r\n", 0, -2) + 2 if said[:2] == b"* " else 0)
    if not _events(said):
        raise Violation(f"P15: accept() said {said!r}, which is nothing")


def _heard(said: bytes, kind: type[imap.Response]) -> None:
    """P15: what was said is one response of that kind to our strict client, and nothing else."""
    found = [event for event in _events(said, kind) if not isinstance(event, imap.LiteralChunk)]
    if [type(event) for event in found] != [kind]:
        raise Violation(f"P15: {said!r} is {found!r} instead of one {kind.__name__}")


def _events(said: bytes, kind: type[object] = imap.Completion) -> list[object]:
    reader = imap.Client(tls=True)
    before_login = kind is imap.Challenge
    reader.receive_data(b"* OK x\r\n" if before_login else b"* PREAUTH x\r\n")
    reader.next_event()
    if before_login:
        reader.send(imap.Authenticate("PLAIN"))
    else:
        reader.send(imap.Idle() if kind is imap.Continuation else imap.Noop())
    found = heard(reader, said)
    for event in found:
        if isinstance(event, imap.Unparsed):
            raise Violation(f"P15: {said!r} is malformed: {event.problem}")
    return found


_CODES: Final[Sequence[Callable[[str], imap.ResponseCode | None]]] = (
    lambda text: None,
    lambda text: imap.ALERT,
    imap.Code,
    lambda text: imap.Code("X", text.encode(errors="replace")),
    lambda text: imap.NumberCode("UIDNEXT", -len(text)),
    lambda text: imap.BadCharset((text.encode(errors="replace"),)),
    lambda text: imap.CapabilityCode((text,)),
    lambda text: imap.PermanentFlags((text,)),
)

_WHEN: Final = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)


def _address(text: str) -> imap.Address:
    data = text.encode(errors="replace")
    return imap.Address(data, None, data, data)


def _envelope(text: str) -> imap.Envelope:
    data = text.encode(errors="replace")
    one = (_address(text),)
    return imap.Envelope(data, data, one, one, one, (), (), (), None, data)


_RESPONSES: Final[Sequence[Callable[[str, int, str], imap.Response]]] = (
    lambda text, number, tag: imap.Condition(imap.OK, text),
    lambda text, number, tag: imap.Condition(imap.NO, text, imap.Code(text)),
    lambda text, number, tag: imap.Condition(imap.BYE, text),
    lambda text, number, tag: imap.Condition(imap.PREAUTH, text),
    lambda text, number, tag: imap.Completion(tag, imap.OK, text),
    lambda text, number, tag: imap.Completion(text, imap.NO, text, imap.ALERT),
    lambda text, number, tag: imap.Continuation(text),
    lambda text, number, tag: imap.Challenge(text.encode(errors="replace")),
    lambda text, number, tag: imap.CapabilityData((text,)),
    lambda text, number, tag: imap.EnabledData((text,)),
    lambda text, number, tag: imap.IdData(((text, text), (b"x", None))),
    lambda text, number, tag: imap.NamespaceData((imap.NamespaceEntry(text, "/"),)),
    lambda text, number, tag: imap.ListData((text,), text[:1] or None, text),
    lambda text, number, tag: imap.ListData(("\\Noselect",), "/", text),
    lambda text, number, tag: imap.LsubData((), None, text.encode(errors="replace")),
    lambda text, number, tag: imap.StatusData(text, ((imap.StatusItem.MESSAGES, number - 1),)),
    lambda text, number, tag: imap.SearchData(tuple(range(number)), number),
    lambda text, number, tag: imap.ESearchData(tag, True, number, number),
    lambda text, number, tag: imap.FlagsData((text, imap.SEEN)),
    lambda text, number, tag: imap.ExistsData(number - 1),
    lambda text, number, tag: imap.RecentData(number),
    lambda text, number, tag: imap.ExpungeData(number),
    lambda text, number, tag: imap.FetchData(number, flags=(text,), internal_date=_WHEN),
    lambda text, number, tag: imap.FetchData(
        number,
        uid=number,
        sections=(imap.SectionData(imap.WHOLE_MESSAGE, text.encode(errors="replace")),),
    ),
    lambda text, number, tag: imap.FetchData(number, envelope=_envelope(text), size=number),
    lambda text, number, tag: imap.FetchData(number, others=((text, text.encode()),)),
    lambda text, number, tag: imap.LiteralChunk(text.encode(errors="replace")),
)


# ------------------------------------------------------------------------------------- client


def _new_client(case: Case) -> imap.Client:
    on = case.option
    limits = imap.IMAPClientLimits()
    if on(5) or case.flood:
        limits = imap.IMAPClientLimits(
            line=512, response=1024, literal_threshold=16, depth=5, pending_commands=3
        )
    machine = imap.Client(tls=on(1), allow_insecure_auth=on(2), limits=limits, trace=case.trace(6))
    if on(7):
        machine.receive_data(b"* PREAUTH [CAPABILITY IMAP4rev1%s] x\r\n" % _capabilities(on(8)))
        machine.next_event()
        if on(9):
            machine.send(imap.Select("INBOX"))
            machine.receive_data(b"A1 OK x\r\n")
            machine.next_event()
    return machine


def _capabilities(literals: bool) -> bytes:
    return b" LITERAL+ SASL-IR IDLE ESEARCH" if literals else b" LITERAL- IDLE"


class _User:
    """Sends one command each turn, in any state, and checks its octets."""

    def __init__(self, conversation: Conversation[imap.Client]) -> None:
        self._conversation = conversation

    def answer(self, machine: imap.Client, event: object) -> None:
        """Do nothing: what is said while responses are under way may depend on their chunks."""

    def move(self, machine: imap.Client, turn: Turn) -> None:
        kind = turn.move % 64
        if kind >= len(_COMMANDS):
            return
        tag = machine.next_tag
        try:
            command = _COMMANDS[kind](self._conversation.text())
        except (ValueError, LocalProtocolError):
            return  # a name, a set or a string that cannot even be constructed
        said = self._conversation.say(command)
        if not said or isinstance(command, imap.LiteralChunk):
            return
        if isinstance(command, imap.AuthenticateResponse | imap.Done):
            if said.count(b"\r\n") != 1 or not said.endswith(b"\r\n"):
                raise Violation(f"P04: {command!r} was sent as {said!r}")
            return
        self._check_command(tag, command, said)

    def _check_command(self, tag: str, command: imap.ClientItem, said: bytes) -> None:
        """P04: our own server, which asks for every literal, reads the same command."""
        if b"+}\r\n" in said:
            return  # non-synchronizing literals: the octets behind them are data
        first = said[:-2]
        if not said.startswith(tag.encode() + b" ") or any(o in first for o in b"\r\n\0"):
            raise Violation(f"P04: {command!r} was sent as {said!r}")
        if said.endswith(b"}\r\n"):
            return
        reader = imap.Server(offer=_EVERYTHING, tls=isinstance(command, imap.Login))
        reader.send(imap.Condition(_greeting_for(command), "x"))
        if isinstance(command, _SELECTED):
            reader.receive_data(b"s SELECT x\r\n")
            reader.next_event()
            reader.send(imap.Completion("s", imap.OK, "x"))
        reader.receive_data(said)
        found = reader.next_event()
        if isinstance(found, imap.InvalidCommand) and "mailbox name" in found.problem:
            return  # an empty name is well-formed, but no mailbox has it
        if not isinstance(found, imap.Tagged) or type(found.command) is not type(command):
            raise Violation(f"P04: {command!r} was sent as {said!r}, which is {found!r}")


_EVERYTHING: Final = imap.Offer(mechanisms=("PLAIN",), starttls=True, insecure_auth=True)
_SELECTED: Final = (
    imap.Check,
    imap.Close,
    imap.Unselect,
    imap.Expunge,
    imap.Search,
    imap.Fetch,
    imap.Store,
    imap.Copy,
    imap.Move,
)


def _greeting_for(command: object) -> imap.ConditionState:
    before = isinstance(command, imap.Login | imap.Authenticate | imap.StartTLS)
    return imap.OK if before else imap.PREAUTH


_COMMANDS: Final[Sequence[Callable[[str], imap.ClientItem]]] = (
    lambda text: imap.Capability(),
    lambda text: imap.Noop(),
    lambda text: imap.Logout(),
    lambda text: imap.Id(((text, text),)),
    lambda text: imap.StartTLS(),
    lambda text: imap.Authenticate("PLAIN"),
    lambda text: imap.Authenticate("PLAIN", text.encode(errors="replace")),
    imap.Authenticate,
    lambda text: imap.AuthenticateResponse(text.encode(errors="replace")),
    lambda text: imap.AuthenticateResponse(None),
    lambda text: imap.Login(text, text),
    lambda text: imap.Login("smith", "sesame"),
    lambda text: imap.Enable((text,)),
    imap.Select,
    imap.Examine,
    lambda text: imap.Select("INBOX"),
    imap.Create,
    imap.Delete,
    lambda text: imap.Rename("x", text),
    imap.Subscribe,
    imap.Unsubscribe,
    lambda text: imap.List("", text),
    lambda text: imap.Lsub(text, "*"),
    lambda text: imap.Namespace(),
    lambda text: imap.Status(text, imap.StatusItem.UIDNEXT),
    lambda text: imap.Append("x", text.encode(errors="replace")),
    lambda text: imap.Append(text, imap.Streamed(len(text)), (text,), _WHEN),
    lambda text: imap.Append("x", imap.Streamed(5)),
    lambda text: imap.LiteralChunk(b"hello"),
    lambda text: imap.LiteralChunk(text.encode(errors="replace")),
    lambda text: imap.Idle(),
    lambda text: imap.Done(),
    lambda text: imap.Check(),
    lambda text: imap.Close(),
    lambda text: imap.Unselect(),
    lambda text: imap.Expunge(),
    lambda text: imap.Expunge(text),
    lambda text: imap.Search((imap.SearchFlag.ALL,)),
    lambda text: imap.Search((imap.SearchText(imap.TextKey.SUBJECT, text),), charset="UTF-8"),
    lambda text: imap.Search((imap.Not(imap.SearchKeyword(text)),), charset=text, uid=True),
    lambda text: imap.Fetch("1:*", imap.FetchMacro.ALL),
    lambda text: imap.Fetch("1", imap.BodySection(imap.Section(fields=(text,)))),
    lambda text: imap.Fetch(text, imap.BodySection(partial=(0, len(text))), uid=True),
    lambda text: imap.Store("1", imap.StoreAction.ADD, (text,), silent=True),
    lambda text: imap.Copy("1", text),
    lambda text: imap.Move("1:2", text, uid=True),
)
