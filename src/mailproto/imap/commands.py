r"""What a client says (RFC 3501 section 6): each class travels both ways, without its tag.

``imap.Client.send`` takes a command and allots the tag; ``imap.Server.next_event`` yields it as
``Tagged(tag, command)``. Fields take what is handy (``Fetch("1:*", FetchAtt.FLAGS)``) and hold one
form. The UID variants of a command are the command with ``uid=True``.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable
from typing import TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.imap.convert import flag_tuple, octets, parameter_tuple
from mailproto.imap.fetch_item import FetchItem, FetchMacro, fetch_item_tuple
from mailproto.imap.mailbox_name import MailboxName, mailbox_name
from mailproto.imap.search_key import SearchKey, search_key_tuple
from mailproto.imap.sequence_set import SequenceSet, sequence_set
from mailproto.imap.status_item import StatusItem
from mailproto.imap.streamed import LiteralChunk, Streamed

__all__ = [
    "Append",
    "Authenticate",
    "AuthenticateResponse",
    "Capability",
    "Check",
    "ClientItem",
    "Close",
    "Command",
    "Copy",
    "Create",
    "Delete",
    "Done",
    "Enable",
    "Examine",
    "Expunge",
    "Fetch",
    "Id",
    "Idle",
    "List",
    "Login",
    "Logout",
    "Lsub",
    "Move",
    "Namespace",
    "Noop",
    "Rename",
    "ReturnOption",
    "Search",
    "Select",
    "StartTLS",
    "Status",
    "Store",
    "StoreAction",
    "Subscribe",
    "Tagged",
    "Unselect",
    "Unsubscribe",
]


# ------------------------------------------------------------------------------- any state


@frozen
class Capability:
    """``CAPABILITY``: asks what the server can."""


@frozen
class Noop:
    """``NOOP``: does nothing, and lets the server tell what is new."""


@frozen
class Logout:
    """``LOGOUT``: ends the session; the server answers BYE and OK."""


@frozen
class Id:
    """``ID ("name" "sodr")`` (RFC 2971): who the client is; no parameters are NIL."""

    parameters: tuple[tuple[bytes, bytes | None], ...] = field(
        converter=parameter_tuple, default=()
    )


# ------------------------------------------------------------------- not authenticated state


@frozen
class StartTLS:
    """``STARTTLS``: after the OK the TLS handshake follows."""


@frozen
class Authenticate:
    """``AUTHENTICATE PLAIN``, with SASL-IR (RFC 4959) ``AUTHENTICATE PLAIN AGEAYgBj``."""

    mechanism: str
    initial_response: bytes | None = field(default=None, repr=False)
    """Decoded; ``b""`` is ``=`` on the wire, ``None`` is nothing."""


@frozen
class AuthenticateResponse:
    """The client's answer to a ``Challenge``; has no tag, is no command."""

    data: bytes | None = field(repr=False)
    """Decoded; ``None`` is ``*`` and cancels the exchange."""


@frozen
class Login:
    """``LOGIN smith sesame``."""

    user: bytes = field(converter=octets)
    password: bytes = field(converter=octets, repr=False)


# ----------------------------------------------------------------------- authenticated state


@frozen
class Enable:
    """``ENABLE CONDSTORE`` (RFC 5161)."""

    capabilities: tuple[str, ...] = field(converter=tuple[str, ...])


@frozen
class Select:
    """``SELECT INBOX``."""

    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class Examine:
    """``EXAMINE INBOX``: as SELECT, but read-only."""

    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class Create:
    """``CREATE owatagusiam/``."""

    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class Delete:
    """``DELETE blurdybloop``: removes the mailbox."""

    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class Rename:
    """``RENAME blurdybloop sarasoop``."""

    mailbox: MailboxName = field(converter=mailbox_name)
    new_name: MailboxName = field(converter=mailbox_name)


@frozen
class Subscribe:
    """``SUBSCRIBE #news.comp.mail.mime``."""

    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class Unsubscribe:
    """``UNSUBSCRIBE #news.comp.mail.mime``."""

    mailbox: MailboxName = field(converter=mailbox_name)


@frozen
class List:
    """``LIST "" %``: ``*`` matches anything, ``%`` anything up to a delimiter.

    A pattern is a mailbox name with wildcards; ``str`` is encoded as names are.
    """

    reference: MailboxName = field(converter=mailbox_name)
    pattern: MailboxName = field(converter=mailbox_name)


@frozen
class Lsub:
    """``LSUB "" *``: as LIST, of the subscribed names."""

    reference: MailboxName = field(converter=mailbox_name)
    pattern: MailboxName = field(converter=mailbox_name)


@frozen
class Namespace:
    """``NAMESPACE`` (RFC 2342)."""


def _status_items(value: StatusItem | Iterable[StatusItem]) -> tuple[StatusItem, ...]:
    return (value,) if isinstance(value, StatusItem) else tuple(value)


@frozen
class Status:
    """``STATUS blurdybloop (UIDNEXT MESSAGES)``."""

    mailbox: MailboxName = field(converter=mailbox_name)
    items: tuple[StatusItem, ...] = field(converter=_status_items)


@frozen
class Append:
    r"""``APPEND saved-messages (\Seen) {310}``: adds a message to a mailbox.

    With ``Streamed(size)`` the octets follow as ``LiteralChunk``. A server yields every APPEND
    that way, whatever its size.
    """

    mailbox: MailboxName = field(converter=mailbox_name)
    message: bytes | Streamed = field(repr=False)
    flags: tuple[str, ...] = field(converter=flag_tuple, default=())
    internal_date: datetime.datetime | None = None
    """Aware; whole seconds and a zone of whole minutes go over the wire."""


@frozen
class Idle:
    """``IDLE`` (RFC 2177): the server tells what is new until ``Done``."""


@frozen
class Done:
    """``DONE``: ends IDLE; has no tag, is no command."""


# ---------------------------------------------------------------------------- selected state


@frozen
class Check:
    """``CHECK``: asks for a checkpoint of the selected mailbox."""


@frozen
class Close:
    r"""``CLOSE``: removes ``\Deleted`` messages silently and deselects."""


@frozen
class Unselect:
    """``UNSELECT`` (RFC 3691): deselects and removes nothing."""


def _set_or_none(value: SequenceSet | str | int | Iterable[int] | None) -> SequenceSet | None:
    return None if value is None else sequence_set(value)


@frozen
class Expunge:
    r"""``EXPUNGE``: removes ``\Deleted`` messages; with ``uids`` only those (RFC 4315)."""

    uids: SequenceSet | None = field(converter=_set_or_none, default=None)


class ReturnOption(enum.Enum):
    """What an extended SEARCH is to tell (RFC 4731 section 3.1)."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"


def _return_options(value: Iterable[ReturnOption] | None) -> tuple[ReturnOption, ...] | None:
    return None if value is None else tuple(value)


@frozen
class Search:
    """``SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"``: all keys must match."""

    keys: tuple[SearchKey, ...] = field(converter=search_key_tuple)
    charset: str | None = None
    """Charset of the strings; without it they are US-ASCII."""
    uid: bool = False
    return_options: tuple[ReturnOption, ...] | None = field(converter=_return_options, default=None)
    """``RETURN (...)``; the answer is then ESEARCH. Needs that capability."""


@frozen
class Fetch:
    """``FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])``."""

    sequence_set: SequenceSet = field(converter=sequence_set)
    items: tuple[FetchItem, ...] | FetchMacro = field(converter=fetch_item_tuple)
    uid: bool = False


class StoreAction(enum.Enum):
    """How STORE changes flags."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@frozen
class Store:
    r"""``STORE 2:4 +FLAGS.SILENT (\Deleted)``."""

    sequence_set: SequenceSet = field(converter=sequence_set)
    action: StoreAction
    flags: tuple[str, ...] = field(converter=flag_tuple)
    silent: bool = False
    uid: bool = False


@frozen
class Copy:
    """``COPY 2:4 MEETING``."""

    sequence_set: SequenceSet = field(converter=sequence_set)
    mailbox: MailboxName = field(converter=mailbox_name)
    uid: bool = False


@frozen
class Move:
    """``MOVE 2:4 MEETING`` (RFC 6851)."""

    sequence_set: SequenceSet = field(converter=sequence_set)
    mailbox: MailboxName = field(converter=mailbox_name)
    uid: bool = False


Command: TypeAlias = (
    Capability
    | Noop
    | Logout
    | Id
    | StartTLS
    | Authenticate
    | Login
    | Enable
    | Select
    | Examine
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Lsub
    | Namespace
    | Status
    | Append
    | Idle
    | Check
    | Close
    | Unselect
    | Expunge
    | Search
    | Fetch
    | Store
    | Copy
    | Move
)
"""What gets a tag and is completed by a tagged response."""


@frozen
class Tagged:
    """A command with its tag, as the server's machine yields it: ``A1 NOOP``."""

    tag: str
    command: Command


ClientItem: TypeAlias = Command | AuthenticateResponse | Done | LiteralChunk
"""What a client sends; the last three continue a command that is in progress."""
