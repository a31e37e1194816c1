"""P16 against servers that quote: what a client has told is in no trace and no exception."""

from __future__ import annotations

import base64
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from flows.sasl_world import CREDENTIALS, PROTOCOLS, World, ident
from mailproto import imap, pop3, sasl, smtp
from mailproto.errors import MailError
from mailproto.flows.effects import Flow, read, write

CANARY = "Canary-7Q4x.Zk9w"
HELLO = {
    "smtp": [b"220 x\r\n", b"250-x\r\n250 AUTH %b\r\n"],
    "lmtp": [b"220 x\r\n", b"250-x\r\n250 AUTH %b\r\n"],
    "imap": [b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=%b] hi\r\n"],
    "pop3": [b"+OK hi\r\n", b"+OK\r\nUSER\r\nSASL %b\r\n.\r\n"],
}
REFUSAL = {
    "smtp": b"535-5.7.8 what\r\n535 5.7.8 is %b?\r\n",
    "lmtp": b"535 5.7.8 what is %b?\r\n",
    "imap": b"* NO what is %b?\r\nA1 NO [ALERT] what is %b?\r\n",
    "pop3": b"-ERR [AUTH] what is %b?\r\n",
}
CHALLENGE = {"smtp": b"334 ", "lmtp": b"334 ", "imap": b"+ ", "pop3": b"+ "}
TELLING = [
    mechanism for mechanism in sasl.MECHANISMS if mechanism.strength is sasl.Strength.PLAINTEXT
]


def secret(credentials: sasl.Credentials) -> sasl.Credentials:
    if isinstance(credentials, sasl.TokenCredentials):
        return sasl.TokenCredentials("alice", CANARY)
    return sasl.PasswordCredentials("alice", CANARY)


def quoting(
    world: World, mechanism: sasl.Mechanism, challenges: int, quote: Callable[[bytes], bytes]
) -> Flow[None]:
    """A server that quotes the last line it got in its refusal."""
    hello = HELLO[world.protocol]
    yield from write(hello[0].replace(b"%b", mechanism.name.encode()))
    for answer in hello[1:]:
        yield from read()
        yield from write(answer.replace(b"%b", mechanism.name.encode()))
    last = b""
    for _ in range(challenges):
        last = (yield from read()) or b""
        yield from write(CHALLENGE[world.protocol] + b"\r\n")
    last = (yield from read()) or last
    words = last.removesuffix(b"\r\n").split(b" ")[-1]
    yield from write(REFUSAL[world.protocol].replace(b"%b", quote(words)))


QUOTES: dict[str, Callable[[bytes], bytes]] = {
    "as it came": lambda line: line,
    "decoded": lambda line: b" ".join(re.split(rb"[\0\1]+", base64.b64decode(line))).strip(),
    "the password alone": lambda line: CANARY.encode(),
}


def told(error: BaseException, heard: list[bytes]) -> str:
    shown = [repr(error), str(error), repr(vars(error)), *traceback.format_exception(error)]
    return "\n".join([*shown, *(line.decode("latin-1") for line in heard)])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", TELLING, ids=ident)
@pytest.mark.parametrize("quote", QUOTES)
def test_P16_a_refusal_that_quotes_the_secret(
    protocol: str, mechanism: sasl.Mechanism, quote: str
) -> None:
    heard: list[bytes] = []
    world = World(protocol, trace=lambda side, line: heard.append(line))
    credentials = secret(CREDENTIALS[mechanism])
    challenges = 2 if mechanism is sasl.LOGIN else 0

    def client(session: Any) -> Flow[MailError]:
        yield from world.open(session)
        with pytest.raises(MailError) as caught:
            yield from session.authenticate(credentials, mechanisms=(mechanism,))
        return caught.value

    server = quoting(world, mechanism, challenges, QUOTES[quote])
    error = world.talk(client(world.session()), server)
    text = told(error, heard)
    assert "what" in text
    assert CANARY not in text
    for response in (world.said("C")[-1].split(b" ")[-1], base64.b64encode(CANARY.encode())):
        assert response.decode() not in text
    assert "<hidden>?" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", [sasl.PLAIN, sasl.LOGIN], ids=ident)
def test_P16_a_server_that_says_again_what_it_is_told(
    protocol: str, mechanism: sasl.Mechanism
) -> None:
    """The line of AUTH, or the response, is no answer; the error that says so does not show it."""
    heard: list[bytes] = []
    world = World(protocol, trace=lambda side, line: heard.append(line))
    hello = [line.replace(b"%b", mechanism.name.encode()) for line in HELLO[protocol]]

    def echo() -> Flow[None]:
        yield from write(hello[0])
        for answer in hello[1:]:
            yield from read()
            yield from write(answer)
        for _ in range(2 if mechanism is sasl.LOGIN else 0):
            yield from read()
            yield from write(CHALLENGE[protocol] + b"\r\n")
        said = (yield from read()) or b""
        yield from write(said * 2)

    def client(session: Any) -> Flow[MailError]:
        yield from world.open(session)
        credentials = sasl.PasswordCredentials("alice", CANARY)
        with pytest.raises(MailError) as caught:
            yield from session.authenticate(credentials, mechanisms=(mechanism,))
        return caught.value

    text = told(world.talk(client(world.session()), echo()), heard)
    assert "<hidden>" in text
    assert world.said("C")[-1].split(b" ")[-1].decode() not in text
    assert CANARY not in text


def test_P16_a_refusal_of_LOGIN_that_quotes_the_password() -> None:
    heard: list[bytes] = []
    client = imap.Client(tls=True, trace=lambda side, line: heard.append(line))
    client.receive_data(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
    client.next_event()
    client.send(imap.Login("alice", CANARY))
    client.receive_data(b"A1 NO LOGIN alice %b is wrong\r\n" % CANARY.encode())
    completion = client.next_event()
    assert isinstance(completion, imap.Completion)
    assert completion.text == "LOGIN alice <hidden> is wrong"
    assert CANARY.encode() not in b"\n".join(heard)


def test_P16_a_refusal_of_PASS_that_quotes_the_password() -> None:
    heard: list[bytes] = []
    client = pop3.Client(tls=True, trace=lambda side, line: heard.append(line))
    client.receive_data(b"+OK hi\r\n")
    client.next_event()
    client.send(pop3.User("alice"))
    client.receive_data(b"+OK\r\n")
    client.next_event()
    client.send(pop3.Pass(CANARY))
    client.receive_data(b"-ERR [AUTH] PASS %b is wrong\r\n" % CANARY.encode())
    refusal = client.next_event()
    assert isinstance(refusal, pop3.Err)
    assert refusal.text == "PASS <hidden> is wrong"
    assert CANARY.encode() not in b"\n".join(heard)


def test_P16_a_refusal_that_quotes_the_token_of_a_URLAUTH() -> None:
    """In a group: the replies before it are as they came, the one to BURL is without the token."""
    heard: list[bytes] = []
    url = f"imap://a.example/o;uid=1;urlauth=submit+alice:internal:{CANARY}"
    client = smtp.Client(tls=True, trace=lambda side, line: heard.append(line))
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("me"))
    client.receive_data(b"250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BURL imap\r\n")
    client.next_event()
    for command in (
        smtp.Mail(smtp.Mailbox.parse("a@b.example")),
        smtp.Rcpt(smtp.Mailbox.parse("c@d.example")),
    ):
        client.send(command)
    client.send(smtp.Burl(url, last=True))
    quoted = url.encode()
    client.receive_data(
        b"250 a\r\n250 b\r\n554-5.6.6 cannot\r\n554 5.6.6 resolve " + quoted + b"\r\n"
    )
    replies = [client.next_event() for _ in range(3)]
    assert replies[:2] == [smtp.Reply(250, "a"), smtp.Reply(250, "b")]
    text = repr(replies) + "\n".join(map(repr, heard))
    assert CANARY not in text
    assert "submit+alice:internal:<hidden>" in str(replies[2])


@pytest.mark.parametrize("password", ["535 5.7.8", "5.7.8 Auth", "failed", "no"])
def test_a_password_that_is_a_word_of_the_protocol_confuses_nobody(password: str) -> None:
    """Codes stay as they are, and words of fewer than eight octets are not looked for."""
    client = smtp.Client(tls=True)
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("me"))
    client.receive_data(b"250-x\r\n250 AUTH PLAIN\r\n")
    client.next_event()
    client.send(smtp.Auth("PLAIN", b"\0alice\0" + password.encode()))
    client.receive_data(b"535 5.7.8 Auth failed, no\r\n")
    reply = client.next_event()
    assert isinstance(reply, smtp.Reply)
    assert reply.code == 535
    assert reply.text.endswith("failed, no")


def test_a_challenge_is_taken_as_it_came() -> None:
    """The user of LOGIN may be a part of the next prompt in base64."""
    client = smtp.Client(tls=True)
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("me"))
    client.receive_data(b"250-x\r\n250 AUTH LOGIN\r\n")
    client.next_event()
    client.send(smtp.Auth("LOGIN"))
    client.receive_data(b"334 VXNlcm5hbWU6\r\n")
    client.next_event()
    client.send(smtp.AuthResponse(b"Pas"))
    client.receive_data(b"334 UGFzc3dvcmQ6\r\n")
    assert client.next_event() == smtp.Challenge(b"Password:")
