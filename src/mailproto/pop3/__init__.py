r"""POP3 without I/O: ``Client`` and ``Server`` machines and the values that travel.

::

    from mailproto import pop3

    client = pop3.Client()
    client.receive_data(b"+OK ready\r\n")
    client.next_event()          # pop3.Greeting("ready")
    client.send(pop3.User("mrose"))
    client.data_to_send()        # b"USER mrose\r\n"
"""

from __future__ import annotations

from mailproto._core.limits import POP3ClientLimits, POP3ServerLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed
from mailproto.pop3.apop import apop_digest
from mailproto.pop3.capabilities import Capabilities, Expire, LoginDelay
from mailproto.pop3.client import Client
from mailproto.pop3.commands import (
    Apop,
    Auth,
    AuthCancel,
    AuthResponse,
    Capa,
    ClientItem,
    Command,
    Dele,
    Lang,
    Last,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from mailproto.pop3.offer import Offer
from mailproto.pop3.quirks import Quirk
from mailproto.pop3.responses import (
    AUTH,
    IN_USE,
    LOGIN_DELAY,
    SYS_PERM,
    SYS_TEMP,
    UTF8,
    Answer,
    Body,
    Challenge,
    ClientEvent,
    DropListing,
    EndOfListing,
    EndOfMessage,
    Err,
    Greeting,
    Invalid,
    Language,
    LanguageChanged,
    Languages,
    LastAccessed,
    Ok,
    ResponseCode,
    ScanListing,
    ScanListings,
    ServerEvent,
    ServerItem,
    UniqueIdListing,
    UniqueIdListings,
    Unparsed,
)
from mailproto.pop3.serialize import initial_response_room
from mailproto.pop3.server import Server
from mailproto.pop3.states import State

__all__ = [
    "AUTH",
    "IN_USE",
    "LOGIN_DELAY",
    "NEED_DATA",
    "PAUSED",
    "SYS_PERM",
    "SYS_TEMP",
    "UTF8",
    "Answer",
    "Apop",
    "Auth",
    "AuthCancel",
    "AuthResponse",
    "Body",
    "Capa",
    "Capabilities",
    "Challenge",
    "Client",
    "ClientEvent",
    "ClientItem",
    "Command",
    "ConnectionClosed",
    "Dele",
    "DropListing",
    "EndOfListing",
    "EndOfMessage",
    "Err",
    "Expire",
    "Greeting",
    "Invalid",
    "Lang",
    "Language",
    "LanguageChanged",
    "Languages",
    "Last",
    "LastAccessed",
    "List",
    "LoginDelay",
    "Noop",
    "Offer",
    "Ok",
    "POP3ClientLimits",
    "POP3ServerLimits",
    "Pass",
    "Quirk",
    "Quit",
    "ResponseCode",
    "Retr",
    "Rset",
    "ScanListing",
    "ScanListings",
    "Server",
    "ServerEvent",
    "ServerItem",
    "Stat",
    "State",
    "Stls",
    "Top",
    "Uidl",
    "UniqueIdListing",
    "UniqueIdListings",
    "Unparsed",
    "User",
    "Utf8",
    "apop_digest",
    "initial_response_room",
]
