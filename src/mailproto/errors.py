"""Every exception of mailproto, one tree with one root. This module imports nothing of the package.

::

    MailError
    +-- ProtocolError
    |   +-- LocalProtocolError      you asked a machine for something illegal; nothing changed
    |   +-- RemoteProtocolError     the peer broke framing or trust; receiving is over
    +-- TransportError
    |   +-- ConnectionLost          also a ConnectionError
    |   +-- DeadlineExceeded        also a TimeoutError
    |   +-- TLSError                the handshake or the certificate check failed
    +-- SecurityError               required protection is not to be had (no TLS, no mechanism)
    +-- CommandFailed               the server answered NO, BAD, -ERR, 4yz or 5yz
    |   +-- AuthenticationFailed
    +-- OutcomeUnknown              the connection ended between the final dot and its reply
    +-- StoreError                  a message store refused (see mailproto.backend)

The machines raise only the two ``ProtocolError``s. The rest comes from flows and facades.
"""

from __future__ import annotations

__all__ = [
    "AuthenticationFailed",
    "CommandFailed",
    "ConnectionLost",
    "DeadlineExceeded",
    "LocalProtocolError",
    "MailError",
    "OutcomeUnknown",
    "ProtocolError",
    "RemoteProtocolError",
    "SecurityError",
    "StoreError",
    "TLSError",
    "TransportError",
]


class MailError(Exception):
    """Root of every exception that mailproto raises on purpose."""


class ProtocolError(MailError):
    """One side of a conversation broke the protocol."""


class LocalProtocolError(ProtocolError):
    """Your side asked for something the protocol does not allow now.

    It is raised before anything changes: the machine stays usable as it was.
    """


class RemoteProtocolError(ProtocolError):
    """The peer broke framing or trust; nothing more of this connection is interpreted.

    ``hint`` is a reply ready to ``send()`` before closing (a 421 or 500 of SMTP, an untagged BYE
    of IMAP, a ``-ERR`` of POP3), or ``None`` on the client side.
    """

    def __init__(self, message: str, hint: object = None) -> None:
        super().__init__(message)
        self.hint = hint


class TransportError(MailError):
    """The connection below the protocol failed."""


class ConnectionLost(TransportError, ConnectionError):
    """The connection could not be made, or ended before the conversation did."""


class DeadlineExceeded(TransportError, TimeoutError):
    """The peer did not finish a phase of the conversation within its total time."""


class TLSError(TransportError):
    """The TLS handshake or the verification of the peer's certificate failed."""


class SecurityError(MailError):
    """Protection that was asked for cannot be had, so nothing was sent (no TLS, no mechanism)."""


class CommandFailed(MailError):
    """The server refused a command.

    ``command`` names the command (never its secret arguments), ``answer`` is the server's text,
    ``code`` the reply code or response code where there is one (``550``, ``TRYCREATE``) and
    ``temporary`` tells whether the same command may succeed later.
    """

    def __init__(
        self, command: str, answer: str, *, code: str | None = None, temporary: bool = False
    ) -> None:
        told = answer or "no reason is given"
        if code is not None and not answer.startswith(code):
            told = f"[{code}] {told}"
        super().__init__(f"{command} was refused: {told}")
        self.command = command
        self.answer = answer
        self.code = code
        self.temporary = temporary


class AuthenticationFailed(CommandFailed):
    """The server did not accept the credentials."""


class OutcomeUnknown(MailError):
    """The content was sent whole, but no reply to it arrived: it may or may not be delivered."""


class StoreError(MailError):
    """A message store could not do what was asked; subclasses are in ``mailproto.backend``."""
