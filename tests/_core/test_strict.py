"""Strict numbers and base64, against what int() and base64 would have taken."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto._core.strict import NUMBER_32, NUMBER_64, decode_base64, encode_base64, number


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
