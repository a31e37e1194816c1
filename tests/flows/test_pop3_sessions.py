"""What a POP3 session holds, and for how long (lock, deadline, language), and how it logs in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mailproto import pop3, sasl
from mailproto.backend import MemoryStore, StoreError
from mailproto.backend.directory import Users
from mailproto.errors import RemoteProtocolError, SecurityError
from mailproto.flows.effects import Call, Close, Deadline, Effect, Flow, Read, Write, read, write
from mailproto.flows.pop3_client import Session
from mailproto.flows.pop3_policy import Options
from mailproto.flows.pop3_server import Context, serve
from mailproto.flows.pop3_texts import Translation
from mailproto.flows.shutdown import Shutdown
from mailproto.sasl import SASLError
from mailproto.testing import converse

MAILBOX = type(MemoryStore().account("alice").open("INBOX"))
LOGIN = b"USER alice\r\nPASS secret\r\n"


def context(*contents: bytes, options: Options | None = None) -> Context:
    store = MemoryStore()
    for content in contents:
        draft = store.draft()
        draft.write(content)
        store.deliver(draft, {"alice": b""})
    directory = Users({"alice": "secret"})
    offer = sasl.Offer(allow_insecure_auth=True)
    return Context(store, directory, Shutdown(), offer, True, options=options or Options())


def unlocked(served: Context) -> bool:
    inbox: Any = served.store.account("alice")
    inbox = inbox.open("INBOX")
    free: bool = inbox.lock()
    if free:
        inbox.unlock()
    return free


def effects(served: Context, said: list[bytes]) -> list[Effect]:
    """What a session asks of its driver, up to the read that nothing was said for."""
    asked: list[Effect] = []
    drive(serve(served.machine(), served), said, asked)
    return asked


def drive(flow: Flow[object], said: list[bytes], asked: list[Effect]) -> None:
    """Do what a driver does, and note what was asked of it."""
    result: object = None
    problem: StoreError | None = None
    while True:
        try:
            effect = flow.send(result) if problem is None else flow.throw(problem)
        except StopIteration:
            return
        asked.append(effect)
        result = problem = None
        if isinstance(effect, Read):
            if not said:
                flow.close()
                return
            result = said.pop(0)
        elif isinstance(effect, Call):
            try:
                result = effect.function()
            except StoreError as error:
                problem = error


# --------------------------------------------------------------------------------------- the lock


@pytest.mark.parametrize("problem", [StoreError("on fire"), ZeroDivisionError("a defect")])
@pytest.mark.parametrize("fails", ["content", "page", "status"])
def test_whatever_a_store_raises_the_maildrop_is_unlocked(
    fails: str, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = context(b"one\r\n")

    def fail(*_: object) -> None:
        raise problem

    def client() -> Flow[None]:
        yield from read()
        yield from write(LOGIN + b"RETR 1\r\n")
        while (yield from read()):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(MAILBOX, fails, fail)
        try:
            converse(client(), serve(served.machine(), served))
        except ZeroDivisionError:
            assert problem.args == ("a defect",)
    assert unlocked(served)


@pytest.mark.parametrize("fails", ["page", "status"])
def test_a_maildrop_that_cannot_be_listed_is_free_again_at_once(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not only when the session ends that was told so."""
    served = context(b"one\r\n")

    def fail(*_: object) -> None:
        raise StoreError("on fire")

    def client() -> Flow[bytes]:
        yield from read()
        with monkeypatch.context() as patch:
            patch.setattr(MAILBOX, fails, fail)
            yield from write(LOGIN)
            heard = b""
            while heard.count(b"\r\n") < 2:
                heard += (yield from read()) or b""
        assert unlocked(served)
        yield from write(LOGIN)
        while heard.count(b"\r\n") < 4:
            heard += (yield from read()) or b""
        return heard

    lines = converse(client(), serve(served.machine(), served))[0].split(b"\r\n")
    assert lines[1].startswith(b"-ERR [SYS/TEMP] ")
    assert lines[3] == b"+OK 1 messages"


@pytest.mark.parametrize(
    ("said", "words"), [(b"", b"bye (1 messages left)"), (b"DELE 1\r\n", b"bye (maildrop empty)")]
)
def test_quit_unlocks_before_it_is_answered(said: bytes, words: bytes) -> None:
    """Who has heard the answer can log in again, and knows how many messages stay."""
    served = context(b"one\r\n")

    def client() -> Flow[bool]:
        yield from read()
        yield from write(LOGIN + said + b"QUIT\r\n")
        heard = b""
        while words not in heard:
            heard += (yield from read()) or b""
        return unlocked(served)

    assert converse(client(), serve(served.machine(), served))[0]


# -------------------------------------------------------------------------------------- the sizes


def answers(served: Context, said: list[bytes]) -> list[bytes]:
    """The lines behind those of the login."""
    writes = [each.data for each in effects(served, [LOGIN, *said]) if isinstance(each, Write)]
    return b"".join(writes).split(b"\r\n")[3:-1]


def test_rset_has_the_maildrop_as_it_was() -> None:
    said = [b"STAT\r\nDELE 1\r\nDELE 2\r\nSTAT\r\nRSET\r\nSTAT\r\n"]
    told = [
        line for line in answers(context(b"one\r\n", b"three\r\n"), said) if line[4:5].isdigit()
    ]
    assert told == [b"+OK 2 12", b"+OK 0 0", b"+OK 2 12"]


def test_a_message_that_cannot_be_read_has_the_size_that_the_store_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is not read for it again: RETR tells what is wrong."""
    asked: list[int] = []

    def fail(_: object, uid: int) -> None:
        asked.append(uid)
        raise StoreError("on fire")

    monkeypatch.setattr(MAILBOX, "content", fail)
    lines = answers(context(b"no end", b"one\r\n"), [b"STAT\r\nLIST\r\nSTAT\r\nRETR 1\r\n"])
    assert lines[:6] == [b"+OK 2 11", b"+OK 2 messages", b"1 6", b"2 5", b".", b"+OK 2 11"]
    assert lines[6].startswith(b"-ERR [SYS/TEMP] ")
    assert asked == [1, 1]


# ----------------------------------------------------------------------------------- the deadline


def test_P24_a_command_has_one_deadline_however_it_comes() -> None:
    """Who sends an octet now and then does not hold the maildrop for ever."""
    dribbled = [b"%c" % octet for octet in LOGIN + b"NOOP\r\n"]
    whole = [b"USER alice\r\n", b"PASS secret\r\n", b"NOOP\r\n"]
    deadlines = [
        sum(isinstance(effect, Deadline) for effect in effects(context(), said))
        for said in (dribbled, whole)
    ]
    assert deadlines == [4, 4]


def test_P24_who_reads_slowly_has_a_deadline_for_each_piece() -> None:
    asked = effects(context(b"0123456789abcdef\r\n" * 20_000), [LOGIN, b"RETR 1\r\n"])
    begun = max(number for number, effect in enumerate(asked[:-1]) if isinstance(effect, Read))
    rest = [effect for effect in asked[begun:] if isinstance(effect, Deadline | Write)]
    large = [
        number
        for number, effect in enumerate(rest)
        if isinstance(effect, Write) and len(effect.data) > 60_000
    ]
    assert len(large) > 4
    assert all(isinstance(rest[number - 1], Deadline) for number in large)


@pytest.mark.parametrize(
    ("piece", "flow"),
    [
        (b"0123456789abcdef\r\n" * 10_000, lambda session: session.retrieve(1)),
        (b"".join(b"%d 1\r\n" % message for message in range(1, 1000)), Session.list),
        (b"".join(b"%d a\r\n" % message for message in range(1, 1000)), Session.uidl),
    ],
)
def test_P24_a_long_answer_may_take_longer_than_a_short_one(
    piece: bytes, flow: Callable[[Session], Flow[object]]
) -> None:
    """The time begins anew with each mebibyte of a message, and with each piece of a listing."""

    def deadlines(*said: bytes) -> int:
        session = Session(pop3.Client(tls=True), timeout=7.0)

        def client() -> Flow[None]:
            yield from session.greet()
            yield from session.login("alice", "secret")
            yield from flow(session)

        asked: list[Effect] = []
        drive(client(), [b"+OK\r\n", b"-ERR\r\n", *[b"+OK\r\n"] * 3, *said], asked)
        return asked.count(Deadline(7.0))

    renewed = deadlines(*[piece] * 30, b".\r\n") - deadlines(b".\r\n")
    assert renewed == (5 if len(piece) > 100_000 else 30)


# ----------------------------------------------------------------------------------- the language


def test_P05_a_language_chosen_in_clear_is_forgotten_under_tls() -> None:
    spanish = Translation("es", "Español", {"no such message": "no existe"})
    served = context(options=Options(languages=[spanish]))
    session = Session(pop3.Client())
    told: list[str] = []

    def refused() -> Flow[None]:
        session.machine.send(pop3.Retr(9))
        yield from write(session.machine.data_to_send())
        session.machine.receive_data((yield from read()) or b"")
        event = session.machine.next_event()
        assert isinstance(event, pop3.Err)
        told.append(event.text)

    def client() -> Flow[None]:
        yield from session.greet()
        yield from session.call(pop3.Lang("es"))
        yield from session.start_tls()
        yield from session.login("alice", "secret")
        yield from refused()
        yield from session.call(pop3.Lang("es"))
        yield from refused()
        yield from session.quit()

    converse(client(), serve(served.machine(stls=True), served))
    assert told == ["no such message", "no existe"]


def test_P06_a_login_before_tls_is_told_what_to_do() -> None:
    served = evolve(context(), sasl=sasl.Offer(), allow_insecure_auth=False)

    def client() -> Flow[bytes]:
        yield from read()
        yield from write(b"AUTH PLAIN\r\nUSER alice\r\n")
        heard = b""
        while heard.count(b"\r\n") < 2:
            heard += (yield from read()) or b""
        return heard

    heard, _ = converse(client(), serve(served.machine(stls=True), served))
    assert heard == b"-ERR TLS is needed first: give STLS\r\n" * 2


# --------------------------------------------------------------------------------------- the login


def test_P06_an_stls_that_is_refused_is_a_security_error_with_the_code() -> None:
    asked: list[Effect] = []
    session = Session(pop3.Client())

    def client() -> Flow[None]:
        yield from session.greet()
        yield from session.start_tls()

    with pytest.raises(SecurityError, match=r"STLS was refused: \[SYS/TEMP\] later"):
        drive(client(), [b"+OK\r\n", b"-ERR [SYS/TEMP] later\r\n"], asked)
    assert [each.data for each in asked if isinstance(each, Write)] == [b"STLS\r\n"]


@pytest.mark.parametrize("stored", ["secr\x07et", "\u0221", None])
def test_P26_an_apop_password_that_cannot_be_used_is_no_other_failure(stored: str | None) -> None:
    """Code points without a meaning are in no stored string (RFC 4013, RFC 6856 section 2.2)."""
    served = context(options=Options(apop_password=lambda _: stored))
    said = [b"APOP alice " + b"0" * 32 + b"\r\n"]
    writes = [effect.data for effect in effects(served, said) if isinstance(effect, Write)]
    assert writes[-1] == b"-ERR [AUTH] the user name or the password is wrong\r\n"


@pytest.mark.parametrize(
    ("capabilities", "problem"),
    [
        (b"SASL FOO\r\nUSER\r\n", None),
        (b"SASL FOO\r\n", "no acceptable SASL mechanism: the server offers FOO"),
    ],
)
def test_P06_user_and_pass_where_no_mechanism_is_known_and_they_are_offered(
    capabilities: bytes, problem: str | None
) -> None:
    def server() -> Flow[list[bytes]]:
        heard: list[bytes] = []
        yield from write(b"+OK\r\n")
        while said := (yield from read()):
            heard.append(said)
            yield from write(b"+OK\r\n" + (capabilities + b".\r\n") * (said == b"CAPA\r\n"))
        return heard

    def client() -> Flow[str | None]:
        session = Session(pop3.Client(tls=True))
        yield from session.greet()
        try:
            yield from session.login("alice", "secret")
        except SecurityError as error:
            return str(error)
        return None

    told, heard = converse(client(), server())
    if problem is None:
        assert (told, heard[1:]) == (None, [b"USER alice\r\n", b"PASS secret\r\n"])
    else:
        assert (told or "").startswith(problem)
        assert heard == [b"CAPA\r\n"]


@pytest.mark.parametrize(
    "answers",
    [
        # The cancel of a challenge that makes no sense is answered by success, or by another one.
        [b"+ =not base64=\r\n", b"+OK\r\n"],
        [b"+ =not base64=\r\n", b"+ YQ==\r\n"],
        # Success without the signature that proves the server.
        [b"+OK\r\n"],
    ],
)
def test_P07_a_server_that_has_not_proved_itself_is_left(answers: list[bytes]) -> None:
    asked: list[Effect] = []
    session = Session(pop3.Client(tls=True))

    def client() -> Flow[None]:
        yield from session.greet()
        yield from session.login("alice", "secret")

    said = [b"+OK\r\n", b"+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n", *answers]
    with pytest.raises((SASLError, RemoteProtocolError)):
        drive(client(), said, asked)
    assert (said, asked[-1]) == ([], Close())
