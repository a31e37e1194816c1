"""Commands and replies to octets and back; what cannot be written, and what cannot be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.smtp.parse import Malformed, parse_command, parse_reply, parse_reply_line
from mailproto.smtp.serialize import serialize_command, serialize_reply
from mailproto.testing.strategies import smtp as strategies

alice = smtp.Mailbox("alice", "example.com")


class _Everything(frozenset[str]):
    """All parameters."""

    def __contains__(self, keyword: object) -> bool:
        return True


def read(line: bytes) -> smtp.Command:
    return parse_command(line, _Everything(), _Everything())


def read_reply(wire: bytes, *, enhanced: bool = True) -> smtp.Reply:
    *lines, rest = wire.split(b"\r\n")
    assert rest == b""
    parts = [parse_reply_line(line) for line in lines]
    assert len({code for code, _, _ in parts}) == 1
    assert [more for _, more, _ in parts] == [True] * (len(parts) - 1) + [False]
    return parse_reply(parts[0][0], tuple(text for _, _, text in parts), enhanced=enhanced)


@given(strategies.command_lines)
def test_P18_what_was_read_and_can_be_written_reads_the_same(line: bytes) -> None:
    try:
        command = read(line)
        written = serialize_command(command)
    except (Malformed, LocalProtocolError):
        return
    assert read(written[:-2]) == command


@given(strategies.replies())
def test_P18_replies_round_trip_without_enhanced_codes(reply: smtp.Reply) -> None:
    expected = smtp.Reply(reply.code, reply.lines)
    wire = serialize_reply(reply, enhanced=False)
    assert read_reply(wire, enhanced=False) == expected


hostile_text = st.text(
    st.one_of(st.sampled_from("\r\n\0\x0b\x0c\x85\u2028 \t."), st.characters()), max_size=12
)


@given(hostile_text, st.integers(0, 700))
def test_P15_no_text_makes_a_second_reply(text: str, code: int) -> None:
    try:
        wire = serialize_reply(smtp.Reply(code, (text, text)))
    except LocalProtocolError:
        return
    assert wire.count(b"\r\n") == 2
    assert re.fullmatch(rb"([2-5]\d\d)-[^\r\n\0]*\r\n\1 [^\r\n\0]*\r\n", wire)


@pytest.mark.parity("smtp-client arguments cannot inject")
@given(hostile_text)
def test_P04_any_argument_gives_one_command_or_an_exception(text: str) -> None:
    parameter = smtp.Parameter("X", text)
    for command in (
        smtp.Ehlo(text),
        smtp.Helo(text),
        smtp.Lhlo(text),
        smtp.Auth(text),
        smtp.Mail(smtp.Mailbox(text, "example.com")),
        smtp.Mail(smtp.Mailbox("alice", text)),
        smtp.Mail(smtp.Mailbox(text, text), smtputf8=True),
        smtp.Mail(alice, auth=smtp.Mailbox(text, "example.com")),
        smtp.Mail(alice, parameters=(parameter,)),
        smtp.Mail(alice, parameters=(smtp.Parameter(text),)),
        smtp.Rcpt(smtp.Mailbox(text, "example.com")),
        smtp.Rcpt(alice, (parameter,)),
        smtp.Noop(text),
        smtp.Vrfy(text),
        smtp.Expn(text, True),
        smtp.Help(text),
        smtp.OtherCommand(text, text),
        smtp.OtherCommand("XFOO", text),
    ):
        try:
            wire = serialize_command(command)
        except LocalProtocolError:
            continue
        assert re.fullmatch(rb"[^\r\n\0]*\r\n", wire)
        assert read(wire[:-2]) == command


@pytest.mark.parametrize(
    "command",
    [
        smtp.Mail(smtp.Mailbox("ä", "example.com")),
        smtp.Mail(alice, size=-1),
        smtp.Mail(smtp.POSTMASTER),  # type: ignore[arg-type]  # what the types forbid
        smtp.Rcpt(smtp.NULL_PATH),  # type: ignore[arg-type]  # what the types forbid
        smtp.Mail(alice, parameters=(smtp.Parameter("SIZE", "1"),)),
        smtp.Mail(alice, parameters=(smtp.Parameter("NOTIFY", "NEVER"),)),
        smtp.Rcpt(alice, (smtp.Parameter("RET", "HDRS"),)),
        smtp.Rcpt(alice, (smtp.Parameter("X"), smtp.Parameter("X"))),
        smtp.Rcpt(alice, (smtp.Parameter("X", ""),)),
        smtp.Rcpt(alice, (smtp.Parameter("X", "a=b"),)),
        smtp.OtherCommand("MAIL", "FROM:<a@b>"),
        smtp.OtherCommand("xfoo"),
        smtp.Vrfy(""),
        smtp.Vrfy("ä"),
        smtp.Vrfy("ä SMTPUTF8"),
        smtp.Vrfy("x SMTPUTF8"),
        smtp.Noop(" x"),
        smtp.Noop("\ud800"),
        smtp.Body(b""),
        smtp.EndOfMessage(),
        smtp.Auth("plain"),
    ],
    ids=repr,
)
def test_P04_what_cannot_be_written_is_refused(command: smtp.Command) -> None:
    with pytest.raises(LocalProtocolError):
        serialize_command(command)


@pytest.mark.parametrize(
    "reply",
    [
        smtp.Reply(199, "x"),
        smtp.Reply(600, "x"),
        smtp.Reply(250, ()),
        smtp.Reply(250, "a\nb"),
        smtp.Reply(250, "OK", smtp.EnhancedCode(5, 0, 0)),
        smtp.Reply(250, "OK", smtp.EnhancedCode(2, 0, 1000)),
        smtp.Reply(250, "OK", smtp.EnhancedCode(2, -1, 0)),
        smtp.Reply(354, "OK", smtp.EnhancedCode(3, 0, 0)),
        smtp.Reply(250, "2.0.0 OK"),
        smtp.Reply(250, "\ud800"),
    ],
    ids=repr,
)
def test_replies_that_cannot_be_written(reply: smtp.Reply) -> None:
    with pytest.raises(LocalProtocolError):
        serialize_reply(reply)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"mail from:<alice@example.com>", smtp.Mail(alice)),
        (b"MAIL FROM: <alice@example.com>", smtp.Mail(alice)),
        (b"MAIL FROM:<alice@example.com> ", smtp.Mail(alice)),
        (b"MAIL FROM:<> BODY=7bit size=12", smtp.Mail(smtp.NULL_PATH, 12, smtp.BodyType.SEVEN_BIT)),
        (b"MAIL FROM:<@a,@b:alice@example.com>", smtp.Mail(alice)),
        (
            b"MAIL FROM:<alice@example.com> AUTH=e+3Dmc2@example.com",
            smtp.Mail(alice, auth=smtp.Mailbox("e=mc2", "example.com")),
        ),
        (b"MAIL FROM:<alice@example.com> AUTH=<>", smtp.Mail(alice, auth=smtp.NULL_PATH)),
        (b"Rcpt To:<alice@example.com>", smtp.Rcpt(alice)),
        (b"RCPT TO:<Postmaster>", smtp.Rcpt(smtp.POSTMASTER)),
        (
            b"RCPT TO:<alice@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c",
            smtp.Rcpt(
                alice,
                (
                    smtp.Notify(frozenset({"SUCCESS", "DELAY"})),
                    smtp.Orcpt("rfc822", "a+b@c"),
                ),
            ),
        ),
        (b"EHLO under_score", smtp.Ehlo("under_score")),
        (b"auth plain =", smtp.Auth("PLAIN", b"")),
        (b"AUTH LOGIN ", smtp.Auth("LOGIN")),
        (b"VRFY Crispin", smtp.Vrfy("Crispin")),
        (b"VRFY \xc3\xa4 SMTPUTF8", smtp.Vrfy("ä", True)),
        (b"QUIT  ", smtp.Quit()),
        (b"bdat 10 last", smtp.Bdat(10, last=True)),
    ],
    # The octets; a command shows sets, whose order is another in every process.
    ids=lambda value: repr(value) if isinstance(value, bytes) else type(value).__name__,
)
def test_lines_and_what_they_mean(line: bytes, command: smtp.Command) -> None:
    assert read(line) == command


@pytest.mark.parity("smtp-server bare LF in commands")
@pytest.mark.parametrize(
    ("line", "code", "enhanced"),
    [
        (b"", 500, "5.5.2"),
        (b" NOOP", 500, "5.5.2"),
        (b"NOOP\x00", 500, "5.5.2"),
        (b"NOOP\n", 500, "5.5.2"),
        (b"NO\rOP", 500, "5.5.2"),
        (b"NOOP \xff", 501, "5.5.2"),
        (b"vrfy a\x00b", 501, "5.5.2"),
        (b"XFOO \xff", 500, "5.5.2"),
        (b"MAIL", 501, "5.5.4"),
        (b"MAIL TO:<a@b>", 501, "5.5.4"),
        (b"MAIL FROM:a@b", 501, "5.1.7"),
        (b"MAIL FROM:<a@b", 501, "5.1.7"),
        (b"MAIL FROM:<a\n@b>", 501, "5.1.7"),
        (b"MAIL FROM:<Postmaster>", 501, "5.1.7"),
        (b"MAIL FROM:<a@b>SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=-1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=+1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1_0", 501, "5.5.4"),
        ("MAIL FROM:<a@b> SIZE=\u0661 SMTPUTF8".encode(), 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=123456789012345678901", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> BODY=9BIT", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SMTPUTF8=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> AUTH=a+4@b", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> AUTH=a", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> X\x01=1", 501, "5.5.4"),
        (b"MAIL FROM:<\xc3\xa4@b>", 550, "5.6.7"),
        (b"RCPT TO:<>", 501, "5.1.3"),
        (b"RCPT TO:<a@>", 501, "5.1.3"),
        (b"EHLO", 501, "5.5.4"),
        (b"EHLO a b", 501, "5.5.4"),
        (b"DATA now", 501, "5.5.4"),
        (b"VRFY", 501, "5.5.4"),
        (b"VRFY \xc3\xa4", 553, "5.6.7"),
        (b"AUTH", 501, "5.5.4"),
        (b"AUTH PLAIN AGEAYg", 501, "5.5.2"),
        (b"AUTH PLAIN AGEAYh==", 501, "5.5.2"),
        (b"AUTH PLAIN AG EA", 501, "5.5.4"),
    ],
    ids=repr,
)
def test_P12_P17_what_is_no_command_has_a_reply(line: bytes, code: int, enhanced: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(line)
    assert (caught.value.reply.code, str(caught.value.reply.enhanced)) == (code, enhanced)
    serialize_reply(caught.value.reply)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"MAIL FROM:<a@b> NOTIFY=NEVER", "'NOTIFY' belongs to RCPT"),
        (b"RCPT TO:<a@b> SIZE=1", "'SIZE' belongs to MAIL"),
        (b"MAIL FROM:<a@b> SIZE=1", "'SIZE' is not supported"),
        (b"RCPT TO:<a@b> X-FOO", "'X-FOO' is not supported"),
    ],
)
def test_parameters_that_were_not_offered_or_are_misplaced(line: bytes, said: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_command(line, frozenset(), frozenset())
    assert caught.value.reply.code == 555
    assert said in caught.value.problem


@pytest.mark.parity("smtp-client codes that change within a reply")
@pytest.mark.parametrize(
    "line",
    [b"", b"25", b"25x OK", b"250OK", b"150 x", b"650 x", b"250 a\rb", b"250 a\nb", b"250 \0",
     "\u0662\u0665\u0660 OK".encode(), b"+25 OK", b"2 0 OK"],
)  # fmt: skip
def test_P17_P25_lines_that_are_no_reply(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_reply_line(line)


@pytest.mark.parity("smtp-client enhanced status codes")
@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (("2.1.0 OK",), smtp.Reply(250, "OK", smtp.EnhancedCode(2, 1, 0))),
        (("2.1.0",), smtp.Reply(250, "", smtp.EnhancedCode(2, 1, 0))),
        (("5.1.0 OK",), smtp.Reply(250, "5.1.0 OK")),
        (("2.1 OK",), smtp.Reply(250, "2.1 OK")),
        (("a", "2.0.0 b"), smtp.Reply(250, ("a", "b"), smtp.EnhancedCode(2, 0, 0))),
        (("2.0.0 a", "b"), smtp.Reply(250, ("a", "b"), smtp.EnhancedCode(2, 0, 0))),
    ],
)
def test_P20_enhanced_codes_are_found_wherever_servers_put_them(
    lines: tuple[str, ...], reply: smtp.Reply
) -> None:
    assert parse_reply(250, lines) == reply


@pytest.mark.parametrize("value", [smtp.Auth("PLAIN", b"canary"), smtp.AuthResponse(b"canary")])
def test_P16_secrets_are_not_in_the_repr(value: object) -> None:
    assert "canary" not in repr(value)
    assert b"canary".hex() not in repr(value)


@pytest.mark.parity("smtp-client unknown extensions are kept")
def test_capabilities_keep_what_is_unknown() -> None:
    reply = smtp.Reply(
        250, ("mx.example hello", "SIZE 1000", "x-foo Bar  baz", "AUTH PLAIN", "AUTH=LOGIN", "???")
    )
    capabilities = smtp.Capabilities.of_reply(reply)
    assert capabilities.domain == "mx.example"
    assert dict(capabilities.keywords) == {
        "SIZE": ("1000",),
        "X-FOO": ("Bar", "baz"),
        "AUTH": ("PLAIN", "LOGIN"),
    }
    assert capabilities.size == 1000
    assert capabilities.mechanisms == ("PLAIN", "LOGIN")
    assert "X-FOO" in capabilities
    assert "PIPELINING" not in capabilities


@pytest.mark.parametrize("text", ["SIZE", "SIZE 0", "SIZE -1", "SIZE x", "SIZE ٣", "HELP"])
def test_P17_no_fixed_size_limit(text: str) -> None:
    assert smtp.Capabilities.of_reply(smtp.Reply(250, ("mx", text))).size is None
