"""Strict numbers and base64, against what int() and base64 would have taken."""

from __future__ import annotations

import base64
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto._core.strict import (
    MONTHS,
    NUMBER_32,
    NUMBER_64,
    date,
    date_time,
    decode_base64,
    encode_base64,
    number,
)


@given(st.integers(0, NUMBER_32))
def test_P17_every_number_in_bounds_is_read(value):
    assert number(b"%d" % value) == value
    assert number(b"000%d" % value) == value


@pytest.mark.parametrize(
    "text",
    [b"", b"+1", b"-1", b" 1", b"1 ", b"1_0", b"0x1", b"1.0", b"\xd9\xa1", b"1\n", b"9" * 21],
)
def test_P17_what_int_would_take_is_refused(text):
    assert number(text, NUMBER_64) is None


def test_P17_bounds():
    assert number(b"4294967296") is None
    assert number(b"4294967296", NUMBER_64) == 2**32
    assert number(b"9223372036854775808", NUMBER_64) is None
    assert number(b"0", minimum=1) is None


@given(st.binary(max_size=100))
def test_base64_round_trip_and_agreement_with_the_stdlib(data):
    assert encode_base64(data) == base64.b64encode(data)
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    "text",
    [b"QQ", b"QQ=", b"QQ===", b"Q Q=", b"QQ==\n", b"Q-_=", b"=QQ=", b"QR==", b"QUI=QUI=", b"*"],
)
def test_P17_base64_that_is_not_canonical_is_refused(text):
    assert decode_base64(text) is None


@given(st.datetimes(), st.integers(-1439, 1439))
def test_P17_dates_of_the_calendar(moment, minutes):
    """Written by strftime's English names, read back."""
    name = MONTHS[moment.month - 1].decode()
    text = f"{moment.day}-{name}-{moment.year:04}"
    assert date(text.encode()) == moment.date()
    assert date(text.upper().encode()) == moment.date()
    sign, zone = "+-"[minutes < 0], abs(minutes)
    text = f"{moment.day:2}-{name}-{moment.year:04} {moment:%H:%M:%S} "
    found = date_time(f"{text}{sign}{zone // 60:02}{zone % 60:02}".encode())
    assert found is not None
    assert found.replace(tzinfo=None) == moment.replace(microsecond=0)
    assert found.utcoffset() == datetime.timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"30-Feb-2024",
        b"0-Jan-2024",
        b"1-Jam-2024",
        b"1-Jan-24",
        b"+1-Jan-2024",
        b"1-Jan-2024 ",
        b"\xd9\xa1-Jan-2024",
        b"1-Jan-0000",
    ],
)
def test_P17_what_is_no_date(text):
    assert date(text) is None
    assert date_time(text.rjust(11) + b" 00:00:00 +0000") is None


@pytest.mark.parametrize(
    "text",
    [
        b" 1-Jan-2024 24:00:00 +0000",
        b" 1-Jan-2024 00:60:00 +0000",
        b" 1-Jan-2024 00:00:61 +0000",
        b" 1-Jan-2024 00:00:00 +0060",
        b" 1-Jan-2024 00:00:00 +2400",
        b" 1-Jan-2024 00:00:00 0000",
        b" 1-Jan-2024 00:00:00 GMT",
        b'" 1-Jan-2024 00:00:00 +0000"',
    ],
)
def test_P17_what_is_no_time(text):
    assert date_time(text) is None
