"""``mailproto demo``: one message from a program to two devices and a download, on loopback.

Everything is real: sockets, TLS, four servers, five clients. What the screen shows are the lines
the machines traced; what it says at the end was checked.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from mailproto import imap, sync
from mailproto.cli.certificate import make_certificate
from mailproto.cli.report import Leg, Report
from mailproto.cli.stage import HOST, Site, open_stage
from mailproto.cli.usage import UsageError
from mailproto.flows.effects import Wakeup
from mailproto.flows.tls import client_context

HELP: Final = "show one message travel SMTP, SMTP, IMAP and POP3, on loopback"

ALICE: Final = "alice@sender.example"
BOB: Final = "bob@recipient.example"
_PATIENCE: Final = 10.0
_WHOLE: Final = imap.BodySection(peek=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--quiet", action="store_true", help="only the facts, no transcript")


def run(options: argparse.Namespace) -> int:
    """Tell the story; the exit status is 0 if every check held."""
    report = Report(sys.stdout, transcript=not options.quiet)
    with tempfile.TemporaryDirectory(prefix="mailproto-") as directory:
        try:
            files = make_certificate(Path(directory))
        except ImportError as error:
            raise UsageError("the demo needs the extra mailproto[cli]") from error
        passwords = {ALICE: secrets.token_urlsafe(12), BOB: secrets.token_urlsafe(12)}
        relayed = report.leg("sender.example relays it to recipient.example", "SMTP")
        with open_stage(files) as stage:
            theirs = stage.site(
                "recipient.example", {BOB: passwords[BOB]}, ("smtp", "imap", "pop3")
            )
            ours = stage.site(
                "sender.example",
                {ALICE: passwords[ALICE]},
                ("submission",),
                relay=(HOST, theirs.ports["smtp"]),
                relay_trace=relayed.trace,
            )
            story = _Story(report, ours, theirs, passwords, client_context(files.cert))
            story.submit(relayed)
            story.two_devices()
            story.download()
        report.check(
            "no password is in any transcript",
            not any(password in line for password in passwords.values() for line in report.lines),
        )
    return 0 if report.conclude() else 1


class _Story:
    """The legs of the journey, each told and checked."""

    def __init__(
        self,
        report: Report,
        ours: Site,
        theirs: Site,
        passwords: dict[str, str],
        trust: ssl.SSLContext,
    ) -> None:
        self._report = report
        self._ours = ours
        self._theirs = theirs
        self._passwords = passwords
        self._trust = trust
        self._sent = [_message("Meeting", "At nine?\n.\nA line with a dot came before this one.\n")]
        self._sent.append(_message("Minutes", "They are short.\n"))

    def submit(self, relayed: Leg) -> None:
        """A program submits two messages; the 250 comes after the next server has them."""
        leg = self._report.leg("A program submits a message to sender.example", "SMTP")
        with sync.smtp.connect(
            HOST,
            self._ours.ports["submission"],
            tls="starttls",
            login=(ALICE, self._passwords[ALICE]),
            tls_context=self._trust,
            trace=leg.trace,
        ) as client:
            results = [client.send(message) for message in self._sent]
        leg.show("STARTTLS before AUTH; the password never travels, SCRAM proves it")
        relayed.show("the same envelope and content, one hop further, before the 250 above")
        check = self._report.check
        before = leg.lines[: next(n for n, line in enumerate(leg.lines) if "STARTTLS" in line[:12])]
        check(
            "AUTH was offered under TLS and not before",
            not any(line.startswith("S: 250-AUTH") for line in before)
            and any(line.startswith("S: 250-AUTH") for line in leg.lines),
        )
        check("the program got a 250 for each message", all(len(r.delivered) == 1 for r in results))
        check(
            "the recipient's server had taken each one before",
            relayed.lines.count("C: .") == len(self._sent),
        )

    def two_devices(self) -> None:
        """Two IMAP sessions of Bob stay in step."""
        phone_leg = self._report.leg("Bob's phone reads, flags and moves it", "IMAP")
        laptop_leg = self._report.leg("Bob's laptop watches", "IMAP")
        check = self._report.check
        with self._imap(phone_leg) as phone, self._imap(laptop_leg) as laptop:
            phone.create("Archive")
            seen = [device.select("INBOX").exists for device in (phone, laptop)]
            check("both devices see both messages", seen == [2, 2])
            content = [
                data.section() for device in (phone, laptop) for data in device.fetch("1:*", _WHOLE)
            ]
            check(
                "each octet arrived, behind the trace fields of the two servers",
                all(
                    isinstance(octets, bytes)
                    and octets.endswith(sent.as_bytes().replace(b"\n", b"\r\n"))
                    and octets.count(b"Received: ") == 2
                    for octets, sent in zip(content, self._sent * 2, strict=True)
                ),
            )
            with _watching(laptop) as news:
                phone.store(1, imap.StoreAction.ADD, r"\Flagged")
                flagged = news(
                    lambda event: (
                        isinstance(event, imap.FetchData)
                        and event.number == 1
                        and r"\Flagged" in (event.flags or ())
                    )
                )
                check("a flag set on the phone appeared on the idling laptop", flagged)
                phone.move(1, "Archive")
                check(
                    "the laptop was told that the message left INBOX",
                    news(lambda event: event == imap.ExpungeData(1)),
                )
            archive = laptop.select("Archive")
            moved = laptop.fetch("1:*", (imap.FetchAtt.ENVELOPE, imap.FetchAtt.FLAGS))
            check(
                "and found it in Archive, flag and all",
                archive.exists == 1
                and [data.envelope.subject for data in moved if data.envelope] == [b"Meeting"]
                and r"\Flagged" in (moved[0].flags or ()),
            )
        phone_leg.show("STARTTLS again; FETCH answers are shortened here")
        laptop_leg.show("IDLE: what the phone does arrives unasked")

    def download(self) -> None:
        """A POP3 program takes what is in INBOX, and IMAP agrees."""
        leg = self._report.leg("A POP3 program downloads what is there", "POP3")
        check = self._report.check
        with sync.pop3.connect(
            HOST,
            self._theirs.ports["pop3"],
            tls="starttls",
            login=(BOB, self._passwords[BOB]),
            tls_context=self._trust,
            trace=leg.trace,
        ) as maildrop:
            numbers = list(maildrop.list())
            messages = [maildrop.retrieve(number) for number in numbers]
            for number in numbers:
                maildrop.delete(number)
        leg.show("DELE marks, QUIT removes")
        wanted = self._sent[1].as_bytes().replace(b"\n", b"\r\n")
        check(
            "POP3 downloaded the message that was left in INBOX",
            len(messages) == 1 and messages[0].endswith(wanted),
        )
        after = self._report.leg("IMAP agrees", "IMAP")
        with self._imap(after) as client:
            count = imap.StatusItem.MESSAGES
            counts = {name: client.status(name, count)[count] for name in ("INBOX", "Archive")}
        after.show("deleted by POP3 is gone for IMAP; the archive is untouched")
        check("INBOX is empty and Archive has one message", counts == {"INBOX": 0, "Archive": 1})

    def _imap(self, leg: Leg) -> sync.imap.Client:
        return sync.imap.connect(
            HOST,
            self._theirs.ports["imap"],
            tls="starttls",
            login=(BOB, self._passwords[BOB]),
            tls_context=self._trust,
            trace=leg.trace,
        )


@contextlib.contextmanager
def _watching(
    client: sync.imap.Client,
) -> Generator[Callable[[Callable[[imap.ClientEvent], bool]], bool]]:
    """Let ``client`` idle in a thread; gives a function that waits for an event."""
    stop = Wakeup()
    arrived = threading.Condition()
    events: list[imap.ClientEvent] = []

    def take(event: imap.ClientEvent) -> None:
        with arrived:
            events.append(event)
            arrived.notify_all()

    def wait_for(wanted: Callable[[imap.ClientEvent], bool]) -> bool:
        with arrived:
            return arrived.wait_for(lambda: any(map(wanted, events)), _PATIENCE)

    thread = threading.Thread(target=client.idle, args=(take,), kwargs={"stop": stop})
    thread.start()
    try:
        yield wait_for
    finally:
        stop.set()
        thread.join()


def _message(subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Alice <{ALICE}>"
    message["To"] = f"Bob <{BOB}>"
    message["Subject"] = subject
    message.set_content(text)
    return message
