"""The answer to CAPA as one value (RFC 2449 sections 5 and 6, and later RFCs).

What is unknown, or known but malformed, stays in ``other`` word for word.
"""

from __future__ import annotations

from mailproto._core.frozen import frozen

__all__ = ["Capabilities", "Expire", "LoginDelay"]


@frozen
class LoginDelay:
    """``LOGIN-DELAY 900 USER``: seconds between logins (RFC 2449 section 6.5)."""

    seconds: int
    per_user: bool = False
    """Another value may hold for the user; ask again in the TRANSACTION state."""


@frozen
class Expire:
    """``EXPIRE 5 USER`` or ``EXPIRE NEVER``: how long mail may stay (RFC 2449 section 6.7)."""

    days: int | None
    """``None`` is NEVER; 0: nothing may be left on the server."""
    per_user: bool = False
    """Another value may hold for the user; ask again in the TRANSACTION state."""


@frozen
class Capabilities:
    """What a server can do, in the state in which it was asked."""

    top: bool = False
    """The TOP command."""
    uidl: bool = False
    """The UIDL command."""
    user: bool = False
    """The USER and PASS commands."""
    sasl: tuple[str, ...] | None = None
    """Mechanisms of the AUTH command, in upper case; ``None`` without the capability."""
    stls: bool = False
    """The STLS command, now (RFC 2595)."""
    pipelining: bool = False
    """Commands may be sent before earlier ones are answered."""
    resp_codes: bool = False
    """Texts in square brackets are response codes."""
    auth_resp_code: bool = False
    """``AUTH`` and ``SYS`` tell whose fault a failed login is (RFC 3206)."""
    login_delay: LoginDelay | None = None
    expire: Expire | None = None
    utf8: bool = False
    """The UTF8 command (RFC 6856)."""
    utf8_user: bool = False
    """User names and passwords may be UTF-8 (RFC 6856 section 2.2)."""
    lang: bool = False
    """The LANG command (RFC 6856)."""
    implementation: str | None = None
    other: tuple[str, ...] = ()
    """Every other line."""
