"""Every sequence of CR, LF and dot near the end of the content, and every text in every field.

The oracle for the content is a search: it ends at the first CRLF.CRLF, nowhere else.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import suppress

import attrs
import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.serialize import serialize_command
from mailproto.smtp.states import LEGAL

SEQUENCES = [
    bytes(octets) for size in range(1, 6) for octets in itertools.product(b"\r\n.", repeat=size)
]
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
NEWLINE = re.compile(rb"\r\n|\r|\n")
BEHIND = b"b\r\n.\r\nNOOP\r\n"


def expected(wire: bytes) -> tuple[bytes, int | None, list[bytes]]:
    """Content with its dots, where its first bare newline is, and the lines behind it."""
    end = (b"\r\n" + wire).index(b"\r\n.\r\n")
    bare = BARE.search(wire[:end])
    lines = wire[end + 3 :].split(b"\r\n")[:-1]
    return wire[:end], None if bare is None else bare.start(), lines


def without_dots(stuffed: bytes) -> bytes:
    """RFC 5321 section 4.5.2."""
    return (b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:]


def taken(chunks: list[bytes], policy: smtp.BareNewlines, *, lmtp: bool) -> list[object]:
    """The content as a server yields it, the verdict, and the lines that it takes for commands."""
    machine = smtp.Server("mx.example", lmtp=lmtp, bare_newlines=policy)
    machine.accept()
    hello = b"LHLO a\r\n" if lmtp else b"EHLO a\r\n"
    machine.receive_data(hello + b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    for _ in range(4):
        machine.next_event()
        machine.accept()
    content, verdict, lines = b"", None, list[bytes]()
    for chunk in chunks:
        machine.receive_data(chunk)
        while (event := machine.next_event()) is not smtp.NEED_DATA:
            match event:
                case smtp.Body(data):
                    assert verdict is None
                    content += data
                    continue
                case smtp.RepairedLine():
                    assert policy is smtp.BareNewlines.REPAIR
                    continue
                case smtp.EndOfMessage(bare):
                    verdict = ("taken", bare)
                case smtp.BadContent(_, offset):
                    verdict = ("refused", offset)
                case smtp.Invalid(line):
                    lines.append(line)
                case smtp.OtherCommand(verb):
                    lines.append(verb.lower().encode())
                case _:
                    lines.append(b"NOOP")
                    assert event == smtp.Noop()
            machine.accept()
    return [content, verdict, lines]


def cuts(wire: bytes, until: int) -> Iterator[list[bytes]]:
    """Whole, octet by octet, and cut once at each place up to ``until``."""
    yield [wire]
    yield [wire[i : i + 1] for i in range(len(wire))]
    for place in range(1, until):
        yield [wire[:place], wire[place:]]


@pytest.mark.parity("smtp-server content ends at CRLF.CRLF only")
@pytest.mark.parametrize("policy", smtp.BareNewlines)
@pytest.mark.parametrize("before", [b"", b"a"])
def test_P02_only_crlf_dot_crlf_ends_the_content(policy: smtp.BareNewlines, before: bytes) -> None:
    for sequence in SEQUENCES:
        wire = before + sequence + BEHIND
        content, bare, lines = expected(wire)
        refused = policy is smtp.BareNewlines.REJECT and bare is not None
        content = without_dots(content[:bare] if refused else content)
        if policy is smtp.BareNewlines.REPAIR:
            content = NEWLINE.sub(b"\r\n", content)
            lines = [part for line in lines for part in NEWLINE.split(line)]
        wanted = [content, ("refused" if refused else "taken", bare), lines]
        for chunks in cuts(wire, len(before) + len(sequence) + 6):
            assert taken(chunks, policy, lmtp=False) == wanted, (chunks, policy)
        assert taken([wire], policy, lmtp=True) == wanted, wire


def sending(*, repair: bool, long_lines: bool) -> smtp.Client:
    policy = smtp.BareNewlines.REPAIR if repair else smtp.BareNewlines.REJECT
    client = smtp.Client(bare_newlines=policy, long_lines=long_lines)
    client.receive_data(b"220 x\r\n")
    client.next_event()
    for command, reply in (
        (smtp.Ehlo("a"), b"250 x\r\n"),
        (smtp.Mail(smtp.NULL_PATH), b"250 x\r\n"),
        (smtp.Rcpt(smtp.POSTMASTER), b"250 x\r\n"),
        (smtp.Data(), b"354 x\r\n"),
    ):
        client.send(command)
        client.receive_data(reply)
        client.next_event()
    client.data_to_send()
    return client


@pytest.mark.parity("smtp-client dot transparency", "smtp-client bare CR and LF in content")
@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("before", [b"", b"a"])
def test_P03_what_a_client_sends_is_what_a_server_takes(repair: bool, before: bytes) -> None:
    for number, sequence in enumerate(SEQUENCES):
        content = before + sequence
        for place in range(len(content) + 1):
            client = sending(repair=repair, long_lines=bool(number % 2))
            try:
                client.send(smtp.Body(content[:place]))
                client.send(smtp.Body(content[place:]))
                client.send(smtp.EndOfMessage())
            except LocalProtocolError:
                assert not repair
                assert BARE.search(content), content
                continue
            wire = client.data_to_send()
            assert repair or not BARE.search(content), content
            received, bare, lines = expected(wire)
            assert (bare, lines) == (None, []), (content, wire)
            meant = NEWLINE.sub(b"\r\n", content)
            if not meant.endswith(b"\r\n"):
                meant += b"\r\n"
            assert without_dots(received) == meant


# --------------------------------------------------------------------------------- every field

CONTROLS = [*map(chr, range(0x20)), "\x7f"]
ALICE = smtp.Mailbox.parse("alice@example.com")
SAMPLES: list[Command] = [
    smtp.Ehlo("a"), smtp.Helo("a"), smtp.Lhlo("a"), smtp.Auth("PLAIN", b"x"),
    smtp.Mail(ALICE, 1, smtp.BodyType.SEVEN_BIT, True, ALICE, (smtp.EnvId("x"),)),
    smtp.Mail(ALICE, parameters=(smtp.Solicit(("a:b",)), smtp.TransId("a@b"))),
    smtp.Mail(ALICE, parameters=(smtp.Parameter("X-A", "b"),)),
    smtp.Rcpt(ALICE, (smtp.Orcpt("rfc822", "x"), smtp.Parameter("X-A", "b"))),
    smtp.Bdat(1), smtp.Burl("imap://a/"), smtp.Noop("x"), smtp.Vrfy("x"), smtp.Expn("x"),
    smtp.Help("x"), smtp.Etrn("a.b"), smtp.Etrn("a.b", "@"), smtp.Etrn("a", "#"),
    smtp.Atrn(("a.b", "c.d")), smtp.XClient((("NAME", "x"),)), smtp.XForward((("NAME", "x"),)),
    smtp.OtherCommand("XFOO", "y"),
]  # fmt: skip
WITHOUT_TEXT = {
    smtp.StartTLS, smtp.AuthResponse, smtp.AuthCancel, smtp.Data, smtp.Body, smtp.EndOfMessage,
    smtp.Rset, smtp.Quit,
}  # fmt: skip


def hostile(value: object) -> Iterator[object]:
    """``value`` with a control character in each of its texts, one at a time."""
    if isinstance(value, str):
        for control in CONTROLS:
            yield from (control + value, value + control, value + control + value)
    elif isinstance(value, tuple):
        items: tuple[object, ...] = value
        for position, item in enumerate(items):
            for other in hostile(item):
                yield (*items[:position], other, *items[position + 1 :])
    elif attrs.has(type(value)):
        given = {name: getattr(value, name) for name in names_of(value)}
        for name, part in given.items():
            for other in hostile(part):
                # What a constructor refuses gets nowhere.
                with suppress(LocalProtocolError):
                    yield type(value)(**{**given, name: other})


def names_of(value: object) -> list[str]:
    """The fields of a value of an attrs class."""
    found: tuple[attrs.Attribute[object], ...] = getattr(type(value), "__attrs_attrs__", ())
    return [field.name for field in found]


def test_every_command_with_a_text_is_among_the_samples() -> None:
    assert {type(command) for command in SAMPLES} | WITHOUT_TEXT == set(LEGAL)


@pytest.mark.parity("smtp-client arguments cannot inject")
@pytest.mark.parametrize("command", SAMPLES, ids=lambda command: type(command).__name__)
def test_P04_no_control_character_leaves_its_field(command: Command) -> None:
    serialize_command(command)
    for other in hostile(command):
        try:
            line = serialize_command(other)  # type: ignore[arg-type]  # a command like ``command``
        except LocalProtocolError:
            continue
        # What an encoding such as xtext has taken up is no control character any more.
        assert re.fullmatch(rb"[^\x00-\x1f\x7f]+\r\n", line), other


OTHER_TYPES: list[object] = ["x>\r\nRSET", b"x>\r\nRSET", ("x>\r\nRSET",), ["\r\n"], 1, None]


@pytest.mark.parametrize("command", SAMPLES, ids=lambda command: type(command).__name__)
def test_P04_no_field_of_another_type_leaves_its_place(command: Command) -> None:
    """Nobody has to run a type checker: what does not fit is an exception, or harmless."""
    for name in names_of(command):
        given = {each: getattr(command, each) for each in names_of(command)}
        for other in OTHER_TYPES:
            try:
                line = serialize_command(type(command)(**{**given, name: other}))
            except (LocalProtocolError, TypeError, AttributeError, ValueError):
                continue
            assert re.fullmatch(rb"[^\x00-\x1f\x7f]+\r\n", line), (name, other)


@pytest.mark.parametrize("path", ["alice@example.com", "a@b>\r\nRSET", b"a@b", None])
def test_P04_a_text_is_no_path(path: object) -> None:
    for command in (smtp.Mail(path), smtp.Rcpt(path)):  # type: ignore[arg-type]  # that is tested
        with pytest.raises(LocalProtocolError, match="is no path"):
            serialize_command(command)


@pytest.mark.parametrize(
    "offer",
    [
        smtp.Offer(mechanisms=("PLAIN",)),
        smtp.Offer(mt_priority="MIXER"),
        smtp.Offer(no_soliciting=("a:b",)),
        smtp.Offer(burl=("imap",)),
        smtp.Offer(extensions=(smtp.Extension("X-A", ("b",)),)),
    ],
)
def test_P04_no_offer_leaves_its_line(offer: smtp.Offer) -> None:
    for other in hostile(offer):
        try:
            assert isinstance(other, smtp.Offer)
            machine = smtp.Server("mx.example", tls=True, offer=other)
            lines = len(machine.capabilities.keywords) + 1
            machine.accept()
            machine.receive_data(b"EHLO a\r\n")
            machine.next_event()
            machine.data_to_send()
            machine.accept()
        except LocalProtocolError:
            continue
        said = machine.data_to_send()
        assert said.count(b"\r\n") == said.count(b"\n") == said.count(b"\r") == lines
        assert b"\0" not in said
