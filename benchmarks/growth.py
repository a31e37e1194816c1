"""Twice the input, twice the time: our machines at four sizes, in chunks of three sizes.

Every chunking of every kind of input must cost the same per octet at eight times the size. Runs in
one process, sizes in turn, the least of several runs each; a case that looks worse than linear gets
more runs before it counts, because noise only adds time.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import data
import workloads
from peers import mailproto
from registry import KIB, in_chunks

CHUNKS = (1, 1448, 65_536)
FACTORS = (1, 2, 4, 8)
PATIENCE = 6
MOST = 1.1
"""The greatest exponent that counts as linear; quadratic is 2."""

Feed = Callable[[list[bytes]], None]
"""Hands chunks to a fresh machine and checks that they were understood."""

Input = Callable[[int], tuple[bytes, Feed]]
"""octets -> about so much wire, and its feed."""

INPUTS: dict[str, Input] = {}


def growing(make: Input) -> Input:
    """Register an input that can be made at any size; its name shows up."""
    INPUTS[make.__name__] = make
    return make


@growing
def smtp_server_content(octets: int) -> tuple[bytes, Feed]:
    """One message by DATA."""
    job = workloads.transactions(data.normal_content(octets), 1, pipelined=True)

    def feed(chunks: list[bytes]) -> None:
        assert mailproto.receive(chunks) == job.expected

    return b"".join(chunk for chunk, _ in job.given), feed


@growing
def smtp_server_pipelined(octets: int) -> tuple[bytes, Feed]:
    """Many small transactions."""
    job = workloads.transactions(data.normal_content(512), octets // 700, pipelined=True)

    def feed(chunks: list[bytes]) -> None:
        assert mailproto.receive(chunks) == job.expected

    return b"".join(chunk for chunk, _ in job.given), feed


@growing
def smtp_client_content(octets: int) -> tuple[bytes, Feed]:
    """One message handed to the client in chunks."""
    content = data.normal_content(octets)
    wire = data.stuffed(content)

    def feed(chunks: list[bytes]) -> None:
        assert b"".join(mailproto.submit(mailproto.smtp_ready_for_mail(), chunks)) == wire

    return content, feed


@growing
def imap_client_fetch(octets: int) -> tuple[bytes, Feed]:
    """FETCH responses with envelopes and structures."""
    lines, said = data.fetch_responses(octets // 900)

    def feed(chunks: list[bytes]) -> None:
        assert len(mailproto.responses(mailproto.imap_selected_client(), chunks)) == len(said)

    return b"".join(lines), feed


@growing
def imap_client_literal(octets: int) -> tuple[bytes, Feed]:
    """One FETCH response with a message as a literal."""
    content = data.normal_content(octets)
    wire = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(content), content)

    def feed(chunks: list[bytes]) -> None:
        events = mailproto.responses(mailproto.imap_selected_client(), chunks)
        streamed = [e.data for e in events if type(e) is mailproto.imap.LiteralChunk]
        whole = [e.section() for e in events if type(e) is mailproto.imap.FetchData]
        assert (b"".join(streamed) or whole[0]) == content  # small ones come whole

    return wire, feed


@growing
def imap_server_commands(octets: int) -> tuple[bytes, Feed]:
    """Many commands, non-synchronizing literals among them."""
    lines, names = data.commands(octets // 70)

    def feed(chunks: list[bytes]) -> None:
        found = mailproto.commands(mailproto.imap_selected_server(), chunks)
        assert mailproto.read_commands(found) == names

    return b"".join(lines), feed


@growing
def pop3_client_retr(octets: int) -> tuple[bytes, Feed]:
    """One message by RETR."""
    job = workloads.retrievals(data.normal_content(octets), 1)

    def feed(chunks: list[bytes]) -> None:
        assert mailproto.retrieve(mailproto.pop3_transaction_state(), chunks) == job.expected[0]

    return job.given[0], feed


@growing
def pop3_client_retr_worst(octets: int) -> tuple[bytes, Feed]:
    """One message by RETR, every line a dot."""
    job = workloads.retrievals(data.dots_content(octets), 1)

    def feed(chunks: list[bytes]) -> None:
        assert mailproto.retrieve(mailproto.pop3_transaction_state(), chunks) == job.expected[0]

    return job.given[0], feed


@growing
def pop3_client_list(octets: int) -> tuple[bytes, Feed]:
    """One LIST."""
    job = workloads.pop3_client_list(octets // 14)

    def feed(chunks: list[bytes]) -> None:
        entries = mailproto.listing(mailproto.pop3.List(), chunks)
        assert mailproto.pairs(entries) == job.expected

    return job.given, feed


@growing
def pop3_client_uidl(octets: int) -> tuple[bytes, Feed]:
    """One UIDL."""
    job = workloads.pop3_client_uidl(octets // 24)

    def feed(chunks: list[bytes]) -> None:
        entries = mailproto.listing(mailproto.pop3.Uidl(), chunks)
        assert mailproto.pairs(entries) == job.expected

    return job.given, feed


@growing
def pop3_server_content(octets: int) -> tuple[bytes, Feed]:
    """One message handed to the server in chunks."""
    content = data.normal_content(octets)
    wire = data.stuffed(content)

    def feed(chunks: list[bytes]) -> None:
        server = mailproto.pop3_open_maildrop()
        sent = mailproto.answer(
            server, b"RETR 1\r\n", map(mailproto.pop3.Body, chunks), mailproto.pop3.EndOfMessage()
        )
        assert mailproto.read_answers([sent]) == [wire]

    return content, feed


@growing
def pop3_server_commands(octets: int) -> tuple[bytes, Feed]:
    """Many commands, as pipelined as chunks are large."""
    wire = b"".join(b"NOOP\r\nDELE %d\r\n" % number for number in range(1, octets // 18 + 1))

    def feed(chunks: list[bytes]) -> None:
        server, count = mailproto.pop3_open_maildrop(), 0
        for chunk in chunks:
            server.receive_data(chunk)
            while server.next_event() is not mailproto.pop3.NEED_DATA:
                server.send(mailproto.pop3.Ok())
                count += 1
            server.data_to_send()
        assert count == wire.count(b"\n")

    return wire, feed


@dataclass(frozen=True)
class Case:
    """One kind of input in one chunk size."""

    name: str
    chunk: int
    octets: list[int]
    seconds: list[float]

    @property
    def exponent(self) -> float:
        """The slope of log time over log size, by least squares."""
        xs = [math.log(octets) for octets in self.octets]
        ys = [math.log(seconds) for seconds in self.seconds]
        x, y = sum(xs) / len(xs), sum(ys) / len(ys)
        return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum(
            (a - x) ** 2 for a in xs
        )

    @property
    def linear(self) -> bool:
        return self.exponent <= MOST

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "exponent": self.exponent}


def measure_case(name: str, chunk: int, least: int, rounds: int) -> Case:
    prepared = []
    for factor in FACTORS:
        wire, feed = INPUTS[name](least * factor)
        prepared.append((len(wire), in_chunks(wire, chunk), feed))
    case = Case(name, chunk, [octets for octets, _, _ in prepared], [math.inf] * len(prepared))
    for _ in range(PATIENCE):
        for _ in range(rounds):
            for index, (_, chunks, feed) in enumerate(prepared):
                gc.collect()
                start = time.process_time()
                feed(chunks)
                seconds = time.process_time() - start
                case.seconds[index] = min(case.seconds[index], seconds)
        if case.linear:
            break
    return case


def measure(only: str, *, quick: bool) -> list[Case]:
    cases = []
    for name in INPUTS:
        for chunk in CHUNKS if only in name else ():
            least = (4 * KIB if chunk == 1 else 64 * KIB) * (1 if quick else 8)
            cases.append(measure_case(name, chunk, least, rounds=3))
    return cases


def show(cases: list[Case]) -> None:
    print("\nGrowth over eight times the size (1 is linear, 2 quadratic)")
    print(f"  {'input':<36}{'chunk':>8}{'ns CPU/octet, smallest to largest':>38}{'exponent':>10}")
    for case in cases:
        each = " ".join(
            f"{s / n * 1e9:8.1f}" for n, s in zip(case.octets, case.seconds, strict=True)
        )
        verdict = "" if case.linear else "  NOT LINEAR"
        print(f"  {case.name:<36}{case.chunk:>8}{each:>38}{case.exponent:>10.2f}{verdict}")
