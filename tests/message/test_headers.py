"""Header fields: offsets, unfolding, and the subsets that HEADER.FIELDS sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.message import Header, index
from mailproto.testing.strategies.message import hostile, messages

HEADER = (
    b"Received: from a\r\n\tby b;\r\n  Mon\r\n"
    b"Subject : spaced\r\n"
    b"junk line\r\n"
    b"SUBJECT: again\r\n"
    b"Empty:\r\n"
    b"\r\n"
)


def cut(header: Header, names: list[bytes], *, exclude: bool = False) -> bytes:
    return b"".join(HEADER[start:end] for start, end in header.ranges(names, exclude=exclude))


def test_fields_are_found_with_their_offsets() -> None:
    header = Header.parse(HEADER)
    assert [field.name for field in header.fields] == [
        b"Received",
        b"Subject",
        b"SUBJECT",
        b"Empty",
    ]
    assert [HEADER[field.start : field.end] for field in header.fields] == [
        b"Received: from a\r\n\tby b;\r\n  Mon\r\n",
        b"Subject : spaced\r\n",
        b"SUBJECT: again\r\n",
        b"Empty:\r\n",
    ]
    assert (header.start, header.blank, header.end) == (0, len(HEADER) - 2, len(HEADER))


def test_values_are_unfolded_as_rfc_5322_section_2_2_3_says() -> None:
    header = Header.parse(HEADER)
    assert header.get(b"received") == b"from a\tby b;  Mon"
    assert header.get(b"SUBJECT") == b"spaced"
    assert header.get(b"Empty") == b""
    assert header.get(b"junk line") is None
    assert [field.value for field in header.all(b"Subject")] == [b"spaced", b"again"]


def test_octets_that_no_string_of_imap_carries_are_left_out_of_values() -> None:
    assert Header.parse(b"A: b\0c\rd\r\n\r\n").get(b"a") == b"bcd"


def test_subsets_are_cut_octet_for_octet() -> None:
    header = Header.parse(HEADER)
    assert cut(header, [b"subject", b"X"]) == b"Subject : spaced\r\nSUBJECT: again\r\n\r\n"
    assert cut(header, [b"X"]) == b"\r\n"
    assert cut(header, [b"Received", b"EMPTY"], exclude=True) == (
        b"Subject : spaced\r\njunk line\r\nSUBJECT: again\r\n\r\n"
    )
    assert cut(header, [], exclude=True) == HEADER


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b"\r\n\r\n", b"\n\n"])
def test_a_header_parsed_alone_is_that_of_the_index(end: bytes) -> None:
    data = b"A: b\r\nC: d" + end
    assert Header.parse(data) == index(data).root.header


@given(
    messages() | messages(b"\n") | hostile,
    st.lists(st.sampled_from([b"subject", b"content-type", b"X-Loop", b"x"])),
)
def test_a_subset_and_its_complement_are_the_header(data: bytes, names: list[bytes]) -> None:
    header = index(data).root.header
    chosen, rest = header.ranges(names), header.ranges(names, exclude=True)
    both = sorted(octet for ranges in (chosen, rest) for each in ranges for octet in range(*each))
    blank = list(range(header.blank, header.end))
    assert both == sorted([*range(header.start, header.blank), *blank, *blank])
