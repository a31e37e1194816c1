"""Commands about mailboxes that need not be selected: making, naming, listing, their status."""

from __future__ import annotations

from mailproto.backend.store import MailboxEntry, MailboxStatus
from mailproto.flows.effects import Flow, call
from mailproto.flows.imap_server.answers import Answer, no, ok
from mailproto.flows.imap_server.names import Pattern, new_name, store_name
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import (
    Create,
    Delete,
    List,
    Lsub,
    Rename,
    Status,
    Subscribe,
    Tagged,
    Unsubscribe,
)
from mailproto.imap.flags import HAS_CHILDREN, HAS_NO_CHILDREN, NO_SELECT
from mailproto.imap.mailbox_name import MailboxName
from mailproto.imap.response_code import CANNOT
from mailproto.imap.responses import ListData, LsubData, StatusData
from mailproto.imap.status_item import StatusItem

__all__ = [
    "create",
    "delete",
    "list_mailboxes",
    "lsub",
    "rename",
    "status",
    "subscribe",
    "unsubscribe",
]


def create(session: Session, tagged: Tagged) -> Flow[Answer]:
    """CREATE."""
    assert isinstance(tagged.command, Create)
    name = new_name(tagged.command.mailbox, session.context.store.delimiter)
    yield from call(session.account.create, name)
    return ok("CREATE completed")


def delete(session: Session, tagged: Tagged) -> Flow[Answer]:
    """DELETE; in sessions that have it selected every message of it is expunged."""
    assert isinstance(tagged.command, Delete)
    name = store_name(tagged.command.mailbox)
    if name == "INBOX":
        return no("INBOX cannot be deleted", CANNOT)
    yield from call(session.account.delete, name)
    return ok("DELETE completed")


def rename(session: Session, tagged: Tagged) -> Flow[Answer]:
    """RENAME."""
    assert isinstance(tagged.command, Rename)
    name = store_name(tagged.command.mailbox)
    other = new_name(tagged.command.new_name, session.context.store.delimiter)
    yield from call(session.account.rename, name, other)
    return ok("RENAME completed")


def subscribe(session: Session, tagged: Tagged) -> Flow[Answer]:
    """SUBSCRIBE; the mailbox need not exist."""
    assert isinstance(tagged.command, Subscribe)
    name = new_name(tagged.command.mailbox, session.context.store.delimiter)
    yield from call(session.account.subscribe, name, True)
    return ok("SUBSCRIBE completed")


def unsubscribe(session: Session, tagged: Tagged) -> Flow[Answer]:
    """UNSUBSCRIBE."""
    assert isinstance(tagged.command, Unsubscribe)
    name = store_name(tagged.command.mailbox)
    yield from call(session.account.subscribe, name, False)
    return ok("UNSUBSCRIBE completed")


def status(session: Session, tagged: Tagged) -> Flow[Answer]:
    """STATUS."""
    command = tagged.command
    assert isinstance(command, Status)
    mailbox = yield from call(session.account.open, store_name(command.mailbox))
    found = yield from call(mailbox.status)
    items = tuple([(item, _status_item(found, item)) for item in command.items])
    session.send(StatusData(command.mailbox, items))
    return ok("STATUS completed")


def _status_item(found: MailboxStatus, item: StatusItem) -> int:
    match item:
        case StatusItem.MESSAGES:
            return found.messages
        case StatusItem.RECENT:
            return found.recent
        case StatusItem.UIDNEXT:
            return found.uid_next
        case StatusItem.UIDVALIDITY:
            return found.uid_validity
        case StatusItem.UNSEEN:
            return found.unseen


# --------------------------------------------------------------------------------------- listing


def list_mailboxes(session: Session, tagged: Tagged) -> Flow[Answer]:
    """LIST, with the attributes of CHILDREN and SPECIAL-USE."""
    command = tagged.command
    assert isinstance(command, List)
    delimiter = session.context.store.delimiter
    if not command.pattern.octets:
        # What is asked for is the delimiter (RFC 3501 section 6.3.8).
        session.send(ListData((NO_SELECT,), delimiter, MailboxName(b"")))
        return ok("LIST completed")
    entries = yield from call(session.account.mailboxes)
    above = _names_above([entry.name for entry in entries if entry.exists], delimiter)
    pattern = Pattern(command.reference.octets + command.pattern.octets, delimiter.encode())
    for entry in entries:
        name = MailboxName.from_text(entry.name)
        if entry.exists and pattern.matches(name.octets):
            session.send(ListData(_attributes(entry, above), delimiter, name))
            yield from session.drain()
    return ok("LIST completed")


def _attributes(entry: MailboxEntry, above: set[str]) -> tuple[str, ...]:
    attributes = [HAS_CHILDREN if entry.name in above else HAS_NO_CHILDREN]
    if not entry.selectable:
        attributes.insert(0, NO_SELECT)
    if entry.special_use is not None:
        attributes.append(entry.special_use)
    return tuple(attributes)


def _names_above(names: list[str], delimiter: str) -> set[str]:
    above: set[str] = set()
    for name in names:
        parent, found, _ = name.rpartition(delimiter)
        while found and parent not in above:
            above.add(parent)
            parent, found, _ = parent.rpartition(delimiter)
    return above


def lsub(session: Session, tagged: Tagged) -> Flow[Answer]:
    r"""LSUB; where only children are subscribed and match no more, the name above is \Noselect."""
    command = tagged.command
    assert isinstance(command, Lsub)
    delimiter = session.context.store.delimiter
    if not command.pattern.octets:
        session.send(LsubData((NO_SELECT,), delimiter, MailboxName(b"")))
        return ok("LSUB completed")
    entries = yield from call(session.account.mailboxes)
    pattern = Pattern(command.reference.octets + command.pattern.octets, delimiter.encode())
    subscribed = {entry.name for entry in entries if entry.subscribed}
    listed: set[str] = set()
    for entry in entries:
        if not entry.subscribed:
            continue
        name = MailboxName.from_text(entry.name)
        if pattern.matches(name.octets):
            attributes = () if entry.exists and entry.selectable else (NO_SELECT,)
            session.send(LsubData(attributes, delimiter, name))
        elif command.pattern.octets.endswith(b"%"):
            for above in _names_above([entry.name], delimiter) - subscribed - listed:
                name = MailboxName.from_text(above)
                if pattern.matches(name.octets):
                    listed.add(above)
                    session.send(LsubData((NO_SELECT,), delimiter, name))
        yield from session.drain()
    return ok("LSUB completed")
