"""What a relay passes on of a transaction: the rules of each extension for the next hop.

What the next hop has an extension for goes on, with the time that is left. What it has none for is
left out and named, or is a reason to refuse, as the extension's RFC has it; a refusal is a
``Reply`` for the client from which the message came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeAlias

from attrs import evolve
from typing_extensions import TypeVar

from mailproto._core import strict
from mailproto._core.frozen import frozen
from mailproto.smtp.address import Mailbox
from mailproto.smtp.commands import BodyType, Mail, Rcpt
from mailproto.smtp.extensions import (
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    Capabilities,
    extensions_of,
)
from mailproto.smtp.parameters import (
    Conneg,
    Conperm,
    DeliverBy,
    HoldFor,
    HoldUntil,
    MailParameter,
    Mtrk,
    Notify,
    Parameter,
    RcptParameter,
    RequireTLS,
    Rrvs,
    TransId,
)
from mailproto.smtp.replies import EnhancedCode, Reply

__all__ = ["Hop", "Onward", "mail_onward", "rcpt_onward"]

C = TypeVar("C", Mail, Rcpt)
P = TypeVar("P", bound=MailParameter | RcptParameter)

AnyParameter: TypeAlias = MailParameter | RcptParameter


@frozen
class Hop:
    """The next server, as far as the rules care."""

    capabilities: Capabilities
    tls: bool = False
    """Whether the connection to it is under TLS, and its name was verified."""
    elapsed: int = 0
    """Seconds that the message has spent here."""

    def offers(self, extension: str) -> bool:
        """Whether it has offered the extension of this keyword, in upper case."""
        return extension in self.capabilities


@frozen
class Onward(Generic[C]):
    """A command for the next hop."""

    command: C
    left_out: tuple[AnyParameter, ...] = ()
    """What the next hop cannot be told. Where that is ``NOTIFY`` with SUCCESS, or ``BY``, the
    sender is owed a notification of having been relayed (RFC 3461 section 5.2.2, RFC 2852 section
    4.1.4)."""


def mail_onward(mail: Mail, hop: Hop, *, is_ascii: bool = False) -> Onward[Mail] | Reply:
    """MAIL for the next hop, without SIZE, or why the message cannot go there.

    ``is_ascii`` says that the content is known to be ASCII: a BODY or SMTPUTF8 that it does not
    need is then no obstacle.
    """
    left_out: list[AnyParameter] = []
    body, smtputf8, auth = mail.body, mail.smtputf8, mail.auth
    if body is BodyType.BINARY_MIME and not (hop.offers("BINARYMIME") and hop.offers("CHUNKING")):
        return _NOT_BINARY
    if body is not None and not hop.offers("8BITMIME") and body is not BodyType.BINARY_MIME:
        if body is BodyType.EIGHT_BIT_MIME and not is_ascii:
            return _NOT_8BIT
        left_out.append(Parameter("BODY", body.value))
        body = None
    if smtputf8 and not hop.offers("SMTPUTF8"):
        if isinstance(mail.reverse_path, Mailbox) and not mail.reverse_path.is_ascii:
            return _SENDER_NOT_ASCII
        if not is_ascii:
            return _NO_UTF8
        left_out.append(Parameter("SMTPUTF8"))
        smtputf8 = False
    if auth is not None and not hop.offers("AUTH"):
        left_out.append(Parameter("AUTH", str(auth)))
        auth = None
    sorted_out = _sort_out(mail.parameters, _MAIL, hop)
    if isinstance(sorted_out, Reply):
        return sorted_out
    parameters, rest = sorted_out
    command = Mail(mail.reverse_path, None, body, smtputf8, auth, tuple(parameters))
    return Onward(command, (*left_out, *rest))


def rcpt_onward(rcpt: Rcpt, mail: Mail, hop: Hop) -> Onward[Rcpt] | Reply:
    """RCPT for the next hop, or why this recipient cannot have the message there.

    ``mail`` is the MAIL that was received.
    """
    path = rcpt.forward_path
    if isinstance(path, Mailbox) and not path.is_ascii and not hop.offers("SMTPUTF8"):
        return _RECIPIENT_NOT_ASCII
    sorted_out = _sort_out(rcpt.parameters, _RCPT, hop)
    if isinstance(sorted_out, Reply):
        return sorted_out
    parameters, left_out = sorted_out
    if hop.offers("DSN") and _is_unwatched(mail, hop):
        parameters = _with_delay(parameters)
    if hop.offers("CONNEG") and any(isinstance(p, Conperm) for p in mail.parameters):
        # RFC 4141 section 5.2: the two go together.
        parameters = [p for p in parameters if not isinstance(p, Conneg)] + [Conneg()]
    return Onward(Rcpt(path, tuple(parameters)), tuple(left_out))


def _sort_out(
    parameters: Iterable[P], rules: Mapping[type, Callable[..., P | Reply | None]], hop: Hop
) -> tuple[list[P], list[P]] | Reply:
    """What goes on and what is left out, or the first refusal."""
    onward: list[P] = []
    left_out: list[P] = []
    for parameter in parameters:
        rule: Callable[[P, Hop], P | Reply | None] = rules.get(type(parameter), _if_offered)
        passed = rule(parameter, hop)
        if isinstance(passed, Reply):
            return passed
        if passed is None:
            left_out.append(parameter)
        else:
            onward.append(passed)
    return onward, left_out


def _is_unwatched(mail: Mail, hop: Hop) -> bool:
    """Whether nobody behind the next hop will tell the sender that the message is late."""
    return not hop.offers("DELIVERBY") and any(
        isinstance(parameter, DeliverBy) and parameter.seconds > hop.elapsed
        for parameter in mail.parameters
    )


def _with_delay(parameters: list[RcptParameter]) -> list[RcptParameter]:
    """The parameters with a NOTIFY that asks for DELAY (RFC 2852 section 4.1.4.2)."""
    others: list[RcptParameter] = [p for p in parameters if not isinstance(p, Notify)]
    asked = next((p for p in parameters if isinstance(p, Notify)), _FAILURE)
    return [*others, Notify(asked.events | _DELAY.events) if asked.events else asked]


# --- what each parameter becomes: itself, another, nothing, or a refusal


def _if_offered(parameter: P, hop: Hop) -> P | None:
    """What no RFC here knows goes on to a server that names it among its extensions."""
    keyword = parameter.keyword
    known = next((k for k in (MAIL_PARAMETERS, RCPT_PARAMETERS) if keyword in k), None)
    extensions = (keyword,) if known is None else extensions_of(keyword, known)
    return parameter if any(hop.offers(extension) for extension in extensions) else None


def _never(_: AnyParameter, __: Hop) -> None:
    return None


def _deliver_by(parameter: DeliverBy, hop: Hop) -> DeliverBy | Reply | None:
    """RFC 2852 section 4.1.4."""
    left = parameter.seconds - hop.elapsed
    offered = hop.offers("DELIVERBY")
    if parameter.mode == "R":
        if left <= 0:
            return _TOO_LATE
        if not offered or left < _least_time(hop.capabilities):
            return _NOT_IN_TIME
    return evolve(parameter, seconds=max(left, -_MOST_SECONDS)) if offered else None


def _least_time(capabilities: Capabilities) -> int:
    """The least time for delivery that the server takes on (RFC 2852 section 2)."""
    values = capabilities.keywords["DELIVERBY"]
    text = values[0].partition(",")[0] if values else ""
    return strict.number(text.encode(errors="replace"), _MOST_SECONDS) or 0


def _hold_for(parameter: HoldFor, hop: Hop) -> HoldFor | Reply | None:
    left = parameter.seconds - hop.elapsed
    if left <= 0:
        # It is time already.
        return None
    return HoldFor(left) if hop.offers("FUTURERELEASE") else _NOT_HELD


def _hold_until(parameter: HoldUntil, hop: Hop) -> HoldUntil | Reply:
    return parameter if hop.offers("FUTURERELEASE") else _NOT_HELD


def _require_tls(parameter: RequireTLS, hop: Hop) -> RequireTLS | Reply:
    """RFC 8689 section 4.2.1."""
    if not hop.tls:
        return _NO_TLS
    return parameter if hop.offers("REQUIRETLS") else _NO_REQUIRETLS


def _mtrk(parameter: Mtrk, hop: Hop) -> Mtrk | None:
    """RFC 3885 section 3.1."""
    if not hop.offers("MTRK"):
        return None
    if parameter.timeout is None:
        return parameter
    left = parameter.timeout - hop.elapsed
    return evolve(parameter, timeout=left) if left > 0 else None


def _conperm(parameter: Conperm, hop: Hop) -> Conperm | Reply:
    """RFC 4141 section 4.2."""
    return parameter if hop.offers("CONPERM") else _NOT_CONVERTED


def _rrvs(parameter: Rrvs, hop: Hop) -> Rrvs | Reply | None:
    """RFC 7293 section 5.1.1."""
    if hop.offers("RRVS"):
        return parameter
    return None if parameter.otherwise == "C" else _NOT_VALIDATED


_FAILURE: Final = Notify(frozenset(("FAILURE",)))
_DELAY: Final = Notify(frozenset(("DELAY",)))
_MOST_SECONDS: Final = 999_999_999

_MAIL: Final[Mapping[type, Callable[..., MailParameter | Reply | None]]] = {
    DeliverBy: _deliver_by,
    HoldFor: _hold_for,
    HoldUntil: _hold_until,
    RequireTLS: _require_tls,
    Mtrk: _mtrk,
    Conperm: _conperm,
    # It names a transaction between two hosts (RFC 1845).
    TransId: _never,
}
_RCPT: Final[Mapping[type, Callable[..., RcptParameter | Reply | None]]] = {Rrvs: _rrvs}

_NOT_BINARY: Final = Reply(
    554, "The next hop has no BINARYMIME, and nothing is converted here", EnhancedCode(5, 6, 3)
)
_NOT_8BIT: Final = Reply(
    554, "The next hop has no 8BITMIME, and nothing is converted here", EnhancedCode(5, 6, 3)
)
_NOT_CONVERTED: Final = Reply(554, "The next hop has no CONPERM", EnhancedCode(5, 6, 3))
_SENDER_NOT_ASCII: Final = Reply(
    550, "The next hop takes no address that is not ASCII", EnhancedCode(5, 6, 7)
)
_RECIPIENT_NOT_ASCII: Final = evolve(_SENDER_NOT_ASCII, code=553)
_NO_UTF8: Final = Reply(554, "The next hop takes no header in UTF-8", EnhancedCode(5, 6, 9))
_TOO_LATE: Final = Reply(554, "The time for delivery has passed", EnhancedCode(5, 4, 7))
_NOT_IN_TIME: Final = Reply(
    554, "The next hop does not promise delivery in that time", EnhancedCode(5, 3, 3)
)
_NOT_HELD: Final = Reply(554, "Messages are not held for later there", EnhancedCode(5, 3, 3))
_NO_TLS: Final = Reply(550, "The next hop cannot be reached under TLS", EnhancedCode(5, 7, 10))
_NO_REQUIRETLS: Final = Reply(550, "The next hop has no REQUIRETLS", EnhancedCode(5, 7, 30))
_NOT_VALIDATED: Final = Reply(
    550, "Nobody there knows since when it is the recipient's", EnhancedCode(5, 7, 19)
)
