"""Content-Type, Content-Disposition and their parameters (RFC 2045, RFC 2183, RFC 2231)."""

from __future__ import annotations

import email.message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.message import ContentType, Disposition, Part, index


def part(value: bytes, field: bytes = b"Content-Type") -> Part:
    return index(field + b": " + value + b"\r\n\r\n").root


def content_type(value: bytes) -> ContentType:
    return part(value).content_type


@pytest.mark.parametrize(
    ("value", "media", "parameters"),
    [
        (b"text/plain", b"text/plain", ()),
        (b"TEXT/Plain;Charset=X", b"text/plain", ((b"Charset", b"X"),)),
        (b"text / html ; a = b ; c=d;", b"text/html", ((b"a", b"b"), (b"c", b"d"))),
        (b"text/plain (a) ; (b) a (c) = (d) b", b"text/plain", ((b"a", b"b"),)),
        (b'a/b; c="d;e=\\"f\\""', b"a/b", ((b"c", b'd;e="f"'),)),
        (b'a/b; c=""', b"a/b", ((b"c", b""),)),
        (b"a/b; c=d e.f", b"a/b", ((b"c", b"d e.f"),)),
        (b"a/b; c==_1:2?3/4", b"a/b", ((b"c", b"=_1:2?3/4"),)),
        (b"a/b; c; =d; e=f", b"a/b", ((b"e", b"f"),)),
        (b'a/b; c="d', b"a/b", ((b"c", b"d"),)),
        (b"a/b c; d=e", b"text/plain", ((b"charset", b"us-ascii"),)),
        (b"text", b"text/plain", ((b"charset", b"us-ascii"),)),
        (b"/", b"text/plain", ((b"charset", b"us-ascii"),)),
        (b"", b"text/plain", ((b"charset", b"us-ascii"),)),
    ],
)
def test_content_types(
    value: bytes, media: bytes, parameters: tuple[tuple[bytes, bytes], ...]
) -> None:
    found = content_type(value)
    assert (found.media, found.parameters) == (media, parameters)


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        # RFC 2231 sections 3, 4 and 4.1
        (
            b'message/external-body; access-type=URL;\r\n URL*0="ftp://";\r\n URL*1="cs.utk.edu/x"',
            "url",
            "ftp://cs.utk.edu/x",
        ),
        (
            b"application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "title",
            "This is ***fun***",
        ),
        (
            b"a/b\r\n ;title*0*=us-ascii'en'Even%20\r\n ;title*1*=%2Afun%2A%20\r\n ;title*2=!",
            "TITLE",
            "Even *fun* !",
        ),
        (b"a/b; n*1=b; n*0=a; n*3=d", "n", "ab"),
        (b"a/b; n*=utf-8''%C3%A9%zz%", "n", "é%zz%"),
        (b"a/b; n*0*=iso-8859-1''%E9; n*1*=%E8", "n", "éè"),
        (b"a/b; n*0*=utf-8''%C3; n*1*=%A9", "n", "é"),
        (b"a/b; n*=no-charset", "n", "no-charset"),
        (b"a/b; n*=unknown''x", "n", "x"),
        (b"a/b; n*1=b", "n", None),
        (b"a/b; n*x=b; n=plain", "n", "plain"),
        (b"a/b; n*99999999999999999999=b; n=plain", "n", "plain"),
        (b"a/b; n=\xc3\xa9", "n", "é"),
        (b"a/b; n=\xe9", "n", "\ufffd"),
        (b"a/b", "n", None),
    ],
)
def test_parameters_of_rfc_2231(value: bytes, name: str, expected: str | None) -> None:
    assert content_type(value).parameter(name) == expected


@given(
    st.text(min_size=1, max_size=30).filter(lambda text: text.strip() == text and "\0" not in text)
)
def test_what_the_stdlib_encodes_is_decoded(name: str) -> None:
    message = email.message.Message()
    try:
        message.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
        value = str(message["Content-Disposition"]).encode()
    except UnicodeEncodeError:  # a lone surrogate is no character
        return
    found = part(value, b"Content-Disposition").disposition
    assert found is not None
    assert found.parameter("filename") == name


def test_a_disposition_that_says_nothing() -> None:
    assert part(b"", b"Content-Disposition").disposition is None
    assert part(b"inline", b"Content-Disposition").disposition == Disposition(b"inline")


def test_parameters_as_written_are_what_bodystructure_sends() -> None:
    found = content_type(b"a/b; NAME*0*=utf-8''%41; name*1=\"b c\"")
    assert found.parameters == ((b"NAME*0*", b"utf-8''%41"), (b"name*1", b"b c"))
    assert found.raw_parameter(b"Name*1") == b"b c"
