"""Our blocking and asyncio clients against Dovecot (IMAP, POP3, LMTP) and Postfix (SMTP, relaying).

Each story is told once. `clients` is the asyncio facade, or the blocking one with every call made
in a thread: the names are the same, so the stories are.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest

from interop.conftest import Observer, PostfixFactory, ServeFactory
from interop.mail import SENDER, Lane, assert_same_mail, every_lane, make_message
from interop.peers.dovecot import PASSWORD, Dovecot
from interop.peers.mail_server import Relay
from interop.peers.postfix import Postfix
from mailproto import aio, errors, imap, sync
from mailproto.flows.effects import Wakeup

MODES = {Lane.PLAIN: "none", Lane.STARTTLS: "starttls", Lane.IMPLICIT: "implicit"}
SECONDS = 30.0


class InThreads:
    """A blocking client with the methods of the asyncio one."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        return functools.partial(asyncio.to_thread, value) if callable(value) else value


class Clients:
    """`connect` of one facade, with the certificate and the login of the peers filled in."""

    def __init__(self, facade: ModuleType) -> None:
        self.facade = facade

    async def connect(
        self, protocol: str, peer: Any, port: int, lane: Lane, *, user: str | None = None
    ) -> Any:
        connect = getattr(self.facade, protocol).connect
        options: dict[str, Any] = {"tls": MODES[lane]}
        if lane is not Lane.PLAIN:
            options["tls_context"] = ssl.create_default_context(cafile=os.fspath(peer.ca))
        else:
            options["allow_insecure_auth"] = True
        if user is not None:
            options["login"] = (user, PASSWORD)
        if self.facade is aio:
            return await connect("localhost", port, **options)
        return InThreads(await asyncio.to_thread(connect, "localhost", port, **options))


@pytest.fixture(params=[sync, aio], ids=["sync", "aio"])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


def story(
    told: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run an async test to its end, in bounded time."""

    @functools.wraps(told)
    def test(*arguments: Any, **keywords: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(SECONDS):
                await told(*arguments, **keywords)

        asyncio.run(bounded())

    return test


# --------------------------------------------------------------------------------- SMTP


def smtp_port(postfix: Postfix, lane: Lane) -> int:
    return {
        Lane.PLAIN: postfix.smtp,
        Lane.STARTTLS: postfix.submission,
        Lane.IMPLICIT: postfix.smtps,
    }[lane]


@pytest.mark.parity("smtp-client MAIL, RCPT, DATA and QUIT", "smtp-client STARTTLS")
@every_lane
@story
async def test_smtp_sends_to_postfix(clients: Clients, postfix: Postfix, lane: Lane) -> None:
    before = len(postfix.delivered("bob"))
    user = None if lane is Lane.PLAIN else "alice"
    client = await clients.connect("smtp", postfix, smtp_port(postfix, lane), lane, user=user)
    message = make_message(f"to postfix {lane.value}", lines=2000)
    recipients = ["bob@peer.test", "nobody@peer.test", "carol@peer.test"]
    result = await client.send(message, SENDER, recipients)
    assert result.delivered == (result.recipients[0], result.recipients[2])
    assert result.queue_id in postfix.log()
    with pytest.raises(errors.MailError):
        await client.send(message, SENDER, ["nobody@peer.test"])
    await client.send(message, SENDER, ["bob@peer.test"])
    await client.quit()
    delivered = await asyncio.to_thread(postfix.wait_for_delivery, "bob", before + 2)
    for copy in delivered[before:]:
        assert_same_mail(copy, message)


@story
async def test_smtp_wrong_password_is_told(clients: Clients, postfix: Postfix) -> None:
    connect = clients.facade.smtp.connect
    context = ssl.create_default_context(cafile=os.fspath(postfix.ca))
    call = functools.partial(
        connect, "localhost", postfix.smtps, tls="implicit", tls_context=context
    )
    with pytest.raises(errors.AuthenticationFailed) as refused:
        if clients.facade is aio:
            await call(login=("alice", "wrong-canary"))
        else:
            await asyncio.to_thread(call, login=("alice", "wrong-canary"))
    assert "wrong-canary" not in repr(refused.value) + str(refused.value)


@story
async def test_smtp_by_postfix_to_our_server(
    clients: Clients, start_serve: ServeFactory, start_postfix: PostfixFactory
) -> None:
    """Our client, Postfix, our server by STARTTLS and AUTH, and our IMAP client at the end."""
    ours = start_serve(domain="other.test")
    relay = Relay(ours.submission, tls=True, user="alice", password=PASSWORD)
    postfix = start_postfix(relay=relay)
    message = make_message("relayed")
    client = await clients.connect("smtp", postfix, postfix.smtp, Lane.STARTTLS)
    await client.send(message, SENDER, ["bob@other.test"])
    await client.quit()
    await asyncio.to_thread(Observer(ours).wait_for, 1, "bob")
    reader = await clients.connect("imap", ours, ours.imaps, Lane.IMPLICIT, user="bob")
    await reader.select("INBOX")
    (fetched,) = await reader.fetch("1", imap.BodySection())
    assert_same_mail(fetched.section(), message)
    await reader.logout()


# --------------------------------------------------------------------------------- LMTP


@pytest.mark.parity("smtp-client LMTP")
@story
async def test_lmtp_delivers_to_dovecot(clients: Clients, dovecot: Dovecot) -> None:
    connect = functools.partial(
        clients.facade.smtp.connect, "localhost", dovecot.lmtp, tls="none", lmtp=True
    )
    if clients.facade is aio:
        client = await connect()
    else:
        client = InThreads(await asyncio.to_thread(connect))
    message = make_message("by lmtp")
    recipients = ["bob@peer.test", "nobody@peer.test", "carol@peer.test"]
    result = await client.send(message, SENDER, recipients)
    assert len(result.recipients) == 3
    assert len(result.delivered) == 2
    assert result.failed == (result.recipients[1],)
    await client.quit()
    for user in ("bob", "carol"):
        reader = await clients.connect("imap", dovecot, dovecot.imaps, Lane.IMPLICIT, user=user)
        await reader.select("INBOX")
        (fetched,) = await reader.fetch("*", imap.BodySection())
        assert_same_mail(fetched.section(), message)
        await reader.store("*", imap.StoreAction.ADD, r"\Deleted")
        await reader.expunge()
        await reader.logout()


# --------------------------------------------------------------------------------- IMAP


def imap_port(dovecot: Dovecot, lane: Lane) -> int:
    return dovecot.imaps if lane is Lane.IMPLICIT else dovecot.imap


@every_lane
@story
async def test_imap_with_dovecot(clients: Clients, dovecot: Dovecot, lane: Lane) -> None:
    box = f"{clients.facade.__name__.rpartition('.')[2]}-{lane.value}"
    archive = f"{box}/Entw\u00fcrfe & mehr"
    client = await clients.connect("imap", dovecot, imap_port(dovecot, lane), lane, user="alice")
    await client.create(box)
    await client.create(archive)
    names = {str(entry.mailbox) for entry in await client.list()}
    assert {box, archive, "INBOX"} <= names

    messages = [make_message(f"number {number}", lines=1500) for number in range(3)]
    for message in messages:
        placed = await client.append(box, message, flags=[r"\Seen"])
        assert placed is not None
    mailbox = await client.select(box)
    assert mailbox.exists == 3

    fetched = await client.fetch("1:*", imap.BodySection(peek=True))
    assert [item.section() for item in fetched] == messages
    (item,) = await client.fetch(
        "2", [imap.FetchAtt.ENVELOPE, imap.FetchAtt.BODYSTRUCTURE, imap.FetchAtt.RFC822_SIZE]
    )
    assert item.envelope.subject == b"number 1"
    assert item.envelope.from_[0].mailbox == b"sender"
    assert (item.body_structure.media_type.lower(), item.size) == (b"text", len(messages[1]))

    assert await client.search(imap.SearchText(imap.TextKey.SUBJECT, "number 2")) == (3,)
    await client.store("1", imap.StoreAction.REMOVE, r"\Seen")
    assert await client.search(imap.SearchFlag.UNSEEN) == (1,)

    copied = await client.copy("1:2", archive)
    assert copied is not None
    await client.move("3", archive)
    await client.store("1", imap.StoreAction.ADD, r"\Deleted")
    assert await client.expunge() == (1,)
    status = await client.status(archive, [imap.StatusItem.MESSAGES])
    assert status[imap.StatusItem.MESSAGES] == 3
    with pytest.raises(errors.CommandFailed):
        await client.select("nowhere")
    await client.delete(archive)
    await client.delete(box)
    await client.logout()


@story
async def test_imap_two_sessions_in_step_with_dovecot(clients: Clients, dovecot: Dovecot) -> None:
    """One session idles; what another does to the mailbox appears there as it happens."""
    box = f"step-{clients.facade.__name__.rpartition('.')[2]}"
    first = await clients.connect("imap", dovecot, dovecot.imaps, Lane.IMPLICIT, user="alice")
    second = await clients.connect("imap", dovecot, dovecot.imap, Lane.STARTTLS, user="alice")
    await first.create(box)
    await first.append(box, make_message("step"))
    await first.select(box)
    await second.select(box)
    loop = asyncio.get_running_loop()
    seen: asyncio.Queue[object] = asyncio.Queue()
    stop = Wakeup()

    def tell(event: object) -> None:
        loop.call_soon_threadsafe(seen.put_nowait, event)

    async def until(wanted: Callable[[Any], bool]) -> None:
        while not wanted(await seen.get()):
            pass

    async def change() -> None:
        await second.append(box, make_message("another"))
        await until(lambda event: isinstance(event, imap.ExistsData) and event.number == 2)
        await second.store("1", imap.StoreAction.ADD, r"\Flagged")
        await until(
            lambda event: isinstance(event, imap.FetchData) and r"\Flagged" in (event.flags or ())
        )
        await second.move("1", "Trash")
        await until(lambda event: isinstance(event, imap.ExpungeData) and event.number == 1)
        stop.set()

    idling: Awaitable[None] = first.idle(tell, stop=stop)
    await asyncio.gather(idling, change())
    assert first.mailbox.exists == 1
    await second.close_mailbox()
    await first.close_mailbox()
    await first.delete(box)
    for client in (first, second):
        await client.logout()


# --------------------------------------------------------------------------------- POP3


@pytest.mark.parity("pop3-client USER and PASS")
@every_lane
@story
async def test_pop3_with_dovecot(clients: Clients, dovecot: Dovecot, lane: Lane) -> None:
    messages = [make_message(f"number {number}", lines=1500) for number in range(3)]
    writer = await clients.connect("imap", dovecot, dovecot.imaps, Lane.IMPLICIT, user="carol")
    for message in messages:
        await writer.append("INBOX", message)

    port = dovecot.pop3s if lane is Lane.IMPLICIT else dovecot.pop3
    client = await clients.connect("pop3", dovecot, port, lane, user="carol")
    assert (await client.stat()).messages == 3
    assert await client.list() == {n: len(m) for n, m in enumerate(messages, 1)}
    uids = await client.uidl()
    assert len(set(uids.values())) == 3
    for number, message in enumerate(messages, 1):
        assert await client.retrieve(number) == message
    assert await client.top(1, 1) == messages[0][: messages[0].index(b"line 1")]
    await client.delete(2)
    with pytest.raises(errors.CommandFailed):
        await client.retrieve(2)
    await client.quit()

    client = await clients.connect("pop3", dovecot, port, lane, user="carol")
    assert list((await client.uidl()).values()) == [uids[1], uids[3]]
    await client.delete(1)
    await client.delete(2)
    await client.quit()
    assert (await writer.select("INBOX")).exists == 0
    await writer.logout()
