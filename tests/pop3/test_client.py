"""What the client's machine makes of refusals, and of lines that are stuffed with dots."""

from __future__ import annotations

import pytest

from mailproto import pop3
from mailproto.errors import LocalProtocolError
from mailproto.pop3 import NEED_DATA, PAUSED, Quirk

Said = list[tuple[pop3.ClientItem | None, bytes]]
GREETING: Said = [(None, b"+OK\r\n")]
USER: Said = [*GREETING, (pop3.User("alice"), b"+OK\r\n")]
LOGIN: Said = [*USER, (pop3.Pass("secret"), b"+OK\r\n")]
PIPELINING: tuple[pop3.ClientItem, bytes] = (pop3.Capa(), b"+OK\r\nPIPELINING\r\n.\r\n")


def told(said: Said) -> tuple[pop3.Client, list[object]]:
    """A client that has said and heard this, and the last events."""
    client, events = pop3.Client(), list[object]()
    for item, answer in said:
        events.clear()
        if item is not None:
            client.send(item)
        client.receive_data(answer)
        while (event := client.next_event()) not in (NEED_DATA, PAUSED):
            events.append(event)
    return client, events


def test_pass_needs_a_user_that_was_accepted() -> None:
    client, _ = told([*GREETING, (pop3.User("mallory"), b"-ERR who?\r\n")])
    with pytest.raises(LocalProtocolError, match="it must follow USER"):
        client.send(pop3.Pass("secret"))
    client, _ = told([*USER, (pop3.Pass("wrong"), b"-ERR no\r\n")])
    with pytest.raises(LocalProtocolError, match="it must follow USER"):
        client.send(pop3.Pass("secret"))


def test_P14_nothing_follows_a_quit_that_was_sent_behind_a_login_which_fails() -> None:
    client, _ = told([*GREETING, PIPELINING, (pop3.User("alice"), b"+OK\r\n")])
    for command in (pop3.Pass("wrong"), pop3.Quit()):
        client.send(command)
    client.receive_data(b"-ERR no\r\n")
    assert client.next_event() == pop3.Err("no")
    with pytest.raises(LocalProtocolError, match="not allowed in the state CLOSED"):
        client.send(pop3.User("alice"))


@pytest.mark.parametrize(
    ("refusal", "missing"),
    [
        (b"-ERR unknown command\r\n", True),
        (b"-ERR [SYS/TEMP] later\r\n", False),
        (b"-ERR [SYS/PERM] never\r\n", False),
    ],
)
def test_P20_uidl_that_is_refused_with_a_code_is_there(refusal: bytes, missing: bool) -> None:
    client, _ = told([*LOGIN, (pop3.Uidl(), refusal)])
    assert client.quirks == ({Quirk.NO_UIDL} if missing else set())


@pytest.mark.parametrize(
    ("command", "line", "event"),
    [
        (pop3.Capa(), b"..X-DOT", pop3.Capabilities(other=(".X-DOT",))),
        (pop3.Capa(), b"...", pop3.Capabilities(other=("..",))),
        (pop3.Lang(), b".en English", pop3.Languages((pop3.Language("en", "English"),))),
        (pop3.Uidl(), b".1 a", {1: "a"}),
        (pop3.List(), b".1 2", {1: 2}),
    ],
)
def test_dots_at_the_beginning_of_a_line_are_undone(
    command: pop3.Command, line: bytes, event: object
) -> None:
    """RFC 1939 section 3 has it for every multi-line response."""
    _, events = told([*LOGIN, (command, b"+OK\r\n" + line + b"\r\n.\r\n")])
    found = next(each for each in events if not isinstance(each, pop3.Ok))
    if isinstance(found, pop3.ScanListings | pop3.UniqueIdListings):
        found = dict(found.entries)
    assert found == event


def test_P16_each_response_of_an_exchange_is_kept_out_of_the_next_answer() -> None:
    client, _ = told([*GREETING, (pop3.Auth("X-TWO"), b"+ \r\n")])
    for secret, answer in (
        (b"horseshoe", b"+ \r\n"),
        (b"turnstile", b"-ERR horseshoe, turnstile\r\n"),
    ):
        client.send(pop3.AuthResponse(secret))
        client.receive_data(answer)
        event = client.next_event()
    assert event == pop3.Err("<hidden>, <hidden>")
