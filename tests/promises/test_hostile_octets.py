"""P09, P10: what nests or repeats costs time by its octets and no stack: SMTP, POP3, SASL."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from mailproto import pop3, sasl, smtp
from mailproto.errors import MailError
from mailproto.testing.chop import sized
from mailproto.testing.growth import assert_linear

LEVELS: Final = 100_000
PIECES: Final = [
    b"(", b"<", b"[", b'"', b"\\", b"<@a,", b"a.", b"=,", b"\\x{41}", b".", b"\r\n", b"NOOP\r\n",
]  # fmt: skip
# Room for every limit, so that the depth is the machine's and not the limit's.
BIG: Final = 10**8


def exhausted(machine: Any, data: bytes, answer: Callable[[Any, object], object]) -> None:
    """Everything that the machine makes of ``data``."""
    for chunk in sized(data, 65_536):
        machine.receive_data(chunk)
        while not isinstance(event := machine.next_event(), type(smtp.PAUSED)):
            if isinstance(event, smtp.ConnectionClosed):
                return
            answer(machine, event)
        machine.data_to_send()


def accept(machine: Any, event: object) -> None:
    with contextlib.suppress(MailError):
        if isinstance(event, smtp.Auth | smtp.AuthResponse):
            machine.send(smtp.Reply(535, "no"))
        elif isinstance(event, pop3.Auth | pop3.AuthResponse | pop3.Pass):
            machine.send(pop3.Err("no"))
        elif not isinstance(event, smtp.Body):
            machine.accept()


def smtp_server(data: bytes, *before: bytes) -> None:
    limits = smtp.SMTPServerLimits(command_line=BIG, errors=BIG, idle_commands=BIG)
    offer = smtp.Offer(dsn=True, no_soliciting=(), burl=("imap",), etrn=True, mtrk=True)
    server = smtp.Server(offer=offer, limits=limits, tls=True)
    server.accept()
    exhausted(server, b"EHLO a\r\n" + b"".join(before) + data + b"\r\n", accept)


def smtp_client(data: bytes) -> None:
    limits = smtp.SMTPClientLimits(reply_line=BIG, reply=BIG, reply_lines=BIG)
    client = smtp.Client(limits=limits)
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("a"))
    exhausted(client, b"250-x\r\n250-" + data + b"\r\n250 x\r\n", lambda machine, event: None)


def pop3_server(data: bytes) -> None:
    limits = pop3.POP3ServerLimits(command_line=BIG, authentication_line=BIG, errors=BIG)
    server = pop3.Server(limits=limits, tls=True)
    server.accept()
    exhausted(server, data + b"\r\n", accept)


def pop3_client(data: bytes, command: pop3.Command) -> None:
    client = pop3.Client(tls=True)
    client.receive_data(b"+OK\r\n")
    client.next_event()
    for each in (pop3.User("a"), pop3.Pass("b")):
        client.send(each)
        client.receive_data(b"+OK\r\n")
        client.next_event()
    client.send(command)
    exhausted(client, b"+OK " + data[:400] + b"\r\n" + data, lambda machine, event: None)


def exchanges(data: bytes) -> None:
    """Every mechanism: ``data`` as the first message, and as the answer to the first."""
    offer = sasl.Offer(sasl.MECHANISMS)
    for mechanism in sasl.MECHANISMS:
        for initial in (data, b"n,,n=" + data + b",r=" + data, b"\0" + data + b"\0" + data, None):
            exchange = offer.begin(mechanism.name, tls=True, channel_bindings=(BINDING,))
            if exchange is not None and isinstance(exchange.start(initial), sasl.Challenge):
                exchange.respond(data)
    credentials = sasl.PasswordCredentials("a", "b")
    for name in ("SCRAM-SHA-256", "CRAM-MD5", "LOGIN"):
        client = sasl.choose([name], credentials, tls=True)
        client.start()
        with contextlib.suppress(sasl.SASLError):
            client.respond(data)


BINDING: Final = sasl.ChannelBinding("tls-unique", b"x")


READERS: Final[dict[str, Callable[[bytes], None]]] = {
    "SMTP command": smtp_server,
    "SMTP path": lambda data: smtp_server(b"MAIL FROM:<" + data + b"@a>"),
    "SMTP parameter": lambda data: smtp_server(b"MAIL FROM:<> SOLICIT=" + data),
    "SMTP recipient": lambda data: smtp_server(
        b"RCPT TO:<a@localhost> ORCPT=utf-8;" + data, b"MAIL FROM:<>\r\n"
    ),
    "SMTP content": lambda data: smtp_server(
        data, b"MAIL FROM:<>\r\nRCPT TO:<a@localhost>\r\nDATA\r\n"
    ),
    "SMTP reply": smtp_client,
    "POP3 command": pop3_server,
    "POP3 message": lambda data: pop3_client(data, pop3.Retr(1)),
    "POP3 listing": lambda data: pop3_client(data, pop3.List()),
    "POP3 capabilities": lambda data: pop3_client(data, pop3.Capa()),
    "SASL": exchanges,
}


@pytest.mark.parametrize("name", READERS)
def test_P09_time_is_linear(name: str) -> None:
    for piece in PIECES:

        def read(octets: int, piece: bytes = piece) -> Callable[[], None]:
            value = piece * (octets // len(piece))

            def work() -> None:
                with contextlib.suppress(MailError):
                    READERS[name](value)

            return work

        assert_linear(read, 2_000)


@contextlib.contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("name", READERS)
def test_P10_depth_needs_no_stack(name: str) -> None:
    failures = list[BaseException]()

    def work() -> None:
        for piece in PIECES:
            try:
                READERS[name](piece * (LEVELS // len(piece)))
            except MailError:
                pass
            except BaseException as error:
                error.add_note(f"for {piece!r}")
                failures.append(error)

    with recursion_limit(200):
        # A new thread begins with an empty stack.
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert failures == []
