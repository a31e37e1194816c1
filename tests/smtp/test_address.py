"""Addresses against the grammar and the limits of RFC 5321 and RFC 6531."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.smtp.address import check_path, scan_path
from mailproto.testing.strategies import smtp as strategies


@pytest.mark.parametrize(
    ("text", "local_part", "domain"),
    [
        ("Jones@XYZ.COM", "Jones", "XYZ.COM"),
        ("joe.q-public+tag@example.com", "joe.q-public+tag", "example.com"),
        ('"Joe Q. Public"@example.com', "Joe Q. Public", "example.com"),
        (r'"a\"b\\c\@d"@example.com', 'a"b\\c@d', "example.com"),
        ('""@example.com', "", "example.com"),
        ('"joe"@example.com', "joe", "example.com"),
        ("joe@[127.0.0.1]", "joe", "[127.0.0.1]"),
        ("joe@[IPv6:::1]", "joe", "[IPv6:::1]"),
        ("joe@[IPv6:2001:db8::ff00:42:8329]", "joe", "[IPv6:2001:db8::ff00:42:8329]"),
        ("joe@[IPv6:::ffff:192.0.2.1]", "joe", "[IPv6:::ffff:192.0.2.1]"),
        ("joe@[x400:c=us]", "joe", "[x400:c=us]"),
        ("joe@localhost", "joe", "localhost"),
        ("joe@1.2", "joe", "1.2"),
        ("用户@例え.テスト", "用户", "例え.テスト"),
        ("x@" + "a" * 255, "x", "a" * 255),
        ("x" * 64 + "@y", "x" * 64, "y"),
    ],
)
def test_P28_P29_addresses_of_the_grammar(text: str, local_part: str, domain: str) -> None:
    assert smtp.Mailbox.parse(text) == smtp.Mailbox(local_part, domain)


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ("", "no local part", 0),
        ("@example.com", "no local part", 0),
        ("joe", 'expected "@" and a domain', 3),
        ("joe@", "no domain", 4),
        ("joe@-a.example", "no domain", 4),
        ("joe@a-.example", "unexpected '-'", 5),
        ("joe@a..b", "unexpected '.'", 5),
        ("joe..q@example.com", 'expected "@" and a domain', 3),
        (".joe@example.com", "no local part", 0),
        ("joe @example.com", 'expected "@" and a domain', 3),
        ("joe@exa mple.com", "unexpected ' '", 7),
        ("joe@example.com\r\nRCPT TO:<x@y>", "unexpected '\\r'", 15),
        ("jo\x00e@example.com", 'expected "@" and a domain', 2),
        ("jo\ud800e@example.com", 'expected "@" and a domain', 2),
        ("joe@ex\udcffample.com", "unexpected '\\udcff'", 6),
        ('"jo\udfff"@example.com', "malformed quoted local part", 0),
        ('"joe@example.com', "malformed quoted local part", 0),
        ('"a\r\nb"@example.com', "malformed quoted local part", 0),
        ('"a\\\x7f"@example.com', "malformed quoted local part", 0),
        ("joe@[256.0.0.1]", "malformed address literal", 4),
        ("joe@[1.2.3]", "malformed address literal", 4),
        ("joe@[IPv6:1.2.3.4]", "malformed address literal", 4),
        ("joe@[IPv6:fe80::1%eth0]", "malformed address literal", 4),
        ("joe@[127.0.0.1", "malformed address literal", 4),
        ("joe@[\u0661.1.1.1]", "malformed address literal", 4),
        ("x" * 65 + "@y", "local part longer than 64 octets", 0),
        ("ä" * 33 + "@y", "local part longer than 64 octets", 0),
        ("x@" + "a" * 256, "domain longer than 255 octets", 2),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, problem: str, position: int) -> None:
    with pytest.raises(smtp.AddressError) as caught:
        smtp.Mailbox.parse(text)
    assert (caught.value.problem, caught.value.position) == (problem, position)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "text",
    ["<@a.example:joe@b.example>", "<@a.example,@b.example:joe@b.example>", "<joe@b.example>"],
)
def test_source_routes_are_accepted_and_dropped(text: str) -> None:
    assert scan_path(text, 0) == (smtp.Mailbox("joe", "b.example"), len(text))


@pytest.mark.parametrize("text", ["<@a.example>", "<@:joe@b>", "<@a,b:joe@b>", "<joe@b", "joe@b"])
def test_malformed_paths_are_refused(text: str) -> None:
    with pytest.raises(smtp.AddressError):
        scan_path(text, 0)


def test_P29_a_path_of_256_octets_is_accepted_and_one_more_is_not() -> None:
    local_part, domain = "x" * 64, "a" * 189
    path = f"<{local_part}@{domain}>"
    assert len(path) == 256
    assert scan_path(path, 0)[0] == smtp.Mailbox(local_part, domain)
    assert check_path(smtp.Mailbox(local_part, domain)) == path[1:-1]
    with pytest.raises(smtp.AddressError, match="longer than 256"):
        scan_path(f"<{local_part}@{domain}b>", 0)
    with pytest.raises(smtp.AddressError, match="longer than 256"):
        check_path(smtp.Mailbox(local_part, domain + "b"))


@pytest.mark.parity("smtp-server null reverse-path")
@pytest.mark.parametrize(
    ("text", "path"),
    [("<>", smtp.NULL_PATH), ("<Postmaster>", smtp.POSTMASTER), ("<postMASTER>", smtp.POSTMASTER)],
)
def test_special_paths(text: str, path: smtp.SpecialPath) -> None:
    assert scan_path(text, 0) == (path, len(text))


@given(strategies.mailboxes(utf8=True))
def test_P18_what_is_written_reads_as_the_same_mailbox(mailbox: smtp.Mailbox) -> None:
    try:
        text = check_path(mailbox)
    except smtp.AddressError:
        # Only its length can be wrong.
        assert len(str(mailbox).encode()) > 64
        return
    assert smtp.Mailbox.parse(text) == mailbox


@given(st.text(max_size=20), st.text(max_size=20))
def test_P04_nothing_escapes_from_a_mailbox(local_part: str, domain: str) -> None:
    try:
        text = check_path(smtp.Mailbox(local_part, domain))
    except smtp.AddressError:
        return
    assert not set(text) & set("\r\n\0")
    assert scan_path(f"<{text}>", 0) == (smtp.Mailbox(local_part, domain), len(text) + 2)


@pytest.mark.parametrize(
    ("local_part", "domain", "problem", "position"),
    [
        ("jo\ud800e", "example.com", "'\\ud800' in the local part", 2),
        ("joe q.\x7f", "example.com", "'\\x7f' in the local part", 6),
        ("joe", "ex\udcffample.com", "unexpected '\\udcff'", 6),
    ],
)
def test_P04_what_no_address_has_is_named_with_its_place(
    local_part: str, domain: str, problem: str, position: int
) -> None:
    with pytest.raises(smtp.AddressError) as caught:
        check_path(smtp.Mailbox(local_part, domain))
    assert (caught.value.problem, caught.value.position) == (problem, position)


@given(st.text(alphabet='a.@"\\<>[]:, -1\r\n\x00ä', max_size=24))
def test_P11_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        mailbox = smtp.Mailbox.parse(text)
    except smtp.AddressError:
        return
    assert smtp.Mailbox.parse(str(mailbox)) == mailbox
