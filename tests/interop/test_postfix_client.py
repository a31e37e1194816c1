"""Postfix as a client of `mailproto serve`: it submits, relays, and delivers by LMTP."""

from __future__ import annotations

import smtplib
from collections.abc import Callable

import pytest

from interop.conftest import CONTROL, Observer
from interop.mail import RECIPIENT, SENDER, assert_same_mail, make_message
from interop.peers.postfix import Postfix, Relay
from interop.peers.serve import Serve

pytestmark = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")


def inject(postfix: Postfix, *recipients: str, message: bytes) -> None:
    with smtplib.SMTP(postfix.host, postfix.smtp, timeout=20) as smtp:
        smtp.sendmail(SENDER, list(recipients), message)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_postfix_submits_to_us_with_authentication(
    start_serve: Callable[..., Serve], start_postfix: Callable[..., Postfix], *, tls: bool
) -> None:
    ours = start_serve(*([] if tls else ["--allow-insecure-auth"]), domain="other.test")
    relay = Relay(ours.submission, tls=tls, user="alice", password="secret")
    message = make_message(lines=3000)
    inject(start_postfix(relay=relay), "bob@other.test", message=message)
    assert_same_mail(Observer(ours).wait_for(1, "bob")[0], message)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_postfix_delivers_to_our_smtp_port(
    start_serve: Callable[..., Serve], start_postfix: Callable[..., Postfix], *, tls: bool
) -> None:
    ours = start_serve(domain="other.test")
    postfix = start_postfix(relay=Relay(ours.smtp, tls=tls))
    for number in range(5):
        inject(
            postfix,
            "alice@other.test",
            "bob@other.test",
            message=make_message(f"number {number}"),
        )
    observer = Observer(ours)
    assert len(observer.wait_for(5, "alice")) == 5
    assert len(observer.wait_for(5, "bob")) == 5


def test_postfix_delivers_to_our_lmtp_port(
    start_serve: Callable[..., Serve], start_postfix: Callable[..., Postfix]
) -> None:
    ours = start_serve()
    postfix = start_postfix(lmtp_port=ours.lmtp)
    inject(postfix, RECIPIENT, "bob@peer.test", message=make_message())
    observer = Observer(ours)
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], make_message())


def test_we_relay_to_postfix(start_serve: Callable[..., Serve], postfix: Postfix) -> None:
    """Mail of an authenticated sender for another domain goes where --relay says."""
    relay = f"--relay={postfix.host}:{postfix.smtp}"
    ours = start_serve(relay, "--allow-insecure-auth", domain="home.test")
    before = len(postfix.delivered("carol"))
    with smtplib.SMTP(ours.host, ours.submission, timeout=20) as smtp:
        smtp.login("alice", "secret")
        smtp.sendmail("alice@home.test", ["carol@peer.test"], make_message("relayed"))
    delivered = postfix.wait_for_delivery("carol", before + 1)
    assert_same_mail(delivered[-1], make_message("relayed"))
