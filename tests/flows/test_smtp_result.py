"""What replies mean for recipients: names of messages, classes, and what is raised of them."""

from __future__ import annotations

import pytest

from mailproto.errors import CommandFailed, OutcomeUnknown
from mailproto.flows.smtp_result import (
    DeliveryFailed,
    DeliveryUnknown,
    Outcome,
    RecipientResult,
    SendResult,
)
from mailproto.smtp import Mailbox
from mailproto.smtp.parse import parse_reply, parse_reply_line

BOB, CAROL = Mailbox("bob", "example.com"), Mailbox("carol", "example.com")


def result(line: str | None, path: Mailbox = BOB) -> RecipientResult:
    """What a line of a server says about a recipient."""
    if line is None:
        return RecipientResult(path, None)
    code, _, text = parse_reply_line(line.encode())
    return RecipientResult(path, parse_reply(code, (text,)))


@pytest.mark.parity("smtp-client the final reply")
@pytest.mark.parametrize(
    ("line", "name"),
    [
        # Postfix, to its clients and behind a content filter
        ("250 2.0.0 Ok: queued as 4XyzAB6Bz1z9sSK", "4XyzAB6Bz1z9sSK"),
        ("250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 9F2D", "9F2D"),
        # Exim
        ("250 OK id=1mVabc-0001Xy-9Z", "1mVabc-0001Xy-9Z"),
        # Sendmail, and OpenSMTPD with its own names
        ("250 2.0.0 s9VBc1xy012345 Message accepted for delivery", "s9VBc1xy012345"),
        ("250 2.0.0 7a1b2c3d Message accepted for delivery", "7a1b2c3d"),
        # Dovecot's LMTP: base64
        ("250 2.0.0 <bob@example.com> kMtxIrK/BVQvBwAAOJzBYw Saved", "kMtxIrK/BVQvBwAAOJzBYw"),
        # Exchange
        (
            "250 2.6.0 <a@b.example> [InternalId=3796418920459, Hostname=mx] 9 bytes in 0.1, 9 KB",
            "3796418920459",
        ),
        # Gmail
        ("250 2.0.0 OK  1508354312 o6si1234567qkf.58 - gsmtp", "o6si1234567qkf.58"),
        # qmail
        ("250 ok 1043238346 qp 15289", "15289"),
        ("250 ok:  Message 217563 accepted", "217563"),
        (
            "250 Ok 01000158c1b1e1e8-1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f-000000",
            "01000158c1b1e1e8-1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f-000000",
        ),
        ("250 2.0.0 Message queued with id 1f2e3d.", "1f2e3d"),
        ("250 Message Queued (27C36A3D-5E0F-41B3.1)", "27C36A3D-5E0F-41B3.1"),
        # Nothing that would be a name.
        ("250 2.0.0 OK", None),
        ("250 Queued (0.031 seconds)", None),
        ("250 2.1.5 Ok SESSIONID=<cyrus-1-2>", None),
        ("250 Message accepted for delivery", None),
        ("250 mail queued for delivery", None),
        ("451 4.3.0 queued as 4XyzAB", None),
    ],
)
def test_what_servers_call_a_message(line: str, name: str | None) -> None:
    recipient = result(line)
    assert recipient.queue_id == name
    assert SendResult((recipient,), recipient.reply).queue_id == name


def test_a_name_of_any_length_is_found_in_bounded_time() -> None:
    assert result("250 queued as " + "x" * 100_000).queue_id == "x" * 128
    assert result("250 " + "queued as <<" * 20_000).queue_id is None
    assert result("250 <" + "<" * 100_000 + "> x Saved").queue_id is None


@pytest.mark.parity("smtp-client a reply per recipient")
@pytest.mark.parametrize(
    ("line", "outcome", "enhanced"),
    [
        ("250 2.1.5 ok", Outcome.DELIVERED, "2.1.5"),
        ("251 will forward", Outcome.DELIVERED, None),
        ("452 4.2.2 full", Outcome.TEMPORARY, "4.2.2"),
        ("550 5.1.1 who?", Outcome.PERMANENT, "5.1.1"),
        (None, Outcome.UNKNOWN, None),
    ],
)
def test_what_a_reply_means(line: str | None, outcome: Outcome, enhanced: str | None) -> None:
    recipient = result(line)
    assert recipient.outcome is outcome
    assert (recipient.enhanced and str(recipient.enhanced)) == enhanced


def test_a_failure_has_the_whole_result() -> None:
    mixed = SendResult((result("250 ok"), result("450 4.2.1 later", CAROL), result(None)), None)
    with pytest.raises(DeliveryFailed, match=r"carol@example\.com.*later") as failed:
        mixed.check()
    assert failed.value.result is mixed
    assert isinstance(failed.value, CommandFailed)
    assert (failed.value.code, failed.value.temporary) == ("450", True)
    unknown = SendResult((result("250 ok"), result(None)), None)
    with pytest.raises(DeliveryUnknown) as lost:
        unknown.check()
    assert lost.value.result is unknown
    assert isinstance(lost.value, OutcomeUnknown)
    SendResult((result("250 ok"),), None).check()
