"""What a server offers: its configuration, and the reply to EHLO that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mailproto._core.frozen import frozen
from mailproto._core.limits import SMTPServerLimits
from mailproto.errors import LocalProtocolError
from mailproto.smtp.extensions import XCLIENT_ATTRIBUTES, XFORWARD_ATTRIBUTES, Extension

__all__ = ["Offer"]


@frozen
class Offer:
    """The optional parts of SMTP that a server has on.

    The constructor raises LocalProtocolError for what excludes each other.
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
    extensions: tuple[Extension, ...] = ()
    """Further lines of the reply to EHLO."""

    def __attrs_post_init__(self) -> None:
        if self.binarymime and not self.chunking:
            raise LocalProtocolError("BINARYMIME needs CHUNKING (RFC 3030 section 3)")

    def secure(self, *, tls: bool) -> bool:
        """Whether credentials may be sent now."""
        return tls or self.insecure_auth

    def keywords(self, *, tls: bool, limits: SMTPServerLimits) -> Mapping[str, tuple[str, ...]]:
        """What the reply to EHLO or LHLO says, in its order."""
        keywords: dict[str, tuple[str, ...]] = {
            "PIPELINING": (),
            "SIZE": (str(limits.content),),
            "8BITMIME": (),
        }
        if self.chunking:
            keywords["CHUNKING"] = ()
        if self.binarymime:
            keywords["BINARYMIME"] = ()
        if self.starttls and not tls:
            keywords["STARTTLS"] = ()
        if self.mechanisms and self.secure(tls=tls):
            keywords["AUTH"] = self.mechanisms
        if self.enhanced_codes:
            keywords["ENHANCEDSTATUSCODES"] = ()
        if self.smtputf8:
            keywords["SMTPUTF8"] = ()
        if self.forwarding:
            keywords["XCLIENT"] = XCLIENT_ATTRIBUTES
            keywords["XFORWARD"] = XFORWARD_ATTRIBUTES
        if self.advertise_limits:
            keywords["LIMITS"] = _limits(limits)
        for extension in self.extensions:
            if extension.keyword.upper() == "REQUIRETLS" and not tls:
                # RFC 8689 section 2: offered under TLS only.
                continue
            keywords[extension.keyword.upper()] = extension.values
        return MappingProxyType(keywords)


def _limits(limits: SMTPServerLimits) -> tuple[str, ...]:
    """The parameters of LIMITS (RFC 9422 section 4)."""
    values = (
        ("MAILMAX", limits.transactions),
        ("RCPTMAX", limits.recipients),
        ("RCPTDOMAINMAX", limits.recipient_domains),
    )
    return tuple([f"{name}={value}" for name, value in values if value is not None])
