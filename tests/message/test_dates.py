"""Dates of header fields: RFC 5322's examples, obsolete forms, the stdlib."""

from __future__ import annotations

import datetime
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.message import Header, parse_date, sent_date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        (b"Thu, 13 Feb 1969 23:32:54 -0330", "1969-02-13T23:32:54-03:30"),
        (
            b"Thu,\r\n      13\r\n  Feb\r\n   1969\r\n  23:32\r\n  -0330 (Newfoundland Time)",
            "1969-02-13T23:32:00-03:30",
        ),
        (b"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06+00:00"),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"),
        (b"21 Nov 03 09:55 EDT", "2003-11-21T09:55:00-04:00"),
        (b"1 jan 2024 00:00:60 Z", "2024-01-01T00:00:59+00:00"),
        (b"Mon, 1 January 2024 1:02", "2024-01-01T01:02:00+00:00"),
        (b"Mon,1 Jan 2024 1:02:03 +0530", "2024-01-01T01:02:03+05:30"),
        (b"01-Jan-2024 01:02:03 +9999", "2024-01-01T01:02:03+00:00"),
        (b"1 Jan 2024", "2024-01-01T00:00:00+00:00"),
        (b"1 Jan 124", "2024-01-01T00:00:00+00:00"),
    ],
)
def test_dates_as_they_are_written(value: bytes, expected: str) -> None:
    found = parse_date(value)
    assert found is not None
    assert found.isoformat() == expected


@pytest.mark.parametrize(
    "value",
    [b"", b"yesterday", b"31 Feb 2024", b"1 Foo 2024", b"0 Jan 2024", b"1 Jan 0000",
     b"\xd9\xa1 Jan 2024", b"1 Jan 2024 25:00:00", b"99999999999999999999 Jan 2024", b"Mon, "],
)  # fmt: skip
def test_what_is_no_date_is_none(value: bytes) -> None:
    assert parse_date(value) is None


@given(
    st.datetimes(
        datetime.datetime(1900, 1, 1),  # noqa: DTZ001 -- the strategy adds zones
        datetime.datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.integers(-14 * 60, 14 * 60).map(
            lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
        ),
    )
)
def test_dates_of_the_stdlib(date: datetime.datetime) -> None:
    value = email.utils.format_datetime(date).encode()
    found = parse_date(value)
    assert found == date.replace(microsecond=0)


def test_the_sent_date_is_the_senders_own() -> None:
    header = Header.parse(b"Date: Mon, 1 Jan 2024 23:30:00 -0800\r\n\r\n")
    assert sent_date(header) == datetime.date(2024, 1, 1)
    assert sent_date(Header.parse(b"\r\n")) is None
    assert sent_date(Header.parse(b"Date: soon\r\n\r\n")) is None
