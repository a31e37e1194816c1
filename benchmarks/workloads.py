"""The workloads. To add one, write one function."""

from __future__ import annotations

import data
from loopback import transaction
from registry import KIB, MIB, Job, in_chunks, workload

Exchange = tuple[bytes, int]
"""Octets that arrive together, and how many replies they are worth."""


def transactions(content: bytes, count: int, *, pipelined: bool) -> Job:
    """An SMTP session of equal transactions, as a server receives it."""
    wire = data.stuffed(content)
    mail = b"MAIL FROM:<sender@example.test> SIZE=%d\r\n" % len(content)
    rcpt, start = b"RCPT TO:<recipient@example.test>\r\n", b"DATA\r\n"
    pieces = in_chunks(wire)
    body = [(piece, 0) for piece in pieces[:-1]] + [(pieces[-1], 1)]
    commands = [(mail + rcpt + start, 3)] if pipelined else [(mail, 1), (rcpt, 1), (start, 1)]
    given: list[Exchange] = [(b"EHLO client.example.test\r\n", 1)] + (commands + body) * count
    return Job(given, [content] * count, sum(len(chunk) for chunk, _ in given))


@workload(role="smtp_server", unit="transaction of 2 KiB", units=10_000)
def smtp_server_small_pipelined(units: int) -> Job:
    """SMTP server, 2 KiB transactions, MAIL, RCPT and DATA in one segment"""
    return transactions(data.normal_content(2 * KIB), units, pipelined=True)


@workload(role="smtp_server", unit="transaction of 2 KiB", units=10_000)
def smtp_server_small_sequential(units: int) -> Job:
    """SMTP server, 2 KiB transactions, one command a segment"""
    return transactions(data.normal_content(2 * KIB), units, pipelined=False)


@workload(role="smtp_server", unit="message of 1 MiB", units=100)
def smtp_server_content_normal(units: int) -> Job:
    """SMTP server, 1 MiB of text, a leading dot on one line in fifty"""
    return transactions(data.normal_content(MIB), units, pipelined=True)


@workload(role="smtp_server", unit="message of 1 MiB", units=100)
def smtp_server_content_base64(units: int) -> Job:
    """SMTP server, 1 MiB of base64"""
    return transactions(data.base64_content(MIB), units, pipelined=True)


@workload(role="smtp_server", unit="message of 1 MiB", units=100)
def smtp_server_content_worst(units: int) -> Job:
    """SMTP server, 1 MiB in which every line is a dot"""
    return transactions(data.dots_content(MIB), units, pipelined=True)


@workload(role="smtp_server_octets", unit="octet", units=1_000_000)
def smtp_server_octet_by_octet(units: int) -> Job:
    """SMTP server, text that arrives octet by octet"""
    whole = transactions(data.normal_content(units), 1, pipelined=False)
    given = [chunk[at : at + 1] for chunk, _ in whole.given for at in range(len(chunk))]
    return Job([(octet, 0) for octet in given], whole.expected, units)


def submissions(content: bytes, count: int) -> Job:
    """The same content, to be encoded after DATA as many times."""
    wire = data.stuffed(content)
    return Job((content, count), [wire] * count, len(wire) * count)


@workload(role="smtp_client", unit="message of 1 MiB", units=100)
def smtp_client_content_normal(units: int) -> Job:
    """SMTP client, encoding 1 MiB of text"""
    return submissions(data.normal_content(MIB), units)


@workload(role="smtp_client", unit="message of 1 MiB", units=100)
def smtp_client_content_base64(units: int) -> Job:
    """SMTP client, encoding 1 MiB of base64"""
    return submissions(data.base64_content(MIB), units)


@workload(role="smtp_client", unit="message of 1 MiB", units=100)
def smtp_client_content_worst(units: int) -> Job:
    """SMTP client, encoding 1 MiB in which every line is a dot"""
    return submissions(data.dots_content(MIB), units)


def sessions(content: bytes, count: int) -> Job:
    """As many messages to submit; what must come out are the octets between 354 and 250."""
    wire = data.stuffed(content)
    return Job((content, count), [wire] * count, len(wire) * count)


@workload(role="smtp_submission", unit="transaction of 2 KiB", units=10_000)
def smtp_client_small_sequential(units: int) -> Job:
    """SMTP client, 2 KiB transactions, one command at a time"""
    return sessions(data.normal_content(2 * KIB), units)


@workload(role="smtp_submission_pipelined", unit="transaction of 2 KiB", units=10_000)
def smtp_client_small_pipelined(units: int) -> Job:
    """SMTP client, 2 KiB transactions, pipelined by who can (smtplib and aiosmtplib cannot)"""
    return sessions(data.normal_content(2 * KIB), units)


def loopback(count: int, mode: str) -> Job:
    """So many messages over one connection, from `loopback.py`."""
    content = data.normal_content(2 * KIB)
    octets = sum(len(chunk) for chunk, _ in transaction(content, mode))
    return Job((count, mode), [content] * count, octets * count)


@workload(role="smtp_loopback", unit="transaction of 2 KiB", units=2_000)
def smtp_loopback_pipelined(units: int) -> Job:
    """SMTP server over loopback, its process only, 2 KiB transactions, pipelined"""
    return loopback(units, "pipelined")


@workload(role="smtp_loopback", unit="transaction of 2 KiB", units=2_000)
def smtp_loopback_sequential(units: int) -> Job:
    """SMTP server over loopback, its process only, 2 KiB transactions, one command at a time"""
    return loopback(units, "sequential")


@workload(role="imap_client", unit="message", units=10_000)
def imap_client_fetch_full(units: int) -> Job:
    """IMAP client, FETCH of UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE"""
    lines, said = data.fetch_responses(units)
    return Job(lines, said, sum(map(len, lines)))


@workload(role="imap_client", unit="message", units=100_000)
def imap_client_fetch_flags(units: int) -> Job:
    """IMAP client, FETCH of UID and FLAGS"""
    lines, said = data.flags_responses(units)
    return Job(lines, said, sum(map(len, lines)))


@workload(role="imap_server", unit="command", units=10_000)
def imap_server_commands(units: int) -> Job:
    """IMAP server, a mix of commands in the selected state"""
    lines, names = data.commands(units)
    return Job(lines, names, sum(map(len, lines)))


def retrievals(content: bytes, count: int) -> Job:
    """Answers to that many RETR commands."""
    wire = b"+OK %d octets\r\n" % len(content) + data.stuffed(content)
    return Job((wire, count), [content] * count, len(wire) * count)


@workload(role="pop3_client", unit="message of 1 MiB", units=100)
def pop3_client_retr_normal(units: int) -> Job:
    """POP3 client, RETR of 1 MiB of text"""
    return retrievals(data.normal_content(MIB), units)


@workload(role="pop3_client", unit="message of 1 MiB", units=100)
def pop3_client_retr_worst(units: int) -> Job:
    """POP3 client, RETR of 1 MiB in which every line is a dot"""
    return retrievals(data.dots_content(MIB), units)


@workload(role="pop3_client", unit="message of 2 KiB", units=10_000)
def pop3_client_retr_small(units: int) -> Job:
    """POP3 client, RETR of 2 KiB"""
    return retrievals(data.normal_content(2 * KIB), units)


@workload(role="pop3_client_octets", unit="octet", units=1_000_000)
def pop3_client_octet_by_octet(units: int) -> Job:
    """POP3 client, RETR of text that arrives octet by octet"""
    return retrievals(data.normal_content(units), 1)


@workload(role="pop3_client_list", unit="line", units=100_000)
def pop3_client_list(units: int) -> Job:
    """POP3 client, LIST of 100,000 messages"""
    entries = data.scan_listings(units)
    wire = b"+OK\r\n" + b"".join(b"%d %d\r\n" % entry for entry in entries) + b".\r\n"
    return Job(wire, entries, len(wire))


@workload(role="pop3_client_uidl", unit="line", units=100_000)
def pop3_client_uidl(units: int) -> Job:
    """POP3 client, UIDL of 100,000 messages"""
    entries = data.unique_id_listings(units)
    lines = [f"{message} {unique_id}\r\n".encode() for message, unique_id in entries]
    wire = b"+OK\r\n" + b"".join(lines) + b".\r\n"
    return Job(wire, entries, len(wire))


def retrieved(content: bytes, count: int) -> Job:
    """What a server sends behind the status line for that many RETR commands."""
    wire = data.stuffed(content)
    return Job((content, count), [wire] * count, len(wire) * count)


@workload(role="pop3_server", unit="message of 1 MiB", units=100)
def pop3_server_retr_normal(units: int) -> Job:
    """POP3 server, RETR of 1 MiB of text"""
    return retrieved(data.normal_content(MIB), units)


@workload(role="pop3_server", unit="message of 1 MiB", units=100)
def pop3_server_retr_worst(units: int) -> Job:
    """POP3 server, RETR of 1 MiB in which every line is a dot"""
    # Twisted stuffs no dot at the beginning of one of its chunks; behind an odd header none is.
    return retrieved(b"X: y\r\n" + data.dots_content(MIB), units)


@workload(role="pop3_server", unit="message of 2 KiB", units=10_000)
def pop3_server_retr_small(units: int) -> Job:
    """POP3 server, RETR of 2 KiB"""
    return retrieved(data.normal_content(2 * KIB), units)


@workload(role="pop3_server_list", unit="line", units=100_000)
def pop3_server_list(units: int) -> Job:
    """POP3 server, LIST of 100,000 messages"""
    entries = data.scan_listings(units)
    wire = b"".join(b"%d %d\r\n" % entry for entry in entries) + b".\r\n"
    return Job([size for _, size in entries], [wire], len(wire))


@workload(role="pop3_server_uidl", unit="line", units=100_000)
def pop3_server_uidl(units: int) -> Job:
    """POP3 server, UIDL of 100,000 messages"""
    entries = data.unique_id_listings(units)
    wire = "".join(f"{message} {unique_id}\r\n" for message, unique_id in entries) + ".\r\n"
    return Job([unique_id for _, unique_id in entries], [wire.encode()], len(wire))


@workload(role="pop3_import", unit="process", units=40)
def pop3_import(units: int) -> Job:
    """Importing mailproto.pop3 or poplib: a new process each, interpreter included"""
    return Job(units, [0] * units, 0)


@workload(role="pop3_import_and_use", unit="process", units=40)
def pop3_import_and_use(units: int) -> Job:
    """The same with a first client of each"""
    return Job(units, [0] * units, 0)
