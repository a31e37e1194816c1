"""Commands that change messages: STORE, COPY, MOVE, EXPUNGE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mailproto.backend.rules import Flags
from mailproto.backend.store import Copied, FlagChange, NoSuchMailbox
from mailproto.flows.effects import Flow, call
from mailproto.flows.imap_server.answers import EXPUNGEISSUED, Answer, Refused, no, ok
from mailproto.flows.imap_server.names import store_name
from mailproto.flows.imap_server.selected import Selected
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import Copy, Expunge, Move, Store, StoreAction, Tagged
from mailproto.imap.flags import SYSTEM_FLAGS
from mailproto.imap.response_code import CANNOT, READ_ONLY, TRYCREATE, CopyUid
from mailproto.imap.responses import OK, Condition, FetchData
from mailproto.imap.sequence_set import SequenceSet

__all__ = ["allowed_flags", "copy", "expunge", "move", "selected_for_writing", "store"]

_CHANGES: Final = {
    StoreAction.REPLACE: FlagChange.REPLACE,
    StoreAction.ADD: FlagChange.ADD,
    StoreAction.REMOVE: FlagChange.REMOVE,
}
_LONGEST_KEYWORD: Final = 100


def selected_for_writing(session: Session) -> Selected:
    """The selected mailbox. Raises Refused if it is read-only."""
    selected = session.selected
    assert selected is not None
    if selected.read_only:
        raise Refused(no("the mailbox is read-only", READ_ONLY))
    return selected


def allowed_flags(flags: Iterable[str]) -> tuple[str, ...]:
    r"""``flags`` if a client may set them: system flags other than ``\Recent``, and keywords."""
    for flag in flags:
        if flag.startswith("\\") and flag not in SYSTEM_FLAGS:
            raise Refused(no("there is no such system flag to set", CANNOT))
        if len(flag) > _LONGEST_KEYWORD:
            raise Refused(no(f"a keyword has at most {_LONGEST_KEYWORD} characters", CANNOT))
    return tuple(flags)


def store(session: Session, tagged: Tagged) -> Flow[Answer]:
    """STORE: unless silent, the flags of every message named are told, changed or not."""
    command = tagged.command
    assert isinstance(command, Store)
    selected = selected_for_writing(session)
    tracker = selected.tracker
    flags = allowed_flags(command.flags)
    named = selected.find(command.sequence_set, by_uid=command.uid)
    change = _CHANGES[command.action]
    expected: dict[int, frozenset[str]] = {}
    if command.silent:
        becomes = Flags(flags)
        for uid in named:
            before = tracker.message(uid)
            if before is not None:
                expected[uid] = becomes.applied(change, before.flags)
    yield from call(selected.mailbox.set_flags, named, change, flags)
    yield from session.refresh(selected, expected)
    present = selected.present(named)
    if not command.silent:
        yield from session.report_new_keywords(selected, present)
        for uid in present:
            message, number = tracker.message(uid), tracker.number(uid)
            if message is not None and number is not None:
                told = selected.flags_of(message)
                session.send(FetchData(number, uid if command.uid else None, told))
                tracker.told(uid)
                yield from session.drain()
    if len(present) < len(named):
        return no("some of the messages no longer exist", EXPUNGEISSUED)
    return ok("STORE completed")


def expunge(session: Session, tagged: Tagged) -> Flow[Answer]:
    """EXPUNGE and UID EXPUNGE; the responses follow with everything else that is new."""
    command = tagged.command
    assert isinstance(command, Expunge)
    selected = selected_for_writing(session)
    uids = None if command.uids is None else selected.find(command.uids, by_uid=True)
    yield from call(selected.mailbox.expunge, uids)
    yield from session.refresh(selected)
    return ok("EXPUNGE completed")


# ---------------------------------------------------------------------------------- copy, move


def copy(session: Session, tagged: Tagged) -> Flow[Answer]:
    """COPY: all of the messages or none."""
    command = tagged.command
    assert isinstance(command, Copy)
    selected = session.selected
    assert selected is not None
    name = store_name(command.mailbox)
    uids = yield from _present(session, selected, command)
    try:
        copied = yield from call(selected.mailbox.copy, uids, name)
    except NoSuchMailbox:
        return no("there is no such mailbox; it could be made", TRYCREATE)
    return ok("COPY completed", _copy_uid(copied))


def move(session: Session, tagged: Tagged) -> Flow[Answer]:
    """MOVE (RFC 6851): COPYUID goes before the EXPUNGE responses."""
    command = tagged.command
    assert isinstance(command, Move)
    selected = selected_for_writing(session)
    name = store_name(command.mailbox)
    uids = yield from _present(session, selected, command)
    try:
        moved = yield from call(selected.mailbox.move, uids, name)
    except NoSuchMailbox:
        return no("there is no such mailbox; it could be made", TRYCREATE)
    code = _copy_uid(moved)
    if code is not None:
        session.send(Condition(OK, "moved", code))
    yield from session.refresh(selected)
    return ok("MOVE completed")


def _present(session: Session, selected: Selected, command: Copy | Move) -> Flow[list[int]]:
    """The UIDs named. Raises Refused when another session has removed one of them."""
    uids = selected.find(command.sequence_set, by_uid=command.uid)
    yield from session.refresh(selected)
    if len(selected.present(uids)) < len(uids) and not command.uid:
        raise Refused(no("some of the messages no longer exist", EXPUNGEISSUED))
    return selected.present(uids)


def _copy_uid(copied: Copied) -> CopyUid | None:
    if not copied.source:
        return None
    return CopyUid(copied.uid_validity, _in_order(copied.source), _in_order(copied.destination))


def _in_order(uids: Sequence[int]) -> SequenceSet:
    """``uids`` as ranges in their own order: COPYUID pairs them one by one."""
    ranges: list[tuple[int, int]] = []
    for uid in uids:
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
    return SequenceSet(tuple(ranges))
