"""SASLprep against the examples of its RFC and against scramp's reading of it."""

from __future__ import annotations

import stringprep

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramException
from scramp.utils import saslprep as their_saslprep

from mailproto.errors import LocalProtocolError
from mailproto.sasl.saslprep import prepare, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", None),
        ("\u0627\u0031", None),
        # further: RFC 4013 section 2.1 (mapping), 2.3 (prohibition), RFC 3454 section 6
        ("a\u00a0b\u3000c", "a b c"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u06271\u0628", "\u06271\u0628"),
        ("\u0627a\u0628", None),
        ("\ud800", None),
        ("\ue000", None),
        ("\ufdd0", None),
        ("\u200e", None),
        ("\U000e0001", None),
        ("", ""),
        ("\u00ad", ""),
    ],
)
def test_examples(text: str, prepared: str | None) -> None:
    """RFC 4013 section 3."""
    assert saslprep(text) == prepared


@pytest.mark.parity("smtp-client UTF-8 in names and passwords")
@given(st.text())
def test_scramp_reads_the_tables_alike(text: str) -> None:
    try:
        theirs: str | None = their_saslprep(text)
    except ScramException as refusal:
        if "unassigned" in str(refusal):
            return  # passed here, as in a query
        theirs = None
    ours = saslprep(text)
    if ours is None and theirs is not None:
        pytest.fail("refused here only")
    if ours is not None and not any(map(stringprep.in_table_a1, ours)):
        assert ours == theirs


@given(st.text())
def test_preparing_twice_changes_nothing(text: str) -> None:
    once = saslprep(text)
    if once is not None:
        assert saslprep(once) == once


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("\u00e9" * 512, "\u00e9" * 512),
        ("\u00e9" * 513, None),
        ("a" * 20_000, "a" * 20_000),
        # one character that stands for eighteen
        ("\ufdfa" * 29, None),
        ("\u0301\u0327" * 3000, None),
    ],
)
def test_P08_what_strangers_send_is_prepared_up_to_a_length(
    text: str, prepared: str | None
) -> None:
    """Marks that are put into their order take a time that is the square of their number."""
    assert saslprep(text) == prepared
    if prepared is None:
        with pytest.raises(LocalProtocolError, match="over 512 characters"):
            prepare(text, "password")


def test_what_was_unassigned_in_unicode_3_2_is_passed() -> None:
    assert saslprep("\U0001f600") == "\U0001f600"


@pytest.mark.parametrize("text", ["", "\u00ad", "hunter2\u0007"])
def test_P16_a_refusal_does_not_quote_the_text(text: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        prepare(text, "password")
    assert "hunter2" not in repr(raised.value)
