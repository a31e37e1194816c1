"""Reading mail with both facades over POP3, from our own servers and from scripted ones."""

from __future__ import annotations

import pytest
from attrs import evolve

from facades.world import PASSWORD, Conversation, Facade, World, scripted
from mailproto import pop3, sasl
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    RemoteProtocolError,
    SecurityError,
)
from mailproto.flows.pop3_maildrop import Internationalized
from mailproto.flows.pop3_server import Options, Policy
from mailproto.flows.pop3_texts import Translation

ONE = b"Subject: one\r\n\r\n.first\r\n..\r\n"
TWO = b"Subject: two\r\n\r\nsecond\r\nthird\r\n"


@pytest.mark.parity("pop3-client STLS", "pop3-server STLS")
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_a_maildrop_in_every_tls_mode(world: World, tls: str) -> None:
    world.deliver(ONE, TWO)
    with world.connect("pop3", tls) as client:
        assert client.session.machine.tls is (tls != "none")
        assert client.list() == {1: len(ONE), 2: len(TWO)}
        assert [client.retrieve(number) for number in (1, 2)] == [ONE, TWO]
    assert client.closed
    assert world.contents() == [ONE, TWO]


@pytest.mark.parametrize(
    "credentials", [sasl.PasswordCredentials("alice", PASSWORD), ("alice@localhost", PASSWORD)]
)
def test_who_can_log_in(world: World, credentials: object) -> None:
    with world.connect("pop3", login=credentials) as client:
        assert client.stat() == pop3.DropListing(0, 0)


def test_a_wrong_password(world: World) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        world.connect("pop3", "implicit", login=("alice", "looking-glass"))
    assert "looking-glass" not in str(caught.value)


@pytest.mark.parity(
    "pop3-client STAT, LIST, RETR, DELE, NOOP, RSET and QUIT",
    "pop3-client TOP",
    "pop3-client UIDL",
)
def test_every_command(world: World) -> None:
    world.deliver(ONE, TWO)
    with world.connect("pop3") as client:
        assert client.capabilities().top
        assert client.stat() == pop3.DropListing(2, len(ONE) + len(TWO))
        assert client.list(2) == {2: len(TWO)}
        unique_ids = client.uidl()
        assert len(set(unique_ids.values())) == 2
        assert client.uidl(1) == {1: unique_ids[1]}
        assert client.top(2, 1) == b"Subject: two\r\n\r\nsecond\r\n"
        assert client.top(2) == b"Subject: two\r\n\r\n"
        pieces: list[bytes] = []
        assert client.retrieve_into(1, pieces.append) == len(ONE)
        assert b"".join(pieces) == ONE
        client.noop()
        assert isinstance(client.call(pop3.Noop()), pop3.Ok)
        with pytest.raises(CommandFailed, match="RETR"):
            client.retrieve(3)
        client.delete(1)
        client.reset()
        assert len(client.list()) == 2


def test_P22_leaving_the_block_removes_what_was_deleted(world: World) -> None:
    world.deliver(ONE, TWO)
    with world.connect("pop3") as client:
        client.delete(1)
        assert world.contents() == [ONE, TWO]
    assert world.contents() == [TWO]


def test_P22_quit_removes_what_was_deleted(world: World) -> None:
    world.deliver(ONE, TWO)
    client = world.connect("pop3")
    client.delete(2)
    client.quit()
    assert client.closed
    assert world.contents() == [ONE]


def test_P22_an_exception_in_the_block_removes_nothing(world: World) -> None:
    world.deliver(ONE, TWO)
    with pytest.raises(ZeroDivisionError), world.connect("pop3") as client:
        client.delete(1)
        raise ZeroDivisionError
    assert client.closed
    assert b"QUIT" not in world.said("C")
    world.close()
    assert world.contents() == [ONE, TWO]


def test_P22_close_removes_nothing(world: World) -> None:
    world.deliver(ONE, TWO)
    client = world.connect("pop3")
    client.delete(1)
    client.close()
    world.close()
    assert world.contents() == [ONE, TWO]


def test_a_maildrop_is_locked(world: World) -> None:
    with world.connect("pop3"):
        with pytest.raises(CommandFailed) as caught:
            world.connect("pop3")
        assert caught.value.code == "IN-USE"
        assert caught.value.temporary
        world.connect("pop3", user="bob").quit()


def test_an_exception_while_a_message_comes_ends_the_connection(world: World) -> None:
    world.deliver(b"Subject: large\r\n\r\n" + b"x\r\n" * 500_000)

    def refuse(piece: bytes) -> None:
        raise ZeroDivisionError

    client = world.connect("pop3")
    with pytest.raises(ZeroDivisionError):
        client.retrieve_into(1, refuse)
    assert client.closed


@pytest.mark.parametrize(
    "answer", [b"", b"+O", b"+OK follows\r\nSubject: one\r\n", b"+OK follows\r\n\r\n.", b"-ERR"]
)
def test_P21_a_server_that_closes_midway_is_ConnectionLost(facade: Facade, answer: bytes) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK ready\r\n")
        assert conversation.line() == b"CAPA"
        conversation.say(b"+OK\r\nUSER\r\n.\r\n")
        for _ in range(2):
            conversation.line()
            conversation.say(b"+OK\r\n")
        assert conversation.line() == b"RETR 1"
        conversation.say(answer)

    with scripted(talk) as (port, _):
        client = facade.connect(
            "pop3", port, tls="none", login=("alice", PASSWORD), allow_insecure_auth=True
        )
        with pytest.raises(ConnectionLost):
            client.retrieve(1)
        assert client.closed


def test_P22_a_quit_that_is_not_answered_is_an_error(facade: Facade) -> None:
    """Whether the messages are gone is not known: leaving the block must not hide it."""

    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK ready\r\n")
        conversation.line()
        conversation.say(b"+OK\r\nUSER\r\n.\r\n")
        for _ in range(3):
            conversation.line()
            conversation.say(b"+OK\r\n")
        assert conversation.line() == b"QUIT"

    with (
        scripted(talk) as (port, _),
        pytest.raises(ConnectionLost),
        facade.connect(
            "pop3", port, tls="none", login=("alice", PASSWORD), allow_insecure_auth=True
        ) as client,
    ):
        client.delete(1)


def test_P24_a_server_that_is_silent_runs_into_the_timeout(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK ready\r\n")
        conversation.rest()

    with scripted(talk) as (port, _):
        client = facade.connect("pop3", port, tls="none", timeout=0.2)
        with pytest.raises(
            DeadlineExceeded, match=r"the answer to CAPA has not come in 0\.2 seconds"
        ):
            client.capabilities()
        assert client.closed
        client.close()


def test_a_greeting_that_refuses(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"-ERR [SYS/TEMP] come back later\r\n")
        conversation.rest()

    with scripted(talk) as (port, _), pytest.raises(CommandFailed, match="come back"):
        facade.connect("pop3", port, tls="none")


@pytest.mark.parity("pop3-client APOP", "pop3-server APOP")
def test_apop(facade: Facade) -> None:
    """The digest of RFC 1939 section 7."""

    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n")
        assert conversation.line() == b"APOP mrose c4c9334bac560ecc979e58001b3e22fb"
        conversation.say(b"+OK\r\n")
        assert conversation.line() == b"QUIT"
        conversation.say(b"+OK\r\n")

    with scripted(talk) as (port, _):
        client = facade.connect("pop3", port, tls="none", apop=True, allow_insecure_auth=True)
        client.apop("mrose", "tanstaaf")
        client.quit()


@pytest.mark.parametrize("offered", [b"USER\r\nSASL PLAIN LOGIN\r\n", b"USER\r\n"])
def test_P06_no_password_in_clear_unless_named(facade: Facade, offered: bytes) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK ready\r\n")
        conversation.line()
        conversation.say(b"+OK\r\n" + offered + b".\r\n")
        conversation.rest()

    way_out = "only allow_insecure_auth=True would permit it"
    with scripted(talk) as (port, conversations), pytest.raises(SecurityError, match=way_out):
        facade.connect("pop3", port, tls="none", login=("alice", PASSWORD))
    assert conversations[0].received == b"CAPA\r\n"


def test_P27_an_answer_nobody_asked_for_answers_nothing(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK ready\r\n")
        conversation.line()
        conversation.say(b"+OK\r\nUSER\r\n.\r\n+OK early\r\n")
        conversation.rest()

    with scripted(talk) as (port, conversations), pytest.raises(RemoteProtocolError):
        facade.connect(
            "pop3", port, tls="none", login=("alice", PASSWORD), allow_insecure_auth=True
        )
    assert conversations[0].received == b"CAPA\r\n"


TEXTS = {"language changed": "Idioma cambiado", "{count} messages": "{count} mensajes"}


@pytest.mark.parity("pop3-server LANG", "pop3-server LAST", "pop3-server EXPIRE")
def test_what_services_set_of_pop3(world: World) -> None:
    """``Services.pop3`` reaches the sessions of servers of both kinds."""
    options = Options(
        policy=Policy(login_delay=3600, expire=pop3.Expire(30)),
        policy_of=lambda name: Policy(expire=pop3.Expire(60 if name == "alice" else 90)),
        internationalized=Internationalized.REFUSE,
        languages=[Translation("es", "Español", TEXTS)],
        last=True,
        apop_password={"alice": "wonderland"}.get,
    )
    world.deliver("Subject: ü\r\n\r\n".encode())
    sessions = evolve(world.services, pop3=options).sessions("pop3")
    port = world.server.listen("127.0.0.1", 0, sessions)
    with world.facade.connect("pop3", port, tls="none", apop=True) as client:
        before = client.capabilities()
        assert before.login_delay == pop3.LoginDelay(3600, per_user=True)
        assert before.expire == pop3.Expire(30, per_user=True)
        assert before.lang
        answer = client.call(pop3.Lang("es"))
        assert answer == pop3.LanguageChanged("es", "Idioma cambiado")
        client.apop("alice", "wonderland")
        after = client.capabilities()
        assert (after.login_delay, after.expire) == (None, pop3.Expire(60))
        assert client.call(pop3.Last()) == pop3.LastAccessed(0)
        with pytest.raises(CommandFailed) as caught:
            client.retrieve(1)
        assert caught.value.code == "UTF8"
