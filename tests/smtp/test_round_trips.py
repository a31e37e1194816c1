"""P18: what is written and read again is the same, for each class of value that is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.sasl import wire
from mailproto.smtp.parse import parse_command, parse_reply, parse_reply_line
from mailproto.smtp.serialize import serialize_challenge, serialize_command, serialize_reply
from mailproto.testing.strategies import smtp as strategies

ALICE = smtp.Mailbox("alice", "example.com")
HOSTNAME = "mx.example.com"
SHARE = max(settings().max_examples // 6, 5)
"""Examples for each class: there are many."""


class _Everything(frozenset[str]):
    """All parameters."""

    def __contains__(self, keyword: object) -> bool:
        return True


# ------------------------------------------------------------------- to the wire, and back


def command(value: smtp.Command) -> smtp.Command:
    line = serialize_command(value)
    assert line.endswith(b"\r\n")
    return parse_command(line[:-2], _Everything(), _Everything())


def mail_parameter(value: smtp.MailParameter) -> smtp.MailParameter:
    # MTRK is never without ENVID.
    beside = (smtp.EnvId("1"),) if isinstance(value, smtp.Mtrk) else ()
    found = command(smtp.Mail(ALICE, parameters=(*beside, value)))
    assert isinstance(found, smtp.Mail)
    return found.parameters[-1]


def rcpt_parameter(value: smtp.RcptParameter) -> smtp.RcptParameter:
    found = command(smtp.Rcpt(ALICE, (value,)))
    assert isinstance(found, smtp.Rcpt)
    (parameter,) = found.parameters
    return parameter


def response(value: smtp.AuthResponse | smtp.AuthCancel) -> smtp.AuthResponse | smtp.AuthCancel:
    found = wire.decode_response(serialize_command(value)[:-2])
    return smtp.AuthResponse(found) if isinstance(found, bytes) else smtp.AuthCancel()


def reply(value: smtp.Reply) -> smtp.Reply:
    *lines, rest = serialize_reply(value).split(b"\r\n")
    assert rest == b""
    parts = [parse_reply_line(line) for line in lines]
    assert [more for _, more, _ in parts] == [True] * (len(parts) - 1) + [False]
    (code,) = {code for code, _, _ in parts}
    return parse_reply(code, tuple(text for _, _, text in parts))


def challenge(value: smtp.Challenge) -> smtp.Challenge:
    code, _, text = parse_reply_line(serialize_challenge(value)[:-2])
    found = wire.decode_challenge(text.encode())
    assert code == 334
    assert isinstance(found, bytes)
    return smtp.Challenge(found)


def enhanced_code(value: smtp.EnhancedCode) -> smtp.EnhancedCode | None:
    return reply(smtp.Reply(value.status * 100, "x", value)).enhanced


def capabilities(value: smtp.Capabilities) -> smtp.Capabilities:
    parts = [
        parse_reply_line(line) for line in serialize_reply(value.to_reply()).split(b"\r\n")[:-1]
    ]
    lines = tuple(text for _, _, text in parts)
    return smtp.Capabilities.of_reply(parse_reply(250, lines, enhanced=False))


limits = st.builds(
    smtp.SMTPServerLimits,
    content=st.integers(1, 2**40),
    recipients=st.integers(1, 999_999),
    recipient_domains=st.none() | st.integers(1, 999_999),
    transactions=st.none() | st.integers(1, 999_999),
)
offered = st.builds(
    lambda offer, limits, flags: offer.capabilities(
        HOSTNAME, limits, lmtp=flags[0], tls=flags[1], authenticated=flags[2]
    ),
    strategies.offers,
    limits,
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)

VALUES: dict[type, tuple[st.SearchStrategy[Any], Callable[[Any], object]]] = {
    **{kind: (values, command) for kind, values in strategies.each_command.items()},
    **{kind: (values, mail_parameter) for kind, values in strategies.each_mail_parameter.items()},
    **{kind: (values, rcpt_parameter) for kind, values in strategies.each_rcpt_parameter.items()},
    smtp.Parameter: (strategies.other_parameters, mail_parameter),
    smtp.AuthResponse: (st.builds(smtp.AuthResponse, st.binary(max_size=60)), response),
    smtp.AuthCancel: (st.just(smtp.AuthCancel()), response),
    # 3yz has no enhanced status code (RFC 2034 section 4).
    smtp.Reply: (strategies.replies().filter(lambda reply: reply.code // 100 != 3), reply),
    smtp.Challenge: (st.builds(smtp.Challenge, st.binary(max_size=60)), challenge),
    smtp.EnhancedCode: (strategies.enhanced_codes, enhanced_code),
    smtp.Mailbox: (strategies.mailboxes(utf8=True), lambda value: smtp.Mailbox.parse(str(value))),
    smtp.Capabilities: (offered, capabilities),
}
CONTENT = {smtp.Body, smtp.EndOfMessage}
"""No lines: tests/smtp/test_promises.py and test_chunking.py have them arrive as they were sent."""


def test_P18_no_class_is_left_out() -> None:
    travelling = {
        kind
        for union in (smtp.Command, smtp.MailParameter, smtp.RcptParameter)
        for kind in get_args(union)
    }
    assert travelling - CONTENT <= set(VALUES)


@pytest.mark.parametrize("kind", list(VALUES), ids=lambda kind: kind.__name__)
@pytest.mark.parity("smtp-client multi-line replies")
@given(data=st.data())
@settings(max_examples=SHARE)
def test_P18_parse_of_serialize_is_the_same(kind: type, data: st.DataObject) -> None:
    values, round_trip = VALUES[kind]
    value = data.draw(values)
    assert isinstance(value, kind)
    try:
        found = round_trip(value)
    except smtp.AddressError:
        # A path over 256 octets, for example: said before anything is written.
        return
    assert found == value
    assert type(found) is kind


@given(strategies.offers, limits, st.booleans(), st.booleans())
def test_P18_a_client_reads_the_capabilities_that_a_server_was_configured_with(
    offer: smtp.Offer, limits: smtp.SMTPServerLimits, lmtp: bool, tls: bool
) -> None:
    server = smtp.Server(HOSTNAME, lmtp=lmtp, tls=tls, offer=offer, limits=limits)
    client = smtp.Client(lmtp=lmtp, tls=tls)
    server.accept()
    client.receive_data(server.data_to_send())
    client.next_event()
    client.send(smtp.Lhlo("a") if lmtp else smtp.Ehlo("a"))
    server.receive_data(client.data_to_send())
    server.next_event()
    server.accept()
    client.receive_data(server.data_to_send())
    client.next_event()
    found = client.capabilities
    assert found == server.capabilities
    assert found is not None
    assert found.domain == HOSTNAME
    assert found.size == limits.content
    assert found.deliver_by == (offer.deliver_by or 0)
    assert found.future_release == offer.future_release
    assert found.priority_policy == (offer.mt_priority or None)
    assert found.no_soliciting == (offer.no_soliciting or ())
    shown = offer.mechanisms if tls or offer.insecure_auth else ()
    assert found.mechanisms == shown
    told = limits if offer.advertise_limits else smtp.SMTPServerLimits()
    assert found.limit("RCPTMAX") == (told.recipients if offer.advertise_limits else None)
    assert found.limit("RCPTDOMAINMAX") == told.recipient_domains
    assert found.limit("MAILMAX") == told.transactions
    for extension in offer.extensions:
        assert found.keywords[extension.keyword] == extension.values


@pytest.mark.parametrize(
    "options",
    [
        {"extensions": (smtp.Extension("X A"),)},
        {"extensions": (smtp.Extension("X\r\n250 AUTH PLAIN"),)},
        {"extensions": (smtp.Extension("X-A", ("b c",)),)},
        {"extensions": (smtp.Extension("X-A", ("=b",)),)},
        {"extensions": (smtp.Extension("X-A", ("",)),)},
        {"extensions": (smtp.Extension("X-\xe4"),)},
        {"mechanisms": ("PLAIN LOGIN",)},
        {"mechanisms": ("PLAIN\r\n250 X",)},
        {"mt_priority": "two words"},
        {"no_soliciting": ("a b",)},
        {"burl": ("imap\x00",)},
    ],
    ids=repr,
)
def test_P04_what_cannot_be_told_is_not_offered(options: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        smtp.Offer(**options)
