"""Our client's BDAT and DSN against Postfix."""

from __future__ import annotations

import os
import ssl

import pytest

from interop.mail import SENDER, assert_same_mail, make_message
from interop.peers.dovecot import PASSWORD
from interop.peers.postfix import Postfix
from mailproto import smtp, sync


@pytest.mark.parity("smtp-client CHUNKING")
@pytest.mark.parametrize("pieces", [False, True])
def test_smtp_chunks_to_postfix(postfix: Postfix, pieces: bool) -> None:
    before = len(postfix.delivered("bob"))
    octets = make_message("by BDAT", lines=2000)
    cuts = range(0, len(octets), 7000)
    content = [octets[cut : cut + 7000] for cut in cuts] if pieces else octets
    context = ssl.create_default_context(cafile=os.fspath(postfix.ca))
    client = sync.smtp.connect(
        "localhost", postfix.smtps, tls="implicit", tls_context=context, login=("alice", PASSWORD)
    )
    with client:
        assert client.session.machine.offers("CHUNKING")
        never = smtp.Notify(frozenset())
        bob = smtp.Rcpt(smtp.Mailbox.parse("bob@peer.test"), (never,))
        refused = ["nobody@peer.test"]
        taken: list[smtp.Rcpt | str] = [bob, *refused]
        # A transaction without a recipient leaves the connection usable.
        result = client.run(client.session.send(octets, SENDER, refused, chunking=True))
        assert not result.delivered
        parameters = (smtp.Ret("HDRS"), smtp.EnvId("id 1+1"))
        flow = client.session.send(content, SENDER, taken, chunking=True, parameters=parameters)
        result = client.run(flow)
        assert [r.reply is not None and r.reply.positive for r in result.recipients] == [
            True,
            False,
        ]
        assert result.queue_id is not None
        assert result.queue_id in postfix.log()
    delivered = postfix.wait_for_delivery("bob", before + 1)
    assert_same_mail(delivered[-1], octets)
