"""Responses from octets: RFC examples, round trips, the two readers against each other, quirks."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap.framing import frame
from mailproto import imap
from mailproto.imap.parse.memo import remember
from mailproto.imap.parse.responses import parse_response
from mailproto.imap.quirks import Quirk
from mailproto.imap.sequence_set import sequence_set
from mailproto.imap.serialize.responses import serialize
from mailproto.imap.wire.cursor import Malformed
from mailproto.imap.wire.frames import Frame
from mailproto.testing.strategies import imap as strategies


def octets_of(response: imap.Response) -> bytes:
    return b"".join(piece for piece in serialize(response) if isinstance(piece, bytes))


def read(data: bytes) -> object:
    value, quirks = parse_response(frame(data))
    assert quirks == []
    return value


# ------------------------------------------------------------------------------- round trips


@given(strategies.responses())
def test_P18_every_response_round_trips(response: imap.Response) -> None:
    value, quirks = parse_response(frame(octets_of(response)))
    assert value == response
    assert quirks == []


@given(strategies.responses())
def test_the_usual_and_the_general_reader_agree(response: imap.Response) -> None:
    given_frame = frame(octets_of(response))
    assert parse_response(given_frame) == parse_response(given_frame, usual=False)


MUTATIONS = [
    b"",
    b" ",
    b"(",
    b")",
    b'"',
    b"NIL",
    b"\\",
    b"0",
    b"-1",
    b"{3}",
    b"\xff",
    b"\n",
    b"[",
    b"]",
]


@given(strategies.responses(), st.data())
def test_both_readers_agree_on_what_is_malformed(
    response: imap.Response, data: st.DataObject
) -> None:
    """A damaged line is the same to both: the same value, or malformed."""
    whole = frame(octets_of(response))
    at = data.draw(st.integers(0, len(whole.text)))
    removed = data.draw(st.integers(0, 3))
    put = data.draw(st.sampled_from(MUTATIONS))
    damaged = Frame(whole.text[:at] + put + whole.text[at + removed :], whole.literals)
    assert outcome(damaged, usual=True) == outcome(damaged, usual=False)


def outcome(damaged: Frame, *, usual: bool) -> object:
    try:
        value, quirks = parse_response(damaged, usual=usual)
    except Malformed:
        return "malformed"
    return value, set(quirks)


STARTS = [b"", b"* ", b"* 1 FETCH (", b"* LIST (", b"* OK [", b"a OK ", b"* ESEARCH ", b"* ID ("]


@given(st.binary(max_size=60))
def test_P11_any_line_is_a_response_or_malformed(line: bytes) -> None:
    for start in (
        b"",
        b"* ",
        b"* 1 FETCH (",
        b"* LIST (",
        b"* OK [",
        b"a OK ",
        b"* ESEARCH ",
        b"* STATUS x (",
    ):
        try:
            parse_response(Frame(start + line.replace(b"\r\n", b"")))
        except Malformed:
            pass


# ----------------------------------------------------------------------------- RFC examples


def test_rfc3501_fetch_example() -> None:
    found = read(
        b'* 12 FETCH (FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286 '
        b'ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")'
        b'("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>") '
        b'BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))'
    )
    gray = (imap.Address(b"Terry Gray", None, b"gray", b"cac.washington.edu"),)
    assert found == imap.FetchData(
        12,
        flags=("\\Seen",),
        internal_date=datetime.datetime(
            1996, 7, 17, 2, 44, 25, tzinfo=datetime.timezone(datetime.timedelta(hours=-7))
        ),
        size=4286,
        envelope=imap.Envelope(
            b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
            b"IMAP4rev1 WG mtg summary and minutes",
            gray,
            gray,
            gray,
            (imap.Address(None, None, b"imap", b"cac.washington.edu"),),
            (
                imap.Address(None, None, b"minutes", b"CNRI.Reston.VA.US"),
                imap.Address(b"John Klensin", None, b"KLENSIN", b"MIT.EDU"),
            ),
            (),
            None,
            b"<B27397-0100000@cac.washington.edu>",
        ),
        body=imap.SinglePart(
            b"TEXT", b"PLAIN", ((b"CHARSET", b"US-ASCII"),), None, None, b"7BIT", 3028, 92
        ),
    )


def test_rfc3501_multipart_example() -> None:
    """RFC 3501 section 7.4.2: a text with an attached diff."""
    found = read(
        b'* 1 FETCH (BODY (("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
        b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") '
        b'"<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED"))'
    )
    assert isinstance(found, imap.FetchData)
    assert found.body == imap.MultiPart(
        (
            imap.SinglePart(
                b"TEXT", b"PLAIN", ((b"CHARSET", b"US-ASCII"),), None, None, b"7BIT", 1152, 23
            ),
            imap.SinglePart(
                b"TEXT",
                b"PLAIN",
                ((b"CHARSET", b"US-ASCII"), (b"NAME", b"cc.diff")),
                b"<960723163407.20117h@cac.washington.edu>",
                b"Compiler diff",
                b"BASE64",
                4554,
                73,
            ),
        ),
        b"MIXED",
    )


@pytest.mark.parametrize(
    ("line", "value"),
    [
        # RFC 3501 section 7, one line for each kind of response
        (b"* OK IMAP4rev1 server ready", imap.Condition(imap.OK, "IMAP4rev1 server ready")),
        (b"* OK [ALERT] System shutdown", imap.Condition(imap.OK, "System shutdown", imap.ALERT)),
        (
            b"A222 NO COPY failed: disk is full",
            imap.Completion("A222", imap.NO, "COPY failed: disk is full"),
        ),
        (b"* BAD Empty command line", imap.Condition(imap.BAD, "Empty command line")),
        (
            b"* PREAUTH IMAP4rev1 server logged in as Smith",
            imap.Condition(imap.PREAUTH, "IMAP4rev1 server logged in as Smith"),
        ),
        (
            b"* BYE Autologout; idle for too long",
            imap.Condition(imap.BYE, "Autologout; idle for too long"),
        ),
        (
            b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=GSSAPI XPIG-LATIN",
            imap.CapabilityData(["IMAP4rev1", "STARTTLS", "AUTH=GSSAPI", "XPIG-LATIN"]),
        ),
        (
            b'* LIST (\\Noselect) "/" ~/Mail/foo',
            imap.ListData(("\\Noselect",), "/", b"~/Mail/foo"),
        ),
        (b'* LSUB () "." #news.comp.mail.misc', imap.LsubData((), ".", b"#news.comp.mail.misc")),
        (
            b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)",
            imap.StatusData(
                b"blurdybloop",
                ((imap.StatusItem.MESSAGES, 231), (imap.StatusItem.UIDNEXT, 44292)),
            ),
        ),
        (b"* SEARCH 2 3 6", imap.SearchData((2, 3, 6))),
        (
            b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
            imap.FlagsData(("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")),
        ),
        (b"* 23 EXISTS", imap.ExistsData(23)),
        (b"* 5 RECENT", imap.RecentData(5)),
        (b"* 44 EXPUNGE", imap.ExpungeData(44)),
        (
            b"* 23 FETCH (FLAGS (\\Seen) RFC822.SIZE 44827)",
            imap.FetchData(23, flags=("\\Seen",), size=44827),
        ),
        (
            b"+ Ready for additional command text",
            imap.Continuation("Ready for additional command text"),
        ),
        (b"+ ", imap.Continuation()),
        # other RFCs
        (
            b'* NAMESPACE (("" "/")) (("~" "/")) NIL',
            imap.NamespaceData(
                (imap.NamespaceEntry(b"", "/"),), (imap.NamespaceEntry(b"~", "/"),), ()
            ),
        ),
        (
            b'* ID ("name" "Cyrus" "version" "1.5" "os" NIL)',
            imap.IdData([("name", "Cyrus"), ("version", "1.5"), ("os", None)]),
        ),
        (b"* ID NIL", imap.IdData()),
        (
            b"A003 OK [APPENDUID 38505 3955] APPEND completed",
            imap.Completion("A003", imap.OK, "APPEND completed", imap.AppendUid(38505, "3955")),
        ),
        (
            b"A004 OK [COPYUID 38505 304,319:320 3956:3958] Done",
            imap.Completion(
                "A004", imap.OK, "Done", imap.CopyUid(38505, "304,319:320", "3956:3958")
            ),
        ),
        (
            b'* ESEARCH (TAG "A285") UID MIN 7 MAX 3800 COUNT 20 ALL 7,10:12',
            imap.ESearchData("A285", True, 7, 3800, sequence_set("7,10:12"), 20),
        ),
        (
            b"* SEARCH 2 5 6 (MODSEQ 917162500)",
            imap.SearchData((2, 5, 6), 917162500),
        ),
        (b"* ENABLED CONDSTORE X-GOOD-IDEA", imap.EnabledData(["CONDSTORE", "X-GOOD-IDEA"])),
        (b"* 7 FETCH (UID 8 MODSEQ (65402))", imap.FetchData(7, uid=8, mod_seq=65402)),
    ],
)
def test_examples_of_the_rfcs(line: bytes, value: object) -> None:
    assert read(line) == value


def test_sections_and_literals() -> None:
    found = read(
        b"* 3 FETCH (BODY[1.2.HEADER.FIELDS (To {2}\r\nCc)]<512> {3}\r\n)\r\n RFC822 {0}\r\n"
        b' BODY[] NIL BODY[2.MIME] "x\\"y" UID 9)'
    )
    assert found == imap.FetchData(
        3,
        uid=9,
        sections=(
            imap.SectionData(
                imap.Section((1, 2), imap.SectionText.HEADER_FIELDS, ("To", "Cc")), b")\r\n", 512
            ),
            imap.SectionData(imap.FetchAtt.RFC822, b""),
            imap.SectionData(imap.WHOLE_MESSAGE, None),
            imap.SectionData(imap.Section((2,), imap.SectionText.MIME), b'x"y'),
        ),
    )


def test_text_for_people_cannot_carry_control_characters() -> None:
    assert read(b"* OK a\nb\x00c\x1b[1m") == imap.Condition(imap.OK, "a\\x0ab\\x00c\\x1b[1m")
    assert read(b"* OK \xff\xc3\xa4") == imap.Condition(imap.OK, "\\xff\xe4")


def test_a_wrong_code_is_kept_and_does_not_cost_the_word_before_it() -> None:
    found = read(b"a1 OK [UIDNEXT many] done")
    assert found == imap.Completion("a1", imap.OK, "done", imap.Code("UIDNEXT", b"many"))
    assert read(b"a1 NO [never closed") == imap.Completion("a1", imap.NO, "[never closed")


# ----------------------------------------------------------------------- strictness and limits


@pytest.mark.parametrize(
    "line",
    [
        b"* 0 EXPUNGE",
        b"* 4294967296 EXISTS",
        b"* +5 EXISTS",
        b"* 1_0 EXISTS",
        b"* \xd9\xa1 EXISTS",
        b"* 5  EXISTS",
        b"* 1 FETCH (UID 0)",
        b"* 1 FETCH (UID 4294967296)",
        b"* 1 FETCH (UID -1)",
        b"* 1 FETCH (MODSEQ (9223372036854775808))",
        b'* 1 FETCH (INTERNALDATE "31-Feb-1996 02:44:25 -0700")',
        b'* 1 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0760")',
        b"* SEARCH 0",
        b"* SEARCH 1 4294967296",
        b"* SEARCH 1  2",
        b"* SEARCH 1 x",
        b"* ESEARCH ALL 0",
        b"* ESEARCH ALL 4294967296:*",
        b"* STATUS x (MESSAGES 99999999999999999999)",
        b'* ESEARCH (TOG "a") COUNT 1',
        b"* ESEARCH ALL 1,,2",
        b"* 1 FETCH (BODY[4294967296] NIL)",
        b"* 1 FETCH (BODY[]<9999999999999999999> NIL)",
        b'* LIST (a"b) NIL x',
        b"* 1 FETCH (X ))",
        b"* 1 FETCH (BODY[MIME] NIL)",
        b"* 1 FETCH (BODY[0] NIL)",
        b"* 1 FETCH (UID 5",
        b"* 1 FETCH (UID 5))",
        b"* 1 FETCH (UID 5){3}",
        b"* 1 FETCH (BODY[] {5})",
        b"*",
        b"",
        b"* ",
        b"* UNKNOWN thing",
        b"Server Unavailable. 15",
    ],
)
def test_P17_what_the_grammar_does_not_know_is_malformed(line: bytes) -> None:
    for usual in (True, False):
        with pytest.raises(Malformed):
            parse_response(Frame(line), usual=usual)


def test_P10_nesting_is_bounded_and_costs_no_recursion() -> None:
    for line in (
        b"* 1 FETCH (BODY " + b"(" * 100_000,
        b"* 1 FETCH (X-DEEP " + b"(" * 100_000,
        b"* 1 FETCH (BODYSTRUCTURE " + b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 1 ' * 20_000,
        b'* LIST () "/" x (y ' + b"(" * 100_000,
        b"* NAMESPACE " + b"(" * 100_000,
        b"* OK [" + b"(" * 100_000,
    ):
        try:
            value, _ = parse_response(Frame(line))
        except Malformed:
            continue
        assert isinstance(value, imap.Condition)


def test_nesting_up_to_the_limit_is_read() -> None:
    part = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)'
    text = b"(" * 49 + part + b' "MIXED")' * 49
    found = read(b"* 1 FETCH (BODY " + text + b")")
    assert isinstance(found, imap.FetchData)
    with pytest.raises(Malformed):
        parse_response(Frame(b"* 1 FETCH (BODY " + b"(" * 60 + part + b' "MIXED")' * 60 + b")"))


# --------------------------------------------------------------------------------- quirks


PART = imap.SinglePart(b"TEXT", b"PLAIN", (), None, None, b"7BIT", 0, 0)


@pytest.mark.parametrize(
    ("quirk", "line", "value"),
    [
        (
            Quirk.MISSING_TEXT,
            b"* OK [HIGHESTMODSEQ 715]",
            imap.Condition(imap.OK, "", imap.NumberCode("HIGHESTMODSEQ", 715)),
        ),
        (Quirk.MISSING_TEXT, b"a1 OK", imap.Completion("a1", imap.OK, "")),
        (
            Quirk.NEGATIVE_NUMBER,
            b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" -1 -1))',
            imap.FetchData(1, body=PART),
        ),
        (Quirk.TRAILING_SPACE, b"* SEARCH 2 3 ", imap.SearchData((2, 3))),
        (Quirk.TRAILING_SPACE, b"* CAPABILITY IDLE ", imap.CapabilityData(["IDLE"])),
        (
            Quirk.TRAILING_SPACE,
            b"* STATUS x (MESSAGES 3 ) ",
            imap.StatusData(b"x", ((imap.StatusItem.MESSAGES, 3),)),
        ),
        (
            Quirk.TRAILING_SPACE,
            b"* OK [PERMANENTFLAGS (\\Seen )] x",
            imap.Condition(imap.OK, "x", imap.PermanentFlags("\\Seen")),
        ),
        (Quirk.TRAILING_SPACE, b'* ID ("name" "x" )', imap.IdData([("name", "x")])),
        (Quirk.TRAILING_SPACE, b"* 1 FETCH (UID 5 )", imap.FetchData(1, uid=5)),
        (
            Quirk.ADDRESS_SPACES,
            b'* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL "a" "b") (NIL NIL "c" "d")) %b))'
            % b" ".join([b"NIL"] * 7),
            imap.FetchData(
                1,
                envelope=imap.Envelope(
                    from_=(
                        imap.Address(None, None, b"a", b"b"),
                        imap.Address(None, None, b"c", b"d"),
                    )
                ),
            ),
        ),
        (Quirk.EMPTY_CONTINUATION, b"+", imap.Continuation()),
        (Quirk.EMPTY_ID, b"* ID ()", imap.IdData()),
        (
            Quirk.EMPTY_LIST,
            b'* 1 FETCH (BODY ("TEXT" "PLAIN" () NIL NIL "7BIT" 0 0))',
            imap.FetchData(1, body=PART),
        ),
        (Quirk.EMPTY_LIST, b"* NAMESPACE () NIL NIL", imap.NamespaceData()),
        (
            Quirk.TRAILING_SPACE,
            b"* OK [CAPABILITY IDLE ] x",
            imap.Condition(imap.OK, "x", imap.CapabilityCode(["IDLE"])),
        ),
        (
            Quirk.ZERO_UIDVALIDITY,
            b"* STATUS x (UIDVALIDITY 0)",
            imap.StatusData(b"x", ((imap.StatusItem.UIDVALIDITY, 0),)),
        ),
        (
            Quirk.MISSING_FIELDS,
            b'* 1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0 NIL "inline"))',
            imap.FetchData(
                1,
                body_structure=imap.SinglePart(
                    b"TEXT", b"PLAIN", lines=0, disposition=imap.Disposition(b"inline")
                ),
            ),
        ),
        (
            Quirk.EMPTY_LIST,
            b"* 1 FETCH (ENVELOPE (NIL NIL () NIL NIL NIL NIL NIL NIL NIL))",
            imap.FetchData(1, envelope=imap.Envelope()),
        ),
        (Quirk.EMPTY_DELIMITER, b'* LIST () "" x', imap.ListData((), None, b"x")),
        (Quirk.EMPTY_STATUS, b"* STATUS x", imap.StatusData(b"x")),
        (
            Quirk.NIL_STRING,
            b'* 1 FETCH (BODY ("TEXT" "PLAIN" ("NAME" NIL) NIL NIL NIL 0 0))',
            imap.FetchData(
                1,
                body=imap.SinglePart(b"TEXT", b"PLAIN", ((b"NAME", b""),), None, None, b"", 0, 0),
            ),
        ),
        (
            Quirk.ZERO_UIDVALIDITY,
            b"* OK [UIDVALIDITY 0] x",
            imap.Condition(imap.OK, "x", imap.NumberCode("UIDVALIDITY", 0)),
        ),
        (
            Quirk.FLAG_CHARACTERS,
            b"* FLAGS (\\Seen [Gmail]/x)",
            imap.FlagsData(("\\Seen", "[Gmail]/x")),
        ),
        (
            Quirk.MISSING_FIELDS,
            b'* 1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" NIL))',
            imap.FetchData(1, body_structure=imap.SinglePart(b"TEXT", b"PLAIN")),
        ),
    ],
)
def test_P20_quirks_of_real_servers_are_read_and_reported(
    quirk: Quirk, line: bytes, value: object
) -> None:
    found, quirks = parse_response(Frame(line))
    assert found == value
    assert set(quirks) == {quirk}
    assert parse_response(Frame(line), usual=False)[0] == value


def test_the_usual_shapes_are_read_whole() -> None:
    """What mail is made of: an attachment with a disposition inside of a multipart with one."""
    found = read(
        b'* 1 FETCH (BODYSTRUCTURE (("IMAGE" "PNG" NIL NIL NIL "BASE64" 77 NIL '
        b'("attachment" ("filename" "x.png")) "en" "loc") "MIXED" ("boundary" "b") '
        b'("inline" ("a" "b")) "de" NIL))'
    )
    assert isinstance(found, imap.FetchData)
    assert found.body_structure == imap.MultiPart(
        (
            imap.SinglePart(
                b"IMAGE",
                b"PNG",
                encoding=b"BASE64",
                octets=77,
                disposition=imap.Disposition(b"attachment", ((b"filename", b"x.png"),)),
                language=(b"en",),
                location=b"loc",
            ),
        ),
        b"MIXED",
        ((b"boundary", b"b"),),
        imap.Disposition(b"inline", ((b"a", b"b"),)),
        (b"de",),
    )


def test_an_absent_item_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        imap.FetchData(1).section()
    with pytest.raises(KeyError):
        imap.StatusData(b"x")[imap.StatusItem.UNSEEN]


def test_a_wrong_set_in_a_code_does_not_cost_the_completion() -> None:
    found = read(b"a1 OK [APPENDUID 5 0] done")
    assert found == imap.Completion("a1", imap.OK, "done", imap.Code("APPENDUID", b"5 0"))


def test_P08_memos_are_bounded() -> None:
    memo: dict[bytes, int] = {}
    for number in range(10_000):
        remember(memo, b"%d" % number, number)
        remember(memo, b"x" * 10_000 + b"%d" % number, number)
    assert len(memo) <= 256
    assert all(len(text) <= 512 for text in memo)
