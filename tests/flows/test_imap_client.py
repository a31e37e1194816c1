"""The IMAP client's conversations: against our own server over a store, and against scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flows.imap_wire import Server
from mailproto import imap, sasl
from mailproto._core.limits import IMAPClientLimits
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    SecurityError,
)
from mailproto.flows.effects import Deadline, Flow, Read, StartTLS, Wakeup, Write, start_tls
from mailproto.flows.imap_client import Session
from mailproto.flows.imap_server import serve
from mailproto.testing.link import converse
from mailproto.testing.script import peer, transcript

MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n\r\nworld\r\n"


def over_server(server: Server, use: Callable[[Session], Flow[object]]) -> Session:
    """Log in to our server, do something, log out."""
    session = Session(imap.Client(allow_insecure_auth=True, limits=LIMITS))

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.sign_in("alice", "secret")
        yield from use(session)
        yield from session.logout()

    converse(flow(), serve(server.context.machine(), server.context), sizes=[7, 1000])
    return session


LIMITS = IMAPClientLimits(literal_threshold=1000)


def over_script(text: str, use: Callable[[Session], Flow[object]], *, tls: bool = True) -> Session:
    session = Session(imap.Client(tls=tls))
    converse(use(session), peer(transcript(text)))
    return session


# ------------------------------------------------------------------------- against our server


def test_a_session_from_login_to_logout() -> None:
    server = Server()
    server.deliver(MESSAGE)

    def use(session: Session) -> Flow[None]:
        found = yield from session.list()
        assert imap.INBOX in [data.mailbox for data in found]
        yield from session.create("Entwürfe")
        yield from session.subscribe("Entwürfe")
        assert [d.mailbox.text for d in (yield from session.lsub())] == ["Entwürfe"]
        mailbox = yield from session.select("INBOX")
        assert mailbox is session.mailbox
        assert (mailbox.exists, mailbox.recent, mailbox.unseen) == (1, 1, 1)
        assert not mailbox.read_only
        assert mailbox.permanent_flags is not None
        assert imap.DELETED in mailbox.permanent_flags
        where = yield from session.append("INBOX", MESSAGE, flags=imap.DRAFT)
        assert where is not None
        assert where.uid_validity == mailbox.uid_validity
        yield from session.noop()
        assert mailbox.exists == 2
        items: list[imap.FetchItem] = [
            imap.FetchAtt.UID,
            imap.FetchAtt.FLAGS,
            imap.BodySection(peek=True),
        ]
        first, second = yield from session.fetch("1:*", items)
        assert (first.number, second.number) == (1, 2)
        assert second.section() == MESSAGE
        assert second.flags is not None
        assert imap.DRAFT in second.flags
        subject = imap.SearchText(imap.TextKey.SUBJECT, "HELLO")
        assert (yield from session.search(subject)) == (1, 2)
        assert (yield from session.search(subject, uid=True)) == (first.uid, second.uid)
        (stored,) = yield from session.store(2, imap.StoreAction.ADD, imap.DELETED)
        assert stored.flags is not None
        assert imap.DELETED in stored.flags
        copied = yield from session.copy(1, "Entwürfe")
        assert copied is not None
        assert str(copied.source) == str(first.uid)
        assert (yield from session.expunge()) == (2,)
        assert mailbox.exists == 1
        moved = yield from session.move(first.uid or 0, "Entwürfe", uid=True)
        assert moved is not None
        assert imap.ExpungeData(1) in session.updates
        assert mailbox.exists == 0
        status = yield from session.status("Entwürfe")
        assert status[imap.StatusItem.MESSAGES] == 2
        yield from session.unselect()
        assert session.mailbox is None
        yield from session.rename("Entwürfe", "x")
        yield from session.unsubscribe("Entwürfe")
        yield from session.delete("x")
        assert (yield from session.namespace()).personal
        assert isinstance((yield from session.id([("name", "test")])), dict)

    session = over_server(server, use)
    assert session.bye is not None


def test_append_in_pieces_and_fetch_in_chunks() -> None:
    content = MESSAGE + b"x" * 5000

    def use(session: Session) -> Flow[None]:
        pieces = [content[i : i + 999] for i in range(0, len(content), 999)]
        yield from session.append("INBOX", pieces, size=len(content))
        with pytest.raises(CommandFailed, match="empty"):
            yield from session.append("INBOX", iter(()), size=0)
        yield from session.select("INBOX", read_only=True)
        chunks: list[tuple[imap.LiteralStart, bytes]] = []
        (data,) = yield from session.fetch(
            1, imap.BodySection(), on_chunk=lambda start, data: chunks.append((start, data))
        )
        assert data.section() == imap.Streamed(len(content))
        assert b"".join(data for _, data in chunks) == content
        assert chunks[0][0] == imap.LiteralStart(1, None, imap.WHOLE_MESSAGE, len(content))
        (whole,) = yield from session.fetch(1, [imap.FetchAtt.RFC822, imap.BodySection()])
        assert whole.section() == whole.section(imap.FetchAtt.RFC822) == content

    over_server(Server(), use)


def test_pieces_of_another_size_than_announced() -> None:
    for pieces, says in (([b"abc"], "less than the 5"), ([b"abcdef"], "more than the 5")):

        def use(session: Session, pieces: list[bytes] = pieces) -> Flow[None]:
            yield from session.append("INBOX", pieces, size=5)

        with pytest.raises(LocalProtocolError, match=says):
            over_server(Server(), use)
    with pytest.raises(LocalProtocolError, match="needs its size"):
        over_server(Server(), lambda session: session.append("INBOX", [b"x"]))


def test_the_password_is_wrong() -> None:
    server = Server()
    session = Session(imap.Client(allow_insecure_auth=True))

    def flow() -> Flow[None]:
        yield from session.greeting()
        with pytest.raises(AuthenticationFailed) as refused:
            yield from session.sign_in("alice", "wrong")
        assert refused.value.code == "AUTHENTICATIONFAILED"
        assert "wrong" not in str(refused.value)
        with pytest.raises(AuthenticationFailed):
            yield from session.login("alice", "wrong")
        credentials = sasl.PasswordCredentials("alice", "secret")
        yield from session.authenticate(credentials)
        with pytest.raises(CommandFailed) as missing:
            yield from session.select("nowhere")
        assert missing.value.command == "SELECT"
        assert session.mailbox is None
        yield from session.logout()

    converse(flow(), serve(server.context.machine(), server.context))


def test_starttls_then_login() -> None:
    server = Server(insecure=False)
    session = Session(imap.Client())

    def flow() -> Flow[None]:
        yield from session.greeting()
        with pytest.raises(SecurityError):
            yield from session.sign_in("alice", "secret")
        yield from session.starttls()
        assert session.machine.tls
        yield from session.sign_in("alice", "secret")
        yield from session.logout()

    converse(flow(), serve(server.context.machine(starttls=True), server.context))


# -------------------------------------------------------------------------- against scripts


def test_idle_until_stopped_and_renewed() -> None:
    seen: list[object] = []
    stop = Wakeup()

    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        yield from session.select("INBOX")

        def on_event(event: object) -> None:
            seen.append(event)
            if event == imap.ExistsData(5):
                stop.set()

        yield from session.idle(on_event, stop)
        assert session.mailbox is not None
        assert session.mailbox.exists == 5
        yield from session.noop()

    over_script(
        """
        S: * PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi
        C: A1 SELECT INBOX
        S: * 2 EXISTS
        S: A1 OK [READ-WRITE] done
        C: A2 IDLE
        S: + idling
        S: * 4 EXISTS
        S: * 1 EXPUNGE
        S: * 5 EXISTS
        C: DONE
        S: A2 OK done
        C: A3 NOOP
        S: A3 OK done
        """,
        use,
    )
    assert seen == [imap.ExistsData(4), imap.ExpungeData(1), imap.ExistsData(5)]


def answered(flow: Flow[object], *lines: bytes) -> list[object]:
    """Drive a flow: each line answers a read; ``None`` of silence lets the deadline pass."""
    effects: list[object] = []
    waiting = list(lines)
    effect = next(flow)
    try:
        while True:
            effects.append(effect)
            if not isinstance(effect, Read):
                effect = flow.send(None)
            elif not waiting:
                return effects
            elif (line := waiting.pop(0)) == b"":
                effect = flow.throw(DeadlineExceeded("silence"))
            else:
                effect = flow.send(line)
    except StopIteration:
        return effects


def test_P24_idle_is_renewed_before_29_minutes_whatever_comes() -> None:
    session = Session(imap.Client(tls=True), timeout=60)
    stop = Wakeup()

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.idle(lambda event: None, stop)

    effects = answered(
        flow(),
        b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n",
        b"+ idling\r\n",
        b"* 4 EXISTS\r\n",
        b"",
        b"A1 OK done\r\n",
    )
    shown = [e for e in effects if isinstance(e, (Deadline, Write))]
    assert shown == [
        Deadline(60),
        Deadline(60),
        Write(b"A1 IDLE\r\n"),
        Deadline(29 * 60),
        Deadline(60),
        Write(b"DONE\r\n"),
        Deadline(60),
        Write(b"A2 IDLE\r\n"),
    ]


CAPABLE = b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n"


@pytest.mark.parametrize(
    ("do", "lines", "awaited"),
    [
        (lambda session: iter(()), [b""], "the greeting has not come"),
        (lambda session: session.noop(), [CAPABLE, b""], "the completion of A1 NOOP has not come"),
        (
            lambda session: session.list(),
            [CAPABLE, b"* LIST () NIL {5}\r\n12", b""],
            "the rest of a response has not come",
        ),
        (
            lambda session: session.append("INBOX", b"octets"),
            [CAPABLE, b""],
            "the continuation of A1 APPEND has not come",
        ),
        (
            lambda session: session.append("INBOX", b"octets"),
            [CAPABLE, b"+ go on\r\n", b""],
            "the completion of A1 APPEND has not come",
        ),
        (
            lambda session: session.idle(lambda event: None, Wakeup()),
            [CAPABLE, b""],
            "the continuation of A1 IDLE has not come",
        ),
    ],
)
def test_P24_a_timeout_names_what_has_not_come(
    do: Callable[[Session], Flow[object]], lines: list[bytes], awaited: str
) -> None:
    session = Session(imap.Client(tls=True), timeout=0.5)

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from do(session)

    with pytest.raises(DeadlineExceeded, match=rf"^{awaited} in 0\.5 seconds$"):
        answered(flow(), *lines)


def test_P24_a_timeout_says_that_content_was_not_taken() -> None:
    session = Session(imap.Client(tls=True), timeout=0.5)

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.append("INBOX", iter([b"oct", b"ets"]), size=6)

    running = flow()
    effect = next(running)
    lines = [CAPABLE, b"+ go on\r\n"]
    while not (isinstance(effect, Write) and effect.data == b"oct"):
        effect = running.send(lines.pop(0) if isinstance(effect, Read) else None)
    with pytest.raises(DeadlineExceeded, match=r"not taken a piece of the content in 0\.5 s"):
        running.throw(DeadlineExceeded("silence"))


@pytest.mark.parametrize("seconds", [0.5, None])
def test_P24_a_client_is_told_that_it_was_the_handshake(seconds: float | None) -> None:
    flow = start_tls(seconds)
    effect = next(flow)
    if seconds is not None:
        assert effect == Deadline(seconds)
        effect = flow.send(None)
    assert effect == StartTLS()
    named = "silence" if seconds is None else "the end of the TLS handshake has not come in 0.5"
    with pytest.raises(DeadlineExceeded, match=named):
        flow.throw(DeadlineExceeded("silence"))


def test_P24_time_is_given_to_each_response_and_not_to_each_read() -> None:
    session = Session(imap.Client(tls=True), timeout=60)

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.list()

    effects = answered(
        flow(),
        b"* PREAUTH hi\r\n",
        b"* LIST () NIL x\r\n* LI",
        b"ST ()",
        b" NIL",
        b" y\r\n",
        b"A1",
    )
    kinds = [type(effect).__name__ for effect in effects]
    assert kinds == ["Deadline", "Read", "Deadline", "Write", "Read", "Deadline", "Read", "Read",
                     "Read", "Deadline", "Read", "Read"]  # fmt: skip


def test_P06_starttls_fails_closed() -> None:
    for greeting in (
        "S: * PREAUTH hi",
        "S: * OK [CAPABILITY IMAP4rev1] hi",
        """
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi
        C: A1 STARTTLS
        S: A1 NO not today
        """,
        """
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi
        C: A1 STARTTLS
        S: A1 BAD what?
        """,
    ):

        def use(session: Session) -> Flow[None]:
            yield from session.greeting()
            with pytest.raises(SecurityError):
                yield from session.starttls()
            with pytest.raises(SecurityError):
                yield from session.sign_in("alice", "canary")

        if "PREAUTH" in greeting:

            def use(session: Session) -> Flow[None]:
                yield from session.greeting()
                with pytest.raises(SecurityError):
                    yield from session.starttls()

        over_script(greeting, use, tls=False)


def test_P05_plaintext_behind_starttls_is_refused_before_the_handshake() -> None:
    session = Session(imap.Client())

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.starttls()

    with pytest.raises(RemoteProtocolError, match="plaintext"):
        answered(
            flow(),
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n",
            b"A1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        )


def test_P07_a_server_that_does_not_prove_itself_is_refused() -> None:
    session = Session(imap.Client(tls=True))

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.sign_in("alice", "secret")

    with pytest.raises(SecurityError):
        answered(
            flow(),
            b"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR] hi\r\n",
            b"A1 OK welcome\r\n",
        )


def test_P26_a_challenge_that_makes_no_sense_is_cancelled() -> None:
    session = Session(imap.Client(tls=True))

    def flow() -> Flow[None]:
        yield from session.greeting()
        yield from session.sign_in("alice", "secret")

    for challenge in (b"+ cj14\r\n", b"+ not base64!\r\n"):
        session = Session(imap.Client(tls=True))
        effects: list[object] = []
        with pytest.raises(sasl.SASLError):
            effects += answered(
                flow(),
                b"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 SASL-IR] hi\r\n",
                challenge,
                b"A1 BAD cancelled\r\n",
            )


def test_the_greeting_says_bye() -> None:
    def use(session: Session) -> Flow[None]:
        with pytest.raises(CommandFailed) as refused:
            yield from session.greeting()
        assert refused.value.answer == "come back later"
        assert refused.value.code == "UNAVAILABLE"

    over_script("S: * BYE [UNAVAILABLE] come back later", use)


def test_P21_a_connection_that_ends_before_the_answer() -> None:
    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        with pytest.raises(ConnectionLost, match="shutting down"):
            yield from session.noop()

    over_script("S: * PREAUTH hi\nC: A1 NOOP\nS: * BYE shutting down", use)

    def cut(session: Session) -> Flow[None]:
        yield from session.greeting()
        with pytest.raises(ConnectionLost, match="before the completion of A1 NOOP"):
            yield from session.noop()

    over_script("S: * PREAUTH hi\nC: A1 NOOP\nS: * 5 EXISTS", cut)


def test_logout_without_the_last_word() -> None:
    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        yield from session.logout()

    over_script("S: * PREAUTH hi\nC: A1 LOGOUT\nS: * BYE bye", use)


def test_nothing_untagged_is_lost() -> None:
    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        yield from session.select("INBOX")
        session.updates.clear()
        assert (yield from session.search(imap.SearchFlag.ALL)) == (1, 2)
        assert list(session.updates) == [
            imap.ExistsData(4),
            imap.FetchData(1, flags=()),
            imap.Condition(imap.OK, "careful", imap.ALERT),
            imap.Unparsed(b"* 5 ODD", "expected a known response, found b'ODD' at octet 4"),
        ]
        session.updates.clear()
        with pytest.raises(CommandFailed):
            yield from session.store(1, imap.StoreAction.ADD, imap.SEEN)
        assert list(session.updates) == [imap.ExpungeData(1)]
        assert session.mailbox is not None
        assert session.mailbox.exists == 3

    over_script(
        r"""
        S: * PREAUTH hi
        C: A1 SELECT INBOX
        S: A1 OK [READ-WRITE] done
        C: A2 SEARCH ALL
        S: * 4 EXISTS
        S: * SEARCH 1 2
        S: * 1 FETCH (FLAGS ())
        S: * OK [ALERT] careful
        S: * 5 ODD
        S: A2 OK done
        C: A3 STORE 1 +FLAGS (\Seen)
        S: * 1 EXPUNGE
        S: A3 NO it is gone
        """,
        use,
    )


def test_the_uids_of_a_move_come_in_an_untagged_ok() -> None:
    """RFC 6851 section 4.3; some servers do so for COPY too."""

    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        yield from session.select("INBOX")
        found = yield from session.move("1:2", "x")
        assert found == imap.CopyUid(9, "5:6", "7:8")

    over_script(
        """
        S: * PREAUTH hi
        C: A1 SELECT INBOX
        S: * 2 EXISTS
        S: A1 OK [READ-WRITE] done
        C: A2 MOVE 1:2 x
        S: * OK [COPYUID 9 5:6 7:8] moved
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: A2 OK done
        """,
        use,
    )


def test_login_where_no_mechanism_is_offered() -> None:
    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        yield from session.sign_in("alice", "secret")
        assert (yield from session.enable("X", "Y")) == imap.Capabilities(["X"])
        yield from session.select("INBOX")
        yield from session.check()
        yield from session.close()
        assert session.mailbox is None
        with pytest.raises(LocalProtocolError, match="does not offer IDLE"):
            yield from session.idle(lambda event: None, Wakeup())
        with pytest.raises(CommandFailed, match="told nothing"):
            yield from session.status("x")

    over_script(
        """
        S: * OK [CAPABILITY IMAP4rev1] hi
        C: A1 LOGIN alice secret
        S: A1 OK [CAPABILITY IMAP4rev1 ENABLE] done
        C: A2 ENABLE X Y
        S: * ENABLED X
        S: A2 OK done
        C: A3 SELECT INBOX
        S: A3 OK [READ-WRITE] done
        C: A4 CHECK
        S: A4 OK done
        C: A5 CLOSE
        S: A5 OK done
        C: A6 STATUS x (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)
        S: A6 OK done
        """,
        use,
    )


def test_an_append_in_pieces_that_is_refused_before_its_content() -> None:
    def use(session: Session) -> Flow[None]:
        yield from session.greeting()
        with pytest.raises(CommandFailed) as refused:
            yield from session.append("x", [b"abc"], size=3)
        assert refused.value.code == "TRYCREATE"
        yield from session.append("y", [b"a", b"bc"], size=3)
        assert imap.ExistsData(5) in session.updates

    over_script(
        """
        S: * PREAUTH hi
        C: A1 APPEND x {3}
        S: A1 NO [TRYCREATE] there is none
        C: A2 APPEND y {3}
        S: * 5 EXISTS
        S: + go
        C: abc
        S: A2 OK done
        """,
        use,
    )
