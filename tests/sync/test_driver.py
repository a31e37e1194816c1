"""The blocking driver and server, with flows that speak no mail protocol at all."""

from __future__ import annotations

import socket
import threading
import time
from typing import cast

import pytest

from mailproto import sync
from mailproto.errors import CommandFailed, ConnectionLost, DeadlineExceeded, TLSError
from mailproto.flows.effects import Flow, Read, Wakeup, call, deadline, read, start_tls, write
from mailproto.flows.serving import Peer
from mailproto.flows.tls import client_context, server_context
from mailproto.sync.driver import Driver


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


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    driver = Driver(ours)
    yield driver, theirs
    driver.abort()
    theirs.close()


def test_echo_of_more_than_any_buffer_holds():
    with sync.Server() as server:
        port = server.listen("127.0.0.1", 0, lambda peer: echo_until_eof())
        driver = Driver(socket.create_connection(("127.0.0.1", port)))
        block = bytes(range(256)) * 256
        for _ in range(4):
            assert driver.run(ask(block)) == block
        driver.close()


def test_one_flow_at_a_time(pair):
    """As in asyncio: neither from another thread, nor from what a flow has called."""
    driver, theirs = pair
    problems: list[str] = []

    def again() -> None:
        try:
            driver.run(ask(b"x"))
        except RuntimeError as error:
            problems.append(str(error))

    def outer() -> Flow[bytes]:
        yield from call(again)
        thread = threading.Thread(target=again)
        thread.start()
        thread.join()
        return (yield from ask(b"y"))

    theirs.sendall(b"y")
    assert driver.run(outer()) == b"y"
    assert problems == ["another operation is under way on this connection"] * 2
    assert theirs.recv(99) == b"y"
    theirs.sendall(b"z")
    assert driver.run(ask(b"z")) == b"z"


def test_peer_is_described():
    seen: list[Peer] = []

    def factory(peer: Peer) -> Flow[None]:
        seen.append(peer)
        return echo_until_eof()

    with sync.Server() as server:
        port = server.listen("127.0.0.1", 0, factory)
        driver = Driver(sock := socket.create_connection(("127.0.0.1", port)))
        assert driver.run(ask(b"x")) == b"x"
        assert seen == [Peer("127.0.0.1", sock.getsockname()[1], "127.0.0.1", port)]
        driver.close()


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
        return (yield from ask(b"secret" * 100_000))

    with sync.Server() as server:
        port = server.listen(
            "127.0.0.1",
            0,
            lambda peer: echo_until_eof() if implicit else upgrade(),
            tls=server_context(certificate.cert, certificate.key),
            implicit_tls=implicit,
        )
        driver = Driver(
            socket.create_connection(("127.0.0.1", port)),
            tls=client_context(certificate.cert),
            server_hostname="localhost",
        )
        assert driver.run(client()) == b"secret" * 100_000
        assert driver.channel is not None
        assert driver.channel.version().startswith("TLSv1.")
        driver.close()


def test_wrong_host_name_is_refused(certificate):
    with sync.Server() as server:
        port = server.listen(
            "127.0.0.1",
            0,
            lambda peer: echo_until_eof(),
            tls=server_context(certificate.cert, certificate.key),
            implicit_tls=True,
        )
        driver = Driver(
            socket.create_connection(("127.0.0.1", port)),
            tls=client_context(certificate.cert),
            server_hostname="other.example",
        )
        with pytest.raises(TLSError, match=r"other\.example"):
            driver.run(start_tls())
        assert driver.closed


def test_P24_deadline_is_total_not_per_read(pair):
    """A peer that sends an octet now and then cannot stretch the deadline."""
    driver, peer = pair
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.02):
            try:
                peer.send(b".")
            except OSError:
                return

    def endless() -> Flow[None]:
        yield from deadline(0.2)
        while True:
            yield from read()

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        with pytest.raises(DeadlineExceeded):
            driver.run(endless())
        assert driver.closed
    finally:
        stop.set()
        thread.join()


def shouted(data: bytes) -> bytes | Flow[None]:
    """An answer past the flow: capitals come back, ``stop`` gets a flow, and ``1/0`` its error."""
    if data == b"1/0":
        raise ZeroDivisionError
    if data == b"stop":
        return write(b"stopped")
    return bytes(octet for octet in data if chr(octet).isupper())


def test_answers_past_the_flow_go_out_and_what_is_none_is_the_result(pair):
    driver, peer = pair

    def session() -> Flow[int]:
        results = 0
        while (result := (yield Read(None, shouted))) != b"":
            results += 1
            yield from cast("Flow[None]", result)
        return results

    told = []

    def client() -> None:
        for line, answer in ((b"LOUD", 4), (b"stop", 7), (b"AGAIN", 5)):
            peer.sendall(line)
            told.append(peer.recv(answer, socket.MSG_WAITALL))
        peer.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=client)
    thread.start()
    assert driver.run(session()) == 1
    thread.join()
    assert told == [b"LOUD", b"stopped", b"AGAIN"]


def test_an_error_in_an_answer_is_raised_in_the_flow(pair):
    driver, peer = pair
    peer.sendall(b"1/0")

    def careful() -> Flow[str]:
        try:
            yield Read(None, shouted)
        except ZeroDivisionError:
            return "caught"
        return "missed"

    assert driver.run(careful()) == "caught"


def test_P24_each_answer_begins_the_deadline_anew_and_silence_does_not(pair, monkeypatch):
    driver, peer = pair
    passed = [0.0]
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + passed[0])
    answered = []

    def slow(data: bytes) -> bytes:
        answered.append(data)
        passed[0] += 50.0
        peer.send(data)
        return data if len(answered) < 5 else b""

    def session() -> Flow[None]:
        yield from deadline(60.0)
        yield Read(None, slow)

    peer.send(b".")
    with pytest.raises(DeadlineExceeded):
        driver.run(session())
    assert len(answered) in (5, 6)


def test_P24_a_deadline_that_passes_in_a_call_still_holds(pair):
    driver, _ = pair

    def flow() -> Flow[bytes | None]:
        yield from deadline(0.01)
        yield from call(time.sleep, 0.02)
        return (yield from read())

    with pytest.raises(DeadlineExceeded):
        driver.run(flow())


def test_deadline_also_bounds_writes(pair):
    driver, _ = pair

    def flood() -> Flow[None]:
        yield from deadline(0.1)
        while True:
            yield from write(b"x" * 65536)

    with pytest.raises(DeadlineExceeded):
        driver.run(flood())


def test_end_of_file_and_reset_are_end_of_file(pair):
    driver, peer = pair
    peer.close()
    assert driver.run(read()) == b""


def test_refusal_leaves_the_connection_usable(pair):
    driver, peer = pair

    def refused() -> Flow[None]:
        yield from write(b"x")
        raise CommandFailed("X", "no")

    with pytest.raises(CommandFailed):
        driver.run(refused())
    peer.send(b"y")
    assert driver.run(read()) == b"y"


def test_closed_driver_says_so(pair):
    driver, _ = pair
    driver.close()
    with pytest.raises(ConnectionLost):
        driver.run(read())


def test_call_passes_results_and_exceptions(pair):
    driver, _ = pair

    def flow() -> Flow[tuple[int, str]]:
        try:
            yield from call(int, "x")
        except ValueError as error:
            return (yield from call(int, "7")), str(error)
        return 0, ""

    assert driver.run(flow())[0] == 7


def test_awaitable_from_a_call_is_an_error(pair):
    driver, _ = pair

    async def late() -> int:
        return 1

    flow = call(late)
    with pytest.raises(TypeError, match="awaitable"):
        driver.run(flow)


def test_wakeup_ends_a_read_and_is_never_lost(pair):
    driver, peer = pair
    wakeup = Wakeup()
    wakeup.set()
    assert driver.run(read(wakeup)) is None
    thread = threading.Thread(target=wakeup.set)
    thread.start()
    assert driver.run(read(wakeup)) is None
    thread.join()
    peer.send(b"data")
    assert driver.run(read(wakeup)) == b"data"
    wakeup.set()
    assert driver.run(read(wakeup)) is None


def test_last_reply_reaches_a_peer_that_still_sends():
    def refuse() -> Flow[None]:
        yield from read()
        yield from write(b"500 no\r\n")

    with sync.Server() as server:
        port = server.listen("127.0.0.1", 0, lambda peer: refuse())
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"x" * 3_000_000)
            assert sock.recv(100) == b"500 no\r\n"


def test_shutdown_wakes_sessions_and_close_waits_for_them():
    server = sync.Server()

    def session() -> Flow[None]:
        wakeup = Wakeup()
        with server.shutdown.watch(wakeup):
            yield from write(b"hello\r\n")
            while (yield from read(wakeup)) is not None:
                pass
            yield from write(b"bye\r\n")

    port = server.listen("127.0.0.1", 0, lambda peer: session())
    with socket.create_connection(("127.0.0.1", port)) as sock:
        assert sock.recv(100) == b"hello\r\n"
        closer = threading.Thread(target=server.close)
        closer.start()
        assert sock.recv(100) == b"bye\r\n"
        assert sock.recv(100) == b""
        sock.close()
        closer.join()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
