"""How long a client waits in each phase of a session (RFC 5321 section 4.5.3.2).

The machine has no clock; it says by ``timeout_hint`` which of these is due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final

from mailproto._core.frozen import frozen
from mailproto.smtp.commands import Atrn, Bdat, Body, Burl, Data, EndOfMessage, Mail, Rcpt

__all__ = ["Timeouts"]


@frozen
class Timeouts:
    """Seconds for each phase; the defaults are the least that the RFC wants."""

    greeting: float = 300.0
    """For the greeting after the connection (section 4.5.3.2.1)."""
    mail: float = 300.0
    """For the reply to MAIL (section 4.5.3.2.2)."""
    rcpt: float = 300.0
    """For the reply to RCPT, each (section 4.5.3.2.3)."""
    data: float = 120.0
    """For the reply to DATA (section 4.5.3.2.4)."""
    block: float = 180.0
    """To send a piece of content (section 4.5.3.2.5)."""
    end: float = 600.0
    """For the reply to the end of the content, or to a chunk of it (section 4.5.3.2.6)."""
    other: float = 300.0
    """For the reply to any other command, and for the TLS handshake."""

    @classmethod
    def of(cls, timeout: Timeouts | float | None) -> Timeouts:
        """``timeout`` itself, the same seconds for every phase, or the defaults."""
        if timeout is None:
            return cls()
        if isinstance(timeout, Timeouts):
            return timeout
        return cls(timeout, timeout, timeout, timeout, timeout, timeout, timeout)

    def waiting_for(self, command: type) -> float:
        """Seconds to wait for the reply to a command, or to send a ``Body``."""
        return _PHASES.get(command, _OTHER)(self)


_OTHER: Final[Callable[[Timeouts], float]] = attrgetter("other")
_PHASES: Final[Mapping[type, Callable[[Timeouts], float]]] = {
    Mail: attrgetter("mail"),
    Rcpt: attrgetter("rcpt"),
    Data: attrgetter("data"),
    Body: attrgetter("block"),
    Bdat: attrgetter("end"),
    Burl: attrgetter("end"),
    # At least ten minutes (RFC 2645 section 5.2.1)
    Atrn: attrgetter("end"),
    EndOfMessage: attrgetter("end"),
}
