"""SMTP, IMAP and POP3 as pure state machines, for clients and servers.

``from mailproto import smtp`` loads SMTP and nothing else; this file loads no protocol. Here are
the names that all machines share; the whole tree of exceptions is in ``mailproto.errors``.
"""

from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Signal
from mailproto.errors import LocalProtocolError, MailError, ProtocolError, RemoteProtocolError

__all__ = [
    "NEED_DATA",
    "PAUSED",
    "ConnectionClosed",
    "LocalProtocolError",
    "MailError",
    "ProtocolError",
    "RemoteProtocolError",
    "Signal",
    "__version__",
]

__version__ = "0.1.0"
