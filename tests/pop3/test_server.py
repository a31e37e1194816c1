"""What the server's machine makes of its application's answers: names, states, the next message."""

from __future__ import annotations

import pytest

from mailproto import pop3
from mailproto.errors import LocalProtocolError
from mailproto.pop3 import ConnectionClosed, State

OFFER = pop3.Offer(insecure_auth=True, mechanisms=("PLAIN",))


def asked(machine: pop3.Server, line: bytes) -> object:
    machine.receive_data(line + b"\r\n")
    return machine.next_event()


def begun() -> pop3.Server:
    machine = pop3.Server(offer=OFFER)
    machine.accept()
    return machine


def logged_in() -> pop3.Server:
    machine = begun()
    for line in (b"USER alice", b"PASS secret"):
        asked(machine, line)
        machine.send(pop3.Ok())
    machine.data_to_send()
    return machine


def test_the_last_user_counts_and_one_that_was_refused_is_none() -> None:
    machine = begun()
    for name in (b"alice", b"bob"):
        asked(machine, b"USER " + name)
        machine.accept()
    assert machine.user == "bob"
    asked(machine, b"USER mallory")
    machine.send(pop3.Err("no such user"))
    assert machine.user is None
    refused = asked(machine, b"PASS secret")
    assert refused == pop3.Invalid(b"PASS secret", pop3.Err("PASS must follow USER"))


def test_quit_before_the_login_is_no_update() -> None:
    machine = begun()
    assert asked(machine, b"QUIT") == pop3.Quit()
    before = machine.state
    machine.accept()
    assert (before, machine.state) == (State.AUTHORIZATION, State.CLOSED)


def test_P22_an_update_that_failed_ends_the_session_too() -> None:
    machine = logged_in()
    asked(machine, b"QUIT\r\nRSET")
    before = machine.state
    machine.send(pop3.Err("some were not removed"))
    assert (before, machine.state) == (State.UPDATE, State.CLOSED)
    assert machine.next_event() == ConnectionClosed()


@pytest.mark.parametrize("first", [b"text", b"text\r", b"text\r\n", b""])
def test_P03_each_message_begins_a_line(first: bytes) -> None:
    """However the one before it has ended."""
    machine = logged_in()
    for content in (first, b".\r\nmore\r\n"):
        asked(machine, b"RETR 1")
        machine.send(pop3.Ok())
        machine.send(pop3.Body(content))
        machine.send(pop3.EndOfMessage())
    assert machine.data_to_send().endswith(b"\r\n.\r\n+OK\r\n..\r\nmore\r\n.\r\n")


def test_P26_a_cancel_is_never_a_login() -> None:
    machine = begun()
    asked(machine, b"AUTH PLAIN")
    machine.send(pop3.Challenge(b""))
    assert asked(machine, b"*") == pop3.AuthCancel()
    for answer in (pop3.Ok(), pop3.Challenge(b"")):
        with pytest.raises(LocalProtocolError, match="AUTHCANCEL is answered with Err, not"):
            machine.send(answer)
    machine.send(pop3.Err("cancelled"))
    assert machine.state is State.AUTHORIZATION


@pytest.mark.parametrize(
    "line",
    [b"USER alice", b"PASS x", b"APOP alice " + b"0" * 32, b"AUTH PLAIN", b"AUTH PLAIN AA=="],
)
def test_P06_every_login_waits_for_tls(line: bytes) -> None:
    offer = pop3.Offer(mechanisms=("PLAIN",), stls=True, timestamp="<1.2@example.com>")
    machine = pop3.Server(offer=offer)
    machine.accept()
    event = asked(machine, line)
    assert isinstance(event, pop3.Invalid)
    assert event.reply.text == "TLS is needed first: give STLS"
    under_tls = pop3.Server(offer=offer, tls=True)
    under_tls.accept()
    answer = asked(under_tls, line)
    assert isinstance(answer, pop3.Invalid) is (line == b"PASS x")


def test_rfc2449_what_holds_per_user_is_told_before_the_login_only() -> None:
    """Section 6.5 and 6.7: afterwards it is known."""
    offer = pop3.Offer(
        insecure_auth=True,
        login_delay=pop3.LoginDelay(60, per_user=True),
        expire=pop3.Expire(30, per_user=True),
    )
    machine = pop3.Server(offer=offer)
    machine.accept()
    before = machine.capabilities
    for line in (b"USER alice", b"PASS secret"):
        asked(machine, line)
        machine.send(pop3.Ok())
    after = machine.capabilities
    assert (before.login_delay, before.expire) == (offer.login_delay, offer.expire)
    assert (after.login_delay, after.expire) == (pop3.LoginDelay(60), pop3.Expire(30))
