r"""SEARCH: the keys as a small program that is run for every message.

It is run first with what costs nothing to know; keys that need the header or the body of a message
are unknown then. Only if the outcome depends on them is the message read.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from mailproto import message as mail
from mailproto.backend.store import MessageGone, MessageInfo
from mailproto.flows.effects import Flow
from mailproto.flows.imap_server.answers import Answer, Refused, bad, no, ok
from mailproto.flows.imap_server.contents import Reader
from mailproto.flows.imap_server.selected import Selected
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import ReturnOption, Search, Tagged
from mailproto.imap.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailproto.imap.response_code import LIMIT, BadCharset
from mailproto.imap.responses import ESearchData, SearchData
from mailproto.imap.search_key import (
    And,
    DateKey,
    Not,
    Or,
    SearchDate,
    SearchFlag,
    SearchHeader,
    SearchKey,
    SearchKeyword,
    SearchSet,
    SearchSize,
    SearchText,
    SearchUid,
    SizeKey,
    TextKey,
)
from mailproto.imap.sequence_set import SequenceSet

__all__ = ["search"]

_CHARSETS: Final = {"US-ASCII": "ascii", "UTF-8": "utf-8"}
_TEXT_KEYS: Final = 100
"""Keys of one SEARCH that need the header or the body of messages."""

_FLAGS: Final = {
    SearchFlag.ANSWERED: (ANSWERED, True),
    SearchFlag.DELETED: (DELETED, True),
    SearchFlag.DRAFT: (DRAFT, True),
    SearchFlag.FLAGGED: (FLAGGED, True),
    SearchFlag.SEEN: (SEEN, True),
    SearchFlag.UNANSWERED: (ANSWERED, False),
    SearchFlag.UNDELETED: (DELETED, False),
    SearchFlag.UNDRAFT: (DRAFT, False),
    SearchFlag.UNFLAGGED: (FLAGGED, False),
    SearchFlag.UNSEEN: (SEEN, False),
}
_FIELDS: Final = {
    TextKey.BCC: b"bcc",
    TextKey.CC: b"cc",
    TextKey.FROM: b"from",
    TextKey.SUBJECT: b"subject",
    TextKey.TO: b"to",
}
_SENT: Final = {
    DateKey.SENTBEFORE: DateKey.BEFORE,
    DateKey.SENTON: DateKey.ON,
    DateKey.SENTSINCE: DateKey.SINCE,
}

Info: TypeAlias = Callable[[int, MessageInfo], bool]
"""Decides by the sequence number and what is known without reading."""
Text: TypeAlias = Callable[[Reader], Flow[bool]]
"""Decides by reading."""


class _Text:
    """A key that needs a reading; ``body`` if the header is not enough."""

    __slots__ = ("body", "decide", "place")

    def __init__(self, place: int, decide: Text, *, body: bool) -> None:
        self.place: int = place
        self.decide: Text = decide
        self.body: bool = body


class _Join:
    """Joins the outcomes of the last ``count`` keys."""

    __slots__ = ("count", "kind")

    def __init__(self, kind: type[And | Or | Not], count: int) -> None:
        self.kind: type[And | Or | Not] = kind
        self.count: int = count


Step: TypeAlias = Info | _Text | _Join


def search(session: Session, tagged: Tagged) -> Flow[Answer]:
    """SEARCH and UID SEARCH."""
    command = tagged.command
    assert isinstance(command, Search)
    selected = session.selected
    assert selected is not None
    charset = _CHARSETS.get((command.charset or "UTF-8").upper())
    if charset is None:
        known = tuple(name.encode("ascii") for name in _CHARSETS)
        return no("the charset is not known", BadCharset(known))
    program = _Compiler(selected, charset).compile(command.keys)
    numbers: list[int] = []
    for number, message in enumerate([*selected.tracker], 1):
        if selected.tracker.is_gone(message.uid):
            continue
        reader = session.contents.reader(selected.mailbox, message)
        try:
            matches = yield from _run(program, number, message, reader)
        except MessageGone:
            continue
        if matches:
            numbers.append(message.uid if command.uid else number)
    if command.return_options is None:
        session.send(SearchData(tuple(numbers)))
    else:
        session.send(_extended(tagged.tag, command.uid, command.return_options, numbers))
    return ok("SEARCH completed")


def _extended(
    tag: str, uid: bool, options: tuple[ReturnOption, ...], numbers: list[int]
) -> ESearchData:
    """ESEARCH (RFC 4731); no options are ALL."""
    wants = set(options or (ReturnOption.ALL,))
    return ESearchData(
        tag,
        uid,
        numbers[0] if numbers and ReturnOption.MIN in wants else None,
        numbers[-1] if numbers and ReturnOption.MAX in wants else None,
        SequenceSet.of(numbers) if numbers and ReturnOption.ALL in wants else None,
        len(numbers) if ReturnOption.COUNT in wants else None,
    )


def _run(program: list[Step], number: int, message: MessageInfo, reader: Reader) -> Flow[bool]:
    known: dict[int, bool] = {}
    outcome = _outcome(program, number, message, known)
    if outcome is not None:
        return outcome
    texts = [step for step in program if isinstance(step, _Text)]
    # Headers first: often they decide, and bodies are dear.
    for text in sorted(texts, key=lambda text: text.body):
        known[text.place] = yield from text.decide(reader)
        outcome = _outcome(program, number, message, known)
        if outcome is not None:
            return outcome
    raise AssertionError("every key is known")


def _outcome(
    program: list[Step], number: int, message: MessageInfo, known: dict[int, bool]
) -> bool | None:
    """What the keys say, as far as they are known; ``None`` if that does not decide."""
    stack: list[bool | None] = []
    for step in program:
        if isinstance(step, _Text):
            stack.append(known.get(step.place))
        elif isinstance(step, _Join):
            values = stack[len(stack) - step.count :]
            del stack[len(stack) - step.count :]
            stack.append(_joined(step.kind, values))
        else:
            stack.append(step(number, message))
    return stack[0]


def _joined(kind: type[And | Or | Not], values: list[bool | None]) -> bool | None:
    if kind is Not:
        return None if values[0] is None else not values[0]
    decisive = kind is Or
    if decisive in values:
        return decisive
    return None if None in values else not decisive


class _Compiler:
    """Makes the program: keys in postfix order, without recursion."""

    def __init__(self, selected: Selected, charset: str) -> None:
        self._selected = selected
        self._charset = charset
        self._texts = 0

    def compile(self, keys: Iterable[SearchKey]) -> list[Step]:
        """The program whose outcome is whether all ``keys`` match."""
        program: list[Step] = []
        stack: list[SearchKey | _Join] = [And(tuple(keys))]
        while stack:
            key = stack.pop()
            match key:
                case _Join():
                    program.append(key)
                case And(inner):
                    stack += (_Join(And, len(inner)), *inner)
                case Or(left, right):
                    stack += (_Join(Or, 2), left, right)
                case Not(inner):
                    stack += (_Join(Not, 1), inner)
                case _:
                    program.append(self._leaf(key))
        return program

    def _leaf(self, key: SearchKey) -> Step:
        match key:
            case SearchFlag():
                return self._flag(key)
            case SearchKeyword(flag, present):
                wanted = flag.lower()
                return lambda _, m: (wanted in {f.lower() for f in m.flags}) is present
            case SearchSize(SizeKey.LARGER, size):
                return lambda _, m: m.size > size
            case SearchSize(_, size):
                return lambda _, m: m.size < size
            case SearchSet(numbers):
                holds = _holds(numbers, len(self._selected.tracker))
                return lambda number, _: holds(number)
            case SearchUid(uids):
                known = self._selected.tracker.uids
                holds = _holds(uids, known[-1] if known else 0)
                return lambda _, m: holds(m.uid)
            case SearchDate(kind, date):
                compare = _COMPARE[_SENT.get(kind, kind)]
                if kind in _SENT:
                    return self._header(
                        lambda h: (sent := mail.sent_date(h)) is not None and compare(sent, date)
                    )
                return lambda _, m: compare(m.internal_date.date(), date)
            case SearchHeader(name, octets):
                text = self._decoded(octets)
                return self._header(lambda h: mail.header_contains(h, name, text))
            case SearchText(kind, octets) if kind in _FIELDS:
                text, field = self._decoded(octets), _FIELDS[kind]
                return self._header(lambda h: mail.header_contains(h, field, text))
            case SearchText(kind, octets):
                return self._body(self._decoded(octets), header=kind is TextKey.TEXT)
            case _:
                raise AssertionError(f"not a leaf: {key!r}")

    def _flag(self, key: SearchFlag) -> Info:
        is_recent = self._selected.tracker.is_recent
        match key:
            case SearchFlag.ALL:
                return lambda _, m: True
            case SearchFlag.RECENT:
                return lambda _, m: is_recent(m.uid)
            case SearchFlag.OLD:
                return lambda _, m: not is_recent(m.uid)
            case SearchFlag.NEW:
                return lambda _, m: is_recent(m.uid) and SEEN not in m.flags
            case _:
                flag, present = _FLAGS[key]
                return lambda _, m: (flag in m.flags) is present

    def _decoded(self, octets: bytes) -> str:
        try:
            return octets.decode(self._charset)
        except UnicodeDecodeError:
            raise Refused(bad("a text to look for is not in the charset")) from None

    def _place(self) -> int:
        self._texts += 1
        if self._texts > _TEXT_KEYS:
            raise Refused(no(f"at most {_TEXT_KEYS} keys may look into messages", LIMIT))
        return self._texts

    def _header(self, decide: Callable[[mail.Header], bool]) -> _Text:
        def by_header(reader: Reader) -> Flow[bool]:
            index = yield from reader.outline()
            return decide(index.root.header)

        return _Text(self._place(), by_header, body=False)

    def _body(self, text: str, *, header: bool) -> _Text:
        def by_body(reader: Reader) -> Flow[bool]:
            index = yield from reader.index()
            looking = mail.TextSearch(index, text, header=header)
            for start, end in looking.ranges:
                at = start
                while at < end and not looking.found:
                    data = yield from reader.read(at, end)
                    looking.feed(data)
                    at += len(data)
            return looking.found or not text

        return _Text(self._place(), by_body, body=True)


_COMPARE: Final[dict[DateKey, Callable[[datetime.date, datetime.date], bool]]] = {
    DateKey.BEFORE: lambda found, wanted: found < wanted,
    DateKey.ON: lambda found, wanted: found == wanted,
    DateKey.SINCE: lambda found, wanted: found >= wanted,
}


def _holds(numbers: SequenceSet, largest: int) -> Callable[[int], bool]:
    """Whether a set holds a number, by bisection; numbers beyond the mailbox match nothing."""
    ranges = numbers.resolve(largest)
    firsts = [first for first, _ in ranges]

    def holds(number: int) -> bool:
        at = bisect_right(firsts, number) - 1
        return at >= 0 and number <= ranges[at][1]

    return holds
