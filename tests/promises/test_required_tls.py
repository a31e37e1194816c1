"""P06: whatever a server says in clear, six lines deep, a client that wants TLS tells nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from mailproto import imap, pop3, smtp
from mailproto.errors import MailError
from mailproto.flows import imap_client, opening, pop3_client, smtp_client
from mailproto.flows.effects import Flow, Read, StartTLS, Write
from mailproto.testing.chop import properties

DEPTH = 6
LOGIN = ("alice", "wonderland")
HARMLESS = re.compile(rb"(?:EHLO|HELO|LHLO) client\.example|STARTTLS|STLS|CAPA|QUIT|NOOP|\*|")
HARMLESS_TAGGED = re.compile(rb"[A-Z][0-9]+ (?:CAPABILITY|STARTTLS|LOGOUT|NOOP)|\*|")


class Victim:
    """A client's flow on the way to TLS, and what it has said on it."""

    def __init__(self, machine: Any, flow: Flow[None]) -> None:
        self.machine = machine
        self.flow = flow
        self.said = b""
        self.heard: list[bytes] = []
        """What has come since it last spoke."""
        self.over: str | None = None
        self._resume(None)

    def hear(self, line: bytes) -> None:
        tag = self.said.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].partition(b" ")[0]
        self.heard.append(line)
        self._resume(line.replace(b"TAG", tag or b"A1") + b"\r\n")

    def _resume(self, value: object) -> None:
        try:
            effect = self.flow.send(value)
            while not isinstance(effect, Read | StartTLS):
                if isinstance(effect, Write):
                    self.said += effect.data
                    self.heard.clear()
                effect = self.flow.send(None)
            if isinstance(effect, StartTLS):
                self.over = "TLS"
        except StopIteration:
            self.over = "open without TLS"
        except MailError as error:
            self.over = type(error).__name__

    @property
    def key(self) -> object:
        """Equal for two that will behave alike."""
        # A reply of SMTP and POP3 may have many lines; a line of IMAP stands for itself.
        heard = self.heard[-1:] if isinstance(self.machine, imap.Client) else self.heard
        return self.said, tuple(heard), repr(properties(self.machine))


def smtp_victim() -> Victim:
    machine = smtp.Client()
    session = smtp_client.Session(machine, "client.example")
    return Victim(machine, opening.open_smtp(session, "starttls", LOGIN))


def lmtp_victim() -> Victim:
    machine = smtp.Client(lmtp=True)
    session = smtp_client.Session(machine, "client.example")
    return Victim(machine, opening.open_smtp(session, "starttls", LOGIN))


def imap_victim() -> Victim:
    machine = imap.Client()
    session = imap_client.Session(machine)
    flow = opening.open_imap(session, "starttls", LOGIN)
    return Victim(machine, flow)


def pop3_victim() -> Victim:
    machine = pop3.Client()
    session = pop3_client.Session(machine)
    return Victim(machine, opening.open_pop3(session, "starttls", LOGIN))


SMTP_LINES = [
    b"220 mx.example ESMTP",
    b"250-mx.example",
    b"250-AUTH PLAIN LOGIN",
    b"250 STARTTLS",
    b"250 AUTH=PLAIN",
    b"235 2.7.0 you are logged in",
    b"334 ",
    b"354 go ahead",
    b"421 closing",
    b"454 not now",
    b"503 no",
    b"220 go\r\n250 AUTH PLAIN",
]
IMAP_LINES = [
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] hi",
    b"* OK hi",
    b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi",
    b"* BYE [REFERRAL imap://evil.example/] bye",
    b"* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN",
    b"* CAPABILITY IMAP4rev1 STARTTLS",
    b"TAG OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] done",
    b"TAG NO [REFERRAL imap://evil.example/] no",
    b"TAG BAD what",
    b"+ ",
    b"TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN",
]
POP3_LINES = [
    b"+OK ready <1.2@example>",
    b"+OK",
    b"-ERR [AUTH] no",
    b"-ERR no",
    b"+ ",
    b"USER",
    b"SASL PLAIN",
    b"STLS",
    b".",
    b"+OK go\r\n+OK",
]


@pytest.mark.parametrize(
    ("make", "lines", "harmless"),
    [
        (smtp_victim, SMTP_LINES, HARMLESS),
        (lmtp_victim, SMTP_LINES, HARMLESS),
        (imap_victim, IMAP_LINES, HARMLESS_TAGGED),
        (pop3_victim, POP3_LINES, HARMLESS),
    ],
    ids=["smtp", "lmtp", "imap", "pop3"],
)
def test_P06_nothing_is_told_before_TLS(
    make: Callable[[], Victim], lines: list[bytes], harmless: re.Pattern[bytes]
) -> None:
    seen: set[object] = set()
    ends: set[str] = set()
    paths: list[tuple[bytes, ...]] = [()]
    for _ in range(DEPTH):
        longer: list[tuple[bytes, ...]] = []
        for path in paths:
            for line in lines:
                victim = make()
                for earlier in (*path, line):
                    victim.hear(earlier)
                for said in victim.said.split(b"\r\n"):
                    assert harmless.fullmatch(said), (path, line, said)
                if victim.over is not None:
                    ends.add(victim.over)
                elif victim.key not in seen:
                    seen.add(victim.key)
                    longer.append((*path, line))
        paths = longer
    assert "open without TLS" not in ends
    assert "TLS" in ends
    assert len(ends) >= 3
