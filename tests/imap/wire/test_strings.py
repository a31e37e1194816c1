"""Strings: what is written is read again, nothing escapes its field, readers are strict."""

from __future__ import annotations

import datetime
import imaplib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto._core.strict import date, date_time
from mailproto.errors import LocalProtocolError
from mailproto.imap.value import Value
from mailproto.imap.wire.cursor import Cursor, Malformed
from mailproto.imap.wire.frames import Frame
from mailproto.imap.wire.strings import (
    as_astring,
    as_quoted,
    check_atom,
    check_flag,
    check_literal,
    check_tag,
    date_text,
    date_time_text,
)
from mailproto.testing.strategies import imap as strategies


@given(strategies.octets())
def test_P18_strings_round_trip(octets: bytes) -> None:
    quoted = as_quoted(octets)
    if quoted is not None:
        assert Cursor(Frame(quoted)).string() == octets
        assert Cursor(Frame(quoted)).nstring() == octets
    written = as_astring(octets)
    if written is not None:
        assert Cursor(Frame(written)).astring() == octets
    literal = Frame(b"{%d}\r\n" % len(octets), (octets,))
    assert Cursor(literal).astring() == Cursor(literal).nstring() == octets
    assert check_literal(octets) == octets


@given(st.binary(max_size=20))
def test_P04_no_octet_ends_a_string_or_a_line(octets: bytes) -> None:
    for written in (as_quoted(octets), as_astring(octets)):
        if written is not None:
            assert b"\r" not in written
            assert b"\n" not in written
            assert b"\0" not in written
    if b"\0" in octets:
        with pytest.raises(LocalProtocolError):
            check_literal(octets)


@given(st.text(max_size=6))
def test_P04_no_text_leaves_an_atom(text: str) -> None:
    for check in (check_atom, check_tag, check_flag):
        try:
            written = check(text)
        except LocalProtocolError:
            continue
        assert written.decode("ascii") == text
        assert not set(text) & set(' \r\n\0\t(){"')


@pytest.mark.parametrize("text", ["", "a b", "a\r\nb", "é", "a{", "a\n", "a\x7f", "*", "%", 'a"'])
def test_what_is_no_atom(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        check_atom(text)


@given(strategies.date_times())
def test_P18_dates_round_trip(when: datetime.datetime) -> None:
    text = date_time_text(when)
    assert date_time(text[1:-1]) == when
    assert date(date_text(when.date())) == when.date()


def test_dates_agree_with_imaplib() -> None:
    when = datetime.datetime(
        1996, 7, 17, 2, 44, 25, tzinfo=datetime.timezone(datetime.timedelta(hours=-7))
    )
    assert date_time_text(when).decode() == imaplib.Time2Internaldate(when)


@pytest.mark.parametrize(
    "text",
    [b"17-Jul-1996 02:44:25", b"1-Jul-1996 02:44:25 +0000", b"17-Jux-1996 02:44:25 +0000",
     b"30-Feb-1996 02:44:25 +0000", b"17-Jul-1996 24:44:25 +0000", b"17-Jul-1996 02:44:25 +2400",
     b"17-Jul-1996 02:44:25 +0060", b"17-Jul-1996 02:44:25 +0000 ", b"17-Jul-0000 02:44:25 +0000",
     b"\xd9\xa17-Jul-1996 02:44:25 +0000", b"17-Jul-1996 02:44:25 +0000\n"],
)  # fmt: skip
def test_P17_dates_are_strict(text: bytes) -> None:
    assert date_time(text) is None


def test_a_date_without_zone_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        date_time_text(datetime.datetime(2020, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("text", [b"0", b"00012", b"4294967295"])
def test_numbers(text: bytes) -> None:
    assert Cursor(Frame(text)).number() == int(text)


@pytest.mark.parametrize(
    "text", [b"", b"-1", b"+1", b" 1", b"4294967296", b"1" * 5000, b"\xd9\xa1", b"x"]
)
def test_P17_numbers_are_strict(text: bytes) -> None:
    with pytest.raises(Malformed):
        Cursor(Frame(text)).number()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"NIL", None),
        (b"nil", None),
        (b'"NIL"', b"NIL"),
        (b"12", 12),
        (b"012", "012"),
        (b"99999999999999999999", "99999999999999999999"),
        (b"\\Seen", "\\Seen"),
        (b"(\\* a]b)", ("\\*", "a]b")),
        (b'(a (b () "c") 5)', ("a", ("b", (), b"c"), 5)),
    ],
)
def test_values_of_extensions(text: bytes, value: Value) -> None:
    cursor = Cursor(Frame(text))
    assert cursor.value() == value
    assert cursor.at_end


def test_P12_what_was_wrong_is_quoted() -> None:
    with pytest.raises(Malformed, match=r"expected a string, found b'nonsense' at octet 2"):
        Cursor(Frame(b"x nonsense"), 2).string()
