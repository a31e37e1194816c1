"""P11, P27: sessions of clients against servers that say anything, at random and for spite.

The flows are driven by hand, without a transport: whatever comes, a client ends with a documented
exception or goes on, never says a line that is not a command, and never believes what it was told
about a command that it had not yet sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from mailproto import imap, pop3, smtp
from mailproto.errors import MailError
from mailproto.flows import imap_client, pop3_client, smtp_client
from mailproto.flows.effects import Flow, Read, StartTLS, Write
from mailproto.sasl import PasswordCredentials

ROUNDS = 1500
CREDENTIALS = PasswordCredentials("alice", "wonderland")


def smtp_story() -> Flow[object]:
    machine = smtp.Client(allow_insecure_auth=True)
    session = smtp_client.Session(machine, "client.example")
    yield from session.begin()
    yield from session.authenticate(CREDENTIALS)
    result = yield from session.send(b"x\r\n", "a@x.example", ["b@x.example", "c@x.example"])
    yield from session.noop()
    yield from session.quit()
    return result


def imap_story() -> Flow[object]:
    session = imap_client.Session(imap.Client(allow_insecure_auth=True))
    yield from session.greeting()
    yield from session.sign_in("alice", "wonderland")
    yield from session.select("INBOX")
    yield from session.append("INBOX", [b"x\r\n"], size=3)
    found = yield from session.fetch("1:*", [imap.FetchAtt.FLAGS, imap.BodySection()])
    yield from session.noop()
    yield from session.logout()
    return found


def pop3_story() -> Flow[object]:
    session = pop3_client.Session(pop3.Client(), allow_insecure_auth=True)
    yield from session.greet()
    yield from session.login("alice", "wonderland")
    yield from session.list()
    yield from session.uidl(1)
    message = yield from session.retrieve(1)
    yield from session.delete(1)
    yield from session.quit()
    return message


SMTP_SAYS = [
    b"220 mx.example\r\n",
    b"250 ok\r\n",
    b"250-mx.example\r\n250-PIPELINING\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n",
    b"250-mx.example\r\n250 AUTH LOGIN\r\n",
    b"235 2.7.0 welcome\r\n",
    b"334 \r\n",
    b"334 VXNlcm5hbWU6\r\n",
    b"354 go\r\n",
    b"421 bye\r\n",
    b"452 full\r\n",
    b"550 5.1.1 no\r\n",
    b"221 bye\r\n",
    b"250-",
    b"2",
]
IMAP_SAYS = [
    b"* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] hi\r\n",
    b"* PREAUTH hi\r\n",
    b"* CAPABILITY IMAP4rev1 AUTH=LOGIN\r\n",
    b"TAG OK done\r\n",
    b"TAG OK [CAPABILITY IMAP4rev1] done\r\n",
    b"TAG NO no\r\n",
    b"TAG BAD what\r\n",
    b"NEXT OK done\r\n",
    b"+ \r\n",
    b"+ go\r\n",
    b"* 3 EXISTS\r\n",
    b"* 1 FETCH (FLAGS (\\Seen) BODY[] {3}\r\nx\r\n)\r\n",
    b"* 2 EXPUNGE\r\n",
    b"* BYE bye\r\n",
    b"* SEARCH 1 2\r\n",
    b"* 1 FETCH (BODY[] {9",
]
POP3_SAYS = [
    b"+OK ready\r\n",
    b"+OK\r\n",
    b"+OK 1 3\r\n",
    b"+OK 1 abc\r\n",
    b"-ERR no\r\n",
    b"-ERR [IN-USE] no\r\n",
    b"+ \r\n",
    b"USER\r\nSASL PLAIN\r\n.\r\n",
    b"USER\r\n.\r\n",
    b"1 3\r\n.\r\n",
    b"1 3\r\n",
    b".\r\n",
    b"x\r\n.\r\n",
    b"+O",
]


def converse(story: Callable[[], Flow[object]], says: list[bytes], seed: int) -> str:
    """One conversation with a server that answers at random; how it ended."""
    chance = random.Random(seed)
    flow = story()
    said = b""
    value: object = None
    try:
        for _ in range(200):
            effect = flow.send(value)
            value = None
            assert not isinstance(effect, StartTLS)
            if isinstance(effect, Write):
                said += effect.data
            elif isinstance(effect, Read):
                last = said.rstrip(b"\r\n").rpartition(b"\r\n")[2].partition(b" ")[0]
                tag = last if last[:1] == b"A" and last[1:].isdigit() else b"A1"
                lines = chance.choices(says, k=chance.choice([1, 1, 1, 2, 3]))
                data = b"".join(lines).replace(b"TAG", tag)
                data = data.replace(b"NEXT", b"A%d" % (int(tag[1:]) + 1))
                value = data if chance.random() > 0.02 else b""
    except StopIteration:
        return "done"
    except MailError as error:
        return type(error).__name__
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    return "goes on"


@pytest.mark.parametrize(
    ("story", "says"),
    [(smtp_story, SMTP_SAYS), (imap_story, IMAP_SAYS), (pop3_story, POP3_SAYS)],
    ids=["smtp", "imap", "pop3"],
)
def test_P11_P27_a_server_at_random(story: Callable[[], Flow[object]], says: list[bytes]) -> None:
    ends: dict[str, int] = {}
    for seed in range(ROUNDS):
        end = converse(story, says, seed)
        ends[end] = ends.get(end, 0) + 1
    assert ends.get("goes on", 0) < ROUNDS // 2
    assert {"RemoteProtocolError"} < set(ends)


def _sent_before_last_answer(story: Callable[[], Flow[object]], answers: list[bytes]) -> bytes:
    """What a client says when a server gives all its answers at once, before any command."""
    flow = story()
    said = b""
    value: Any = None
    waiting = [b"".join(answers)]
    try:
        while True:
            effect = flow.send(value)
            value = None
            if isinstance(effect, Write):
                said += effect.data
            elif isinstance(effect, Read):
                value = waiting.pop() if waiting else b""
    except (StopIteration, MailError):
        return said


def test_P27_answers_given_in_advance_are_no_answers() -> None:
    """A whole session in one segment: nothing of it is paired with a command that came later."""
    assert _sent_before_last_answer(smtp_story, [b"220 hi\r\n", b"250 mx\r\n" * 9]) == b""
    said = _sent_before_last_answer(
        imap_story,
        [b"* PREAUTH hi\r\n", b"A1 OK [CAPABILITY IMAP4rev1] done\r\n", b"A2 OK done\r\n"],
    )
    assert said == b""
    said = _sent_before_last_answer(
        pop3_story, [b"+OK hi\r\n", b"+OK\r\nUSER\r\n.\r\n", b"+OK\r\n", b"+OK\r\n"]
    )
    assert said == b""
