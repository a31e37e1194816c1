"""The relay of both facades with a Postfix at the end of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message
from interop.peers.dovecot import PASSWORD
from interop.peers.postfix import Postfix
from mailproto import aio, sync
from mailproto.flows.smtp_relay_route import MXRecords
from mailproto.flows.smtp_result import Outcome
from mailproto.flows.tls import client_context

pytestmark = pytest.mark.skipif(CONTROL, reason="the client under test is ours by nature")

both_facades = pytest.mark.parametrize("facade", ["sync", "aio"])


def send(facade: str, message: bytes, recipients: list[str], **options: Any) -> Any:
    if facade == "sync":
        return sync.smtp.Relay(**options).send(message, SENDER, recipients)

    async def later() -> Any:
        return await aio.smtp.Relay(**options).send(message, SENDER, recipients)

    return asyncio.run(later())


@both_facades
@pytest.mark.parametrize("tls", ["none", "opportunistic", "required"])
def test_the_second_host_of_the_mx_is_postfix(postfix: Postfix, facade: str, tls: str) -> None:
    def resolve(domain: str) -> MXRecords:
        assert domain == "peer.test"
        return [(10, "127.0.0.9"), (20, "localhost")]

    message = make_message(f"relayed {facade} {tls}")
    before = len(postfix.delivered("carol"))
    result = send(
        facade,
        message,
        ["carol@peer.test", "nobody.of.that.name@peer.test"],
        resolve_mx=resolve,
        port=postfix.smtp,
        tls=tls,
        tls_context=None if tls == "opportunistic" else client_context(str(postfix.ca)),
    )
    assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED, Outcome.PERMANENT]
    first, last = result.attempts[0], result.attempts[-1]
    assert (first.host, first.outcome) == ("127.0.0.9", Outcome.TEMPORARY)
    assert (last.host, last.outcome, last.tls) == ("localhost", Outcome.DELIVERED, tls != "none")
    assert result.queue_id is not None
    assert result.queue_id in postfix.log()
    delivered = postfix.wait_for_delivery("carol", before + 1)
    assert_same_mail(delivered[-1], message)


@both_facades
@pytest.mark.parametrize("tls", ["required", "implicit"])
def test_postfix_as_a_smart_host(postfix: Postfix, facade: str, tls: str) -> None:
    message = make_message(f"submitted {facade} {tls}")
    before = len(postfix.delivered("carol"))
    result = send(
        facade,
        message,
        ["carol@peer.test"],
        smart_host="localhost",
        port=postfix.submission if tls == "required" else postfix.smtps,
        tls=tls,
        tls_context=client_context(str(postfix.ca)),
        login=("alice", PASSWORD),
    )
    result.check()
    assert result.attempts[-1].tls
    assert_same_mail(postfix.wait_for_delivery("carol", before + 1)[-1], message)
