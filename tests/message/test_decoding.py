"""Transfer encodings, charsets and encoded words against the stdlib and the RFCs' examples."""

from __future__ import annotations

import base64
import encodings
import quopri
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.message import CharsetDecoder, TextDecoder, TransferDecoder, decode_words, index

cuts = st.lists(st.integers(0, 20), max_size=20)


def in_chunks(feed: Callable[[bytes], bytes], data: bytes, sizes: list[int]) -> bytes:
    result, start = list[bytes](), 0
    for size in sizes:
        result.append(feed(data[start : start + size]))
        start += size
    return b"".join([*result, feed(data[start:])])


def decoded(encoding: bytes, data: bytes, sizes: list[int] | None = None) -> bytes:
    decoder = TransferDecoder(encoding)
    return in_chunks(decoder.feed, data, sizes or []) + decoder.close()


@given(st.binary(max_size=200), cuts)
def test_P01_base64_of_the_stdlib(data: bytes, sizes: list[int]) -> None:
    assert decoded(b"Base64", base64.encodebytes(data), sizes) == data
    assert decoded(b"base64", base64.b64encode(data).rstrip(b"="), sizes) == data


@given(st.binary(max_size=200), cuts)
def test_P01_quoted_printable_of_the_stdlib(data: bytes, sizes: list[int]) -> None:
    assert decoded(b"Quoted-Printable", quopri.encodestring(data), sizes) == data


@given(
    st.sampled_from([b"base64", b"quoted-printable", b"8bit", b"x-unknown"]),
    st.lists(
        st.sampled_from(
            [b"=", b"==", b"QUI=", b"QUJD", b"Q", b"=4", b"1", b"=\r\n", b" ", b"\n", b"\xff", b"!"]
        )
    ).map(b"".join),
    cuts,
)
def test_P01_damaged_input_decodes_alike_in_every_chunking(
    encoding: bytes, data: bytes, sizes: list[int]
) -> None:
    whole = decoded(encoding, data)
    assert decoded(encoding, data, sizes) == whole
    assert decoded(encoding, data, [1] * len(data)) == whole


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"SGVsbG8=", b"Hello"),
        (b"SGVs\r\nbG8", b"Hello"),
        (b"S G*V!s\xffbG8=", b"Hello"),
        (b"SGVsbG8=SGVsbG8=", b"HelloHello"),
        (b"SGVsbG9=", b"Hello"),  # bits that should be zero
        (b"S", b""),
        (b"====", b""),
        (b"", b""),
    ],
)
def test_base64_that_is_not_canonical(data: bytes, expected: bytes) -> None:
    assert decoded(b"base64", data) == expected


def test_P08_a_line_of_quoted_printable_without_end_is_not_held() -> None:
    decoder = TransferDecoder(b"quoted-printable")
    size = sum(len(decoder.feed(b"a" * 65_536)) for _ in range(10))
    assert size > 9 * 65_536
    long = b"=41" * 10_000 + b" " * 10
    assert decoded(b"quoted-printable", long, [1000] * 30) == b"A" * 10_000 + b" " * 10


# ------------------------------------------------------------------------------------- charsets


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        (b"utf-8", b"\xc3\xa9", "é"),
        (b"UTF8", b"\xc3\xa9", "é"),
        (b"us-ascii", b"\xc3\xa9", "é"),
        (b"ISO-8859-1", b"\xe9", "é"),
        (b"iso-8859-8-i", b"\xe0", "א"),
        (b"windows-1252", b"\x80", "€"),
        (b"koi8-u", b"\xa4", "є"),
        (b"windows-874", b"\xa1", "ก"),
        (b"gb2312", b"\x81\x30\x81\x30", "\x80"),
        (b"ks_c_5601-1987", b"\xb0\xa1", "가"),
        (b"iso-2022-jp", b'\x1b$B$"\x1b(B', "あ"),
        (b"utf-16", b"\xfe\xff\x00a", "a"),
        (b"x-unknown", b"\xc3\xa9\xff", "é\ufffd"),
    ],
)
def test_charsets_by_the_names_of_mail(charset: bytes, octets: bytes, text: str) -> None:
    decoder = CharsetDecoder(charset)
    assert "".join(decoder.feed(bytes([octet])) for octet in octets) + decoder.close() == text


@pytest.mark.parametrize(
    "charset",
    [b"zlib", b"bz2", b"rot13", b"hex", b"uu", b"base64", b"quopri", b"punycode", b"idna",
     b"unicode_escape", b"raw-unicode-escape", b"undefined", b"mbcs", b"aliases", b"__init__",
     b"..os", b"os", b"", b"\0", b"\xff", b"a" * 10_000],
)  # fmt: skip
def test_names_of_strangers_reach_no_other_codec_or_module(charset: bytes) -> None:
    decoder = CharsetDecoder(charset)
    assert decoder.feed(b"x\\u0041=41") + decoder.close() == "x\\u0041=41"


def test_P08_unknown_names_are_not_remembered() -> None:
    before = len(encodings._cache)
    for number in range(100):
        CharsetDecoder(b"x-unknown-%d" % number)
    assert len(encodings._cache) <= before + 1  # utf_8 may be new


@given(st.text(max_size=60), st.sampled_from(["utf-8", "utf-16", "utf-7", "gb18030"]), cuts)
def test_P01_charsets_in_chunks(text: str, charset: str, sizes: list[int]) -> None:
    try:
        octets = text.encode(charset)
    except UnicodeEncodeError:
        return
    decoder = CharsetDecoder(charset.encode())
    start, result = 0, ""
    for size in sizes:
        result += decoder.feed(octets[start : start + size])
        start += size
    assert result + decoder.feed(octets[start:]) + decoder.close() == text


def test_the_text_of_a_part() -> None:
    part = index(
        b"Content-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).root
    decoder = TextDecoder(part)
    assert decoder.feed(b"caf=") + decoder.feed(b"E9=\r\n!") + decoder.close() == "café!"


# --------------------------------------------------------------------------------- encoded words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 section 8
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (
            b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRo?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5k?=",
            "If you can read thu understand",
        ),
        (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        # RFC 2231 section 5
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # faults of real mail
        (b"=?utf-8?b?w6k?=", "é"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        (b"=?utf-8?q?=C3?= =?UTF-8?q?=A9?=", "é"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?q?\xc3\xa9?=", "é"),
        (b"=?nonsense?q?a?=", "a"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?utf-8?q??=", ""),
        (b"x=?utf-8?q?a?=y", "xay"),
        (b"\xc3\xa9 \xff", "é \ufffd"),
        (b"", ""),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80))
def test_what_the_stdlib_encodes_is_decoded(text: str) -> None:
    from email.header import Header

    text = " ".join(text.split())
    folded = Header(text, "utf-8", maxlinelen=60).encode().encode()
    value = index(b"Subject: " + folded.replace(b"\n", b"\r\n") + b"\r\n\r\n").root.header
    assert decode_words(value.get(b"subject") or b"").strip() == text.strip()
