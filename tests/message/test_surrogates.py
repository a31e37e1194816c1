"""Surrogates of internationalised messages (RFC 6858), read back by the standard library."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import message
from mailproto.message import Edit, Rewriter, encode_words, surrogate, unparsed
from mailproto.testing.chop import every_cut

INTERNATIONAL = """\
Return-Path: <josé@exämple.com>\r
Received: from exämple.com by example.org; Mon, 1 Jan 2024 00:00:00 +0000\r
From: José Núñez <josé@exämple.com>\r
To: tony@example.com, Zoë <zoe@example.com>,\r
 "Quoted \\"Name\\", Ltd." <q@example.com>, 日本 <用户@例子.广告>\r
Cc: Gruppe für Grüße: a@example.com, müller@example.com;, undisclosed:;\r
Subject: Grüße =?UTF-8?Q?_aus?= 日本語\r
Message-ID: <münchen@example.com>\r
Date: Mon, 1 Jan 2024 00:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="b b"\r
\r
--b b\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
Hällo, the body stays.\r
--b b\r
Content-Type: application/pdf; name="naïve.pdf"; size=3\r
Content-Disposition: attachment; filename="naïve.pdf"; size="3"\r
Content-Description: naïve\r
\r
pdf\r
--b b\r
Content-Type: message/global\r
\r
Subject: inner ü\r
From: a@example.com\r
\r
ü\r
--b b--\r
""".encode()


def rewritten(data: bytes) -> bytes:
    return Rewriter(surrogate(message.index(data))).feed(data)


def parsed(data: bytes) -> EmailMessage:
    return BytesParser(policy=email.policy.default).parsebytes(data)


def headers(data: bytes) -> bytes:
    """The octets of all headers of a message."""
    found = message.index(data)
    parts, octets = [found.root], b""
    while parts:
        part = parts.pop()
        octets += data[part.header.start : part.header.end]
        parts += part.parts
        if part.message is not None:
            parts.append(part.message)
    return octets


def test_rfc6858_section_2_addresses_subject_parameters_and_the_rest() -> None:
    result = rewritten(INTERNATIONAL)
    assert headers(result).isascii()
    mail = parsed(result)
    assert mail["Return-Path"] == "<invalid@internationalized-address.invalid>"
    (author,) = mail["From"].addresses
    assert author.addr_spec == "invalid@internationalized-address.invalid"
    assert author.display_name == "José Núñez <josé@exämple.com>"
    recipients = mail["To"].addresses
    assert [a.addr_spec for a in recipients[:3]] == [
        "tony@example.com",
        "zoe@example.com",
        "q@example.com",
    ]
    assert [a.display_name for a in recipients] == [
        "",
        "Zoë",
        'Quoted "Name", Ltd.',
        "日本 <用户@例子.广告>",
    ]
    assert recipients[3].domain == "internationalized-address.invalid"
    first, second = mail["Cc"].groups
    assert first.display_name == "Gruppe für Grüße"
    assert [a.addr_spec for a in first.addresses] == [
        "a@example.com",
        "invalid@internationalized-address.invalid",
    ]
    assert (second.display_name, second.addresses) == ("undisclosed", ())
    assert mail["Subject"] == "Grüße  aus 日本語"
    assert mail["Message-ID"] is None
    assert mail["Received"] is None
    assert mail["Date"] == "Mon, 01 Jan 2024 00:00:00 +0000"
    text, pdf, inner = mail.iter_parts()
    assert text.get_payload(decode=True) == "Hällo, the body stays.".encode()
    assert pdf["Content-Type"] == 'application/pdf; size="3"'
    assert pdf["Content-Disposition"] == 'attachment; size="3"'
    assert pdf["Content-Description"] is None
    assert "=?UTF-8?B?" in str(inner)
    assert all(len(line) <= 76 for line in headers(result).split(b"\r\n"))


def test_an_ascii_message_needs_no_edits() -> None:
    data = b"From: a@example.com\r\nSubject: =?UTF-8?Q?=C3=BC?=\r\n\r\n" + "bödy\r\n".encode()
    assert surrogate(message.index(data)) == ()


def test_every_cut_of_a_message_is_rewritten_the_same() -> None:
    edits = surrogate(message.index(INTERNATIONAL))
    whole = rewritten(INTERNATIONAL)
    for cut in every_cut(INTERNATIONAL):
        rewriter = Rewriter(edits)
        assert b"".join(map(rewriter.feed, cut)) == whole
    rewriter = Rewriter(edits)
    pieces = [INTERNATIONAL[at : at + 1] for at in range(len(INTERNATIONAL))]
    assert b"".join(map(rewriter.feed, pieces)) == whole


def test_octets_of_no_known_charset_keep_their_values() -> None:
    assert encode_words(b"caf\xe9") == b"=?unknown-8bit?B?Y2Fm6Q==?="
    data = b"Subject: caf\xe9\r\nFrom: Ren\xe9 <r@example.com>\r\n\r\n"
    result = rewritten(data)
    assert result.isascii()
    assert b"<r@example.com>" in result


INVALID = b"\r\n <invalid@internationalized-address.invalid>\r\n"


@pytest.mark.parametrize(
    ("field", "presented"),
    [
        ("To: Müller", b"To: =?UTF-8?B?TcO8bGxlcg==?=" + INVALID),
        ("To: (ü) a@example.com", b"To: =?UTF-8?B?w7w=?=\r\n <a@example.com>\r\n"),
        ("To: <>, (ü) <>", b"To: <>,\r\n <>\r\n"),
        ("To: bob, ü", b"To: bob,\r\n =?UTF-8?B?w7w=?=" + INVALID),
        ('To: "a b"@example.com, ü:;', b'To: <"a b"@example.com>,\r\n =?UTF-8?B?w7w=?=: ;\r\n'),
        ("Content-Type: tëxt/plain", b""),
        ("Content-Type: ü", b""),
        ("Content-Disposition: ü", b""),
        ('Content-Type: a/b; x="a\\"b"; ü=1', b'Content-Type: a/b;\r\n x="a\\"b"\r\n'),
        ("X-Note: ü", b""),
    ],
)
def test_fields(field: str, presented: bytes) -> None:
    data = f"{field}\r\n\r\n".encode()
    (edit,) = surrogate(message.index(data))
    assert edit == Edit(0, len(data) - 2, presented)


def test_lines_that_are_no_fields_are_told_apart() -> None:
    data = "From nobody\r\nA: 1\r\ngarbage ü\r\nB: ü\r\n\r\nü\r\n".encode()
    found = message.index(data)
    assert [data[start:end] for start, end in unparsed(found)] == [
        b"From nobody\r\n",
        "garbage ü\r\n".encode(),
    ]


@given(st.binary(max_size=200), st.text(max_size=60))
def test_P08_any_header_becomes_ascii(octets: bytes, text: str) -> None:
    value = octets + text.encode("utf-8", "replace")
    value = value.replace(b"\n", b" ").replace(b"\r", b" ")
    for name in (b"From", b"Subject", b"Content-Type", b"Return-Path", b"X"):
        data = name + b": " + value + b"\r\n\r\n"
        found = message.index(data)
        result = Rewriter(surrogate(found)).feed(data)
        if not unparsed(found):
            assert result.isascii()
            assert message.index(result).root.header.end == len(result)
