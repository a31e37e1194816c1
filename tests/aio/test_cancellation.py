"""What only asyncio can do to a client: cancel it, and use it twice at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mailproto import aio, imap
from mailproto.errors import ConnectionLost

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    """A scripted server; its port."""

    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.append(task)
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*served, return_exceptions=True)


async def greet_and_be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n")
    await reader.read()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


def test_cancelling_an_operation_closes_the_connection() -> None:
    """Nobody could tell what the next response belongs to."""

    async def main() -> None:
        async with serving(greet_and_be_silent) as port:
            client = await aio.imap.connect("127.0.0.1", port, tls="none")
            task = asyncio.ensure_future(client.noop())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert client.closed
            with pytest.raises(ConnectionLost):
                await client.noop()
            await client.close()

    run(main)


def test_a_timeout_from_outside_is_a_cancellation() -> None:
    async def main() -> None:
        async with serving(greet_and_be_silent) as port:
            client = await aio.imap.connect("127.0.0.1", port, tls="none")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.noop()
            assert client.closed
            await client.close()

    run(main)


def test_cancelling_connect_leaves_nothing_open() -> None:
    gone = asyncio.Event()

    async def never_greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        gone.set()

    async def main() -> None:
        async with serving(never_greet) as port:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await aio.imap.connect("127.0.0.1", port, tls="none")
            await gone.wait()

    run(main)


def test_a_cancelled_block_says_nothing_to_the_server() -> None:
    said = bytearray()
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* PREAUTH hi\r\n")
        said.extend(await reader.read())
        gone.set()

    async def use(port: int) -> None:
        async with await aio.imap.connect("127.0.0.1", port, tls="none"):
            await asyncio.sleep(30)

    async def main() -> None:
        async with serving(listen) as port:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await use(port)
            await gone.wait()
        assert said == b""

    run(main)


def test_a_second_operation_has_to_wait() -> None:
    """It is refused, and the first one goes on."""

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* PREAUTH hi\r\n")
        tag = (await reader.readline()).partition(b" ")[0]
        await refused.wait()
        writer.write(tag + b" OK done\r\n")
        await reader.read()

    refused = asyncio.Event()

    async def main() -> None:
        async with serving(answer_late) as port:
            client = await aio.imap.connect("127.0.0.1", port, tls="none")
            first = asyncio.ensure_future(client.call(imap.Noop()))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another operation"):
                await client.noop()
            refused.set()
            assert (await first).completion.state is imap.OK
            assert not client.closed
            await client.close()

    run(main)
