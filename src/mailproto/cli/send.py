"""``mailproto send``: submit a message from a file or from standard input."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Generator, Iterator
from email.parser import BytesHeaderParser
from typing import IO, Final

from mailproto import sync
from mailproto.cli.asking import add_parameter_options, mail_parameters, rcpt_parameters
from mailproto.cli.progress import Progress
from mailproto.cli.usage import (
    UsageError,
    add_connection_options,
    login,
    printable,
    reason,
    trust,
)
from mailproto.errors import LocalProtocolError
from mailproto.flows.pop3_content import CanonicalLines
from mailproto.flows.smtp_message import BLIND_FIELDS, recipients_of, sender_of
from mailproto.flows.smtp_result import Outcome
from mailproto.message.headers import Header
from mailproto.smtp import NULL_PATH, ForwardPath, Mail, Mailbox, Rcpt, ReversePath

HELP: Final = "submit a message from a file or from standard input"

_PIECE: Final = 64 * 1024
_IN_MEMORY: Final = 4 * 1024 * 1024
_HEADER: Final = 256 * 1024


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_connection_options(parser, "starttls")
    parser.add_argument(
        "--from",
        dest="sender",
        metavar="ADDRESS",
        help="reverse-path, empty for none; by default Sender or From of the header",
    )
    parser.add_argument(
        "--to",
        action="append",
        metavar="ADDRESS",
        help="recipient (repeatable); by default To, Cc and Bcc of the header",
    )
    parser.add_argument("--lmtp", action="store_true", help="deliver by LMTP")
    add_parameter_options(parser)
    parser.add_argument("file", metavar="FILE", help="the message; - is standard input")


def run(options: argparse.Namespace) -> int:
    """Send it, and tell what became of each recipient."""
    if options.lmtp and options.port is None:
        raise UsageError("--lmtp needs --port: LMTP has no port of its own")
    parameters = mail_parameters(options)
    with _message(options.file) as (content, size):
        header = content.read(_HEADER)
        sender, recipients, skip = _envelope(options, header)
        with (
            sync.smtp.connect(
                options.host,
                options.port,
                tls=options.tls,
                login=login(options),
                lmtp=options.lmtp,
                tls_context=trust(options.ca),
                allow_insecure_auth=options.allow_insecure_auth,
                long_lines=True,
            ) as client,
            Progress("sending", size) as progress,
        ):
            pieces = _pieces(content, skip, progress)
            left_out = sum(end - start for start, end in skip)
            mail = Mail(sender, smtputf8=options.smtputf8, parameters=parameters)
            asked = rcpt_parameters(options)
            result = client.run(
                client.session.send(
                    pieces, mail, [Rcpt(path, asked) for path in recipients], size=size - left_out
                )
            )
    for recipient in result.recipients:
        print(
            f"{recipient.outcome.value} {recipient.forward_path}: {printable(str(recipient.reply))}"
        )
    return 0 if all(r.outcome is Outcome.DELIVERED for r in result.recipients) else 1


@contextlib.contextmanager
def _message(file: str) -> Generator[tuple[IO[bytes], int]]:
    """The message with CRLF at every line's end, and its octets."""
    with contextlib.ExitStack() as stack:
        try:
            source = sys.stdin.buffer if file == "-" else stack.enter_context(open(file, "rb"))
            spool = stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
            lines = CanonicalLines()
            while piece := source.read(_PIECE):
                spool.write(lines.feed(piece))
            spool.write(lines.finish())
        except OSError as error:
            raise UsageError(f"cannot read {file}: {reason(error)}") from error
        size = spool.tell()
        spool.seek(0)
        yield spool, size


def _envelope(
    options: argparse.Namespace, header: bytes
) -> tuple[ReversePath, list[ForwardPath], list[tuple[int, int]]]:
    """Reverse-path, recipients, and the ranges of the header that are not to be sent (Bcc)."""
    end = header.find(b"\r\n\r\n")
    fields = header if end < 0 else header[: end + 4]
    message = BytesHeaderParser().parsebytes(fields)
    parsed = Header.parse(fields)
    skip = sorted(
        (field.start, field.end) for name in BLIND_FIELDS for field in parsed.all(name.encode())
    )
    try:
        sender: ReversePath
        if options.sender is None:
            sender = sender_of(message)
        else:
            sender = Mailbox.parse(options.sender) if options.sender else NULL_PATH
        recipients: list[ForwardPath]
        if options.to is None:
            recipients = [*recipients_of(message)]
        else:
            recipients = [Mailbox.parse(address) for address in options.to]
    except LocalProtocolError as error:
        raise UsageError(f"the envelope: {error}") from error
    return sender, recipients, skip


def _pieces(content: IO[bytes], skip: list[tuple[int, int]], progress: Progress) -> Iterator[bytes]:
    position = 0
    for start, end in (*skip, (None, None)):
        content.seek(position)
        while piece := content.read(_PIECE if start is None else min(_PIECE, start - position)):
            position += len(piece)
            progress.add(len(piece))
            yield piece
        if end is not None:
            position = end
