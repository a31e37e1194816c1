r"""FETCH: each message is looked into only as far as the items ask for.

Flags, dates and sizes cost nothing; an envelope or a header costs the header; a structure or a
part costs one reading of the message, whose index is kept for the next FETCH. Big sections are
streamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from mailproto import message as mail
from mailproto._core.frozen import frozen
from mailproto.backend.store import FlagChange, MessageGone, MessageInfo, StoreFailure
from mailproto.flows.effects import Flow, call
from mailproto.flows.imap_server.answers import EXPUNGEISSUED, Answer, Ended, no, ok
from mailproto.flows.imap_server.contents import CHUNK, Reader
from mailproto.flows.imap_server.selected import Selected
from mailproto.flows.imap_server.session import Session
from mailproto.flows.imap_server.structure import body_structure, envelope
from mailproto.imap.body_structure import BodyStructure
from mailproto.imap.commands import Fetch, Tagged
from mailproto.imap.fetch_item import (
    BodySection,
    FetchAtt,
    FetchItem,
    FetchMacro,
    Section,
    SectionText,
)
from mailproto.imap.flags import SEEN
from mailproto.imap.responses import FetchData, SectionData
from mailproto.imap.streamed import LiteralChunk, Streamed

__all__ = ["fetch"]

_BATCH: Final = 100
"""Messages that are marked as seen at once, shortly before they are sent."""


@frozen
class _Wanted:
    """A section that was asked for."""

    name: Section | FetchAtt
    """As the response names it."""
    section: Section
    partial: tuple[int, int] | None
    sees: bool
    r"""Whether to send it sets ``\Seen``."""


@frozen
class _Plan:
    """What a FETCH asks for, worked out once for all its messages."""

    attributes: frozenset[FetchAtt]
    sections: tuple[_Wanted, ...]

    @property
    def sees(self) -> bool:
        return any(wanted.sees for wanted in self.sections)

    @property
    def needs_header(self) -> bool:
        return FetchAtt.ENVELOPE in self.attributes or any(
            wanted.section != Section() for wanted in self.sections
        )

    @property
    def needs_index(self) -> bool:
        if self.attributes & {FetchAtt.BODY, FetchAtt.BODYSTRUCTURE}:
            return True
        return any(wanted.section.part for wanted in self.sections)


_RFC822: Final = {
    FetchAtt.RFC822: (Section(), True),
    FetchAtt.RFC822_HEADER: (Section(text=SectionText.HEADER), False),
    FetchAtt.RFC822_TEXT: (Section(text=SectionText.TEXT), True),
}


def _plan(command: Fetch) -> _Plan:
    items: tuple[FetchItem, ...] = (
        command.items.items if isinstance(command.items, FetchMacro) else command.items
    )
    attributes: set[FetchAtt] = set()
    sections: dict[tuple[object, ...], _Wanted] = {}
    for item in items:
        if isinstance(item, BodySection):
            wanted = _Wanted(item.section, item.section, item.partial, not item.peek)
            same = sections.get((item.section, item.partial))
            if same is not None and same.sees:
                continue
            sections[item.section, item.partial] = wanted
        elif item in _RFC822:
            section, sees = _RFC822[item]
            sections[item,] = _Wanted(item, section, None, sees)
        else:
            attributes.add(item)
    if command.uid:
        attributes.add(FetchAtt.UID)
    return _Plan(frozenset(attributes), tuple(sections.values()))


def fetch(session: Session, tagged: Tagged) -> Flow[Answer]:
    """FETCH and UID FETCH."""
    command = tagged.command
    assert isinstance(command, Fetch)
    selected = session.selected
    assert selected is not None
    plan = _plan(command)
    named = selected.find(command.sequence_set, by_uid=command.uid)
    complete = True
    for start in range(0, len(named), _BATCH):
        batch = named[start : start + _BATCH]
        told = yield from _mark_as_seen(session, selected, batch) if plan.sees else _nothing()
        for uid in batch:
            message, number = selected.tracker.message(uid), selected.tracker.number(uid)
            if message is None or number is None:
                continue
            reader = session.contents.reader(selected.mailbox, message)
            try:
                yield from _send(session, selected, plan, number, message, reader, uid in told)
            except MessageGone:
                complete = False
            yield from session.drain()
    if not complete:
        return no("some of the messages no longer exist", EXPUNGEISSUED)
    return ok("FETCH completed")


def _nothing() -> Flow[set[int]]:
    yield from ()
    return set()


def _mark_as_seen(session: Session, selected: Selected, uids: list[int]) -> Flow[set[int]]:
    r"""Set ``\Seen``; the UIDs whose flags are to be told for that."""
    tracker = selected.tracker
    unseen = [
        uid
        for uid in uids
        if (message := tracker.message(uid)) is not None and SEEN not in message.flags
    ]
    if selected.read_only or not unseen:
        return set()
    yield from call(selected.mailbox.set_flags, unseen, FlagChange.ADD, (SEEN,))
    yield from session.refresh(selected)
    return set(unseen)


def _send(
    session: Session,
    selected: Selected,
    plan: _Plan,
    number: int,
    message: MessageInfo,
    reader: Reader,
    tell_flags: bool,
) -> Flow[None]:
    """One FETCH response."""
    index: mail.Index | None = None
    if plan.needs_index:
        index = yield from reader.index()
    elif plan.needs_header:
        index = yield from reader.outline()
    if plan.sections:
        yield from reader.open()
    found = [(wanted, _located(wanted, index, message)) for wanted in plan.sections]
    big = sum(place.size for _, place in found if place is not None) > CHUNK
    sections: list[SectionData] = []
    for wanted, place in found:
        origin = None if wanted.partial is None else wanted.partial[0]
        data: bytes | Streamed | None = None
        if place is not None:
            data = Streamed(place.size) if big else (yield from reader.ranges(place.ranges))
        sections.append(SectionData(wanted.name, data, origin))
    response = _response(selected, plan, number, message, index, tell_flags)
    if sections:
        response = attrs.evolve(response, sections=tuple(sections))
    if response == FetchData(number):
        return
    session.send(response)
    if response.flags is not None:
        selected.tracker.told(message.uid)
    if big:
        places = [place for _, place in found if place is not None]
        yield from _stream(session, reader, places)


def _response(
    selected: Selected,
    plan: _Plan,
    number: int,
    message: MessageInfo,
    index: mail.Index | None,
    tell_flags: bool,
) -> FetchData:
    wants = plan.attributes
    structure: BodyStructure | None = None
    if index is not None and wants & {FetchAtt.BODY, FetchAtt.BODYSTRUCTURE}:
        structure = body_structure(index.root)
    return FetchData(
        number,
        message.uid if FetchAtt.UID in wants else None,
        selected.flags_of(message) if FetchAtt.FLAGS in wants or tell_flags else None,
        message.internal_date if FetchAtt.INTERNALDATE in wants else None,
        message.size if FetchAtt.RFC822_SIZE in wants else None,
        envelope(index.root.header) if index is not None and FetchAtt.ENVELOPE in wants else None,
        structure if FetchAtt.BODY in wants else None,
        structure if FetchAtt.BODYSTRUCTURE in wants else None,
    )


# -------------------------------------------------------------------------------------- sections

_TEXTS: Final = {
    None: mail.SectionText.ALL,
    SectionText.HEADER: mail.SectionText.HEADER,
    SectionText.HEADER_FIELDS: mail.SectionText.HEADER_FIELDS,
    SectionText.HEADER_FIELDS_NOT: mail.SectionText.HEADER_FIELDS_NOT,
    SectionText.MIME: mail.SectionText.MIME,
    SectionText.TEXT: mail.SectionText.TEXT,
}


def _located(
    wanted: _Wanted, index: mail.Index | None, message: MessageInfo
) -> mail.Section | None:
    """Where the section lies, its partial cut out; ``None`` where the message has none."""
    section = wanted.section
    if section == Section():
        place: mail.Section | None = mail.Section(((0, message.size),))
    else:
        assert index is not None
        place = mail.section(index, section.part, _TEXTS[section.text], section.fields)
    if place is None or wanted.partial is None:
        return place
    return place.partial(*wanted.partial)


def _chunks(places: list[mail.Section]) -> Iterator[tuple[int, int]]:
    for place in places:
        yield from place.ranges


def _stream(session: Session, reader: Reader, places: list[mail.Section]) -> Flow[None]:
    """The octets of the sections that a response has announced."""
    try:
        for start, end in _chunks(places):
            at = start
            while at < end:
                data = yield from reader.read(at, end)
                session.send(LiteralChunk(data))
                yield from session.drain()
                at += len(data)
    except (MessageGone, StoreFailure):
        # The client waits for octets that do not exist any more.
        raise Ended from None
