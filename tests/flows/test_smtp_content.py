"""Where content comes from: every kind of source gives the same octets, and little at a time."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Iterator
from email.message import EmailMessage
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from mailproto.flows.effects import Call, Flow
from mailproto.flows.smtp_content import PIECE, Content, source_of

OCTETS = b"0123456789abcd\r\n" * (PIECE // 8) + b"end\r\n"


async def all_of(content: Content) -> list[bytes]:
    """The pieces that a source gives, under an event loop."""
    source = source_of(content)

    def flow() -> Flow[list[bytes]]:
        pieces: list[bytes] = []
        while (piece := (yield from source.next())) is not None:
            pieces.append(piece)
        return pieces

    running = flow()
    value: object = None
    try:
        while True:
            effect = running.send(value)
            assert isinstance(effect, Call)
            value = effect.function()
            if isinstance(value, Awaitable) and not effect.blocking:
                value = await value
    except StopIteration as stop:
        return stop.value


def pieces(content: Content) -> list[bytes]:
    return asyncio.run(all_of(content))


async def _asynchronously(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


class AsyncFile:
    """A file whose ``read`` is awaited."""

    def __init__(self, octets: bytes) -> None:
        self._file = BytesIO(octets)

    async def read(self, size: int, /) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(size)


PARTS = [OCTETS[:5], b"", OCTETS[5:100_000], OCTETS[100_000:]]


@pytest.mark.parametrize(
    "content",
    [
        OCTETS,
        bytearray(OCTETS),
        memoryview(OCTETS),
        PARTS,
        tuple(PARTS),
        [bytearray(part) for part in PARTS],
        BytesIO(OCTETS),
        AsyncFile(OCTETS),
        [],
        b"",
        BytesIO(),
    ],
    ids=lambda content: type(content).__name__,
)
def test_every_kind_of_content_gives_its_octets(content: Any) -> None:
    found = pieces(content)
    assert b"".join(found) in (OCTETS, b"")
    assert b"".join(found) == OCTETS or not content or isinstance(content, BytesIO)
    assert all(len(piece) <= PIECE for piece in found)


def test_iterators_and_asynchronous_ones() -> None:
    assert b"".join(pieces(iter(PARTS))) == OCTETS

    async def streamed() -> bytes:
        return b"".join(await all_of(_asynchronously(PARTS)))

    assert asyncio.run(streamed()) == OCTETS


def test_a_stream_of_asyncio() -> None:
    async def streamed() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(OCTETS)
        reader.feed_eof()
        return b"".join(await all_of(reader))

    assert asyncio.run(streamed()) == OCTETS


def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"envelope\n" + OCTETS)
    with path.open("rb") as file:
        file.readline()
        assert b"".join(pieces(file)) == OCTETS


@pytest.mark.parametrize("content", ["text", EmailMessage()])
def test_text_is_no_content(content: Any) -> None:
    with pytest.raises(TypeError, match="octets"):
        source_of(content)


async def _text_asynchronously() -> AsyncIterator[Any]:
    yield "text"


@pytest.mark.parametrize(
    "content",
    [["text"], iter(["text"]), [1, 2], StringIO("text"), _text_asynchronously()],
    ids=lambda content: type(content).__name__,
)
def test_P21_what_is_not_octets_never_ends_a_message(content: Any) -> None:
    with pytest.raises(TypeError, match=r"content is octets, and its source gave (str|int)"):
        pieces(content)


@pytest.mark.parametrize("content", [7, None])
def test_a_number_is_no_content(content: Any) -> None:
    with pytest.raises(TypeError, match=f"content is octets, .* not {type(content).__name__}"):
        source_of(content)


def test_P21_a_file_that_has_nothing_now_has_not_ended() -> None:
    class NotYet:
        def read(self, size: int, /) -> Any:
            return None

    with pytest.raises(TypeError, match="NoneType"):
        pieces(NotYet())


def test_P08_of_a_large_file_little_is_in_memory() -> None:
    class Zeros:
        """64 MiB that are nowhere."""

        left = 64 * 1024 * 1024

        def read(self, size: int, /) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    source = source_of(Zeros())

    def drain() -> Iterator[int]:
        while True:
            flow = source.next()
            value: object = None
            try:
                while True:
                    effect = flow.send(value)
                    assert isinstance(effect, Call)
                    value = effect.function()
            except StopIteration as stop:
                if stop.value is None:
                    return
                yield len(stop.value)

    tracemalloc.start()
    try:
        assert sum(drain()) == 64 * 1024 * 1024
        assert tracemalloc.get_traced_memory()[1] < 4 * PIECE
    finally:
        tracemalloc.stop()
