"""The relay's decisions, seen in its accounts, against servers that answer as they are told."""

from __future__ import annotations

import io
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.relay_world import CLOSE, CONTENT, SILENCE, Host, World, listening
from mailproto.cli.certificate import CertificateFiles
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    SecurityError,
    TLSError,
    TransportError,
)
from mailproto.flows.smtp_relay_result import RelayResult
from mailproto.flows.smtp_relay_route import NoSuchDomain, shuffled
from mailproto.flows.smtp_relay_settings import RelaySettings
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome
from mailproto.flows.tls import client_context, server_context
from mailproto.smtp import (
    POSTMASTER,
    BodyType,
    DeliverBy,
    EnvId,
    HoldFor,
    Mail,
    Mailbox,
    MtPriority,
    Notify,
    Orcpt,
    Parameter,
    Rcpt,
    RequireTLS,
    Ret,
)

BOB, CAROL, DAVE = "bob@example.com", "carol@example.com", "dave@example.org"
DELIVERED, TEMPORARY, PERMANENT, UNKNOWN = (
    Outcome.DELIVERED,
    Outcome.TEMPORARY,
    Outcome.PERMANENT,
    Outcome.UNKNOWN,
)
REQUIRETLS = (RequireTLS(),)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def world(stack: ExitStack) -> World:
    """``example.com`` has the hosts a, b, c and d in this order; nobody is there yet."""
    made = World()
    made.mx["example.com"] = [(40, "d."), (10, "a"), (30, "C"), (20, "b")]
    for number, name in enumerate("abcd", 1):
        made.addresses[name] = [f"192.0.2.{number}"]
    return made


def add(world: World, stack: ExitStack, address: str, host: Host) -> Host:
    world.ports[address] = stack.enter_context(listening(host))
    return host


def relay(**options: Any) -> RelaySettings:
    options = {"domain": "relay.example", "timeout": 10.0, "order": tuple, **options}
    return RelaySettings(**options)


def outcomes(result: RelayResult) -> list[Outcome]:
    return [recipient.outcome for recipient in result.recipients]


def hosts(result: RelayResult) -> list[tuple[str, Outcome]]:
    return [(attempt.host, attempt.outcome) for attempt in result.attempts]


def status(result: RelayResult, number: int = 0) -> str:
    reply = result.recipients[number].reply
    assert reply is not None
    return f"{reply.code} {reply.enhanced}"


def test_four_hosts_until_one_takes_it(world: World, stack: ExitStack):
    b = add(world, stack, "192.0.2.2", Host({"": "421 4.3.2 busy"}))
    c = add(world, stack, "192.0.2.3", Host({"RCPT": "451 4.7.1 greylisted"}))
    d = add(world, stack, "192.0.2.4", Host({".": "250 2.0.0 queued as 4XyZ"}))
    result = world.send(relay(), [BOB])
    assert outcomes(result) == [DELIVERED]
    assert hosts(result) == [
        ("a", TEMPORARY),
        ("b", TEMPORARY),
        ("c", TEMPORARY),
        ("d", DELIVERED),
    ]
    refused, busy, grey, taken = result.attempts
    assert isinstance(refused.error, ConnectionLost)
    assert refused.address == "192.0.2.1"
    assert isinstance(busy.error, CommandFailed)
    assert [str(r.reply) for r in busy.replies] == ["421 4.3.2 busy"]
    assert grey.error is None
    assert [str(r.reply) for r in grey.replies] == ["451 4.7.1 greylisted"]
    assert taken.error is None
    assert [a.seconds for a in result.attempts] == [1.0] * 4
    assert [a.tls for a in result.attempts] == [False] * 4
    assert result.queue_id == "4XyZ"
    assert (b.messages, c.messages, d.messages) == ([], [], [CONTENT])
    assert c.commands("QUIT") == ["QUIT"]
    assert d.commands("EHLO") == ["EHLO relay.example"]
    result.check()


def test_hosts_after_the_one_that_takes_it_hear_nothing(world: World, stack: ExitStack):
    add(world, stack, "192.0.2.1", Host())
    assert hosts(world.send(relay(), [BOB])) == [("a", DELIVERED)]
    assert world.dialled == [("192.0.2.1", 25, "a", 30.0)]


def test_a_refusal_for_good_is_final_for_that_recipient_alone(world: World, stack: ExitStack):
    replies = {f"RCPT TO:<{BOB}": "550 5.1.1 who?", f"RCPT TO:<{CAROL}": "452 4.2.2 full"}
    add(world, stack, "192.0.2.1", Host(replies))
    b = add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(), [BOB, CAROL, "erin@example.com"])
    assert outcomes(result) == [PERMANENT, DELIVERED, DELIVERED]
    assert hosts(result) == [("a", DELIVERED), ("b", DELIVERED)]
    assert b.commands("RCPT") == [f"RCPT TO:<{CAROL}>"]
    assert [len(attempt.replies) for attempt in result.attempts] == [3, 1]


@pytest.mark.parametrize("command", ["MAIL", "DATA", "."])
def test_a_refusal_of_the_message_is_final_or_not(world: World, stack: ExitStack, command: str):
    add(world, stack, "192.0.2.1", Host({command: "450 4.0.0 later"}))
    add(world, stack, "192.0.2.2", Host({command: "554 5.6.0 never"}))
    c = add(world, stack, "192.0.2.3", Host())
    result = world.send(relay(), [BOB])
    assert hosts(result) == [("a", TEMPORARY), ("b", PERMANENT)]
    assert status(result) == "554 5.6.0"
    assert c.connections == []


def test_all_hosts_fail_and_the_message_may_be_tried_later(world: World, stack: ExitStack):
    add(world, stack, "192.0.2.3", Host({"": "554 5.3.2 no mail here"}))
    result = world.send(relay(), [BOB])
    assert outcomes(result) == [TEMPORARY]
    assert [h for h, _ in hosts(result)] == ["a", "b", "c", "d"]
    assert status(result) == "451 4.4.1"
    with pytest.raises(CommandFailed, match=r"192\.0\.2\.4") as caught:
        result.check()
    assert caught.value.temporary


def test_every_host_says_that_it_takes_no_mail(world: World, stack: ExitStack):
    for number in range(1, 5):
        add(world, stack, f"192.0.2.{number}", Host({"": "521 no mail here"}))
    result = world.send(relay(), [BOB])
    assert hosts(result) == [(name, PERMANENT) for name in "abcd"]
    assert status(result) == "521 None"


def test_a_host_with_several_addresses(world: World, stack: ExitStack):
    world.addresses["a"] = ["192.0.2.11", "192.0.2.12", "192.0.2.12", "192.0.2.13"]
    add(world, stack, "192.0.2.12", Host({"MAIL": CLOSE}))
    add(world, stack, "192.0.2.13", Host({"RCPT": "450 busy"}))
    add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(), [BOB])
    assert [(a.host, a.address) for a in result.attempts] == [
        ("a", "192.0.2.11"),
        ("a", "192.0.2.12"),
        ("a", "192.0.2.13"),
        ("b", "192.0.2.2"),
    ]
    assert outcomes(result) == [DELIVERED]


def test_once_a_host_has_answered_its_other_addresses_are_not_asked(world: World, stack: ExitStack):
    world.addresses["a"] = ["192.0.2.11", "192.0.2.12"]
    add(world, stack, "192.0.2.11", Host({"RCPT": "450 busy"}))
    add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(), [BOB])
    assert [a.address for a in result.attempts] == ["192.0.2.11", "192.0.2.2"]


def test_how_many_hosts_and_addresses_are_tried_is_bounded(world: World):
    world.addresses["a"] = [f"192.0.2.{n}" for n in range(100, 150)]
    result = world.send(relay(most_hosts=2, most_addresses=3), [BOB])
    assert [a.address for a in result.attempts] == [
        "192.0.2.100",
        "192.0.2.101",
        "192.0.2.102",
        "192.0.2.2",
    ]


def test_one_connection_for_all_recipients_of_a_host(world: World, stack: ExitStack):
    world.mx["example.org"] = [(5, "a")]
    world.mx["example.net"] = [(5, "b")]
    a = add(world, stack, "192.0.2.1", Host())
    b = add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(), [BOB, "x@example.net", DAVE, CAROL, "erin@EXAMPLE.ORG"])
    assert outcomes(result) == [DELIVERED] * 5
    assert (len(a.connections), len(b.connections)) == (1, 1)
    assert len(a.commands("RCPT")) == 4
    assert [str(r.forward_path) for r in result.recipients][1] == "x@example.net"


@pytest.mark.parametrize(
    ("limits", "groups"),
    [("RCPTMAX=2", [2, 2, 1]), ("RCPTDOMAINMAX=1", [3, 2]), ("MAILMAX=5", [5])],
)
def test_no_more_recipients_at_a_time_than_a_server_takes(
    world: World, stack: ExitStack, limits: str, groups: list[int]
):
    world.mx["example.org"] = [(1, "a")]
    a = add(world, stack, "192.0.2.1", Host(extensions=[f"LIMITS {limits}"]))
    everyone = [BOB, CAROL, "erin@example.com", DAVE, "frank@example.org"]
    result = world.send(relay(), everyone)
    assert outcomes(result) == [DELIVERED] * 5
    assert [len(attempt.replies) for attempt in result.attempts] == groups
    # RCPTDOMAINMAX is of a session (RFC 9422 section 4.3), so each group has one of its own.
    assert len(a.messages) == len(a.connections) == len(groups)
    a.replies["MAIL"] = CLOSE
    result = world.send(relay(), everyone)
    assert outcomes(result) == [TEMPORARY] * 5
    assert status(result, 4) == "451 4.4.2"


def test_hosts_of_one_preference_in_the_order_that_is_given(world: World):
    world.mx["example.com"] = [(10, "a"), (20, "b"), (20, "c"), (20, "d")]
    asked: list[Sequence[str]] = []

    def backwards(found: Sequence[str]) -> Sequence[str]:
        asked.append(found)
        return found[::-1]

    result = world.send(relay(order=backwards), [BOB])
    assert [host for host, _ in hosts(result)] == ["a", "d", "c", "b"]
    assert [list(found) for found in asked] == [["a"], ["b", "c", "d"]]


def test_domains_of_the_same_hosts_share_an_order_and_a_connection(world: World, stack: ExitStack):
    world.mx["example.com"] = world.mx["example.org"] = [(10, "a"), (10, "b")]
    orders = iter([["b", "a"], ["a", "b"]])
    b = add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(order=lambda _: next(orders)), [BOB, DAVE])
    assert hosts(result) == [("b", DELIVERED)]
    assert len(b.commands("RCPT")) == 2


def test_a_random_order_has_every_host_once():
    names = [f"mx{number}" for number in range(50)]
    assert sorted(shuffled(names)) == sorted(names)
    assert len({tuple(shuffled(names)) for _ in range(5)}) > 1


MOODS: dict[str, dict[str, str] | None] = {
    "absent": None,
    "busy": {"": "421 4.3.2 busy"},
    "closed": {"": "554 no mail here"},
    "broken": {"MAIL": CLOSE},
    "vanishes": {".": CLOSE},
    "works": {},
}
RECIPIENTS = {BOB: "250 ok", CAROL: "450 later", "erin@example.com": "550 never"}


def expected(moods: Sequence[str], answers: Sequence[str]) -> Outcome:
    """What becomes of a recipient whom the hosts, in their moods, answer so: the rule once more."""
    closed = 0
    for mood, answer in zip(moods, answers, strict=True):
        if mood in ("works", "vanishes"):
            if answer.startswith("550"):
                return PERMANENT
            if answer.startswith("250"):
                return DELIVERED if mood == "works" else UNKNOWN
        closed += mood == "closed"
    return PERMANENT if closed == len(moods) else TEMPORARY


@given(st.data())
@settings(max_examples=60)
def test_every_recipient_has_the_fate_that_its_hosts_give_it(data: st.DataObject):
    world = World()
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
    moods = [data.draw(st.sampled_from(sorted(MOODS))) for _ in names]
    answers = [
        [data.draw(st.sampled_from(sorted(RECIPIENTS.values()))) for _ in names] for _ in RECIPIENTS
    ]
    world.mx["example.com"] = list(enumerate(names))
    found: list[Host] = []
    with ExitStack() as stack:
        for number, (name, mood) in enumerate(zip(names, moods, strict=True)):
            world.addresses[name] = [name]
            replies = MOODS[mood]
            if replies is not None:
                own = zip(RECIPIENTS, answers, strict=True)
                said = {f"RCPT TO:<{recipient}": answer[number] for recipient, answer in own}
                extensions = data.draw(st.sampled_from([[], ["PIPELINING"]]))
                found.append(add(world, stack, name, Host(replies | said, extensions=extensions)))
        result = world.send(relay(), list(RECIPIENTS))
    assert outcomes(result) == [expected(moods, answer) for answer in answers]
    tried = [attempt.host for attempt in result.attempts]
    assert tried == names[: len(tried)]
    decided = [r for attempt in result.attempts for r in attempt.replies]
    for outcome in (DELIVERED, UNKNOWN):
        # Both end the attempts for a recipient, so that there is one of them at the most.
        assert [r.outcome for r in decided].count(outcome) == outcomes(result).count(outcome)
    assert sum(len(host.connections) for host in found) <= len(tried)


# --------------------------------------------------------------------------------- names


def test_a_domain_that_takes_no_mail(world: World):
    world.mx["example.com"] = [(0, ".")]
    result = world.send(relay(), [BOB])
    assert (status(result), result.attempts) == ("556 5.1.10", ())


def test_a_domain_without_mx_is_its_own_host(world: World, stack: ExitStack):
    world.mx["example.com"] = []
    world.addresses["example.com"] = ["192.0.2.77"]
    add(world, stack, "192.0.2.77", Host())
    assert hosts(world.send(relay(), [BOB])) == [("example.com", DELIVERED)]


def test_a_name_behind_which_is_nothing(world: World):
    world.mx["example.com"] = []
    result = world.send(relay(), [BOB])
    assert status(result) == "550 5.1.2"
    (attempt,) = result.attempts
    assert (attempt.host, attempt.address) == ("example.com", "")


def test_a_domain_that_is_one_of_its_mx_hosts_and_has_no_address(world: World, stack: ExitStack):
    world.mx["example.com"] = [(10, "example.com"), (20, "b")]
    result = world.send(relay(), [BOB])
    assert (status(result), hosts(result)) == (
        "451 4.4.1",
        [("example.com", TEMPORARY), ("b", TEMPORARY)],
    )
    add(world, stack, "192.0.2.2", Host())
    assert hosts(world.send(relay(), [BOB]))[1:] == [("b", DELIVERED)]


def test_a_smart_host_without_an_address_is_no_fault_of_its_domain(world: World):
    result = world.send(relay(smart_host="example.com"), [BOB])
    assert status(result) == "451 4.4.4"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NoSuchDomain("gone"), "550 5.1.2"),
        (TransportError("no answer"), "451 4.4.3"),
        (OSError("no network"), "451 4.4.3"),
    ],
)
def test_a_resolver_that_fails(world: World, stack: ExitStack, fault: Exception, expected: str):
    world.mx["example.com"] = fault
    world.mx["example.org"] = [(1, "a")]
    add(world, stack, "192.0.2.1", Host())
    result = world.send(relay(), [BOB, DAVE])
    assert status(result, 0) == expected
    assert outcomes(result)[1] is DELIVERED


def test_mx_hosts_that_do_not_resolve_are_passed_over(world: World, stack: ExitStack):
    world.addresses["a"] = []
    world.addresses["b"] = OSError("no answer")
    add(world, stack, "192.0.2.3", Host())
    result = world.send(relay(), [BOB])
    assert [(a.host, a.address, a.outcome) for a in result.attempts] == [
        ("a", "", TEMPORARY),
        ("b", "", TEMPORARY),
        ("c", "192.0.2.3", DELIVERED),
    ]


@pytest.mark.parametrize(
    ("domain", "address"), [("[192.0.2.9]", "192.0.2.9"), ("[IPv6:2001:db8::9]", "2001:db8::9")]
)
def test_an_address_literal_needs_no_dns(world: World, stack: ExitStack, domain: str, address: str):
    host = add(world, stack, address, Host())
    result = world.send(relay(), [f"bob@{domain}"])
    assert [(a.host, a.address) for a in result.attempts] == [(domain.lower(), address)]
    assert host.commands("RCPT") == [f"RCPT TO:<bob@{domain}>"]


def test_a_relay_does_not_send_to_itself_nor_away_from_the_destination(
    world: World, stack: ExitStack
):
    add(world, stack, "192.0.2.1", Host())
    result = world.send(relay(own_names=["B."]), [BOB])
    assert hosts(result) == [("a", DELIVERED)]
    result = world.send(relay(own_names=["a"]), [BOB])
    assert (status(result), result.attempts) == ("554 5.4.6", ())
    # RFC 5321 section 5.1: those of the same preference are no better.
    world.mx["example.com"] = [(10, "a"), (10, "b")]
    result = world.send(relay(own_names=["b"]), [BOB])
    assert (status(result), result.attempts) == ("554 5.4.6", ())


# ------------------------------------------------------------------- faults and time


def test_an_unknown_outcome_is_not_tried_elsewhere(world: World, stack: ExitStack):
    add(world, stack, "192.0.2.1", Host({".": CLOSE, f"RCPT TO:<{CAROL}": "450 later"}))
    b = add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(), [BOB, CAROL])
    assert outcomes(result) == [UNKNOWN, DELIVERED]
    assert hosts(result) == [("a", UNKNOWN), ("b", DELIVERED)]
    assert isinstance(result.attempts[0].error, DeliveryUnknown)
    assert b.commands("RCPT") == [f"RCPT TO:<{CAROL}>"]


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", [CLOSE, "not a reply", "999 what"])
def test_a_connection_that_breaks_goes_on_to_the_next_host(
    world: World, stack: ExitStack, command: str, fault: str
):
    if (command, fault) == ("EHLO", CLOSE):
        # HELO is tried first, see below.
        return
    add(world, stack, "192.0.2.1", Host({command: fault}))
    add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(), [BOB])
    assert outcomes(result) == [DELIVERED]
    assert [h for h, _ in hosts(result)] == ["a", "b"]
    assert result.attempts[0].error is not None


def test_HELO_on_another_connection_where_the_server_closes_at_EHLO(world: World, stack: ExitStack):
    """RFC 1869 section 4.7."""
    a = add(world, stack, "192.0.2.1", Host({"EHLO": CLOSE}))
    result = world.send(relay(), [BOB])
    assert hosts(result) == [("a", TEMPORARY), ("a", DELIVERED)]
    assert isinstance(result.attempts[0].error, ConnectionLost)
    assert [commands[0] for commands in a.connections] == [
        "EHLO relay.example",
        "HELO relay.example",
    ]
    # Without extensions there is no TLS.
    world.mx["example.com"] = [(1, "a")]
    assert hosts(world.send(relay(tls="required"), [BOB])) == [("a", TEMPORARY)]
    assert a.messages == [CONTENT]


def test_each_phase_has_its_time(world: World, stack: ExitStack):
    add(world, stack, "192.0.2.1", Host({"MAIL": SILENCE}))
    add(world, stack, "192.0.2.2", Host())
    result = world.send(relay(timeout=0.1), [BOB])
    assert isinstance(result.attempts[0].error, DeadlineExceeded)
    assert outcomes(result) == [DELIVERED]


def test_the_deadline_ends_the_attempts(world: World):
    world.slow = {f"192.0.2.{n}": 40.0 for n in range(1, 5)}
    result = world.send(relay(deadline=100.0, connect_timeout=45.0), [BOB])
    assert [timeout for *_, timeout in world.dialled] == [45.0, 45.0, 20.0]
    assert outcomes(result) == [TEMPORARY]
    assert "192.0.2.3" in str(result.recipients[0].reply)


def test_the_deadline_bounds_a_phase(world: World, stack: ExitStack):
    add(world, stack, "192.0.2.1", Host({"": SILENCE}))
    result = world.send(relay(deadline=1.1, timeout=None), [BOB])
    assert isinstance(result.attempts[0].error, DeadlineExceeded)


def test_no_time_at_all(world: World):
    result = world.send(relay(deadline=0.0), [BOB])
    assert status(result) == "451 4.4.1"


def test_a_host_that_lacks_an_extension(world: World, stack: ExitStack):
    a = add(world, stack, "192.0.2.1", Host())
    b = add(world, stack, "192.0.2.2", Host(extensions=["SMTPUTF8", "8BITMIME"]))
    result = world.send(relay(), ["b\u00e4r@example.com"])
    assert hosts(result) == [("a", PERMANENT), ("b", DELIVERED)]
    assert status(RelayResult(result.attempts[0].replies, None, ())) == "553 5.6.7"
    assert isinstance(result.attempts[0].error, LocalProtocolError)
    assert a.commands("MAIL") == []
    assert a.commands("QUIT") == ["QUIT"]
    assert b.messages == [CONTENT]


# ------------------------------------------------------------- what a transaction carries

RECEIVED = Mail(
    Mailbox("alice", "home.example"),
    size=999,
    body=BodyType.EIGHT_BIT_MIME,
    auth=Mailbox("alice", "home.example"),
    parameters=(Ret("HDRS"), EnvId("QQ314159"), DeliverBy(120, "N"), MtPriority(3)),
)
RECIPIENT = Rcpt(Mailbox("bob", "example.com"), (Notify(frozenset({"SUCCESS"})),))


@pytest.mark.parity(
    "smtp-client DSN",
    "smtp-client DELIVERBY",
    "smtp-client MT-PRIORITY",
    "smtp-client AUTH= on MAIL",
)
def test_a_received_transaction_goes_on_with_the_time_that_is_left(world: World, stack: ExitStack):
    """The first host takes 30 seconds to reach and is busy, the second has fewer extensions."""
    offered = ["8BITMIME", "SIZE", "AUTH PLAIN", "DSN", "DELIVERBY", "MT-PRIORITY MIXER"]
    a = add(world, stack, "192.0.2.1", Host({"RCPT": "450 later"}, extensions=offered))
    b = add(world, stack, "192.0.2.2", Host(extensions=["8BITMIME", "DSN"]))
    world.slow = {"192.0.2.1": 30.0, "192.0.2.2": 15.0}
    result = world.send(relay(), [RECIPIENT], sender=RECEIVED)
    assert hosts(result) == [("a", TEMPORARY), ("b", DELIVERED)]
    (mail,) = a.commands("MAIL")
    assert mail.split(" ")[2:] == [
        "SIZE=22",
        "BODY=8BITMIME",
        "AUTH=alice@home.example",
        "RET=HDRS",
        "ENVID=QQ314159",
        "BY=90;N",
        "MT-PRIORITY=3",
    ]
    assert a.commands("RCPT") == ["RCPT TO:<bob@example.com> NOTIFY=SUCCESS"]
    assert b.commands("MAIL") == [
        "MAIL FROM:<alice@home.example> BODY=8BITMIME RET=HDRS ENVID=QQ314159"
    ]
    # RFC 2852 section 4.1.4.2: nobody watches the time there.
    assert b.commands("RCPT") == ["RCPT TO:<bob@example.com> NOTIFY=SUCCESS,DELAY"]
    first, second = result.attempts
    assert first.left_out == ()
    assert [(left.forward_path, left.parameter.keyword) for left in second.left_out] == [
        (None, "AUTH"),
        (None, "BY"),
        (None, "MT-PRIORITY"),
    ]


@pytest.mark.parity("smtp-client DSN", "smtp-client DELIVERBY")
def test_P19_RFC_3461_section_5_2_2_the_account_is_enough_to_write_notifications(
    world: World, stack: ExitStack
):
    """Who is owed which, and all fields of it (RFC 3464), from the message and the result."""
    world.mx["example.com"] = [(1, "a")]
    world.mx["example.org"] = [(1, "b")]
    add(world, stack, "192.0.2.1", Host({"RCPT TO:<carol": "550 5.1.1 no such recipient"}))
    add(world, stack, "192.0.2.2", Host(extensions=["DSN"]))
    success, failure = Notify(frozenset({"SUCCESS"})), Notify(frozenset({"FAILURE"}))
    recipients = [
        Rcpt(Mailbox("bob", "example.com"), (success, Orcpt("rfc822", "Bob@Example.COM"))),
        Rcpt(Mailbox("carol", "example.com"), (failure,)),
        Rcpt(Mailbox("erin", "example.com"), (Notify(frozenset()),)),
        Rcpt(Mailbox("fred", "example.com"), (failure,)),
        Rcpt(Mailbox("dave", "example.org"), (success,)),
    ]
    result = world.send(relay(), recipients, sender=RECEIVED)
    (relayed,) = result.relayed
    attempt, bob = relayed
    assert {
        "Original-Envelope-Id": next(p.text for p in RECEIVED.parameters if isinstance(p, EnvId)),
        "Original-Recipient": recipients[result.recipients.index(bob)].parameters[1].value,
        "Final-Recipient": f"rfc822;{bob.forward_path}",
        "Remote-MTA": f"dns;{attempt.host}",
        "Diagnostic-Code": f"smtp;{bob.reply}",
        "Action": "relayed",
    } == {
        "Original-Envelope-Id": "QQ314159",
        "Original-Recipient": "rfc822;Bob@Example.COM",
        "Final-Recipient": "rfc822;bob@example.com",
        "Remote-MTA": "dns;a",
        "Diagnostic-Code": "smtp;250 ok",
        "Action": "relayed",
    }
    (carol,) = result.failed
    assert (str(carol.reply), str(carol.enhanced)) == ("550 5.1.1 no such recipient", "5.1.1")
    (refuser,) = [a.host for a in result.attempts if carol in a.replies]
    assert refuser == "a"


@pytest.mark.parametrize("trace", [True, False])
def test_P19_RFC_2852_section_4_1_4_a_trace_ends_where_nobody_keeps_the_time(
    world: World, stack: ExitStack, trace: bool
):
    add(world, stack, "192.0.2.1", Host(extensions=["DSN"]))
    result = world.send(relay(), [BOB], parameters=(DeliverBy(60, "N", trace),))
    assert [str(r.forward_path) for _, r in result.relayed] == [BOB] * trace


def test_a_host_without_extensions_gets_a_plain_transaction(world: World, stack: ExitStack):
    a = add(world, stack, "192.0.2.1", Host())
    result = world.send(relay(), [RECIPIENT], sender=RECEIVED)
    assert outcomes(result) == [DELIVERED]
    assert a.commands("MAIL") == ["MAIL FROM:<alice@home.example>"]
    assert a.commands("RCPT") == ["RCPT TO:<bob@example.com>"]
    (attempt,) = result.attempts
    named = [(left.forward_path, left.parameter.keyword) for left in attempt.left_out]
    assert (RECIPIENT.forward_path, "NOTIFY") in named
    assert {keyword for _, keyword in named} == {
        "BODY",
        "AUTH",
        "RET",
        "ENVID",
        "BY",
        "MT-PRIORITY",
        "NOTIFY",
    }


@pytest.mark.parametrize(
    ("options", "content", "extensions", "expected"),
    [
        ({"parameters": (DeliverBy(60, "R"),)}, CONTENT, [], "554 5.3.3"),
        ({"parameters": (DeliverBy(60, "R"),)}, CONTENT, ["DELIVERBY 61"], "554 5.3.3"),
        ({"parameters": (HoldFor(60),)}, CONTENT, [], "554 5.3.3"),
        ({"body": BodyType.BINARY_MIME}, b"\0", ["CHUNKING"], "554 5.6.3"),
        ({}, b"\xff\r\n", [], "554 5.6.3"),
        ({"sender": Mail(Mailbox("j\u00f6rg", "home.example"))}, CONTENT, [], "550 5.6.7"),
    ],
)
def test_what_no_host_can_be_told_is_refused_for_good(
    world: World,
    stack: ExitStack,
    options: dict[str, Any],
    content: bytes,
    extensions: list[str],
    expected: str,
):
    """Every host is asked; none hears MAIL."""
    everyone = [
        add(world, stack, f"192.0.2.{n}", Host(extensions=extensions)) for n in (1, 2, 3, 4)
    ]
    result = world.send(relay(), [BOB], content=content, **options)
    assert [h for h, _ in hosts(result)] == ["a", "b", "c", "d"]
    assert status(result) == expected
    assert [host.commands("MAIL") for host in everyone] == [[]] * 4
    assert [host.commands("QUIT") for host in everyone] == [["QUIT"]] * 4


@pytest.mark.parametrize("pieces", [True, False])
def test_P19_RFC_6152_section_3_content_that_turns_out_not_to_be_ascii(
    world: World, stack: ExitStack, pieces: bool
):
    """Pieces of which nobody has said what they are: found on the way to a host, for each anew."""
    everyone = [add(world, stack, f"192.0.2.{n}", Host()) for n in (1, 2, 4)]
    other = add(world, stack, "192.0.2.3", Host(extensions=["8BITMIME"]))
    octets = b"caf\xc3\xa9\r\n"
    content = [octets[:3], octets[3:]] if pieces else io.BytesIO(octets)
    result = world.send(relay(), [BOB, CAROL], content=content)
    assert hosts(result) == [("a", PERMANENT), ("b", PERMANENT), ("c", DELIVERED)]
    assert outcomes(result) == [DELIVERED] * 2
    assert [str(r.reply)[:9] for r in result.attempts[0].replies] == ["554 5.6.3"] * 2
    assert isinstance(result.attempts[0].error, LocalProtocolError)
    assert [host.messages for host in everyone] == [[]] * 3
    assert other.messages == [b"caf\xc3\xa9\r\n"]
    assert other.commands("MAIL") == ["MAIL FROM:<alice@home.example> BODY=8BITMIME"]


def test_P19_RFC_6152_section_3_content_that_no_host_can_have(world: World, stack: ExitStack):
    everyone = [add(world, stack, f"192.0.2.{n}", Host()) for n in (1, 2, 3, 4)]
    result = world.send(relay(), [BOB, CAROL], content=[b"caf", b"\xc3\xa9\r\n"])
    assert outcomes(result) == [PERMANENT] * 2
    assert status(result) == "554 5.6.3"
    assert [host.messages for host in everyone] == [[]] * 4


def test_an_address_of_the_header_in_utf8_needs_a_host_with_SMTPUTF8(
    world: World, stack: ExitStack
):
    message = EmailMessage()
    message["Reply-To"] = Address("", "jörg", "home.example")
    message.set_content("hi")
    add(world, stack, "192.0.2.1", Host(extensions=["8BITMIME"]))
    result = world.send(relay(most_hosts=1), [BOB], content=message)
    assert status(result) == "554 5.6.9"
    host = add(world, stack, "192.0.2.2", Host(extensions=["8BITMIME", "SMTPUTF8"]))
    result = world.send(relay(), [BOB], content=message)
    assert outcomes(result) == [DELIVERED]
    assert "Reply-To: jörg@home.example\r\n".encode() in host.messages[0]


def test_recipients_that_a_host_cannot_have_are_refused_alone(world: World, stack: ExitStack):
    a = add(world, stack, "192.0.2.1", Host(extensions=["8BITMIME"]))
    b = add(world, stack, "192.0.2.2", Host(extensions=["8BITMIME", "SMTPUTF8"]))
    result = world.send(relay(), ["j\u00f6rg@example.com", BOB])
    assert outcomes(result) == [DELIVERED, DELIVERED]
    assert a.commands("RCPT") == [f"RCPT TO:<{BOB}>"]
    assert b.commands("RCPT") == ["RCPT TO:<j\u00f6rg@example.com>"]
    assert str(result.attempts[0].replies[0].reply).startswith("553 5.6.7")


def test_who_cannot_be_sent_to_a_host_does_not_keep_the_next_one_from_it(
    world: World, stack: ExitStack
):
    host = add(world, stack, "192.0.2.1", Host(extensions=["LIMITS RCPTMAX=1"]))
    result = world.send(relay(most_hosts=1), ["jörg@example.com", BOB])
    assert outcomes(result) == [PERMANENT, DELIVERED]
    assert status(result) == "553 5.6.7"
    assert host.commands("RCPT") == [f"RCPT TO:<{BOB}>"]


def test_the_last_reply_to_the_content_stays_when_another_host_takes_none(
    world: World, stack: ExitStack
):
    world.mx["example.org"] = [(10, "b")]
    add(world, stack, "192.0.2.1", Host({".": "250 taken"}))
    add(world, stack, "192.0.2.2", Host({"MAIL": "550 no"}))
    result = world.send(relay(), [BOB, DAVE])
    assert outcomes(result) == [DELIVERED, PERMANENT]
    assert str(result.final) == "250 taken"


def test_a_file_is_read_anew_for_each_host(world: World, stack: ExitStack, tmp_path: Path):
    add(world, stack, "192.0.2.1", Host({".": "450 later"}))
    b = add(world, stack, "192.0.2.2", Host())
    path = tmp_path / "message"
    path.write_bytes(b"not this\r\n" + CONTENT)
    with path.open("rb") as file:
        file.readline()
        result = world.send(relay(), [BOB], content=file)
    assert outcomes(result) == [DELIVERED]
    assert b.messages == [CONTENT]


async def _later() -> AsyncIterator[bytes]:
    yield CONTENT


class Stream:
    def read(self, size: int, /) -> bytes:
        return b""


@pytest.mark.parametrize("content", [iter([CONTENT]), _later(), Stream()])
def test_what_can_be_read_only_once_is_refused(world: World, content: Any):
    with pytest.raises(LocalProtocolError, match="only once"):
        world.send(relay(), [BOB], content=content)
    assert world.dialled == []


# ------------------------------------------------------------------------------- TLS


@pytest.fixture
def tls(certificate: CertificateFiles) -> ssl.SSLContext:
    return server_context(certificate.cert, certificate.key)


def test_opportunistic_tls_is_used_without_asking_who_it_is(
    world: World, stack: ExitStack, tls: ssl.SSLContext
):
    host = add(world, stack, "192.0.2.1", Host(extensions=["STARTTLS"], tls=tls))
    result = world.send(relay(tls="opportunistic"), [BOB])
    assert [(a.tls, a.outcome) for a in result.attempts] == [(True, DELIVERED)]
    assert host.messages == [CONTENT]


@pytest.mark.parametrize(
    "host",
    [
        Host(),
        Host({"STARTTLS": "454 4.7.0 not now"}, extensions=["STARTTLS"]),
    ],
)
def test_opportunistic_tls_that_is_not_to_be_had(world: World, stack: ExitStack, host: Host):
    add(world, stack, "192.0.2.1", host)
    result = world.send(relay(tls="opportunistic"), [BOB])
    assert [(a.tls, a.outcome) for a in result.attempts] == [(False, DELIVERED)]


def test_opportunistic_tls_that_fails_is_tried_again_in_clear(world: World, stack: ExitStack):
    host = add(world, stack, "192.0.2.1", Host(extensions=["STARTTLS"]))
    result = world.send(relay(tls="opportunistic"), [BOB])
    assert [(a.address, a.tls, a.outcome) for a in result.attempts] == [
        ("192.0.2.1", False, TEMPORARY),
        ("192.0.2.1", False, DELIVERED),
    ]
    assert isinstance(result.attempts[0].error, TLSError)
    assert host.commands("STARTTLS") == ["STARTTLS"]


class Breaking(Host):
    """Breaks the records of TLS once the handshake is done."""

    def serve(self, connection: socket.socket) -> None:
        self.connections.append([])
        connection.sendall(b"220 mx\r\n")
        for reply in (b"250-mx\r\n250 STARTTLS\r\n", b"220 go on\r\n"):
            self.connections[-1].append(connection.recv(4096).decode().strip())
            connection.sendall(reply)
        assert self.tls is not None
        with self.tls.wrap_socket(connection, server_side=True) as protected:
            os.write(protected.fileno(), b"250 this is not TLS\r\n")
            protected.recv(4096)


def test_P06_tls_that_breaks_after_the_handshake_is_not_tried_again_in_clear(
    world: World, stack: ExitStack, tls: ssl.SSLContext
):
    host = add(world, stack, "192.0.2.1", Breaking(tls=tls))
    result = world.send(relay(tls="opportunistic", most_hosts=1), [BOB])
    assert [(a.tls, a.outcome) for a in result.attempts] == [(True, TEMPORARY)]
    assert isinstance(result.attempts[0].error, TLSError)
    assert len(host.connections) == 1


def test_P06_no_tls_no_message_where_it_is_required(
    world: World, stack: ExitStack, certificate: CertificateFiles, tls: ssl.SSLContext
):
    others = [
        add(world, stack, "192.0.2.1", Host()),
        add(world, stack, "192.0.2.2", Host({"STARTTLS": "454 no"}, extensions=["STARTTLS"])),
        # A certificate for another name.
        add(world, stack, "192.0.2.3", Host(extensions=["STARTTLS"], tls=tls)),
        add(world, stack, "192.0.2.4", Host(extensions=["STARTTLS"])),
    ]
    configured = relay(tls="required", tls_context=client_context(certificate.cert))
    result = world.send(configured, [BOB])
    assert status(result) == "451 4.7.10"
    kinds = [type(attempt.error) for attempt in result.attempts]
    assert kinds == [SecurityError, SecurityError, TLSError, TLSError]
    assert [host.commands("MAIL") for host in others] == [[]] * 4
    world.mx["example.com"] = [(1, "localhost")]
    world.addresses["localhost"] = ["192.0.2.3"]
    result = world.send(configured, [BOB])
    assert [(a.tls, a.outcome) for a in result.attempts] == [(True, DELIVERED)]
    # Nobody but this test knows the authority of its certificate.
    result = world.send(relay(tls="required"), [BOB])
    assert isinstance(result.attempts[0].error, TLSError)


@pytest.mark.parametrize("mode", ["opportunistic", "required"])
def test_P06_requiretls_is_kept_by_every_mode(
    world: World, stack: ExitStack, certificate: CertificateFiles, tls: ssl.SSLContext, mode: Any
):
    offering = Host(extensions=["STARTTLS"], tls=tls, after_tls=["REQUIRETLS"])
    add(world, stack, "192.0.2.1", Host(extensions=["REQUIRETLS"]))
    add(world, stack, "192.0.2.2", Host(extensions=["STARTTLS"]))
    # A certificate for another name, then no REQUIRETLS, then everything.
    add(world, stack, "192.0.2.3", offering)
    add(world, stack, "192.0.2.4", Host(extensions=["STARTTLS"], tls=tls))
    configured = relay(tls=mode, tls_context=client_context(certificate.cert))
    result = world.send(configured, [BOB], parameters=REQUIRETLS)
    assert status(result) == "550 5.7.10"
    assert len(result.attempts) == 4
    assert not any(host.messages for host in [offering])
    world.mx["example.com"] = [(1, "localhost")]
    world.addresses["localhost"] = ["192.0.2.4", "192.0.2.3"]
    result = world.send(configured, [BOB], parameters=REQUIRETLS)
    first, second = result.attempts
    assert (first.tls, str(first.replies[0].reply)) == (
        True,
        "550 5.7.30 The next hop has no REQUIRETLS",
    )
    assert (second.tls, second.outcome) == (True, DELIVERED)
    assert "REQUIRETLS" in offering.commands("MAIL")[0]


def test_P06_requiretls_without_a_way_to_keep_it(world: World):
    anyone = ssl.create_default_context()
    anyone.check_hostname = False
    for configured in (relay(), relay(tls="opportunistic", tls_context=anyone)):
        with pytest.raises(SecurityError, match="REQUIRETLS"):
            world.send(configured, [BOB], parameters=REQUIRETLS)
    assert world.dialled == []


# ------------------------------------------------------------------------- smart host


def test_a_smart_host_is_the_same_with_one_host(
    world: World, stack: ExitStack, certificate: CertificateFiles, tls: ssl.SSLContext
):
    world.addresses["localhost"] = ["192.0.2.1"]
    extensions = ["AUTH PLAIN"]
    replies = {"AUTH": "235 2.7.0 welcome"}
    host = Host(replies, extensions=["STARTTLS"], tls=tls, after_tls=extensions)
    add(world, stack, "192.0.2.1", host)
    configured = relay(
        smart_host="localhost",
        login=("alice", "secret"),
        tls="required",
        tls_context=client_context(certificate.cert),
    )
    result = world.send(configured, [BOB, DAVE, Rcpt(POSTMASTER)])
    assert outcomes(result) == [DELIVERED] * 3
    assert world.dialled == [("192.0.2.1", 587, "localhost", 30.0)]
    assert len(host.commands("AUTH")) == 1
    host.replies["AUTH"] = "535 5.7.8 no"
    result = world.send(configured, [BOB])
    assert status(result) == "451 4.7.8"
    assert isinstance(result.attempts[0].error, AuthenticationFailed)
    assert "secret" not in repr(configured)
    assert "secret" not in repr(result)


def test_a_smart_host_by_implicit_tls(
    world: World, stack: ExitStack, certificate: CertificateFiles, tls: ssl.SSLContext
):
    world.addresses["localhost"] = ["192.0.2.1"]
    host = Host()

    def serve(connection: Any) -> None:
        Host.serve(host, tls.wrap_socket(connection, server_side=True))

    host.serve = serve  # type: ignore[method-assign]  # TLS before the greeting
    add(world, stack, "192.0.2.1", host)
    context = client_context(certificate.cert)
    result = world.send(relay(smart_host="localhost", tls="implicit", tls_context=context), [BOB])
    assert world.dialled[0][1] == 465
    assert [(a.tls, a.outcome) for a in result.attempts] == [(True, DELIVERED)]


@pytest.mark.parametrize(
    "options",
    [
        {"login": ("a", "b"), "tls": "required"},
        {"login": ("a", "b"), "smart_host": "h"},
        {"login": ("a", "b"), "smart_host": "h", "tls": "opportunistic"},
        {"tls": "Required"},
        {"tls": True},
        {"domain": "relay example"},
        {"domain": "relay\r\nNOOP"},
    ],
)
def test_settings_that_make_no_sense(options: Any):
    with pytest.raises(LocalProtocolError):
        RelaySettings(**options)


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("content", "recipients", "options"),
    [
        (b"bare\nnewline\r\n", [BOB], {}),
        (b"x" * 999 + b"\r\n", [BOB], {}),
        (iter([CONTENT]), [BOB], {}),
        (CONTENT, [Rcpt(POSTMASTER)], {}),
        (CONTENT, ["bob"], {}),
        (CONTENT, [Rcpt(Mailbox("bob", "x\r\nDATA"))], {}),
        (CONTENT, [BOB], {"parameters": (Parameter("X", "y\r\nDATA"),)}),
        (CONTENT, [BOB], {"sender": "alice"}),
    ],
)
def test_P04_what_no_server_could_be_sent_is_refused_at_once(
    world: World, content: Any, recipients: Any, options: Any
):
    with pytest.raises(LocalProtocolError):
        world.send(relay(), recipients, content=content, **options)
    assert world.dialled == []


def test_pieces_are_sent_again_to_the_next_host(world: World, stack: ExitStack):
    add(world, stack, "192.0.2.1", Host({".": "451 try again"}))
    b = add(world, stack, "192.0.2.2", Host())
    world.send(relay(), [BOB], content=[b"Subject: x\r\n", b"\r\n", b"hi\r\n"])
    assert b.messages == [b"Subject: x\r\n\r\nhi\r\n"]


@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize("offered", ["PIPELINING", "8BITMIME"])
def test_pieces_that_cannot_be_sent_are_no_fault_of_the_host(
    world: World, stack: ExitStack, chunking: bool, offered: str
):
    a = add(world, stack, "192.0.2.1", Host(extensions=["CHUNKING", offered]))
    b = add(world, stack, "192.0.2.2", Host())
    with pytest.raises(LocalProtocolError, match="bare CR or LF"):
        world.send(relay(), [BOB], content=[b"bare\nnewline\r\n"], chunking=chunking)
    assert (a.messages, a.commands("BDAT"), b.connections) == ([], [], [])
