"""The asyncio driver and server, with flows that speak no mail protocol at all."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import cast

import pytest

from mailproto import aio
from mailproto.aio.driver import Driver
from mailproto.backend.directory import Users, immediate, is_immediate
from mailproto.errors import CommandFailed, ConnectionLost, DeadlineExceeded, TLSError
from mailproto.flows.effects import (
    Flow,
    Read,
    Wakeup,
    call,
    call_blocking,
    deadline,
    read,
    start_tls,
    write,
)
from mailproto.flows.tls import client_context, server_context


def echo_until_eof() -> Flow[None]:
    while data := (yield from read()):
        yield from write(data)


def ask(data: bytes) -> Flow[bytes]:
    yield from write(data)
    received = b""
    while len(received) < len(data):
        piece = yield from read()
        assert piece
        received += piece
    return received


def run(main):
    asyncio.run(asyncio.wait_for(main(), 20))


async def connect(port: int, **options) -> Driver:
    _, driver = await asyncio.get_running_loop().create_connection(
        lambda: Driver(**options), "127.0.0.1", port
    )
    return driver


async def pair() -> tuple[Driver, socket.socket]:
    ours, theirs = socket.socketpair()
    _, driver = await asyncio.get_running_loop().create_connection(Driver, sock=ours)
    return driver, theirs


def test_echo_with_backpressure():
    async def main():
        async with aio.Server() as server:
            port = await server.listen("127.0.0.1", 0, lambda peer: echo_until_eof())
            driver = await connect(port)
            block = bytes(range(256)) * 512
            for _ in range(4):
                assert await driver.run(ask(block)) == block
            driver.close()
            await driver.wait_closed()

    run(main)


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_both_ways(implicit, certificate):
    def upgrade() -> Flow[None]:
        assert (yield from read()) == b"STARTTLS\r\n"
        yield from write(b"go\r\n")
        yield from start_tls()
        yield from echo_until_eof()

    def client() -> Flow[bytes]:
        if not implicit:
            yield from write(b"STARTTLS\r\n")
            assert (yield from read()) == b"go\r\n"
        yield from start_tls()
        return (yield from ask(b"secret" * 20_000))

    async def main():
        async with aio.Server() as server:
            port = await server.listen(
                "127.0.0.1",
                0,
                lambda peer: echo_until_eof() if implicit else upgrade(),
                tls=server_context(certificate.cert, certificate.key),
                implicit_tls=implicit,
            )
            driver = await connect(
                port, tls=client_context(certificate.cert), server_hostname="localhost"
            )
            assert await driver.run(client()) == b"secret" * 20_000
            driver.close()
            await driver.wait_closed()

    run(main)


def test_wrong_host_name_is_refused(certificate):
    async def main():
        async with aio.Server() as server:
            port = await server.listen(
                "127.0.0.1",
                0,
                lambda peer: echo_until_eof(),
                tls=server_context(certificate.cert, certificate.key),
                implicit_tls=True,
            )
            driver = await connect(
                port, tls=client_context(certificate.cert), server_hostname="other.example"
            )
            with pytest.raises(TLSError, match=r"other\.example"):
                await driver.run(start_tls())
            assert driver.closed

    run(main)


def test_plaintext_instead_of_a_handshake_is_a_tls_error(certificate):
    async def main():
        driver, peer = await pair()
        driver.abort()
        peer.close()
        ours, theirs = socket.socketpair()
        _, driver = await asyncio.get_running_loop().create_connection(
            lambda: Driver(tls=client_context(certificate.cert), server_hostname="localhost"),
            sock=ours,
        )
        theirs.sendall(b"250 injected\r\n" * 3)
        with pytest.raises(TLSError):
            await driver.run(start_tls())
        theirs.close()

    run(main)


def test_P24_deadline_is_total_not_per_read():
    async def main():
        driver, peer = await pair()
        peer.setblocking(False)

        async def trickle():
            while True:
                await asyncio.sleep(0.02)
                peer.send(b".")

        def endless() -> Flow[None]:
            yield from deadline(0.2)
            while True:
                yield from read()

        task = asyncio.ensure_future(trickle())
        with pytest.raises(DeadlineExceeded):
            await driver.run(endless())
        assert driver.closed
        task.cancel()
        with pytest.raises((asyncio.CancelledError, OSError)):
            await task
        peer.close()

    run(main)


def answered_by(answer, results) -> Flow[None]:
    """Until the end of file, by ``answer``, which the driver need not call itself."""
    while (got := (yield Read(None, answer))) != b"":
        if isinstance(got, bytes):
            got = answer(got)
        if isinstance(got, bytes):
            yield from write(got)
        elif got is not None:
            results.append(got)
            yield from cast("Flow[None]", got)


def shouted(data: bytes) -> bytes | Flow[None]:
    """An answer past the flow: capitals come back, ``stop`` gets a flow, and ``1/0`` its error."""
    if data == b"1/0":
        raise ZeroDivisionError
    if data == b"stop":
        return write(b"stopped")
    return bytes(octet for octet in data if chr(octet).isupper())


@pytest.mark.parametrize("tls", [False, True])
def test_answers_past_the_flow_go_out_and_what_is_none_is_the_result(tls, certificate):
    results: list[object] = []
    context = server_context(certificate.cert, certificate.key)
    trusted = {"tls": client_context(certificate.cert), "server_hostname": "localhost"}

    async def main():
        async with aio.Server() as server:
            port = await server.listen(
                "127.0.0.1",
                0,
                lambda peer: answered_by(shouted, results),
                tls=context,
                implicit_tls=tls,
            )
            driver = await connect(port, **trusted)
            if tls:
                await driver.run(start_tls())
            assert await driver.run(ask(b"LOUD")) == b"LOUD"
            await driver.run(write(b"quiet"))
            assert await driver.run(ask(b"LOUDER")) == b"LOUDER"
            assert not results
            await driver.run(write(b"stop"))
            assert await driver.run(read()) == b"stopped"
            assert await driver.run(ask(b"AGAIN")) == b"AGAIN"
            driver.close()
            await driver.wait_closed()
        assert len(results) == 1

    run(main)


def test_an_error_in_an_answer_is_raised_in_the_flow():
    async def main():
        driver, peer = await pair()

        def careful() -> Flow[str]:
            try:
                yield from answered_by(shouted, [])
            except ZeroDivisionError:
                return "caught"
            return "missed"

        peer.sendall(b"1/0")
        assert await driver.run(careful()) == "caught"
        driver.abort()
        peer.close()

    run(main)


def test_an_answer_that_the_peer_is_slow_to_take_is_waited_for():
    """Nothing more is read meanwhile, so that what waits to be sent is bounded."""
    block = b"X" * (1 << 22)
    asked = []

    def verbose(data: bytes) -> bytes:
        asked.append(data)
        return block

    async def main():
        async with aio.Server() as server:
            port = await server.listen("127.0.0.1", 0, lambda peer: answered_by(verbose, []))
            driver = await connect(port)
            await driver.run(write(b"1"))
            first = await driver.run(read())
            await driver.run(write(b"2"))
            received = len(first or b"")
            while received < 2 * len(block):
                piece = await driver.run(read())
                received += len(piece or b"")
            driver.close()
            await driver.wait_closed()
        assert (received, asked) == (2 * len(block), [b"1", b"2"])

    run(main)


def test_P24_each_answer_begins_the_deadline_anew_and_silence_does_not():
    async def main():
        loop = asyncio.get_running_loop()
        passed = [0.0]
        clock = loop.time
        loop.time = lambda: clock() + passed[0]  # type: ignore[method-assign]  # the test's clock
        driver, peer = await pair()
        answered = []

        def slow(data: bytes) -> bytes:
            answered.append(data)
            passed[0] += 50.0
            peer.send(data)
            return data if len(answered) < 5 else b""

        def session() -> Flow[None]:
            yield from deadline(60.0)
            yield from answered_by(slow, [])

        peer.send(b".")
        with pytest.raises(DeadlineExceeded):
            await driver.run(session())
        assert len(answered) in (5, 6, 7)
        peer.close()

    asyncio.run(main())


def test_P24_a_deadline_that_passes_in_a_call_still_holds():
    async def main():
        driver, theirs = await pair()

        def flow() -> Flow[bytes | None]:
            yield from deadline(0.01)
            yield from call(asyncio.sleep, 0.05)
            return (yield from read())

        with theirs, pytest.raises(DeadlineExceeded):
            await driver.run(flow())

    run(main)


def test_deadline_also_bounds_writes():
    async def main():
        driver, peer = await pair()

        def flood() -> Flow[None]:
            yield from deadline(0.1)
            while True:
                yield from write(b"x" * 65536)

        with pytest.raises(DeadlineExceeded):
            await driver.run(flood())
        peer.close()

    run(main)


def test_flow_that_never_waits_for_long_still_ends():
    """Thousands of effects that complete at once must not deepen the stack."""

    async def main():
        driver, peer = await pair()

        def busy() -> Flow[int]:
            total = 0
            for _ in range(50_000):
                total += yield from call(int, "1")
            return total

        assert await driver.run(busy()) == 50_000
        driver.abort()
        peer.close()

    run(main)


def test_end_of_file_is_end_of_file():
    async def main():
        driver, peer = await pair()
        peer.sendall(b"last")
        peer.close()
        assert await driver.run(read()) == b"last"
        assert await driver.run(read()) == b""
        driver.abort()

    run(main)


def test_refusal_leaves_the_connection_usable_and_cancellation_closes_it():
    async def main():
        driver, peer = await pair()

        def refused() -> Flow[None]:
            yield from write(b"x")
            raise CommandFailed("X", "no")

        with pytest.raises(CommandFailed):
            await driver.run(refused())
        peer.sendall(b"y")
        assert await driver.run(read()) == b"y"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(driver.run(read()), 0.05)
        assert driver.closed
        with pytest.raises(ConnectionLost):
            await driver.run(read())
        peer.close()

    run(main)


def test_calls_may_be_plain_awaitable_or_blocking():
    async def main():
        driver, peer = await pair()

        async def late(value: int) -> int:
            await asyncio.sleep(0)
            if not value:
                raise ValueError("nothing")
            return value

        def flow() -> Flow[list[object]]:
            one = yield from call(int, "1")
            two = yield from call(late, 2)
            results: list[object] = [one, two]
            results.append((yield from call_blocking(threading.current_thread)))
            try:
                one = yield from call(late, 0)
            except ValueError as error:
                results.append(str(error))
            return results

        one, two, thread, error = await driver.run(flow())
        assert (one, two, error) == (1, 2, "nothing")
        assert thread is not threading.main_thread()
        driver.abort()
        peer.close()

    run(main)


def test_what_answers_at_once_is_called_on_the_loop_and_its_override_is_not():
    class Fixed:
        @immediate
        def whose(self, name: str) -> tuple[str, threading.Thread]:
            return name, threading.current_thread()

    class Slow(Fixed):
        def whose(self, name: str) -> tuple[str, threading.Thread]:
            return name, threading.current_thread()

    class Async:
        async def whose(self, name: str) -> tuple[str, threading.Thread]:
            await asyncio.sleep(0)
            return name, threading.current_thread()

    async def main():
        driver, peer = await pair()

        def flow() -> Flow[list[tuple[str, threading.Thread]]]:
            fixed = yield from call_blocking(Fixed().whose, "alice")
            slow = yield from call_blocking(Slow().whose, "alice")
            coroutine = yield from call_blocking(Async().whose, "alice")
            return [fixed, slow, coroutine]

        fixed, slow, coroutine = await driver.run(flow())
        assert fixed == coroutine == ("alice", threading.main_thread())
        assert slow[0] == "alice"
        assert slow[1] is not threading.main_thread()
        users = Users({"alice": "secret"}, ["example.com"], iterations=4096)
        assert is_immediate(users.account_for)
        assert is_immediate(users.is_local)
        assert not is_immediate(users.verify)
        assert not is_immediate(users.lookup)
        driver.abort()
        peer.close()

    run(main)


def test_wakeup_ends_a_read_from_another_thread_and_is_never_lost():
    async def main():
        driver, peer = await pair()
        wakeup = Wakeup()
        wakeup.set()
        assert await driver.run(read(wakeup)) is None
        reading = asyncio.ensure_future(driver.run(read(wakeup)))
        await asyncio.sleep(0)
        threading.Thread(target=wakeup.set).start()
        assert await reading is None
        peer.sendall(b"data")
        assert await driver.run(read(wakeup)) == b"data"
        wakeup.set()
        assert await driver.run(read(wakeup)) is None
        driver.abort()
        peer.close()

    run(main)


def test_last_reply_reaches_a_peer_that_still_sends():
    def refuse() -> Flow[None]:
        yield from read()
        yield from write(b"500 no\r\n")

    def talk(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"x" * 3_000_000)
            return sock.recv(100)

    async def main():
        async with aio.Server() as server:
            port = await server.listen("127.0.0.1", 0, lambda peer: refuse())
            assert await asyncio.to_thread(talk, port) == b"500 no\r\n"

    run(main)


def test_shutdown_wakes_sessions_and_close_waits_for_them():
    async def main():
        server = aio.Server()

        def session() -> Flow[None]:
            wakeup = Wakeup()
            with server.shutdown.watch(wakeup):
                yield from write(b"hello\r\n")
                while (yield from read(wakeup)) is not None:
                    pass
                yield from write(b"bye\r\n")

        port = await server.listen("127.0.0.1", 0, lambda peer: session())
        driver = await connect(port)
        assert await driver.run(read()) == b"hello\r\n"
        closing = asyncio.ensure_future(server.close())
        assert await driver.run(read()) == b"bye\r\n"
        assert await driver.run(read()) == b""
        driver.close()
        await closing
        assert server.connections == 0

    run(main)


def test_session_that_will_not_end_is_cut_after_the_grace():
    async def main():
        server = aio.Server()

        def deaf() -> Flow[None]:
            while (yield from read()) != b"":
                pass

        port = await server.listen("127.0.0.1", 0, lambda peer: deaf())
        driver = await connect(port)
        reading = asyncio.ensure_future(driver.run(read()))
        await asyncio.sleep(0)
        await server.close(grace=0.05)
        assert await reading == b""
        driver.abort()

    run(main)


@pytest.mark.parametrize("peer_leaves", [False, True])
def test_what_a_session_waits_for_is_cancelled_with_it(peer_leaves: bool):
    async def main():
        tasks = asyncio.all_tasks()
        begun = asyncio.Event()
        told: list[str] = []

        async def endless() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                told.append("cancelled")

        def busy() -> Flow[None]:
            try:
                yield from call(endless)
            except ConnectionLost:
                told.append("the session has heard of it")

        server = aio.Server()
        port = await server.listen("127.0.0.1", 0, lambda peer: busy())
        driver = await connect(port)
        await begun.wait()
        if peer_leaves:
            # Its connection is gone, and what was begun for it is not.
            driver.abort()
            await driver.wait_closed()
        await server.close(grace=0.05)
        assert told == ["cancelled", "the session has heard of it"]
        assert asyncio.all_tasks() == tasks
        assert server.connections == 0
        driver.abort()

    run(main)


def test_a_session_goes_on_to_its_end_when_the_peer_has_gone():
    async def main():
        begun, ended = asyncio.Event(), asyncio.Event()
        go_on = asyncio.Event()

        async def deliver() -> None:
            begun.set()
            await go_on.wait()
            ended.set()

        server = aio.Server()
        port = await server.listen("127.0.0.1", 0, lambda peer: call(deliver))
        driver = await connect(port)
        await begun.wait()
        driver.abort()
        await driver.wait_closed()
        closing = asyncio.ensure_future(server.close())
        await asyncio.sleep(0)
        go_on.set()
        await closing
        assert ended.is_set()

    run(main)
