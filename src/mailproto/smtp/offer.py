"""What a server offers: its configuration, and the reply to EHLO that follows from it."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from mailproto._core.frozen import frozen
from mailproto._core.limits import SMTPServerLimits
from mailproto.errors import LocalProtocolError
from mailproto.smtp.extensions import (
    XCLIENT_ATTRIBUTES,
    XFORWARD_ATTRIBUTES,
    Capabilities,
    Extension,
    FutureRelease,
)
from mailproto.smtp.parameters import HoldUntil

__all__ = ["Offer"]

# ehlo-keyword and ehlo-param (RFC 5321 section 4.1.1.1); "=" is an old spelling of the space
_KEYWORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE: Final = re.compile(r"[\x21-\x3c\x3e-\x7e][\x21-\x7e]*")


@frozen
class Offer:
    """The optional parts of SMTP that a server has on.

    Offer only what the application does: whoever offers DSN has to send notifications. The
    constructor raises LocalProtocolError for what excludes each other.
    """

    mechanisms: tuple[str, ...] = ()
    """Mechanisms of AUTH, in upper case."""
    starttls: bool = False
    """STARTTLS, unless TLS is on already."""
    insecure_auth: bool = False
    """AUTH also without TLS, where anyone may read the password."""
    smtputf8: bool = True
    """Addresses and header fields with UTF-8 (RFC 6531)."""
    chunking: bool = True
    """BDAT (RFC 3030)."""
    binarymime: bool = False
    """Content of any octets by BDAT (RFC 3030 section 3)."""
    enhanced_codes: bool = True
    """Enhanced status codes in replies (RFC 2034)."""
    advertise_limits: bool = False
    """LIMITS (RFC 9422): what the ``limits`` of the server say."""
    forwarding: bool = False
    """Postfix's XCLIENT and XFORWARD; this client is then believed whatever it says."""
    dsn: bool = False
    """DSN (RFC 3461): RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT."""
    deliver_by: int | None = None
    """DELIVERBY (RFC 2852) with the least BY of mode R, in seconds; 0 for none."""
    future_release: FutureRelease | None = None
    """FUTURERELEASE (RFC 4865) with its bounds; for submission only."""
    mt_priority: str | None = None
    """MT-PRIORITY (RFC 6710) with the name of the policy; ``""`` does not tell it."""
    rrvs: bool = False
    """RRVS of RCPT (RFC 7293)."""
    requiretls: bool = False
    """REQUIRETLS of MAIL (RFC 8689), under TLS only."""
    no_soliciting: tuple[str, ...] | None = None
    """NO-SOLICITING (RFC 3865) with the classes that are refused; without any: ``()``."""
    mtrk: bool = False
    """MTRK of MAIL (RFC 3885), with ENVID and ORCPT."""
    conperm: bool = False
    """CONPERM of MAIL (RFC 4141 section 4)."""
    conneg: bool = False
    """CONNEG of RCPT (RFC 4141 section 5)."""
    checkpoint: bool = False
    """CHECKPOINT (RFC 1845): an interrupted MAIL with TRANSID can be resumed."""
    expn: bool = False
    """EXPN (RFC 5321 section 3.5.2). VRFY and HELP are always answered."""
    etrn: bool = False
    """ETRN (RFC 1985)."""
    atrn: bool = False
    """ATRN (RFC 2645), for clients that have authenticated."""
    burl: tuple[str, ...] | None = None
    """BURL (RFC 4468) for clients that have authenticated, with the URLs that are taken: ``imap``,
    ``imap://imap.example.com``. For submission only."""
    extensions: tuple[Extension, ...] = ()
    """Further lines of the reply to EHLO."""

    def __attrs_post_init__(self) -> None:
        if self.binarymime and not self.chunking:
            raise LocalProtocolError("BINARYMIME needs CHUNKING (RFC 3030 section 3)")
        for extension in self.extensions:
            if extension.keyword.upper() in _WITH_COMMANDS:
                raise LocalProtocolError(f"{extension.keyword} has a field of its own in an Offer")
            if _KEYWORD.fullmatch(extension.keyword) is None:
                raise LocalProtocolError(f"{extension.keyword!r} is not a keyword of EHLO")
            _check(extension.values)
        _check(self.mechanisms)
        _check(self.burl or ())
        _check(_words(self.mt_priority))
        _check(self.no_soliciting or ())

    def secure(self, *, tls: bool) -> bool:
        """Whether credentials may be sent now."""
        return tls or self.insecure_auth

    def capabilities(
        self,
        hostname: str,
        limits: SMTPServerLimits,
        *,
        lmtp: bool = False,
        tls: bool = False,
        authenticated: bool = False,
    ) -> Capabilities:
        """What the reply to EHLO or LHLO says, in its order."""
        # RFC 4468 section 3.3: that a host is trusted is told after AUTH only.
        urls = [url for url in self.burl or () if authenticated or "://" not in url]
        release = self.future_release
        lines: list[tuple[bool, str, tuple[str, ...]]] = [
            (True, "PIPELINING", ()),
            (True, "SIZE", (str(limits.content),)),
            (True, "8BITMIME", ()),
            (self.chunking, "CHUNKING", ()),
            (self.binarymime, "BINARYMIME", ()),
            (self.starttls and not tls, "STARTTLS", ()),
            (bool(self.mechanisms) and self.secure(tls=tls), "AUTH", self.mechanisms),
            (self.enhanced_codes, "ENHANCEDSTATUSCODES", ()),
            (self.smtputf8, "SMTPUTF8", ()),
            (self.dsn, "DSN", ()),
            (self.deliver_by is not None, "DELIVERBY", _number(self.deliver_by)),
            (release is not None, "FUTURERELEASE", () if release is None else _release(release)),
            (self.mt_priority is not None, "MT-PRIORITY", _words(self.mt_priority)),
            (self.rrvs, "RRVS", ()),
            (self.requiretls and tls, "REQUIRETLS", ()),
            (
                self.no_soliciting is not None,
                "NO-SOLICITING",
                _words(",".join(self.no_soliciting or ())),
            ),
            (self.mtrk, "MTRK", ()),
            (self.conperm, "CONPERM", ()),
            (self.conneg, "CONNEG", ()),
            (self.checkpoint and not lmtp, "CHECKPOINT", ()),
            (self.etrn and not lmtp, "ETRN", ()),
            (self.atrn and not lmtp, "ATRN", ()),
            (self.burl is not None and not lmtp, "BURL", tuple(urls)),
            (self.forwarding, "XCLIENT", XCLIENT_ATTRIBUTES),
            (self.forwarding, "XFORWARD", XFORWARD_ATTRIBUTES),
            (self.advertise_limits, "LIMITS", _limits(limits)),
            (self.expn, "EXPN", ()),
            (True, "HELP", ()),
        ]
        keywords = {keyword: values for offered, keyword, values in lines if offered}
        for extension in self.extensions:
            if extension.keyword.upper() == "REQUIRETLS" and not tls:
                # RFC 8689 section 2: offered under TLS only.
                continue
            keywords[extension.keyword.upper()] = extension.values
        return Capabilities(hostname, MappingProxyType(keywords))


def _check(values: tuple[str, ...]) -> None:
    """Raise LocalProtocolError for what cannot be told as values of a keyword."""
    for value in values:
        if _VALUE.fullmatch(value) is None:
            raise LocalProtocolError(f"{value!r} cannot stand behind a keyword of EHLO")


def _number(seconds: int | None) -> tuple[str, ...]:
    return (str(seconds),) if seconds else ()


def _words(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


def _release(bounds: FutureRelease) -> tuple[str, ...]:
    return str(bounds.interval), HoldUntil(bounds.until).value


def _limits(limits: SMTPServerLimits) -> tuple[str, ...]:
    """The parameters of LIMITS (RFC 9422 section 4)."""
    values = (
        ("MAILMAX", limits.transactions),
        ("RCPTMAX", limits.recipients),
        ("RCPTDOMAINMAX", limits.recipient_domains),
    )
    return tuple([f"{name}={value}" for name, value in values if value is not None])


_WITH_COMMANDS: Final = frozenset(
    {"STARTTLS", "AUTH", "CHUNKING", "BINARYMIME", "SMTPUTF8", "XCLIENT", "XFORWARD", "LIMITS",
     "ETRN", "ATRN", "BURL", "EXPN"}
)  # fmt: skip
