"""The relay of both facades on sockets, with MX records from dnspython and a DNS on loopback."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from facades.world import Facade, World
from flows.relay_world import CONTENT, SILENCE, Host, listening
from mailproto import aio, sync
from mailproto.aio import resolving as aio_resolving
from mailproto.errors import TransportError
from mailproto.flows.smtp_relay_route import MXRecords, NoSuchDomain
from mailproto.flows.smtp_result import Outcome
from mailproto.sync import resolving as sync_resolving

BOB = "bob@example.com"


def send(facade: Facade, recipients: list[str], **options: Any) -> Any:
    """Relay a small message by the facade."""
    options = {"timeout": 10.0, "order": tuple, **options}
    arguments = (CONTENT, "alice@home.example", recipients)
    if facade.loop is None:
        return sync.smtp.Relay(**options).send(*arguments)
    return facade.loop.run(aio.smtp.Relay(**options).send(*arguments))


@pytest.fixture
def port() -> int:
    """A port that is free on all loopback addresses of these tests, as far as one can know."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        return int(listener.getsockname()[1])


def test_four_hosts_until_one_takes_it(facade: Facade, port: int) -> None:
    hosts = {
        "127.0.0.3": Host({"": "421 4.3.2 busy"}),
        "127.0.0.4": Host({"RCPT": "451 4.7.1 greylisted"}),
        "127.0.0.5": Host(),
    }
    asked: list[str] = []

    def resolve(domain: str) -> MXRecords:
        asked.append(domain)
        return [(number, f"127.0.0.{number}") for number in range(2, 6)]

    async def resolve_later(domain: str) -> MXRecords:
        await asyncio.sleep(0)
        return resolve(domain)

    with ExitStack() as stack:
        for address, host in hosts.items():
            stack.enter_context(listening(host, address, port))
        for resolver in (resolve, resolve if facade.loop is None else resolve_later):
            result = send(facade, [BOB, "carol@example.com"], resolve_mx=resolver, port=port)
            assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED] * 2
            assert [(a.host, a.address, a.outcome.value) for a in result.attempts] == [
                ("127.0.0.2", "127.0.0.2", "temporary"),
                ("127.0.0.3", "127.0.0.3", "temporary"),
                ("127.0.0.4", "127.0.0.4", "temporary"),
                ("127.0.0.5", "127.0.0.5", "delivered"),
            ]
    assert asked == ["example.com"] * 2
    assert hosts["127.0.0.5"].messages == [CONTENT] * 2
    # Without a name it is called by its address.
    assert hosts["127.0.0.5"].commands("EHLO")[0].startswith("EHLO [127.0.0.")


@pytest.mark.parametrize("tls", ["required", "implicit"])
def test_a_smart_host_with_a_login(world: World, tls: str) -> None:
    name = {"required": "submission", "implicit": "smtps"}[tls]
    result = send(
        world.facade,
        ["bob@localhost", "nobody@localhost"],
        smart_host="localhost",
        port=world.port(name),
        tls=tls,
        tls_context=world.tls,
        login=("alice", "wonderland"),
    )
    assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED, Outcome.PERMANENT]
    assert result.attempts[-1].tls
    assert world.contents("bob")[0].endswith(CONTENT)


@pytest.mark.parametrize("host", ["x" * 70 + ".example", "no-such-host.invalid"])
def test_a_name_without_an_address(facade: Facade, host: str, monkeypatch: Any) -> None:
    def nothing(*_: object, **__: object) -> Any:
        if len(host) > 64:
            host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    result = send(facade, [f"bob@{host}"], resolve_mx=lambda _: ())
    assert str(result.recipients[0].reply).startswith("550 5.1.2")


def test_a_resolver_of_addresses_that_does_not_answer(facade: Facade, monkeypatch: Any) -> None:
    def nothing(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    result = send(facade, [BOB], resolve_mx=lambda _: [(1, "mx.example.com")])
    assert str(result.recipients[0].reply).startswith("451 4.4.3")


def test_the_blocking_relay_takes_no_coroutine() -> None:
    async def resolve(_: str) -> MXRecords:
        return ()

    with pytest.raises(TypeError, match="awaitable"):
        sync.smtp.Relay(resolve_mx=resolve).send(CONTENT, "a@b.example", [BOB])


def test_an_asyncio_relay_that_is_cancelled_leaves_no_connection() -> None:
    host = Host({"MAIL": SILENCE})

    async def cancel(port: int) -> None:
        begun = asyncio.Event()

        def trace(_: str, line: bytes) -> None:
            if line.startswith(b"MAIL"):
                begun.set()

        relay = aio.smtp.Relay(smart_host="127.0.0.1", port=port, trace=trace)
        task = asyncio.create_task(relay.send(CONTENT, "a@b.example", [BOB]))
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    with listening(host) as port:
        asyncio.run(asyncio.wait_for(cancel(port), 20))
    # A connection left open would be a ResourceWarning, which is an error here.
    gc.collect()
    assert host.messages == []


# ------------------------------------------------------------------------------ dnspython


class NameServer:
    """A name server on loopback with a zone of a few MX records."""

    ZONE = {
        "example.com.": ["10 MX1.example.com.", "20 mx2.example.com."],
        "null.example.": ["0 ."],
        "empty.example.": [],
    }

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            octets, client = self._socket.recvfrom(65536)
            if octets == b"end":
                return
            query = dns.message.from_wire(octets)
            response = dns.message.make_response(query)
            response.flags |= dns.flags.RA
            name = query.question[0].name
            records = self.ZONE.get(name.to_text())
            if name.to_text() == "broken.example.":
                response.set_rcode(dns.rcode.SERVFAIL)
            elif records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
            elif records:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", *records))
            self._socket.sendto(response.to_wire(), client)

    def configure(self, resolver: Any) -> Any:
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self.port
        resolver.lifetime = 5.0
        return resolver

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="module")
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def look_up(facade: Facade, name_server: NameServer, domain: str) -> Any:
    if facade.loop is None:
        resolver = name_server.configure(dns.resolver.Resolver(configure=False))
        return sync_resolving.resolve_mx(domain, resolver)
    later = name_server.configure(dns.asyncresolver.Resolver(configure=False))
    return facade.loop.run(aio_resolving.resolve_mx(domain, later))


def test_mx_records(facade: Facade, name_server: NameServer) -> None:
    found = look_up(facade, name_server, "example.com")
    assert sorted(found) == [(10, "MX1.example.com"), (20, "mx2.example.com")]
    assert list(look_up(facade, name_server, "empty.example")) == []


@pytest.mark.parametrize("domain", ["missing.example", "x" * 64 + ".example"])
def test_a_domain_that_does_not_exist(facade: Facade, name_server: NameServer, domain: str) -> None:
    with pytest.raises(NoSuchDomain):
        look_up(facade, name_server, domain)


def test_a_dns_that_fails(facade: Facade, name_server: NameServer) -> None:
    with pytest.raises(TransportError, match=r"broken\.example"):
        look_up(facade, name_server, "broken.example")


def test_the_default_resolver_is_dnspython(
    facade: Facade, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = dns.resolver if facade.loop is None else dns.asyncresolver
    made = name_server.configure(module.Resolver(configure=False))
    monkeypatch.setattr(module, "Resolver", lambda: made)
    result = send(facade, ["bob@null.example", "bob@missing.example", "bob@broken.example"])
    codes = [str(r.reply)[:10].strip() for r in result.recipients]
    assert codes == ["556 5.1.10", "550 5.1.2", "451 4.4.3"]
