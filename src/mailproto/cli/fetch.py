"""``mailproto fetch``: list or fetch mail over IMAP or POP3, to standard output or a directory."""

from __future__ import annotations

import argparse
import contextlib
import email.policy
import filecmp
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import BinaryIO, Final

from mailproto import imap, pop3, sync
from mailproto._core.limits import IMAPClientLimits
from mailproto.backend import DownloadDirectory, StoreFailure
from mailproto.cli.progress import Progress
from mailproto.cli.usage import UsageError, add_connection_options, login, printable, reason, trust
from mailproto.errors import TransportError

HELP: Final = "list or fetch mail over IMAP or POP3"

_HEADER: Final = imap.BodySection(
    imap.Section((), imap.SectionText.HEADER_FIELDS, ("Date", "From", "Subject")), peek=True
)
_WHOLE: Final = imap.BodySection(peek=True)
_THRESHOLD: Final = 256 * 1024


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_connection_options(parser, "implicit")
    parser.add_argument("--protocol", choices=("imap", "pop3"), default="imap")
    parser.add_argument("--mailbox", default="INBOX", help="IMAP only; default: INBOX")
    parser.add_argument(
        "--message",
        type=_message_number,
        action="append",
        metavar="ID",
        help="UID (IMAP) or number (POP3) of a message (repeatable); by default all",
    )
    parser.add_argument(
        "--list", action="store_true", help="only list: id, octets, date, from, subject"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write each message to DIR/ID.eml; where another one is there, to DIR/ID-2.eml",
    )
    parser.add_argument(
        "--delete", action="store_true", help="remove what was fetched; needs --output"
    )
    parser.add_argument(
        "--new",
        action="store_true",
        help="POP3 only: fetch what DIR has not had before, each message once even if a run is"
        " interrupted, and remember it there; needs --output",
    )
    parser.add_argument(
        "--leave-days",
        type=_days,
        metavar="N",
        help="with --new: remove messages N days after they were fetched",
    )
    parser.add_argument(
        "--missing-crlf",
        action="store_true",
        help="POP3 only: a message that runs into its final dot ends at the size that LIST tells;"
        " only for servers whose sizes are right",
    )


def run(options: argparse.Namespace) -> int:
    """List or fetch."""
    if options.user is None:
        raise UsageError("--user is missing: who logs in?")
    if options.missing_crlf and options.protocol != "pop3":
        raise UsageError("--missing-crlf needs --protocol pop3")
    if options.delete and (options.output is None or options.list):
        raise UsageError("--delete needs --output: what is removed must be kept somewhere")
    if options.new:
        return _fetch_new(options)
    if options.leave_days is not None:
        raise UsageError("--leave-days needs --new: only what is remembered has an age")
    if options.output is not None:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to {options.output}: {reason(error)}") from error
    with _connected(options) as session:
        messages = session.messages(options.message)
        if options.list:
            for number, size in messages:
                print(_line(number, size, session.header(number)))
        else:
            for number, size in messages:
                _fetch(session, number, size, options.output)
        if options.delete:
            session.delete([number for number, _ in messages])
    missing = {*(options.message or ())} - {number for number, _ in messages}
    for number in sorted(missing):
        print(f"message {number} is not there", file=sys.stderr)
    return 1 if missing else 0


def _fetch_new(options: argparse.Namespace) -> int:
    """Download by POP3 into a directory that remembers."""
    if options.protocol != "pop3" or options.output is None or options.list or options.message:
        raise UsageError(
            "--new needs --protocol pop3 and --output, and neither --list nor --message"
        )
    if options.delete and options.leave_days is not None:
        raise UsageError("--delete removes at once and --leave-days later: name one of them")
    leave_days = 0.0 if options.delete else options.leave_days
    arrivals = DownloadDirectory(options.output, f"{options.user}@{options.host}")
    try:
        with _maildrop(options) as client:
            done = client.download(arrivals, leave_days=leave_days)
    except StoreFailure as error:
        raise UsageError(str(error)) from error
    for number, why in done.refused.items():
        print(f"message {number} stays on the server: {printable(why)}", file=sys.stderr)
    print(f"{done.received} received, {done.removed} removed, {done.left} left")
    return 1 if done.refused else 0


def _maildrop(options: argparse.Namespace) -> sync.pop3.Client:
    told = set[pop3.Quirk]()

    def tell(quirk: pop3.Quirk, _: pop3.Command | None) -> None:
        if quirk not in told:
            told.add(quirk)
            print(f"the server departs from the RFCs: {quirk.name}", file=sys.stderr)

    return sync.pop3.connect(
        options.host,
        options.port,
        tls=options.tls,
        login=login(options),
        tls_context=trust(options.ca),
        allow_insecure_auth=options.allow_insecure_auth,
        missing_crlf=options.missing_crlf,
        on_quirk=tell,
    )


@contextlib.contextmanager
def _connected(options: argparse.Namespace) -> Generator[_Session]:
    if options.protocol == "pop3":
        with _maildrop(options) as maildrop:
            yield _POP3(maildrop)
        return
    with sync.imap.connect(
        options.host,
        options.port,
        tls=options.tls,
        login=login(options),
        tls_context=trust(options.ca),
        allow_insecure_auth=options.allow_insecure_auth,
        limits=IMAPClientLimits(literal_threshold=_THRESHOLD),
    ) as client:
        client.select(options.mailbox, read_only=not options.delete)
        yield _IMAP(client)


class _Session(ABC):
    """What listing and fetching need of a protocol."""

    @abstractmethod
    def messages(self, wanted: Sequence[int] | None) -> list[tuple[int, int]]:
        """Ids and octets of the messages that are wanted and there."""

    @abstractmethod
    def header(self, number: int) -> bytes:
        """At least Date, From and Subject."""

    @abstractmethod
    def retrieve(self, number: int, take: Callable[[bytes], object]) -> None:
        """The whole message, in pieces for ``take``."""

    @abstractmethod
    def delete(self, numbers: Sequence[int]) -> None:
        """Remove these."""


class _IMAP(_Session):
    def __init__(self, client: sync.imap.Client) -> None:
        self._client = client

    def messages(self, wanted: Sequence[int] | None) -> list[tuple[int, int]]:
        mailbox = self._client.mailbox
        if mailbox is None or not mailbox.exists or wanted == []:
            return []
        found = self._client.fetch(
            "1:*" if wanted is None else wanted,
            (imap.FetchAtt.UID, imap.FetchAtt.RFC822_SIZE),
            uid=True,
        )
        return [(f.uid, f.size) for f in found if f.uid is not None and f.size is not None]

    def header(self, number: int) -> bytes:
        pieces: list[bytes] = []
        self._sections(number, _HEADER, pieces.append)
        return b"".join(pieces)

    def retrieve(self, number: int, take: Callable[[bytes], object]) -> None:
        self._sections(number, _WHOLE, take)

    def _sections(
        self, number: int, item: imap.BodySection, take: Callable[[bytes], object]
    ) -> None:
        found = self._client.fetch(number, item, uid=True, on_chunk=lambda _, piece: take(piece))
        for data in found:
            for section in data.sections:
                if isinstance(section.data, bytes):
                    take(section.data)

    def delete(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        self._client.store(numbers, imap.StoreAction.ADD, r"\Deleted", silent=True, uid=True)
        # Without UIDPLUS others' deleted messages would go as well.
        only = numbers if "UIDPLUS" in self._client.capabilities() else None
        self._client.expunge(only)


class _POP3(_Session):
    def __init__(self, client: sync.pop3.Client) -> None:
        self._client = client

    def messages(self, wanted: Sequence[int] | None) -> list[tuple[int, int]]:
        sizes = self._client.list()
        return [
            (number, size) for number, size in sizes.items() if wanted is None or number in wanted
        ]

    def header(self, number: int) -> bytes:
        return self._client.top(number)

    def retrieve(self, number: int, take: Callable[[bytes], object]) -> None:
        self._client.retrieve_into(number, take)

    def delete(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._client.delete(number)


def _fetch(session: _Session, number: int, size: int, output: Path | None) -> None:
    """Fetch one message; when this returns it is safely written."""
    if output is None:
        with Progress(f"message {number}", size) as progress:
            session.retrieve(number, _taker(sys.stdout.buffer, progress))
            sys.stdout.buffer.flush()
        return
    # Under another name until it is whole, so that no half message is taken for one.
    part = output / f"{number}.part"
    try:
        with open(part, "wb") as file, Progress(f"message {number}", size) as progress:
            session.retrieve(number, _taker(file, progress))
            file.flush()
            os.fsync(file.fileno())
        part.replace(_place(output, number, part))
    except TransportError:
        raise
    except OSError as error:
        raise UsageError(f"cannot write {part}: {reason(error)}") from error


def _place(output: Path, number: int, part: Path) -> Path:
    """Where a message goes: an id of POP3 is another message's in the next session."""
    target = output / f"{number}.eml"
    copy = 1
    while target.exists() and not filecmp.cmp(part, target, shallow=False):
        copy += 1
        target = output / f"{number}-{copy}.eml"
    return target


def _taker(file: BinaryIO, progress: Progress) -> Callable[[bytes], object]:
    def take(piece: bytes) -> None:
        file.write(piece)
        progress.add(len(piece))

    return take


def _line(number: int, size: int, header: bytes) -> str:
    fields = BytesHeaderParser(policy=email.policy.default).parsebytes(header)
    shown = [printable(str(fields.get(name, ""))) for name in ("Date", "From", "Subject")]
    return "\t".join([str(number), str(size), *shown])


def _days(text: str) -> float:
    if not (text.isascii() and text.isdigit() and int(text) < 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days")
    return float(text)


def _message_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not the id of a message")
    return int(text)
