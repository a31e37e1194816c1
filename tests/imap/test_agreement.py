"""The client's machine sees exactly what the server's machine sent, in every chunking."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from mailproto import imap
from mailproto._core.limits import IMAPClientLimits
from mailproto._core.machine import Signal
from mailproto.testing.link import Link
from mailproto.testing.strategies import imap as strategies

sizes = st.lists(st.integers(1, 40), max_size=3)


def connected(
    said: list[imap.Response], chunks: list[int], threshold: int = 1_000_000
) -> Link[imap.Client, imap.Server]:
    """Two machines in the selected state; to NOOP the server says ``said`` before OK."""

    def on_server(server: imap.Server, event: object) -> None:
        match event:
            case Signal() if server.state is imap.State.GREETING:
                server.send(imap.Condition(imap.PREAUTH, "hello"))
            case imap.Tagged(tag, imap.Select()):
                server.send(imap.Completion(tag, imap.OK, "selected", imap.READ_WRITE))
            case imap.Tagged(tag, imap.Noop()):
                for response in said:
                    server.send(response)
                server.send(imap.Completion(tag, imap.OK, "done"))
            case _:
                pass

    limits = IMAPClientLimits(literal_threshold=threshold)
    link = Link(
        imap.Client(tls=True, limits=limits),
        imap.Server(tls=True),
        on_server=on_server,
        sizes=chunks,
    )
    link.pump()
    link.client.send(imap.Select("INBOX"))
    link.pump()
    link.client_events.clear()
    return link


def is_data(response: imap.Response) -> bool:
    """Whether it may come in the middle of a session."""
    if isinstance(response, imap.Condition):
        return response.state in (imap.OK, imap.NO, imap.BAD)
    return not isinstance(response, imap.Completion)


@given(st.lists(strategies.responses().filter(is_data), max_size=4), sizes)
def test_P18_the_client_sees_exactly_what_the_server_sent(
    said: list[imap.Response], chunks: list[int]
) -> None:
    link = connected(said, chunks)
    link.client.send(imap.Noop())
    link.pump()
    assert link.client_events == [*said, imap.Completion("A2", imap.OK, "done")]
    assert link.client.quirks == frozenset()


@given(strategies.sections(), strategies.sections(), st.binary(min_size=20, max_size=90), sizes)
def test_P01_streamed_literals_on_both_sides(
    first: imap.Section, second: imap.Section, content: bytes, chunks: list[int]
) -> None:
    """The server streams two literals of one response, the client gets them as chunks."""
    head, tail = content[:7], content[7:]
    size = len(content)
    data = imap.FetchData(
        3,
        uid=9,
        sections=(
            imap.SectionData(first, imap.Streamed(size)),
            imap.SectionData(second, imap.Streamed(size)),
        ),
    )
    pieces = [imap.LiteralChunk(head), imap.LiteralChunk(tail)]
    link = connected([data, *pieces, *pieces], chunks, threshold=10)
    link.client.send(imap.Noop())
    link.pump()
    starts = [event for event in link.client_events if isinstance(event, imap.LiteralStart)]
    expected = imap.LiteralStart(3, 9, first, size)
    assert starts == [expected, attrs.evolve(expected, section=second)]
    found = [event.data for event in link.client_events if isinstance(event, imap.LiteralChunk)]
    assert b"".join(found) == content * 2
    assert link.client_events[-2] == data
