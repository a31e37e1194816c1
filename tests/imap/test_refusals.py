"""What machines, serializers and values of IMAP refuse, each with what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailproto import imap
from mailproto.errors import LocalProtocolError
from mailproto.imap.sequence_set import parse_sequence_set
from mailproto.imap.serialize.commands import serialize_command
from mailproto.imap.serialize.responses import serialize

WRONG: Any = "no value of IMAP"


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (lambda: imap.Client(tls=True).send(WRONG), "not a command: STR"),
        (lambda: serialize_command(WRONG), "not a command: str"),
        (lambda: serialize_command(imap.Search(WRONG)), "not a search key"),
        (lambda: serialize(WRONG), "not a response: str"),
        (
            lambda: serialize(imap.Condition(imap.OK, "x", imap.NumberCode("FROB", 1))),
            "not a code with a number: 'FROB'",
        ),
        (lambda: serialize(imap.Completion("a", imap.BYE, "x")), "OK, NO or BAD, not"),
    ],
)
def test_what_is_none_of_its_kind(use: Callable[[], object], problem: str) -> None:
    with pytest.raises(LocalProtocolError, match=problem):
        use()


def test_a_continuation_without_a_text() -> None:
    assert serialize(imap.Continuation("")) == [b"+ \r\n"]


def test_status_items_by_name() -> None:
    data = imap.StatusData("INBOX", ((imap.StatusItem.MESSAGES, 3),))
    assert data[imap.StatusItem.MESSAGES] == 3
    with pytest.raises(KeyError):
        data[imap.StatusItem.UNSEEN]


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (lambda: imap.SequenceSet.of([]), "names at least one message"),
        (lambda: imap.Store("1,x", imap.StoreAction.ADD, r"\Seen"), "not a sequence set: '1,x'"),
    ],
)
def test_P17_sets_that_are_none(use: Callable[[], object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        use()


@pytest.mark.parametrize("text", [b"4294967296,*", b"*:4294967296", b"9999999999:*", b"0,*"])
def test_P17_numbers_beyond_their_bounds_beside_a_star(text: bytes) -> None:
    assert parse_sequence_set(text) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"AUTHENTICATE PLAIN =A", "an initial response in base64"),
        (b"AUTHENTICATE PLAIN QQ", "an initial response in base64"),
        (b'ID ("a" "b"' + b' "c" NIL' * 40 + b")", "at most 30 fields"),
    ],
)
def test_P17_arguments_that_are_none(line: bytes, problem: str) -> None:
    server = imap.Server(tls=True, offer=imap.Offer(mechanisms=("PLAIN",)))
    server.accept()
    server.receive_data(b"a " + line + b"\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert problem in event.problem


def test_an_initial_response_is_refused_without_SASL_IR() -> None:
    offer = imap.Offer(mechanisms=("PLAIN",), extensions=())
    server = imap.Server(tls=True, offer=offer)
    server.accept()
    server.receive_data(b"a AUTHENTICATE PLAIN QQ==\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert event.problem == "AUTHENTICATE takes no initial response here"


def test_P05_nothing_is_said_between_STARTTLS_and_the_handshake() -> None:
    server = imap.Server(offer=imap.Offer(starttls=True))
    server.accept()
    server.receive_data(b"a STARTTLS\r\n")
    server.next_event()
    server.accept()
    with pytest.raises(LocalProtocolError, match="nothing may follow here"):
        server.send(imap.Condition(imap.OK, "x"))
