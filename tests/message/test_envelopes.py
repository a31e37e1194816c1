"""ENVELOPE and address lists: RFC examples, the stdlib's header registry, faults of real mail."""

from __future__ import annotations

import email.headerregistry
import email.policy

import pytest
from hypothesis import given

from mailproto.message import Address, Envelope, Header, envelope, parse_addresses
from mailproto.testing.strategies.message import addresses

GRAY = Address(b"Terry Gray", None, b"gray", b"cac.washington.edu")


def test_the_example_of_rfc_3501_section_8() -> None:
    header = Header.parse(
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
        b"To: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
    )
    assert envelope(header) == Envelope(
        date=b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
        subject=b"IMAP4rev1 WG mtg summary and minutes",
        from_=(GRAY,),
        sender=(GRAY,),
        reply_to=(GRAY,),
        to=(Address(None, None, b"imap", b"cac.washington.edu"),),
        cc=(
            Address(None, None, b"minutes", b"CNRI.Reston.VA.US"),
            Address(b"John Klensin", None, b"KLENSIN", b"MIT.EDU"),
        ),
        bcc=(),
        in_reply_to=None,
        message_id=b"<B27397-0100000@cac.washington.edu>",
    )


def test_sender_and_reply_to_are_from_unless_they_name_somebody() -> None:
    other = (Address(None, None, b"x", b"y"),)
    header = Header.parse(b"From: a@b\r\nSender:\r\nReply-To: x@y\r\n\r\n")
    found = envelope(header)
    assert found.sender == found.from_ == (Address(None, None, b"a", b"b"),)
    assert found.reply_to == other


def test_the_first_of_fields_that_occur_twice_and_all_of_their_addresses() -> None:
    header = Header.parse(b"Subject: 1\r\nSubject: 2\r\nTo: a@b\r\nTo: c@d\r\n\r\n")
    found = envelope(header)
    assert found.subject == b"1"
    assert [address.mailbox for address in found.to] == [b"a", b"c"]


def test_an_empty_field_is_there_and_an_absent_one_is_not() -> None:
    found = envelope(Header.parse(b"Subject:\r\n\r\n"))
    assert (found.subject, found.date) == (b"", None)


def test_the_groups_of_rfc_5322_appendix_a_1_3() -> None:
    found = parse_addresses(
        b"A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;"
    )
    assert found == (
        Address(None, None, b"A Group", None),
        Address(b"Ed Jones", None, b"joe", b"where.test"),
        Address(None, None, b"joe", b"where.test"),
        Address(b"John", None, b"jdoe", b"one.test"),
        Address(None, None, None, None),
    )
    assert parse_addresses(b"Undisclosed recipients:;") == (
        Address(None, None, b"Undisclosed recipients", None),
        Address(None, None, None, None),
    )


def test_the_obsolete_addresses_of_rfc_5322_appendix_a_6_1() -> None:
    found = parse_addresses(
        b'Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example, "Joe Q. Public" <j@x>'
    )
    assert found == (
        Address(b"Mary Smith", b"@node.test", b"mary", b"example.net"),
        Address(None, None, b"jdoe", b"test.example"),
        Address(b"Joe Q. Public", None, b"j", b"x"),
    )


def test_the_comments_of_rfc_5322_appendix_a_5() -> None:
    found = parse_addresses(
        b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>,"
        b"A Group(Some people):Chris Jones <c@(Chris's host.)public.example>,joe@example.org;"
    )
    assert found[0] == Address(b"Pete", None, b"pete", b"silly.test")
    assert found[2] == Address(b"Chris Jones", None, b"c", b"public.example")
    assert len(found) == 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", ()),
        (b" , ;", ()),
        (b"ada", (Address(None, None, b"ada", b""),)),
        (b"ada lovelace", (Address(None, None, b"ada lovelace", b""),)),
        (b"<ada>", (Address(None, None, b"ada", b""),)),
        (b"<>", (Address(None, None, b"", b""),)),
        (b"Ada <>", (Address(b"Ada", None, b"", b""),)),
        (b"ada@", (Address(None, None, b"ada", b""),)),
        (b"@example.org", (Address(None, None, b"", b"example.org"),)),
        (b"Ada <ada@x", (Address(b"Ada", None, b"ada", b"x"),)),
        (b"Ada ada@x>", (Address(None, None, b"Ada ada", b"x"),)),
        (b"ada@x (Ada)", (Address(b"Ada", None, b"ada", b"x"),)),
        (b'"Ada L." <ada@x>', (Address(b"Ada L.", None, b"ada", b"x"),)),
        (b'"a\\"b\\\\" <ada@x>', (Address(b'a"b\\', None, b"ada", b"x"),)),
        (b'"unclosed <ada@x>', (Address(None, None, b"unclosed <ada@x>", b""),)),
        (b'"ada b"@x', (Address(None, None, b"ada b", b"x"),)),
        (b"ada@[192.0.2.1]", (Address(None, None, b"ada", b"[192.0.2.1]"),)),
        (b"J. R. Hacker <j@x>", (Address(b"J. R. Hacker", None, b"j", b"x"),)),
        (b"a@b@c", (Address(None, None, b"a@b", b"c"),)),
        (b"\xc3\xa9va <\xc3\xa9@x>", (Address(b"\xc3\xa9va", None, b"\xc3\xa9", b"x"),)),
        (b"=?utf-8?q?=C3=A9va?= <e@x>", (Address(b"=?utf-8?q?=C3=A9va?=", None, b"e", b"x"),)),
        (b"(((((", ()),
        (b"\\", (Address(None, None, b"\\", b""),)),
        (b"g:a@b", (Address(None, None, b"g", None), Address(None, None, b"a", b"b"),
                    Address(None, None, None, None))),
    ],
)  # fmt: skip
def test_whatever_is_written_is_read(value: bytes, expected: tuple[Address, ...]) -> None:
    assert parse_addresses(value) == expected


@given(addresses.filter(lambda value: value.isascii() and b"=?" not in value))
def test_addresses_are_those_of_the_stdlib(value: bytes) -> None:
    header = email.policy.default.header_factory("To", value.decode())
    assert isinstance(header, email.headerregistry.AddressHeader)
    expected = list[Address]()
    for group in header.groups:
        if group.display_name is not None:
            expected.append(Address(None, None, group.display_name.encode(), None))
        # A comment is no name to the stdlib.
        expected += [
            Address(a.display_name.encode() or None, None, a.username.encode(), a.domain.encode())
            for a in group.addresses
        ]
        if group.display_name is not None:
            expected.append(Address(None, None, None, None))
    named = [
        Address(None, *rest) if name == b"Ada (the first)" else Address(name, *rest)
        for name, *rest in ((a.name, a.route, a.mailbox, a.host) for a in parse_addresses(value))
    ]
    assert named == expected
