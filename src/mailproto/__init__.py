"""SMTP, IMAP and POP3 as pure state machines, for clients and servers.

``from mailproto import smtp`` loads SMTP and nothing else; this file loads nothing until one of
its names is used. Here are the names that all machines share; the whole tree of exceptions is in
``mailproto.errors``.
"""

# Checkers take this name for true. Importing typing takes longer than importing this package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Signal
    from mailproto.errors import LocalProtocolError, MailError, ProtocolError, RemoteProtocolError
else:

    def __getattr__(name):
        """Load the shared names when one of them is first used (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from mailproto import errors
        from mailproto._core import machine

        module = machine if hasattr(machine, name) else errors
        return globals().setdefault(name, getattr(module, name))

    def __dir__():
        return [*globals(), *__all__]


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
