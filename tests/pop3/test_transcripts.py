"""The example sessions of the RFCs, played on both machines."""

from __future__ import annotations

import pytest

from mailproto import pop3
from mailproto.errors import LocalProtocolError
from mailproto.testing import play_client, play_server, transcript
from mailproto.testing.chop import joined

TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"

# RFC 1939 section 10, with contents for the two messages it leaves out.
RFC1939 = """
    S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>
    C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
    S: +OK mrose's maildrop has 2 messages (320 octets)
    C: STAT
    S: +OK 2 320
    C: LIST
    S: +OK 2 messages (320 octets)
    S: 1 120
    S: 2 200
    S: .
    C: RETR 1
    S: +OK 120 octets
    S: Subject: one
    S:
    S: ..leading dot
    S: .
    C: DELE 1
    S: +OK message 1 deleted
    C: RETR 2
    S: +OK 200 octets
    S: Subject: two
    S: .
    C: DELE 2
    S: +OK message 2 deleted
    C: QUIT
    S: +OK dewey POP3 server signing off (maildrop empty)
"""

CONVERSATION: list[tuple[pop3.Command, list[pop3.ServerItem]]] = [
    (
        pop3.Apop("mrose", "c4c9334bac560ecc979e58001b3e22fb"),
        [pop3.Ok("mrose's maildrop has 2 messages (320 octets)")],
    ),
    (pop3.Stat(), [pop3.DropListing(2, 320)]),
    (
        pop3.List(),
        [
            pop3.Ok("2 messages (320 octets)"),
            pop3.ScanListings({1: 120, 2: 200}),
            pop3.EndOfListing(),
        ],
    ),
    (
        pop3.Retr(1),
        [
            pop3.Ok("120 octets"),
            pop3.Body(b"Subject: one\r\n\r\n.leading dot\r\n"),
            pop3.EndOfMessage(),
        ],
    ),
    (pop3.Dele(1), [pop3.Ok("message 1 deleted")]),
    (
        pop3.Retr(2),
        [pop3.Ok("200 octets"), pop3.Body(b"Subject: two\r\n"), pop3.EndOfMessage()],
    ),
    (pop3.Dele(2), [pop3.Ok("message 2 deleted")]),
    (pop3.Quit(), [pop3.Ok("dewey POP3 server signing off (maildrop empty)")]),
]


@pytest.mark.parity("pop3-client APOP", "pop3-client STAT, LIST, RETR, DELE, NOOP, RSET and QUIT")
def test_rfc1939_section_10_on_the_client() -> None:
    client = pop3.Client(apop=True)
    events = play_server(transcript(RFC1939), client, [command for command, _ in CONVERSATION])
    expected: list[object] = [pop3.Greeting("POP3 server ready", TIMESTAMP)]
    for _, answers in CONVERSATION:
        expected += answers
    assert list(joined(events)) == expected
    assert client.state is pop3.State.CLOSED


@pytest.mark.parity("pop3-server STAT, LIST, RETR, DELE, NOOP, RSET and QUIT")
def test_rfc1939_section_10_on_the_server() -> None:
    answers = dict(CONVERSATION)

    def answer(server: pop3.Server, event: object) -> None:
        if event is pop3.PAUSED:
            server.accept()
        else:
            assert isinstance(event, pop3.Command)
            for item in answers[event]:
                server.send(item)

    server = pop3.Server(offer=pop3.Offer(timestamp=TIMESTAMP, insecure_auth=True))
    events = play_client(transcript(RFC1939), server, answer)
    assert events == [command for command, _ in CONVERSATION]
    assert server.state is pop3.State.CLOSED


# RFC 1939 sections 5, 6 and 7: the example of each command, in one session, with a content for
# TOP; the answers to the login of section 7 are in the order of its examples.
EACH_COMMAND = """
    S: +OK POP3 server ready
    C: USER frated
    S: -ERR sorry, no mailbox for frated here
    C: USER mrose
    S: +OK mrose is a real hoopy frood
    C: PASS secret
    S: -ERR maildrop already locked
    C: USER mrose
    S: +OK mrose is a real hoopy frood
    C: PASS secret
    S: +OK mrose's maildrop has 2 messages (320 octets)
    C: STAT
    S: +OK 2 320
    C: LIST
    S: +OK 2 messages (320 octets)
    S: 1 120
    S: 2 200
    S: .
    C: LIST 2
    S: +OK 2 200
    C: LIST 3
    S: -ERR no such message, only 2 messages in maildrop
    C: TOP 1 10
    S: +OK
    S: Subject: one
    S:
    S: ..
    S: .
    C: TOP 100 3
    S: -ERR no such message
    C: UIDL
    S: +OK
    S: 1 whqtswO00WBw418f9t5JxYwZ
    S: 2 QhdPYR:00WBw1Ph7x7
    S: .
    C: UIDL 2
    S: +OK 2 QhdPYR:00WBw1Ph7x7
    C: UIDL 3
    S: -ERR no such message, only 2 messages in maildrop
    C: DELE 1
    S: +OK message 1 deleted
    C: DELE 2
    S: -ERR message 2 already deleted
    C: NOOP
    S: +OK
    C: RSET
    S: +OK maildrop has 2 messages (320 octets)
    C: QUIT
    S: +OK dewey POP3 server signing off (2 messages left)
"""
FEW = pop3.Err("no such message, only 2 messages in maildrop")
FROOD = pop3.Ok("mrose is a real hoopy frood")
EXAMPLES: list[tuple[pop3.Command, list[pop3.ServerItem]]] = [
    (pop3.User("frated"), [pop3.Err("sorry, no mailbox for frated here")]),
    (pop3.User("mrose"), [FROOD]),
    (pop3.Pass("secret"), [pop3.Err("maildrop already locked")]),
    (pop3.User("mrose"), [FROOD]),
    (pop3.Pass("secret"), [pop3.Ok("mrose's maildrop has 2 messages (320 octets)")]),
    (pop3.Stat(), [pop3.DropListing(2, 320)]),
    (
        pop3.List(),
        [
            pop3.Ok("2 messages (320 octets)"),
            pop3.ScanListings({1: 120, 2: 200}),
            pop3.EndOfListing(),
        ],
    ),
    (pop3.List(2), [pop3.ScanListing(2, 200)]),
    (pop3.List(3), [FEW]),
    (
        pop3.Top(1, 10),
        [pop3.Ok(), pop3.Body(b"Subject: one\r\n\r\n.\r\n"), pop3.EndOfMessage()],
    ),
    (pop3.Top(100, 3), [pop3.Err("no such message")]),
    (
        pop3.Uidl(),
        [
            pop3.Ok(),
            pop3.UniqueIdListings({1: "whqtswO00WBw418f9t5JxYwZ", 2: "QhdPYR:00WBw1Ph7x7"}),
            pop3.EndOfListing(),
        ],
    ),
    (pop3.Uidl(2), [pop3.UniqueIdListing(2, "QhdPYR:00WBw1Ph7x7")]),
    (pop3.Uidl(3), [FEW]),
    (pop3.Dele(1), [pop3.Ok("message 1 deleted")]),
    (pop3.Dele(2), [pop3.Err("message 2 already deleted")]),
    (pop3.Noop(), [pop3.Ok()]),
    (pop3.Rset(), [pop3.Ok("maildrop has 2 messages (320 octets)")]),
    (pop3.Quit(), [pop3.Ok("dewey POP3 server signing off (2 messages left)")]),
]


@pytest.mark.parity("pop3-client TOP", "pop3-client UIDL", "pop3-client USER and PASS")
def test_rfc1939_each_command_on_the_client() -> None:
    client = pop3.Client()
    events = play_server(transcript(EACH_COMMAND), client, [command for command, _ in EXAMPLES])
    expected: list[object] = [pop3.Greeting("POP3 server ready")]
    for _, answers in EXAMPLES:
        expected += answers
    assert list(joined(events)) == expected
    assert client.quirks == frozenset()


@pytest.mark.parity("pop3-server TOP", "pop3-server UIDL", "pop3-server USER and PASS")
def test_rfc1939_each_command_on_the_server() -> None:
    due = iter(EXAMPLES)

    def answer(server: pop3.Server, event: object) -> None:
        if event is pop3.PAUSED:
            server.accept()
            return
        command, items = next(due)
        assert event == command
        for item in items:
            server.send(item)

    server = pop3.Server(offer=pop3.Offer(insecure_auth=True))
    events = play_client(transcript(EACH_COMMAND), server, answer)
    assert events == [command for command, _ in EXAMPLES]


@pytest.mark.parity("pop3-client APOP", "pop3-server APOP")
def test_rfc1939_section_7_apop_digest() -> None:
    assert pop3.apop_digest(TIMESTAMP, "tanstaaf") == "c4c9334bac560ecc979e58001b3e22fb"


@pytest.mark.parity(
    "pop3-client CAPA",
    "pop3-server CAPA",
    "pop3-client IMPLEMENTATION",
    "pop3-server IMPLEMENTATION",
)
def test_rfc2449_section_5_capa() -> None:
    script = """
        S: +OK ready
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: SASL CRAM-MD5 KERBEROS_V4
        S: RESP-CODES
        S: LOGIN-DELAY 900
        S: PIPELINING
        S: EXPIRE 60
        S: UIDL
        S: IMPLEMENTATION Shlemazle-Plotz-v302
        S: X-UNKNOWN with words
        S: .
    """
    events = play_server(transcript(script), pop3.Client(), [pop3.Capa()])
    assert events[1] == pop3.Capabilities(
        top=True,
        uidl=True,
        user=True,
        sasl=("CRAM-MD5", "KERBEROS_V4"),
        resp_codes=True,
        pipelining=True,
        login_delay=pop3.LoginDelay(900),
        expire=pop3.Expire(60),
        implementation="Shlemazle-Plotz-v302",
        other=("X-UNKNOWN with words",),
    )


@pytest.mark.parity("pop3-client EXPIRE", "pop3-server EXPIRE")
@pytest.mark.parametrize(
    ("line", "expire"),
    [
        ("EXPIRE 5 USER", pop3.Expire(5, per_user=True)),
        ("EXPIRE 30", pop3.Expire(30)),
        ("EXPIRE NEVER", pop3.Expire(None)),
        ("EXPIRE 0", pop3.Expire(0)),
    ],
)
def test_rfc2449_section_6_7_expire(line: str, expire: pop3.Expire) -> None:
    script = f"S: +OK\nC: CAPA\nS: +OK\nS: {line}\nS: ."
    events = play_server(transcript(script), pop3.Client(), [pop3.Capa()])
    assert events[1] == pop3.Capabilities(expire=expire)


@pytest.mark.parity("pop3-client STLS", "pop3-server STLS")
def test_rfc2595_section_4_stls_on_both() -> None:
    script = transcript("""
        S: +OK ready
        C: STLS
        S: +OK Begin TLS negotiation
        TLS
        C: STLS
        S: -ERR Command not permitted when TLS active
    """)

    def answer(server: pop3.Server, event: object) -> None:
        if event is pop3.PAUSED:
            server.send(pop3.Greeting("ready"))
        elif event == pop3.Stls():
            server.send(pop3.Ok("Begin TLS negotiation"))
        else:
            assert isinstance(event, pop3.Invalid)
            server.send(pop3.Err("Command not permitted when TLS active"))

    server = pop3.Server(offer=pop3.Offer(stls=True))
    events = play_client(script, server, answer)
    assert [type(event) for event in events] == [pop3.Stls, pop3.Invalid]
    assert server.tls

    client = pop3.Client()
    events = play_server(script[:4], client, [pop3.Stls()])
    assert events == [pop3.Greeting("ready"), pop3.Ok("Begin TLS negotiation")]
    assert client.tls
    with pytest.raises(LocalProtocolError, match="TLS is on"):
        client.send(pop3.Stls())


# The exchanges of RFC 5034 section 4: with and without an initial response, empty, cancelled.
RFC5034 = """
    S: +OK pop.example.com BlurdyBlurp POP3 server ready
    C: AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q=
    S: -ERR [AUTH] no
    C: AUTH PLAIN
    S: +\N{SYMBOL FOR SPACE}
    C: dGVzdAB0ZXN0AHRlc3Q=
    S: -ERR [AUTH] no
    C: AUTH CRAM-MD5
    S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
    C: *
    S: -ERR cancelled
    C: AUTH EXTERNAL =
    S: +OK Maildrop locked and ready
"""
PLAIN = b"test\0test\0test"
CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"


@pytest.mark.parity("pop3-client AUTH")
def test_rfc5034_exchanges_on_the_client() -> None:
    commands: list[pop3.ClientItem] = [
        pop3.Auth("plain", PLAIN),
        pop3.Auth("PLAIN"),
        pop3.AuthResponse(PLAIN),
        pop3.Auth("CRAM-MD5"),
        pop3.AuthCancel(),
        pop3.Auth("EXTERNAL", b""),
    ]
    client = pop3.Client()
    events = play_server(transcript(RFC5034), client, commands)
    refused = pop3.Err("no", pop3.AUTH)
    assert events[1:] == [
        refused,
        pop3.Challenge(b""),
        refused,
        pop3.Challenge(CHALLENGE),
        pop3.Err("cancelled"),
        pop3.Ok("Maildrop locked and ready"),
    ]
    assert client.state is pop3.State.TRANSACTION


@pytest.mark.parity("pop3-server AUTH")
def test_rfc5034_exchanges_on_the_server() -> None:
    answers: list[tuple[pop3.ClientItem, pop3.Answer]] = [
        (pop3.Auth("PLAIN", PLAIN), pop3.Err("no", pop3.AUTH)),
        (pop3.Auth("PLAIN"), pop3.Challenge(b"")),
        (pop3.AuthResponse(PLAIN), pop3.Err("no", pop3.AUTH)),
        (pop3.Auth("CRAM-MD5"), pop3.Challenge(CHALLENGE)),
        (pop3.AuthCancel(), pop3.Err("cancelled")),
        (pop3.Auth("EXTERNAL", b""), pop3.Ok("Maildrop locked and ready")),
    ]
    coming = iter(answers)

    def answer(server: pop3.Server, event: object) -> None:
        if event is pop3.PAUSED:
            server.send(pop3.Greeting("pop.example.com BlurdyBlurp POP3 server ready"))
            return
        expected, reply = next(coming)
        assert event == expected
        server.send(reply)

    server = pop3.Server(
        offer=pop3.Offer(mechanisms=("PLAIN", "CRAM-MD5", "EXTERNAL"), insecure_auth=True)
    )
    play_client(transcript(RFC5034), server, answer)
    assert next(coming, None) is None
    assert server.state is pop3.State.TRANSACTION
    assert server.failed_authentications == 2


def test_rfc5034_section_6_final_data_on_both() -> None:
    """The exchange begins with a challenge and ends with an empty response, then ``+OK``."""
    script = """
        S: +OK pop.example.com BlurdyBlurp POP3 server ready
        C: AUTH DIGEST-MD5
        S: + cmVhbG09ImVsd29vZC5pbm5vc29mdC5jb20i
        C: Y2hhcnNldD11dGYtOA==
        S: + cnNwYXV0aD0wYjk3MTQ2MmNlZjVlOGY5MzBkYjlhMzNiMDJmYzlhMA==
        C:
        S: +OK Maildrop locked and ready
    """
    first, final = b'realm="elwood.innosoft.com"', b"rspauth=0b971462cef5e8f930db9a33b02fc9a0"
    answers: list[tuple[pop3.ClientItem, pop3.Answer]] = [
        (pop3.Auth("DIGEST-MD5"), pop3.Challenge(first)),
        (pop3.AuthResponse(b"charset=utf-8"), pop3.Challenge(final)),
        (pop3.AuthResponse(b""), pop3.Ok("Maildrop locked and ready")),
    ]
    client = pop3.Client()
    events = play_server(transcript(script), client, [command for command, _ in answers])
    assert events[1:] == [reply for _, reply in answers]
    coming = iter(answers)

    def answer(server: pop3.Server, event: object) -> None:
        if event is pop3.PAUSED:
            server.send(pop3.Greeting("pop.example.com BlurdyBlurp POP3 server ready"))
            return
        expected, reply = next(coming)
        assert event == expected
        server.send(reply)

    server = pop3.Server(offer=pop3.Offer(mechanisms=("DIGEST-MD5",), insecure_auth=True))
    play_client(transcript(script), server, answer)
    assert server.state is client.state is pop3.State.TRANSACTION


# RFC 6856 section 3.3, and the codes of RFC 2449 section 8 and RFC 3206.
RFC6856 = """
    S: +OK ready
    C: USER karen
    S: +OK Hello, karen
    C: PASS password
    S: +OK karen's maildrop contains 2 messages (320 octets)
    C: LANG MUL
    S: -ERR invalid language MUL
    C: LANG
    S: +OK Language listing follows
    S: en English
    S: en-boont English Boontling dialect
    S: de Deutsch
    S: .
    C: LANG es
    S: +OK es Idioma cambiado
    C: LANG uga
    S: -ERR es Idioma <<UGA>> no es conocido
    C: LANG sv
    S: +OK sv Kommandot "LANG" lyckades
    C: LANG *
    S: +OK es Idioma cambiado
    C: RETR 1
    S: -ERR [UTF8] this message needs UTF-8
"""
LANGUAGES = pop3.Languages(
    (
        pop3.Language("en", "English"),
        pop3.Language("en-boont", "English Boontling dialect"),
        pop3.Language("de", "Deutsch"),
    )
)
RFC6856_ANSWERS: list[tuple[pop3.Command, pop3.Answer]] = [
    (pop3.User("karen"), pop3.Ok("Hello, karen")),
    (pop3.Pass("password"), pop3.Ok("karen's maildrop contains 2 messages (320 octets)")),
    (pop3.Lang("MUL"), pop3.Err("invalid language MUL")),
    (pop3.Lang(), LANGUAGES),
    (pop3.Lang("es"), pop3.LanguageChanged("es", "Idioma cambiado")),
    (pop3.Lang("uga"), pop3.Err("es Idioma <<UGA>> no es conocido")),
    (pop3.Lang("sv"), pop3.LanguageChanged("sv", 'Kommandot "LANG" lyckades')),
    (pop3.Lang("*"), pop3.LanguageChanged("es", "Idioma cambiado")),
    (pop3.Retr(1), pop3.Err("this message needs UTF-8", pop3.UTF8)),
]


@pytest.mark.parity("pop3-client LANG")
def test_rfc6856_section_3_3_on_the_client() -> None:
    commands = [command for command, _ in RFC6856_ANSWERS]
    events = play_server(transcript(RFC6856), pop3.Client(), commands)
    assert events[1:] == [answer for _, answer in RFC6856_ANSWERS]


@pytest.mark.parity("pop3-server LANG")
def test_rfc6856_section_3_3_on_the_server() -> None:
    answers = dict(RFC6856_ANSWERS)

    def answer(server: pop3.Server, event: object) -> None:
        if event is pop3.PAUSED:
            server.send(pop3.Greeting("ready"))
        else:
            assert isinstance(event, pop3.Command)
            server.send(answers[event])

    server = pop3.Server(offer=pop3.Offer(languages=True, insecure_auth=True))
    assert play_client(transcript(RFC6856), server, answer) == list(answers)


@pytest.mark.parity(
    "pop3-client RESP-CODES",
    "pop3-server RESP-CODES",
    "pop3-client IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM and AUTH codes",
    "pop3-server IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM and AUTH codes",
)
def test_response_codes_of_rfc2449_and_rfc3206() -> None:
    script = """
        S: +OK
        C: USER mrose
        S: -ERR [login-delay] too soon
        C: USER mrose
        S: +OK
        C: PASS x
        S: -ERR [SYS/TEMP/DISK] full
    """
    events = play_server(
        transcript(script), pop3.Client(), [pop3.User("mrose"), pop3.User("mrose"), pop3.Pass("x")]
    )
    assert events[1] == pop3.Err("too soon", pop3.LOGIN_DELAY)
    answer = events[3]
    assert isinstance(answer, pop3.Err)
    assert answer.code is not None
    assert answer.code.levels == ("SYS", "TEMP", "DISK")
    assert pop3.SYS_TEMP.covers(answer.code)
    assert not pop3.SYS_PERM.covers(answer.code)
    assert not pop3.AUTH.covers(None)
