"""smtplib and aiosmtplib against servers of both our facades."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiosmtplib
import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message, make_utf8_message
from interop.peers.dovecot import PASSWORD
from interop.peers.recorder import TOKEN, Accounts, Recorder, recording
from mailproto import sasl, smtp
from mailproto.cli.certificate import CertificateFiles

pytestmark = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")

SECONDS = 20.0
RECIPIENTS = ["bob@peer.test", "nobody@peer.test", "carol@peer.test"]


@pytest.fixture
def recorder(facade: Facade, certificate: CertificateFiles) -> Iterator[Recorder]:
    """A server with everything on that these clients know."""
    mechanisms = [sasl.XOAUTH2, sasl.CRAM_MD5, sasl.PLAIN, sasl.LOGIN]
    with recording(
        facade,
        certificate,
        directory=Accounts(),
        sasl=sasl.Offer(mechanisms),
        offer=smtp.Offer(dsn=True),
    ) as made:
        yield made


def trusting(certificate: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.cert)


def told(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a story to its end, in bounded time."""

    async def bounded() -> None:
        async with asyncio.timeout(SECONDS):
            await story()

    asyncio.run(bounded())


# ----------------------------------------------------------------------------- smtplib


def smtplib_session(recorder: Recorder) -> smtplib.SMTP:
    return smtplib.SMTP("localhost", recorder.port, "client.test", timeout=SECONDS)


def test_smtplib_sends(recorder: Recorder, certificate: CertificateFiles) -> None:
    message, second = make_message(lines=2000), make_utf8_message()
    with smtplib_session(recorder) as client:
        refused = client.sendmail(
            SENDER,
            RECIPIENTS,
            message,
            ["BODY=8BITMIME", "RET=HDRS", "ENVID=id+2B1"],
            ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;x+2By@peer.test"],
        )
        assert {path: code for path, (code, _) in refused.items()} == {"nobody@peer.test": 550}
        client.starttls(context=trusting(certificate))
        client.sendmail("j\u00f6rg@elsewhere.test", ["j\u00f6rg@peer.test"], second, ["SMTPUTF8"])
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail(SENDER, ["nobody@peer.test"], message)
        assert client.noop()[0] == 250
    first, utf8 = recorder.wait_for(2)
    assert_same_mail(first.content, message)
    assert len(first.recipients) == 2
    assert first.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert first.parameter(smtp.Orcpt) == smtp.Orcpt("rfc822", "x+y@peer.test")
    assert (first.tls, utf8.tls) == (False, True)
    assert_same_mail(utf8.content, second)
    assert utf8.mail.smtputf8
    assert str(utf8.recipients[0].forward_path) == "j\u00f6rg@peer.test"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_smtplib_authenticates(
    recorder: Recorder, certificate: CertificateFiles, mechanism: str
) -> None:
    with smtplib_session(recorder) as client:
        client.starttls(context=trusting(certificate))
        client.ehlo()
        step = getattr(client, "auth_" + mechanism.lower().replace("-", "_"))
        client.user, client.password = "alice", "wrong"
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
            client.auth(mechanism, step)
        client.password = PASSWORD
        assert client.auth(mechanism, step)[0] == 235
        client.sendmail(SENDER, ["bob@peer.test"], make_message())
    assert recorder.wait_for()[0].account == "alice"


def test_smtplib_by_lmtp(facade: Facade) -> None:
    with recording(facade, lmtp=True) as recorder:
        with smtplib.LMTP("localhost", recorder.port, "client.test") as client:
            refused = client.sendmail(SENDER, ["bob@peer.test", "nobody@peer.test"], make_message())
            assert refused.keys() == {"nobody@peer.test"}
        assert_same_mail(recorder.wait_for()[0].content, make_message())


# -------------------------------------------------------------------------- aiosmtplib


@asynccontextmanager
async def aiosmtplib_session(recorder: Recorder, **options: Any) -> AsyncIterator[aiosmtplib.SMTP]:
    """A client that leaves nothing open: a transport that is closed keeps its socket for a while,
    and for good when the loop ends before."""
    async with aiosmtplib.SMTP(
        hostname="localhost",
        port=recorder.port,
        local_hostname="client.test",
        timeout=SECONDS,
        **options,
    ) as client:
        connection = client.get_transport_info("socket")
        yield client
    while connection.fileno() >= 0:
        await asyncio.sleep(0.001)


def test_aiosmtplib_sends(recorder: Recorder, certificate: CertificateFiles) -> None:
    message, second = make_message(lines=2000), make_utf8_message()

    async def story() -> None:
        # It goes over to TLS by itself.
        context = trusting(certificate)
        async with aiosmtplib_session(recorder, tls_context=context) as client:
            refused, text = await client.sendmail(
                SENDER,
                RECIPIENTS,
                message,
                mail_options=["BODY=8BITMIME", "RET=HDRS", "ENVID=id+2B1"],
                rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
            )
            assert {path: answer.code for path, answer in refused.items()} == {
                "nobody@peer.test": 550
            }
            assert text.startswith("2.0.0")
            assert (await client.noop()).code == 250
            assert (await client.vrfy("bob")).code == 252
            assert (await client.help()).startswith("2.0.0")
            await client.sendmail(
                "j\u00f6rg@elsewhere.test",
                "j\u00f6rg@peer.test",
                second,
                mail_options=["SMTPUTF8", "BODY=8BITMIME"],
            )
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
                await client.sendmail(SENDER, "nobody@peer.test", message)

    told(story)
    first, utf8 = recorder.wait_for(2)
    assert first.tls
    assert_same_mail(first.content, message)
    assert first.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert first.parameter(smtp.Notify).events == {"SUCCESS", "FAILURE"}
    assert_same_mail(utf8.content, second)
    assert utf8.mail.smtputf8


@pytest.mark.parametrize("mechanism", ["plain", "login", "crammd5", "xoauth2"])
def test_aiosmtplib_authenticates(
    recorder: Recorder, certificate: CertificateFiles, mechanism: str
) -> None:
    secret = TOKEN if mechanism == "xoauth2" else PASSWORD

    async def story() -> None:
        context = trusting(certificate)
        async with aiosmtplib_session(recorder, tls_context=context) as client:
            await client.ehlo()
            step = getattr(client, f"auth_{mechanism}")
            with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
                await step("alice", "wrong")
            assert refused.value.code == 535
            assert (await step("alice", secret)).code == 235
            await client.sendmail(SENDER, "bob@peer.test", make_message())

    told(story)
    assert recorder.wait_for()[0].account == "alice"


def test_aiosmtplib_in_many_connections(recorder: Recorder) -> None:
    async def one(number: int) -> None:
        async with aiosmtplib_session(recorder, start_tls=False) as client:
            for part in "ab":
                message = make_message(f"{number}{part}")
                await client.sendmail(SENDER, "bob@peer.test", message)

    async def story() -> None:
        await asyncio.gather(*(one(number) for number in range(25)))

    told(story)
    contents = {received.content for received in recorder.wait_for(50)}
    assert len(contents) == 50
