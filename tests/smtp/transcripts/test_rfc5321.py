"""RFC 5321 appendix D, and the examples of the RFCs that belong to every server."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.smtp.commands import Command
from smtp.transcripts.runner import data, mail, play, play_on_client, rcpt

DSN = smtp.Offer(expn=True, enhanced_codes=False, dsn=True)
HELLO = """S: 220 foo.com Simple Mail Transfer Service Ready
C: EHLO bar.com
S: 250-foo.com greets bar.com
S: 250-8BITMIME
S: 250-SIZE
S: 250-DSN
S: 250 HELP
"""
BLAH = """C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: Blah blah blah...
C: ...etc. etc. etc.
C: .
S: 250 OK
"""
QUIT = """C: QUIT
S: 221 foo.com Service closing transmission channel
"""
# What the second line of it means, once the dot that transparency added is taken away.
SAY_BLAH = data("Blah blah blah...", "..etc. etc. etc.")


@pytest.mark.parity(
    "smtp-client MAIL, RCPT, DATA and QUIT", "smtp-server MAIL, RCPT, DATA, RSET and QUIT"
)
def test_P19_RFC_5321_appendix_D_1_a_typical_transaction() -> None:
    text = f"""{HELLO}C: MAIL FROM:<Smith@bar.com>
S: 250 OK
C: RCPT TO:<Jones@foo.com>
S: 250 OK
C: RCPT TO:<Green@foo.com>
S: 550 No such user here
C: RCPT TO:<Brown@foo.com>
S: 250 OK
{BLAH}{QUIT}"""
    recipients = [rcpt(f"{name}@foo.com") for name in ("Jones", "Green", "Brown")]
    says = [smtp.Ehlo("bar.com"), mail("Smith@bar.com"), *recipients, *SAY_BLAH, smtp.Quit()]
    play(text, says, offer=DSN)


@pytest.mark.parity("smtp-server MAIL, RCPT, DATA, RSET and QUIT")
def test_P19_RFC_5321_appendix_D_2_an_aborted_transaction() -> None:
    text = f"""{HELLO}C: MAIL FROM:<Smith@bar.com>
S: 250 OK
C: RCPT TO:<Jones@foo.com>
S: 250 OK
C: RCPT TO:<Green@foo.com>
S: 550 No such user here
C: RSET
S: 250 OK
{QUIT}"""
    recipients = [rcpt("Jones@foo.com"), rcpt("Green@foo.com")]
    says = [smtp.Ehlo("bar.com"), mail("Smith@bar.com"), *recipients, smtp.Rset(), smtp.Quit()]
    play(text, says, offer=DSN)


BOARD = (
    "From: John Q. Public <JQP@bar.com>",
    "Subject: The Next Meeting of the Board",
    "To: Jones@xyz.com",
    "",
    "Bill:",
    "The next meeting of the board of directors will be",
    "on Tuesday.",
)


def board(*first: str, last: str) -> tuple[str, list[Command]]:
    """The DATA of D.3: its lines in the script and the commands."""
    lines = (*first, *BOARD, last)
    script = "".join(f"C: {line}\n" if line else "C:\n" for line in lines)
    return (
        f"C: DATA\nS: 354 Start mail input; end with <CRLF>.<CRLF>\n{script}C: .\nS: 250 OK\n",
        data(*lines),
    )


def test_P19_RFC_5321_appendix_D_3_relayed_mail_from_the_source_to_the_relay() -> None:
    content, says = board("Date: Thu, 21 May 1998 05:33:29 -0700", last="John.")
    text = f"""{HELLO}C: MAIL FROM:<JQP@bar.com>
S: 250 OK
C: RCPT TO:<Jones@XYZ.COM>
S: 250 OK
{content}{QUIT}"""
    commands = [smtp.Ehlo("bar.com"), mail("JQP@bar.com"), rcpt("Jones@XYZ.COM"), *says]
    play(text, [*commands, smtp.Quit()], offer=DSN)


def test_P19_RFC_5321_appendix_D_3_relayed_mail_from_the_relay_to_the_destination() -> None:
    content, says = board(
        "Received: from bar.com by foo.com ; Thu, 21 May 1998",
        "    05:33:29 -0700",
        "Date: Thu, 21 May 1998 05:33:22 -0700",
        last="                        John.",
    )
    text = f"""S: 220 xyz.com Simple Mail Transfer Service Ready
C: EHLO foo.com
S: 250 xyz.com is on the air
C: MAIL FROM:<JQP@bar.com>
S: 250 OK
C: RCPT TO:<Jones@XYZ.COM>
S: 250 OK
{content}{QUIT}"""
    commands = [smtp.Ehlo("foo.com"), mail("JQP@bar.com"), rcpt("Jones@XYZ.COM"), *says]
    play(text, [*commands, smtp.Quit()], hostname="xyz.com")


def test_P19_RFC_5321_appendix_D_4_verifying_and_sending() -> None:
    hello = HELLO.replace("S: 250 HELP", "S: 250-VRFY\nS: 250 HELP")
    text = f"""{hello}C: VRFY Crispin
S: 250 Mark Crispin <Admin.MRC@foo.com>
C: MAIL FROM:<EAK@bar.com>
S: 250 OK
C: RCPT TO:<Admin.MRC@foo.com>
S: 250 OK
{BLAH}{QUIT}"""
    commands = [smtp.Ehlo("bar.com"), smtp.Vrfy("Crispin"), mail("EAK@bar.com")]
    play(text, [*commands, rcpt("Admin.MRC@foo.com"), *SAY_BLAH, smtp.Quit()], offer=DSN)


@pytest.mark.parity("smtp-client VRFY", "smtp-server VRFY")
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("VRFY Smith", "250 Fred Smith <Smith@foo.com>"),
        ("VRFY Green", "553 User ambiguous"),
        ("VRFY Jones", "551 User not local; please try <Jones@bar.com>"),
        ("VRFY Gourzenkyinplatz", "550 String does not match anything."),
        ("EXPN Executive-Washroom-List", "550 Access Denied to You."),
    ],
)
def test_P19_RFC_5321_section_3_5_answers_to_VRFY_and_EXPN(line: str, reply: str) -> None:
    verb, _, text = line.partition(" ")
    command: Command = smtp.Vrfy(text) if verb == "VRFY" else smtp.Expn(text)
    script = f"{HELLO}C: {line}\nS: {reply}\n"
    play(script, [smtp.Ehlo("bar.com"), command], offer=DSN)


@pytest.mark.parity("smtp-client EXPN", "smtp-server EXPN")
def test_P19_RFC_5321_section_3_5_the_members_of_a_list() -> None:
    script = f"""{HELLO}C: EXPN Example-People
S: 250-Jon Postel <Postel@isi.edu>
S: 250-Fred Fonebone <Fonebone@physics.foo-u.edu>
S: 250 Sam Q. Smith <SQSmith@specific.generic.com>
"""
    play(script, [smtp.Ehlo("bar.com"), smtp.Expn("Example-People")], offer=DSN)


# ------------------------------------------------------------------------------------ RFC 2033


@pytest.mark.parity("smtp-client LMTP", "smtp-server LMTP")
def test_P19_RFC_2033_section_4_2_a_reply_for_each_recipient() -> None:
    text = """S: 220 foo.edu LMTP server ready
C: LHLO foo.edu
S: 250-foo.edu
S: 250-PIPELINING
S: 250 SIZE
C: MAIL FROM:<chris@bar.com>
S: 250 OK
C: RCPT TO:<pat@foo.edu>
S: 250 OK
C: RCPT TO:<jones@foo.edu>
S: 550 No such user here
C: RCPT TO:<green@foo.edu>
S: 250 OK
C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: Blah blah blah...
C: ...etc. etc. etc.
C: .
S: 250 OK
S: 452 <green@foo.edu> is temporarily over quota
C: QUIT
S: 221 foo.edu closing connection
"""
    recipients = [rcpt(f"{name}@foo.edu") for name in ("pat", "jones", "green")]
    says = [smtp.Lhlo("foo.edu"), mail("chris@bar.com"), *recipients, *SAY_BLAH, smtp.Quit()]
    play(text, says, hostname="foo.edu", lmtp=True)


# ------------------------------------------------------------------------------------ RFC 2920

SENDER = mail("mrose@dbc.mtview.ca.us")
NED, DAN, KVC = (rcpt(f"{name}@innosoft.com") for name in ("ned", "dan", "kvc"))


def test_P19_RFC_2920_section_4_without_pipelining() -> None:
    text = """S: 220 Innosoft.com SMTP service ready
C: HELO dbc.mtview.ca.us
S: 250 Innosoft.com
C: MAIL FROM:<mrose@dbc.mtview.ca.us>
S: 250 sender <mrose@dbc.mtview.ca.us> OK
C: RCPT TO:<ned@innosoft.com>
S: 250 recipient <ned@innosoft.com> OK
C: RCPT TO:<dan@innosoft.com>
S: 250 recipient <dan@innosoft.com> OK
C: RCPT TO:<kvc@innosoft.com>
S: 250 recipient <kvc@innosoft.com> OK
C: DATA
S: 354 enter mail, end with line containing only "."
C: ...
C: .
S: 250 message sent
C: QUIT
S: 221 goodbye
"""
    says = [smtp.Helo("dbc.mtview.ca.us"), SENDER, NED, DAN, KVC, *data(".."), smtp.Quit()]
    play(text, says, hostname="Innosoft.com")


PIPELINING = """S: 220 innosoft.com SMTP service ready
C: EHLO dbc.mtview.ca.us
S: 250-innosoft.com
S: 250 PIPELINING
C: MAIL FROM:<mrose@dbc.mtview.ca.us>
"""


def test_P19_RFC_2920_section_4_with_pipelining() -> None:
    text = f"""{PIPELINING}C: RCPT TO:<ned@innosoft.com>
C: RCPT TO:<dan@innosoft.com>
C: RCPT TO:<kvc@innosoft.com>
C: DATA
S: 250 sender <mrose@dbc.mtview.ca.us> OK
S: 250 recipient <ned@innosoft.com> OK
S: 250 recipient <dan@innosoft.com> OK
S: 250 recipient <kvc@innosoft.com> OK
S: 354 enter mail, end with line containing only "."
C: ...
C: .
C: QUIT
S: 250 message sent
S: 221 goodbye
"""
    says = [smtp.Ehlo("dbc.mtview.ca.us"), SENDER, NED, DAN, KVC, *data(".."), smtp.Quit()]
    play(text, says, hostname="innosoft.com")


REFUSED = f"""{PIPELINING}C: RCPT TO:<nsb@thumper.bellcore.com>
C: RCPT TO:<galvin@tis.com>
C: DATA
S: 250 sender <mrose@dbc.mtview.ca.us> OK
S: 550 remote mail to <nsb@thumper.bellore.com> not allowed
S: 550 remote mail to <galvin@tis.com> not allowed
"""
SAY_REFUSED: list[Command] = [
    smtp.Ehlo("dbc.mtview.ca.us"),
    SENDER,
    rcpt("nsb@thumper.bellcore.com"),
    rcpt("galvin@tis.com"),
    smtp.Data(),
]


def test_P19_RFC_2920_section_4_all_recipients_refused() -> None:
    text = f"{REFUSED}S: 554 no valid recipients given\nC: QUIT\nS: 221 goodbye\n"
    play(text, [*SAY_REFUSED, smtp.Quit()], hostname="innosoft.com")


def test_P19_RFC_2920_section_4_content_after_all_recipients_were_refused() -> None:
    # Only the client can be in this session: the server here does check for a recipient.
    text = f"""{REFUSED}S: 354 enter mail, end with line containing only "."
C: .
C: QUIT
S: 554 no valid recipients
S: 221 goodbye
"""
    play_on_client(text, [*SAY_REFUSED, smtp.EndOfMessage(), smtp.Quit()])


# ------------------------------------------------------------------------------------ RFC 3207


def test_P19_RFC_3207_section_5_starting_TLS() -> None:
    text = """S: 220 mail.imc.org SMTP service ready
C: EHLO mail.example.com
S: 250-mail.imc.org offers a warm hug of welcome
S: 250-8BITMIME
S: 250-STARTTLS
S: 250 DSN
C: STARTTLS
S: 220 Go ahead
TLS
C: EHLO mail.example.com
S: 250-mail.imc.org touches your hand gently for a moment
S: 250-8BITMIME
S: 250 DSN
"""
    offer = smtp.Offer(enhanced_codes=False, starttls=True, dsn=True)
    hello = smtp.Ehlo("mail.example.com")
    play(text, [hello, smtp.StartTLS(), hello], hostname="mail.imc.org", offer=offer)


# ------------------------------------------------------------------------- RFC 1870, RFC 6152


def test_P19_RFC_1870_section_8() -> None:
    text = """S: 220 sigurd.innosoft.com -- Server SMTP (PMDF V4.2-6 #1992)
C: EHLO ymir.claremont.edu
S: 250-sigurd.innosoft.com
S: 250-EXPN
S: 250-HELP
S: 250 SIZE 1000000
C: MAIL FROM:<ned@thor.innosoft.com> SIZE=500000
S: 250 Address Ok.
C: RCPT TO:<ned@innosoft.com>
S: 250 ned@innosoft.com OK; can accomodate 500000 byte message
C: RCPT TO:<ned@ymir.claremont.edu>
S: 552 Channel size limit exceeded: ned@YMIR.CLAREMONT.EDU
C: RCPT TO:<ned@hmcvax.claremont.edu>
S: 452 Insufficient channel storage: ned@hmcvax.CLAREMONT.EDU
C: DATA
S: 354 Send message, ending in CRLF.CRLF.
C: ...
C: .
S: 250 Some recipients OK
C: QUIT
S: 221 Goodbye
"""
    says = [
        smtp.Ehlo("ymir.claremont.edu"),
        mail("ned@thor.innosoft.com", size=500_000),
        rcpt("ned@innosoft.com"),
        rcpt("ned@ymir.claremont.edu"),
        rcpt("ned@hmcvax.claremont.edu"),
        *data(".."),
        smtp.Quit(),
    ]
    limits = smtp.SMTPServerLimits(content=1_000_000)
    play(text, says, hostname="sigurd.innosoft.com", limits=limits)


@pytest.mark.parity("smtp-client 8BITMIME", "smtp-server 8BITMIME")
def test_P19_RFC_6152_section_4() -> None:
    # The 250 that the RFC prints as the answer to QUIT is 221 in RFC 5321 section 4.1.1.10.
    text = """S: 220 dbc.mtview.ca.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-dbc.mtview.ca.us says hello
S: 250 8BITMIME
C: MAIL FROM:<ned@ymir.claremont.edu> BODY=8BITMIME
S: 250 <ned@ymir.claremont.edu>... Sender and 8BITMIME ok
C: RCPT TO:<mrose@dbc.mtview.ca.us>
S: 250 <mrose@dbc.mtview.ca.us>... Recipient ok
C: DATA
S: 354 Send 8BITMIME message, ending in CRLF.CRLF.
C: Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e
C: .
S: 250 OK
C: QUIT
S: 221 Goodbye
"""
    says = [
        smtp.Ehlo("ymir.claremont.edu"),
        mail("ned@ymir.claremont.edu", body=smtp.BodyType.EIGHT_BIT_MIME),
        rcpt("mrose@dbc.mtview.ca.us"),
        *data("Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e"),
        smtp.Quit(),
    ]
    play(text, says, hostname="dbc.mtview.ca.us")


# ------------------------------------------------------------------------------------ RFC 2034


@pytest.mark.parity("smtp-client enhanced status codes", "smtp-server enhanced status codes")
def test_P19_RFC_2034_section_6() -> None:
    text = """S: 220 dbc.mtview.ca.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-dbc.mtview.ca.us says hello
S: 250 ENHANCEDSTATUSCODES
C: MAIL FROM:<ned@ymir.claremont.edu>
S: 250 2.1.0 Originator <ned@ymir.claremont.edu> ok
C: RCPT TO:<mrose@dbc.mtview.ca.us>
S: 250 2.1.5 Recipient <mrose@dbc.mtview.ca.us> ok
C: RCPT TO:<nosuchuser@dbc.mtview.ca.us>
S: 550 5.1.1 Mailbox "nosuchuser" does not exist
C: RCPT TO:<remoteuser@isi.edu>
S: 551-5.7.1 Forwarding to remote hosts disabled
S: 551 5.7.1 Select another host to act as your forwarder
C: DATA
S: 354 Send message, ending in CRLF.CRLF.
C: ...
C: .
S: 250 2.6.0 Message accepted
C: QUIT
S: 221 2.0.0 Goodbye
"""
    says = [
        smtp.Ehlo("ymir.claremont.edu"),
        mail("ned@ymir.claremont.edu"),
        rcpt("mrose@dbc.mtview.ca.us"),
        rcpt("nosuchuser@dbc.mtview.ca.us"),
        rcpt("remoteuser@isi.edu"),
        *data(".."),
        smtp.Quit(),
    ]
    play(text, says, hostname="dbc.mtview.ca.us", offer=smtp.Offer())


# ------------------------------------------------------------------------------------ RFC 3030


@pytest.mark.parity("smtp-client CHUNKING", "smtp-server CHUNKING")
def test_P19_RFC_3030_section_4_1_one_chunk() -> None:
    text = """S: 220 cnri.reston.va.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-cnri.reston.va.us says hello
S: 250 CHUNKING
C: MAIL FROM:<Sam@Random.com>
S: 250 <Sam@Random.com> Sender ok
C: RCPT TO:<Susan@Random.com>
S: 250 <Susan@random.com> Recipient ok
C: BDAT 86 LAST
C: To: Susan@random.com
C: From: Sam@random.com
C: Subject: This is a bodyless test message
S: 250 Message OK, 86 octets received
C: QUIT
S: 221 Goodbye
"""
    content = (
        b"To: Susan@random.com\r\nFrom: Sam@random.com\r\n"
        b"Subject: This is a bodyless test message\r\n"
    )
    says = [
        smtp.Ehlo("ymir.claremont.edu"),
        mail("Sam@Random.com"),
        rcpt("Susan@Random.com"),
        smtp.Bdat(86, last=True),
        smtp.Body(content),
        smtp.Quit(),
    ]
    play(text, says, hostname="cnri.reston.va.us")


@pytest.mark.parity("smtp-client BINARYMIME", "smtp-server BINARYMIME")
def test_P19_RFC_3030_section_4_2_pipelined_chunks_of_BINARYMIME() -> None:
    def chunk(size: int) -> tuple[str, smtp.Body]:
        # A transcript has lines: the content is made of them.
        line = "x" * 98
        text = f"C: {line}\n" * (size // 100 - 1) + f"C: {'y' * (98 + size % 100)}\n"
        return text, smtp.Body(text.replace("C: ", "").replace("\n", "\r\n").encode())

    first, says_first = chunk(100_000)
    second, says_second = chunk(324)
    text = f"""S: 220 cnri.reston.va.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-cnri.reston.va.us says hello
S: 250-PIPELINING
S: 250-BINARYMIME
S: 250 CHUNKING
C: MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME
C: RCPT TO:<gvaudre@cnri.reston.va.us>
C: RCPT TO:<jstewart@cnri.reston.va.us>
S: 250 <ned@ymir.claremont.edu>... Sender and BINARYMIME ok
S: 250 <gvaudre@cnri.reston.va.us>... Recipient ok
S: 250 <jstewart@cnri.reston.va.us>... Recipient ok
C: BDAT 100000
{first}C: BDAT 324
{second}C: BDAT 0 LAST
S: 250 100000 octets received
S: 250 324 octets received
S: 250 Message OK, 100324 octets received
C: QUIT
S: 221 Goodbye
"""
    says: list[Command] = [
        smtp.Ehlo("ymir.claremont.edu"),
        mail("ned@ymir.claremont.edu", body=smtp.BodyType.BINARY_MIME),
        rcpt("gvaudre@cnri.reston.va.us"),
        rcpt("jstewart@cnri.reston.va.us"),
        smtp.Bdat(100_000),
        says_first,
        smtp.Bdat(324),
        says_second,
        smtp.Bdat(0, last=True),
        smtp.Quit(),
    ]
    offer = smtp.Offer(enhanced_codes=False, binarymime=True)
    play(text, says, hostname="cnri.reston.va.us", offer=offer)


# ------------------------------------------------------------------------------------ RFC 9422


@pytest.mark.parity("smtp-client LIMITS", "smtp-server LIMITS")
def test_P19_RFC_9422_section_5() -> None:
    text = """S: 220 mail.example.com ESMTP service ready
C: EHLO example.org
S: 250-mail.example.com
S: 250-SMTPUTF8
S: 250-LIMITS RCPTMAX=20 MAILMAX=5
S: 250-SIZE 100000000
S: 250-8BITMIME
S: 250-ENHANCEDSTATUSCODES
S: 250-PIPELINING
S: 250-CHUNKING
S: 250 STARTTLS
"""
    client = play_on_client(text, [smtp.Ehlo("example.org")])
    assert client.capabilities is not None
    assert client.capabilities.limit("RCPTMAX") == 20
    assert client.capabilities.limit("MAILMAX") == 5
    offer = smtp.Offer(starttls=True, advertise_limits=True)
    limits = smtp.SMTPServerLimits(content=100_000_000, recipients=20, transactions=5)
    play(text, [smtp.Ehlo("example.org")], offer=offer, limits=limits)
