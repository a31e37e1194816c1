"""Reading mail with both facades over IMAP, from our own servers and from scripted ones."""

from __future__ import annotations

import datetime
import threading

import pytest

from facades.world import PASSWORD, Conversation, Facade, World, scripted
from mailproto import imap, sasl
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    SecurityError,
)
from mailproto.flows.effects import Wakeup

ONE = b"From: alice@localhost\r\nSubject: one\r\n\r\nfirst\r\n"
TWO = b"From: bob@localhost\r\nSubject: two\r\n\r\nsecond\r\n"
UID_ATTRIBUTES = [imap.FetchAtt.UID, imap.FetchAtt.FLAGS]


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_a_message_is_fetched_in_every_tls_mode(world: World, tls: str) -> None:
    world.deliver(ONE, TWO)
    with world.connect("imap", tls) as client:
        assert client.session.machine.tls is (tls != "none")
        assert client.select("INBOX").exists == 2
        found = client.fetch("1:*", [imap.FetchAtt.RFC822_SIZE, imap.BodySection(peek=True)])
        assert [data.sections[0].data for data in found] == [ONE, TWO]
    assert client.closed


@pytest.mark.parametrize(
    "credentials", [sasl.PasswordCredentials("alice", PASSWORD), ("alice@localhost", PASSWORD)]
)
def test_who_can_log_in(world: World, credentials: object) -> None:
    with world.connect("imap", login=credentials) as client:
        assert client.session.machine.state is imap.State.AUTHENTICATED


def test_a_wrong_password(world: World) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        world.connect("imap", "implicit", login=("alice", "looking-glass"))
    assert caught.value.code == "AUTHENTICATIONFAILED"
    assert "looking-glass" not in str(caught.value)


def test_append_copy_move_store_expunge(world: World) -> None:
    date = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
    with world.connect("imap") as client:
        client.create("Archive")
        first = client.append("INBOX", ONE, flags=[r"\Seen"], internal_date=date)
        second = client.append("INBOX", iter([TWO[:5], TWO[5:]]), size=len(TWO))
        client.select("INBOX")
        assert client.search(imap.SearchFlag.ALL, uid=True) == (1, 2)
        assert (str(first.uids), str(second.uids)) == ("1", "2")
        (data,) = client.fetch(1, [imap.FetchAtt.INTERNALDATE, imap.FetchAtt.FLAGS])
        assert data.internal_date == date
        assert r"\Seen" in data.flags
        copied = client.copy(1, "Archive")
        assert str(copied.source) == str(first.uids)
        client.move(second.uids, "Archive", uid=True)
        assert client.mailbox.exists == 1
        client.store(1, imap.StoreAction.ADD, [r"\Deleted"], silent=True)
        assert client.expunge() == (1,)
        assert client.mailbox.exists == 0
        assert client.status("Archive")[imap.StatusItem.MESSAGES] == 2
    assert world.contents(mailbox="Archive") == [ONE, TWO]
    assert world.contents() == []


def test_mailboxes(world: World) -> None:
    with world.connect("imap") as client:
        client.create("Lists/Übung & Co")
        client.subscribe("Lists/Übung & Co")
        (found,) = client.lsub()
        client.rename(found.mailbox, "Lists/new")
        assert {str(entry.mailbox) for entry in client.list("", "Lists/%")} == {"Lists/new"}
        client.unsubscribe(found.mailbox)
        assert client.lsub() == ()
        client.delete("Lists/new")
        with pytest.raises(CommandFailed) as caught:
            client.select("Lists/new")
        assert caught.value.code in {"NONEXISTENT", "TRYCREATE", None}
        assert client.mailbox is None
        assert client.select("INBOX", read_only=True).read_only
        client.unselect()
        client.select("INBOX")
        client.check()
        client.close_mailbox()
        assert client.mailbox is None
        assert client.namespace().personal
        assert client.id([("name", "test")])["name"] == "mailproto"
        assert "IDLE" in client.capabilities()
        assert client.noop() == ()


def test_two_sessions_stay_in_step(world: World) -> None:
    world.deliver(ONE, TWO)
    with world.connect("imap") as one, world.connect("imap") as two:
        one.create("Archive")
        one.select("INBOX")
        two.select("INBOX")
        one.store(1, imap.StoreAction.ADD, [r"\Flagged"])
        (seen,) = [e for e in two.noop() if isinstance(e, imap.FetchData)]
        assert r"\Flagged" in (seen.flags or ())
        one.move(1, "Archive")
        assert [e for e in two.noop() if isinstance(e, imap.ExpungeData)]
        assert two.mailbox.exists == 1
        world.deliver(ONE)
        two.noop()
        assert two.mailbox.exists == 2


def test_idle_hears_of_the_other_session(world: World) -> None:
    heard: list[object] = []
    stop = Wakeup()
    idling = threading.Event()

    def on_event(event: object) -> None:
        heard.append(event)
        if isinstance(event, imap.ExistsData):
            stop.set()

    with world.connect("imap") as client:
        client.select("INBOX")
        client.noop()
        waiting = threading.Thread(target=lambda: client.idle(on_event, stop=stop, seconds=15))
        waiting.start()
        while b"IDLE" not in b" ".join(world.said("C")):
            idling.wait(0.01)
        world.deliver(ONE)
        waiting.join(15)
        assert not waiting.is_alive()
        assert client.mailbox.exists == 1
        assert imap.ExistsData(1) in heard
        client.noop()


def test_idle_ends_after_its_seconds(world: World) -> None:
    with world.connect("imap") as client:
        client.idle(lambda event: None, seconds=0.05)
        assert client.noop() is not None


def test_a_large_literal_is_handed_over_in_pieces(world: World) -> None:
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 100_000
    world.deliver(large)
    pieces: list[bytes] = []
    with world.connect("imap") as client:
        client.select("INBOX")
        (data,) = client.fetch(
            1, imap.BodySection(peek=True), on_chunk=lambda start, piece: pieces.append(piece)
        )
        assert isinstance(data.sections[0].data, imap.Streamed)
        assert b"".join(pieces) == large
        (data,) = client.fetch(1, imap.BodySection(peek=True))
        assert data.sections[0].data == large


def test_an_exception_while_a_literal_comes_ends_the_connection(world: World) -> None:
    world.deliver(b"Subject: large\r\n\r\n" + b"x" * 3_000_000 + b"\r\n")

    def refuse(start: object, piece: bytes) -> None:
        raise ZeroDivisionError

    client = world.connect("imap")
    client.select("INBOX")
    with pytest.raises(ZeroDivisionError):
        client.fetch(1, imap.BodySection(peek=True), on_chunk=refuse)
    assert client.closed


@pytest.mark.parametrize("pieces", [[ONE[:-1]], [ONE, b"more"]])
def test_P21_pieces_of_another_size_add_nothing(world: World, pieces: list[bytes]) -> None:
    client = world.connect("imap")
    with pytest.raises(LocalProtocolError):
        client.append("INBOX", pieces, size=len(ONE))
    assert client.closed
    assert world.contents() == []


def test_what_cannot_be_sent_leaves_everything_as_it_was(world: World) -> None:
    with world.connect("imap") as client:
        client.select("INBOX")
        said = len(world.said("C"))
        with pytest.raises(LocalProtocolError):
            client.select(b"nul\0")
        with pytest.raises(ValueError, match="sequence set"):
            client.fetch("", imap.FetchAtt.UID)
        with pytest.raises(LocalProtocolError):
            client.append("INBOX", iter([ONE]))
        assert client.mailbox is not None
        assert len(world.said("C")) == said
        client.check()


def test_a_refusal_leaves_the_session_usable(world: World) -> None:
    with world.connect("imap") as client:
        with pytest.raises(CommandFailed, match="CREATE"):
            client.create("INBOX")
        client.create("other")


def test_an_exception_in_the_block_says_nothing_to_the_server(world: World) -> None:
    with pytest.raises(ZeroDivisionError), world.connect("imap") as client:
        raise ZeroDivisionError
    assert client.closed
    assert not any(b"LOGOUT" in line for line in world.said("C"))


def test_leaving_the_block_says_logout(world: World) -> None:
    with world.connect("imap"):
        pass
    assert world.said("C")[-1].endswith(b"LOGOUT")


GREETING = b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n"


@pytest.mark.parametrize(
    "answer",
    [b"", b"* 1 EXI", b"* 1 FETCH (BODY[] {10}\r\n12345", b"* BYE too tired\r\n", b"a1 O"],
)
def test_P21_a_server_that_closes_midway_is_ConnectionLost(facade: Facade, answer: bytes) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(GREETING)
        conversation.line()
        conversation.say(answer)

    with scripted(talk) as (port, _):
        client = facade.connect("imap", port, tls="none")
        with pytest.raises(ConnectionLost):
            client.noop()
        assert client.closed
        with pytest.raises(ConnectionLost):
            client.noop()


def test_P24_a_server_that_is_silent_runs_into_the_timeout(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(GREETING)
        conversation.rest()

    with scripted(talk) as (port, _):
        client = facade.connect("imap", port, tls="none", timeout=0.2)
        with pytest.raises(
            DeadlineExceeded, match=r"the completion of A1 NOOP has not come in 0\.2 seconds"
        ):
            client.noop()
        assert client.closed
        client.close()


def test_a_greeting_that_refuses(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"* BYE [UNAVAILABLE] come back later\r\n")
        conversation.rest()

    with scripted(talk) as (port, _), pytest.raises(CommandFailed, match="come back"):
        facade.connect("imap", port, tls="none")


def test_P06_no_password_in_clear_unless_named(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] ready\r\n")
        conversation.rest()

    way_out = "LOGIN would tell the password without TLS, only allow_insecure_auth=True"
    with scripted(talk) as (port, conversations), pytest.raises(SecurityError, match=way_out):
        facade.connect("imap", port, tls="none", login=("alice", PASSWORD))
    assert conversations[0].received == b""


def test_P27_a_completion_that_came_before_its_command_is_none(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(GREETING)
        tag = conversation.tag()
        successor = tag[:1] + b"%d" % (int(tag[1:]) + 1)
        conversation.say(tag + b" OK done\r\n" + successor + b" OK done\r\n")
        conversation.rest()

    with scripted(talk) as (port, conversations):
        client = facade.connect("imap", port, tls="none")
        client.noop()
        with pytest.raises(RemoteProtocolError):
            client.create("INBOX.secret")
        assert client.closed
    assert b"secret" not in conversations[0].received
