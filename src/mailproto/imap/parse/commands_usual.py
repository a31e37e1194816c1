"""Commands in their usual shape, read by one pattern each, without a cursor.

What is not of that shape is ``None`` and left to the general reader of ``parse.commands``; where
both read a command they must agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from mailproto.imap.commands import (
    Capability,
    Check,
    Close,
    Command,
    Expunge,
    Fetch,
    Idle,
    Logout,
    Namespace,
    Noop,
    Store,
    StoreAction,
    Unselect,
)
from mailproto.imap.flags import canonical_flag
from mailproto.imap.parse.commands_fetch import remembered_items
from mailproto.imap.parse.memo import remember
from mailproto.imap.sequence_set import parse_sequence_set
from mailproto.imap.wire.cursor import ATOM

__all__ = ["usual_command"]

_FETCH: Final = re.compile(rb" ([0-9:*,]+) (.+)")
_FLAG: Final = rb"\\?" + ATOM
_STORE: Final = re.compile(
    rb" ([0-9:*,]+) ([+-]?FLAGS)(\.SILENT)? \((" + _FLAG + rb"(?: " + _FLAG + rb")*+)\)"
)
_ACTIONS: Final = {action.value.encode("ascii"): action for action in StoreAction}
_FLAGS: Final[dict[bytes, tuple[str, ...]]] = {}


def usual_command(name: bytes, text: bytes, position: int) -> Command | None:
    """The command ``name`` whose arguments begin at ``position``, if it is of the usual shape."""
    reader = _READERS.get(name)
    if reader is not None:
        return reader(text, position)
    return _PLAIN.get(name) if len(text) == position else None


def _fetch(uid: bool) -> Callable[[bytes, int], Command | None]:
    def read(text: bytes, position: int) -> Command | None:
        found = _FETCH.fullmatch(text, position)
        if found is None:
            return None
        items = remembered_items(found[2])
        numbers = None if items is None else parse_sequence_set(found[1])
        return None if items is None or numbers is None else Fetch(numbers, items, uid)

    return read


def _store(uid: bool) -> Callable[[bytes, int], Command | None]:
    def read(text: bytes, position: int) -> Command | None:
        found = _STORE.fullmatch(text, position)
        if found is None:
            return None
        written, action, silent, listed = found.groups()
        numbers = parse_sequence_set(written)
        if numbers is None:
            return None
        flags = _FLAGS.get(listed)
        if flags is None:
            flags = tuple([canonical_flag(flag) for flag in listed.decode("ascii").split(" ")])
            remember(_FLAGS, listed, flags)
        return Store(numbers, _ACTIONS[action], flags, silent is not None, uid)

    return read


_PLAIN: Final[Mapping[bytes, Command]] = {
    b"CAPABILITY": Capability(),
    b"NOOP": Noop(),
    b"LOGOUT": Logout(),
    b"NAMESPACE": Namespace(),
    b"IDLE": Idle(),
    b"CHECK": Check(),
    b"CLOSE": Close(),
    b"UNSELECT": Unselect(),
    b"EXPUNGE": Expunge(),
}

_READERS: Final[Mapping[bytes, Callable[[bytes, int], Command | None]]] = {
    b"FETCH": _fetch(uid=False),
    b"UID FETCH": _fetch(uid=True),
    b"STORE": _store(uid=False),
    b"UID STORE": _store(uid=True),
}
