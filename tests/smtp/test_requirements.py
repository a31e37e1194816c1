"""Requirements of the extensions' RFCs that no example session shows; named by their sections."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError

ALICE = smtp.Mailbox("alice", "example.com")


def server(*lines: str, **options: object) -> smtp.Server:
    machine = smtp.Server("mx.example", **options)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    for line in ("EHLO a", *lines):
        machine.receive_data(line.encode() + b"\r\n")
        machine.next_event()
        machine.accept()
    machine.data_to_send()
    return machine


def give(machine: smtp.Server, line: str, reply: smtp.Reply | None = None) -> bytes:
    """What the server says to the line: ``reply``, or its own."""
    machine.receive_data(line.encode() + b"\r\n")
    machine.next_event()
    if reply is None:
        machine.accept()
    else:
        machine.send(reply)
    return machine.data_to_send()


def client(*offers: str) -> smtp.Client:
    machine = smtp.Client()
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    machine.send(smtp.Ehlo("a"))
    lines = "".join(f"250-{offer}\r\n" for offer in offers)
    machine.receive_data(f"250-mx\r\n{lines}250 X\r\n".encode())
    machine.next_event()
    machine.data_to_send()
    return machine


# --------------------------------------------------------------------------------- RFC 2034

NO = smtp.Reply(550, ("no", "never"))
LATER = smtp.Reply(450, "later")
BYE = smtp.Reply(421, "bye")
OPTIONS = smtp.Offer(
    ("PLAIN",), insecure_auth=True, expn=True, etrn=True, atrn=True, burl=("imap",), forwarding=True
)


@pytest.mark.parity("smtp-server enhanced status codes")
@pytest.mark.parametrize("reply", [NO, LATER, BYE], ids=str)
@pytest.mark.parametrize(
    "line",
    ["AUTH PLAIN AGE=", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", "RSET", "NOOP", "VRFY x",
     "EXPN x", "HELP", "QUIT", "ETRN example.com", "XFOO", "XCLIENT NAME=x", "XFORWARD NAME=x"],
)  # fmt: skip
def test_P19_RFC_2034_section_4_every_refusal_has_a_code(line: str, reply: smtp.Reply) -> None:
    before = {"RCPT": ["MAIL FROM:<>"], "DATA": ["MAIL FROM:<>", "RCPT TO:<a@b>"]}
    machine = server(*before.get(line[:4].rstrip(), []), offer=OPTIONS)
    said = give(machine, line, reply).decode()
    assert said.replace("-", " ") == "".join(
        f"{reply.code} {reply.code // 100}.0.0 {text}\r\n" for text in reply.lines
    )


@pytest.mark.parity("smtp-server enhanced status codes")
def test_P19_RFC_2034_section_4_every_success_has_a_code() -> None:
    machine = server(offer=OPTIONS)
    for line, reply, said in (
        ("AUTH PLAIN AGE=", smtp.Reply(235, "in"), b"235 2.7.0 in\r\n"),
        ("NOOP", smtp.Reply(250, "well"), b"250 2.0.0 well\r\n"),
        ("VRFY x", smtp.Reply(250, "<a@b>"), b"250 2.5.0 <a@b>\r\n"),
        ("EXPN x", smtp.Reply(250, ("<a@b>", "<c@d>")), b"250-2.0.0 <a@b>\r\n250 2.0.0 <c@d>\r\n"),
        ("XFOO", smtp.Reply(299, "done"), b"299 2.0.0 done\r\n"),
        ("ETRN example.com", smtp.Reply(251, "none"), b"251 2.0.0 none\r\n"),
        ("MAIL FROM:<>", smtp.Reply(250, "from you"), b"250 2.1.0 from you\r\n"),
        ("RCPT TO:<a@b>", smtp.Reply(251, "on to <c@d>"), b"251 2.1.5 on to <c@d>\r\n"),
        ("DATA", smtp.Reply(354, "go"), b"354 go\r\n"),
        (".", smtp.Reply(250, "queued as 1"), b"250 2.0.0 queued as 1\r\n"),
        ("QUIT", smtp.Reply(221, "bye"), b"221 2.0.0 bye\r\n"),
    ):
        assert give(machine, line, reply) == said


def test_P19_RFC_2034_section_4_not_in_greetings_and_answers_to_EHLO_nor_unoffered() -> None:
    machine = smtp.Server("mx.example", offer=smtp.Offer(forwarding=True))
    machine.send(smtp.Reply(220, "hello"))
    assert machine.data_to_send() == b"220 hello\r\n"
    assert give(machine, "EHLO a", NO) == b"550-no\r\n550 never\r\n"
    assert b".0.0" not in give(machine, "EHLO a")
    assert give(machine, "XCLIENT NAME=x", smtp.Reply(220, "again")) == b"220 again\r\n"
    machine = server(offer=smtp.Offer(enhanced_codes=False))
    assert give(machine, "NOOP", LATER) == b"450 later\r\n"
    machine = smtp.Server("mx.example")
    machine.send(smtp.Reply(554, "no service"))
    assert machine.data_to_send() == b"554 no service\r\n"


def test_P19_RFC_2034_section_4_what_is_said_unasked_and_what_would_be_read_as_a_code() -> None:
    machine = server()
    machine.send(BYE)
    assert machine.data_to_send() == b"421 4.0.0 bye\r\n"
    machine = server()
    with pytest.raises(LocalProtocolError, match="inside the text"):
        give(machine, "NOOP", smtp.Reply(550, "5.1.1 who?"))


# --------------------------------------------------------------------------------- RFC 3885


@pytest.mark.parity("smtp-client MTRK", "smtp-server MTRK")
def test_P19_RFC_3885_section_2_MTRK_brings_ENVID_and_ORCPT() -> None:
    machine = server(offer=smtp.Offer(mtrk=True))
    assert give(machine, "MAIL FROM:<> MTRK=cjJhZGE ENVID=1@a").startswith(b"250")
    assert give(machine, "RCPT TO:<a@b> ORCPT=rfc822;a@b").startswith(b"250")
    assert give(machine, "RCPT TO:<a@b> NOTIFY=NEVER").startswith(b"555")


def test_P19_RFC_3885_section_3_2_MTRK_needs_ENVID() -> None:
    machine = server(offer=smtp.Offer(mtrk=True))
    assert give(machine, "MAIL FROM:<> MTRK=cjJhZGE").startswith(b"501 5.5.4")
    with pytest.raises(LocalProtocolError, match="ENVID"):
        client("MTRK").send(smtp.Mail(ALICE, parameters=(smtp.Mtrk(b"r2ada"),)))


def test_P19_RFC_3885_section_3_1_base64_without_padding() -> None:
    machine = client("MTRK")
    parameters = (smtp.EnvId("1@a"), smtp.Mtrk(bytes(20), 86400))
    machine.send(smtp.Mail(ALICE, parameters=parameters))
    # "the 160 bit SHA-1 will be a 27 octet string" (section 3.2)
    assert b" MTRK=" + b"A" * 27 + b":86400\r\n" in machine.data_to_send()


# --------------------------------------------------------------------------------- RFC 4954


def test_P19_RFC_4954_section_4_a_response_that_is_too_long() -> None:
    offer = smtp.Offer(mechanisms=("PLAIN",), insecure_auth=True)
    machine = server(offer=offer)
    machine.receive_data(b"AUTH PLAIN\r\n")
    machine.next_event()
    machine.send(smtp.Challenge(b""))
    machine.receive_data(b"A" * 13_000 + b"\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        machine.next_event()
    assert caught.value.hint == smtp.Reply(500, "Line too long", smtp.EnhancedCode(5, 5, 6))


@pytest.mark.parametrize("value", ["<>", "+3C+3E"])
def test_P19_RFC_4954_section_8_an_unknown_submitter_is_xtext_too(value: str) -> None:
    offer = smtp.Offer(mechanisms=("PLAIN",), insecure_auth=True)
    machine = server(offer=offer)
    machine.receive_data(f"MAIL FROM:<> AUTH={value}\r\n".encode())
    assert machine.next_event() == smtp.Mail(smtp.NULL_PATH, auth=smtp.NULL_PATH)


# --------------------------------------------------------------------------------- RFC 5321


@pytest.mark.parity("smtp-server bare LF in commands")
@pytest.mark.parametrize("policy", [smtp.BareNewlines.REJECT, smtp.BareNewlines.PASS])
@pytest.mark.parametrize(
    "line",
    ["NOOP x\ny", "NOOP\n", "NO\rOP", "NOOP x\r", "RSET\n.\n", "MAIL FROM:<a@b>\nRCPT TO:<c@d>"],
)
def test_P12_P25_RFC_5321_section_2_3_8_a_bare_newline_does_not_end_a_command(
    line: str, policy: smtp.BareNewlines
) -> None:
    machine = server(bare_newlines=policy)
    machine.receive_data(line.encode() + b"\r\n")
    event = machine.next_event()
    assert isinstance(event, smtp.Invalid)
    assert event.line == line.encode()
    machine.accept()
    assert machine.data_to_send()[:2] == b"50"
    assert give(machine, "NOOP") == b"250 2.0.0 OK\r\n"


@pytest.mark.parametrize(
    ("code", "positive"), [(259, True), (299, True), (459, False), (599, False)]
)
def test_P19_RFC_5321_section_4_3_2_the_first_digit_of_a_code_decides(
    code: int, positive: bool
) -> None:
    machine = client()
    machine.send(smtp.Mail(ALICE))
    machine.receive_data(f"{code}\r\n".encode())
    reply = machine.next_event()
    # No text is a text too (section 4.2).
    assert reply == smtp.Reply(code, "")
    assert (machine.state is smtp.State.ENVELOPE) is positive


def test_P19_RFC_5321_section_3_5_2_an_application_that_has_EXPN_lists_it() -> None:
    members = smtp.Reply(250, ("<a@b>", "<c@d>"), smtp.EnhancedCode(2, 1, 5))
    for offered, told, answer in (
        (True, b"250-EXPN\r\n", b"250-2.1.5"),
        (False, b"", b"502 5.5.1"),
    ):
        machine = smtp.Server("mx.example", offer=smtp.Offer(smtputf8=False, expn=offered))
        machine.accept()
        assert give(machine, "EHLO a").endswith(b"STATUSCODES\r\n" + told + b"250 HELP\r\n")
        assert give(machine, "EXPN staff", members if offered else None).startswith(answer)


# --------------------------------------------------------------------------------- RFC 6152


def in_content(*offers: str, chunk: int = 0, body: smtp.BodyType | None = None) -> smtp.Client:
    machine = client("PIPELINING", *offers)
    machine.send(smtp.Mail(ALICE, body=body))
    machine.send(smtp.Rcpt(ALICE))
    machine.send(smtp.Bdat(chunk, last=True) if chunk else smtp.Data())
    machine.receive_data(b"250 x\r\n250 x\r\n" + (b"" if chunk else b"354 x\r\n"))
    for _ in range(2 if chunk else 3):
        machine.next_event()
    machine.data_to_send()
    return machine


@pytest.mark.parametrize("chunk", [0, 3])
@pytest.mark.parametrize("octet", [b"\x80", b"\xff"])
def test_P19_RFC_6152_section_3_no_octet_beyond_ASCII_for_a_server_without_8BITMIME(
    octet: bytes, chunk: int
) -> None:
    machine = in_content("CHUNKING", chunk=chunk)
    with pytest.raises(LocalProtocolError, match="8BITMIME"):
        machine.send(smtp.Body(octet + b"\r\n"))
    assert machine.data_to_send() == b""
    machine.send(smtp.Body(b"x\r\n"))
    assert machine.data_to_send() == b"x\r\n"


@pytest.mark.parametrize("chunk", [0, 3])
def test_P19_RFC_6152_section_3_octets_go_as_they_are_where_they_are_taken(chunk: int) -> None:
    machines = [in_content("CHUNKING", "8BITMIME", chunk=chunk)]
    if chunk:
        binary = smtp.BodyType.BINARY_MIME
        machines.append(in_content("CHUNKING", "BINARYMIME", chunk=chunk, body=binary))
    for machine in machines:
        machine.send(smtp.Body(b"\xff\r\n"))
        assert machine.data_to_send() == b"\xff\r\n"


# --------------------------------------------------------------------------------- RFC 6531


def test_P19_RFC_6531_section_3_5_codes_of_addresses_beyond_ASCII() -> None:
    machine = server()
    assert give(machine, "MAIL FROM:<ä@b>").startswith(b"550 5.6.7")
    give(machine, "MAIL FROM:<a@b>")
    assert give(machine, "RCPT TO:<ä@b>").startswith(b"553 5.6.7")


def test_P19_RFC_6531_section_3_7_1_domains_of_EHLO_are_ASCII() -> None:
    with pytest.raises(LocalProtocolError, match="not ASCII"):
        client().send(smtp.Ehlo("bücher.example"))
    with pytest.raises(LocalProtocolError, match="not ASCII"):
        smtp.Server("bücher.example")


@pytest.mark.parametrize(("code", "becomes"), [(251, 250), (551, 550), (550, 550), (450, 450)])
def test_P19_RFC_6531_section_3_7_4_1_no_address_beyond_ASCII_unasked(
    code: int, becomes: int
) -> None:
    reply = smtp.Reply(code, "See <jürgen@example.com>", smtp.EnhancedCode(code // 100, 1, 6))
    machine = server("MAIL FROM:<a@b>")
    said = give(machine, "RCPT TO:<c@d>", reply)
    expected = f"{becomes} {code // 100}.1.6 See <j?rgen@example.com>\r\n"
    assert said == expected.encode()
    machine = server("MAIL FROM:<a@b> SMTPUTF8")
    said = give(machine, "RCPT TO:<c@d>", reply)
    assert said == f"{code} {reply.enhanced} See <jürgen@example.com>\r\n".encode()


@pytest.mark.parametrize("verb", ["VRFY", "EXPN"])
@pytest.mark.parametrize(
    ("code", "becomes"), [(250, b"252 2.6.8 "), (551, b"550 5.6.8 "), (450, b"450 4.0.0 ")]
)
def test_P19_RFC_6531_section_3_7_4_2_answers_to_VRFY_and_EXPN(
    verb: str, code: int, becomes: bytes
) -> None:
    reply = smtp.Reply(code, "Jürgen <jürgen@example.com>")
    said = give(server(offer=smtp.Offer(expn=True)), f"{verb} x", reply)
    assert said.startswith(becomes)
    assert said.isascii()
    said = give(server(offer=smtp.Offer(expn=True)), f"{verb} x SMTPUTF8", reply)
    text = said.decode().removeprefix(f"{code} {code // 100}.")
    assert text[3:] == " Jürgen <jürgen@example.com>\r\n"


# --------------------------------------------------------------------------------- RFC 6710


@pytest.mark.parametrize("text", ["MT-PRIORITY=10", "MT-PRIORITY=1 MT-PRIORITY=1"])
def test_P19_RFC_6710_section_4_1_malformed_or_twice(text: str) -> None:
    machine = server(offer=smtp.Offer(mt_priority=""))
    assert give(machine, f"MAIL FROM:<> {text}").startswith(b"501 5.5.2")


# --------------------------------------------------------------------------------- RFC 9422


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ("RCPTMAX=020", None),
        ("RCPTMAX=1234567", None),
        ("RCPTMAX=999999", 999_999),
        ("RCPTMAX=20 X=a;b", None),
        ("RCPTMAX=20 (x)", None),
        ("X Y=1 rcptmax=7", 7),
    ],
)
def test_P19_RFC_9422_section_3_7_what_cannot_be_read(limits: str, most: int | None) -> None:
    capabilities = client(f"LIMITS {limits}").capabilities
    assert capabilities is not None
    assert capabilities.limit("RCPTMAX") == most


def test_P19_RFC_9422_section_4_1_MAILMAX_counts_refused_commands() -> None:
    machine = server(limits=smtp.SMTPServerLimits(transactions=2))
    assert give(machine, "MAIL FROM:<a@b>", smtp.Reply(450, "no")).startswith(b"450")
    assert give(machine, "MAIL FROM:<a@b>").startswith(b"250")
    give(machine, "RSET")
    assert give(machine, "MAIL FROM:<a@b>").startswith(b"452")


# --------------------------------------------------------------------------- XCLIENT, XFORWARD


@pytest.mark.parametrize("value", ["a+20b", "+C3+A4", "a;b", "a<b", "x" * 256])
def test_P19_XFORWARD_README_values(value: str) -> None:
    machine = server(offer=smtp.Offer(forwarding=True))
    assert give(machine, f"XFORWARD NAME={value}").startswith(b"501")


def test_P19_XCLIENT_README_no_line_over_512_octets_and_names_in_any_case() -> None:
    machine = client("XCLIENT name helo")
    machine.send(smtp.XClient((("NAME", "a.example"),)))
    assert machine.data_to_send() == b"XCLIENT NAME=a.example\r\n"
    machine = client("XCLIENT NAME HELO")
    with pytest.raises(LocalProtocolError, match="512"):
        machine.send(smtp.XClient((("NAME", "x" * 250), ("HELO", "y" * 250))))
