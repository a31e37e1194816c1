"""Strategies for every command of IMAP that can go over the wire, and for hostile wire text."""

from __future__ import annotations

import datetime
import string

from hypothesis import strategies as st

from mailproto import imap

__all__ = [
    "authenticated_commands",
    "command_lines",
    "fetch_items",
    "flags",
    "mailbox_names",
    "search_keys",
    "selected_commands",
    "sequence_sets",
    "strings",
    "unauthenticated_commands",
]

_ATOM = string.ascii_letters + string.digits + "!#$&'+,-./:;<=>?@[^_`|}~"
_KEYWORDS = st.text(_ATOM, min_size=1, max_size=12)

strings: st.SearchStrategy[bytes] = st.one_of(
    st.text(string.printable, max_size=20).map(str.encode),
    st.sampled_from([b"", b"NIL", b'a "quoted" \\ string', b"{3}", b"line\r\nA1 NOOP\r\n", b"*"]),
    st.binary(max_size=40).map(lambda octets: octets.replace(b"\0", b"\1")),
)
"""What a string argument can hold: any octets but NUL."""

_ascii_strings = strings.map(lambda octets: bytes(octet & 0x7F or 0x20 for octet in octets))

mailbox_names: st.SearchStrategy[imap.MailboxName] = st.one_of(
    st.just(imap.INBOX),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(
        imap.MailboxName.from_text
    ),
    strings.filter(bool).map(imap.MailboxName),
)
"""Mailbox names, also ones that are no modified UTF-7."""

_numbers = st.one_of(st.integers(1, 30), st.integers(1, 2**32 - 1), st.just(imap.STAR))

sequence_sets: st.SearchStrategy[imap.SequenceSet] = st.lists(
    st.tuples(_numbers, _numbers), min_size=1, max_size=6
).map(lambda pairs: imap.SequenceSet(tuple((min(pair), max(pair)) for pair in pairs)))
"""Sequence sets, ranges in any order."""

flags: st.SearchStrategy[tuple[str, ...]] = st.lists(
    st.one_of(st.sampled_from(imap.SYSTEM_FLAGS), _KEYWORDS), max_size=5
).map(tuple)
"""Flags that a client may set."""

_parts = st.lists(st.integers(1, 2**32 - 1), max_size=4).map(tuple)
_field_texts = st.sampled_from([imap.SectionText.HEADER_FIELDS, imap.SectionText.HEADER_FIELDS_NOT])
_sections = st.one_of(
    st.builds(
        imap.Section,
        _parts,
        st.sampled_from([None, imap.SectionText.HEADER, imap.SectionText.TEXT]),
    ),
    st.builds(imap.Section, _parts.filter(bool), st.just(imap.SectionText.MIME)),
    st.builds(
        imap.Section,
        _parts,
        _field_texts,
        st.lists(strings, min_size=1, max_size=3).map(tuple),
    ),
)

fetch_items: st.SearchStrategy[tuple[imap.FetchItem, ...] | imap.FetchMacro] = st.one_of(
    st.sampled_from(imap.FetchMacro),
    st.lists(
        st.one_of(
            st.sampled_from(imap.FetchAtt),
            st.builds(
                imap.BodySection,
                _sections,
                st.booleans(),
                st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1)),
            ),
        ),
        min_size=1,
        max_size=5,
    ).map(tuple),
)
"""What FETCH can ask for."""

_dates = st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31))

search_keys: st.SearchStrategy[imap.SearchKey] = st.recursive(
    st.one_of(
        st.sampled_from(imap.SearchFlag),
        st.builds(imap.SearchText, st.sampled_from(imap.TextKey), _ascii_strings),
        st.builds(imap.SearchHeader, _ascii_strings, _ascii_strings),
        st.builds(imap.SearchDate, st.sampled_from(imap.DateKey), _dates),
        st.builds(imap.SearchSize, st.sampled_from(imap.SizeKey), st.integers(0, 2**32 - 1)),
        st.builds(imap.SearchKeyword, _KEYWORDS, st.booleans()),
        st.builds(imap.SearchSet, sequence_sets),
        st.builds(imap.SearchUid, sequence_sets),
    ),
    lambda keys: st.one_of(
        st.builds(imap.Not, keys),
        st.builds(imap.Or, keys, keys),
        st.builds(imap.And, st.lists(keys, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
"""Search keys, nested."""

_zones = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
_moments = st.datetimes(timezones=_zones).map(lambda moment: moment.replace(microsecond=0))

_any_state = st.one_of(
    st.builds(imap.Capability),
    st.builds(imap.Noop),
    st.builds(
        imap.Id,
        st.lists(st.tuples(strings, st.none() | strings), max_size=3).map(tuple),
    ),
)

unauthenticated_commands: st.SearchStrategy[imap.Command] = st.one_of(
    _any_state,
    st.builds(imap.Login, strings, strings),
    st.builds(imap.Authenticate, st.sampled_from(["PLAIN", "SCRAM-SHA-256"]), st.none()),
)
"""Commands before login, without STARTTLS and LOGOUT, which end the conversation."""

_one_mailbox = [imap.Create, imap.Delete, imap.Subscribe, imap.Unsubscribe]

authenticated_commands: st.SearchStrategy[imap.Command] = st.one_of(
    _any_state,
    *(st.builds(kind, mailbox_names) for kind in _one_mailbox),
    st.builds(imap.Rename, mailbox_names, mailbox_names),
    st.builds(imap.List, mailbox_names, mailbox_names),
    st.builds(imap.Lsub, mailbox_names, mailbox_names),
    st.builds(imap.Namespace),
    st.builds(imap.Enable, st.just(("CONDSTORE",))),
    st.builds(
        imap.Status,
        mailbox_names,
        st.lists(st.sampled_from(imap.StatusItem), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(imap.Append, mailbox_names, strings, flags, st.none() | _moments),
)
"""Commands that need no mailbox, without SELECT and EXAMINE, which change the state."""

selected_commands: st.SearchStrategy[imap.Command] = st.one_of(
    st.builds(imap.Check),
    st.builds(imap.Expunge, st.none() | sequence_sets),
    st.builds(
        imap.Search,
        st.lists(search_keys, min_size=1, max_size=4).map(tuple),
        st.none() | st.sampled_from(["UTF-8", "US-ASCII"]),
        st.booleans(),
        st.none() | st.lists(st.sampled_from(imap.ReturnOption), max_size=3).map(tuple),
    ),
    st.builds(imap.Fetch, sequence_sets, fetch_items, st.booleans()),
    st.builds(
        imap.Store,
        sequence_sets,
        st.sampled_from(imap.StoreAction),
        flags,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(imap.Copy, sequence_sets, mailbox_names, st.booleans()),
    st.builds(imap.Move, sequence_sets, mailbox_names, st.booleans()),
)
"""Commands of the selected state, without CLOSE and UNSELECT, which leave it."""

_WORDS = [
    b"a", b"a1", b"*", b"+", b" ", b"  ", b"\r\n", b"\r", b"\n", b"\0", b"\xff", b"(", b")", b'"',
    b"{0}\r\n", b"{3}\r\nabc", b"{3+}\r\nabc", b"{99999999999}\r\n", b"{5000+}\r\n", b"~{3}\r\nabc",
    b"LOGIN", b"NOOP", b"SELECT", b"INBOX", b"FETCH", b"UID", b"STORE", b"SEARCH", b"APPEND",
    b"AUTHENTICATE", b"PLAIN", b"AGEAYg==", b"IDLE", b"DONE", b"1:*", b"4294967296", b"-1",
    b"BODY[", b"]", b"<0.1>", b"FLAGS", b"(\\Seen)", b"OR", b"NOT", b"((((", b"CHARSET",
    b"LOGOUT", b"STARTTLS", b"1-Feb-1994", b"\xe2\x80\xa8", b"\x0b", b"LIST", b"STATUS", b"CLOSE",
]  # fmt: skip

command_lines: st.SearchStrategy[bytes] = st.lists(
    st.one_of(st.sampled_from(_WORDS), st.binary(max_size=6)), max_size=40
).map(b" ".join)
"""Octets that look like commands, more or less."""
