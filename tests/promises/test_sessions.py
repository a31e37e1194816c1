"""Servers' sessions over a store, cut, confused and lied to: P21, P22, P30."""

from __future__ import annotations

import pytest

from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.flows.effects import Call, Read, StartTLS, Write
from mailproto.flows.services import Services
from mailproto.flows.serving import Peer


class Anyone(Users):
    """A directory that believes everybody: deriving keys is not what is tested here."""

    def verify(self, credentials: object) -> str | None:
        return "alice"


USERS = Anyone({"alice": "wonderland"})
PEER = Peer("127.0.0.1", 1, "127.0.0.1", 2)


def store_with(*contents: bytes) -> MemoryStore:
    store = MemoryStore()
    for content in contents:
        draft = store.draft()
        draft.write(content)
        store.deliver(draft, {"alice": b""})
    return store


def contents(store: MemoryStore, mailbox: str = "INBOX") -> list[bytes]:
    box = store.account("alice").open(mailbox)
    found = []
    for info in box.messages().messages:
        content = box.content(info.uid)
        found.append(content.read(0, content.size))
    return found


def session(store: MemoryStore, name: str, *chunks: bytes) -> bytes:
    """What a server says to ``chunks`` and end of file."""
    services = Services(store, USERS, allow_insecure_auth=True)
    flow = services.sessions(name)(PEER)
    said = b""
    waiting = [*chunks, b""]
    try:
        effect = flow.send(None)
        while True:
            result: object = None
            error: Exception | None = None
            match effect:
                case Write(data):
                    said += data
                case Read():
                    result = waiting.pop(0) if waiting else b""
                case Call(function):
                    try:
                        result = function()
                    except Exception as raised:
                        error = raised
                case StartTLS():
                    raise AssertionError("no TLS here")
                case _:
                    pass
            effect = flow.throw(error) if error is not None else flow.send(result)
    except StopIteration:
        return said


ONE, TWO, THREE = (b"Subject: %b\r\n\r\n%b\r\n" % (n, n) for n in (b"one", b"two", b"three"))
LOGIN = b"a LOGIN alice wonderland\r\nb SELECT INBOX\r\n"
POP3_LOGIN = b"USER alice\r\nPASS wonderland\r\n"


@pytest.mark.parametrize(
    ("commit", "left"),
    [
        (b"c STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n", [TWO, THREE]),
        (b"c STORE 2:3 +FLAGS (\\Deleted)\r\nd UID EXPUNGE 2\r\n", [ONE, THREE]),
        (b"c STORE 1 +FLAGS (\\Deleted)\r\nd CLOSE\r\n", [TWO, THREE]),
        (b"c MOVE 3 Archive\r\n", [ONE, TWO]),
    ],
)
def test_P22_a_session_of_IMAP_cut_at_every_octet(commit: bytes, left: list[bytes]) -> None:
    for cut in range(len(commit) + 1):
        store = store_with(ONE, TWO, THREE)
        store.account("alice").create("Archive")
        session(store, "imap", LOGIN, commit[:cut])
        complete = cut == len(commit)
        assert contents(store) == (left if complete else [ONE, TWO, THREE])
        moved = [THREE] if complete and b"MOVE" in commit else []
        assert contents(store, "Archive") == moved


@pytest.mark.parametrize(
    "rest",
    [
        b"d UNSELECT\r\n",
        b"d LOGOUT\r\n",
        b"d EXAMINE INBOX\r\ne CLOSE\r\n",
        b"d SELECT INBOX\r\n",
        b"d NOOP\r\n",
        b"d EXPUNGE 1\r\n",
        b"d EXPUNGE\n",
    ],
)
def test_P22_nothing_else_removes_a_message_of_IMAP(rest: bytes) -> None:
    store = store_with(ONE, TWO)
    session(store, "imap", LOGIN, b"c STORE 1:2 +FLAGS (\\Deleted)\r\n" + rest)
    assert contents(store) == [ONE, TWO]


def test_P22_a_session_of_POP3_cut_at_every_octet() -> None:
    whole = POP3_LOGIN + b"DELE 1\r\nDELE 3\r\nQUIT\r\n"
    for cut in range(len(whole) + 1):
        store = store_with(ONE, TWO, THREE)
        session(store, "pop3", whole[:cut])
        assert contents(store) == ([TWO] if cut == len(whole) else [ONE, TWO, THREE])


def test_P21_a_delivery_cut_at_every_octet() -> None:
    whole = (
        b"EHLO x.example\r\nMAIL FROM:<bob@x.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n"
        b"Subject: x\r\n\r\n..\r\ny\r\n.\r\nQUIT\r\n"
    )
    end = whole.index(b"\r\n.\r\n") + 5
    for cut in range(len(whole) + 1):
        store = store_with()
        session(store, "smtp", whole[:cut])
        assert len(contents(store)) == (1 if cut >= end else 0)


def test_P21_an_append_cut_at_every_octet() -> None:
    whole = b"c APPEND INBOX {%d}\r\n%b\r\n" % (len(ONE), ONE)
    for cut in range(len(whole) + 1):
        store = store_with()
        session(store, "imap", LOGIN, whole[:cut])
        assert contents(store) == ([ONE] if cut == len(whole) else [])


ATTACK = b"MAIL FROM:<eve@x.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\nx\r\n.\r\n"


@pytest.mark.parametrize(
    "opening",
    [
        b"POST / HTTP/1.1\r\nHost: localhost:25\r\nContent-Length: 100\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"PUT /x HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        b"SSH-2.0-client\r\n",
    ],
)
def test_P30_another_protocol_on_the_port_is_cut_off(opening: bytes) -> None:
    """A web page that has a browser talk to a mail server gets no mail through (port shifting)."""
    for chunks in ([opening + b"EHLO x\r\n" + ATTACK], [opening, b"EHLO x\r\n", ATTACK]):
        store = store_with()
        said = session(store, "smtp", *chunks)
        assert contents(store) == [], said
    for name, attack in (("imap", LOGIN), ("pop3", POP3_LOGIN)):
        said = session(store_with(ONE), name, opening + attack)
        assert said.count(b"\r\n") == 2
        assert b"\r\n* BYE " in said or b"\r\n-ERR " in said


@pytest.mark.parametrize(
    "command",
    [
        b"XCLIENT ADDR=192.0.2.1 NAME=trusted.example LOGIN=alice\r\n",
        b"XFORWARD ADDR=192.0.2.1\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\x00\x01\x00\x19\r\n",
    ],
)
def test_P30_no_command_changes_who_the_client_is(command: bytes) -> None:
    """They are unknown: nothing that follows is believed more than before."""
    store = store_with()
    rest = b"EHLO x\r\nMAIL FROM:<eve@x.example>\r\nRCPT TO:<carol@elsewhere.example>\r\nQUIT\r\n"
    for name in ("smtp", "submission"):
        for chunks in ([command + rest], [b"EHLO x\r\n", command, rest]):
            said = session(store, name, *chunks)
            assert b"192.0.2.1" not in said
            lines = said.split(b"\r\n")
            replies = [line for line in lines if line[:1] in b"45" and line]
            assert replies
            assert not any(line.startswith(b"220") for line in lines[1:])
            assert not any(line.startswith(b"235") for line in lines)
    with_identity = b"EHLO x\r\nMAIL FROM:<eve@x.example> AUTH=alice@localhost\r\n"
    with_identity += b"RCPT TO:<carol@elsewhere.example>\r\n"
    said = session(store, "submission", with_identity)
    assert b"\r\n530 " in said
