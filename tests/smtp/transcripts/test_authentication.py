"""The examples of AUTH: RFC 4954, and RFC 7628 for OAUTHBEARER."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.smtp.commands import Command
from smtp.transcripts.runner import mail, play

HELLO = smtp.Ehlo("client.example.com")
PLAIN = smtp.Auth("PLAIN", b"test\0test\x001234")

# The hyphens after the 220 of RFC 4954 are misprints: no second line follows.
CLEAR = """S: 220 smtp.example.com ESMTP Server
C: EHLO client.example.com
S: 250-smtp.example.com Hello client.example.com
S: 250-AUTH {mechanisms}
S: 250-ENHANCEDSTATUSCODES
S: 250 STARTTLS
"""
SECURE = """C: STARTTLS
S: 220 2.0.0 Ready to start TLS
TLS
C: EHLO client.example.com
S: 250-smtp.example.com Hello client.example.com
S: 250 AUTH {mechanisms}
"""


def offer(mechanisms: str) -> smtp.Offer:
    return smtp.Offer(mechanisms=tuple(mechanisms.split()), starttls=True, insecure_auth=True)


@pytest.mark.parametrize(
    ("exchange", "says"),
    [
        ("C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=\n", [PLAIN]),
        (
            "C: AUTH PLAIN\nS: 334\N{SYMBOL FOR SPACE}\nC: dGVzdAB0ZXN0ADEyMzQ=\n",
            [smtp.Auth("PLAIN"), smtp.AuthResponse(b"test\0test\x001234")],
        ),
        ("C: AUTH EXTERNAL =\n", [smtp.Auth("EXTERNAL", b"")]),
    ],
)
def test_P19_RFC_4954_section_4_1_under_TLS(exchange: str, says: list[Command]) -> None:
    clear, secure = "GSSAPI DIGEST-MD5", "EXTERNAL GSSAPI DIGEST-MD5 PLAIN"
    text = (
        CLEAR.format(mechanisms=clear)
        + SECURE.format(mechanisms=secure)
        + exchange
        + "S: 235 2.7.0 Authentication successful\n"
    )
    commands = [HELLO, smtp.StartTLS(), HELLO, *says]
    play(text, commands, hostname="smtp.example.com", offer=offer(clear), under_tls=offer(secure))


def test_P19_RFC_4954_section_4_1_CRAM_MD5() -> None:
    mechanisms = "DIGEST-MD5 CRAM-MD5"
    text = f"""{CLEAR.format(mechanisms=mechanisms)}C: AUTH CRAM-MD5
S: 334 PDQxOTI5NDIzNDEuMTI4Mjg0NzJAc291cmNlZm91ci5hbmRyZXcuY211LmVkdT4=
C: cmpzMyBlYzNhNTlmZWQzOTVhYmExZWM2MzY3YzRmNGI0MWFjMA==
S: 235 2.7.0 Authentication successful
"""
    response = smtp.AuthResponse(b"rjs3 ec3a59fed395aba1ec6367c4f4b41ac0")
    commands = [HELLO, smtp.Auth("CRAM-MD5"), response]
    play(text, commands, hostname="smtp.example.com", offer=offer(mechanisms))


@pytest.mark.parity("smtp-client AUTH= on MAIL", "smtp-server AUTH= on MAIL")
@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            "MAIL FROM:<e=mc2@example.com> AUTH=e+3Dmc2@example.com",
            mail("e=mc2@example.com", auth=smtp.Mailbox("e=mc2", "example.com")),
        ),
        (
            "MAIL FROM:<john+@example.org> AUTH=<>",
            mail("john+@example.org", auth=smtp.NULL_PATH),
        ),
    ],
)
def test_P19_RFC_4954_section_5_1_who_submitted_it(line: str, command: smtp.Mail) -> None:
    text = f"""{CLEAR.format(mechanisms="PLAIN")}C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=
S: 235 2.7.0 Authentication successful
C: {line}
S: 250 2.1.0 OK
"""
    play(text, [HELLO, PLAIN, command], offer=offer("PLAIN"), trusted=True)


# What RFC 7628 calls the beginning of the connection is under TLS already.
BEARER = """S: 220 mx.example.com ESMTP 12sm2095603fks.9
C: EHLO sender.example.com
S: 250-mx.example.com at your service,[172.31.135.47]
S: 250-SIZE 35651584
S: 250-8BITMIME
S: 250-AUTH LOGIN PLAIN OAUTHBEARER
S: 250-ENHANCEDSTATUSCODES
S: 250 PIPELINING
"""


@pytest.mark.parity("smtp-client OAUTHBEARER", "smtp-server OAUTHBEARER")
@pytest.mark.parametrize(
    ("exchange", "says"),
    [
        pytest.param(
            # The tag before AUTH is a misprint; the enhanced code is that of RFC 4954 section 6.
            "C: AUTH OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29t"
            "AXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0"
            "Q2c9PQEB\nS: 235 2.7.0 Authentication successful.\n",
            [
                smtp.Auth(
                    "OAUTHBEARER",
                    b"n,a=user@example.com,\1host=server.example.com\1port=587\1"
                    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1",
                )
            ],
            id="section 4.1",
        ),
        pytest.param(
            "C: AUTH OAUTHBEARER bix1c2VyPXNvbWV1c2VyQGV4YW1wbGUuY29tLAFhdXRoPUJlYXJlciB2Rjlk"
            "ZnQ0cW1UYzJOdmIzUmxja0JoZEhSaGRtbHpkR0V1WTI5dENnPT0BAQ==\n"
            "S: 334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NoZW1lcyI6ImJlYXJlciBtYWMiLCJzY29wZ"
            "SI6Imh0dHBzOi8vbWFpbC5leGFtcGxlLmNvbS8ifQ==\n"
            "C: AQ==\n"
            "S: 535-5.7.1 Username and Password not accepted. Learn more at\n"
            "S: 535 5.7.1 http://support.example.com/mail/oauth\n",
            [
                smtp.Auth(
                    "OAUTHBEARER",
                    b"n,user=someuser@example.com,\1"
                    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\1\1",
                ),
                smtp.AuthResponse(b"\1"),
            ],
            id="section 4.4",
        ),
    ],
)
def test_P19_RFC_7628_OAUTHBEARER(exchange: str, says: list[Command]) -> None:
    offered = smtp.Offer(mechanisms=("LOGIN", "PLAIN", "OAUTHBEARER"))
    play(
        BEARER + exchange,
        [smtp.Ehlo("sender.example.com"), *says],
        hostname="mx.example.com",
        offer=offered,
        limits=smtp.SMTPServerLimits(content=35_651_584),
        tls=True,
    )
