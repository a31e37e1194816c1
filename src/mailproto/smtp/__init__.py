"""SMTP (RFC 5321) and LMTP (RFC 2033): a client machine, a server machine and their vocabulary."""

from mailproto._core.dot import BareNewlines
from mailproto._core.limits import SMTPClientLimits, SMTPServerLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed
from mailproto.smtp.address import (
    NULL_PATH,
    POSTMASTER,
    AddressError,
    ForwardPath,
    Mailbox,
    ReversePath,
    SpecialPath,
)
from mailproto.smtp.client import Client, ClientEvent
from mailproto.smtp.commands import (
    Auth,
    AuthCancel,
    AuthResponse,
    BadContent,
    Bdat,
    Body,
    BodyType,
    Command,
    ContentProblem,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    Expn,
    Helo,
    Help,
    Invalid,
    Lhlo,
    Mail,
    Noop,
    OtherCommand,
    Parameter,
    Quit,
    Rcpt,
    Rset,
    ServerEvent,
    StartTLS,
    Vrfy,
)
from mailproto.smtp.extensions import Capabilities, Extension
from mailproto.smtp.replies import Challenge, EnhancedCode, Reply
from mailproto.smtp.server import Server
from mailproto.smtp.states import State

__all__ = [
    # machines
    "Client",
    "Server",
    "State",
    # signals
    "NEED_DATA",
    "PAUSED",
    "ConnectionClosed",
    # configuration
    "BareNewlines",
    "Extension",
    "SMTPClientLimits",
    "SMTPServerLimits",
    # commands
    "Auth",
    "AuthCancel",
    "AuthResponse",
    "Bdat",
    "Body",
    "BodyType",
    "Command",
    "Data",
    "Ehlo",
    "EndOfMessage",
    "Expn",
    "Helo",
    "Help",
    "Lhlo",
    "Mail",
    "Noop",
    "OtherCommand",
    "Parameter",
    "Quit",
    "Rcpt",
    "Rset",
    "StartTLS",
    "Vrfy",
    # what only a server yields
    "BadContent",
    "ContentProblem",
    "EndOfChunk",
    "Invalid",
    "ServerEvent",
    # replies
    "Capabilities",
    "Challenge",
    "ClientEvent",
    "EnhancedCode",
    "Reply",
    # addresses
    "NULL_PATH",
    "POSTMASTER",
    "AddressError",
    "ForwardPath",
    "Mailbox",
    "ReversePath",
    "SpecialPath",
]
