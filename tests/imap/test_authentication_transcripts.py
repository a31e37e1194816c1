"""The examples of AUTHENTICATE in RFCs 2195, 4505, 4959 and 7628, played on both machines.

Tags are those that the client gives, instead of the RFCs', and the client is told the capabilities
with the greeting.
"""

from __future__ import annotations

import base64

import pytest

from mailproto import imap
from mailproto.testing.script import play_client, play_server, transcript

Said = imap.Authenticate | imap.AuthenticateResponse

OAUTHBEARER = (
    b"n,a=user@example.com,\1host=server.example.com\1port=143\1"
    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"
)
ASKING = b"n,a=user@example.com,\1host=server.example.com\1port=143\1auth=\1\1"
ERROR = (
    b'{"status":"invalid_token","scope":"example_scope",'
    b'"openid-configuration":"https://example.com/.well-known/openid-configuration"}'
)


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(
    ("offered", "exchange", "says", "challenges"),
    [
        pytest.param(
            "AUTH=CRAM-MD5",
            """
            C: A1 AUTHENTICATE CRAM-MD5
            S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
            C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
            S: A1 OK CRAM authentication successful
            """,
            [
                imap.Authenticate("CRAM-MD5"),
                imap.AuthenticateResponse(b"tim b913a602c7eda7a495b4e6e7334d3890"),
            ],
            [b"<1896.697170952@postoffice.reston.mci.net>"],
            id="RFC 2195 section 2",
        ),
        pytest.param(
            "AUTH=ANONYMOUS",
            """
            C: A1 AUTHENTICATE ANONYMOUS
            S: +\N{SYMBOL FOR SPACE}
            C: c2lyaGM=
            S: A1 OK Welcome, trace information has been logged.
            """,
            [imap.Authenticate("ANONYMOUS"), imap.AuthenticateResponse(b"sirhc")],
            [b""],
            id="RFC 4505 section 4",
        ),
        pytest.param(
            "SASL-IR AUTH=PLAIN",
            """
            C: A1 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=
            S: A1 OK Success (tls protection)
            """,
            [imap.Authenticate("PLAIN", b"test\0test\0test")],
            [],
            id="RFC 4959 section 4, with an initial response",
        ),
        pytest.param(
            "SASL-IR AUTH=PLAIN",
            """
            C: A1 AUTHENTICATE PLAIN
            S: +\N{SYMBOL FOR SPACE}
            C: dGVzdAB0ZXN0AHRlc3Q=
            S: A1 OK Success (tls protection)
            """,
            [imap.Authenticate("PLAIN"), imap.AuthenticateResponse(b"test\0test\0test")],
            [b""],
            id="RFC 4959 section 4, without one",
        ),
        pytest.param(
            "SASL-IR AUTH=PLAIN AUTH=EXTERNAL",
            """
            C: A1 AUTHENTICATE EXTERNAL =
            S: A1 OK Success (tls protection)
            """,
            [imap.Authenticate("EXTERNAL", b"")],
            [],
            id="RFC 4959 section 4, with an empty one",
        ),
        pytest.param(
            "SASL-IR AUTH=PLAIN AUTH=EXTERNAL",
            """
            C: A1 AUTHENTICATE EXTERNAL
            S: +\N{SYMBOL FOR SPACE}
            C:
            S: A1 OK Success (tls protection)
            """,
            [imap.Authenticate("EXTERNAL"), imap.AuthenticateResponse(b"")],
            [b""],
            id="RFC 4959 section 4, with an empty response",
        ),
        pytest.param(
            "AUTH=OAUTHBEARER SASL-IR",
            f"""
            C: A1 AUTHENTICATE OAUTHBEARER {encoded(OAUTHBEARER)}
            S: A1 OK SASL authentication succeeded
            """,
            [imap.Authenticate("OAUTHBEARER", OAUTHBEARER)],
            [],
            id="RFC 7628 section 4.1",
        ),
        pytest.param(
            "AUTH=OAUTHBEARER SASL-IR",
            f"""
            C: A1 AUTHENTICATE OAUTHBEARER {encoded(ASKING)}
            S: + {encoded(ERROR)}
            C: AQ==
            S: A1 NO SASL authentication failed
            """,
            [imap.Authenticate("OAUTHBEARER", ASKING), imap.AuthenticateResponse(b"\1")],
            [ERROR],
            id="RFC 7628 section 4.3",
        ),
        pytest.param(
            "AUTH=OAUTHBEARER SASL-IR",
            f"""
            C: A1 AUTHENTICATE OAUTHBEARER {encoded(ASKING)}
            S: + {encoded(ERROR)}
            C: *
            S: A1 NO SASL authentication failed
            """,
            [imap.Authenticate("OAUTHBEARER", ASKING), imap.AuthenticateResponse(None)],
            [ERROR],
            id="RFC 7628 section 4.3, cancelled",
        ),
    ],
)
def test_P19_examples_of_AUTHENTICATE(
    offered: str, exchange: str, says: list[Said], challenges: list[bytes]
) -> None:
    told = f"S: * OK [CAPABILITY IMAP4rev1 {offered}] IMAP4rev1 Server Ready\n"
    script = transcript(exchange)
    verdict = exchange.split("S: A1 ")[1].strip()
    state, _, text = verdict.partition(" ")

    events = play_server([*transcript(told), *script], imap.Client(tls=True), says)
    assert [event.data for event in events if isinstance(event, imap.Challenge)] == challenges
    assert isinstance(completion := events[-1], imap.Completion)
    assert (completion.tag, completion.state.name, completion.text) == ("A1", state, text)

    heard: list[Said] = []
    waiting = list(challenges)

    def answer(server: imap.Server, event: object) -> None:
        match event:
            case imap.Tagged(_, imap.Authenticate() as said) | (
                imap.AuthenticateResponse() as said
            ):
                heard.append(said)
                if waiting:
                    server.send(imap.Challenge(waiting.pop(0)))
                else:
                    server.send(imap.Completion("A1", imap.ConditionState[state], text))
            case _:
                server.send(imap.Condition(imap.OK, "IMAP4rev1 Server Ready"))

    names = tuple(
        name.removeprefix("AUTH=") for name in offered.split() if name.startswith("AUTH=")
    )
    server = imap.Server(tls=True, offer=imap.Offer(mechanisms=names))
    play_client([*transcript("S: * OK IMAP4rev1 Server Ready"), *script], server, answer)
    assert heard == says
    assert (server.state is imap.State.AUTHENTICATED) == (state == "OK")
