"""Strategies for every value of POP3 that can go over the wire, and for hostile wire text."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from mailproto import pop3

__all__ = [
    "capabilities",
    "command_lines",
    "commands",
    "listings",
    "message_numbers",
    "messages",
    "names",
    "response_codes",
    "response_lines",
    "single_answers",
    "texts",
    "unique_ids",
]

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))

message_numbers: st.SearchStrategy[int] = st.one_of(st.integers(1, 20), st.integers(1, 0xFFFF_FFFF))
"""Message numbers."""

_octets = st.one_of(st.integers(0, 5000), st.integers(0, 2**63 - 1))
_bulk_numbers = st.integers(1, 999_999_999)
_bulk_octets = st.integers(0, 10**18 - 1)

unique_ids: st.SearchStrategy[str] = st.text(_PRINTABLE, min_size=1, max_size=70)
"""Unique-ids (RFC 1939 section 7)."""

names: st.SearchStrategy[str] = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60
)
"""User names and passwords in ASCII, spaces included."""

texts: st.SearchStrategy[str] = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), max_size=60
).filter(lambda text: not text.startswith("["))
"""Human-readable text of a status line."""

response_codes: st.SearchStrategy[pop3.ResponseCode] = st.one_of(
    st.sampled_from(
        [pop3.AUTH, pop3.IN_USE, pop3.LOGIN_DELAY, pop3.SYS_PERM, pop3.SYS_TEMP, pop3.UTF8]
    ),
    st.lists(
        st.text(string.ascii_uppercase + string.digits + "-", min_size=1, max_size=12),
        min_size=1,
        max_size=3,
    ).map(lambda levels: pop3.ResponseCode("/".join(levels))),
)
"""Response codes, known and unknown."""

_tags = st.from_regex(r"\A[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,2}\Z")
_mechanisms = st.text(string.ascii_uppercase + string.digits + "-_", min_size=1, max_size=20)
_sasl_octets = st.binary(max_size=60)

_optional_numbers = st.none() | message_numbers

commands: st.SearchStrategy[pop3.Command] = st.one_of(
    st.builds(pop3.User, names),
    st.builds(pop3.Pass, names),
    st.builds(pop3.Rpop, names),
    st.builds(pop3.Apop, names, st.text("0123456789abcdef", min_size=32, max_size=32)),
    st.builds(pop3.Auth, _mechanisms, st.none() | _sasl_octets),
    st.builds(pop3.List, _optional_numbers),
    st.builds(pop3.Uidl, _optional_numbers),
    st.builds(pop3.Retr, message_numbers),
    st.builds(pop3.Dele, message_numbers),
    st.builds(pop3.Top, message_numbers, st.integers(0, 0xFFFF_FFFF)),
    st.builds(pop3.Lang, st.none() | st.just("*") | _tags),
    st.sampled_from(
        [
            pop3.Stls(),
            pop3.Capa(),
            pop3.Utf8(),
            pop3.Stat(),
            pop3.Noop(),
            pop3.Rset(),
            pop3.Last(),
            pop3.Quit(),
        ]
    ),
)
"""Every command with every kind of argument."""

_line_texts = st.text(_LETTERS_AND_DIGITS + " =/.-", min_size=1, max_size=40).map(
    lambda text: text.strip(" ") or "x"
)
_periods = st.integers(0, 10_000)

capabilities: st.SearchStrategy[pop3.Capabilities] = st.builds(
    pop3.Capabilities,
    top=st.booleans(),
    uidl=st.booleans(),
    user=st.booleans(),
    sasl=st.none() | st.lists(_mechanisms, max_size=4).map(tuple),
    stls=st.booleans(),
    pipelining=st.booleans(),
    resp_codes=st.booleans(),
    auth_resp_code=st.booleans(),
    login_delay=st.none() | st.builds(pop3.LoginDelay, _periods, st.booleans()),
    expire=st.none() | st.builds(pop3.Expire, st.none() | _periods, st.booleans()),
    utf8=st.just(True),
    utf8_user=st.booleans(),
    lang=st.booleans(),
    implementation=st.none() | _line_texts,
    other=st.lists(_line_texts.map(lambda text: "X-" + text), max_size=3).map(tuple),
)
"""Answers to CAPA."""

_languages = st.lists(st.builds(pop3.Language, _tags, texts), max_size=4).map(
    lambda entries: pop3.Languages(tuple(entries))
)

single_answers: st.SearchStrategy[tuple[pop3.Command, pop3.Answer]] = st.one_of(
    st.tuples(st.just(pop3.Noop()), st.builds(pop3.Ok, texts, st.none() | response_codes)),
    st.tuples(st.just(pop3.Noop()), st.builds(pop3.Err, texts, st.none() | response_codes)),
    st.tuples(
        st.just(pop3.Stat()), st.builds(pop3.DropListing, st.integers(0, 2**32 - 1), _octets)
    ),
    st.builds(pop3.ScanListing, message_numbers, _octets).map(
        lambda answer: (pop3.List(answer.message), answer)
    ),
    st.builds(pop3.UniqueIdListing, _bulk_numbers, unique_ids).map(
        lambda answer: (pop3.Uidl(answer.message), answer)
    ),
    st.tuples(st.just(pop3.Capa()), capabilities),
    st.tuples(st.just(pop3.Lang()), _languages),
    st.tuples(st.just(pop3.Lang("*")), st.builds(pop3.LanguageChanged, _tags, texts)),
    st.tuples(st.just(pop3.Last()), st.builds(pop3.LastAccessed, st.integers(0, 2**32 - 1))),
)
"""A command of the TRANSACTION state, with an answer that is one event at the client."""

listings: st.SearchStrategy[
    tuple[pop3.Command, tuple[pop3.ScanListings | pop3.UniqueIdListings, ...]]
]
listings = st.one_of(
    st.lists(
        st.dictionaries(_bulk_numbers, _bulk_octets, min_size=1, max_size=8)
        .map(pop3.ScanListings),
        max_size=3,
    ).map(lambda pieces: (pop3.List(), tuple(pieces))),
    st.lists(
        st.dictionaries(_bulk_numbers, unique_ids, min_size=1, max_size=8)
        .map(pop3.UniqueIdListings),
        max_size=3,
    ).map(lambda pieces: (pop3.Uidl(), tuple(pieces))),
)  # fmt: skip
"""LIST or UIDL without an argument, and the pieces of the answer."""

messages: st.SearchStrategy[bytes] = st.lists(
    st.sampled_from(
        [
            b".",
            b"..",
            b"\r\n",
            b"\r\n.",
            b"\r\n.\r\n",
            b"\r\n..\r\n",
            b"a",
            b"text",
            b"\r",
            b"\n",
            b"\0",
        ]
    )
    | st.binary(max_size=12),
    max_size=24,
).map(b"".join)
"""Content in which dots and line ends are everywhere."""

_fragments = [
    b"USER mrose",
    b"PASS secret",
    b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm",
    b"AUTH PLAIN",
    b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm",
    b"APOP mrose c4c9334bac560ecc979e58001b3e22fb",
    b"*",
    b"=",
    b"STLS",
    b"CAPA",
    b"UTF8",
    b"LANG en",
    b"STAT",
    b"LIST",
    b"LIST 1",
    b"UIDL",
    b"RETR 1",
    b"RETR 99999999999999999999",
    b"TOP 1 0",
    b"DELE 1",
    b"NOOP",
    b"RSET",
    b"LAST",
    b"QUIT",
    b"noop ",
    b"NOOP \xff",
    b"GET / HTTP/1.1",
]

_line_ends = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\0\r\n", b"\x0b", b""])

command_lines: st.SearchStrategy[bytes] = st.lists(
    st.tuples(st.sampled_from(_fragments) | st.binary(max_size=20), _line_ends).map(b"".join),
    max_size=14,
).map(b"".join)
"""What a hostile client may send."""

_response_fragments = [
    b"+OK",
    b"+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>",
    b"+OK 2 320",
    b"+OK [X/Y] text",
    b"-ERR",
    b"-ERR [AUTH] no",
    b"+ ",
    b"+ Y2hhbGxlbmdl",
    b"+ !",
    b"1 120",
    b"2 200 extra",
    b"1  120",
    b"1 whqtswO00WBw418f9t5JxYwZ",
    b"x y",
    b".",
    b"..",
    b"TOP",
    b"SASL PLAIN",
    b"PIPELINING",
    b"EXPIRE soon",
    b"en English",
    b"Subject: x",
    b"",
]

response_lines: st.SearchStrategy[bytes] = st.lists(
    st.tuples(st.sampled_from(_response_fragments) | st.binary(max_size=20), _line_ends).map(
        b"".join
    ),
    max_size=20,
).map(b"".join)
"""What a hostile server may send."""
