"""What errors of POP3 say: whoever reads one knows what was wrong, where, and what would help."""

from __future__ import annotations

import re

import pytest

from mailproto import pop3
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.pop3 import NEED_DATA, Quirk


def told(*said: tuple[pop3.ClientItem | None, bytes]) -> pop3.Client:
    """A client that has said and heard this."""
    client = pop3.Client()
    for item, answer in said:
        if item is not None:
            client.send(item)
        client.receive_data(answer)
        client.next_event()
    return client


GREETING = (None, b"+OK\r\n")
USER = (pop3.User("alice"), b"+OK\r\n")


@pytest.mark.parametrize(
    ("client", "waiting"),
    [
        (told((None, b"+OK ready\n")), r"the greeting (so far b'+OK ready\n', without CRLF)"),
        (
            told(GREETING, (pop3.Capa(), b"+OK\nUSER\n.\n")),
            r"the answer to CAPA (so far b'+OK\nUSER\n.\n', without CRLF)",
        ),
        (
            told(GREETING, (pop3.Capa(), b"+OK\r\nUSER\n.\n")),
            r"the rest of the answer to CAPA (so far b'USER\n.\n', without CRLF)",
        ),
        (
            told(GREETING, (pop3.Capa(), b"+OK\r\n" + b"x" * 100)),
            f"the rest of the answer to CAPA (so far b'{'x' * 64}', without CRLF)",
        ),
        # Half a line may end in half a password.
        (
            told(GREETING, USER, (pop3.Pass("secret"), b"-ERR not sec")),
            "the answer to PASS (so far 12 octets, without CRLF)",
        ),
    ],
)
def test_P24_P25_a_line_that_does_not_end_is_told(client: pop3.Client, waiting: str) -> None:
    """A server that ends lines in LF alone makes its client wait, and then this is said."""
    assert client.next_event() is NEED_DATA
    assert client.waiting_for == waiting
    client.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match=re.escape(waiting)):
        client.next_event()


def test_P16_a_password_is_in_no_answer_until_the_login_is_over() -> None:
    """Not in the answer to the next attempt either; what comes later is no quote of it."""
    client = told(GREETING, USER, (pop3.Pass("horseshoe"), b"-ERR horseshoe\r\n"))
    said: list[tuple[pop3.Command, bytes, str]] = [
        (pop3.User("alice"), b"-ERR after horseshoe", "-ERR after <hidden>"),
        (pop3.User("alice"), b"+OK", "+OK"),
        (pop3.Pass("horseshoe"), b"+OK a horseshoe", "+OK a <hidden>"),
        (pop3.Dele(1), b"-ERR no horseshoe", "-ERR no horseshoe"),
    ]
    for command, answer, shown in said:
        client.send(command)
        client.receive_data(answer + b"\r\n")
        event = client.next_event()
        assert isinstance(event, pop3.Ok | pop3.Err)
        assert event.text == shown[4:].strip()


def test_P05_utf8_that_was_sent_already_forbids_stls() -> None:
    """RFC 6856 section 2.1, also before it is answered."""
    client = told(GREETING, (pop3.Capa(), b"+OK\r\nPIPELINING\r\nUTF8\r\nSTLS\r\n.\r\n"))
    client.send(pop3.Utf8())
    with pytest.raises(LocalProtocolError, match="it must not follow UTF8"):
        client.send(pop3.Stls())
    client.receive_data(b"-ERR\r\n")
    client.next_event()
    client.send(pop3.Stls())
    with pytest.raises(LocalProtocolError, match="STLS has not been answered"):
        client.send(pop3.Capa())


def test_nothing_is_said_of_a_line_that_has_not_begun_or_is_of_a_message() -> None:
    client = told(GREETING, USER, (pop3.Pass("secret"), b"+OK\r\n"), (pop3.Retr(1), b"+OK\r\ntext"))
    assert client.waiting_for == "the rest of the answer to RETR"
    client = told(GREETING)
    client.send(pop3.Capa())
    assert client.waiting_for == "the answer to CAPA"


def test_P05_plaintext_behind_stls_is_named_by_its_command() -> None:
    client = told(GREETING, (pop3.Stls(), b"+OK\r\n+OK injected\r\n"))
    server = pop3.Server(offer=pop3.Offer(stls=True))
    server.accept()
    server.receive_data(b"STLS\r\nUSER alice\r\n")
    server.next_event()
    server.accept()
    for machine in (client, server):
        with pytest.raises(RemoteProtocolError, match="plaintext was received after STLS, before"):
            machine.next_event()
    with pytest.raises(LocalProtocolError, match="without an accepted STLS"):
        told(GREETING).start_tls()


def test_P20_a_unique_id_that_is_missing_is_empty_and_a_quirk() -> None:
    login = (GREETING, USER, (pop3.Pass("secret"), b"+OK\r\n"))
    for line in (b"2", b"2 ", b"2\t"):
        client = told(*login, (pop3.Uidl(), b"+OK\r\n1 a\r\n" + line + b"\r\n3 c\r\n.\r\n"))
        found: dict[int, str] = {}
        while isinstance(event := client.next_event(), pop3.UniqueIdListings):
            found.update(event.entries)
        assert event == pop3.EndOfListing()
        assert found == {1: "a", 2: "", 3: "c"}
        assert client.quirks == {Quirk.UNIQUE_ID}
    client = told(*login)
    client.send(pop3.Uidl(2))
    client.receive_data(b"+OK 2\r\n")
    assert client.next_event() == pop3.UniqueIdListing(2, "")


@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        (pop3.Stat(), b"you have mail", "not two numbers"),
        (pop3.Stat(), b"", "not two numbers"),
        (pop3.List(1), b"1", "not two numbers"),
        (pop3.Uidl(1), b"", "not a message number and a unique-id"),
        (pop3.Uidl(1), b"a", "not a message number and a unique-id"),
        (pop3.Uidl(1), b"0", "not a message number and a unique-id"),
    ],
)
def test_P12_an_answer_without_what_it_has_to_tell_ends_nothing(
    command: pop3.Command, answer: bytes, reason: str
) -> None:
    client = told(GREETING, USER, (pop3.Pass("secret"), b"+OK\r\n"))
    client.send(command)
    client.receive_data(b"+OK " + answer + b"\r\n")
    assert client.next_event() == pop3.Unparsed(answer, reason)
    client.send(pop3.Stat())
    client.receive_data(b"+OK 2 320\r\n")
    assert client.next_event() == pop3.DropListing(2, 320)


@pytest.mark.parametrize(
    ("command", "begun", "rest"),
    [
        (pop3.Retr(1), b"+OK\r\nhalf", b" a line\r\n.\r\n"),
        (pop3.Retr(1), b"+OK\r\n", b"text\r\n.\r\n"),
        (pop3.Uidl(), b"+OK\r\n1 a\r\n2", b" b\r\n.\r\n"),
        (pop3.Capa(), b"+OK\r\nPIPE", b"LINING\r\n.\r\n"),
    ],
)
def test_P27_a_command_behind_half_an_answer_is_pipelined(
    command: pop3.Command, begun: bytes, rest: bytes
) -> None:
    """Which the server has to announce, and then what is still to come is no stray response."""
    login = (GREETING, USER, (pop3.Pass("secret"), b"+OK\r\n"))
    alone = told(*login, (command, begun))
    with pytest.raises(LocalProtocolError, match="has not announced PIPELINING"):
        alone.send(pop3.Noop())
    client = told(*login, (pop3.Capa(), b"+OK\r\nPIPELINING\r\n.\r\n"), (command, begun))
    client.send(pop3.Noop())
    client.receive_data(rest + b"+OK done\r\n")
    events: list[object] = []
    while (event := client.next_event()) is not NEED_DATA:
        events.append(event)
    assert events[-1] == pop3.Ok("done")
