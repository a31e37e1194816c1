"""P05: everything that a machine holds after STARTTLS or STLS is what a fresh one under TLS holds.

Not what it tells of itself but every variable, however deep, so that nothing new is forgotten.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeAlias

import pytest

from mailproto import imap, pop3, smtp
from mailproto._core.framer import Framer
from mailproto._core.machine import Signal
from mailproto.errors import RemoteProtocolError

Machine: TypeAlias = Any


def state(thing: object) -> object:
    """A value that is equal where everything that ``thing`` holds is."""
    if thing is None or isinstance(thing, int | str | bytes | Enum | float | type):
        return thing
    if isinstance(thing, types.FunctionType | types.MethodType | types.BuiltinMethodType):
        return getattr(thing, "__qualname__", "")
    if isinstance(thing, dict):
        return {name: state(value) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [state(value) for value in thing]
    if isinstance(thing, set | frozenset):
        return thing
    if isinstance(thing, Framer):
        # How far it has read does not matter where nothing is left.
        return [type(thing), len(thing), thing.ended, thing.missing]
    names = set(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        names |= {slots} if isinstance(slots, str) else set(slots)
    held = {name: state(getattr(thing, name, None)) for name in sorted(names)}
    return [type(thing), held]


def hear(machine: Machine, *lines: bytes, answer: bool = False) -> None:
    """Receive lines; a server gives the canonical answer to each."""
    for line in lines:
        machine.receive_data(line + b"\r\n")
        while not isinstance(event := machine.next_event(), Signal):
            if answer:
                machine.accept()
            if event is None:
                break
    machine.data_to_send()


def say(machine: Machine, item: object, *replies: bytes) -> None:
    """Have a client send a command, and be answered."""
    machine.send(item)
    machine.data_to_send()
    hear(machine, *replies)


def smtp_client(lmtp: bool) -> tuple[Machine, Machine]:
    hello = smtp.Lhlo("me") if lmtp else smtp.Ehlo("me")
    used, fresh = smtp.Client(lmtp=lmtp), smtp.Client(lmtp=lmtp, tls=True)
    hear(used, b"220-hi", b"220 there")
    offer = (b"250-me", b"250-SIZE 5", b"250-PIPELINING", b"250-LIMITS MAILMAX=3", b"250 STARTTLS")
    say(used, hello, *offer)
    say(used, smtp.Mail(smtp.NULL_PATH), b"250 ok")
    say(used, smtp.Rcpt(smtp.Mailbox.parse("a@b.example")), b"550 no")
    say(used, smtp.Rset(), b"250 ok")
    say(used, smtp.StartTLS(), b"220 go on")
    hear(fresh, b"220 hi")
    return used, fresh


def smtp_server(lmtp: bool) -> tuple[Machine, Machine]:
    offer = smtp.Offer(starttls=True, mechanisms=("PLAIN",), insecure_auth=True)
    used = smtp.Server(lmtp=lmtp, offer=offer)
    fresh = smtp.Server(lmtp=lmtp, offer=offer, tls=True)
    hello = b"LHLO me" if lmtp else b"EHLO me"
    for machine in (used, fresh):
        machine.accept()
        machine.data_to_send()
    lines = (hello, b"FROB", b"MAIL FROM:<a@b.example>", b"NOOP", b"AUTH GSSAPI", b"RSET")
    hear(used, *lines, hello, b"STARTTLS", answer=True)
    return used, fresh


def imap_client() -> tuple[Machine, Machine]:
    used, fresh = imap.Client(), imap.Client(tls=True)
    hear(used, b"* OK [CAPABILITY IMAP4rev1 STARTTLS LITERAL+ LOGINDISABLED] hi")
    say(used, imap.Noop(), b"* 3 EXISTS", b"* FROB", b"A1 OK done")
    say(used, imap.Capability(), b"* CAPABILITY IMAP4rev1 STARTTLS X", b"A2 OK done")
    say(used, imap.StartTLS(), b"A3 OK go on")
    hear(fresh, b"* OK hi")
    return used, fresh


def imap_server() -> tuple[Machine, Machine]:
    offer = imap.Offer(starttls=True, mechanisms=("PLAIN",), insecure_auth=True)
    used, fresh = imap.Server(offer=offer), imap.Server(offer=offer, tls=True)
    for machine in (used, fresh):
        machine.accept()
        machine.data_to_send()
    for line in (b"a NOOP", b"FROB", b"b LOGIN {3+}\r\nabc def", b"AGEAYg==", b"c STARTTLS"):
        used.receive_data(line + b"\r\n")
        event = used.next_event()
        if isinstance(event, imap.Tagged) and event.tag == "b":
            used.send(imap.Completion("b", imap.NO, "no"))
        else:
            used.accept()
    used.data_to_send()
    return used, fresh


def pop3_client() -> tuple[Machine, Machine]:
    used, fresh = pop3.Client(apop=True), pop3.Client(apop=True, tls=True)
    hear(used, b"+OK ready <1896.697170952@dbc.mtview.ca.us>")
    say(used, pop3.Capa(), b"+ok", b"PIPELINING", b"STLS", b".")
    say(used, pop3.Stls(), b"+OK")
    hear(fresh, b"+OK ready")
    return used, fresh


def pop3_server() -> tuple[Machine, Machine]:
    offer = pop3.Offer(stls=True, mechanisms=("PLAIN",), insecure_auth=True, languages=True)
    used, fresh = pop3.Server(offer=offer), pop3.Server(offer=offer, tls=True)
    for machine in (used, fresh):
        machine.accept()
        machine.data_to_send()
    hear(used, b"FROB", b"USER mrose", b"STLS", answer=True)
    return used, fresh


PAIRS: Final[dict[str, Callable[[], tuple[Machine, Machine]]]] = {
    "SMTP client": lambda: smtp_client(lmtp=False),
    "LMTP client": lambda: smtp_client(lmtp=True),
    "SMTP server": lambda: smtp_server(lmtp=False),
    "LMTP server": lambda: smtp_server(lmtp=True),
    "IMAP client": imap_client,
    "IMAP server": imap_server,
    "POP3 client": pop3_client,
    "POP3 server": pop3_server,
}


@pytest.mark.parametrize("name", PAIRS)
def test_P05_nothing_that_an_upgraded_machine_holds_is_from_before(name: str) -> None:
    used, fresh = PAIRS[name]()
    assert used.awaiting_tls
    before = state(used)
    used.start_tls()
    expected = state(fresh)
    assert before != expected
    assert state(used) == expected


@pytest.mark.parametrize("name", PAIRS)
def test_P05_plaintext_that_comes_before_the_handshake_ends_every_machine(name: str) -> None:
    used, _ = PAIRS[name]()
    used.receive_data(b"x")
    with pytest.raises(RemoteProtocolError, match="plaintext was received after"):
        used.next_event()


@pytest.mark.parametrize("name", PAIRS)
def test_P05_plaintext_that_was_there_at_the_handshake_is_never_read(name: str) -> None:
    """The driver did not look before it began TLS."""
    used, _ = PAIRS[name]()
    used.receive_data(b"250 ok\r\n")
    used.start_tls()
    assert used.failed
    with pytest.raises(RemoteProtocolError, match="plaintext was received after"):
        used.next_event()
