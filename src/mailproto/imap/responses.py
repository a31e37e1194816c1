"""What a server says (RFC 3501 section 7): each class travels both ways.

``imap.Server.send`` takes them, ``imap.Client.next_event`` yields them. Untagged data has names
ending in ``Data`` where the bare name is a command.
"""

from __future__ import annotations

import datetime
import enum
from typing import Final, TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.imap.body_structure import BodyStructure
from mailproto.imap.capability import Capabilities, capabilities
from mailproto.imap.convert import flag_tuple, parameter_tuple
from mailproto.imap.envelope import Envelope
from mailproto.imap.fetch_item import WHOLE_MESSAGE, FetchAtt, Section
from mailproto.imap.mailbox_name import MailboxName, mailbox_name
from mailproto.imap.response_code import ResponseCode
from mailproto.imap.sequence_set import SequenceSet
from mailproto.imap.status_item import StatusItem
from mailproto.imap.streamed import LiteralChunk, Streamed
from mailproto.imap.value import Value

__all__ = [
    "BAD",
    "BYE",
    "NO",
    "OK",
    "PREAUTH",
    "CapabilityData",
    "Challenge",
    "Completion",
    "Condition",
    "ConditionState",
    "Continuation",
    "ESearchData",
    "EnabledData",
    "ExistsData",
    "ExpungeData",
    "FetchData",
    "FlagsData",
    "IdData",
    "ListData",
    "LsubData",
    "NamespaceData",
    "NamespaceEntry",
    "RecentData",
    "Response",
    "SearchData",
    "SectionData",
    "StatusData",
    "UntaggedData",
]


class ConditionState(enum.Enum):
    """The word of a status response (RFC 3501 section 7.1)."""

    OK = "OK"
    NO = "NO"
    BAD = "BAD"
    PREAUTH = "PREAUTH"
    BYE = "BYE"


OK: Final = ConditionState.OK
NO: Final = ConditionState.NO
BAD: Final = ConditionState.BAD
PREAUTH: Final = ConditionState.PREAUTH
BYE: Final = ConditionState.BYE


# ---------------------------------------------------------------- status responses, continuation


@frozen
class Condition:
    """An untagged status response; the first one of a connection is the greeting.

    ``* OK [UIDVALIDITY 3857529045] UIDs valid`` or ``* BYE IMAP4rev1 Server logging out``.
    """

    state: ConditionState
    text: str
    """For people. Octets that are not UTF-8 read as ``\\xNN``."""
    code: ResponseCode | None = None


@frozen
class Completion:
    """The tagged response that ends a command: ``A1 OK [READ-WRITE] SELECT completed``."""

    tag: str
    state: ConditionState
    """OK, NO or BAD."""
    text: str
    code: ResponseCode | None = None


@frozen
class Continuation:
    """``+ idling``: the server waits for what the command in progress still has to say.

    The ones that let a literal go are the machine's own business and no event.
    """

    text: str = ""
    code: ResponseCode | None = None


@frozen
class Challenge:
    """A step of AUTHENTICATE from the server: ``+`` and base64 on the wire."""

    data: bytes = field(repr=False)
    """Decoded."""


# ---------------------------------------------------------------- data about server and mailboxes


@frozen
class CapabilityData:
    """``* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN``."""

    capabilities: Capabilities = field(converter=capabilities)


@frozen
class EnabledData:
    """``* ENABLED CONDSTORE`` (RFC 5161 section 3.2)."""

    capabilities: Capabilities = field(converter=capabilities)


@frozen
class IdData:
    """``* ID ("name" "Cyrus")`` (RFC 2971 section 3.2); NIL is ``()``."""

    parameters: tuple[tuple[bytes, bytes | None], ...] = field(
        converter=parameter_tuple, default=()
    )


@frozen
class NamespaceEntry:
    """A namespace: ``("#shared/" "/")`` (RFC 2342 section 5)."""

    prefix: MailboxName = field(converter=mailbox_name)
    delimiter: str | None
    """One character, or ``None`` for NIL."""
    extensions: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()


@frozen
class NamespaceData:
    """``* NAMESPACE (("" "/")) NIL NIL``; NIL is ``()``."""

    personal: tuple[NamespaceEntry, ...] = ()
    other_users: tuple[NamespaceEntry, ...] = ()
    shared: tuple[NamespaceEntry, ...] = ()


@frozen
class ListData:
    r"""``* LIST (\Noselect) "/" foo``; the delimiter is one character, or ``None`` for NIL."""

    attributes: tuple[str, ...]
    delimiter: str | None
    mailbox: MailboxName = field(converter=mailbox_name)
    extended: tuple[tuple[bytes, Value], ...] = ()
    """Extended data items, tag and value (RFC 5258 section 6)."""


@frozen
class LsubData:
    """``* LSUB () "." #news.comp.mail``."""

    attributes: tuple[str, ...]
    delimiter: str | None
    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class StatusData:
    """``* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)``, in the order sent."""

    mailbox: MailboxName = field(converter=mailbox_name)
    items: tuple[tuple[StatusItem, int], ...] = ()
    others: tuple[tuple[str, Value], ...] = ()
    """Items that are not known here."""

    def __getitem__(self, item: StatusItem) -> int:
        """The number that was told for ``item``; raises KeyError if none was."""
        for name, number in self.items:
            if name is item:
                return number
        raise KeyError(item)


@frozen
class SearchData:
    """``* SEARCH 2 84 882``: message sequence numbers, or UIDs for UID SEARCH."""

    numbers: tuple[int, ...] = ()
    mod_seq: int | None = None
    """The highest mod-sequence of the messages found (RFC 7162 section 3.1.5)."""


@frozen
class ESearchData:
    """``* ESEARCH (TAG "A282") UID MIN 2 COUNT 3`` (RFC 4731); sets stay ranges."""

    tag: str | None = None
    uid: bool = False
    """Whether the numbers are UIDs."""
    min: int | None = None
    max: int | None = None
    all: SequenceSet | None = None
    count: int | None = None
    mod_seq: int | None = None
    others: tuple[tuple[str, Value], ...] = ()
    """Return data that is not known here."""


@frozen
class FlagsData:
    r"""``* FLAGS (\Answered \Seen)``: the flags that apply in the selected mailbox."""

    flags: tuple[str, ...] = field(converter=flag_tuple)


# ------------------------------------------------------------------- data about messages


@frozen
class ExistsData:
    """``* 23 EXISTS``: the number of messages in the mailbox."""

    number: int


@frozen
class RecentData:
    r"""``* 5 RECENT``: the number of messages with the ``\Recent`` flag."""

    number: int


@frozen
class ExpungeData:
    """``* 44 EXPUNGE``: that message is gone, and every higher number is one less now."""

    number: int


@frozen
class SectionData:
    """``BODY[1] {3}...`` in a FETCH response: octets of a section or of an RFC822 item."""

    section: Section | FetchAtt
    """A section, or RFC822, RFC822.HEADER or RFC822.TEXT."""
    data: bytes | Streamed | None
    """``None`` is NIL."""
    origin: int | None = None
    """First octet of a partial fetch."""


@frozen
class FetchData:
    r"""``* 12 FETCH (FLAGS (\Seen) UID 4827313)``; an item that was not sent is ``None``.

    The items of extensions get a field each here (MODSEQ has one); until then they are in
    ``others``.
    """

    number: int
    """Message sequence number."""
    uid: int | None = None
    flags: tuple[str, ...] | None = None
    internal_date: datetime.datetime | None = None
    """Aware; the time zone is the server's."""
    size: int | None = None
    """RFC822.SIZE, octets."""
    envelope: Envelope | None = None
    body: BodyStructure | None = None
    """BODY: the structure without extension data."""
    body_structure: BodyStructure | None = None
    sections: tuple[SectionData, ...] = ()
    mod_seq: int | None = None
    """RFC 7162 section 3.1.4."""
    others: tuple[tuple[str, Value], ...] = ()
    """Items that are not known here, name in upper case and value."""

    def section(self, section: Section | FetchAtt = WHOLE_MESSAGE) -> bytes | Streamed | None:
        """The octets of ``section``, by default of the whole message.

        ``None`` for NIL; raises KeyError if the response has no such section.
        """
        for found in self.sections:
            if found.section == section:
                return found.data
        raise KeyError(section)


UntaggedData: TypeAlias = (
    CapabilityData
    | EnabledData
    | IdData
    | NamespaceData
    | ListData
    | LsubData
    | StatusData
    | SearchData
    | ESearchData
    | FlagsData
    | ExistsData
    | RecentData
    | ExpungeData
    | FetchData
)

Response: TypeAlias = (
    Condition | Completion | Continuation | Challenge | UntaggedData | LiteralChunk
)
"""What a server sends."""
