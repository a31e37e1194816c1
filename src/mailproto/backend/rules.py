"""What every store does alike: mailbox names and their tree, listings, renaming, flags. Pure.

A store that keeps its mail elsewhere is welcome to these rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from mailproto.backend.store import FlagChange, MailboxEntry, MailboxExists, NoSuchMailbox
from mailproto.errors import StoreError

__all__ = [
    "DELIMITER",
    "INBOX",
    "Flags",
    "canonical",
    "listing",
    "new_names",
    "renamed",
]

INBOX: Final = "INBOX"
DELIMITER: Final = "/"

_SYSTEM_FLAGS: Final = {
    flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
}


def canonical(name: str) -> str:
    """The name with INBOX spelt so, in whatever case it came (RFC 9051 section 5.1)."""
    head, delimiter, rest = name.partition(DELIMITER)
    return INBOX + delimiter + rest if head.upper() == INBOX else name


def new_names(name: str, existing: Collection[str]) -> list[str]:
    """The mailboxes to make for ``name``: what is missing above it, then itself.

    Raises MailboxExists, and StoreError for a name with an empty level.
    """
    if name in existing:
        raise MailboxExists(f"mailbox {name!r} exists")
    levels = name.split(DELIMITER)
    if not all(levels):
        raise StoreError(f"mailbox name {name!r} has an empty level")
    paths = (DELIMITER.join(levels[:depth]) for depth in range(1, len(levels)))
    return [*(path for path in paths if path not in existing), name]


def renamed(name: str, new_name: str, existing: Collection[str]) -> dict[str, str]:
    """Old and new names of a mailbox and its children. Raises NoSuchMailbox, MailboxExists."""
    below = name + DELIMITER
    moved = {old: new_name + old[len(name) :] for old in existing if old.startswith(below)}
    if name in existing:
        moved[name] = new_name
    if not moved:
        raise NoSuchMailbox(f"no mailbox {name!r}")
    for taken in sorted({new_name, *moved.values()}.intersection(existing)):
        raise MailboxExists(f"mailbox {taken!r} exists")
    return moved


def listing(
    special_uses: Mapping[str, str | None], subscribed: Collection[str]
) -> list[MailboxEntry]:
    """The lines for these mailboxes and subscriptions, with the names that only have children."""
    entries = dict[str, MailboxEntry]()
    for name in subscribed:
        entries[name] = MailboxEntry(name, True, None, False, False)
    for name in special_uses:
        levels = name.split(DELIMITER)
        for depth in range(1, len(levels)):
            above = DELIMITER.join(levels[:depth])
            entries[above] = MailboxEntry(above, above in subscribed, None, False)
    for name, special_use in special_uses.items():
        entries[name] = MailboxEntry(name, name in subscribed, special_use)
    return sorted(entries.values(), key=lambda entry: (entry.name != INBOX, entry.name))


class Flags:
    """Flags as a set in which upper and lower case are the same, kept as spelt first.

    System flags are spelt as in RFC 9051 section 2.3.2; recent is no flag of a store.
    """

    __slots__ = ("_memo", "_spelt")

    def __init__(self, flags: Iterable[str]) -> None:
        self._spelt = dict[str, str]()
        for flag in flags:
            lower = flag.lower()
            if lower != "\\recent":
                self._spelt.setdefault(lower, _SYSTEM_FLAGS.get(lower, flag))
        self._memo = dict[tuple[FlagChange, frozenset[str]], frozenset[str]]()

    def all(self) -> frozenset[str]:
        """The flags themselves."""
        return frozenset(self._spelt.values())

    def applied(self, change: FlagChange, old: frozenset[str]) -> frozenset[str]:
        """What a message's flags become; equal sets of many messages are worked out once."""
        result = self._memo.get((change, old))
        if result is None:
            have = {flag.lower(): flag for flag in old}
            if change is FlagChange.ADD:
                have = {**self._spelt, **have}
            elif change is FlagChange.REMOVE:
                have = {lower: flag for lower, flag in have.items() if lower not in self._spelt}
            else:
                have = {lower: have.get(lower, flag) for lower, flag in self._spelt.items()}
            result = self._memo[change, old] = frozenset(have.values())
        return result
