"""Transcripts of RFCs, played against the server's machine."""

from __future__ import annotations

import datetime

from mailproto import imap
from mailproto._core.machine import PAUSED
from mailproto.imap import BAD, NO, OK, PREAUTH
from mailproto.testing.script import play_client, transcript


def open_server() -> imap.Server:
    offer = imap.Offer(insecure_auth=True, starttls=True, mechanisms=("PLAIN",))
    return imap.Server(offer=offer)


SECTION_8 = transcript(
    r"""
    S: * OK IMAP4rev1 Service Ready
    C: a001 login mrc secret
    S: a001 OK LOGIN completed
    C: a002 select inbox
    S: * 18 EXISTS
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * 2 RECENT
    S: * OK [UNSEEN 17] Message 17 is the first unseen message
    S: * OK [UIDVALIDITY 3857529045] UIDs valid
    S: a002 OK [READ-WRITE] SELECT completed
    C: a003 fetch 12 full
    S: * 12 FETCH (FLAGS (\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286 ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>") BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))
    S: a003 OK FETCH completed
    C: a004 fetch 12 body[header]
    S: * 12 FETCH (BODY[HEADER] {342}
    S: Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
    S: From: Terry Gray <gray@cac.washington.edu>
    S: Subject: IMAP4rev1 WG mtg summary and minutes
    S: To: imap@cac.washington.edu
    S: cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
    S: Message-Id: <B27397-0100000@cac.washington.edu>
    S: MIME-Version: 1.0
    S: Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
    S:
    S: )
    S: a004 OK FETCH completed
    C: a005 store 12 +flags \deleted
    S: * 12 FETCH (FLAGS (\Seen \Deleted))
    S: a005 OK +FLAGS completed
    C: a006 logout
    S: * BYE IMAP4rev1 server terminating connection
    S: a006 OK LOGOUT completed
    """  # noqa: E501
)

HEADER = b"""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

""".replace(b"\n", b"\r\n")

GRAY = (imap.Address(b"Terry Gray", None, b"gray", b"cac.washington.edu"),)
ENVELOPE = imap.Envelope(
    b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
    b"IMAP4rev1 WG mtg summary and minutes",
    GRAY,
    GRAY,
    GRAY,
    (imap.Address(None, None, b"imap", b"cac.washington.edu"),),
    (
        imap.Address(None, None, b"minutes", b"CNRI.Reston.VA.US"),
        imap.Address(b"John Klensin", None, b"KLENSIN", b"MIT.EDU"),
    ),
    (),
    None,
    b"<B27397-0100000@cac.washington.edu>",
)
BODY = imap.SinglePart(
    b"TEXT", b"PLAIN", ((b"CHARSET", b"US-ASCII"),), None, None, b"7BIT", 3028, 92
)
PACIFIC = datetime.timezone(datetime.timedelta(hours=-7))
WHEN = datetime.datetime(1996, 7, 17, 2, 44, 25, tzinfo=PACIFIC)


def test_P19_rfc_3501_section_8() -> None:
    def answer(server: imap.Server, event: object) -> None:
        match event:
            case imap.Tagged("a001", imap.Login(b"mrc", b"secret")):
                server.send(imap.Completion("a001", OK, "LOGIN completed"))
            case imap.Tagged("a002", imap.Select(imap.INBOX)):
                server.send(imap.ExistsData(18))
                server.send(imap.FlagsData(imap.SYSTEM_FLAGS))
                server.send(imap.RecentData(2))
                unseen = imap.NumberCode("UNSEEN", 17)
                text = "Message 17 is the first unseen message"
                server.send(imap.Condition(OK, text, unseen))
                validity = imap.NumberCode("UIDVALIDITY", 3857529045)
                server.send(imap.Condition(OK, "UIDs valid", validity))
                server.send(imap.Completion("a002", OK, "SELECT completed", imap.READ_WRITE))
            case imap.Tagged("a003", imap.Fetch(_, imap.FetchMacro.FULL)):
                server.send(
                    imap.FetchData(
                        12,
                        flags=("\\Seen",),
                        internal_date=WHEN,
                        size=4286,
                        envelope=ENVELOPE,
                        body=BODY,
                    )
                )
                server.send(imap.Completion("a003", OK, "FETCH completed"))
            case imap.Tagged("a004", imap.Fetch()):
                section = imap.Section(text=imap.SectionText.HEADER)
                data = imap.SectionData(section, HEADER)
                server.send(imap.FetchData(12, sections=(data,)))
                server.send(imap.Completion("a004", OK, "FETCH completed"))
            case imap.Tagged("a005", imap.Store(_, imap.StoreAction.ADD, ("\\Deleted",))):
                server.send(imap.FetchData(12, flags=("\\Seen", "\\Deleted")))
                server.send(imap.Completion("a005", OK, "+FLAGS completed"))
            case imap.Tagged("a006", imap.Logout()):
                bye = "IMAP4rev1 server terminating connection"
                server.send(imap.Condition(imap.BYE, bye))
                server.send(imap.Completion("a006", OK, "LOGOUT completed"))
            case _:
                assert event is PAUSED
                server.send(imap.Condition(OK, "IMAP4rev1 Service Ready"))

    server = open_server()
    play_client(SECTION_8, server, answer)
    assert server.state is imap.State.LOGOUT


def test_P19_rfc_3501_continuations_of_login_by_literals() -> None:
    # section 7.5
    script = transcript(
        """
        S: * PREAUTH ready
        C: A001 RENAME {11}
        S: + OK
        C: FRED FOOBAR {7}
        S: + OK
        C: fat man
        S: A001 OK RENAME completed
        C: A044 BLURDYBLOOP {102856}
        S: A044 BAD No such command as "BLURDYBLOOP"
        """
    )

    def answer(server: imap.Server, event: object) -> None:
        match event:
            case imap.Tagged("A001", imap.Rename()):
                server.accept()
            case imap.InvalidCommand("A044"):
                text = 'No such command as "BLURDYBLOOP"'
                server.send(imap.Completion("A044", BAD, text))
            case _:
                server.send(imap.Condition(PREAUTH, "ready"))

    events = play_client(script, open_server(), answer)
    expected = imap.Rename(b"FRED FOOBAR", b"fat man")
    assert events[0] == imap.Tagged("A001", expected)


def test_P19_rfc_2177_idle() -> None:
    script = transcript(
        """
        S: * PREAUTH ready
        C: A001 SELECT INBOX
        S: * 3 EXISTS
        S: A001 OK SELECT completed
        C: A002 IDLE
        S: + idling
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        C: DONE
        S: A002 OK IDLE terminated
        """
    )

    def answer(server: imap.Server, event: object) -> None:
        match event:
            case imap.Tagged("A001"):
                server.send(imap.ExistsData(3))
                server.send(imap.Completion("A001", OK, "SELECT completed"))
            case imap.Tagged("A002", imap.Idle()):
                server.accept()
                server.send(imap.ExpungeData(2))
                server.send(imap.ExistsData(3))
            case imap.Done():
                server.send(imap.Completion("A002", OK, "IDLE terminated"))
            case _:
                server.send(imap.Condition(PREAUTH, "ready"))

    play_client(script, open_server(), answer)


def test_P19_rfc_4959_initial_response_and_starttls() -> None:
    script = transcript(
        """
        S: * OK ready
        C: C02 STARTTLS
        S: C02 OK begin
        TLS
        C: C06 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=
        S: C06 NO no
        C: C07 AUTHENTICATE PLAIN =
        S: C07 NO no
        C: C08 AUTHENTICATE PLAIN
        S: +\N{SYMBOL FOR SPACE}
        C: dGVzdAB0ZXN0AHRlc3Q=
        S: C08 OK yes
        """
    )
    said: list[bytes | None] = []

    def answer(server: imap.Server, event: object) -> None:
        match event:
            case imap.Tagged(tag, imap.StartTLS()):
                server.send(imap.Completion(tag, OK, "begin"))
            case imap.Tagged("C08", imap.Authenticate("PLAIN", None)):
                server.send(imap.Challenge(b""))
            case imap.Tagged(tag, imap.Authenticate("PLAIN", initial)):
                said.append(initial)
                server.send(imap.Completion(tag, NO, "no"))
            case imap.AuthenticateResponse(data):
                said.append(data)
                server.send(imap.Completion("C08", OK, "yes"))
            case _:
                server.send(imap.Condition(OK, "ready"))

    server = open_server()
    play_client(script, server, answer)
    assert said == [b"test\0test\0test", b"", b"test\0test\0test"]
    assert server.state is imap.State.AUTHENTICATED
    assert server.tls


def test_P19_rfc_7888_non_synchronizing_literals() -> None:
    script = transcript(
        """
        S: * OK ready
        C: A001 LOGIN {11+}
        C: FRED FOOBAR {7+}
        C: fat man
        S: A001 OK LOGIN completed
        """
    )
    server = open_server()

    def answer(server: imap.Server, event: object) -> None:
        if event is PAUSED:
            server.send(imap.Condition(OK, "ready"))
        else:
            server.accept()

    events = play_client(script, server, answer)
    assert events == [imap.Tagged("A001", imap.Login(b"FRED FOOBAR", b"fat man"))]
