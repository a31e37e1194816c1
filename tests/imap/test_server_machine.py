"""The server's machine: states, literals, limits, refusals, and what it refuses to send."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable

import pytest

from mailproto import imap
from mailproto._core.limits import IMAPServerLimits
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.imap import (
    BAD,
    BYE,
    NEED_DATA,
    NO,
    OK,
    PAUSED,
    PREAUTH,
    Completion,
    Condition,
    ConnectionClosed,
    State,
    Tagged,
)
from mailproto.imap.states import STATES_OF
from mailproto.testing.growth import assert_linear

OFFER = imap.Offer(insecure_auth=True, starttls=True, mechanisms=("PLAIN",))


def connected(**limits: int) -> imap.Server:
    server = imap.Server(offer=OFFER, limits=IMAPServerLimits(**limits))
    server.accept()
    server.data_to_send()
    return server


def authenticated(**limits: int) -> imap.Server:
    server = imap.Server(offer=OFFER, limits=IMAPServerLimits(**limits))
    server.send(Condition(PREAUTH, "welcome"))
    server.data_to_send()
    return server


def selected(**limits: int) -> imap.Server:
    server = authenticated(**limits)
    server.receive_data(b"s SELECT INBOX\r\n")
    server.next_event()
    server.send(Completion("s", OK, "selected"))
    server.data_to_send()
    return server


MAKERS: dict[State, Callable[[], imap.Server]] = {
    State.NOT_AUTHENTICATED: connected,
    State.AUTHENTICATED: authenticated,
    State.SELECTED: selected,
}

LINES: dict[type[imap.Command], bytes] = {
    imap.Capability: b"CAPABILITY",
    imap.Noop: b"NOOP",
    imap.Logout: b"LOGOUT",
    imap.Id: b"ID NIL",
    imap.StartTLS: b"STARTTLS",
    imap.Authenticate: b"AUTHENTICATE PLAIN",
    imap.Login: b"LOGIN a b",
    imap.Enable: b"ENABLE CONDSTORE",
    imap.Select: b"SELECT x",
    imap.Examine: b"EXAMINE x",
    imap.Create: b"CREATE x",
    imap.Delete: b"DELETE x",
    imap.Rename: b"RENAME x y",
    imap.Subscribe: b"SUBSCRIBE x",
    imap.Unsubscribe: b"UNSUBSCRIBE x",
    imap.List: b'LIST "" *',
    imap.Lsub: b'LSUB "" *',
    imap.Namespace: b"NAMESPACE",
    imap.Status: b"STATUS x (MESSAGES)",
    imap.Append: b"APPEND x {3}",
    imap.Idle: b"IDLE",
    imap.Check: b"CHECK",
    imap.Close: b"CLOSE",
    imap.Unselect: b"UNSELECT",
    imap.Expunge: b"EXPUNGE",
    imap.Search: b"SEARCH ALL",
    imap.Fetch: b"FETCH 1 FLAGS",
    imap.Store: b"STORE 1 FLAGS ()",
    imap.Copy: b"COPY 1 x",
    imap.Move: b"MOVE 1 x",
}


@pytest.mark.parametrize("state", MAKERS)
@pytest.mark.parametrize("kind", LINES)
def test_every_command_in_every_state(state: State, kind: type[imap.Command]) -> None:
    server = MAKERS[state]()
    server.receive_data(b"a " + LINES[kind] + b"\r\n")
    event = server.next_event()
    if state in STATES_OF[kind]:
        assert isinstance(event, Tagged)
        assert type(event.command) is kind
    else:
        assert isinstance(event, imap.InvalidCommand)
        assert event.tag == "a"
        assert event.state is BAD
        server.accept()
        assert server.data_to_send().startswith(b"a BAD ")
        assert server.state is state


def test_the_table_of_lines_is_complete() -> None:
    assert LINES.keys() == STATES_OF.keys()


# -------------------------------------------------------------------------------- state changes


@pytest.mark.parametrize(
    ("make", "line", "answer", "state"),
    [
        (connected, b"LOGIN a b", OK, State.AUTHENTICATED),
        (connected, b"LOGIN a b", NO, State.NOT_AUTHENTICATED),
        (connected, b"AUTHENTICATE PLAIN", OK, State.AUTHENTICATED),
        (connected, b"AUTHENTICATE PLAIN", BAD, State.NOT_AUTHENTICATED),
        (authenticated, b"SELECT x", OK, State.SELECTED),
        (authenticated, b"EXAMINE x", OK, State.SELECTED),
        (selected, b"SELECT x", NO, State.AUTHENTICATED),
        (selected, b"EXAMINE x", NO, State.AUTHENTICATED),
        (selected, b"CLOSE", OK, State.AUTHENTICATED),
        (selected, b"CLOSE", NO, State.SELECTED),
        (selected, b"UNSELECT", OK, State.AUTHENTICATED),
        (selected, b"NOOP", OK, State.SELECTED),
    ],
)
def test_P14_states_change_with_the_completion(
    make: Callable[[], imap.Server], line: bytes, answer: imap.ConditionState, state: State
) -> None:
    server = make()
    before = server.state
    server.receive_data(b"a " + line + b"\r\n")
    server.next_event()
    assert server.state is before
    server.send(Completion("a", answer, "done"))
    assert server.state is state


def test_logout_says_bye_first_and_nothing_is_interpreted_after() -> None:
    server = connected()
    server.receive_data(b"a LOGOUT\r\nb NOOP\r\n")
    assert server.next_event() == Tagged("a", imap.Logout())
    with pytest.raises(LocalProtocolError):
        server.send(Completion("a", OK, "bye"))
    server.accept()
    assert server.data_to_send() == b"* BYE logging out\r\na OK LOGOUT completed\r\n"
    assert server.state is State.LOGOUT
    assert server.next_event() is NEED_DATA
    server.receive_data(b"c NOOP\r\n")
    server.receive_data(b"")
    assert server.next_event() == ConnectionClosed()
    with pytest.raises(LocalProtocolError):
        server.send(Condition(OK, "still here"))


@pytest.mark.parametrize("greeting", [OK, PREAUTH, BYE])
def test_greetings(greeting: imap.ConditionState) -> None:
    server = imap.Server()
    assert server.next_event() is PAUSED
    with pytest.raises(LocalProtocolError):
        server.send(Condition(NO, "no greeting"))
    server.send(Condition(greeting, "hello"))
    states = {OK: State.NOT_AUTHENTICATED, PREAUTH: State.AUTHENTICATED, BYE: State.LOGOUT}
    assert server.state is states[greeting]


# ------------------------------------------------------------------------------------- ordering


def test_pipelined_commands_come_one_by_one() -> None:
    server = authenticated()
    server.receive_data(b"a SELECT x\r\nb FETCH 1 FLAGS\r\nc NOOP\r\n")
    assert isinstance(server.next_event(), Tagged)
    assert server.next_event() is PAUSED
    server.send(Completion("a", OK, "selected"))
    # FETCH is judged in the state that SELECT has led to.
    fetch = server.next_event()
    assert isinstance(fetch, Tagged)
    assert fetch.tag == "b"
    assert server.next_event() is PAUSED
    server.send(Completion("b", OK, "fetched"))
    assert server.next_event() == Tagged("c", imap.Noop())


def test_fetch_store_and_search_may_overlap() -> None:
    server = selected()
    server.receive_data(b"a FETCH 1 FLAGS\r\nb UID STORE 1 FLAGS ()\r\nc SEARCH ALL\r\nd NOOP\r\n")
    tags = [event.tag for _ in range(3) if isinstance(event := server.next_event(), Tagged)]
    assert tags == ["a", "b", "c"]
    assert server.next_event() is PAUSED
    for tag in ("b", "c", "a"):
        assert server.next_event() is PAUSED
        server.send(Completion(tag, OK, "done"))
    assert server.next_event() == Tagged("d", imap.Noop())


def test_expunge_is_refused_where_numbers_must_stay() -> None:
    server = selected()
    with pytest.raises(LocalProtocolError):
        server.send(imap.ExpungeData(1))
    server.receive_data(b"a FETCH 1 FLAGS\r\n")
    server.next_event()
    with pytest.raises(LocalProtocolError):
        server.send(imap.ExpungeData(1))
    server.send(Completion("a", OK, "done"))
    server.receive_data(b"b UID FETCH 1 FLAGS\r\n")
    server.next_event()
    server.send(imap.ExpungeData(1))


def test_mailbox_data_needs_a_mailbox() -> None:
    server = authenticated()
    with pytest.raises(LocalProtocolError):
        server.send(imap.ExistsData(1))
    server.receive_data(b"a SELECT x\r\n")
    server.next_event()
    server.send(imap.ExistsData(1))


def test_completions_belong_to_commands() -> None:
    server = selected()
    with pytest.raises(LocalProtocolError):
        server.send(Completion("a", OK, "done"))
    server.receive_data(b"a NOOP\r\n")
    server.next_event()
    with pytest.raises(LocalProtocolError):
        server.send(Completion("b", OK, "done"))
    with pytest.raises(LocalProtocolError):
        server.send(imap.Continuation("go on"))
    with pytest.raises(LocalProtocolError):
        server.send(imap.Challenge(b""))


# ------------------------------------------------------------------------------------- literals


def test_literals_within_the_limits_are_asked_for() -> None:
    server = connected()
    server.receive_data(b"a LOGIN {3}\r\n")
    assert server.next_event() is NEED_DATA
    assert server.data_to_send() == b"+ OK\r\n"
    server.receive_data(b"joe {0}\r\n")
    assert server.next_event() is NEED_DATA
    assert server.data_to_send() == b"+ OK\r\n"
    server.receive_data(b"\r\n")
    assert server.next_event() == Tagged("a", imap.Login(b"joe", b""))


def test_a_literal_holds_what_looks_like_protocol() -> None:
    server = connected()
    user = b"x\r\nb NOOP\r\nc {3}\r\n"
    server.receive_data(b"a LOGIN {%d+}\r\n%b pw\r\nd NOOP\r\n" % (len(user), user))
    assert server.next_event() == Tagged("a", imap.Login(user, b"pw"))
    server.accept()
    assert server.next_event() == Tagged("d", imap.Noop())


@pytest.mark.parametrize(
    "line",
    [
        b"a NOSUCH {5}",
        b"a SELECT {5}",
        b"{5}",
        b"a LOGIN {9000}",
        b"a LOGIN joe {18446744073709551616}",
        b"a LOGIN ~{5}",
    ],
)
def test_P12_a_refused_literal_is_not_asked_for(line: bytes) -> None:
    server = connected()
    server.receive_data(line + b"\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    server.accept()
    answer = server.data_to_send()
    assert answer.startswith(b"* BAD" if event.tag is None else b"a BAD")
    assert (b"TOOBIG" in answer) == (event.code == imap.TOOBIG)
    server.receive_data(b"b NOOP\r\n")
    assert server.next_event() == Tagged("b", imap.Noop())


def test_P12_a_refused_literal_that_does_not_wait_is_drained() -> None:
    server = connected()
    server.receive_data(b"a NOSUCH {8+}\r\nb NOOP\r\n {4+}\r\nxyz\n\r\nc NOOP\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert event.tag == "a"
    server.accept()
    assert server.next_event() == Tagged("c", imap.Noop())


def test_P13_a_literal_over_the_limit_that_does_not_wait_is_final() -> None:
    server = connected()
    server.receive_data(b"a LOGIN {9000+}\r\nb NOOP\r\n")
    with pytest.raises(RemoteProtocolError) as raised:
        server.next_event()
    hint = raised.value.hint
    assert isinstance(hint, Condition)
    server.send(hint)
    assert server.data_to_send() == b"* BYE [TOOBIG] the literal is too big\r\n"
    server.receive_data(b"c NOOP\r\n" * 2000)
    with pytest.raises(RemoteProtocolError):
        server.next_event()


def test_literals_of_one_command_share_a_limit() -> None:
    server = connected()
    server.receive_data(b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" {5000}\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert event.code == imap.TOOBIG


# --------------------------------------------------------------------------------------- APPEND


def test_append_is_decided_before_its_message() -> None:
    server = authenticated()
    server.receive_data(b'a APPEND x (\\Seen) " 1-Feb-1994 00:00:00 +0000" {5}\r\n')
    event = server.next_event()
    assert isinstance(event, Tagged)
    assert isinstance(event.command, imap.Append)
    assert event.command.message == imap.Streamed(5)
    assert event.command.flags == ("\\Seen",)
    assert server.next_event() is PAUSED
    assert server.data_to_send() == b""
    server.accept()
    assert server.data_to_send() == b"+ go on\r\n"
    server.receive_data(b"he")
    assert server.next_event() == imap.LiteralChunk(b"he")
    with pytest.raises(LocalProtocolError):
        server.send(Completion("a", OK, "too early"))
    server.receive_data(b"llo")
    assert server.next_event() == imap.LiteralChunk(b"llo")
    assert server.next_event() is NEED_DATA
    server.receive_data(b"\r\n")
    assert server.next_event() == imap.LiteralEnd()
    assert server.next_event() is PAUSED
    server.accept()
    assert server.data_to_send() == b"a OK APPEND completed\r\n"


def test_append_refused_is_never_read() -> None:
    server = authenticated()
    server.receive_data(b"a APPEND x {5}\r\n")
    server.next_event()
    server.send(Completion("a", NO, "no such mailbox", imap.TRYCREATE))
    server.receive_data(b"b NOOP\r\n")
    assert server.next_event() == Tagged("b", imap.Noop())


@pytest.mark.parametrize("received", [0, 3, 8])
def test_append_refused_is_drained_if_it_did_not_wait(received: int) -> None:
    server = authenticated()
    server.receive_data(b"a APPEND x {8+}\r\n" + b"b NOOP\r\n"[:received])
    server.next_event()
    if received:
        server.accept()
        server.next_event()
    server.send(Completion("a", NO, "no room"))
    assert server.data_to_send() == b"a NO no room\r\n"
    server.receive_data(b"b NOOP\r\n"[received:] + b"\r\nc NOOP\r\n")
    assert server.next_event() == Tagged("c", imap.Noop())


def test_append_names_its_mailbox_by_literal() -> None:
    server = authenticated()
    server.receive_data(b"a APPEND {1+}\r\nx (foo) {2+}\r\n")
    event = server.next_event()
    assert isinstance(event, Tagged)
    assert event.command == imap.Append("x", imap.Streamed(2), ("foo",))
    server.accept()
    assert server.data_to_send() == b""
    server.receive_data(b"yz\r\n")
    assert [server.next_event() for _ in range(2)] == [imap.LiteralChunk(b"yz"), imap.LiteralEnd()]


@pytest.mark.parametrize(
    "tail", [b" \r\n", b"b NOOP\r\n", b" {3+}\r\nxyz\r\n", b" (\\Seen) {3}\r\n"]
)
def test_P21_append_with_something_behind_its_message_is_not_carried_out(tail: bytes) -> None:
    server = authenticated()
    server.receive_data(b"a APPEND x {2+}\r\n")
    server.next_event()
    server.accept()
    server.receive_data(b"yz" + tail + b"c NOOP\r\n")
    assert server.next_event() == imap.LiteralChunk(b"yz")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert event.tag == "a"
    with pytest.raises(LocalProtocolError):
        server.send(Completion("a", OK, "done"))
    server.accept()
    assert server.next_event() == Tagged("c", imap.Noop())


def test_P21_a_truncated_append_never_ends() -> None:
    whole = b"a APPEND x {5+}\r\nhello\r\n"
    for size in range(1, len(whole)):
        server = authenticated()
        server.receive_data(whole[:size])
        server.receive_data(b"")
        events: list[object] = []
        with pytest.raises(RemoteProtocolError):
            while True:
                events.append(server.next_event())
                if events[-1] is PAUSED or isinstance(events[-1], Tagged):
                    server.accept()
        assert imap.LiteralEnd() not in events


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_append_over_the_limit_is_too_big(plus: bytes) -> None:
    server = authenticated(append=10)
    server.receive_data(b"a APPEND x {11" + plus + b"}\r\n")
    if plus:
        server.receive_data(b"01234567890\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    server.accept()
    assert server.data_to_send() == b"a BAD [TOOBIG] the literal is too big\r\n"
    server.receive_data(b"b NOOP\r\n")
    assert server.next_event() == Tagged("b", imap.Noop())


# --------------------------------------------------------------------------- AUTHENTICATE, IDLE


def test_responses_are_not_commands() -> None:
    server = connected()
    server.receive_data(b"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb NOOP\r\n")
    server.next_event()
    server.send(imap.Challenge(b""))
    with pytest.raises(LocalProtocolError):
        server.send(Completion("a", NO, "not now"))
    assert server.next_event() == imap.AuthenticateResponse(b"\0a\0b")
    assert server.next_event() is PAUSED
    server.send(Completion("a", OK, "yes"))
    assert server.next_event() == Tagged("b", imap.Noop())


@pytest.mark.parametrize("line", [b"AGEAYg=", b"AGE AYg==", b"b NOOP", b"AGEAYh==", b"=", b" "])
def test_P17_a_malformed_response_is_invalid(line: bytes) -> None:
    server = connected()
    server.receive_data(b"a AUTHENTICATE PLAIN\r\n" + line + b"\r\n")
    server.next_event()
    server.send(imap.Challenge(b""))
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert event.tag == "a"
    assert line.strip() not in event.octets or not line.strip()


def test_P26_cancel_and_the_limit_of_failures() -> None:
    server = connected()
    for count in range(3):
        server.receive_data(b"a AUTHENTICATE PLAIN\r\n*\r\n")
        server.next_event()
        server.send(imap.Challenge(b""))
        assert server.next_event() == imap.AuthenticateResponse(None)
        server.send(Completion("a", BAD, "cancelled"))
        assert server.failed_authentications == count + 1
    with pytest.raises(RemoteProtocolError):
        server.next_event()


def test_idle_ends_with_done_only() -> None:
    server = authenticated()
    server.receive_data(b"a IDLE\r\ndone\r\nb IDLE\r\nc NOOP\r\nd NOOP\r\n")
    assert server.next_event() == Tagged("a", imap.Idle())
    assert server.next_event() is PAUSED
    server.accept()
    assert server.data_to_send() == b"+ idling\r\n"
    assert server.next_event() == imap.Done()
    server.accept()
    assert server.data_to_send() == b"a OK IDLE completed\r\n"
    server.next_event()
    server.accept()
    event = server.next_event()
    assert event == imap.InvalidCommand("b", b"c NOOP", "expected DONE")
    server.accept()
    assert server.next_event() == Tagged("d", imap.Noop())


# -------------------------------------------------------------------------------- TLS, security


def test_P05_plaintext_behind_starttls_is_never_parsed() -> None:
    server = connected()
    server.receive_data(b"a STARTTLS\r\nb LOGIN x y\r\n")
    server.next_event()
    server.accept()
    assert server.awaiting_tls
    with pytest.raises(RemoteProtocolError):
        server.next_event()


def test_P05_an_upgraded_connection_is_a_fresh_one() -> None:
    server = connected()
    server.receive_data(b"x\r\nb LOGIN {3}\r\nxyz y\r\n")
    server.next_event()
    server.accept()
    server.next_event()
    server.send(Completion("b", NO, "no"))
    server.receive_data(b"a STARTTLS\r\n")
    server.next_event()
    server.accept()
    server.data_to_send()
    server.start_tls()
    fresh = imap.Server(offer=OFFER, tls=True)
    fresh.accept()
    fresh.data_to_send()
    slots = [name for kind in type(server).__mro__ for name in getattr(kind, "__slots__", ())]
    plain = {name for name in slots if isinstance(getattr(fresh, name), int | str | tuple | list)}
    assert plain >= {"_errors", "_failed_authentications", "_open"}
    assert {n: getattr(server, n) for n in plain} == {n: getattr(fresh, n) for n in plain}
    assert server.state is fresh.state
    assert "STARTTLS" not in server.capabilities


@pytest.mark.parametrize(
    "line", [b"LOGIN a b", b"LOGIN {1}", b"AUTHENTICATE PLAIN", b"AUTHENTICATE PLAIN AGEAYg=="]
)
def test_P06_no_credentials_without_tls(line: bytes) -> None:
    server = imap.Server(offer=imap.Offer(starttls=True, mechanisms=("PLAIN",)))
    server.accept()
    greeting = server.data_to_send()
    assert b"LOGINDISABLED" in greeting
    assert b"AUTH=" not in greeting
    server.receive_data(b"a " + line + b"\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    server.accept()
    answer = server.data_to_send()
    assert answer == b"a NO [PRIVACYREQUIRED] TLS is needed before credentials\r\n"


SECRETS = [
    b"a LOGIN joe canary-7\r\n",
    b'a LOGIN joe "canary-7"\r\n',
    b"a LOGIN joe {8+}\r\ncanary-7\r\n",
    b"a LOGIN {3+}\r\njoe canary-7\r\n",
    b"a LOGIN joe canary-7 x\r\n",
    b"LOGIN joe canary-7\r\n",
    b"a login (joe canary-7\r\n",
    b"a AUTHENTICATE PLAIN canary-7\r\n",
    b"a AUTHENTICATE PLAIN AGpvZQBjYW5hcnktNw==\r\n",
    b"a LOGIN joe canary-7" + b"x" * 9000,
]


@pytest.mark.parametrize("octets", SECRETS)
@pytest.mark.parametrize("offer", [OFFER, imap.Offer()])
def test_P16_secrets_stay_secret(octets: bytes, offer: imap.Offer) -> None:
    traced: list[object] = []
    server = imap.Server(offer=offer, trace=lambda side, line: traced.append((side, line)))
    server.accept()
    server.receive_data(octets)
    try:
        traced.append(server.next_event())
        server.accept()
    except RemoteProtocolError as error:
        traced += [str(error), repr(error), error.hint]
    traced.append(server.data_to_send())
    shown = repr(traced) + str([str(item) for item in traced])
    assert "canary-7" not in shown
    assert "AGpvZQBjYW5hcnktNw" not in shown


ENCODED = b"Y2FuYXJ5LVNlY3JldF83Nw=="


def shown_of(*lines: bytes) -> str:
    """What a server that offers SCRAM alone shows of a session: trace, events and answers."""
    shown: list[object] = []
    server = imap.Server(
        tls=True,
        offer=imap.Offer(mechanisms=("SCRAM-SHA-256",)),
        trace=lambda side, line: shown.append(line),
    )
    server.accept()
    for line in lines:
        server.receive_data(line + b"\r\n")
        try:
            shown.append(event := server.next_event())
            if isinstance(event, Tagged) and isinstance(event.command, imap.Authenticate):
                server.send(imap.Completion(event.tag, imap.NO, "not here"))
            else:
                server.accept()
        except RemoteProtocolError as error:
            shown += [str(error), error.hint]
        shown.append(server.data_to_send())
    return repr(shown)


@pytest.mark.parametrize(
    "lines",
    [
        (b"a AUTHENTICATE PLAIN", ENCODED),
        (b"a AUTHENTICATE LOGIN", b"YWxpY2U=", ENCODED),
        (b"a LOGIN alice {16", b"canary-Secret_77"),
        (b"a LOGIN alice {16}x", b"canary-Secret_77 and more"),
        (b"a AUTHENTICATE PLAIN", ENCODED * 1000),
    ],
)
def test_P16_responses_of_a_login_that_was_refused(lines: tuple[bytes, ...]) -> None:
    """The client goes on as if the server had asked for them."""
    shown = shown_of(*lines)
    for secret in (b"YWxpY2U=", ENCODED, b"Secret_77 and"):
        assert secret.decode() not in shown
    assert "<hidden>" in shown
    assert b"canary-Secret_77" not in lines or "canary" not in shown


def test_P12_P16_what_follows_the_next_command_is_shown_again() -> None:
    shown = shown_of(b"a AUTHENTICATE PLAIN", ENCODED, b"b NOOP", b"c FROB nicate")
    assert "* BAD a command begins with a tag" in shown
    assert "b OK" in shown
    assert "c FROB nicate" in shown
    assert "c BAD unknown command" in shown


# ------------------------------------------------------------------------------ lines and limits


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"\0"])
def test_P25_only_crlf_ends_a_line(octet: bytes) -> None:
    server = connected()
    server.receive_data(b"a NOOP" + octet + b"b NOOP\r\nc NOOP\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    server.accept()
    assert server.next_event() == Tagged("c", imap.Noop())


def test_P29_lines_of_the_required_size_are_taken() -> None:
    server = connected()
    name = b"x" * (8192 - len(b"a LOGIN  y\r\n"))
    server.receive_data(b"a LOGIN " + name + b" y\r\n")
    assert isinstance(server.next_event(), Tagged)
    server = selected()
    numbers = b",".join(b"%d" % number for number in range(1, 20000, 2))[:60000].rstrip(b",")
    server.receive_data(b"a UID FETCH " + numbers + b" FLAGS\r\n")
    assert isinstance(server.next_event(), Tagged)
    server = connected()
    server.receive_data(b"a AUTHENTICATE PLAIN\r\n" + b"QUFB" * 3000 + b"\r\n")
    server.next_event()
    server.send(imap.Challenge(b""))
    assert isinstance(server.next_event(), imap.AuthenticateResponse)


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_P13_a_line_over_the_limit_is_final(end: bytes) -> None:
    server = connected()
    server.receive_data(b"a LOGIN x " + b"y" * 8192 + end + b"b NOOP\r\n")
    with pytest.raises(RemoteProtocolError) as raised:
        server.next_event()
    assert isinstance(raised.value.hint, Condition)
    assert raised.value.hint.state is BYE
    server.receive_data(b"c NOOP\r\n")
    with pytest.raises(RemoteProtocolError):
        server.next_event()


def test_errors_in_a_row_end_the_connection() -> None:
    server = connected()
    for _ in range(2):
        for _ in range(19):
            server.receive_data(b"x\r\n")
            server.next_event()
            server.accept()
        server.receive_data(b"a NOOP\r\n")
        assert isinstance(server.next_event(), Tagged)
        server.accept()
    server.receive_data(b"x\r\n" * 20 + b"a NOOP\r\n")
    for _ in range(20):
        server.next_event()
        server.accept()
    with pytest.raises(RemoteProtocolError):
        server.next_event()


@pytest.mark.parametrize(
    "octets",
    [
        b"a LOGIN {8192+}\r\n" + b"x" * 8192,
        b"a LOGIN " + b"x" * 8000,
        b"a LOGIN " + b"(" * 100_000,
        b"a LOGIN {4000}\r\n" + b"x" * 4000 + b" {4000}\r\n" + b"y" * 4000,
        b"a SELECT {4000000}\r\n" * 2000,
        b"a NOSUCH {8192+}\r\n" + b"x" * 8192 + b" {8192+}\r\n" + b"y" * 8192,
        b"a APPEND x {999999999}\r\n" + b"x" * 1_000_000,
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1448])
def test_P08_memory_before_login_is_bounded(octets: bytes, size: int) -> None:
    server = connected()
    tracemalloc.start()
    peak = 0
    try:
        for start in range(0, min(len(octets), 60_000), size):
            server.receive_data(octets[start : start + size])
            event = server.next_event()
            while event is not NEED_DATA:
                server.accept()
                event = server.next_event()
            server.data_to_send()
            peak = max(peak, tracemalloc.get_traced_memory()[0])
    except RemoteProtocolError:
        pass
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


def test_P09_time_is_linear_octet_by_octet() -> None:
    def session(count: int) -> Callable[[], None]:
        server = authenticated()
        octets = b"a APPEND x {%d+}\r\n" % count + b"x" * count + b"\r\n"
        octets += b"b LOGIN " + b"x" * 1000 + b"\r\n"

        def feed() -> None:
            for start in range(len(octets)):
                server.receive_data(octets[start : start + 1])
                while (event := server.next_event()) is not NEED_DATA:
                    if isinstance(event, Tagged | imap.LiteralEnd | imap.InvalidCommand):
                        server.accept()

        return feed

    assert_linear(session, 10_000)


@pytest.mark.parametrize(
    "line",
    [
        b"SEARCH " + b"(" * 20_000,
        b"SEARCH " + b"NOT " * 15_000 + b"ALL",
        b"SEARCH " + b"OR ALL " * 9_000 + b"ALL",
        b"FETCH 1 " + b"(" * 20_000,
        b"STORE 1 FLAGS " + b"(" * 20_000,
        b"FETCH 1 BODY[" + b"1." * 20_000 + b"1]",
    ],
)
def test_P10_nesting_needs_no_recursion(line: bytes) -> None:
    server = selected()
    before = sys.getrecursionlimit()
    server.receive_data(b"a " + line + b"\r\n")
    sys.setrecursionlimit(200)
    try:
        event = server.next_event()
    finally:
        sys.setrecursionlimit(before)
    assert isinstance(event, imap.InvalidCommand | Tagged)


# ---------------------------------------------------------------------------------- bad commands


MALFORMED = [
    b"FETCH 0 FLAGS",
    b"FETCH -1 FLAGS",
    b"FETCH +1 FLAGS",
    b"FETCH 4294967296 FLAGS",
    b"FETCH 1_0 FLAGS",
    b"FETCH \xd9\xa1 FLAGS",
    b"FETCH 1: FLAGS",
    b"FETCH 1,, FLAGS",
    b"FETCH 1 ()",
    b"FETCH 1 FLAGS UID",
    b"FETCH 1 (FAST)",
    b"FETCH 1 (FLAGS ALL)",
    b"FETCH 1 FLAGSX",
    b"FETCH 1 BODY[",
    b"FETCH 1 BODY[0]",
    b"FETCH 1 BODY[1.]",
    b"FETCH 1 BODY[.HEADER]",
    b"FETCH 1 BODY[MIME]",
    b"FETCH 1 BODY[1HEADER]",
    b"FETCH 1 BODY[1.1.HEADERS]",
    b"FETCH 1 BODY[HEADER.FIELDS]",
    b"FETCH 1 BODY[HEADER.FIELDS ()]",
    b"FETCH 1 BODY[]<0>",
    b"FETCH 1 BODY[]<0.0>",
    b"FETCH 1 BODY[]<-1.5>",
    b"FETCH 1 BODY[]<99999999999999999999.1>",
    b"FETCH 1 BODY.PEEK",
    b"STORE 1 FLAGS",
    b"STORE 1 FLAGS (\\)",
    b"STORE 1 FLAGS (a  b)",
    b"STORE 1 FLAGS.QUIET (a)",
    b"STORE 1 FLAGS (\\*)",
    b"SEARCH",
    b"SEARCH NOSUCH",
    b"SEARCH ALL ",
    b"SEARCH ()",
    b"SEARCH (ALL",
    b"SEARCH OR ALL",
    b"SEARCH SINCE 31-Feb-1994",
    b"SEARCH SINCE 1-FOO-1994",
    b"SEARCH SINCE 001-Feb-1994",
    b'SEARCH SINCE "1-Feb-1994',
    b"SEARCH LARGER 99999999999999999999",
    b"SEARCH LARGER 1e3",
    b"SEARCH KEYWORD \\Seen",
    b"SEARCH HEADER x",
    b"SEARCH CHARSET UTF-8",
    b"SEARCH RETURN (NOSUCH) ALL",
    b"SELECT",
    b"SELECT  x",
    b"SELECT x y",
    b'SELECT ""',
    b"SELECT x%",
    b"STATUS x ()",
    b"STATUS x (NOSUCH)",
    b"STATUS x MESSAGES",
    b"NOOP ",
    b"NOOP x",
    b"UID NOOP",
    b"UID",
    b"ENABLE",
    b"ID",
    b"ID (x)",
    b'ID ("a" "b" "c")',
    b"APPEND x",
    b'APPEND x "1-Feb-1994 00:00:00 +0000" {3}',
    b"APPEND x (\\) {3}",
    b"APPEND x y {3}",
    b"COPY 1",
    b"RENAME x",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_P12_P17_a_malformed_command_is_invalid_and_the_next_one_is_read(line: bytes) -> None:
    server = selected()
    server.receive_data(b"a " + line + b"\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand), event
    assert event.octets == b"a " + line
    server.accept()
    assert server.data_to_send().startswith(b"a BAD ")
    server.receive_data(b"b NOOP\r\n")
    assert server.next_event() == Tagged("b", imap.Noop())


def test_commands_of_extensions_that_are_off_are_unknown() -> None:
    server = imap.Server(offer=imap.Offer(insecure_auth=True, extensions=()))
    server.send(Condition(PREAUTH, "hi"))
    server.receive_data(b"a IDLE\r\n")
    event = server.next_event()
    assert isinstance(event, imap.InvalidCommand)
    assert event.problem == "unknown command"
    assert "IDLE" not in server.capabilities


# ------------------------------------------------------------------------------ what may be sent


@pytest.mark.parametrize(
    "response",
    [
        Condition(OK, "x\r\n* BYE"),
        Condition(OK, "x\n"),
        Condition(OK, "x\0"),
        Condition(OK, ""),
        Condition(OK, "[ALERT] x"),
        Condition(OK, "[x\r\n* BYE", imap.ALERT),
        Condition(OK, "x {3}"),
        Condition(OK, "x", imap.Code("A] B")),
        Condition(OK, "x", imap.Code("A", b"b\r\nc")),
        Condition(OK, "x", imap.Code("A", b"b]")),
        Condition(OK, "x", imap.NumberCode("UIDNEXT", -1)),
        imap.ListData(("\\A B",), "/", "x"),
        imap.ListData((), "//", "x"),
        imap.ListData((), "\n", "x"),
        imap.ListData((), "/", b"a\0b"),
        imap.FlagsData(("a b",)),
        imap.CapabilityData(("A\r\nB",)),
        imap.CapabilityData(()),
        imap.ExistsData(-1),
        imap.SearchData((0,)),
        imap.SearchData((2**32,)),
        imap.FetchData(1),
        imap.FetchData(0, 1),
        imap.FetchData(1, flags=("a\r\n",)),
        imap.FetchData(1, envelope=imap.Envelope(b"a\0b")),
        imap.FetchData(1, others=(("X Y", 1),)),
        imap.FetchData(1, others=(("X", "a b"),)),
        imap.FetchData(1, sections=(imap.SectionData(imap.FetchAtt.UID, b""),)),
        imap.FetchData(1, body=imap.SinglePart(b"text", b"plain")),
        imap.FetchData(1, body=imap.MultiPart((), b"mixed")),
        imap.IdData(((b"a\0", b"b"),)),
    ],
)
def test_P15_what_would_escape_is_refused_and_nothing_changes(response: imap.Response) -> None:
    server = selected()
    with pytest.raises(LocalProtocolError):
        server.send(response)
    assert server.data_to_send() == b""
    server.receive_data(b"a NOOP\r\n")
    server.next_event()
    server.accept()
    assert server.data_to_send() == b"a OK NOOP completed\r\n"


def test_strings_that_need_it_become_literals() -> None:
    server = selected()
    server.send(imap.ListData((), "/", b'a"\r\n* BYE\r\n'))
    assert server.data_to_send() == b'* LIST () "/" {11}\r\na"\r\n* BYE\r\n\r\n'
    server.send(imap.FetchData(1, envelope=imap.Envelope(b"d", b'q"\\', in_reply_to=b"\xff")))
    assert server.data_to_send() == (
        b'* 1 FETCH (ENVELOPE ("d" "q\\"\\\\" NIL NIL NIL NIL NIL NIL {1}\r\n\xff NIL))\r\n'
    )


def test_streamed_literals_are_completed_before_anything_else() -> None:
    server = selected()
    server.receive_data(b"a FETCH 1 (BODY[1] BODY[2] BODY[3])\r\nb FETCH 2 FLAGS\r\n")
    server.next_event()
    parts = [imap.Section((number,)) for number in (1, 2, 3)]
    sizes = [5, 0, 2]
    streamed = [imap.Streamed(size) for size in sizes]
    sections = tuple(map(imap.SectionData, parts, streamed))
    server.send(imap.FetchData(1, sections=sections))
    assert server.data_to_send() == b"* 1 FETCH (BODY[1] {5}\r\n"
    assert server.next_event() is PAUSED
    for refused in (Completion("a", OK, "x"), imap.LiteralChunk(b"123456"), imap.ExistsData(1)):
        with pytest.raises(LocalProtocolError):
            server.send(refused)
    server.send(imap.LiteralChunk(b"1\r\n4"))
    server.send(imap.LiteralChunk(b"5"))
    assert server.data_to_send() == b"1\r\n45 BODY[2] {0}\r\n BODY[3] {2}\r\n"
    server.send(imap.LiteralChunk(b"ab"))
    assert server.data_to_send() == b"ab)\r\n"
    with pytest.raises(LocalProtocolError):
        server.send(imap.LiteralChunk(b"x"))
    server.accept()
    assert isinstance(server.next_event(), Tagged)


def test_trace_shows_lines_without_content() -> None:
    traced: list[tuple[str, bytes]] = []
    server = imap.Server(offer=OFFER, trace=lambda side, line: traced.append((side, line)))
    server.send(Condition(PREAUTH, "hi"))
    server.receive_data(b"a APPEND x {5+}\r\nhello\r\nb SELECT {1+}\r\ny\r\n")
    server.next_event()
    server.accept()
    while not isinstance(server.next_event(), imap.LiteralEnd):
        pass
    server.accept()
    server.next_event()
    server.send(Completion("b", OK, "ok"))
    server.send(imap.FetchData(1, sections=(imap.SectionData(imap.Section(), b"hello\r\n"),)))
    assert traced == [
        ("S", b"* PREAUTH hi"),
        ("C", b"a APPEND x {5+}"),
        ("S", b"a OK APPEND completed"),
        ("C", b"b SELECT {1+}"),
        ("S", b"b OK ok"),
        ("S", b"* 1 FETCH (BODY[] {7}<7 octets>)"),
    ]


def test_P24_timeouts_and_what_is_waited_for() -> None:
    server = imap.Server(offer=OFFER)
    assert server.waiting_for == "the greeting to be sent"
    server.accept()
    assert (server.timeout_hint, server.waiting_for) == (60.0, "a command")
    server.receive_data(b"a LOGIN a b\r\n")
    server.next_event()
    assert server.waiting_for == "the answer to a command"
    server.accept()
    assert server.timeout_hint == 1800.0
