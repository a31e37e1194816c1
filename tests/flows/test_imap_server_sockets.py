"""The IMAP server over sockets with both drivers, spoken to by the standard library."""

from __future__ import annotations

import asyncio
import imaplib
import threading
from collections.abc import Callable, Iterator

import pytest

from mailproto import aio, sasl, sync
from mailproto.backend.directory import Users
from mailproto.backend.memory import MemoryStore
from mailproto.flows.imap_server import Context, serve
from mailproto.flows.serving import Peer, SessionFactory
from mailproto.flows.shutdown import Shutdown

MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n\r\n" + b"0123456789abcdef" * 10_000 + b"\r\n"


def factory(shutdown: Shutdown) -> SessionFactory:
    users = Users({"alice": "secret"})
    offer = sasl.Offer(allow_insecure_auth=True)
    context = Context(MemoryStore(), users, shutdown, offer, allow_insecure_auth=True)

    def session(peer: Peer):
        return serve(context.machine(), context)

    return session


@pytest.fixture(params=["sync", "aio"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "sync":
        with sync.Server() as server:
            yield server.listen("127.0.0.1", 0, factory(server.shutdown))
        return
    ready = threading.Event()
    ports: list[int] = []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        server = aio.Server()
        ports.append(await server.listen("127.0.0.1", 0, factory(server.shutdown)))
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        ready.set()
        await ended.wait()
        await server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    yield ports[0]
    stop[0]()
    thread.join(10)
    assert not thread.is_alive()


def login(port: int) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=20)
    assert client.login("alice", "secret")[0] == "OK"
    return client


def test_imaplib_appends_searches_fetches_and_expunges(port: int) -> None:
    client = login(port)
    assert client.select()[1] == [b"0"]
    assert client.append("INBOX", "(\\Flagged)", "", MESSAGE)[0] == "OK"
    assert client.append("INBOX", "", "", b"Subject: small\r\n\r\nx\r\n")[0] == "OK"
    assert client.noop()[0] == "OK"
    assert client.search(None, "SUBJECT", "hello", "FLAGGED")[1] == [b"1"]
    found = client.fetch("1", "(BODY.PEEK[])")[1][0]
    assert found == (b"1 (BODY[] {%d}" % len(MESSAGE), MESSAGE)
    assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
    assert client.expunge()[1] == [b"1"]
    assert client.logout()[0] == "BYE"


def test_two_imaplib_sessions_are_in_step(port: int) -> None:
    one, two = login(port), login(port)
    one.select()
    two.select()
    one.append("INBOX", "", "", MESSAGE)
    two.noop()
    assert two.response("EXISTS")[1][-1] == b"1"
    two.store("1", "+FLAGS", "work")
    one.noop()
    assert b"work" in one.response("FETCH")[1][-1]
    one.logout()
    two.logout()


def test_idle_is_woken_by_another_session(port: int) -> None:
    idler, worker = login(port), login(port)
    idler.select()
    idler.send(b"i IDLE\r\n")
    assert idler.readline().startswith(b"+ ")
    worker.append("INBOX", "", "", MESSAGE)
    assert idler.readline() == b"* 1 EXISTS\r\n"
    assert idler.readline() == b"* 1 RECENT\r\n"
    idler.send(b"DONE\r\n")
    assert idler.readline() == b"i OK IDLE completed\r\n"
    worker.logout()
    idler.shutdown()
