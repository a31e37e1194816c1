"""The value types, each against an outside truth: Python's UTF-7 codec, brute force, the RFC."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import imap
from mailproto.imap.sequence_set import parse_sequence_set
from mailproto.testing.strategies import imap as strategies

# -------------------------------------------------------------------------- mailbox names


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 section 5.1.3
        ("Hello, World", b"Hello, World"),
        ("a&b", b"a&-b"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("\U0001f600", b"&2D3eAA-"),
        ("a\r\nb\0", b"a&AA0ACg-b&AAA-"),
    ],
)
def test_modified_utf7(text: str, octets: bytes) -> None:
    name = imap.MailboxName.from_text(text)
    assert name.octets == octets
    assert name.text == text


@given(st.text(st.characters(codec="utf-8", exclude_characters="+,&"), max_size=20))
def test_modified_utf7_agrees_with_the_codec_of_python(text: str) -> None:
    """Without "&", "+" and "," the two differ in the shift character and in "/" alone."""
    octets = imap.encode_utf7(text)
    assert octets.isascii()
    swapped = b"".join(
        b"+" + part.replace(b",", b"/") + b"-" if shifted else part
        for shifted, part in shifts(octets)
    )
    assert swapped.decode("utf-7") == text
    assert imap.decode_utf7(octets) == text


def shifts(octets: bytes) -> list[tuple[bool, bytes]]:
    parts: list[tuple[bool, bytes]] = []
    plain, *shifted = octets.split(b"&")
    parts.append((False, plain))
    for part in shifted:
        run, _, rest = part.partition(b"-")
        parts += ((True, run), (False, rest))
    return parts


@pytest.mark.parametrize(
    "octets",
    [b"&", b"&APw", b"&AP-", b"&APx-", b"&AGE-", b"&2D0-", b"a&b", b"&APw=-", b"caf\xe9"],
)
def test_P28_what_is_not_canonical_utf7_is_shown_as_it_is(octets: bytes) -> None:
    """Two names on the wire that differ must not look the same."""
    assert imap.decode_utf7(octets) is None
    name = imap.MailboxName(octets)
    assert name.text == octets.decode("utf-8", "backslashreplace")
    assert name.octets == octets


@given(strategies.octets())
def test_P28_names_are_data(octets: bytes) -> None:
    name = imap.MailboxName(octets)
    assert str(name).isprintable()
    str(name).encode("utf-8")
    assert name.octets == (b"INBOX" if octets.upper() == b"INBOX" else octets)


def test_inbox_has_one_spelling() -> None:
    assert imap.MailboxName(b"inBox") == imap.INBOX
    assert imap.Select("Inbox").mailbox == imap.INBOX
    assert imap.MailboxName(b"inbox/x").octets == b"inbox/x"


def test_a_lone_surrogate_is_no_name() -> None:
    with pytest.raises(UnicodeEncodeError):
        imap.MailboxName.from_text("\ud800")


# --------------------------------------------------------------------------- sequence sets


def brute(found: imap.SequenceSet, largest: int) -> set[int]:
    """The members up to ``largest`` by the words of RFC 3501 section 9, number by number."""
    members: set[int] = set()
    for first, last in found.ranges:
        if imap.STAR in (first, last) and not largest:
            continue
        a, b = (largest if n == imap.STAR else n for n in (first, last))
        members |= {n for n in range(1, largest + 1) if min(a, b) <= n <= max(a, b)}
    return members


small = st.integers(1, 30) | st.just(imap.STAR)
small_sets = st.lists(
    st.tuples(small, small).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=5
).map(lambda found: imap.SequenceSet(tuple(found)))


@given(small_sets, st.integers(0, 30))
def test_sets_agree_with_brute_force(found: imap.SequenceSet, largest: int) -> None:
    members = brute(found, largest)
    assert {n for n in range(1, largest + 1) if found.contains(n, largest)} == members
    resolved = found.resolve(largest)
    assert {n for a, b in resolved for n in range(a, b + 1) if n <= largest} == members
    assert list(resolved) == sorted(resolved)
    assert list(found.numbers(largest)) == sorted(members)


@given(strategies.sequence_sets())
def test_P18_sets_round_trip(found: imap.SequenceSet) -> None:
    assert parse_sequence_set(str(found).encode()) == found


@given(st.sets(st.integers(1, 60), min_size=1))
def test_of_joins_numbers_to_ranges(numbers: set[int]) -> None:
    found = imap.SequenceSet.of(numbers)
    assert list(found.numbers(60)) == sorted(numbers)
    assert all(b[0] > a[1] + 1 for a, b in zip(found.ranges, found.ranges[1:], strict=False))


def test_P08_a_set_is_never_expanded() -> None:
    found = parse_sequence_set(b"1:4294967295,*:2")
    assert found is not None
    assert found.ranges == ((1, 4294967295), (2, imap.STAR))
    assert found.contains(3_000_000_000, 4_000_000_000)
    assert next(found.numbers(4_000_000_000)) == 1


@pytest.mark.parametrize(
    "text",
    [b"", b"0", b"1,", b",1", b"1:", b":1", b"1::2", b"1:2:3", b"-1", b"+1", b"1 2", b"01", b"1_0",
     b"4294967296", b"1:4294967296", b"4294967296:*", b"9999999999", b"99999999999", b"**",
     "\u0661".encode(), b"1\n"],
)  # fmt: skip
def test_P17_sets_are_strict(text: bytes) -> None:
    assert parse_sequence_set(text) is None
    with pytest.raises(ValueError):
        imap.Fetch(text.decode(), imap.FetchAtt.UID)


# -------------------------------------------------------------------------------- the rest


def test_flags_have_the_spelling_of_the_rfc() -> None:
    assert imap.Store(1, imap.StoreAction.ADD, ["\\SEEN", "keyWord", "\\Own"]).flags == (
        "\\Seen",
        "keyWord",
        "\\Own",
    )


def test_capabilities() -> None:
    found = imap.Capabilities(["IMAP4rev1", "auth=plain", "AUTH=SCRAM-SHA-256", "APPENDLIMIT=5"])
    assert "imap4REV1" in found
    assert "AUTH" not in found
    assert found.mechanisms == ("PLAIN", "SCRAM-SHA-256")
    assert found.arguments("appendlimit") == ("5",)


def test_macros_are_what_the_rfc_says() -> None:
    assert [item.value for item in imap.FetchMacro.FULL.items] == (
        ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]
    )
    assert imap.FetchMacro.FULL.items[:4] == imap.FetchMacro.ALL.items
    assert imap.FetchMacro.FULL.items[:3] == imap.FetchMacro.FAST.items


def test_P16_secrets_are_not_in_repr() -> None:
    for value in (
        imap.Login("user", "canary"),
        imap.Authenticate("PLAIN", b"canary"),
        imap.AuthenticateResponse(b"canary"),
        imap.Challenge(b"canary"),
        imap.Tagged("a", imap.Login("user", "canary")),
    ):
        assert "canary" not in repr(value)
        assert "canary" not in str(value)
