"""What the options of ``mailproto serve`` turn on, as clients see it; one server has them all."""

from __future__ import annotations

import datetime
import poplib
import smtplib
import socket
from collections.abc import Iterator

import pytest

from facades.world import Facade
from interop.peers.authority import Authority, make_authority
from interop.peers.recorder import Recorder, recording
from interop.peers.serve import Serve, run_serve
from mailproto import errors, imap, sasl, smtp, sync
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import client_context

UNTIL = datetime.datetime(2036, 12, 24, 18, tzinfo=datetime.UTC)
OPTIONS = [
    *(
        "--user=alice:secret",
        "--user=bob:secret",
        "--user=carol:secret",
        "--user=dora:secret",
        "--domain=peer.test",
    ),
    *("--hostname=mx.peer.test", "--proxied-by=127.0.0.2/32"),
    *("--certificate-binding", "--allow-insecure-auth"),
    *("--offer=BINARYMIME", "--offer=deliverby=120", "--offer=MT-PRIORITY=MIXER"),
    *("--offer=NO-SOLICITING=net.example:ADV,org.example:X", "--offer=LIMITS"),
    *("--offer=requiretls", "--offer=DSN", "--offer=MTRK", "--offer=RRVS"),
    "--offer=FUTURERELEASE=3600,2036-12-24T18:00:00Z",
    *("--limit=smtp.recipients=2", "--limit=smtp.content=100000", "--limit=smtp.transactions=7"),
    *("--limit=imap.append=5000", "--limit=pop3.errors=2"),
    *("--pop3-login-delay=3600", "--pop3-expire=0", "--pop3-utf8=refuse"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), ["alice", "mallory"])


@pytest.fixture(scope="module")
def next_hop() -> Iterator[Recorder]:
    """Where the server sends mail for other domains."""
    facade = Facade("sync")
    offer = smtp.Offer(dsn=True, future_release=smtp.FutureRelease(3600, UNTIL), mtrk=True)
    with recording(facade, offer=offer) as recorder:
        yield recorder
    facade.close()


@pytest.fixture(scope="module")
def served(
    certificate: CertificateFiles,
    authority: Authority,
    next_hop: Recorder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Serve]:
    options = [*OPTIONS, f"--client-ca={authority.ca}", f"--relay=127.0.0.1:{next_hop.port}"]
    options += [f"--tls-cert={certificate.cert}", f"--tls-key={certificate.key}"]
    with run_serve(options, tmp_path_factory.mktemp("serve")) as server:
        yield server


def extensions(served: Serve, port: int, *, lmtp: bool = False) -> dict[str, str]:
    """What smtplib has read of the answer to EHLO."""
    kind = smtplib.LMTP if lmtp else smtplib.SMTP
    with kind(served.host, port, "client.test") as client:
        client.ehlo()
        return {name: value.strip() for name, value in client.esmtp_features.items()}


def test_what_is_offered_by_submission(served: Serve) -> None:
    found = extensions(served, served.submission)
    assert {
        "binarymime": "",
        "deliverby": "120",
        "dsn": "",
        "futurerelease": "3600 2036-12-24T18:00:00Z",
        "limits": "MAILMAX=7 RCPTMAX=2",
        "mt-priority": "MIXER",
        "mtrk": "",
        "no-soliciting": "net.example:ADV,org.example:X",
        "rrvs": "",
        "size": "100000",
    }.items() <= found.items()
    # Under TLS only.
    assert "requiretls" not in found


@pytest.mark.parametrize("name", ["smtp", "lmtp"])
def test_what_only_a_next_hop_can_do_is_offered_by_submission_alone(
    served: Serve, name: str
) -> None:
    found = extensions(served, served.ports[name], lmtp=name == "lmtp")
    assert {"binarymime", "deliverby", "limits", "mt-priority", "no-soliciting"} <= found.keys()
    assert not {"dsn", "futurerelease", "mtrk", "rrvs"} & found.keys()


def test_a_proxy_tells_who_the_client_is(served: Serve, certificate: CertificateFiles) -> None:
    with socket.create_connection(
        (served.host, served.lmtp), 20, source_address=("127.0.0.2", 0)
    ) as client:
        client.sendall(
            b"PROXY TCP4 192.0.2.9 192.0.2.10 4711 24\r\n"
            b"LHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<dora@peer.test>\r\n"
            b"BDAT 12 LAST\r\nSubject: x\r\nQUIT\r\n"
        )
        with client.makefile("rb") as lines:
            answers = lines.readlines()
    assert answers[0].startswith(b"220 mx.peer.test ")
    assert answers[-1].startswith(b"221")
    with sync.imap.connect(
        served.host,
        served.imaps,
        tls_context=client_context(certificate.cert),
        login=("dora", "secret"),
    ) as reader:
        reader.select("INBOX")
        (message,) = reader.fetch(1, imap.BodySection(peek=True))
    header = message.section()
    assert isinstance(header, bytes)
    assert b"Received: from client.test ([192.0.2.9])\r\n\tby mx.peer.test" in header


def test_limits_of_smtp_are_kept(served: Serve) -> None:
    with smtplib.SMTP(served.host, served.smtp, "client.test") as client:
        client.ehlo()
        client.mail("a@far.test")
        codes = [client.rcpt(f"{user}@peer.test")[0] for user in ("alice", "bob", "postmaster")]
        assert codes == [250, 250, 452]
        client.rset()
        assert client.mail("a@far.test", ["SIZE=100001"])[0] == 552


def test_an_extension_works(served: Serve, certificate: CertificateFiles) -> None:
    """BINARYMIME and REQUIRETLS, from a client of ours to the store and back."""
    octets = b"Subject: octets\r\n\r\n\0 and \xff\r\n"
    trust = client_context(certificate.cert)
    with sync.smtp.connect(
        served.host, served.smtps, tls="implicit", tls_context=trust, login=("bob", "secret")
    ) as client:
        client.send(
            octets,
            "bob@peer.test",
            ["bob@peer.test"],
            parameters=(smtp.RequireTLS(), smtp.MtPriority(2)),
            body=smtp.BodyType.BINARY_MIME,
        ).check()
    with sync.imap.connect(
        served.host, served.imaps, tls_context=trust, login=("bob", "secret")
    ) as reader:
        reader.select("INBOX")
        (message,) = reader.fetch(1, imap.BodySection(peek=True))
        content = message.section()
        assert isinstance(content, bytes)
        assert content.endswith(octets)


def test_what_the_store_cannot_do_reaches_the_next_hop(
    served: Serve, next_hop: Recorder, certificate: CertificateFiles
) -> None:
    recipient = smtp.Rcpt(
        smtp.Mailbox("carol", "other.test"), (smtp.Notify(frozenset({"SUCCESS"})),)
    )
    asked = (smtp.Ret("FULL"), smtp.EnvId("id-1"), smtp.HoldFor(600))
    with sync.smtp.connect(
        served.host,
        served.submission,
        tls_context=client_context(certificate.cert),
        login=("bob", "secret"),
    ) as client:
        client.send(b"Subject: on\r\n\r\n", "bob@peer.test", [recipient], parameters=asked)
    (received,) = next_hop.wait_for()
    assert received.parameter(smtp.Ret) == asked[0]
    assert received.parameter(smtp.EnvId) == asked[1]
    assert 0 < received.parameter(smtp.HoldFor).seconds <= 600
    assert received.parameter(smtp.Notify).events == {"SUCCESS"}


def test_imap_tells_its_limit(served: Serve) -> None:
    with sync.imap.connect(served.host, served.imap, tls="none") as client:
        assert "APPENDLIMIT=5000" in {str(name) for name in client.capabilities()}


def test_what_pop3_tells_and_does(served: Serve) -> None:
    """The policy holds for both ports together, and RETR removes."""
    client = poplib.POP3(served.host, served.pop3)
    told = client.capa()
    assert (told["LOGIN-DELAY"], told["EXPIRE"]) == (["3600"], ["0"])
    client.close()
    with smtplib.LMTP(served.host, served.lmtp) as lmtp:
        lmtp.sendmail("a@far.test", ["carol@peer.test"], b"Subject: once\r\n\r\n")
    with sync.pop3.connect(
        served.host, served.pop3, tls="none", login=("carol", "secret"), allow_insecure_auth=True
    ) as reader:
        assert reader.retrieve(1).endswith(b"Subject: once\r\n\r\n")
    with pytest.raises(errors.CommandFailed, match="too recently"):
        sync.pop3.connect(
            served.host,
            served.pop3s,
            tls_context=client_context(served.ca.as_posix()),
            login=("carol", "secret"),
        )
    with sync.imap.connect(
        served.host, served.imap, tls="none", login=("carol", "secret"), allow_insecure_auth=True
    ) as check:
        assert check.select("INBOX").exists == 0


def test_limits_of_pop3_are_kept(served: Serve) -> None:
    with socket.create_connection((served.host, served.pop3), 20) as client:
        client.sendall(b"BOGUS\r\n" * 3)
        with client.makefile("rb") as lines:
            answers = lines.readlines()
    assert len(answers) == 4
    assert b"too many errors" in answers[3]


# ------------------------------------------------------------------------------------- logins


CREDENTIALS = sasl.PasswordCredentials("bob", "secret")


def test_P07_a_login_can_be_bound_to_the_certificate(
    served: Serve, certificate: CertificateFiles
) -> None:
    context = client_context(certificate.cert)
    with sync.smtp.connect(
        served.host, served.smtps, tls="implicit", tls_context=context
    ) as client:
        assert client.capabilities is not None
        assert "SCRAM-SHA-512-PLUS" in client.capabilities.mechanisms
        reply = client.authenticate(CREDENTIALS, floor=sasl.Strength.BOUND)
        assert reply.code == 235


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize("name", ["alice", "mallory", None])
def test_a_certificate_logs_its_owner_in(
    served: Serve,
    certificate: CertificateFiles,
    authority: Authority,
    protocol: str,
    name: str | None,
) -> None:
    """EXTERNAL is offered to whom the certificate names, if it is a user."""
    context = client_context(certificate.cert)
    if name is not None:
        context.load_cert_chain(*authority.of[name])
    facade = Facade("sync")
    port = {"smtp": served.smtps, "imap": served.imaps, "pop3": served.pop3s}[protocol]
    with facade.connect(protocol, port, tls="implicit", tls_context=context) as client:
        if name != "alice":
            with pytest.raises(errors.SecurityError):
                client.authenticate(sasl.ExternalCredentials())
        else:
            client.authenticate(sasl.ExternalCredentials())
    facade.close()
