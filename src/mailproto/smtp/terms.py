"""What a client may ask of a server: only what it has offered, and nothing secret in clear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import define, evolve, field

from mailproto.errors import LocalProtocolError
from mailproto.smtp.address import domain_of
from mailproto.smtp.bounds import beyond
from mailproto.smtp.commands import (
    Atrn,
    Auth,
    Bdat,
    BodyType,
    Burl,
    Command,
    Data,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Lhlo,
    Mail,
    Rcpt,
    StartTLS,
    Vrfy,
    XClient,
    XForward,
)
from mailproto.smtp.extensions import (
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    Capabilities,
    extensions_of,
)
from mailproto.smtp.parameters import (
    Conneg,
    Conperm,
    MailParameter,
    RcptParameter,
    RequireTLS,
    TransId,
)
from mailproto.smtp.states import NAMES
from mailproto.smtp.url import may_be_resolved

__all__ = ["Terms"]

# Before Python 3.12 looking up a member of an enumeration takes longer than calling a function.
_BINARY_MIME: Final = BodyType.BINARY_MIME


@define
class Terms:
    """A client's configuration, and what the server has offered since it greeted."""

    lmtp: bool
    tls: bool
    allow_insecure_auth: bool
    capabilities: Capabilities | None = None
    offered: Mapping[str, tuple[str, ...]] = field(factory=dict[str, tuple[str, ...]])
    """The keywords of ``capabilities``."""
    utf8: bool = False
    """Whether the transaction was begun with SMTPUTF8."""
    binary: bool = False
    """Whether it was begun with BODY=BINARYMIME."""
    takes_8bit: bool = False
    """Whether its content may have octets beyond ASCII (RFC 6152, RFC 3030)."""
    conperm: bool = False
    """Whether it was begun with CONPERM."""
    transactions: int = 0
    """MAIL commands that were sent since the server greeted."""
    recipients: int = 0
    """RCPT commands that were sent in the transaction."""
    domains: set[str] = field(factory=set[str])
    """The domains of all that were sent in the session, where the server limits their number."""

    def learn(self, capabilities: Capabilities) -> None:
        """Take note of what the server offers."""
        self.capabilities = capabilities
        self.offered = capabilities.keywords

    def copy(self) -> Terms:
        """The same, for commands that are only tried."""
        return evolve(self, domains=set(self.domains))

    def keep(self, limit: str, number: int, what: str) -> None:
        """Raise LocalProtocolError for more than the server's LIMITS allow (RFC 9422)."""
        most = self.most(limit)
        if most is not None and number > most:
            raise LocalProtocolError(f"the server allows {most} {what} ({limit})")

    def most(self, limit: str) -> int | None:
        """The number that LIMITS names; ``None`` where it names none."""
        return None if self.capabilities is None else self.capabilities.limit(limit)

    def offers(self, extension: str) -> bool:
        """Whether the server has offered the extension."""
        return extension in self.offered

    def take(self, command: Command) -> None:
        """Take note of a command that is sent.

        Raises LocalProtocolError for what is not offered or would be said in clear.
        """
        rule = _RULES.get(type(command))
        if rule is not None:
            rule(self, command)

    def require(self, extension: str, what: str) -> None:
        """Raise LocalProtocolError unless the server has offered the extension."""
        if extension not in self.offered:
            self.require_one((extension,), what)

    def require_one(self, extensions: tuple[str, ...], what: str) -> None:
        """The same where each of several extensions would do."""
        if self.offered.keys().isdisjoint(extensions):
            if what in extensions:
                raise LocalProtocolError(f"the server has not offered {what}")
            needed = " or ".join(extensions)
            raise LocalProtocolError(f"{what} needs {needed}, which the server has not offered")


def _hello(terms: Terms, command: Ehlo | Helo | Lhlo) -> None:
    if isinstance(command, Lhlo) is not terms.lmtp:
        name = NAMES[type(command)]
        raise LocalProtocolError(f"{name} is not spoken in {'LMTP' if terms.lmtp else 'SMTP'}")


def _starttls(terms: Terms, _: StartTLS) -> None:
    if terms.tls:
        raise LocalProtocolError("TLS is in use already")
    terms.require("STARTTLS", "STARTTLS")


def _auth(terms: Terms, command: Auth) -> None:
    terms.require("AUTH", "AUTH")
    if terms.capabilities is None or command.mechanism not in terms.capabilities.mechanisms:
        raise LocalProtocolError(f"the server has not offered {command.mechanism}")
    if not (terms.tls or terms.allow_insecure_auth):
        raise LocalProtocolError(
            "AUTH is not sent without TLS, only allow_insecure_auth=True would permit it"
        )


def _mail(terms: Terms, command: Mail) -> None:
    if "LIMITS" in terms.offered:
        terms.keep("MAILMAX", terms.transactions + 1, "messages in a session")
    if command.size is not None:
        terms.require("SIZE", "SIZE=")
    if command.body is _BINARY_MIME:
        terms.require("BINARYMIME", "BODY=BINARYMIME")
        terms.require("CHUNKING", "BODY=BINARYMIME")
    elif command.body is not None:
        terms.require("8BITMIME", "BODY=")
    if command.smtputf8:
        terms.require("SMTPUTF8", "an address or a header that is not ASCII")
    if command.auth is not None:
        terms.require("AUTH", "AUTH=")
    if command.parameters:
        _parameters(terms, command.parameters, MAIL_PARAMETERS)
        if terms.lmtp and any(p.keyword == TransId.keyword for p in command.parameters):
            raise LocalProtocolError("CHECKPOINT is not for LMTP")
    if terms.capabilities is not None and (command.size is not None or command.parameters):
        refusal = beyond(command, terms.capabilities)
        if refusal is not None:
            raise LocalProtocolError(f"the server would refuse this MAIL: {refusal}")
    terms.utf8 = command.smtputf8
    terms.binary = command.body is _BINARY_MIME
    terms.takes_8bit = terms.binary or "8BITMIME" in terms.offered
    terms.conperm = bool(command.parameters) and any(
        p.keyword == Conperm.keyword for p in command.parameters
    )
    terms.transactions += 1
    terms.recipients = 0


def _rcpt(terms: Terms, command: Rcpt) -> None:
    path = command.forward_path
    if not (terms.utf8 or command.is_ascii):
        raise LocalProtocolError(f"{path} or a parameter is not ASCII and needs SMTPUTF8 of MAIL")
    limited = "LIMITS" in terms.offered
    if limited:
        terms.keep("RCPTMAX", terms.recipients + 1, "recipients of a message")
        domains = len(terms.domains) + (domain_of(path) not in terms.domains)
        terms.keep("RCPTDOMAINMAX", domains, "domains of recipients in a session")
    if command.parameters:
        _parameters(terms, command.parameters, RCPT_PARAMETERS)
    if (
        terms.conperm
        and terms.offers("CONNEG")
        and not any(p.keyword == Conneg.keyword for p in command.parameters)
    ):
        raise LocalProtocolError("after CONPERM each RCPT needs CONNEG (RFC 4141 section 5.2)")
    terms.recipients += 1
    if limited and terms.most("RCPTDOMAINMAX") is not None:
        terms.domains.add(domain_of(path))


def _parameters(
    terms: Terms, used: Iterable[MailParameter | RcptParameter], known: Mapping[str, str]
) -> None:
    for parameter in used:
        # What no RFC here knows is the caller's business.
        if parameter.keyword in known:
            terms.require_one(extensions_of(parameter.keyword, known), parameter.keyword)
        if parameter.keyword == RequireTLS.keyword and not terms.tls:
            raise LocalProtocolError("REQUIRETLS needs TLS (RFC 8689 section 2)")


def _bdat(terms: Terms, _: Bdat) -> None:
    terms.require("CHUNKING", "BDAT")


def _named(terms: Terms, command: Etrn | Atrn) -> None:
    name = NAMES[type(command)]
    terms.require(name, name)


def _burl(terms: Terms, command: Burl) -> None:
    terms.require("BURL", "BURL")
    assert terms.capabilities is not None
    if not may_be_resolved(command.url, terms.capabilities.burl):
        raise LocalProtocolError(f"the server resolves only {terms.capabilities.burl} for BURL")


def _data(terms: Terms, _: Data) -> None:
    if terms.binary:
        raise LocalProtocolError("content that is BINARYMIME is sent by BDAT, not by DATA")


def _attributes(terms: Terms, command: XClient | XForward) -> None:
    verb = NAMES[type(command)]
    terms.require(verb, verb)
    assert terms.capabilities is not None
    offered = {name.upper() for name in terms.capabilities.keywords[verb]}
    for name, _ in command.attributes:
        if name not in offered:
            raise LocalProtocolError(f"the server has not offered {name} of {verb}")


def _query(terms: Terms, command: Vrfy | Expn) -> None:
    if command.smtputf8:
        terms.require("SMTPUTF8", "text that is not ASCII")


_RULES: Final[Mapping[type, Callable[..., None]]] = {
    Ehlo: _hello,
    Helo: _hello,
    Lhlo: _hello,
    StartTLS: _starttls,
    Auth: _auth,
    Mail: _mail,
    Rcpt: _rcpt,
    Bdat: _bdat,
    Burl: _burl,
    Etrn: _named,
    Atrn: _named,
    Data: _data,
    XClient: _attributes,
    XForward: _attributes,
    Vrfy: _query,
    Expn: _query,
}
