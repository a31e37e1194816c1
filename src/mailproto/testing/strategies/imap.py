"""Hypothesis strategies for the values of IMAP and for everything a server says.

Each makes values that the protocol can express, the odd ones included: names that need literals,
8-bit strings, empty lists, groups of addresses, structures in structures.
"""

from __future__ import annotations

import datetime

from hypothesis import strategies as st

from mailproto import imap

__all__ = [
    "addresses",
    "atoms",
    "body_structures",
    "capabilities",
    "conditions",
    "date_times",
    "envelopes",
    "fetch_data",
    "flags",
    "flag_tuples",
    "mailbox_names",
    "nstrings",
    "numbers",
    "nz_numbers",
    "octets",
    "response_codes",
    "responses",
    "sections",
    "sequence_sets",
    "single_parts",
    "tags",
    "texts",
    "values",
]

_LARGEST = 0xFFFF_FFFF
_LARGEST_64 = 0x7FFF_FFFF_FFFF_FFFF
_ATOM_CHARACTERS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '(){%*"\\]')


def atoms() -> st.SearchStrategy[str]:
    """``atom``, but not NIL and not a number, which some fields would read as such."""
    return st.text(_ATOM_CHARACTERS, min_size=1, max_size=12).filter(
        lambda text: text.upper() != "NIL" and not text.isdecimal()
    )


def tags() -> st.SearchStrategy[str]:
    """``tag``."""
    return st.text("".join(c for c in _ATOM_CHARACTERS if c != "+"), min_size=1, max_size=12)


def octets() -> st.SearchStrategy[bytes]:
    """What ``string`` can hold: any octets but NUL."""
    plain = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=24)
    return st.one_of(
        plain.map(str.encode), st.binary(max_size=24).map(lambda data: data.replace(b"\0", b"0"))
    )


def nstrings() -> st.SearchStrategy[bytes | None]:
    """``nstring``."""
    return st.none() | octets()


def numbers() -> st.SearchStrategy[int]:
    """``number``."""
    return st.integers(0, _LARGEST) | st.integers(0, 20)


def nz_numbers() -> st.SearchStrategy[int]:
    """``nz-number``."""
    return st.integers(1, _LARGEST) | st.integers(1, 20)


def texts() -> st.SearchStrategy[str]:
    """Text for people in status responses: one line that does not begin like a code."""
    return st.text(
        st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1
    ).map(lambda text: text.replace("[", "("))


def flags() -> st.SearchStrategy[str]:
    """``flag``: system flags and keywords."""
    return st.sampled_from(imap.SYSTEM_FLAGS) | atoms()


def flag_tuples() -> st.SearchStrategy[tuple[str, ...]]:
    """The flags of a message."""
    return st.lists(flags(), max_size=5, unique=True).map(tuple)


def mailbox_names() -> st.SearchStrategy[imap.MailboxName]:
    """Names: text in modified UTF-7, and any octets that a literal can hold."""
    text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
    return st.one_of(
        st.just(imap.INBOX), text.map(imap.MailboxName.from_text), octets().map(imap.MailboxName)
    )


def sequence_sets() -> st.SearchStrategy[imap.SequenceSet]:
    """``sequence-set``, with ``*`` and with ranges in any order."""
    number = nz_numbers() | st.just(imap.STAR)
    ranges = st.tuples(number, number).map(lambda pair: (min(pair), max(pair)))
    return st.lists(ranges, min_size=1, max_size=6).map(
        lambda found: imap.SequenceSet(tuple(found))
    )


def uid_sets() -> st.SearchStrategy[imap.SequenceSet]:
    """``uid-set`` of RFC 4315: without ``*``."""
    ranges = st.tuples(nz_numbers(), nz_numbers()).map(lambda pair: (min(pair), max(pair)))
    return st.lists(ranges, min_size=1, max_size=4).map(
        lambda found: imap.SequenceSet(tuple(found))
    )


def date_times() -> st.SearchStrategy[datetime.datetime]:
    """``date-time``: whole seconds, a zone of whole minutes."""
    zones = st.integers(-1439, 1439).map(
        lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
    )
    return st.datetimes(timezones=zones).map(lambda when: when.replace(microsecond=0))


def capabilities() -> st.SearchStrategy[imap.Capabilities]:
    """Capabilities, those with ``=`` included."""
    known = st.sampled_from(["IMAP4rev1", "IDLE", "LITERAL+", "AUTH=PLAIN", "APPENDLIMIT=1000"])
    return st.lists(known | atoms(), min_size=1, max_size=6).map(imap.Capabilities)


def values() -> st.SearchStrategy[imap.Value]:
    """Extension data of any kind."""
    leaves = st.none() | st.integers(0, _LARGEST_64) | atoms() | octets()
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8)


# ------------------------------------------------------------------------------- structures


def addresses() -> st.SearchStrategy[imap.Address]:
    """Addresses, starts and ends of groups among them."""
    return st.builds(imap.Address, nstrings(), nstrings(), nstrings(), nstrings())


def envelopes() -> st.SearchStrategy[imap.Envelope]:
    """Envelopes."""
    lists = st.lists(addresses(), max_size=2).map(tuple)
    return st.builds(imap.Envelope, nstrings(), nstrings(), *[lists] * 6, nstrings(), nstrings())


def _parameters() -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    return st.lists(st.tuples(octets(), octets()), max_size=2).map(tuple)


def _extension() -> dict[str, st.SearchStrategy[object]]:
    return {
        "disposition": st.none() | st.builds(imap.Disposition, octets(), _parameters()),
        "language": st.lists(octets(), max_size=2).map(tuple),
        "location": nstrings(),
        "extensions": st.lists(values(), max_size=2).map(tuple),
    }


def single_parts(*, extended: bool = True) -> st.SearchStrategy[imap.SinglePart]:
    """Parts without parts; with extension data if ``extended``."""
    fields: dict[str, st.SearchStrategy[object]] = {
        "subtype": octets(),
        "parameters": _parameters(),
        "id": nstrings(),
        "description": nstrings(),
        "encoding": octets(),
        "octets": numbers(),
    }
    if extended:
        fields |= {"md5": nstrings(), **_extension()}
    other = st.sampled_from([b"IMAGE", b"application", b"MULTIPART"]) | octets().filter(
        lambda kind: kind.upper() not in (b"TEXT", b"MESSAGE")
    )
    text = st.sampled_from([b"TEXT", b"text"])
    return st.one_of(
        st.builds(imap.SinglePart, media_type=other, lines=st.none(), **fields),
        st.builds(imap.SinglePart, media_type=text, lines=numbers(), **fields),
    )


def body_structures(*, extended: bool = True) -> st.SearchStrategy[imap.BodyStructure]:
    """Structures in structures; with extension data (BODYSTRUCTURE) if ``extended``."""

    def larger(
        inner: st.SearchStrategy[imap.BodyStructure],
    ) -> st.SearchStrategy[imap.BodyStructure]:
        fields: dict[str, st.SearchStrategy[object]] = {
            "parts": st.lists(inner, min_size=1, max_size=3).map(tuple),
            "subtype": octets(),
        }
        message: dict[str, st.SearchStrategy[object]] = {
            "media_type": st.just(b"MESSAGE"),
            "subtype": st.just(b"RFC822"),
            "parameters": _parameters(),
            "octets": numbers(),
            "lines": numbers(),
            "envelope": envelopes(),
            "body": inner,
        }
        if extended:
            fields |= {"parameters": _parameters(), **_extension()}
            message |= {"md5": nstrings(), **_extension()}
        return st.builds(imap.MultiPart, **fields) | st.builds(imap.SinglePart, **message)

    return st.recursive(single_parts(extended=extended), larger, max_leaves=4)


def sections() -> st.SearchStrategy[imap.Section]:
    """``section``."""
    part = st.lists(nz_numbers(), max_size=3).map(tuple)
    names = st.lists(octets(), min_size=1, max_size=3)
    fields = (imap.SectionText.HEADER_FIELDS, imap.SectionText.HEADER_FIELDS_NOT)
    plain = st.sampled_from([None, imap.SectionText.HEADER, imap.SectionText.TEXT])
    return st.one_of(
        st.builds(imap.Section, part, plain),
        st.builds(imap.Section, part, st.sampled_from(fields), names),
        st.builds(imap.Section, part.filter(bool), st.just(imap.SectionText.MIME)),
    )


# --------------------------------------------------------------------------------- responses


def response_codes() -> st.SearchStrategy[imap.ResponseCode]:
    """Codes with every kind of argument, and unknown ones."""
    argument = st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="]"), min_size=1
    )
    return st.one_of(
        st.sampled_from([imap.ALERT, imap.TRYCREATE, imap.READ_ONLY, imap.UIDNOTSTICKY]),
        st.builds(
            imap.Code,
            atoms().map(lambda name: "X-" + name.upper()),
            st.none() | argument.map(str.encode),
        ),
        st.builds(imap.NumberCode, st.just("UIDNEXT"), nz_numbers()),
        st.builds(imap.NumberCode, st.just("HIGHESTMODSEQ"), st.integers(0, _LARGEST_64)),
        st.builds(imap.CapabilityCode, capabilities()),
        st.builds(imap.PermanentFlags, flag_tuples() | st.just((imap.SEEN, imap.ANY_KEYWORD))),
        st.builds(imap.AppendUid, nz_numbers(), uid_sets()),
        st.builds(imap.CopyUid, nz_numbers(), uid_sets(), uid_sets()),
        st.builds(imap.BadCharset, st.lists(octets(), min_size=1, max_size=2).map(tuple)),
    )


def conditions() -> st.SearchStrategy[imap.Condition | imap.Completion]:
    """Status responses."""
    code = st.none() | response_codes()
    tagged = st.sampled_from([imap.OK, imap.NO, imap.BAD])
    return st.one_of(
        st.builds(imap.Condition, st.sampled_from(imap.ConditionState), texts(), code),
        st.builds(imap.Completion, tags(), tagged, texts(), code),
    )


def fetch_data() -> st.SearchStrategy[imap.FetchData]:
    """FETCH responses with any items."""
    texts = st.sampled_from(
        [imap.FetchAtt.RFC822, imap.FetchAtt.RFC822_HEADER, imap.FetchAtt.RFC822_TEXT]
    )
    body = st.one_of(
        st.builds(imap.SectionData, sections(), nstrings(), st.none() | numbers()),
        st.builds(imap.SectionData, texts, nstrings()),
    )
    return st.builds(
        imap.FetchData,
        nz_numbers(),
        uid=st.none() | nz_numbers(),
        flags=st.none() | flag_tuples() | st.just((imap.SEEN, imap.RECENT)),
        internal_date=st.none() | date_times(),
        size=st.none() | numbers(),
        envelope=st.none() | envelopes(),
        body=st.none() | body_structures(extended=False),
        body_structure=st.none() | body_structures(),
        sections=st.lists(body, max_size=2).map(tuple),
        mod_seq=st.none() | st.integers(1, _LARGEST_64),
        others=st.lists(
            st.tuples(st.sampled_from(["X-GM-MSGID", "EMAILID", "PREVIEW"]), values()), max_size=2
        ).map(tuple),
    ).filter(lambda data: data != imap.FetchData(data.number))


def responses() -> st.SearchStrategy[imap.Response]:
    """Everything a server says but continuations: those depend on the command."""
    delimiter = st.none() | st.sampled_from(["/", ".", "\\", '"', "|"])
    attributes = st.lists(
        st.sampled_from([imap.NO_SELECT, imap.HAS_CHILDREN, "\\Sent"]) | atoms(), max_size=3
    ).map(tuple)
    parameter = st.tuples(octets(), st.lists(octets(), min_size=1, max_size=2).map(tuple))
    entries = st.lists(
        st.builds(
            imap.NamespaceEntry,
            mailbox_names(),
            delimiter,
            st.lists(parameter, max_size=1).map(tuple),
        ),
        max_size=2,
    ).map(tuple)
    status = st.lists(
        st.tuples(st.sampled_from(imap.StatusItem), nz_numbers()),
        max_size=5,
        unique_by=lambda pair: pair[0],
    ).map(tuple)
    return st.one_of(
        conditions(),
        fetch_data(),
        st.builds(imap.CapabilityData, capabilities()),
        st.builds(imap.EnabledData, capabilities() | st.just(imap.Capabilities())),
        st.builds(imap.IdData, st.lists(st.tuples(octets(), nstrings()), max_size=3)),
        st.builds(imap.NamespaceData, entries, entries, entries),
        st.builds(
            imap.ListData,
            attributes,
            delimiter,
            mailbox_names(),
            st.lists(st.tuples(octets(), values()), max_size=1).map(tuple),
        ),
        st.builds(imap.LsubData, attributes, delimiter, mailbox_names()),
        st.builds(imap.StatusData, mailbox_names(), status),
        st.builds(
            imap.SearchData,
            st.lists(nz_numbers(), max_size=6).map(tuple),
            st.none() | st.integers(1, _LARGEST_64),
        ),
        st.builds(
            imap.ESearchData,
            st.none() | tags(),
            st.booleans(),
            min=st.none() | nz_numbers(),
            max=st.none() | nz_numbers(),
            all=st.none() | uid_sets(),
            count=st.none() | numbers(),
            mod_seq=st.none() | st.integers(1, _LARGEST_64),
        ),
        st.builds(imap.FlagsData, flag_tuples()),
        st.builds(imap.ExistsData, numbers()),
        st.builds(imap.RecentData, numbers()),
        st.builds(imap.ExpungeData, nz_numbers()),
    )
