"""Fetching new mail by POP3, each message once, however often a run is interrupted.

Two rules make it so: a message and the memory of its unique-id are kept in one step, and nothing
is deleted on the server before that. A run that ends anywhere leaves every message either kept or
still on the server, and the next run goes on from there.

A server without UIDL gives messages no lasting names, and some give them to others only. They are
known by what they hold then, which is told only after they have come: every run receives all of
them that are left on the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from inspect import iscoroutine
from typing import Final

from attrs import field

from mailproto import pop3
from mailproto._core.frozen import frozen
from mailproto.backend.downloads import Arrivals
from mailproto.backend.store import Maybe
from mailproto.errors import CommandFailed, LocalProtocolError
from mailproto.flows.effects import Flow, call_blocking
from mailproto.flows.pop3_client import Session

__all__ = ["ContentName", "Downloaded", "download"]

_DAY: Final = 86_400.0
_PREFIX: Final = "SHA-256 of the content: "
"""Longer than it leaves room for within a unique-id (RFC 1939 section 7): no server gives such."""
_COPY: Final = " \N{NUMERO SIGN}"
"""No unique-id holds it, for each octet of one is a character of Latin-1."""
_VOLATILE: Final = (b"status:", b"x-status:", b"x-uidl:")
"""Fields that servers over mbox files add or change when a message was read."""
_HEADER_LINE: Final = 998


@frozen
class Downloaded:
    """What a run has done."""

    received: int
    """Messages that were new, and kept."""
    removed: int
    """Messages removed from the server."""
    left: int
    """Messages that this run leaves on the server; one that announces EXPIRE 0 removes them too."""
    refused: Mapping[int, str] = field(factory=dict[int, str], hash=False)
    """Why the server refused RETR or DELE, by message number: the next run asks for these again."""


def download(
    session: Session, arrivals: Arrivals, *, now: float, leave_days: float | None = 0
) -> Flow[Downloaded]:
    """Receive what is new, remove what may go, and end the session with QUIT.

    ``session`` is logged in. ``leave_days`` is how long a message stays on the server after it
    was received: 0 removes it at once, ``None`` never; ``now`` is the time in seconds, from the
    same clock in every run. A message that the server refuses to give or to remove stays there, and
    the run goes on. Raises CommandFailed if the server refuses UIDL although it announces it or had
    it before, or could not remove what was deleted: the next run does that then. What ``arrivals``
    raises ends the session, and nothing is removed. Raises LocalProtocolError for ``leave_days``
    below 0.
    """
    if leave_days is not None and not leave_days >= 0:
        raise LocalProtocolError(f"leave_days is {leave_days}: 0 removes at once, None never")
    kept = dict((yield from call_blocking(arrivals.kept)))
    unique_ids = yield from _unique_ids(session, kept)
    messages = sorted((yield from session.list()) if unique_ids is None else unique_ids)
    names, groups = _names({each: found for each, found in (unique_ids or {}).items() if found})
    run = _Run(session, arrivals, kept, names, now)
    left: set[str] = set()
    for message in messages:
        yield from run.receive(message)
        group = groups.get(message, (message,))
        staying = group
        if leave_days is not None and all(run.age(each) >= leave_days * _DAY for each in group):
            staying = yield from run.remove(group)
        # Those that stay have the first names in the next run.
        left.update(names[each] for each in group[: len(staying)] if each in names)
    yield from session.quit()
    # What was removed is forgotten at once, for a server may use a unique-id again then.
    gone = kept.keys() - left
    if any(message not in names for message in run.refused):
        # By content, nothing tells which message was not seen.
        gone = {name for name in gone if not name.startswith(_PREFIX)}
    if gone:
        yield from call_blocking(arrivals.forget, gone)
    return Downloaded(run.received, run.removed, len(messages) - run.removed, run.refused)


class _Run:
    """A download under way: what was received so far, and what the server has refused."""

    def __init__(
        self,
        session: Session,
        arrivals: Arrivals,
        kept: dict[str, float],
        names: dict[int, str],
        now: float,
    ) -> None:
        self._session = session
        self._arrivals = arrivals
        self._kept = kept
        self._names = names
        self._now = now
        self.received = 0
        self.removed = 0
        self.refused: dict[int, str] = {}

    def age(self, message: int) -> float:
        """Seconds since a message was received; below 0 for one that was not."""
        name = self._names.get(message)
        if name is None or name not in self._kept:
            return -1.0
        # A clock may have been put back since.
        return max(0.0, self._now - self._kept[name])

    def remove(self, messages: Sequence[int]) -> Flow[Sequence[int]]:
        """Those of the messages that the server refuses to remove."""
        staying: list[int] = []
        for message in messages:
            try:
                yield from self._session.delete(message)
                self.removed += 1
            except CommandFailed as error:
                self.refused[message] = str(error)
                staying.append(message)
        return staying

    def receive(self, message: int) -> Flow[None]:
        """Keep a message, unless it is there already."""
        name = self._names.get(message)
        if name in self._kept:
            return
        incoming = yield from call_blocking(self._arrivals.begin)
        content = ContentName()
        begun = False

        def take(data: bytes) -> Maybe[object]:
            nonlocal begun
            begun = True
            if name is None:
                content.feed(data)
            return incoming.write(data)

        try:
            yield from self._session.retrieve_into(message, take)
        except Exception as error:
            yield from call_blocking(incoming.discard)
            # Whatever comes once the server gives the message is no refusal of it.
            if begun or not isinstance(error, CommandFailed):
                raise
            self.refused[message] = str(error)
            return
        except BaseException:
            # The driver has cut the session: nothing can be awaited any more.
            discarding = incoming.discard()
            if iscoroutine(discarding):
                discarding.close()
            raise
        self._names[message] = name = name or content.name
        if name in self._kept:
            yield from call_blocking(incoming.discard)
        else:
            yield from call_blocking(incoming.keep, name, self._now)
            self._kept[name] = self._now
            self.received += 1


def _names(
    unique_ids: dict[int, str],
) -> tuple[dict[int, str], Mapping[int, Sequence[int]]]:
    """What each message is remembered by, and by the last of each group which messages it has.

    That is the unique-id, with a number where others have it too: identical messages may
    (RFC 1939 section 7), and on some servers others do. The number is the place among those of one
    unique-id, so they form a group that is removed at once: who stays alone would move up.
    """
    if len(set(unique_ids.values())) == len(unique_ids):
        return unique_ids, {}
    alike: dict[str, list[int]] = {}
    for message in sorted(unique_ids):
        alike.setdefault(unique_ids[message], []).append(message)
    names: dict[int, str] = {}
    groups: dict[int, Sequence[int]] = {}
    for unique_id, group in alike.items():
        for number, message in enumerate(group, 1):
            names[message] = unique_id if number == 1 else f"{unique_id}{_COPY}{number}"
            groups[message] = ()
        groups[group[-1]] = group
    return names, groups


def _unique_ids(session: Session, kept: Mapping[str, float]) -> Flow[dict[int, str] | None]:
    """Unique-ids by message number; ``None`` where messages are known by their content."""
    by_content = bool(kept) and all(name.startswith(_PREFIX) for name in kept)
    try:
        unique_ids = yield from session.uidl()
    except CommandFailed:
        if pop3.Quirk.NO_UIDL not in session.quirks or (kept and not by_content):
            raise
        # What was announced and is refused is a failure: names would change from run to run.
        if pop3.Quirk.NO_CAPA not in session.quirks and (yield from session.capabilities()).uidl:
            raise
        return None
    # What was left by content has to be known by it, or it would come again.
    return None if by_content else unique_ids


class ContentName:
    """The name of a message by its content, without the fields that reading it changes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        # The header's line that has not ended yet; None behind the header.
        self._line: bytes | None = b""

    def feed(self, data: bytes) -> None:
        """The next octets."""
        if self._line is not None:
            data = self._line + data
            at = 0
            while at < (end := data.find(b"\r\n", at)) <= at + _HEADER_LINE:
                line = data[at : end + 2]
                if not line.lower().startswith(_VOLATILE):
                    self._hash.update(line)
                at = end + 2
            if end < 0 and len(data) - at <= _HEADER_LINE + 1:
                self._line = data[at:]
                return
            # The header is over, or this is none.
            self._line = None
            data = data[at:]
        self._hash.update(data)

    @property
    def name(self) -> str:
        """The name, once the whole message was fed."""
        whole = self._hash.copy()
        whole.update(self._line or b"")
        return _PREFIX + whole.hexdigest()
