"""CHUNKING and BINARYMIME (RFC 3030) on both machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.states import State
from mailproto.testing import Link, assert_chop_invariant, splits
from mailproto.testing.strategies import smtp as strategies

ENVELOPE = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
BINARY = b"EHLO a\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n"
TWO = b"LHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"
ALICE = smtp.Mailbox("alice", "example.com")


def accept(server: smtp.Server, event: object) -> None:
    if not isinstance(event, smtp.Body | smtp.RepairedLine):
        server.accept()


def server(**options: object) -> smtp.Server:
    machine = smtp.Server("mx.example", **options)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    return machine


def give(machine: smtp.Server, data: bytes) -> list[object]:
    """Accept whatever comes; the events, adjacent pieces of content joined."""
    machine.receive_data(data)
    events: list[object] = []
    while not isinstance(event := machine.next_event(), smtp.ConnectionClosed | type(smtp.PAUSED)):
        if isinstance(event, smtp.Body) and events and isinstance(events[-1], smtp.Body):
            events[-1] = smtp.Body(events[-1].data + event.data)
        else:
            events.append(event)
        accept(machine, event)
    return events


def begun(envelope: bytes = ENVELOPE, **options: object) -> smtp.Server:
    machine = server(**options)
    if envelope:
        give(machine, envelope)
    machine.data_to_send()
    return machine


def codes(machine: smtp.Server) -> list[int]:
    lines = machine.data_to_send().split(b"\r\n")[:-1]
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


# ---------------------------------------------------------------------------------- the server


pieces = st.lists(
    st.sampled_from([b".", b"\r\n", b"\r\n.\r\n", b"..", b"\r", b"\n", b"QUIT\r\n", b"a"]),
    max_size=4,
).map(b"".join)
policies = st.sampled_from(smtp.BareNewlines)


@pytest.mark.parity("smtp-server CHUNKING")
@given(
    st.lists(pieces.map(lambda p: b"BDAT %d\r\n%s" % (len(p), p)), max_size=3),
    pieces.map(lambda p: b"BDAT %d LAST\r\n%s" % (len(p), p)),
    policies,
    st.booleans(),
    st.booleans(),
)
def test_P01_P02_chunks_under_every_chunking(
    chunks: list[bytes], last: bytes, policy: smtp.BareNewlines, lmtp: bool, binary: bool
) -> None:
    body = b" BODY=BINARYMIME" if binary else b""
    hello = b"LHLO a\r\n" if lmtp else b"EHLO a\r\n"
    wire = hello + b"MAIL FROM:<a@b>" + body + b"\r\nRCPT TO:<c@d>\r\n"
    wire += b"".join(chunks) + last + b"NOOP\r\n"
    assert_chop_invariant(
        lambda: smtp.Server(
            "mx.example",
            lmtp=lmtp,
            offer=smtp.Offer(binarymime=True),
            bare_newlines=policy,
            limits=smtp.SMTPServerLimits(content=20),
        ),
        wire,
        accept,
    )


@given(st.lists(strategies.contents, max_size=4))
def test_P02_P13_octets_are_counted_and_never_read_as_lines(chunks: list[bytes]) -> None:
    wire = b"".join(b"BDAT %d\r\n%s" % (len(chunk), chunk) for chunk in chunks)
    machine = begun()
    events = give(machine, wire + b"BDAT 0 LAST\r\nNOOP end\r\n")
    content = b"".join(e.data for e in events if isinstance(e, smtp.Body))
    assert content == b"".join(chunks)
    assert events[-2:] == [smtp.EndOfMessage(), smtp.Noop("end")]
    assert codes(machine) == [250] * (len(chunks) + 2)


BARE = [
    (b"a\nb", 1), (b"a\rb", 1), (b"\n", 0), (b"ab\r", 2), (b"\r\n\r", 2), (b"\n.\n", 0),
]  # fmt: skip


@pytest.mark.parametrize(("content", "offset"), BARE)
def test_P02_bare_newlines_are_judged_over_all_chunks(content: bytes, offset: int) -> None:
    for cut in range(len(content) + 1):
        for pieces in splits(
            b"BDAT %d\r\n%sBDAT %d LAST\r\n%s"
            % (cut, content[:cut], len(content) - cut, content[cut:]),
            randoms=4,
        ):
            machine = begun()
            events = [event for piece in pieces for event in give(machine, piece)]
            bad = [e for e in events if isinstance(e, smtp.BadContent)]
            assert [(e.problem, e.offset) for e in bad] == [
                (smtp.ContentProblem.BARE_NEWLINE, offset)
            ]
            handed_on = b"".join(e.data for e in events if isinstance(e, smtp.Body))
            assert handed_on == content[:offset]
            assert codes(machine)[-1] in (550, 503)
            give(machine, b"RSET\r\nMAIL FROM:<>\r\n")
            assert codes(machine) == [250, 250]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(smtp.BareNewlines.REPAIR, b"a\r\nb\r\n\r\n"), (smtp.BareNewlines.PASS, b"a\nb\r\n\r")],
)
def test_P02_other_policies_repair_or_pass(policy: smtp.BareNewlines, expected: bytes) -> None:
    machine = begun(bare_newlines=policy)
    events = give(machine, b"BDAT 4\r\na\nb\rBDAT 2 LAST\r\n\n\r")
    assert b"".join(e.data for e in events if isinstance(e, smtp.Body)) == expected
    assert events[-1] == smtp.EndOfMessage(bare_newline=1)


def test_P02_binary_content_is_not_judged() -> None:
    machine = begun(BINARY, offer=smtp.Offer(binarymime=True))
    events = give(machine, b"BDAT 1\r\n\rBDAT 5 LAST\r\n\n\n.\r\0")
    assert b"".join(e.data for e in events if isinstance(e, smtp.Body)) == b"\r\n\n.\r\0"
    assert events[-1] == smtp.EndOfMessage()


@pytest.mark.parametrize("sizes", [(11,), (10, 1), (4, 4, 3), (10, 0, 1)])
def test_P08_the_limit_counts_all_chunks(sizes: tuple[int, ...]) -> None:
    machine = begun(limits=smtp.SMTPServerLimits(content=10))
    events = give(machine, b"".join(b"BDAT %d\r\n%s" % (n, b"x" * n) for n in sizes))
    assert sum(len(e.data) for e in events if isinstance(e, smtp.Body)) == 10
    assert codes(machine) == [250] * (len(sizes) - 1) + [552]
    # What is already on its way is dropped (RFC 3030 section 2).
    assert isinstance(give(machine, b"BDAT 7 LAST\r\nQUIT\r\n\n")[0], smtp.Invalid)
    give(machine, b"MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n")
    assert codes(machine) == [503, 503, 250, 250]


def test_P08_the_exact_limit_is_accepted() -> None:
    machine = begun(limits=smtp.SMTPServerLimits(content=10))
    give(machine, b"BDAT 6\r\nxxxxxxBDAT 4 LAST\r\nxxxx")
    assert codes(machine) == [250, 250]


OUT_OF_SEQUENCE: list[tuple[bytes, int]] = [
    (b"", 503),
    (b"EHLO a\r\n", 503),
    (b"EHLO a\r\nMAIL FROM:<a@b>\r\n", 503),
    (ENVELOPE.replace(b"EHLO", b"HELO"), 503),
]


@pytest.mark.parametrize(("before", "code"), OUT_OF_SEQUENCE)
@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_P13_octets_of_a_refused_chunk_are_dropped_exactly(
    before: bytes, code: int, piece: int
) -> None:
    machine = begun(before)
    wire = b"BDAT 24 LAST\r\n" + b"RSET\r\nMAIL FROM:<x@y>\r\n" + b"\nNOOP after\r\n"
    assert len(b"RSET\r\nMAIL FROM:<x@y>\r\n\n") == 24
    events = [e for n in range(0, len(wire), piece) for e in give(machine, wire[n : n + piece])]
    refused, after = events
    assert isinstance(refused, smtp.Invalid)
    assert refused.command == smtp.Bdat(24, last=True)
    assert after == smtp.Noop("after")
    assert codes(machine) == [code, 250]


def test_P13_chunks_that_were_not_offered_are_dropped_too() -> None:
    machine = begun(offer=smtp.Offer(chunking=False))
    assert "CHUNKING" not in machine.capabilities
    assert isinstance(give(machine, b"BDAT 6\r\nRSET\r\n")[0], smtp.Invalid)
    assert codes(machine) == [502]
    assert machine.state is State.RECIPIENTS


def test_nothing_is_answered_before_the_last_octet_of_a_refused_chunk() -> None:
    machine = begun(b"EHLO a\r\n")
    machine.receive_data(b"BDAT 6\r\nRSET\r")
    assert machine.next_event() is smtp.NEED_DATA
    assert machine.data_to_send() == b""
    machine.receive_data(b"\n")
    assert isinstance(machine.next_event(), smtp.Invalid)


def test_P13_too_many_errors_do_not_set_the_octets_free() -> None:
    machine = begun(limits=smtp.SMTPServerLimits(errors=0))
    give(machine, b"BOGUS\r\n")
    machine.data_to_send()
    machine.receive_data(b"BDAT 6\r\nRSET\r\nNOOP\r\n")
    event = machine.next_event()
    assert isinstance(event, smtp.Invalid)
    assert event.reply.code == 421
    machine.send(smtp.Reply(550, "No"))
    assert isinstance(event := machine.next_event(), smtp.Invalid)
    assert event.line == b"NOOP"


@pytest.mark.parametrize(
    "line",
    [b"BDAT", b"BDAT ", b"BDAT x", b"BDAT -1", b"BDAT 3 LAS", b"BDAT 3LAST", b"BDAT 3 LAST x",
     b"BDAT +3", b"bdat 1_0", b"BDAT 9223372036854775808", b"BDAT \xb3", b"BDAT \xc2\xb2",
     b"BDAT 3\0", b"BDAT\t3", b"BDAT\xa03"],
)  # fmt: skip
@pytest.mark.parametrize("before", [b"", ENVELOPE])
def test_P13_P17_an_unreadable_size_is_the_end(line: bytes, before: bytes) -> None:
    machine = begun(before)
    machine.receive_data(line + b"\r\nQUIT\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        machine.next_event()
    assert isinstance(caught.value.hint, smtp.Reply)
    assert caught.value.hint.permanent
    machine.send(caught.value.hint)
    with pytest.raises(RemoteProtocolError):
        machine.next_event()


def test_P14_DATA_and_BDAT_are_not_mixed() -> None:
    machine = begun()
    give(machine, b"BDAT 1\r\nx")
    assert machine.state is State.BETWEEN_CHUNKS
    give(machine, b"DATA\r\nRCPT TO:<e@f>\r\nMAIL FROM:<>\r\nNOOP\r\n")
    assert codes(machine) == [250, 503, 503, 503, 250]
    give(machine, b"BDAT 0 LAST\r\nBDAT 0 LAST\r\n")
    assert codes(machine) == [250, 503]


def test_binary_content_needs_BDAT() -> None:
    machine = begun(BINARY, offer=smtp.Offer(binarymime=True))
    give(machine, b"DATA\r\n")
    assert codes(machine) == [503]


def test_BINARYMIME_is_refused_where_it_was_not_offered() -> None:
    machine = begun(b"EHLO a\r\n")
    give(machine, b"MAIL FROM:<> BODY=BINARYMIME\r\n")
    assert codes(machine) == [555]
    with pytest.raises(LocalProtocolError, match="CHUNKING"):
        smtp.Server(offer=smtp.Offer(chunking=False, binarymime=True))


@pytest.mark.parametrize("end", [b"RSET\r\n", b"EHLO a\r\n"])
def test_P14_RSET_forgets_the_chunks(end: bytes) -> None:
    machine = begun(limits=smtp.SMTPServerLimits(content=6))
    give(machine, b"BDAT 6\r\nxxxxx\r" + end)
    assert (machine.state, machine.transaction) == (State.READY, None)
    events = give(machine, ENVELOPE + b"BDAT 6 LAST\r\nyyyy\r\n")
    assert events[-2:] == [smtp.Body(b"yyyy\r\n"), smtp.EndOfMessage()]


@pytest.mark.parametrize("last", [b"", b" LAST"])
@pytest.mark.parametrize("code", [451, 554])
def test_P14_a_chunk_that_the_application_refuses(last: bytes, code: int) -> None:
    machine = begun()
    machine.receive_data(b"BDAT 1%s\r\nxBDAT 2 LAST\r\nyy" % last)
    assert machine.next_event() == smtp.Body(b"x")
    machine.next_event()
    machine.send(smtp.Reply(code, "no"))
    assert machine.transaction is None
    assert isinstance(machine.next_event(), smtp.Invalid)
    machine.accept()
    give(machine, b"RSET\r\nMAIL FROM:<>\r\n")
    assert codes(machine) == [code, 503, 250, 250]


def test_P21_a_connection_closed_inside_a_chunk_delivers_nothing() -> None:
    for wire, before in ((b"BDAT 5 LAST\r\nabcd", ENVELOPE), (b"BDAT 5\r\nabcd", b"EHLO a\r\n")):
        machine = begun(before)
        machine.receive_data(wire)
        machine.receive_data(b"")
        with pytest.raises(RemoteProtocolError, match="inside the content"):
            while not isinstance(machine.next_event(), smtp.EndOfMessage):
                pass


def test_lmtp_answers_the_last_chunk_for_each_recipient() -> None:
    machine = begun(TWO, lmtp=True)
    give(machine, b"BDAT 1\r\nxBDAT 1 LAST\r\ny")
    assert codes(machine) == [250, 250, 250]


def test_P16_the_trace_of_chunks() -> None:
    lines: list[tuple[str, bytes]] = []
    machine = begun(trace=lambda side, line: lines.append((side, line)))
    del lines[:]
    give(machine, b"BDAT 6\r\nsecretBDAT 0 LAST\r\n")
    assert [line for side, line in lines if side == "C"] == [
        b"BDAT 6", b"<6 octets of content>", b"BDAT 0 LAST", b"<0 octets of content>",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------- the client

OFFER = b"250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250 CHUNKING\r\n"


def client(offer: bytes = OFFER, **options: object) -> smtp.Client:
    machine = smtp.Client(**options)  # type: ignore[arg-type]  # options of any kind
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    machine.send(smtp.Lhlo("a") if options.get("lmtp") else smtp.Ehlo("a"))
    answer(machine, offer)
    return machine


def answer(machine: smtp.Client, data: bytes) -> list[object]:
    machine.data_to_send()
    machine.receive_data(data)
    events: list[object] = []
    while not isinstance(event := machine.next_event(), smtp.ConnectionClosed | type(smtp.PAUSED)):
        events.append(event)
    return events


def in_transaction(
    body: smtp.BodyType | None = None, offer: bytes = OFFER, **options: object
) -> smtp.Client:
    machine = client(offer, **options)
    machine.send(smtp.Mail(ALICE, body=body))
    machine.send(smtp.Rcpt(ALICE))
    machine.send(smtp.Rcpt(ALICE))
    answer(machine, b"250 ok\r\n250 ok\r\n250 ok\r\n")
    return machine


def test_chunks_of_a_group_go_out_together() -> None:
    machine = client()
    commands: list[Command] = [
        smtp.Mail(ALICE, body=smtp.BodyType.BINARY_MIME), smtp.Rcpt(ALICE), smtp.Bdat(3),
        smtp.Body(b".\r"), smtp.Body(b"\0"), smtp.Bdat(0, last=True), smtp.Mail(ALICE),
    ]  # fmt: skip
    for command in commands:
        machine.send(command)
    assert machine.data_to_send() == (
        b"MAIL FROM:<alice@example.com> BODY=BINARYMIME\r\nRCPT TO:<alice@example.com>\r\n"
        b"BDAT 3\r\n.\r\0BDAT 0 LAST\r\nMAIL FROM:<alice@example.com>\r\n"
    )
    assert len(answer(machine, b"250 ok\r\n" * 5)) == 5
    assert machine.state is State.ENVELOPE


def test_a_chunk_has_the_size_that_was_said() -> None:
    machine = in_transaction()
    machine.send(smtp.Bdat(3))
    with pytest.raises(LocalProtocolError, match="4 octets for a chunk that has room for 3"):
        machine.send(smtp.Body(b"abcd"))
    machine.send(smtp.Body(b"ab"))
    for command in (smtp.Rset(), smtp.Quit(), smtp.Bdat(1), smtp.EndOfMessage(), smtp.Noop()):
        with pytest.raises(LocalProtocolError, match="inside a chunk"):
            machine.send(command)
    machine.send(smtp.Body(b"c"))
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Body(b""))
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.EndOfMessage())
    assert machine.data_to_send() == b"BDAT 3\r\nabc"


@pytest.mark.parametrize("chunks", [[b"a\nb"], [b"a\r", b"b"], [b"a\r"], [b"a\r", b""]])
def test_P03_text_in_chunks_has_no_bare_newline(chunks: list[bytes]) -> None:
    machine = in_transaction(bare_newlines=smtp.BareNewlines.REPAIR)
    with pytest.raises(LocalProtocolError, match="bare CR"):
        for number, chunk in enumerate(chunks, 1):
            machine.send(smtp.Bdat(len(chunk), last=number == len(chunks)))
            if chunk:
                machine.send(smtp.Body(chunk))


def test_a_newline_may_be_cut_between_chunks() -> None:
    machine = in_transaction()
    for command in (
        smtp.Bdat(2), smtp.Body(b"a\r"), smtp.Bdat(2, last=True), smtp.Body(b"\n."),
    ):  # fmt: skip
        machine.send(command)
    assert machine.data_to_send() == b"BDAT 2\r\na\rBDAT 2 LAST\r\n\n."


@pytest.mark.parametrize("last", [False, True])
def test_after_a_refused_chunk_only_RSET_helps(last: bool) -> None:
    machine = in_transaction()
    machine.send(smtp.Bdat(1, last=last))
    machine.send(smtp.Body(b"x"))
    answer(machine, b"554 no\r\n")
    assert machine.state is State.CHUNK_REFUSED
    for command in (smtp.Bdat(0, last=True), smtp.Mail(ALICE), smtp.Data()):
        with pytest.raises(LocalProtocolError, match="after a refused chunk"):
            machine.send(command)
    machine.send(smtp.Rset())
    answer(machine, b"250 ok\r\n")
    machine.send(smtp.Mail(ALICE))


def test_an_early_refusal_does_not_cut_a_chunk_short() -> None:
    machine = in_transaction()
    machine.send(smtp.Bdat(2))
    machine.send(smtp.Body(b"x"))
    answer(machine, b"552 too large\r\n")
    with pytest.raises(LocalProtocolError, match="inside a chunk"):
        machine.send(smtp.Rset())
    machine.send(smtp.Body(b"y"))
    machine.send(smtp.Rset())


def test_P13_a_challenge_or_354_does_not_answer_a_chunk() -> None:
    machine = in_transaction()
    machine.send(smtp.Bdat(0, last=True))
    machine.receive_data(b"354 go\r\n")
    with pytest.raises(RemoteProtocolError, match="354 does not answer BDAT"):
        machine.next_event()


def test_BDAT_and_BINARYMIME_are_not_sent_unoffered() -> None:
    machine = in_transaction(offer=b"250-mx\r\n250 PIPELINING\r\n")
    with pytest.raises(LocalProtocolError, match="BDAT needs CHUNKING"):
        machine.send(smtp.Bdat(1))
    machine = client(b"250-mx\r\n250 8BITMIME\r\n")
    with pytest.raises(LocalProtocolError, match="needs BINARYMIME"):
        machine.send(smtp.Mail(ALICE, body=smtp.BodyType.BINARY_MIME))
    machine = in_transaction(smtp.BodyType.BINARY_MIME)
    with pytest.raises(LocalProtocolError, match="by BDAT, not by DATA"):
        machine.send(smtp.Data())


def test_lmtp_has_a_reply_for_each_recipient_after_the_last_chunk() -> None:
    machine = in_transaction(lmtp=True)
    machine.send(smtp.Bdat(1))
    machine.send(smtp.Body(b"x"))
    machine.send(smtp.Bdat(0, last=True))
    answer(machine, b"250 ok\r\n250 ok\r\n")
    assert machine.pending == 1
    answer(machine, b"452 full\r\n")
    assert (machine.pending, machine.state) == (0, State.READY)


def test_lmtp_refuses_a_chunk_for_nobody_once() -> None:
    machine = client(lmtp=True)
    for command in (smtp.Mail(ALICE), smtp.Rcpt(ALICE), smtp.Bdat(0, last=True)):
        machine.send(command)
    answer(machine, b"250 ok\r\n550 no\r\n503 no\r\n")
    assert (machine.pending, machine.state) == (0, State.CHUNK_REFUSED)


# ------------------------------------------------------------------------------- both together


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    st.lists(st.integers(1, 40), max_size=4),
    st.booleans(),
)
def test_P18_any_octets_arrive_as_they_are(
    chunks: list[bytes], sizes: list[int], lmtp: bool
) -> None:
    machine = smtp.Server("mx.example", offer=smtp.Offer(binarymime=True), lmtp=lmtp)
    link = Link(smtp.Client(lmtp=lmtp), machine, on_server=accept, sizes=sizes)
    link.pump()
    link.client.send(smtp.Lhlo("a") if lmtp else smtp.Ehlo("a"))
    link.pump()
    link.client.send(smtp.Mail(ALICE, body=smtp.BodyType.BINARY_MIME))
    link.client.send(smtp.Rcpt(ALICE))
    for number, chunk in enumerate(chunks, 1):
        link.client.send(smtp.Bdat(len(chunk), last=number == len(chunks)))
        if chunk:
            link.client.send(smtp.Body(chunk))
    link.pump()
    bodies = [e.data for e in link.server_events if isinstance(e, smtp.Body)]
    assert b"".join(bodies) == b"".join(chunks)
    ends = [e for e in link.server_events if isinstance(e, smtp.EndOfChunk)]
    assert [e.size for e in ends] == [len(chunk) for chunk in chunks[:-1]]
    assert link.client.state is State.READY
    assert link.client.pending == 0
