"""Base64 on the line: what counts as a response, and what does not."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import sasl
from mailproto.sasl.wire import without

MALFORMED_BASE64 = [
    b"=", b"==", b"Q", b"QQ", b"QQ=", b"QQ===", b"QR==", b"QUJD=", b"QUJD\n", b" QUJD", b"QU JD",
    b"QUJD ", b"QUI-", b"QUI_", b"QUJD*", b"**", b"* ", b"\xff", b"QQ==QQ==", b"\0",
]  # fmt: skip


@given(st.binary())
def test_P18_octets_survive_the_line(data: bytes) -> None:
    assert sasl.decode_response(sasl.encode(data)) == data
    assert sasl.decode_challenge(sasl.encode(data)) == data
    assert sasl.decode_initial_response(sasl.encode_initial_response(data)) == data
    assert sasl.encode(data) == b64encode(data)


@pytest.mark.parametrize("text", MALFORMED_BASE64)
def test_P17_only_canonical_base64_is_a_response(text: bytes) -> None:
    assert sasl.decode_response(text) is sasl.MALFORMED
    assert sasl.decode_challenge(text) is sasl.MALFORMED
    if text != b"=":
        assert sasl.decode_initial_response(text) is sasl.MALFORMED


def test_P26_a_star_cancels_in_a_response_only() -> None:
    assert sasl.decode_response(b"*") is sasl.CANCEL
    assert sasl.decode_initial_response(b"*") is sasl.MALFORMED
    assert sasl.decode_challenge(b"*") is sasl.MALFORMED


def test_an_empty_initial_response_is_an_equals_sign() -> None:
    """RFC 4954 section 4, RFC 5034 section 4, RFC 4959 section 3."""
    assert sasl.encode_initial_response(b"") == b"="
    assert sasl.decode_initial_response(b"=") == b""
    assert sasl.decode_initial_response(b"") is sasl.MALFORMED
    assert sasl.decode_response(b"") == b""


@pytest.mark.parametrize(("secret", "hidden"), [(b"7 chars", False), (b"8 chars.", True)])
def test_P16_what_is_too_short_to_hide_is_too_short_by_one(secret: bytes, hidden: bool) -> None:
    """docs/sasl.md: eight octets."""
    assert (b"<hidden>" in without(b"what is " + secret + b"?", [secret])) == hidden
