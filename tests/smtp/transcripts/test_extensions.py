"""The examples of the RFCs of SMTP's extensions."""

from __future__ import annotations

import datetime

import pytest
from attrs import evolve

from mailproto import smtp
from mailproto.smtp.commands import Command
from mailproto.smtp.onward import Hop, Onward, mail_onward, rcpt_onward
from smtp.transcripts.runner import BARE, data, mail, play, play_on_client, play_on_server, rcpt

MESSAGE = "C: (message goes here)\nC: .\n"
SAY_MESSAGE = data("(message goes here)")


def bare(**fields: object) -> smtp.Offer:
    return smtp.Offer(enhanced_codes=False, **fields)  # type: ignore[arg-type]  # any field


# ------------------------------------------------------------------------------------ RFC 1845

CHECKPOINT = """S: 220 dbc.mtview.ca.us SMTP service ready
C: EHLO ymir.claremont.edu
S: 250-dbc.mtview.ca.us says hello
S: 250 CHECKPOINT
C: MAIL FROM:<ned@ymir.claremont.edu> TRANSID=<12345@claremont.edu>
"""
SAY_CHECKPOINT: list[Command] = [
    smtp.Ehlo("ymir.claremont.edu"),
    mail("ned@ymir.claremont.edu", smtp.TransId("12345@claremont.edu")),
]


@pytest.mark.parity("smtp-client CHECKPOINT", "smtp-server CHECKPOINT")
def test_P19_RFC_1845_section_5_the_session_that_is_interrupted() -> None:
    text = f"""{CHECKPOINT}S: 250 <ned@ymir.claremont.edu>... Sender and TRANSID ok
C: RCPT TO:<mrose@dbc.mtview.ca.us>
S: 250 <mrose@dbc.mtview.ca.us>... Recipient ok
C: DATA
S: 354 Send checkpointed message, ending in CRLF.CRLF
C: some amount of message data
"""
    says = [*SAY_CHECKPOINT, rcpt("mrose@dbc.mtview.ca.us"), smtp.Data()]
    content = b"some amount of message data"
    play_on_client(text, [*says, smtp.Body(content + b"\r\n")])
    # What may be the begin of the end is held back.
    server = smtp.Server("dbc.mtview.ca.us", offer=bare(checkpoint=True))
    play_on_server(text, [*says, smtp.Body(content)], server)


@pytest.mark.parity("smtp-client CHECKPOINT", "smtp-server CHECKPOINT")
def test_P19_RFC_1845_section_5_the_session_that_goes_on() -> None:
    text = f"""{CHECKPOINT}S: 355 6135 is the transaction offset
C: DATA
S: 354 Send previously checkpointed message starting at octet 6135
C: message data minus first 6135 octets
C: .
S: 250 OK
C: QUIT
S: 221 Goodbye
"""
    says = [*SAY_CHECKPOINT, *data("message data minus first 6135 octets"), smtp.Quit()]
    play(text, says, hostname="dbc.mtview.ca.us", offer=bare(checkpoint=True))


# ------------------------------------------------------------------------------------ RFC 1985

ETRN = """S: 220 sigurd.innosoft.com -- Server SMTP (PMDF V4.2-6 #1992)
C: EHLO ymir.claremont.edu
S: 250-sigurd.innosoft.com
S: 250-EXPN
S: 250-HELP
S: 250 ETRN
"""


@pytest.mark.parity("smtp-client ETRN", "smtp-server ETRN")
def test_P19_RFC_1985_section_7() -> None:
    # The two alternatives of the example one after the other; QUIT is answered by 221.
    text = f"""{ETRN}C: ETRN uu.net
S: 458 Unable to queue messages for node uu.net
C: ETRN sigurd.innosoft.com
S: 250 OK, queuing for node sigurd.innosoft.com started
C: ETRN innosoft.com
S: 250 OK, queuing for node innosoft.com started
C: ETRN sigurd.innosoft.com
S: 251 OK, no messages waiting for node sigurd.innosoft.com
C: ETRN innosoft.com
S: 252 OK, pending messages for node innosoft.com started
C: ETRN mysoft.com
S: 253 OK, 14 pending messages for node mysoft.com started
C: ETRN foo.bar
S: 459 Node foo.bar not allowed: Unable to resolve name.
C: QUIT
S: 221 Goodbye
"""
    nodes = ("uu.net", "sigurd.innosoft.com", "innosoft.com", "sigurd.innosoft.com",
             "innosoft.com", "mysoft.com", "foo.bar")  # fmt: skip
    says = [smtp.Ehlo("ymir.claremont.edu"), *map(smtp.Etrn, nodes), smtp.Quit()]
    play(text, says, hostname="sigurd.innosoft.com", offer=bare(etrn=True))


@pytest.mark.parametrize("line", ["ETRN", "ETRN localname"])
def test_P19_RFC_1985_section_7_what_is_no_node(line: str) -> None:
    server = smtp.Server("sigurd.innosoft.com", offer=bare(etrn=True))
    server.accept()
    for said in ("EHLO ymir.claremont.edu", line):
        server.data_to_send()
        server.receive_data(said.encode() + b"\r\n")
        server.next_event()
        server.accept()
    assert server.data_to_send()[:3] in (b"500", b"501")


# ------------------------------------------------------------------------------------ RFC 2645


@pytest.mark.parity("smtp-client ATRN", "smtp-server ATRN")
def test_P19_RFC_2645_section_6_before_the_turn() -> None:
    text = """S: 220 EXAMPLE.NET on-demand mail relay server ready
C: EHLO example.org
S: 250-EXAMPLE.NET
S: 250-AUTH CRAM-MD5 EXTERNAL
S: 250 ATRN
C: AUTH CRAM-MD5
S: 334 MTg5Ni42OTcxNzA5NTJASVNQLkNPTQo=
C: Zm9vYmFyLm5ldCBiOTEzYTYwMmM3ZWRhN2E0OTViNGU2ZTczMzRkMzg5MAo=
S: 235 now authenticated as example.org
C: ATRN example.org,example.com
S: 250 OK now reversing the connection
"""
    says: list[Command] = [
        smtp.Ehlo("example.org"),
        smtp.Auth("CRAM-MD5"),
        smtp.AuthResponse(b"foobar.net b913a602c7eda7a495b4e6e7334d3890\n"),
        smtp.Atrn(("example.org", "example.com")),
    ]
    offer = bare(insecure_auth=True, mechanisms=("CRAM-MD5", "EXTERNAL"), atrn=True)
    play(text, says, hostname="EXAMPLE.NET", offer=offer)


TURNED = """S: 220 example.org ready to receive email
C: EHLO EXAMPLE.NET
S: 250-example.org
S: 250 SIZE
C: MAIL FROM:<Lester.Tester@dot.foo.bar>
S: 250 OK
C: RCPT TO:<l.eva.msg@example.com>
S: 250 OK, recipient accepted
C: QUIT
S: 221 example.org closing connection
"""
SAY_TURNED: list[Command] = [
    smtp.Ehlo("EXAMPLE.NET"),
    mail("Lester.Tester@dot.foo.bar"),
    rcpt("l.eva.msg@example.com"),
    smtp.Quit(),
]


@pytest.mark.parity("smtp-client ATRN", "smtp-server ATRN")
def test_P19_RFC_2645_section_6_after_the_turn() -> None:
    # Now the customer is the server. The spaces behind the colons are for another server to accept.
    play(TURNED, SAY_TURNED, hostname="example.org")
    spaced = TURNED.replace("FROM:", "FROM: ").replace("TO:", "TO: ")
    play_on_server(spaced, SAY_TURNED, smtp.Server("example.org", offer=BARE))


# ------------------------------------------------------------------------------------ RFC 2852


@pytest.mark.parity("smtp-client DELIVERBY", "smtp-server DELIVERBY")
def test_P19_RFC_2852_section_6_deliver_within_two_minutes() -> None:
    text = """S: 220 acme.net SMTP server here
C: EHLO bigbiz.com
S: 250-acme.net
S: 250 DELIVERBY
C: MAIL FROM:<eljefe@bigbiz.com> BY=120;R
S: 250 <eljefe@bigbiz.com> sender ok
C: RCPT TO:<topbanana@other.com>
S: 250 <topbanana@wherever.com> recipient ok
"""
    says = [smtp.Ehlo("bigbiz.com"), mail("eljefe@bigbiz.com", smtp.DeliverBy(120, "R"))]
    says.append(rcpt("topbanana@other.com"))
    play(text, says, hostname="acme.net", offer=bare(deliver_by=0))


def test_P19_RFC_2852_section_6_a_next_hop_that_is_too_slow() -> None:
    text = """S: 220 mail.other.com ESMTP server at your service
C: EHLO acme.net
S: 250-mail.other.com
S: 250 DELIVERBY 240
C: QUIT
"""
    client = play_on_client(text, [smtp.Ehlo("acme.net"), smtp.Quit()])
    assert client.capabilities is not None
    assert client.capabilities.deliver_by == 240
    text += "S: 221 mail.other.com\n"
    says = [smtp.Ehlo("acme.net"), smtp.Quit()]
    play(text, says, hostname="mail.other.com", offer=bare(deliver_by=240))


def test_P19_RFC_2852_section_6_the_time_that_is_left() -> None:
    text = """S: 220 mail.other.com ESMTP server at your service
C: EHLO acme.net
S: 250-mail.other.com
S: 250 DELIVERBY 30
C: MAIL FROM:<eljefe@bigbiz.com> BY=98;R
S: 250 <eljefe@bigbiz.com> Sender okay
C: RCPT TO:<topbanana@other.com>
S: 250 <topbanana@wherever.com> Recipient okay
"""
    says = [smtp.Ehlo("acme.net"), mail("eljefe@bigbiz.com", smtp.DeliverBy(98, "R"))]
    says.append(rcpt("topbanana@other.com"))
    play(text, says, hostname="mail.other.com", offer=bare(deliver_by=30))


# ------------------------------------------------------------------------------------ RFC 3461

ALICE = mail("Alice@Example.ORG", smtp.Ret("HDRS"), smtp.EnvId("QQ314159"))


def to(address: str, *events: str, original: bool = True) -> tuple[str, smtp.Rcpt]:
    """RCPT of section 10: its line in the script, and the command."""
    orcpt = f" ORCPT=rfc822;{address}" if original else ""
    parameters: list[smtp.RcptParameter] = [
        smtp.Notify(frozenset(events))  # type: ignore[arg-type]  # the names of the RFC
    ]
    if original:
        parameters.append(smtp.Orcpt("rfc822", address))
    line = f"C: RCPT TO:<{address}> NOTIFY={','.join(events) or 'NEVER'}{orcpt}\n"
    return line, rcpt(address, *parameters)


@pytest.mark.parity("smtp-client DSN", "smtp-server DSN")
def test_P19_RFC_3461_section_10_1_submission() -> None:
    recipients = [
        to("Bob@Example.COM", "SUCCESS"),
        to("Carol@Ivory.EDU", "FAILURE"),
        to("Dana@Ivory.EDU", "SUCCESS", "FAILURE"),
        to("Eric@Bombs.AF.MIL", "FAILURE"),
        to("Fred@Bombs.AF.MIL", original=False),
        to("George@Tax-ME.GOV", "FAILURE"),
    ]
    lines = "".join(
        f"{line}S: 250 <{command.forward_path}> recipient ok\n" for line, command in recipients
    )
    text = f"""S: 220 Example.ORG SMTP server here
C: EHLO Example.ORG
S: 250-Example.ORG
S: 250-DSN
S: 250-EXPN
S: 250 SIZE
C: MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159
S: 250 <Alice@Example.ORG> sender ok
{lines}C: DATA
S: 354 okay, send message
{MESSAGE}S: 250 message accepted
C: QUIT
S: 221 goodbye
"""
    says = [smtp.Ehlo("Example.ORG"), ALICE, *(command for _, command in recipients)]
    play(text, [*says, *SAY_MESSAGE, smtp.Quit()], hostname="Example.ORG", offer=bare(dsn=True))


def test_P19_RFC_3461_section_10_2_relay_to_example_com() -> None:
    line, bob = to("Bob@Example.COM", "SUCCESS")
    text = f"""S: 220 mail.Example.COM says hello
C: EHLO Example.ORG
S: 250-mail.Example.COM
S: 250 DSN
C: MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159
S: 250 sender okay
{line}S: 250 recipient okay
C: DATA
S: 354 send message
{MESSAGE}S: 250 message received
C: QUIT
S: 221 bcnu
"""
    says = [smtp.Ehlo("Example.ORG"), ALICE, bob, *SAY_MESSAGE, smtp.Quit()]
    play(text, says, hostname="mail.Example.COM", offer=bare(dsn=True))


def test_P19_RFC_3461_section_10_3_relay_to_ivory_edu() -> None:
    carol_line, carol = to("Carol@Ivory.EDU", "FAILURE")
    dana_line, dana = to("Dana@Ivory.EDU", "SUCCESS", "FAILURE")
    text = f"""S: 220 Ivory.EDU gateway to FooMail(tm) here
C: EHLO Example.ORG
S: 250-Ivory.EDU
S: 250 DSN
C: MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159
S: 250 ok
{carol_line}S: 550 error - no such recipient
{dana_line}S: 250 recipient ok
C: DATA
S: 354 send message, end with '.'
{MESSAGE}S: 250 message received
C: QUIT
S: 221 bye
"""
    says = [smtp.Ehlo("Example.ORG"), ALICE, carol, dana, *SAY_MESSAGE, smtp.Quit()]
    play(text, says, hostname="Ivory.EDU", offer=bare(dsn=True))


def test_P19_RFC_3461_section_10_4_relay_to_bombs_af_mil_without_extensions() -> None:
    sent = f"C: DATA\nS: 354 send message\n{MESSAGE}S: 250 message accepted\n"
    text = f"""S: 220-Bombs.AF.MIL reporting for duty.
S: 220 Electronic mail is to be used for official business only.
C: EHLO Example.ORG
S: 502 command not implemented
C: RSET
S: 250 reset
C: HELO Example.ORG
S: 250 Bombs.AF.MIL
C: MAIL FROM:<Alice@Example.ORG>
S: 250 ok
C: RCPT TO:<Eric@Bombs.AF.MIL>
S: 250 ok
{sent}C: MAIL FROM:<>
S: 250 ok
C: RCPT TO:<Fred@Bombs.AF.MIL>
S: 250 ok
{sent}C: QUIT
S: 221 Bombs.AF.MIL closing connection
"""
    says = [
        smtp.Ehlo("Example.ORG"),
        smtp.Rset(),
        smtp.Helo("Example.ORG"),
        mail("Alice@Example.ORG"),
        rcpt("Eric@Bombs.AF.MIL"),
        *SAY_MESSAGE,
        mail(""),
        rcpt("Fred@Bombs.AF.MIL"),
        *SAY_MESSAGE,
        smtp.Quit(),
    ]
    play(text, says, hostname="Bombs.AF.MIL")


@pytest.mark.parity("smtp-client DSN", "smtp-server DSN")
def test_P19_RFC_3461_section_10_5_forward_to_sam() -> None:
    text = f"""S: 220 BoonDoggle.GOV says hello
C: EHLO Example.ORG
S: 250-mail.Example.COM
S: 250 DSN
C: MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159
S: 250 sender okay
C: RCPT TO:<Sam@Boondoggle.GOV> NOTIFY=SUCCESS ORCPT=rfc822;George@Tax-ME.GOV
S: 250 recipient okay
C: DATA
S: 354 send message
{MESSAGE}S: 250 message received
C: QUIT
S: 221 bcnu
"""
    # As Tax-ME.GOV has received it, but for the recipient to whom it is forwarded.
    _, george = to("George@Tax-ME.GOV", "SUCCESS")
    sam = evolve(george, forward_path=smtp.Mailbox.parse("Sam@Boondoggle.GOV"))
    hop = Hop(smtp.Capabilities("Boondoggle.GOV", {"DSN": ()}))
    onward, recipient = mail_onward(ALICE, hop), rcpt_onward(sam, ALICE, hop)
    assert isinstance(onward, Onward)
    assert isinstance(recipient, Onward)
    assert (onward.left_out, recipient.left_out) == ((), ())
    says = [smtp.Ehlo("Example.ORG"), onward.command, recipient.command, *SAY_MESSAGE, smtp.Quit()]
    play(text, says, hostname="mail.Example.COM", offer=bare(dsn=True))


# ------------------------------------------------------------------------------------ RFC 3865


def test_P19_RFC_3865_section_2_1_the_classes_at_EHLO() -> None:
    text = """S: 220 trusted.example.com SMTP service ready
C: EHLO untrusted.example.com
S: 250-trusted.example.com says hello
S: 250-ENHANCEDSTATUSCODES
S: 250-NO-SOLICITING net.example:ADV
S: 250 SIZE 20480000
"""
    hello = [smtp.Ehlo("untrusted.example.com")]
    client = play_on_client(text, hello)
    assert client.capabilities is not None
    assert client.capabilities.no_soliciting == ("net.example:ADV",)
    offer = smtp.Offer(no_soliciting=("net.example:ADV",))
    play(text, hello, offer=offer, limits=smtp.SMTPServerLimits(content=20_480_000))


@pytest.mark.parity("smtp-client NO-SOLICITING", "smtp-server NO-SOLICITING")
def test_P19_RFC_3865_section_2_3_a_recipient_that_wants_none() -> None:
    # The reply to MAIL, which the RFC leaves out, is added.
    text = """S: 220 trusted.example.com SMTP service ready
C: EHLO untrusted.example.com
S: 250-trusted.example.com says hello
S: 250 NO-SOLICITING net.example:ADV
C: MAIL FROM:<save@example.com> SOLICIT=org.example:ADV:ADLT
S: 250 OK
C: RCPT TO:<coupon_clipper@moonlink.example.com>
S: 250 <coupon_clipper@moonlink.example.com>... Recipient ok
C: RCPT TO:<grumpy_old_boy@example.net>
S: 550 <grumpy_old_boy@example.net> SOLICIT=org.example:ADV:ADLT
"""
    says = [
        smtp.Ehlo("untrusted.example.com"),
        mail("save@example.com", smtp.Solicit(("org.example:ADV:ADLT",))),
        rcpt("coupon_clipper@moonlink.example.com"),
        rcpt("grumpy_old_boy@example.net"),
    ]
    play(text, says, offer=bare(no_soliciting=("net.example:ADV",)))


# ------------------------------------------------------------------------------------ RFC 4141


@pytest.mark.parity("smtp-client CONPERM and CONNEG", "smtp-server CONPERM and CONNEG")
def test_P19_RFC_4141_section_9_1_CONPERM() -> None:
    # Corrected: the angle brackets of MAIL, the hyphen of the last line of a reply, the dot.
    text = """S: 220 example.com IFAX
C: EHLO example.com
S: 250- example.com
S: 250-DSN
S: 250 CONPERM
C: MAIL FROM:<May@some.example.com> CONPERM
S: 250 <May@some.example.com> originator ok
C: RCPT TO:<June@some.example.com>
S: 250 <June@some.example.com> recipient ok
C: DATA
S: 354 okay, send data
C: Content-Convert:
C:    (&(image-file-structure=TIFF-minimal)
C: .
S: 250 message accepted
C: QUIT
S: 221 goodbye
"""
    says = [
        smtp.Ehlo("example.com"),
        mail("May@some.example.com", smtp.Conperm()),
        rcpt("June@some.example.com"),
        *data("Content-Convert:", "   (&(image-file-structure=TIFF-minimal)"),
        smtp.Quit(),
    ]
    play(text, says, hostname="example.com", offer=bare(dsn=True, conperm=True))


@pytest.mark.parity("smtp-client CONPERM and CONNEG", "smtp-server CONPERM and CONNEG")
def test_P19_RFC_4141_section_9_2_CONNEG() -> None:
    text = """S: 220 example.com IFAX
C: EHLO example.com
S: 250- example.com
S: 250-DSN
S: 250 CONNEG
C: MAIL FROM:<May@some.example.com>
S: 250 <May@some.example.com> originator ok
C: RCPT TO:<June@ifax1.jp> CONNEG
S: 250-<June@some.example.com> recipient ok
S: 250-CONNEG (&(image-file-structure=TIFF-minimal)
S: 250-CONNEG   (MRC-mode=0)
S: 250-CONNEG   (color=Binary)
S: 250-CONNEG   (|(&(dpi=204)
S: 250-CONNEG       (dpi-xyratio=[204/98,204/196]) )
S: 250-CONNEG     (&(dpi=200)
S: 250-CONNEG       (dpi-xyratio=[200/100,1]) ) )
S: 250-CONNEG   (image-coding=[MH,MR,MMR])
S: 250-CONNEG   (size-x<=2150/254)
S: 250-CONNEG   (paper-size=[letter,A4])
S: 250 CONNEG   (ua-media=stationery) )
C: DATA
S: 354 okay, send data
C: (message goes here)
C: .
S: 250 message accepted
C: QUIT
S: 221 goodbye
"""
    says = [
        smtp.Ehlo("example.com"),
        mail("May@some.example.com"),
        rcpt("June@ifax1.jp", smtp.Conneg()),
        *SAY_MESSAGE,
        smtp.Quit(),
    ]
    play(text, says, hostname="example.com", offer=bare(dsn=True, conneg=True))


# -------------------------------------------------------------------------- RFC 6710, RFC 6758

ELJEFE = (smtp.DeliverBy(125, "R"), smtp.EnvId("QQ314159"))
DANA = "C: RCPT TO:<Dana@Ivory.example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.example.net\n"  # noqa: E501
TWO = [
    rcpt("topbanana@example.net"),
    rcpt(
        "Dana@Ivory.example.net",
        smtp.Notify(frozenset({"SUCCESS", "FAILURE"})),
        smtp.Orcpt("rfc822", "Dana@Ivory.example.net"),
    ),
]


@pytest.mark.parity("smtp-client MT-PRIORITY", "smtp-server MT-PRIORITY")
@pytest.mark.parametrize(
    ("policy", "parameters", "accepted"),
    [
        ("MIXER", (*ELJEFE, smtp.MtPriority(3)), "2.1.0 message accepted"),
        # The RFC prints the class of the code as X.
        ("", ELJEFE, "2.3.6 3 is the new priority assigned to the message"),
    ],
)
def test_P19_RFC_6710_section_8_submission(
    policy: str, parameters: tuple[smtp.MailParameter, ...], accepted: str
) -> None:
    # The authentication, which the RFC leaves out, is shortened to one response.
    said = "".join(f" {parameter.keyword}={parameter.value}" for parameter in parameters)
    text = f"""S: 220 example.com SMTP server here
C: EHLO mua.example.com
S: 250-example.com
S: 250-STARTTLS
S: 250-AUTH SCRAM-SHA-1 DIGEST-MD5
S: 250-DSN
S: 250-DELIVERBY
S: 250-ENHANCEDSTATUSCODES
S: 250 MT-PRIORITY{" " if policy else ""}{policy}
C: AUTH SCRAM-SHA-1
S: 334\N{SYMBOL FOR SPACE}
C: biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM
S: 235 2.7.0 Authentication successful
C: MAIL FROM:<eljefe@example.com>{said}
S: 250 2.1.0 <eljefe@example.com> sender ok
C: RCPT TO:<topbanana@example.net>
S: 250 2.1.5 <topbanana@example.net> recipient ok
{DANA}S: 250 2.1.5 <Dana@Ivory.example.net> recipient ok
C: DATA
S: 354 okay, send message
{MESSAGE}S: 250 {accepted}
C: QUIT
S: 221 2.0.0 goodbye
"""
    says: list[Command] = [
        smtp.Ehlo("mua.example.com"),
        smtp.Auth("SCRAM-SHA-1"),
        smtp.AuthResponse(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
        mail("eljefe@example.com", *parameters),
        *TWO,
        *SAY_MESSAGE,
        smtp.Quit(),
    ]
    offer = smtp.Offer(
        mechanisms=("SCRAM-SHA-1", "DIGEST-MD5"),
        insecure_auth=True,
        starttls=True,
        dsn=True,
        deliver_by=0,
        mt_priority=policy,
    )
    play(text, says, hostname="example.com", offer=offer)


def test_P19_RFC_6710_section_8_relay() -> None:
    text = f"""S: 220 example.net SMTP server here
C: EHLO example.com
S: 250-example.net
S: 250-DSN
S: 250-DELIVERBY
S: 250 MT-PRIORITY STANAG4406
C: MAIL FROM:<eljefe@example.com> BY=120;R ENVID=QQ314159 MT-PRIORITY=3
S: 250 <eljefe@example.com> sender ok
C: RCPT TO:<topbanana@example.net>
S: 250 <topbanana@example.net> recipient ok
{DANA}S: 250 <Dana@Ivory.example.net> recipient ok
C: DATA
S: 354 okay, send message
{MESSAGE}S: 250 message accepted
C: QUIT
S: 221 goodbye
"""
    parameters = (smtp.DeliverBy(120, "R"), smtp.EnvId("QQ314159"), smtp.MtPriority(3))
    sender = mail("eljefe@example.com", *parameters)
    says = [smtp.Ehlo("example.com"), sender, *TWO, *SAY_MESSAGE, smtp.Quit()]
    offer = bare(dsn=True, deliver_by=0, mt_priority="STANAG4406")
    play(text, says, hostname="example.net", offer=offer)


@pytest.mark.parametrize(
    ("last", "parameters", "header"),
    [
        ("MT-PRIORITY STANAG4406", (smtp.EnvId("QQ314159"), smtp.MtPriority(3)), ()),
        ("SIZE", (smtp.EnvId("QQ314159"),), ("MT-Priority: 3",)),
    ],
)
def test_P19_RFC_6758_section_5(
    last: str, parameters: tuple[smtp.MailParameter, ...], header: tuple[str, ...]
) -> None:
    # The first of the names is the RFC's for the hop that has MT-PRIORITY. After the handshake,
    # which the RFC shortens, EHLO is due (RFC 3207 section 4.2).
    said = "".join(f" {parameter.keyword}={parameter.value}" for parameter in parameters)
    field = "".join(f"C: {line}\n" for line in header)
    text = f"""S: 220 example.net SMTP server here
C: EHLO example.com
S: 250-example.net
S: 250-DSN
S: 250-STARTTLS
S: 250 {last}
C: STARTTLS
S: 220 ready
TLS
C: EHLO example.com
S: 250-example.net
S: 250-DSN
S: 250 {last}
C: MAIL FROM:<eljefe@example.com>{said}
S: 250 <eljefe@example.com> sender ok
C: RCPT TO:<topbanana@example.net>
S: 250 <topbanana@example.net> recipient ok
{DANA}S: 250 <Dana@Ivory.example.net> recipient ok
C: DATA
S: 354 okay, send message
{field}{MESSAGE}S: 250 message accepted
C: QUIT
S: 221 goodbye
"""
    hello = smtp.Ehlo("example.com")
    says = [
        hello,
        smtp.StartTLS(),
        hello,
        mail("eljefe@example.com", *parameters),
        *TWO,
        *data(*header, "(message goes here)"),
        smtp.Quit(),
    ]
    offer = bare(starttls=True, dsn=True, mt_priority="STANAG4406")
    play(text, says, hostname="example.net", offer=offer)


# ------------------------------------------------------------------------------------ RFC 7293


@pytest.mark.parity("smtp-client RRVS", "smtp-server RRVS")
def test_P19_RFC_7293_section_12_1() -> None:
    text = """S: 220 server.example.com ESMTP ready
C: EHLO client.example.net
S: 250-server.example.com
S: 250 RRVS
C: MAIL FROM:<sender@example.net>
S: 250 OK
C: RCPT TO:<receiver@example.com> RRVS=2014-04-03T23:01:00Z
S: 550 5.7.17 receiver@example.com is no longer valid
C: QUIT
S: 221 So long!
"""
    since = datetime.datetime(2014, 4, 3, 23, 1, tzinfo=datetime.UTC)
    says = [
        smtp.Ehlo("client.example.net"),
        mail("sender@example.net"),
        rcpt("receiver@example.com", smtp.Rrvs(since)),
        smtp.Quit(),
    ]
    play(text, says, hostname="server.example.com", offer=bare(rrvs=True))


def test_P19_RFC_7293_section_12_2() -> None:
    lines = (
        "From: Mister Sender <sender@example.net>",
        "To: Miss Receiver <receiver@example.com>",
        "Subject: Are you still there?",
        "Date: Fri, 28 Jun 2013 18:01:01 +0200",
        "Require-Recipient-Valid-Since: receiver@example.com;",
        "  Sat, 1 Jun 2013 09:23:01 -0700",
        "",
        "Are you still there?",
    )
    content = "".join(f"C: {line}\n" if line else "C:\n" for line in lines)
    text = f"""S: 220 server.example.com ESMTP ready
C: HELO client.example.net
S: 250 server.example.com
C: MAIL FROM:<sender@example.net>
S: 250 OK
C: RCPT TO:<receiver@example.com>
S: 250 OK
C: DATA
S: 354 Ready for message content
{content}C: .
S: 550 5.7.17 receiver@example.com is no longer valid
C: QUIT
S: 221 So long!
"""
    says = [
        smtp.Helo("client.example.net"),
        mail("sender@example.net"),
        rcpt("receiver@example.com"),
        *data(*lines),
        smtp.Quit(),
    ]
    play(text, says, hostname="server.example.com")


# ------------------------------------------------------------------------------------ RFC 8689


@pytest.mark.parity("smtp-client REQUIRETLS", "smtp-server REQUIRETLS")
def test_P19_RFC_8689_appendix_A_1() -> None:
    # Corrected by RFC 3207: STARTTLS is answered by 220, and no greeting follows the handshake.
    hello = """S: 250-mail.example.net Hello example.org [192.0.2.1]
S: 250-SIZE 52428800
S: 250-8BITMIME
S: 250-PIPELINING
"""
    text = f"""S: 220 mail.example.net ESMTP
C: EHLO mail.example.org
{hello}S: 250-STARTTLS
S: 250 HELP
C: STARTTLS
S: 220 TLS go ahead
TLS
C: EHLO mail.example.org
{hello}S: 250-REQUIRETLS
S: 250 HELP
C: MAIL FROM:<roger@example.org> REQUIRETLS
S: 250 OK
C: RCPT TO:<editor@example.net>
S: 250 Accepted
C: DATA
S: 354 Enter message, ending with "." on a line by itself
{MESSAGE}S: 250 OK
C: QUIT
S: 221 mail.example.net
"""
    ehlo = smtp.Ehlo("mail.example.org")
    says = [
        ehlo,
        smtp.StartTLS(),
        ehlo,
        mail("roger@example.org", smtp.RequireTLS()),
        rcpt("editor@example.net"),
        *SAY_MESSAGE,
        smtp.Quit(),
    ]
    offer = bare(starttls=True, requiretls=True)
    limits = smtp.SMTPServerLimits(content=52_428_800)
    play(text, says, hostname="mail.example.net", offer=offer, limits=limits)


# --------------------------------------------------------------------------- XCLIENT, XFORWARD

FORWARDING = bare(forwarding=True, etrn=True)
POSTFIX = """S: 250-server.example.com
S: 250-PIPELINING
S: 250-SIZE 10240000
S: 250-VRFY
S: 250-ETRN
"""
WIETSE = f"""C: MAIL FROM:<wietse@porcupine.org>
S: 250 Ok
C: RCPT TO:<user@example.com>
S: 250 Ok
C: DATA
S: 354 End data with <CR><LF>.<CR><LF>
{MESSAGE}S: 250 Ok: queued as 763402AAE6
C: QUIT
S: 221 Bye
"""
SAY_WIETSE = [mail("wietse@porcupine.org"), rcpt("user@example.com"), *SAY_MESSAGE, smtp.Quit()]
LIMITS = smtp.SMTPServerLimits(content=10_240_000)


@pytest.mark.parity("smtp-client XCLIENT", "smtp-server XCLIENT")
def test_P19_the_example_of_XCLIENT_README() -> None:
    offered = f"{POSTFIX}S: 250-XCLIENT NAME ADDR PROTO HELO\nS: 250 8BITMIME\n"
    text = f"""S: 220 server.example.com ESMTP Postfix
C: EHLO client.example.com
{offered}C: XCLIENT NAME=spike.porcupine.org ADDR=168.100.189.2
S: 220 server.example.com ESMTP Postfix
C: EHLO spike.porcupine.org
{offered}{WIETSE}"""
    stands_for = (("NAME", "spike.porcupine.org"), ("ADDR", "168.100.189.2"))
    says = [
        smtp.Ehlo("client.example.com"),
        smtp.XClient(stands_for),
        smtp.Ehlo("spike.porcupine.org"),
        *SAY_WIETSE,
    ]
    play(text, says, hostname="server.example.com", offer=FORWARDING, limits=LIMITS)


@pytest.mark.parity("smtp-client XFORWARD", "smtp-server XFORWARD")
def test_P19_the_example_of_XFORWARD_README() -> None:
    text = f"""S: 220 server.example.com ESMTP Postfix
C: EHLO client.example.com
{POSTFIX}S: 250-XFORWARD NAME ADDR PROTO HELO
S: 250 8BITMIME
C: XFORWARD NAME=spike.porcupine.org ADDR=168.100.189.2 PROTO=ESMTP
S: 250 Ok
C: XFORWARD HELO=spike.porcupine.org
S: 250 Ok
{WIETSE}"""
    came_from = (
        ("NAME", "spike.porcupine.org"), ("ADDR", "168.100.189.2"), ("PROTO", "ESMTP"),
    )  # fmt: skip
    says = [
        smtp.Ehlo("client.example.com"),
        smtp.XForward(came_from),
        smtp.XForward((("HELO", "spike.porcupine.org"),)),
        *SAY_WIETSE,
    ]
    play(text, says, hostname="server.example.com", offer=FORWARDING, limits=LIMITS)
