"""Sections by their IMAP names: the tree of RFC 3501 section 6.4.5, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.message import Index, SectionText, find_part, index, section
from mailproto.testing.strategies.message import hostile, messages

ALL, HEADER, TEXT, MIME = (
    SectionText.ALL,
    SectionText.HEADER,
    SectionText.TEXT,
    SectionText.MIME,
)


def multipart(subtype: bytes, boundary: bytes, *parts: bytes) -> bytes:
    lines = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return b"Content-Type: multipart/%s; boundary=%s\r\n\r\n%s--%s--" % (
        subtype,
        boundary,
        lines,
        boundary,
    )


def leaf(media: bytes, body: bytes) -> bytes:
    return b"Content-Type: %s\r\n\r\n%s" % (media, body)


INNER_3 = b"Subject: three\r\n" + multipart(
    b"mixed", b"b3", leaf(b"text/plain", b"3.1"), leaf(b"application/octet-stream", b"3.2")
)
INNER_42 = b"Subject: four two\r\n" + multipart(
    b"mixed",
    b"b42",
    leaf(b"text/plain", b"4.2.1"),
    multipart(
        b"alternative", b"b422", leaf(b"text/plain", b"4.2.2.1"), leaf(b"text/richtext", b"4.2.2.2")
    ),
)
EXAMPLE = b"Subject: example\r\n" + multipart(
    b"mixed",
    b"b",
    leaf(b"text/plain", b"1"),
    leaf(b"application/octet-stream", b"2"),
    leaf(b"message/rfc822", INNER_3),
    multipart(b"mixed", b"b4", leaf(b"image/gif", b"4.1"), leaf(b"message/rfc822", INNER_42)),
)
"""The tree that RFC 3501 section 6.4.5 lists, every leaf's text being its part specifier."""


def get(
    data: bytes, numbers: str, text: SectionText = ALL, fields: tuple[bytes, ...] = ()
) -> bytes | None:
    found = section(index(data), tuple(map(int, filter(None, numbers.split(".")))), text, fields)
    return None if found is None else found.of(data)


@pytest.mark.parametrize("part", ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"])
def test_the_leaves_of_the_rfcs_example(part: str) -> None:
    assert get(EXAMPLE, part) == part.encode()
    mime = get(EXAMPLE, part, MIME)
    assert mime is not None
    assert mime.startswith(b"Content-Type: ")
    assert mime.endswith(b"\r\n\r\n")
    for text in (HEADER, TEXT, SectionText.HEADER_FIELDS):
        assert get(EXAMPLE, part, text) is None


def test_the_messages_of_the_rfcs_example() -> None:
    assert get(EXAMPLE, "") == EXAMPLE
    assert get(EXAMPLE, "3") == INNER_3
    assert get(EXAMPLE, "3", HEADER) == INNER_3.partition(b"--b3")[0]
    assert get(EXAMPLE, "3", TEXT) == b"".join(INNER_3.partition(b"--b3")[1:])
    assert get(EXAMPLE, "4.2") == INNER_42
    assert get(EXAMPLE, "4.2", SectionText.HEADER_FIELDS, (b"SUBJECT",)) == (
        b"Subject: four two\r\n\r\n"
    )
    assert get(EXAMPLE, "4.2", SectionText.HEADER_FIELDS_NOT, (b"Content-Type",)) == (
        b"Subject: four two\r\n\r\n"
    )
    assert get(EXAMPLE, "4.2", MIME) == b"Content-Type: message/rfc822\r\n\r\n"
    inner = get(EXAMPLE, "4.2.2")
    assert inner is not None
    assert inner.startswith(b"--b422\r\n")
    assert inner.endswith(b"--b422--")


@pytest.mark.parametrize("part", ["0", "5", "1.1", "3.3", "3.1.1", "4.2.3", "4.3", "4.2.2.1.1"])
def test_parts_that_are_not_there(part: str) -> None:
    for text in SectionText:
        assert get(EXAMPLE, part, text) is None


def test_the_only_part_of_a_message_that_is_no_multipart() -> None:
    data = b"Subject: x\r\n\r\nbody"
    assert get(data, "1") == b"body"
    assert get(data, "1", MIME) == b"Subject: x\r\n\r\n"
    assert get(data, "1", HEADER) is None
    assert get(data, "2") is get(data, "1.1") is None
    assert get(data, "", HEADER) == b"Subject: x\r\n\r\n"
    assert get(data, "", TEXT) == b"body"
    assert get(data, "", MIME) is None


def test_a_message_that_is_a_message() -> None:
    data = leaf(b"message/rfc822", leaf(b"message/rfc822", b"Subject: in\r\n\r\nbody"))
    assert get(data, "1") == leaf(b"message/rfc822", b"Subject: in\r\n\r\nbody")
    assert get(data, "1", HEADER) == b"Content-Type: message/rfc822\r\n\r\n"
    assert get(data, "1.1") == b"Subject: in\r\n\r\nbody"
    assert get(data, "1.1", HEADER) == b"Subject: in\r\n\r\n"
    assert get(data, "1.1.1") == b"body"
    assert get(data, "1.1.1.1") is None


@given(
    messages() | hostile,
    st.lists(st.integers(1, 3), max_size=4),
    st.sampled_from(SectionText),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_a_partial_is_a_slice(
    data: bytes, numbers: list[int], text: SectionText, origin: int, count: int
) -> None:
    found = section(index(data), numbers, text, [b"Subject"])
    if found is None:
        return
    assert found.size == len(found.of(data))
    part = found.partial(origin, count)
    assert part.of(data) == found.of(data)[origin : origin + count]
    assert all(start < end for start, end in part.ranges)


def all_numbers(found: Index) -> list[tuple[int, ...]]:
    """Every part specifier that finds something."""
    result = list[tuple[int, ...]]()
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        numbers = waiting.pop()
        number = 1
        while find_part(found, (*numbers, number)) is not None:
            result.append((*numbers, number))
            waiting.append((*numbers, number))
            number += 1
    return result


@given(messages() | messages(b"\n") | hostile)
def test_header_and_text_are_the_message_and_parts_lie_in_their_parents(data: bytes) -> None:
    found = index(data)
    for numbers in ((), *all_numbers(found)):
        whole = section(found, numbers)
        assert whole is not None
        header, text = section(found, numbers, HEADER), section(found, numbers, TEXT)
        assert (header is None) == (text is None)
        if header is not None and text is not None:
            assert header.of(data) + text.of(data) == whole.of(data)
        if len(numbers) > 1:
            outer = section(found, numbers[:-1])
            assert outer is not None
            assert whole.of(data) in outer.of(data)
