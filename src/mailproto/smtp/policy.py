"""What a server is configured to do, and which commands it refuses by itself, and why.

A ``Session`` is everything a server knows of one client; it is replaced as a whole when TLS
begins, so that nothing survives.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import define, field

from mailproto._core.dot import BareNewlines
from mailproto._core.limits import SMTPServerLimits
from mailproto.smtp.address import domain_of
from mailproto.smtp.bounds import beyond
from mailproto.smtp.commands import (
    Atrn,
    Auth,
    AuthResponse,
    Bdat,
    BodyType,
    Burl,
    Command,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    OtherCommand,
    Rcpt,
    Rset,
    ServerEvent,
    StartTLS,
    Vrfy,
    XClient,
    XForward,
)
from mailproto.smtp.content import IncomingChunks
from mailproto.smtp.extensions import (
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    Capabilities,
    parameters_of,
)
from mailproto.smtp.offer import Offer
from mailproto.smtp.replies import EnhancedCode, Reply
from mailproto.smtp.states import LEGAL, NAMES, State, after
from mailproto.smtp.url import may_be_resolved

__all__ = ["HELLOS", "NOTES", "Policy", "Session", "not_offered", "refusal"]

HELLOS: Final = frozenset({Ehlo, Helo, Lhlo})

# Before Python 3.12 looking up a member of an enumeration takes longer than calling a function.
_BINARY_MIME: Final = BodyType.BINARY_MIME

_IDLE: Final = frozenset(
    {Ehlo, Helo, Lhlo, StartTLS, Auth, Noop, Rset, Vrfy, Expn, Help, Etrn, Atrn, OtherCommand}
)
_NO_PARAMETERS: Final = frozenset[str]()
_OUT_OF_SEQUENCE: Final = EnhancedCode(5, 5, 1)
_BAD_ARGUMENTS: Final = EnhancedCode(5, 5, 4)
_TOO_MANY: Final = EnhancedCode(4, 5, 3)
_NO_SERVICE: Final = EnhancedCode(4, 7, 0)
_SECURITY: Final = EnhancedCode(5, 7, 0)


@define
class Policy:
    """The configuration of a server, and the replies that follow from it alone."""

    hostname: str
    lmtp: bool
    offer: Offer
    require_auth: bool
    trust_auth_parameter: bool
    refuse_early_talkers: bool
    bare_newlines: BareNewlines
    limits: SMTPServerLimits
    now: Callable[[], datetime.datetime] | None

    def capabilities(self, *, tls: bool, authenticated: bool) -> Capabilities:
        """What the reply to EHLO or LHLO offers."""
        return self.offer.capabilities(
            self.hostname, self.limits, lmtp=self.lmtp, tls=tls, authenticated=authenticated
        )

    def greeting(self) -> Reply:
        """The first line."""
        return Reply(220, f"{self.hostname} {'LMTP' if self.lmtp else 'ESMTP'}")

    def hello(self, offered: Capabilities | None) -> Reply:
        """The positive answer to EHLO and LHLO, and to HELO, which offers nothing."""
        return Reply(250, self.hostname) if offered is None else offered.to_reply()


@define
class Session:
    """What is known of the client since it connected, or since TLS began."""

    tls: bool
    state: State = State.GREETING
    extended: bool = False
    """Whether EHLO or LHLO was accepted, and no HELO since."""
    authenticated: bool = False
    mail_parameters: frozenset[str] = _NO_PARAMETERS
    rcpt_parameters: frozenset[str] = _NO_PARAMETERS
    errors: int = 0
    idle_commands: int = 0
    """Commands since the last accepted message that have brought none nearer."""
    failed_authentications: int = 0
    offered: Capabilities | None = None
    """What the reply to EHLO or LHLO has offered."""
    transaction: Mail | None = field(default=None)
    """The MAIL that was accepted."""
    transactions: int = 0
    """MAIL commands, refused ones too (RFC 9422 section 4.1)."""
    recipients: int = 0
    domains: set[str] = field(factory=set[str])
    """Domains of the recipients that were accepted in any transaction, where their number is
    limited (RFC 9422 section 4.3)."""
    resumed: int = 0
    """Octets of the content that came in an earlier session (RFC 1845)."""
    chunks: IncomingChunks | None = None
    """The content so far, once a BDAT or BURL has begun it."""

    def refused(self, kind: type[ServerEvent], code: int) -> None:
        """Take note of a command and its 4yz or 5yz."""
        self.state = after(self.state, kind, code)
        if kind is Auth or kind is AuthResponse:
            # After 4yz nobody knows whether the credentials were right.
            self.failed_authentications += code >= 500
        elif kind is EndOfMessage or kind is EndOfChunk or kind is Burl:
            self.end_transaction()

    def accepted(self, command: ServerEvent, code: int, policy: Policy) -> None:
        """Take note of a command and its 2yz or 3yz."""
        kind = type(command)
        self.state = after(self.state, kind, code)
        note = NOTES.get(kind)
        if note is not None:
            note(self, command, policy)
        elif code == 235 and (kind is Auth or kind is AuthResponse):
            self.authenticated = True

    def note_mail(self, mail: Mail, _: Policy) -> None:
        """MAIL was accepted."""
        self.transaction = mail

    def note_rcpt(self, rcpt: Rcpt, policy: Policy) -> None:
        """RCPT was accepted."""
        self.recipients += 1
        if policy.limits.recipient_domains is not None:
            self.domains.add(domain_of(rcpt.forward_path))

    def note_message(self, _: EndOfMessage, __: Policy) -> None:
        """The message was accepted."""
        self.end_transaction()
        self.idle_commands = 0

    def note_rset(self, _: Rset, __: Policy) -> None:
        """RSET was answered."""
        self.end_transaction()

    def end_transaction(self) -> None:
        """Forget sender, recipients and chunks."""
        self.transaction = None
        self.recipients = self.resumed = 0
        self.chunks = None

    def note_hello(self, hello: Ehlo | Helo | Lhlo, policy: Policy) -> None:
        """EHLO, HELO or LHLO was accepted: the session begins anew, with what is offered now."""
        self.end_transaction()
        self.extended = extended = not isinstance(hello, Helo)
        self.offered = offered = (
            policy.capabilities(tls=self.tls, authenticated=self.authenticated)
            if extended
            else None
        )
        names = () if offered is None else offered.keywords
        extensions = policy.offer.extensions if extended else ()
        self.mail_parameters = parameters_of(
            names, MAIL_PARAMETERS, [name for e in extensions for name in e.mail_parameters]
        )
        self.rcpt_parameters = parameters_of(
            names, RCPT_PARAMETERS, [name for e in extensions for name in e.rcpt_parameters]
        )


NOTES: Final[Mapping[type, Callable[..., None]]] = {
    Mail: Session.note_mail,
    Rcpt: Session.note_rcpt,
    EndOfMessage: Session.note_message,
    Rset: Session.note_rset,
    Ehlo: Session.note_hello,
    Helo: Session.note_hello,
    Lhlo: Session.note_hello,
}
"""What else changes in a session, besides its state, when a command is accepted."""


def refusal(policy: Policy, session: Session, command: Command) -> Reply | None:
    """The reply to a command that cannot be accepted now, whatever the application thinks."""
    states, idle, optional, rule = _JUDGED[type(command)]
    if idle:
        session.idle_commands += 1
        if session.idle_commands > policy.limits.idle_commands:
            return Reply(421, "Too many commands and no message", _NO_SERVICE)
    if session.state not in states:
        problem = f"{NAMES[type(command)]} is not allowed {session.state.value}"
        return Reply(503, problem, _OUT_OF_SEQUENCE)
    if optional is not None and not optional[0](policy):
        return optional[1]
    return None if rule is None else rule(policy, session, command)


def not_offered(policy: Policy, verb: bytes) -> Reply | None:
    """The reply to a verb in upper case that this server has not on, whatever comes behind it."""
    optional = _OPTIONAL_VERBS.get(verb)
    return None if optional is None or optional[0](policy) else optional[1]


def _hello(policy: Policy, _: Session, command: Command) -> Reply | None:
    # RFC 2033 section 4.1: HELO and EHLO are not spoken in LMTP, and LHLO is its own.
    if isinstance(command, Lhlo) is policy.lmtp:
        return None
    problem = "LMTP begins with LHLO" if policy.lmtp else "LHLO is for LMTP"
    return Reply(500, problem, _OUT_OF_SEQUENCE)


def _starttls(policy: Policy, session: Session, _: Command) -> Reply | None:
    if session.tls:
        return Reply(503, "TLS is in use already", _OUT_OF_SEQUENCE)
    if not session.extended:
        return Reply(503, "STARTTLS needs EHLO", _OUT_OF_SEQUENCE)
    return None


def _auth(policy: Policy, session: Session, command: Auth) -> Reply | None:
    if session.authenticated:
        return Reply(503, "Already authenticated", _OUT_OF_SEQUENCE)
    if not session.extended:
        return Reply(503, "AUTH needs EHLO", _OUT_OF_SEQUENCE)
    if session.failed_authentications >= policy.limits.failed_authentications:
        return Reply(421, "Too many failed attempts", _NO_SERVICE)
    if not policy.offer.secure(tls=session.tls):
        return Reply(538, "AUTH needs TLS", EnhancedCode(5, 7, 11))
    if command.mechanism not in policy.offer.mechanisms:
        return Reply(504, "Mechanism not offered", _BAD_ARGUMENTS)
    return None


def _needs_authentication(policy: Policy, session: Session, _: Command) -> Reply | None:
    if session.authenticated or not policy.require_auth:
        return None
    if policy.offer.secure(tls=session.tls) or not policy.offer.starttls:
        return Reply(530, "Authentication required", _SECURITY)
    return Reply(530, "Must issue a STARTTLS command first", _SECURITY)


def _mail(policy: Policy, session: Session, command: Mail) -> Reply | None:
    session.transactions += 1
    most = policy.limits.transactions
    if most is not None and session.transactions > most:
        return Reply(452, "Too many messages in this session", _TOO_MANY)
    if session.offered is not None and (command.size is not None or command.parameters):
        reply = beyond(command, session.offered, policy.now)
        if reply is not None:
            return reply
    if command.body is _BINARY_MIME and not policy.offer.binarymime:
        return Reply(555, "BODY=BINARYMIME is not supported", _BAD_ARGUMENTS)
    return _needs_authentication(policy, session, command) if policy.require_auth else None


def _rcpt(policy: Policy, session: Session, command: Rcpt) -> Reply | None:
    if session.recipients >= policy.limits.recipients:
        return Reply(452, "Too many recipients", _TOO_MANY)
    path = command.forward_path
    most = policy.limits.recipient_domains
    if most is not None and len(session.domains) >= most and domain_of(path) not in session.domains:
        return Reply(452, "Too many domains among the recipients of this session", _TOO_MANY)
    if command.is_ascii:
        return None
    if session.transaction is None or not session.transaction.smtputf8:
        return Reply(553, "Non-ASCII address without SMTPUTF8", EnhancedCode(5, 6, 7))
    return None


def _data(_: Policy, session: Session, __: Data) -> Reply | None:
    mail = session.transaction
    if mail is not None and mail.body is _BINARY_MIME:
        return Reply(503, "BODY=BINARYMIME needs BDAT", _OUT_OF_SEQUENCE)
    return None


def _forwarding(_: Policy, session: Session, command: XClient | XForward) -> Reply | None:
    if not session.extended and session.state is not State.START:
        return Reply(503, f"{NAMES[type(command)]} needs EHLO", _OUT_OF_SEQUENCE)
    return None


def _bdat(_: Policy, session: Session, __: Bdat) -> Reply | None:
    if not session.extended:
        return Reply(503, "BDAT needs EHLO", _OUT_OF_SEQUENCE)
    return None


def _etrn(policy: Policy, session: Session, command: Etrn) -> Reply | None:
    if not session.extended:
        return Reply(503, "ETRN needs EHLO", _OUT_OF_SEQUENCE)
    return _needs_authentication(policy, session, command)


def _atrn(_: Policy, session: Session, __: Atrn) -> Reply | None:
    if not session.authenticated:
        return Reply(530, "Authentication required", _SECURITY)
    return None


def _burl(policy: Policy, session: Session, command: Burl) -> Reply | None:
    if not session.authenticated:
        return Reply(530, "Authentication required", _SECURITY)
    if not may_be_resolved(command.url, policy.offer.burl or ()):
        text = "URL resolution requires trust relationship"
        return Reply(554, text, EnhancedCode(5, 7, 8))
    return None


_RULES: Final[Mapping[type, Callable[..., Reply | None]]] = {
    Ehlo: _hello,
    Helo: _hello,
    Lhlo: _hello,
    StartTLS: _starttls,
    Auth: _auth,
    Mail: _mail,
    Rcpt: _rcpt,
    Data: _data,
    Bdat: _bdat,
    Burl: _burl,
    Etrn: _etrn,
    Atrn: _atrn,
    XClient: _forwarding,
    XForward: _forwarding,
    Vrfy: _needs_authentication,
    Expn: _needs_authentication,
}


def _unless(is_on: Callable[[Policy], object], text: str) -> _Optional:
    return is_on, Reply(502, text, _OUT_OF_SEQUENCE)


_Optional: TypeAlias = tuple[Callable[[Policy], object], Reply]
_OPTIONAL: Final[Mapping[type, _Optional]] = {
    StartTLS: _unless(lambda policy: policy.offer.starttls, "STARTTLS is not offered"),
    Auth: _unless(lambda policy: policy.offer.mechanisms, "AUTH is not offered"),
    Bdat: _unless(lambda policy: policy.offer.chunking, "CHUNKING is not offered"),
    Expn: _unless(lambda policy: policy.offer.expn, "EXPN is not implemented"),
    Etrn: _unless(lambda policy: policy.offer.etrn and not policy.lmtp, "ETRN is not offered"),
    Atrn: _unless(lambda policy: policy.offer.atrn and not policy.lmtp, "ATRN is not offered"),
    Burl: _unless(
        lambda policy: policy.offer.burl is not None and not policy.lmtp, "BURL is not offered"
    ),
    **{
        kind: (
            lambda policy: policy.offer.forwarding,
            Reply(550, f"{verb} is not for you", _SECURITY),
        )
        for kind, verb in ((XClient, "XCLIENT"), (XForward, "XFORWARD"))
    },
}
"""The commands that a server may not have on, when it has, and the reply where it has not."""
_OPTIONAL_VERBS: Final = {NAMES[kind].encode(): optional for kind, optional in _OPTIONAL.items()}
# In one table what every command is asked for: states, whether it brings no message nearer, when
# the server has it on, rule.
_JUDGED: Final[
    Mapping[
        type, tuple[tuple[State, ...], bool, _Optional | None, Callable[..., Reply | None] | None]
    ]
] = {
    kind: (states, kind in _IDLE, _OPTIONAL.get(kind), _RULES.get(kind))
    for kind, states in LEGAL.items()
}
