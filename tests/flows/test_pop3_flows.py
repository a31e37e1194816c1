"""POP3 sessions over a store: our client flow, scripts and poplib against the server flow."""

from __future__ import annotations

import datetime
import poplib
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from mailproto import pop3, sasl
from mailproto.backend import MemoryStore, StoreError
from mailproto.backend.directory import Users
from mailproto.backend.store import MessageInfo
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    SecurityError,
)
from mailproto.flows.effects import Call, Flow, Read, Write, deadline, read, write
from mailproto.flows.pop3_client import Session
from mailproto.flows.pop3_content import CanonicalLines, Top
from mailproto.flows.pop3_server import Context, Options, serve
from mailproto.flows.shutdown import Shutdown
from mailproto.sync import Server as SyncServer
from mailproto.testing import converse, peer, transcript
from mailproto.testing.chop import every_cut, octets, sized

USERS = Users({"alice": "secret", "bob": "hunter2"})
ONE = b"Subject: one\r\n\r\nfirst line\r\n.second\r\n..third\r\n"
TWO = b"Subject: two\r\n\r\n" + b"0123456789\r\n" * 20_000
THREE = b"Subject: three\n\nbare\n.\nnewlines\r\x00\xff\n"


def filled(*contents: bytes, account: str = "alice") -> MemoryStore:
    store = MemoryStore()
    for content in contents:
        draft = store.draft()
        draft.write(content)
        store.deliver(draft, {account: b""})
    return store


def context(store: MemoryStore | None = None, *, insecure: bool = True) -> Context:
    return Context(
        store=filled(ONE, TWO) if store is None else store,
        directory=USERS,
        shutdown=Shutdown(),
        sasl=sasl.Offer(allow_insecure_auth=insecure),
        allow_insecure_auth=insecure,
    )


def contents(store: MemoryStore, account: str = "alice") -> list[bytes]:
    inbox = store.account(account).open("INBOX")
    found = []
    for info in inbox.messages().messages:
        content = inbox.content(info.uid)
        found.append(content.read(0, content.size))
    return found


def unlocked(store: MemoryStore, account: str = "alice") -> bool:
    inbox = store.account(account).open("INBOX")
    free = inbox.lock()
    if free:
        inbox.unlock()
    return free


def run(
    story: Callable[[Session], Flow[object]],
    served: Context | None = None,
    *,
    tls: bool = False,
    stls: bool = False,
    insecure: bool = True,
    sizes: tuple[int, ...] = (),
) -> object:
    """The result of a client's story against our server."""
    served = served or context()
    session = Session(pop3.Client(tls=tls), allow_insecure_auth=insecure)

    def client() -> Flow[object]:
        yield from session.greet()
        return (yield from story(session))

    return converse(client(), serve(served.machine(tls=tls, stls=stls), served), sizes=sizes)[0]


def logged_in(
    story: Callable[[Session], Flow[object]], served: Context | None = None, **options: object
) -> object:
    def full(session: Session) -> Flow[object]:
        yield from session.login("alice", "secret")
        result = yield from story(session)
        yield from session.quit()
        return result

    return run(full, served, **options)  # type: ignore[arg-type]  # keywords of run


# ------------------------------------------------------------------------------- both of our own


@pytest.mark.parity("pop3-server STAT, LIST, RETR, DELE, NOOP, RSET and QUIT")
@pytest.mark.parametrize("sizes", [(), (7,), (1000, 1)])
def test_a_whole_session(sizes: tuple[int, ...]) -> None:
    store = filled(ONE, TWO)

    def story(session: Session) -> Flow[object]:
        listing = yield from session.stat()
        assert listing == pop3.DropListing(2, len(ONE) + len(TWO))
        assert (yield from session.list()) == {1: len(ONE), 2: len(TWO)}
        assert (yield from session.list(2)) == {2: len(TWO)}
        unique_ids = yield from session.uidl()
        assert list(unique_ids) == [1, 2]
        assert len(set(unique_ids.values())) == 2
        assert (yield from session.uidl(1)) == {1: unique_ids[1]}
        assert (yield from session.retrieve(1)) == ONE
        pieces: list[bytes] = []
        assert (yield from session.retrieve_into(2, pieces.append)) == len(TWO)
        assert b"".join(pieces) == TWO
        assert (yield from session.top(1)) == b"Subject: one\r\n\r\n"
        assert (yield from session.top(1, 2)) == b"Subject: one\r\n\r\nfirst line\r\n.second\r\n"
        assert (yield from session.top(1, 99)) == ONE
        assert (yield from session.top(2, 19_999)) == TWO[:-12]
        yield from session.delete(1)
        assert (yield from session.list()) == {2: len(TWO)}
        with pytest.raises(CommandFailed, match="no such message"):
            yield from session.retrieve(1)
        yield from session.reset()
        assert (yield from session.stat()).messages == 2
        yield from session.noop()
        yield from session.delete(2)
        return "done"

    assert logged_in(story, context(store), sizes=sizes) == "done"
    assert contents(store) == [ONE]
    assert unlocked(store)


@pytest.mark.parity("pop3-server UIDL")
def test_unique_ids_stay_when_messages_go() -> None:
    store = filled(ONE, TWO, ONE)

    def first(session: Session) -> Flow[object]:
        unique_ids = yield from session.uidl()
        yield from session.delete(1)
        return unique_ids

    def second(session: Session) -> Flow[object]:
        return (yield from session.uidl())

    before = logged_in(first, context(store))
    after = logged_in(second, context(store))
    assert isinstance(before, dict)
    assert after == {1: before[2], 2: before[3]}


def test_bare_newlines_of_the_store_go_out_as_lines() -> None:
    def story(session: Session) -> Flow[object]:
        message = yield from session.retrieve(1)
        top = yield from session.top(1, 1)
        return message, top, session.machine.quirks

    assert logged_in(story, context(filled(THREE))) == (
        b"Subject: three\r\n\r\nbare\r\n.\r\nnewlines\r\n\x00\xff\r\n",
        b"Subject: three\r\n\r\nbare\r\n",
        frozenset(),
    )


@pytest.mark.parity("pop3-client AUTH", "pop3-server AUTH")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_login_by_each_mechanism(mechanism: str) -> None:
    def story(session: Session) -> Flow[object]:
        yield from session.authenticate(
            sasl.PasswordCredentials("alice", "secret"),
            mechanisms=[m for m in sasl.MECHANISMS if m.name == mechanism],
        )
        stat = yield from session.stat()
        yield from session.quit()
        return stat.messages

    assert run(story) == 2


def test_stls_then_login_by_the_strongest_mechanism() -> None:
    def story(session: Session) -> Flow[None]:
        before = yield from session.capabilities()
        assert (before.user, before.sasl, before.stls) == (False, None, True)
        with pytest.raises(SecurityError):
            yield from session.login("alice", "secret")
        yield from session.start_tls()
        yield from session.login("alice", "secret")
        assert session.machine.state is pop3.State.TRANSACTION
        yield from session.quit()

    run(story, context(insecure=False), stls=True, insecure=False)


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_P26_failed_logins_look_the_same_and_end_after_three(user: str) -> None:
    seen: list[str] = []

    def story(session: Session) -> Flow[None]:
        yield from session.capabilities()
        for _ in range(3):
            yield from session.call(pop3.User(user))
            try:
                yield from session.call(pop3.Pass("wrong"))
            except CommandFailed as error:
                assert error.code == "AUTH"  # noqa: PT017
                seen.append(str(error))
        with pytest.raises(ConnectionLost):
            yield from session.call(pop3.User(user))

    run(story)
    assert set(seen) == {"PASS was refused: [AUTH] the user name or the password is wrong"}
    assert len(seen) == 3


@pytest.mark.parametrize("password", ["wrong", "secret "])
def test_a_wrong_password_is_authentication_failed(password: str) -> None:
    def story(session: Session) -> Flow[None]:
        with pytest.raises(AuthenticationFailed):
            yield from session.login("alice", password)
        yield from session.login("alice", "secret")
        yield from session.quit()

    run(story)


def test_P06_no_credential_goes_out_in_clear() -> None:
    for capabilities in ("USER", "SASL PLAIN", "SASL PLAIN\nS: USER\nS: STLS"):
        script = transcript(f"S: +OK\nC: CAPA\nS: +OK\nS: {capabilities}\nS: .")

        def story() -> Flow[None]:
            session = Session(pop3.Client())
            yield from session.greet()
            with pytest.raises(SecurityError):
                yield from session.login("alice", "secret")
            for command in (pop3.User("alice"), pop3.Pass("secret")):
                with pytest.raises(SecurityError):
                    yield from session.call(command)

        converse(story(), peer(script))


def test_P05_P06_a_stls_answer_with_more_behind_it_is_never_upgraded() -> None:
    def server() -> Flow[None]:
        yield from write(b"+OK\r\n")
        yield from read()
        yield from write(b"+OK\r\n+OK injected\r\n")
        assert (yield from read()) == b""

    def story() -> Flow[None]:
        session = Session(pop3.Client())
        yield from session.greet()
        with pytest.raises(RemoteProtocolError, match="plaintext"):
            yield from session.start_tls()

    converse(story(), server())


def test_a_server_without_capa_is_led_by_rfc_1939() -> None:
    script = transcript("""
        S: +OK
        C: CAPA
        S: -ERR unknown
        C: USER alice
        S: +OK
        C: PASS secret
        S: +OK
        C: UIDL
        S: -ERR unknown
        C: LIST
        S: +OK
        S: 1 10
        S: odd
        S: 3 30
        S: .
        C: QUIT
        S: +OK bye
    """)

    def story() -> Flow[frozenset[pop3.Quirk]]:
        session = Session(pop3.Client(tls=True))
        yield from session.greet()
        yield from session.login("alice", "secret")
        with pytest.raises(CommandFailed):
            yield from session.uidl()
        with pytest.raises(ProtocolError, match="answer to LIST: not two numbers: b'odd'"):
            yield from session.list()
        assert (yield from session.quit()) == "bye"
        return session.machine.quirks

    assert converse(story(), peer(script))[0] == {pop3.Quirk.NO_CAPA, pop3.Quirk.NO_UIDL}


def test_a_greeting_that_refuses_and_answers_that_are_temporary() -> None:
    def story(line: str) -> Flow[CommandFailed]:
        session = Session(pop3.Client())
        with pytest.raises(CommandFailed) as caught:
            yield from session.greet()
        assert line
        return caught.value

    error, _ = converse(story("x"), peer(transcript("S: -ERR [SYS/TEMP/LOAD] later")))
    assert (error.code, error.temporary, error.answer) == ("SYS/TEMP/LOAD", True, "later")
    assert str(error) == "the connection was refused: [SYS/TEMP/LOAD] later"
    error, _ = converse(story("x"), peer(transcript("S: -ERR")))
    assert str(error) == "the connection was refused: no reason is given"


def test_call_takes_single_answers_only() -> None:
    def story(session: Session) -> Flow[None]:
        assert (yield from session.call(pop3.List(1))) == pop3.ScanListing(1, len(ONE))
        for command in (pop3.Retr(1), pop3.List(), pop3.Auth("PLAIN")):
            with pytest.raises(LocalProtocolError, match="a method of its own"):
                yield from session.call(command)

    logged_in(story)


def test_apop_where_it_was_asked_for() -> None:
    passwords = {"alice": "secret"}
    served = context()
    served = Context(
        store=served.store,
        directory=USERS,
        shutdown=served.shutdown,
        sasl=served.sasl,
        allow_insecure_auth=True,
        options=Options(apop_password=passwords.get),
    )
    machine = served.machine()
    assert machine.offer.timestamp != served.machine().offer.timestamp

    def story() -> Flow[int]:
        session = Session(pop3.Client(apop=True))
        yield from session.greet()
        for user, password in (("alice", "wrong"), ("nobody", "")):
            with pytest.raises(AuthenticationFailed):
                yield from session.apop(user, password)
        yield from session.apop("alice", "secret")
        stat = yield from session.stat()
        yield from session.quit()
        return stat.messages

    assert converse(story(), serve(machine, served))[0] == 2


# ------------------------------------------------------------------------------------ the server


def raw(data: bytes, *chunks: bytes) -> Flow[bytes]:
    """A client that sends all at once, hangs up, and keeps what it hears."""
    heard = bytearray((yield from read()) or b"")
    for chunk in (data, *chunks):
        yield from write(chunk)
    while piece := (yield from read()):
        heard += piece
    return bytes(heard)


SESSION = b"USER alice\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n"


def cut_after(length: int) -> Flow[None]:
    """A client that is gone after `length` octets of a session."""
    yield from read()
    yield from write(SESSION[:length])


@pytest.mark.parity("pop3-server one session at a time, and deletions in UPDATE only")
def test_P22_a_session_cut_anywhere_removes_nothing() -> None:
    for length in range(len(SESSION)):
        store = filled(ONE, ONE)
        served = context(store)
        converse(cut_after(length), serve(served.machine(), served))
        assert contents(store) == [ONE, ONE]
        assert unlocked(store)
    store = filled(ONE, ONE)
    served = context(store)
    converse(cut_after(len(SESSION)), serve(served.machine(), served))
    assert contents(store) == []


@pytest.mark.parity("pop3-server PIPELINING")
def test_pipelined_commands_are_answered_in_turn_and_in_one_write() -> None:
    served = context(filled(ONE))
    writes: list[bytes] = []

    def client() -> Flow[None]:
        yield from read()
        yield from write(
            b"USER alice\r\nPASS secret\r\nSTAT\r\nUIDL 1\r\nRETR 1\r\nNOOP\r\nQUIT\r\n"
        )
        while data := (yield from read()):
            writes.append(data)

    converse(client(), serve(served.machine(), served))
    assert len(writes) == 1
    answers = writes[0].split(b"\r\n")
    assert answers[2] == b"+OK 1 %d" % len(ONE)
    assert b"..second" in writes[0]
    assert answers[-2] == b"+OK bye (1 messages left)"


def test_P22_a_message_that_could_not_be_sent_is_not_removed() -> None:
    store = filled(ONE)
    served = context(store)
    flow = serve(served.machine(), served)
    pipelined = [b"USER alice\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"]
    effect = next(flow)
    with pytest.raises(StopIteration):
        while True:
            if isinstance(effect, Read):
                effect = flow.send(pipelined.pop())
            elif isinstance(effect, Call):
                effect = flow.send(effect.function())
            elif isinstance(effect, Write) and b"Subject" in effect.data:
                effect = flow.throw(ConnectionLost("the client is gone"))
            else:
                effect = flow.send(None)
    assert contents(store) == [ONE]


@pytest.mark.parity(
    "pop3-server IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM and AUTH codes",
    "pop3-server one session at a time, and deletions in UPDATE only",
)
def test_the_maildrop_is_for_one_session_at_a_time() -> None:
    store = filled(ONE)
    other = store.account("alice").open("INBOX")
    assert other.lock()

    def story(session: Session) -> Flow[None]:
        with pytest.raises(CommandFailed) as caught:
            yield from session.login("alice", "secret")
        assert not isinstance(caught.value, AuthenticationFailed)
        assert (caught.value.code, caught.value.temporary) == ("IN-USE", True)
        other.unlock()
        yield from session.login("alice", "secret")
        yield from session.quit()

    run(story, context(store))
    assert unlocked(store)


def test_a_message_removed_elsewhere_is_not_found_and_the_session_goes_on() -> None:
    store = filled(ONE, TWO)

    def story(session: Session) -> Flow[object]:
        inbox = store.account("alice").open("INBOX")
        inbox.remove([inbox.messages().messages[0].uid])
        with pytest.raises(CommandFailed, match="not there any more"):
            yield from session.retrieve(1)
        yield from session.delete(1)
        yield from session.delete(2)
        return (yield from session.stat()).messages

    assert logged_in(story, context(store)) == 0
    assert contents(store) == []


@pytest.mark.parity("pop3-server IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM and AUTH codes")
def test_a_store_that_fails_at_login_is_a_temporary_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(name: str) -> None:
        raise StoreError(f"the disk of {name} is on fire")

    store = MemoryStore()
    monkeypatch.setattr(store, "account", failing)

    def story(session: Session) -> Flow[None]:
        with pytest.raises(CommandFailed) as caught:
            yield from session.login("alice", "secret")
        assert caught.value.code == "SYS/TEMP"
        assert "fire" not in caught.value.answer
        yield from session.quit()

    run(story, context(store))


def test_shutdown_tells_the_client_and_removes_nothing() -> None:
    store = filled(ONE)
    served = context(store)

    def client() -> Flow[bytes]:
        yield from read()
        yield from write(b"USER alice\r\nPASS secret\r\nDELE 1\r\n")
        heard = b""
        while heard.count(b"\r\n") < 3:
            heard += (yield from read()) or b""
        served.shutdown.request()
        return (yield from read()) or b""

    assert converse(client(), serve(served.machine(), served))[0] == (
        b"-ERR [SYS/TEMP] the server is shutting down\r\n"
    )
    assert contents(store) == [ONE]
    assert unlocked(store)


def test_P24_the_autologout_closes_without_a_response_and_without_update() -> None:
    store = filled(ONE)
    served = context(store)

    def client() -> Flow[bytes]:
        yield from read()
        yield from write(b"USER alice\r\nPASS secret\r\nDELE 1\r\n")
        yield from deadline(10_000)
        heard = b""
        while data := (yield from read()):
            heard += data
        return heard

    heard, _ = converse(client(), serve(served.machine(), served))
    assert heard.count(b"\r\n") == 3
    assert contents(store) == [ONE]
    assert unlocked(store)


def test_a_session_that_is_cut_by_its_driver_gives_the_lock_back() -> None:
    store = filled(ONE)
    served = context(store)
    flow = serve(served.machine(), served)
    converse(_log_in_and_stop(flow), _nothing())
    assert not unlocked(store)
    flow.close()
    assert unlocked(store)


def _nothing() -> Flow[None]:
    yield from ()


def _log_in_and_stop(flow: Flow[None]) -> Flow[None]:
    """Play the driver of `flow` up to its first Read after login."""
    yield from ()
    effect = next(flow)
    sent = [b"USER alice\r\nPASS secret\r\n"]
    while True:
        result: object = None
        if isinstance(effect, Read):
            if not sent:
                return
            result = sent.pop()
        elif isinstance(effect, Call):
            result = effect.function()
        effect = flow.send(result)


def test_a_line_that_is_too_long_is_answered_before_the_end() -> None:
    served = context()
    heard, _ = converse(raw(b"USER " + b"x" * 20_000), serve(served.machine(), served))
    assert heard.endswith(b"-ERR line too long\r\n")


@pytest.mark.parity("pop3-server streamed messages")
def test_a_large_message_is_never_whole_in_memory() -> None:
    served = context(filled(TWO * 10))
    largest = 0

    def client() -> Flow[int]:
        nonlocal largest
        yield from read()
        yield from write(b"USER alice\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n")
        total = 0
        while data := (yield from read()):
            largest = max(largest, len(data))
            total += len(data)
        return total

    total, _ = converse(client(), serve(served.machine(), served), sizes=[1 << 30])
    assert total > len(TWO) * 10
    assert largest < 200_000


# ------------------------------------------------------------------------------------ the content


@pytest.mark.parametrize("data", [b"", b"\r", b"a\rb\nc\r\nd\r", b"\n\n\r\r\n", b".\n.\r\n"])
def test_canonical_lines_are_the_same_for_every_cut(data: bytes) -> None:
    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    for chunks in [[data], octets(data), *every_cut(data, 1), *every_cut(data, 2)]:
        lines = CanonicalLines()
        assert b"".join([*map(lines.feed, chunks), lines.finish()]) == expected


@pytest.mark.parity("pop3-server TOP")
@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\nbody\r\n", b"A: b\r\n", b"A: b\r\n\r\n"])
@pytest.mark.parametrize("lines", [0, 1, 2])
def test_top_is_the_same_for_every_cut(content: bytes, lines: int) -> None:
    content += b"one\r\ntwo\r\nthree"
    header, blank, body = (b"\r\n" + content).partition(b"\r\n\r\n")
    kept = b"".join(body.splitlines(keepends=True)[:lines])
    expected = (header + blank + kept)[2:] if blank else content
    for chunks in [[content], octets(content), sized(content, 2), *every_cut(content, 1)]:
        top = Top(lines)
        found = b""
        for chunk in chunks:
            found += top.feed(chunk)
            if top.complete:
                break
        assert found == expected


# ----------------------------------------------------------------------------------------- poplib


def test_poplib_against_our_server() -> None:
    store = filled(ONE, TWO, THREE)
    served = context(store)
    with SyncServer(served.shutdown) as server:
        port = server.listen("127.0.0.1", 0, lambda _: serve(served.machine(), served))
        client = poplib.POP3("127.0.0.1", port, timeout=20)
        assert client.getwelcome() == b"+OK POP3 server ready"
        assert client.capa()["IMPLEMENTATION"] == ["mailproto"]
        client.user("alice")
        client.pass_("secret")
        sizes = [client.retr(number)[2] for number in (1, 2, 3)]
        assert sizes == [len(ONE), len(TWO), len(THREE) + 6]
        assert client.stat() == (3, sum(sizes))
        assert client.list()[1] == [b"%d %d" % each for each in enumerate(sizes, 1)]
        assert len(client.uidl()[1]) == 3
        assert b"\r\n".join([*client.retr(1)[1], b""]) == ONE
        assert b"\r\n".join([*client.retr(2)[1], b""]) == TWO
        assert client.retr(3)[1][2:5] == [b"bare", b".", b"newlines"]
        assert client.top(1, 1)[1] == [b"Subject: one", b"", b"first line"]
        with pytest.raises(poplib.error_proto, match="no such message"):
            client.retr(4)
        client.dele(1)
        client.rset()
        client.dele(3)
        client.dele(2)
        assert client.quit() == b"+OK bye (1 messages left)"
    assert contents(store) == [ONE]


# --------------------------------------------------------------------------------- a big maildrop


def many_messages(count: int) -> Callable[..., list[MessageInfo]]:
    """A mailbox's ``page`` whose messages exist only while they are looked at."""

    def page(_: object, after: int, limit: int) -> list[MessageInfo]:
        return [
            MessageInfo(uid, frozenset(), DATE, 1000 + uid % 7, 1, "key", False, True)
            for uid in range(after + 1, min(after + limit, count) + 1)
        ]

    return page


DATE = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
MILLION = 1_000_000


def counted(commands: bytes) -> Flow[tuple[int, bytes]]:
    """A client that counts the lines that it hears, and keeps the last octets."""
    yield from read()
    yield from write(b"USER alice\r\nPASS secret\r\n" + commands + b"QUIT\r\n")
    lines, last = 0, b""
    while piece := (yield from read()):
        lines += piece.count(b"\r\n")
        last = (last + piece)[-200:]
    return lines, last


def listed(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """List a maildrop of so many messages in every way; the octets of the largest write."""
    store = filled()
    monkeypatch.setattr(type(store.account("alice").open("INBOX")), "page", many_messages(count))
    served = context(store)
    served_flow = serve(served.machine(), served)
    largest = 0

    def watched() -> Flow[None]:
        nonlocal largest
        result: object = None
        with suppress(StopIteration):
            while True:
                effect = served_flow.send(result)
                if isinstance(effect, Write):
                    largest = max(largest, len(effect.data))
                result = yield effect

    (lines, last), _ = converse(counted(b"STAT\r\nLIST\r\nUIDL\r\n"), watched())
    assert lines == 2 * count + 8
    assert last.endswith(b".%d\r\n.\r\n+OK bye (%d messages left)\r\n" % (count, count))
    return largest


@pytest.mark.parity("pop3-server streamed messages")
def test_P08_a_maildrop_of_a_million_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(MILLION, monkeypatch) < 256 * 1024


def test_P08_a_listing_is_never_whole_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two numbers and an octet for each message; a list of them has a hundred octets for each."""
    peaks: list[int] = []
    for count in (10_000, 50_000):
        tracemalloc.start()
        try:
            listed(count, monkeypatch)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] - peaks[0] < 24 * 40_000
