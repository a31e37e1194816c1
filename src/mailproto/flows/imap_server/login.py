"""Commands about the connection itself: who logs in and how, what the server is and can."""

from __future__ import annotations

from mailproto import sasl
from mailproto.flows.authentication import settle, verify
from mailproto.flows.effects import Flow
from mailproto.flows.imap_server.answers import Answer, Refused, bad, no, ok
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import Authenticate, AuthenticateResponse, Login, Tagged
from mailproto.imap.events import InvalidCommand
from mailproto.imap.mailbox_name import MailboxName
from mailproto.imap.response_code import AUTHENTICATIONFAILED, CANNOT, CapabilityCode
from mailproto.imap.responses import (
    BYE,
    CapabilityData,
    Challenge,
    Condition,
    EnabledData,
    IdData,
    NamespaceData,
    NamespaceEntry,
)
from mailproto.imap.states import State

__all__ = [
    "authenticate",
    "capability",
    "enable",
    "id",
    "login",
    "logout",
    "namespace",
    "noop",
    "start_tls",
]


def capability(session: Session, tagged: Tagged) -> Flow[Answer]:
    """CAPABILITY."""
    session.send(CapabilityData(session.machine.capabilities))
    yield from ()
    return ok("CAPABILITY completed")


def noop(session: Session, tagged: Tagged) -> Flow[Answer]:
    """NOOP and CHECK: a good moment to look for what others have done."""
    if session.selected is not None:
        yield from session.refresh(session.selected)
    return ok("completed")


def logout(session: Session, tagged: Tagged) -> Flow[Answer]:
    """LOGOUT."""
    session.selected = None
    session.send(Condition(BYE, "logging out"))
    yield from ()
    return ok("LOGOUT completed")


def start_tls(session: Session, tagged: Tagged) -> Flow[Answer]:
    """STARTTLS: the handshake follows the completion."""
    yield from ()
    return ok("begin TLS negotiation now")


def id(session: Session, tagged: Tagged) -> Flow[Answer]:
    """ID (RFC 2971)."""
    session.send(IdData(tuple(session.context.identity.items())))
    yield from ()
    return ok("ID completed")


def enable(session: Session, tagged: Tagged) -> Flow[Answer]:
    """ENABLE: nothing here has to be enabled (RFC 5161 section 3.1)."""
    session.send(EnabledData(()))
    yield from ()
    return ok("ENABLE completed")


def namespace(session: Session, tagged: Tagged) -> Flow[Answer]:
    """NAMESPACE (RFC 2342): all mailboxes are the user's own."""
    delimiter = session.context.store.delimiter
    session.send(NamespaceData((NamespaceEntry(MailboxName(b""), delimiter),)))
    yield from ()
    return ok("NAMESPACE completed")


# ----------------------------------------------------------------------------------------- login


def login(session: Session, tagged: Tagged) -> Flow[Answer]:
    """LOGIN."""
    command = tagged.command
    assert isinstance(command, Login)
    try:
        credentials = sasl.PasswordCredentials(command.user.decode(), command.password.decode())
    except UnicodeDecodeError:
        return _failed()
    account = yield from verify(session.context.directory, credentials)
    if account is None:
        return _failed()
    return (yield from _entered(session, account))


def authenticate(session: Session, tagged: Tagged) -> Flow[Answer]:
    """AUTHENTICATE, with as many challenges as the mechanism has."""
    command = tagged.command
    assert isinstance(command, Authenticate)
    context = session.context
    exchange = session.offered.begin(command.mechanism)
    if exchange is None:
        return no("this mechanism is not available", CANNOT)
    step = exchange.start(command.initial_response)
    while True:
        step = yield from settle(exchange, step, context.directory)
        if isinstance(step, sasl.Success):
            return (yield from _entered(session, step.identity))
        if isinstance(step, sasl.Failure):
            refused = step.reason is sasl.FailureReason.REFUSED
            return _failed() if refused else bad(step.reason.value)
        session.send(Challenge(step.data))
        event = yield from session.event()
        if isinstance(event, AuthenticateResponse) and event.data is not None:
            step = exchange.respond(event.data)
        elif isinstance(event, InvalidCommand):
            raise Refused(bad(exchange.malformed().reason.value))
        else:
            raise Refused(bad(exchange.cancel().reason.value))


def _failed() -> Answer:
    return no("the credentials are not right", AUTHENTICATIONFAILED)


def _entered(session: Session, account: str) -> Flow[Answer]:
    yield from session.enter(account)
    capabilities = session.machine.capabilities_in(State.AUTHENTICATED)
    return ok("logged in", CapabilityCode(capabilities))
