"""XCLIENT and XFORWARD (Postfix's XCLIENT_README and XFORWARD_README)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.parse import parse_command
from mailproto.smtp.serialize import serialize_command
from mailproto.smtp.states import State


def accept(machine: smtp.Server, event: object) -> None:
    if not isinstance(event, smtp.Body):
        machine.accept()


def server(**options: object) -> smtp.Server:
    machine = smtp.Server("mx.example", **options)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    return machine


def code(machine: smtp.Server, line: bytes) -> int:
    machine.data_to_send()
    machine.receive_data(line + b"\r\n")
    machine.next_event()
    machine.accept()
    return int(machine.data_to_send()[:3])


@pytest.mark.parametrize("line", [b"XCLIENT NAME=a", b"XFORWARD NAME=a"])
def test_P30_who_is_not_trusted_is_refused(line: bytes) -> None:
    machine = server()
    code(machine, b"EHLO a")
    assert "XCLIENT" not in machine.capabilities
    assert code(machine, line) == 550
    assert machine.state is State.READY


@pytest.mark.parametrize("line", [b"XCLIENT NAME=a", b"XFORWARD NAME=a"])
def test_only_between_transactions_and_not_after_HELO(line: bytes) -> None:
    machine = server(offer=smtp.Offer(forwarding=True))
    code(machine, b"HELO a")
    assert code(machine, line) == 503
    code(machine, b"EHLO a")
    code(machine, b"MAIL FROM:<>")
    assert code(machine, line) == 503


def test_XCLIENT_may_follow_XCLIENT_as_at_Postfix() -> None:
    machine = server(offer=smtp.Offer(forwarding=True))
    assert code(machine, b"XFORWARD NAME=a") == 503
    assert code(machine, b"XCLIENT NAME=a") == 220
    assert code(machine, b"XCLIENT ADDR=192.0.2.1") == 220
    assert machine.state is State.START
    assert code(machine, b"MAIL FROM:<>") == 503


def test_P14_XCLIENT_resets_the_session() -> None:
    machine = server(offer=smtp.Offer(forwarding=True, mechanisms=("PLAIN",), insecure_auth=True))
    code(machine, b"EHLO a")
    machine.receive_data(b"AUTH PLAIN AGEAYg==\r\n")
    machine.next_event()
    machine.send(smtp.Reply(235, "ok"))
    assert machine.authenticated
    assert code(machine, b"XCLIENT ADDR=192.0.2.1 LOGIN=[UNAVAILABLE]") == 220
    assert not machine.authenticated
    assert machine.state is State.START
    assert code(machine, b"MAIL FROM:<>") == 503
    code(machine, b"EHLO b")
    assert code(machine, b"XCLIENT LOGIN=alice") == 220
    assert machine.authenticated


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        (b"FOO", smtp.SMTPServerLimits(errors=3)),
        (b"NOOP", smtp.SMTPServerLimits(idle_commands=6)),
        (b"AUTH PLAIN AGEAYg==", smtp.SMTPServerLimits(failed_authentications=3)),
    ],
)
def test_P08_what_counts_against_a_client_is_not_forgotten_for_another_name(
    line: bytes, limits: smtp.SMTPServerLimits
) -> None:
    offer = smtp.Offer(forwarding=True, mechanisms=("PLAIN",), insecure_auth=True)
    machine = server(offer=offer, limits=limits)
    for _ in range(6):
        for said in (b"EHLO a", line, b"XCLIENT NAME=a"):
            machine.receive_data(said + b"\r\n")
            if isinstance(machine.next_event(), smtp.Auth):
                machine.send(smtp.Reply(535, "no"))
            else:
                machine.accept()
            if machine.closing:
                return
    raise AssertionError("the client may go on for ever")


@pytest.mark.parametrize(
    "line",
    [b"XCLIENT", b"XCLIENT NAME", b"XCLIENT NAME=", b"XCLIENT NAME=a NAME=b", b"XCLIENT IDENT=a",
     b"XCLIENT NAME=a+2", b"XCLIENT NAME=a+0D+0ARSET", b"XFORWARD LOGIN=a", b"XFORWARD"],
)  # fmt: skip
def test_P04_malformed_attributes(line: bytes) -> None:
    machine = server(offer=smtp.Offer(forwarding=True))
    code(machine, b"EHLO a")
    assert code(machine, line) == 501


@given(
    st.sampled_from([smtp.XClient, smtp.XForward]),
    st.dictionaries(
        st.sampled_from(["NAME", "ADDR", "HELO", "LOGIN", "IDENT"]), st.text(max_size=8)
    ),
)
def test_P04_P18_attributes_round_trip_or_are_refused(
    kind: type[smtp.XClient | smtp.XForward], attributes: dict[str, str]
) -> None:
    command = kind(tuple(attributes.items()))
    try:
        wire = serialize_command(command)
    except LocalProtocolError:
        return
    assert parse_command(wire[:-2]) == command


def client(offer: str) -> smtp.Client:
    machine = smtp.Client()
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    machine.send(smtp.Ehlo("a"))
    machine.receive_data(f"250-mx\r\n250 {offer}\r\n".encode())
    machine.next_event()
    machine.data_to_send()
    return machine


def test_a_client_says_what_was_offered_and_begins_anew() -> None:
    command = smtp.XClient((("NAME", "b c"), ("ADDR", "192.0.2.1")))
    for offer in ("X", "XCLIENT NAME"):
        with pytest.raises(LocalProtocolError, match="XCLIENT"):
            client(offer).send(command)
    machine = client("XCLIENT NAME ADDR")
    machine.send(command)
    assert machine.data_to_send() == b"XCLIENT NAME=b+20c ADDR=192.0.2.1\r\n"
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    assert (machine.state, machine.capabilities) == (State.START, None)
    machine.send(smtp.Ehlo("b"))
