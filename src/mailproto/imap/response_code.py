"""Response codes (RFC 3501 section 7.1): ``[UIDVALIDITY 1]`` and the like, unknown ones kept.

A code with its own kind of argument has its own class; all others are ``Code``.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.imap.capability import Capabilities, capabilities
from mailproto.imap.convert import flag_tuple
from mailproto.imap.sequence_set import SequenceSet, sequence_set

__all__ = [
    "ALERT",
    "ALREADYEXISTS",
    "AUTHENTICATIONFAILED",
    "CANNOT",
    "CLIENTBUG",
    "CLOSED",
    "LIMIT",
    "NONEXISTENT",
    "NUMBER_CODES",
    "PARSE",
    "PRIVACYREQUIRED",
    "READ_ONLY",
    "READ_WRITE",
    "SERVERBUG",
    "TOOBIG",
    "TRYCREATE",
    "UIDNOTSTICKY",
    "UNAVAILABLE",
    "AppendUid",
    "BadCharset",
    "CapabilityCode",
    "Code",
    "CopyUid",
    "NumberCode",
    "PermanentFlags",
    "ResponseCode",
]


@frozen
class Code:
    """A code without an argument, or one that nothing here knows, its argument as it stood."""

    name: str
    """In upper case: ``"TRYCREATE"``."""
    argument: bytes | None = None


@frozen
class NumberCode:
    """A code with a number; ``name`` is one of ``NUMBER_CODES``: ``[UIDNEXT 4392]``."""

    name: str
    number: int


NUMBER_CODES: Final = frozenset(("UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ"))


@frozen
class BadCharset:
    """``[BADCHARSET (UTF-8 US-ASCII)]``: the charsets that SEARCH knows, if the server says."""

    charsets: tuple[bytes, ...] = ()


@frozen
class CapabilityCode:
    """``[CAPABILITY IMAP4rev1 IDLE]``, as the untagged response of that name."""

    capabilities: Capabilities = field(converter=capabilities)


@frozen
class PermanentFlags:
    r"""``[PERMANENTFLAGS (\Deleted \Seen \*)]``: the flags that stay when the session ends."""

    flags: tuple[str, ...] = field(converter=flag_tuple)


@frozen
class AppendUid:
    """``[APPENDUID 38505 3955]``: where APPEND put its messages (RFC 4315 section 3)."""

    uid_validity: int
    uids: SequenceSet = field(converter=sequence_set)


@frozen
class CopyUid:
    """``[COPYUID 38505 304,319:320 3956:3958]``: which message became which (RFC 4315 section 3).

    The n-th UID of ``source`` became the n-th of ``destination``, counted in the order written.
    """

    uid_validity: int
    source: SequenceSet = field(converter=sequence_set)
    destination: SequenceSet = field(converter=sequence_set)


ResponseCode: TypeAlias = (
    Code | NumberCode | BadCharset | CapabilityCode | PermanentFlags | AppendUid | CopyUid
)

ALERT: Final = Code("ALERT")
PARSE: Final = Code("PARSE")
READ_ONLY: Final = Code("READ-ONLY")
READ_WRITE: Final = Code("READ-WRITE")
TRYCREATE: Final = Code("TRYCREATE")
UIDNOTSTICKY: Final = Code("UIDNOTSTICKY")
# RFC 5530, and CLOSED of RFC 7162 section 3.2.11, TOOBIG of RFC 7889
ALREADYEXISTS: Final = Code("ALREADYEXISTS")
AUTHENTICATIONFAILED: Final = Code("AUTHENTICATIONFAILED")
CANNOT: Final = Code("CANNOT")
CLIENTBUG: Final = Code("CLIENTBUG")
CLOSED: Final = Code("CLOSED")
LIMIT: Final = Code("LIMIT")
NONEXISTENT: Final = Code("NONEXISTENT")
PRIVACYREQUIRED: Final = Code("PRIVACYREQUIRED")
SERVERBUG: Final = Code("SERVERBUG")
TOOBIG: Final = Code("TOOBIG")
UNAVAILABLE: Final = Code("UNAVAILABLE")
