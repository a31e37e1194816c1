"""The IMAP server's conversation over a store in memory, session by session, octet by octet."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable

import pytest

from flows.imap_wire import Server, Wire
from mailproto._core.limits import IMAPServerLimits
from mailproto.flows.imap_server import HANDLERS
from mailproto.flows.imap_server.names import Pattern
from mailproto.imap.states import STATES_OF
from mailproto.testing.growth import assert_linear

MESSAGE = b"""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

Hello, world.
""".replace(b"\n", b"\r\n")

NESTED = b"""\
From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>
To: alice@example.org
Subject: nested
Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

SMOkbGxvLCBXZWx0IQ==
--outer
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html

<p>html</p>
--inner--
--outer--
""".replace(b"\n", b"\r\n")


def uid_validity(wire: Wire) -> bytes:
    found = re.search(rb"UIDVALIDITY ([0-9]+)", wire.say(b"v STATUS INBOX (UIDVALIDITY)\r\n"))
    assert found is not None
    return found[1]


def test_every_command_has_a_handler() -> None:
    assert HANDLERS.keys() == STATES_OF.keys()


# ------------------------------------------------------------------------------------- the story


def test_P19_rfc_3501_section_8_over_a_store() -> None:
    server = Server()
    server.deliver(MESSAGE)
    wire = server.connect()
    assert wire.say(b"a001 login alice secret\r\n").startswith(b"a001 OK [CAPABILITY IMAP4rev1 ")
    selected = wire.lines(b"a002 select inbox\r\n")
    assert selected[:4] == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        b"* 1 EXISTS",
        b"* 1 RECENT",
        b"* OK [UNSEEN 1] first unseen message",
    ]
    assert selected[-1] == b"a002 OK [READ-WRITE] SELECT completed"
    full = wire.lines(b"a003 fetch 1 full\r\n")
    pattern = (
        rb'\* 1 FETCH \(FLAGS \(\\Recent\) INTERNALDATE "[ 0-9][0-9]-[A-Z][a-z]{2}-[0-9]{4} '
        rb'[0-9:]{8} [+-][0-9]{4}" RFC822\.SIZE %d ENVELOPE \(' % len(MESSAGE)
    )
    assert re.match(pattern, full[0])
    assert full[0].endswith(
        b'ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" '
        b'"IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) '
        b'NIL NIL "<B27397-0100000@cac.washington.edu>") '
        b'BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 15 1))'
    )
    header = MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
    # BODY[...] sets \Seen, and the response tells it.
    said = wire.say(b"a004 fetch 1 body[header]\r\n")
    start = b"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[HEADER] {%d}\r\n" % len(header)
    assert said == start + header + b")\r\na004 OK FETCH completed\r\n"
    assert wire.say(b"a005 store 1 +flags \\deleted\r\n") == (
        b"* 1 FETCH (FLAGS (\\Deleted \\Seen \\Recent))\r\na005 OK STORE completed\r\n"
    )
    assert wire.say(b"a006 logout\r\n") == b"* BYE logging out\r\na006 OK LOGOUT completed\r\n"
    assert wire.ended


# ----------------------------------------------------------------------------------------- login


def test_capabilities_namespace_id_enable() -> None:
    wire = Server().login(None)
    capability, _ = wire.lines(b"a CAPABILITY\r\n")
    words = capability.split()
    assert words[:3] == [b"*", b"CAPABILITY", b"IMAP4rev1"]
    for name in (b"LITERAL+", b"IDLE", b"UIDPLUS", b"MOVE", b"NAMESPACE", b"ID", b"SASL-IR"):
        assert name in words
    assert not any(word.startswith((b"AUTH=", b"STARTTLS", b"LOGINDISABLED")) for word in words)
    assert wire.lines(b"a NAMESPACE\r\n")[0] == b'* NAMESPACE (("" "/")) NIL NIL'
    assert wire.lines(b'a ID ("name" "x")\r\n')[0] == b'* ID ("name" "mailproto")'
    assert wire.lines(b"a ENABLE CONDSTORE\r\n") == [b"* ENABLED", b"a OK ENABLE completed"]


def test_login_and_authenticate() -> None:
    server = Server()
    wire = server.connect()
    no = b"a NO [AUTHENTICATIONFAILED] the credentials are not right\r\n"
    assert wire.say(b"a LOGIN alice wrong\r\n") == no
    assert wire.say(b"a AUTHENTICATE PLAIN AGFsaWNlAHdyb25n\r\n") == no
    assert wire.say(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert b"a OK [CAPABILITY" in wire.say(b"AGFsaWNlAHNlY3JldA==\r\n")
    wire = server.connect()
    assert wire.say(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert wire.say(b"*\r\n") == b"a BAD the client cancelled the exchange\r\n"
    assert wire.say(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert wire.say(b"?\r\n") == b"a BAD the response is malformed\r\n"
    assert wire.say(b"a AUTHENTICATE NOSUCH\r\n").startswith(b"a NO [CANNOT]")
    # Three failures were enough.
    assert wire.ended


def test_P06_no_login_without_tls() -> None:
    wire = Server(insecure=False).connect(starttls=True)
    assert wire.say(b"a LOGIN alice secret\r\n").startswith(b"a NO [PRIVACYREQUIRED]")
    assert b"LOGINDISABLED" in wire.say(b"a CAPABILITY\r\n")
    assert wire.say(b"a STARTTLS\r\n") == b"a OK begin TLS negotiation now\r\n"
    assert wire.tls
    assert b"STARTTLS" not in wire.say(b"a CAPABILITY\r\n")
    assert b"a OK" in wire.say(b"a LOGIN alice secret\r\n")


def test_P05_plaintext_behind_starttls_ends_the_session() -> None:
    wire = Server(insecure=False).connect(starttls=True)
    said = wire.say(b"a STARTTLS\r\nb LOGIN alice secret\r\n")
    assert b"b OK" not in said
    assert wire.ended
    assert not wire.tls


# ------------------------------------------------------------------------------ sessions in step


def test_what_one_session_does_the_other_is_told() -> None:
    server = Server()
    for _ in range(3):
        server.deliver(MESSAGE)
    one, two = server.login(), server.login()
    one.say(b"a STORE 2 +FLAGS (\\Flagged work)\r\n")
    assert two.lines(b"b NOOP\r\n") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work)",
        b"* 2 FETCH (FLAGS (\\Flagged work))",
        b"b OK completed",
    ]
    one.say(b"a STORE 1 +FLAGS.SILENT (\\Deleted)\r\n")
    assert one.lines(b"a EXPUNGE\r\n") == [b"* 1 EXPUNGE", b"a OK EXPUNGE completed"]
    # EXPUNGE is held back during FETCH, STORE and SEARCH, and numbers stay.
    assert two.lines(b"b FETCH 2 UID\r\n") == [b"* 2 FETCH (UID 2)", b"b OK FETCH completed"]
    assert two.lines(b"b SEARCH ALL\r\n")[0] == b"* SEARCH 2 3"
    assert b"EXPUNGE" not in two.say(b"b STORE 3 +FLAGS \\Seen\r\n")
    assert two.lines(b"b NOOP\r\n")[0] == b"* 1 EXPUNGE"
    assert two.lines(b"b FETCH 1:* UID\r\n")[:2] == [b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 3)"]
    server.deliver(MESSAGE)
    assert one.lines(b"a NOOP\r\n") == [
        b"* 3 EXISTS",
        b"* 3 RECENT",
        b"* 2 FETCH (FLAGS (\\Seen \\Recent))",
        b"a OK completed",
    ]


def test_expunged_messages_are_left_out_and_said_to_be() -> None:
    server = Server()
    for _ in range(3):
        server.deliver(MESSAGE)
    one, two = server.login(), server.login()
    one.say(b"a STORE 2 +FLAGS.SILENT \\Deleted\r\n")
    one.say(b"a EXPUNGE\r\n")
    said = two.lines(b"b FETCH 1:3 (UID BODY.PEEK[HEADER.FIELDS (X)])\r\n")
    assert said == [
        b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (X)] {2}",
        b"",
        b")",
        b"* 3 FETCH (UID 3 BODY[HEADER.FIELDS (X)] {2}",
        b"",
        b")",
        b"b NO [EXPUNGEISSUED] some of the messages no longer exist",
    ]
    assert two.lines(b"b COPY 1:3 INBOX\r\n")[-1].startswith(b"b NO [EXPUNGEISSUED]")


def test_idle_tells_at_once() -> None:
    server = Server()
    server.deliver(MESSAGE)
    idler, worker = server.login(), server.login()
    assert idler.say(b"i IDLE\r\n") == b"+ idling\r\n"
    worker.say(b"a STORE 1 +FLAGS \\Seen\r\n")
    assert idler.say(b"") == b"* 1 FETCH (FLAGS (\\Seen \\Recent))\r\n"
    server.deliver(MESSAGE)
    assert idler.say(b"") == b"* 2 EXISTS\r\n* 2 RECENT\r\n"
    worker.say(b"a CREATE Archive\r\n")
    worker.say(b"a NOOP\r\n")
    worker.say(b"a MOVE 1 Archive\r\n")
    assert idler.say(b"") == b"* 1 EXPUNGE\r\n"
    assert idler.say(b"") == b""
    assert idler.say(b"DONE\r\n") == b"i OK IDLE completed\r\n"
    server.deliver(MESSAGE)
    assert idler.say(b"") == b""
    assert b"* 2 EXISTS" in idler.say(b"i NOOP\r\n")


def test_idle_answers_another_command_with_bad() -> None:
    wire = Server().login()
    wire.say(b"i IDLE\r\n")
    assert wire.say(b"a NOOP\r\n") == b"i BAD expected DONE\r\n"
    assert wire.say(b"a NOOP\r\n") == b"a OK completed\r\n"


def test_recent_is_of_one_session() -> None:
    server = Server()
    server.deliver(MESSAGE)
    examiner = server.login(None)
    assert b"* 1 RECENT\r\n" in examiner.say(b"a EXAMINE INBOX\r\n")
    assert examiner.lines(b"a FETCH 1 FLAGS\r\n")[0] == b"* 1 FETCH (FLAGS (\\Recent))"
    first = server.connect()
    first.say(b"a LOGIN alice secret\r\n")
    assert b"* 1 RECENT\r\n" in first.say(b"a SELECT INBOX\r\n")
    second = server.connect()
    second.say(b"a LOGIN alice secret\r\n")
    assert b"* 0 RECENT\r\n" in second.say(b"a SELECT INBOX\r\n")
    assert first.lines(b"a SEARCH RECENT\r\n")[0] == b"* SEARCH 1"
    assert second.lines(b"a SEARCH RECENT\r\n")[0] == b"* SEARCH"
    assert second.lines(b"a SEARCH OLD\r\n")[0] == b"* SEARCH 1"


def test_a_mailbox_deleted_under_a_session() -> None:
    server = Server()
    one = server.login(None)
    one.say(b"a CREATE box\r\n")
    one.say(b"a APPEND box {3+}\r\nx\r\n\r\n")
    two = server.login("box")
    assert one.lines(b"a DELETE box\r\n") == [b"a OK DELETE completed"]
    assert two.lines(b"b NOOP\r\n") == [b"* 1 EXPUNGE", b"b OK completed"]
    assert two.lines(b"b NOOP\r\n") == [b"b OK completed"]
    assert two.lines(b"b UID FETCH 1:* FLAGS\r\n") == [b"b OK FETCH completed"]
    assert two.lines(b"b EXPUNGE\r\n")[-1].split()[1] in (b"OK", b"NO")
    assert two.lines(b"b CLOSE\r\n") == [b"b OK CLOSE completed"]


# ------------------------------------------------------------------------------- FETCH and STORE


def fetched(wire: Wire, items: bytes, number: int = 1) -> bytes:
    said = wire.say(b"f FETCH %d (%b)\r\n" % (number, items))
    assert said.endswith(b"f OK FETCH completed\r\n"), said
    start = b"* %d FETCH (" % number
    assert said.startswith(start)
    return said[len(start) : said.rindex(b")\r\nf OK")]


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


INNER = NESTED[NESTED.index(b"Subject: inner") : NESTED.index(b"\r\n--outer--")]
HEADER = NESTED[: NESTED.index(b"preamble")]

SECTIONS = [
    (b"BODY[]", NESTED),
    (b"BODY[HEADER]", HEADER),
    (b"BODY[TEXT]", NESTED[len(HEADER) :]),
    (b"BODY[1]", b"SMOkbGxvLCBXZWx0IQ=="),
    (
        b"BODY[1.MIME]",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    ),
    (b"BODY[2]", INNER),
    (b"BODY[2.HEADER]", INNER[: INNER.index(b"--inner")]),
    (b"BODY[2.TEXT]", INNER[INNER.index(b"--inner") :]),
    (b"BODY[2.1]", b"plain"),
    (b"BODY[2.2.MIME]", b"Content-Type: text/html\r\n\r\n"),
    (b"BODY[2.2]", b"<p>html</p>"),
    (b"BODY[HEADER.FIELDS (to Subject)]", b"To: alice@example.org\r\nSubject: nested\r\n\r\n"),
    (b"BODY[2.HEADER.FIELDS (SUBJECT)]", b"Subject: inner\r\n\r\n"),
    (
        b"BODY[HEADER.FIELDS.NOT (content-type from)]",
        b"To: alice@example.org\r\nSubject: nested\r\n\r\n",
    ),
    (b"RFC822", NESTED),
    (b"RFC822.HEADER", HEADER),
    (b"RFC822.TEXT", NESTED[len(HEADER) :]),
]


@pytest.mark.parametrize(("item", "octets"), SECTIONS)
def test_fetch_of_sections(item: bytes, octets: bytes) -> None:
    server = Server()
    server.deliver(NESTED)
    wire = server.login()
    wire.say(b"a STORE 1 +FLAGS.SILENT \\Seen\r\n")
    assert fetched(wire, item) == item + b" " + literal(octets)
    if item.startswith(b"BODY["):
        assert fetched(wire, item + b"<3.5>") == item + b"<3> " + literal(octets[3:8])
        assert fetched(wire, item + b"<999.5>") == item + b"<999> " + literal(b"")
        peek = item.replace(b"BODY", b"BODY.PEEK")
        assert fetched(wire, peek) == item + b" " + literal(octets)


@pytest.mark.parametrize("item", [b"BODY[3]", b"BODY[1.1]", b"BODY[1.HEADER]", b"BODY[2.3]"])
def test_fetch_of_sections_that_are_not_there(item: bytes) -> None:
    server = Server()
    server.deliver(NESTED)
    assert fetched(server.login(), item.replace(b"BODY", b"BODY.PEEK")) == item + b" NIL"


@pytest.mark.parametrize(
    ("item", "sees"),
    [
        (b"BODY[]", True),
        (b"BODY[1]", True),
        (b"RFC822", True),
        (b"RFC822.TEXT", True),
        (b"RFC822.HEADER", False),
        (b"BODY.PEEK[]", False),
        (b"ENVELOPE", False),
        (b"BODYSTRUCTURE", False),
    ],
)
def test_seen_is_set_by_reading_only(item: bytes, sees: bool) -> None:
    server = Server()
    server.deliver(NESTED)
    wire, other = server.login(), server.login()
    assert (b"\\Seen" in fetched(wire, item)) is sees
    assert (b"\\Seen" in fetched(wire, b"FLAGS")) is sees
    assert (b"\\Seen" in other.say(b"b NOOP\r\n")) is sees


def test_examine_changes_nothing() -> None:
    server = Server()
    server.deliver(NESTED)
    wire = server.login(None)
    said = wire.say(b"a EXAMINE INBOX\r\n")
    assert b"[PERMANENTFLAGS ()]" in said
    assert b"a OK [READ-ONLY]" in said
    assert b"\\Seen" not in fetched(wire, b"BODY[] FLAGS")
    for line in (b"STORE 1 FLAGS ()", b"EXPUNGE", b"MOVE 1 INBOX", b"UID EXPUNGE 1"):
        assert wire.say(b"a " + line + b"\r\n").startswith(b"a NO [READ-ONLY]")


def test_structure_of_nested_messages() -> None:
    server = Server()
    server.deliver(NESTED)
    assert fetched(server.login(), b"BODY BODYSTRUCTURE") == (
        b'BODY (("text" "plain" ("charset" "utf-8") NIL NIL "base64" 20 0)'
        b'("message" "rfc822" NIL NIL NIL "7bit" %d (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'
        b'("text" "html" NIL NIL NIL "7bit" 11 0) "alternative") 10) "mixed") '
        b'BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "base64" 20 0 NIL NIL NIL NIL)'
        b'("message" "rfc822" NIL NIL NIL "7bit" %d (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
        b'("text" "html" NIL NIL NIL "7bit" 11 0 NIL NIL NIL NIL) '
        b'"alternative" ("boundary" "inner") NIL NIL NIL) 10 NIL NIL NIL NIL) '
        b'"mixed" ("boundary" "outer") NIL NIL NIL)' % (len(INNER), len(INNER))
    )


def test_store_replaces_adds_removes() -> None:
    server = Server()
    server.deliver(MESSAGE)
    server.deliver(MESSAGE)
    wire = server.login()
    assert wire.lines(b"a STORE 1:2 FLAGS (\\Answered Foo)\r\n") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft Foo)",
        b"* 1 FETCH (FLAGS (\\Answered Foo \\Recent))",
        b"* 2 FETCH (FLAGS (\\Answered Foo \\Recent))",
        b"a OK STORE completed",
    ]
    # Unchanged flags are told all the same (RFC 3501 section 6.4.6).
    assert wire.lines(b"a UID STORE 2 +FLAGS foo\r\n") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Answered Foo \\Recent))",
        b"a OK STORE completed",
    ]
    assert wire.lines(b"a STORE 2 -FLAGS.SILENT (\\Answered)\r\n") == [b"a OK STORE completed"]
    assert wire.lines(b"a STORE 3 FLAGS ()\r\n") == [b"a BAD there are not so many messages"]
    assert wire.lines(b"a UID STORE 99 FLAGS ()\r\n") == [b"a OK STORE completed"]
    assert wire.say(b"a STORE 1 FLAGS \\Recent\r\n").startswith(b"a NO [CANNOT]")


def test_silent_still_tells_what_others_did() -> None:
    server = Server()
    server.deliver(MESSAGE)
    one, two = server.login(), server.login()
    one.say(b"a STORE 1 +FLAGS \\Seen\r\n")
    assert two.lines(b"b STORE 1 +FLAGS.SILENT \\Flagged\r\n")[0] == (
        b"* 1 FETCH (FLAGS (\\Flagged \\Seen))"
    )


def test_copy_move_expunge_and_their_codes() -> None:
    server = Server()
    for _ in range(4):
        server.deliver(MESSAGE)
    wire = server.login()
    assert wire.lines(b"a COPY 1 Trash\r\n")[0].startswith(b"a NO [TRYCREATE]")
    assert wire.lines(b"a MOVE 1 Trash\r\n")[0].startswith(b"a NO [TRYCREATE]")
    wire.say(b"a CREATE Trash\r\n")
    said = wire.lines(b"a UID COPY 2,4 Trash\r\n")
    assert re.fullmatch(rb"a OK \[COPYUID [0-9]+ 2,4 1:2\] COPY completed", said[-1])
    said = wire.lines(b"a MOVE 1:2 Trash\r\n")
    assert re.fullmatch(rb"\* OK \[COPYUID [0-9]+ 1:2 3:4\] moved", said[0])
    assert said[1:] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE", b"a OK MOVE completed"]
    wire.say(b"a STORE 1:2 +FLAGS.SILENT \\Deleted\r\n")
    assert wire.lines(b"a UID EXPUNGE 4:99\r\n") == [b"* 2 EXPUNGE", b"a OK EXPUNGE completed"]
    assert wire.lines(b"a UID FETCH 1:* UID\r\n")[0] == b"* 1 FETCH (UID 3)"
    assert wire.lines(b"a UID MOVE 77 Trash\r\n") == [b"a OK MOVE completed"]
    other = server.login()
    assert wire.lines(b"a CLOSE\r\n") == [b"a OK CLOSE completed"]
    assert other.lines(b"b NOOP\r\n")[0] == b"* 1 EXPUNGE"
    assert wire.say(b"a FETCH 1 UID\r\n").startswith(b"a BAD")


def test_unselect_expunges_nothing() -> None:
    server = Server()
    server.deliver(MESSAGE)
    wire = server.login()
    wire.say(b"a STORE 1 +FLAGS \\Deleted\r\n")
    assert wire.lines(b"a UNSELECT\r\n") == [b"a OK UNSELECT completed"]
    assert b"MESSAGES 1" in wire.say(b"a STATUS INBOX (MESSAGES)\r\n")


# --------------------------------------------------------------------------------------- SEARCH


def searched(wire: Wire, keys: bytes) -> list[int]:
    line, completion = wire.lines(b"s SEARCH " + keys + b"\r\n")
    assert completion == b"s OK SEARCH completed"
    assert line.startswith(b"* SEARCH")
    return [int(number) for number in line.split()[2:]]


SEARCHES = [
    (b"ALL", [1, 2, 3]),
    (b"1:2", [1, 2]),
    (b"3:99", [3]),
    (b"77", []),
    (b"UID 2:*", [2, 3]),
    (b"UID 1,3", [1, 3]),
    (b"SEEN", [2]),
    (b"UNSEEN", [1, 3]),
    (b"ANSWERED", []),
    (b"UNANSWERED", [1, 2, 3]),
    (b"DELETED", [3]),
    (b"UNDELETED", [1, 2]),
    (b"DRAFT", []),
    (b"UNDRAFT", [1, 2, 3]),
    (b"FLAGGED", [2]),
    (b"UNFLAGGED", [1, 3]),
    (b"KEYWORD WORK", [2]),
    (b"UNKEYWORD work", [1, 3]),
    (b"RECENT", [1, 2, 3]),
    (b"NEW", [1, 3]),
    (b"OLD", []),
    (b"FROM gray", [1]),
    (b"FROM j\\", None),
    (b'TO "ALICE@"', [2]),
    (b"CC klensin", [1]),
    (b"BCC x", []),
    (b"SUBJECT nested", [2]),
    (b'SUBJECT "wg MTG"', [1]),
    (b"BODY world", [1]),
    (b"BODY html", [2]),
    (b"BODY inner", [2]),
    (b"BODY gray", []),
    (b"TEXT gray", [1]),
    (b'BODY "Welt!"', [2]),
    (b"HEADER Message-Id B27397", [1]),
    (b'HEADER MIME-Version ""', [1]),
    (b'HEADER X-None ""', []),
    (b"LARGER 300", [1, 2]),
    (b"SMALLER 100", [3]),
    (b"SENTON 17-Jul-1996", [1]),
    (b"SENTBEFORE 18-Jul-1996", [1]),
    (b"SENTSINCE 18-Jul-1996", []),
    (b"SINCE 1-Jan-2000", [1, 2, 3]),
    (b"BEFORE 1-Jan-2000", []),
    (b"ON 1-Jan-2000", []),
    (b"NOT SEEN", [1, 3]),
    (b"OR SEEN DELETED", [2, 3]),
    (b"NOT (OR SEEN DELETED)", [1]),
    (b"SEEN FLAGGED NOT DELETED", [2]),
    (b"OR (FROM gray 1) (BODY html UNSEEN)", [1]),
    (b"NOT BODY world NOT BODY html", [3]),
    (b"CHARSET UTF-8 FROM {7+}\r\nJ\xc3\xbcrgen", [2]),
    (b"CHARSET UTF-8 BODY {7+}\r\nH\xc3\xa4LLO,", [2]),
    (b"CHARSET us-ascii SUBJECT nested", [2]),
]


@pytest.mark.parametrize(("keys", "found"), SEARCHES)
def test_search(keys: bytes, found: list[int] | None) -> None:
    server = Server()
    for content in (MESSAGE, NESTED, b"Subject: small\r\n\r\nsmall\r\n"):
        server.deliver(content)
    wire = server.login()
    wire.say(b"a STORE 2 FLAGS.SILENT (\\Seen \\Flagged work)\r\n")
    wire.say(b"a STORE 3 FLAGS.SILENT (\\Deleted)\r\n")
    if found is None:
        assert wire.say(b"s SEARCH " + keys + b"\r\n").startswith(b"s BAD")
    else:
        assert searched(wire, keys) == found


def test_search_charsets_uids_and_return_options() -> None:
    server = Server()
    for _ in range(3):
        server.deliver(MESSAGE)
    wire = server.login()
    wire.say(b"a STORE 1 +FLAGS \\Deleted\r\n")
    wire.say(b"a EXPUNGE\r\n")
    assert wire.lines(b"s UID SEARCH ALL\r\n")[0] == b"* SEARCH 2 3"
    assert wire.lines(b"s SEARCH CHARSET KOI8-R ALL\r\n") == [
        b"s NO [BADCHARSET (US-ASCII UTF-8)] the charset is not known"
    ]
    bad = wire.lines(b"s SEARCH CHARSET US-ASCII SUBJECT {2+}\r\n\xc3\xa4\r\n")
    assert bad[0].startswith(b"s BAD")
    assert wire.lines(b"s SEARCH RETURN (MIN MAX COUNT) ALL\r\n")[0] == (
        b'* ESEARCH (TAG "s") MIN 1 MAX 2 COUNT 2'
    )
    assert wire.lines(b"s UID SEARCH RETURN () ALL\r\n")[0] == b'* ESEARCH (TAG "s") UID ALL 2:3'
    assert wire.lines(b"s SEARCH RETURN (ALL COUNT) SEEN\r\n")[0] == b'* ESEARCH (TAG "s") COUNT 0'


def test_search_refuses_very_many_texts() -> None:
    server = Server()
    server.deliver(MESSAGE)
    wire = server.login()
    assert wire.say(b"s SEARCH " + b"BODY x " * 101 + b"ALL\r\n").startswith(b"s NO [LIMIT]")


# ------------------------------------------------------------------------------------ mailboxes


def listed(wire: Wire, reference: bytes, pattern: bytes, command: bytes = b"LIST") -> list[bytes]:
    lines = wire.lines(b'l %b "%b" "%b"\r\n' % (command, reference, pattern))
    assert lines[-1] == b"l OK %b completed" % command
    return [line.split(b'"/" ')[1] for line in lines[:-1]]


@pytest.fixture
def tree() -> Wire:
    wire = Server().login(None)
    for name in (b"a", b"a/b/c", b"ab", b"Entw&APw-rfe", b'"with space"', b"INBOX/x"):
        assert wire.say(b"x CREATE " + name + b"\r\n") == b"x OK CREATE completed\r\n"
    return wire


def test_list_patterns(tree: Wire) -> None:
    everything = listed(tree, b"", b"*")
    assert everything[0] == b"INBOX"
    assert set(everything[1:]) == {
        b"a", b"a/b", b"a/b/c", b"ab", b"Entw&APw-rfe", b'"with space"', b"INBOX/x"
    }  # fmt: skip
    assert set(listed(tree, b"", b"%")) == {
        b"INBOX", b"a", b"ab", b"Entw&APw-rfe", b'"with space"'
    }  # fmt: skip
    assert listed(tree, b"", b"a/%") == [b"a/b"]
    assert listed(tree, b"a/", b"*") == [b"a/b", b"a/b/c"]
    assert listed(tree, b"", b"inbox") == [b"INBOX"]
    assert listed(tree, b"", b"%/b") == [b"a/b"]
    assert listed(tree, b"", b"*c") == [b"a/b/c"]
    assert listed(tree, b"", b"nosuch") == []
    assert tree.lines(b'l LIST "" ""\r\n')[0] == b'* LIST (\\Noselect) "/" ""'
    assert b'* LIST (\\HasChildren) "/" a\r\n' in tree.say(b'l LIST "" a\r\n')
    assert b'* LIST (\\HasNoChildren) "/" a/b/c\r\n' in tree.say(b'l LIST "" a/b/c\r\n')


def test_lsub_shows_what_is_above(tree: Wire) -> None:
    tree.say(b"x SUBSCRIBE a/b/c\r\n")
    tree.say(b"x SUBSCRIBE ab\r\n")
    tree.say(b"x SUBSCRIBE nosuch\r\n")
    assert listed(tree, b"", b"*", b"LSUB") == [b"a/b/c", b"ab", b"nosuch"]
    assert tree.lines(b'l LSUB "" %\r\n')[:-1] == [
        b'* LSUB (\\Noselect) "/" a',
        b'* LSUB () "/" ab',
        b'* LSUB (\\Noselect) "/" nosuch',
    ]
    tree.say(b"x UNSUBSCRIBE nosuch\r\n")
    assert listed(tree, b"", b"n*", b"LSUB") == []


def test_P09_patterns_cost_no_more_than_their_length() -> None:
    for unit, end in ((b"*a", b"b"), (b"%a", b""), (b"%*", b"x"), (b"a*", b"")):

        def work(wildcards: int, unit: bytes = unit, end: bytes = end) -> Callable[[], object]:
            pattern = Pattern(unit * wildcards + end, b"/")
            return lambda: pattern.matches(b"a" * 2000)

        assert_linear(work, 250)


def reference_match(pattern: bytes, name: bytes) -> bool:
    translated = {ord("*"): b".*", ord("%"): b"[^/]*"}
    expression = b"".join(translated.get(c, re.escape(bytes([c]))) for c in pattern)
    return re.fullmatch(expression, name, re.DOTALL) is not None


def test_patterns_mean_what_their_regular_expressions_mean() -> None:
    import itertools

    names = [b"", b"a", b"b", b"/", b"a/b", b"a/a/b", b"aab", b"b/", b"ab/ba"]
    for length in range(6):
        for letters in itertools.product(b"ab/*%", repeat=length):
            pattern = bytes(letters)
            compiled = Pattern(pattern, b"/")
            for name in names:
                assert compiled.matches(name) == reference_match(pattern, name), (pattern, name)


NAMES = [
    (b"CREATE INBOX", b"NO [ALREADYEXISTS]"),
    (b"CREATE inbox", b"NO [ALREADYEXISTS]"),
    (b"CREATE a//b", b"NO [CANNOT]"),
    (b"CREATE /a", b"NO [CANNOT]"),
    (b'CREATE "a%"', b"NO [CANNOT]"),
    (b'CREATE "a*"', b"NO [CANNOT]"),
    (b"CREATE &AAo-", b"NO [CANNOT]"),
    (b"CREATE &", b"NO [CANNOT]"),
    (b"CREATE {2+}\r\n\xc3\xa4", b"NO [CANNOT]"),
    (b"CREATE " + b"x" * 1001, b"NO [LIMIT]"),
    (b"CREATE new/", b"OK"),
    (b"SELECT nosuch", b"NO [NONEXISTENT]"),
    (b"SELECT &", b"NO [NONEXISTENT]"),
    (b"STATUS nosuch (MESSAGES)", b"NO [NONEXISTENT]"),
    (b"DELETE nosuch", b"NO [NONEXISTENT]"),
    (b"DELETE InBox", b"NO [CANNOT]"),
    (b"RENAME nosuch x", b"NO [NONEXISTENT]"),
    (b"RENAME a ab", b"NO [ALREADYEXISTS]"),
    (b"APPEND nosuch {3+}\r\nabc", b"NO [TRYCREATE]"),
    (b"APPEND a {0+}\r\n", b"NO [CANNOT]"),
    (b"APPEND a (\\Recent) {3+}\r\nabc", b"NO [CANNOT]"),
]


@pytest.mark.parametrize(("line", "answer"), NAMES)
def test_refusals_and_their_codes(tree: Wire, line: bytes, answer: bytes) -> None:
    assert tree.say(b"x " + line + b"\r\n").startswith(b"x " + answer)
    assert tree.say(b"y NOOP\r\n") == b"y OK completed\r\n"


def test_P28_listed_names_can_be_selected(tree: Wire) -> None:
    for name in listed(tree, b"", b"*"):
        assert b"x OK" in tree.say(b"x SELECT " + name + b"\r\n")


def test_rename_of_inbox_and_of_trees(tree: Wire) -> None:
    tree.say(b"x APPEND INBOX {3+}\r\nabc\r\n")
    assert tree.say(b"x RENAME INBOX old\r\n") == b"x OK RENAME completed\r\n"
    assert b"MESSAGES 1" in tree.say(b"x STATUS old (MESSAGES)\r\n")
    assert b"MESSAGES 0" in tree.say(b"x STATUS INBOX (MESSAGES)\r\n")
    tree.say(b"x RENAME a z\r\n")
    assert listed(tree, b"", b"z*") == [b"z", b"z/b", b"z/b/c"]


def test_status() -> None:
    server = Server()
    server.deliver(MESSAGE)
    wire = server.login(None)
    line = wire.lines(b"a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)\r\n")[0]
    pattern = rb"\* STATUS INBOX \(MESSAGES 1 RECENT 1 UIDNEXT 2 UIDVALIDITY [0-9]+ UNSEEN 1\)"
    assert re.fullmatch(pattern, line)


# --------------------------------------------------------------------------- APPEND, big messages


def test_append_keeps_flags_date_and_octets() -> None:
    wire = Server().login()
    line = b'a APPEND INBOX (\\Seen $Foo) "17-Jul-1996 02:44:25 -0700" {%d}\r\n' % len(MESSAGE)
    assert wire.say(line) == b"+ go on\r\n"
    assert wire.say(MESSAGE[:100]) == b""
    lines = wire.lines(MESSAGE[100:] + b"\r\n")
    assert lines[:2] == [b"* 1 EXISTS", b"* 1 RECENT"]
    code = b"a OK [APPENDUID %b 1] APPEND completed" % uid_validity(wire)
    assert lines[-1] == code
    said = fetched(wire, b"FLAGS INTERNALDATE BODY.PEEK[]")
    assert said == (
        b'FLAGS (\\Seen $Foo \\Recent) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] '
        + literal(MESSAGE)
    )


@pytest.mark.parametrize("end", [b"GARBAGE\r\n", None])
def test_P21_append_that_is_not_whole_adds_nothing(end: bytes | None) -> None:
    server = Server()
    wire = server.login()
    wire.say(b"a APPEND INBOX {5+}\r\nhell")
    if end is None:
        wire.hang_up()
        assert wire.ended
    else:
        assert wire.say(b"o" + end).startswith(b"a BAD")
    assert b"* 0 EXISTS" in server.login(None).say(b"a SELECT INBOX\r\n")


def test_append_over_the_limit() -> None:
    wire = Server(IMAPServerLimits(append=10)).login()
    assert wire.say(b"a APPEND INBOX {11}\r\n").startswith(b"a BAD [TOOBIG]")
    assert b"APPENDLIMIT=10" in wire.say(b"a CAPABILITY\r\n")


@pytest.mark.slow
def test_P08_a_big_message_is_never_in_memory() -> None:
    size = 100 * 1024 * 1024
    server = Server(IMAPServerLimits(append=size))
    wire = server.login()
    line = b"x" * 998 + b"\r\n"
    block = b"".join([line] * 60)
    head = b"Subject: big\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    tracemalloc.start()
    try:
        wire.say(b"a APPEND INBOX {%d}\r\n" % size)
        wire.say(head)
        left = size - len(head)
        while left:
            piece = block[: min(left, len(block))]
            wire.say(piece)
            left -= len(piece)
        assert b"a OK" in wire.say(b"\r\n")
        for items in (b"BODY.PEEK[]", b"BODYSTRUCTURE", b"BODY.PEEK[1]", b"ENVELOPE"):
            wire.say(b"a FETCH 1 " + items + b"\r\n", keep=False)
        assert wire.say(b"a SEARCH BODY nosuch\r\n").startswith(b"* SEARCH\r\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
    assert wire.largest_write < 1024 * 1024


# ----------------------------------------------------------------------------- how sessions end


def test_shutdown_is_told_to_whoever_waits() -> None:
    server = Server()
    waiting, idling, busy = server.login(), server.login(), server.login()
    idling.say(b"i IDLE\r\n")
    busy.say(b"a APPEND INBOX {5+}\r\nhel")
    server.shutdown.request()
    bye = b"* BYE [UNAVAILABLE] the server is shutting down\r\n"
    assert waiting.say(b"") == bye
    assert idling.say(b"") == bye
    assert busy.say(b"") == b""
    said = busy.say(b"lo\r\n")
    assert b"a OK [APPENDUID" in said
    assert said.endswith(bye)
    assert waiting.ended
    assert idling.ended
    assert busy.ended


def test_P24_deadlines_are_told() -> None:
    server = Server()
    wire = server.connect()
    assert wire.seconds == 60
    assert wire.let_time_pass() == b"* BYE idle for too long\r\n"
    assert wire.ended
    wire = server.login()
    assert wire.seconds == 1800


def test_protocol_errors_are_told() -> None:
    wire = Server().connect()
    assert wire.say(b"a LOGIN {999999+}\r\n") == b"* BYE [TOOBIG] the literal is too big\r\n"
    assert wire.ended


def test_a_client_that_hangs_up_leaves_nothing_behind() -> None:
    server = Server()
    wire = server.login()
    wire.say(b"i IDLE\r\n")
    wire.hang_up()
    assert wire.ended
    server.deliver(MESSAGE)
    assert b"* 1 EXISTS" in server.login(None).say(b"a SELECT INBOX\r\n")


def test_P12_bad_commands_do_not_end_a_session() -> None:
    wire = Server().login()
    for line in (b"", b"x", b"a", b"a NOSUCH", b"a FETCH", b"a LOGIN x y", b"\xff\xfe"):
        assert b"BAD" in wire.say(line + b"\r\n")
    assert wire.say(b"a NOOP\r\n") == b"a OK completed\r\n"


def test_P09_many_messages_cost_linear_time() -> None:
    def session(count: int) -> Callable[[], None]:
        server = Server()
        for _ in range(count):
            server.deliver(b"Subject: x\r\n\r\n")
        wire = server.login()

        def work() -> None:
            assert wire.say(b"a FETCH 1:* (UID FLAGS)\r\n").count(b"\r\n") == count + 1
            wire.say(b"a STORE 1:* +FLAGS.SILENT \\Deleted\r\n")
            assert wire.say(b"a EXPUNGE\r\n").count(b"EXPUNGE\r\n") == count

        return work

    assert_linear(session, 500)
