"""Mailbox names: from the wire to the store and back, and the wildcards of LIST.

On the wire names are modified UTF-7 (RFC 3501 section 5.1.3), in a store they are Unicode. What is
no such name cannot be the name of a mailbox here.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from mailproto.flows.imap_server.answers import Refused, no
from mailproto.imap.mailbox_name import MailboxName, decode_utf7
from mailproto.imap.response_code import CANNOT, LIMIT, NONEXISTENT

__all__ = ["Pattern", "new_name", "store_name"]

_LONGEST: Final = 1000
_WILDCARDS: Final = frozenset("*%")


def store_name(name: MailboxName) -> str:
    """The store's name of a mailbox that should exist. Raises Refused."""
    text = decode_utf7(name.octets)
    if text is None:
        raise Refused(no("there is no such mailbox: not modified UTF-7", NONEXISTENT))
    return text


def new_name(name: MailboxName, delimiter: str) -> str:
    """The store's name of a mailbox that is to be made. Raises Refused.

    A delimiter at the end says that there will be children (RFC 3501 section 6.3.3); it is no
    part of the name.
    """
    text = decode_utf7(name.octets)
    if text is None:
        raise Refused(no("a mailbox name is modified UTF-7", CANNOT))
    text = text.removesuffix(delimiter)
    if len(text) > _LONGEST:
        raise Refused(no(f"a mailbox name has at most {_LONGEST} characters", LIMIT))
    if not all(text.split(delimiter)):
        raise Refused(no("a level of a mailbox name cannot be empty", CANNOT))
    if _WILDCARDS.intersection(text) or any(unicodedata.category(c) == "Cc" for c in text):
        raise Refused(no("a mailbox name holds no wildcards and no control characters", CANNOT))
    return text


class Pattern:
    """A pattern of LIST, compared with names in time linear in the name.

    All positions in the pattern that a name may have reached are followed at once, as the bits of
    one number, so that no pattern costs more than another of its length.
    """

    __slots__ = ("_characters", "_delimiter", "_end", "_inbox", "_percents", "_stars")

    def __init__(self, pattern: bytes, delimiter: bytes) -> None:
        """``pattern`` with the reference before it; ``*`` matches anything, ``%`` one level."""
        self._delimiter = delimiter[0]
        self._inbox = pattern.upper() == b"INBOX"
        self._characters: dict[int, int] = {}
        self._stars = self._percents = 0
        bit = 1
        for octet in pattern:
            if octet == 42:
                self._stars |= bit
            elif octet == 37:
                self._percents |= bit
            else:
                self._characters[octet] = self._characters.get(octet, 0) | bit
            bit <<= 1
        self._end = bit

    def matches(self, name: bytes) -> bool:
        """Whether ``name``, as it is on the wire, matches; INBOX matches in any case."""
        if self._inbox and name == b"INBOX":
            return True
        wild = self._stars | self._percents
        here = self._skipped(1, wild)
        for octet in name:
            stay = self._stars if octet == self._delimiter else wild
            here = ((here & self._characters.get(octet, 0)) << 1) | (here & stay)
            if not here:
                return False
            here = self._skipped(here, wild)
        return bool(here & self._end)

    @staticmethod
    def _skipped(here: int, wild: int) -> int:
        """``here`` and what lies behind wildcards, which may match nothing, from there."""
        # Adding a bit to a run of ones carries through it: a whole run is skipped at once.
        runs = here & wild
        return here | ((runs + wild) ^ wild) if runs else here
