"""Every mechanism over loopback and TLS: each protocol, each facade, one server for all of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from facades.world import Facade
from flows.sasl_world import CREDENTIALS, PASSWORD, PROTOCOLS, TOKEN, Everyone, ident
from interop.peers.authority import Authority, make_authority
from mailproto import sasl, smtp
from mailproto.backend import MemoryStore
from mailproto.cli.certificate import CertificateFiles
from mailproto.errors import AuthenticationFailed, MailError, SecurityError
from mailproto.flows.services import Services
from mailproto.flows.smtp_delivery import Delivery, Role
from mailproto.flows.smtp_server import Context, serve
from mailproto.flows.tls import client_context, server_context

TLS_1_2: Final = ssl.TLSVersion.TLSv1_2
TLS_1_3: Final = ssl.TLSVersion.TLSv1_3
ALICE: Final = sasl.PasswordCredentials("alice", PASSWORD)
BOUND: Final = [mechanism for mechanism in sasl.MECHANISMS if mechanism.binds]
TRUSTED_HOST: Final = "imap://imap.example.com"
UNBOUND: Final = [m for m in sasl.MECHANISMS if not m.binds and not m.external]


class Guests(Everyone):
    """Lets the right ones in, everyone to an account of his own: no maildrop is in use."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def verify(self, credentials: sasl.Credentials) -> str | None:
        account = super().verify(credentials)
        if account is None:
            return None
        self.opened.append(account)
        return f"{account}-{len(self.opened)}"


class House:
    """One server with a port for each protocol, and clients that have not logged in."""

    def __init__(self, facade: Facade, certificate: CertificateFiles, authority: Authority) -> None:
        self.facade = facade
        self.directory = Guests()
        self.authority = authority
        self.certificate = certificate
        offer = sasl.Offer(sasl.MECHANISMS, certificate_binding=True)
        store = MemoryStore()
        services = Services(
            store,
            self.directory,
            offer=offer,
            smtp_offer=smtp.Offer(burl=("imap", TRUSTED_HOST)),
        )
        lmtp = Context(
            lambda origin: Delivery(
                origin,
                role=Role.LMTP,
                store=store,
                directory=self.directory,
                hostname="localhost",
                next_hop=None,
            ),
            services.shutdown,
            lmtp=True,
            directory=self.directory,
            sasl=offer,
            require_auth=True,
        )
        factories = {
            "smtp": services.sessions("smtps"),
            "lmtp": lambda peer: serve(lmtp.machine(tls=True), lmtp, peer),
            "imap": services.sessions("imaps"),
            "pop3": services.sessions("pop3s"),
        }
        tls = server_context(
            certificate.cert, certificate.key, client_authorities=str(authority.ca)
        )
        self._server = facade.server(services)
        self._ports = {
            protocol: self._server.listen("127.0.0.1", 0, factory, tls=tls, implicit_tls=True)
            for protocol, factory in factories.items()
        }

    def connect(
        self,
        protocol: str,
        version: ssl.TLSVersion = TLS_1_3,
        *,
        certificate_of: str | None = None,
        **options: Any,
    ) -> Any:
        """A client under TLS of that version that has not logged in."""
        context = client_context(self.certificate.cert)
        context.minimum_version = context.maximum_version = version
        if certificate_of is not None:
            context.load_cert_chain(*self.authority.of[certificate_of])
        lmtp = {"lmtp": True} if protocol == "lmtp" else {}
        name = "smtp" if protocol == "lmtp" else protocol
        return self.facade.connect(
            name,
            self._ports[protocol],
            tls="implicit",
            tls_context=context,
            **lmtp,
            **options,
        )

    def end_point(self) -> sasl.ChannelBinding:
        """The binding to the server's certificate, as whoever has the certificate makes it."""
        pem = Path(self.certificate.cert).read_text(encoding="ascii")
        binding = sasl.tls_server_end_point(ssl.PEM_cert_to_DER_cert(pem))
        assert binding is not None
        return binding

    def close(self) -> None:
        self._server.close(grace=2.0)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), ["alice", "stranger"])


@pytest.fixture(scope="module")
def house(facade: Facade, certificate: CertificateFiles, authority: Authority) -> Iterator[House]:
    made = House(facade, certificate, authority)
    yield made
    made.close()


def use(protocol: str, client: Any) -> None:
    """What only those may do who have logged in."""
    match protocol:
        case "imap":
            client.select("INBOX")
        case "pop3":
            client.stat()
        case _:
            assert client.call(smtp.Mail(smtp.NULL_PATH)).code == 250


def logs_in(
    house: House, protocol: str, client: Any, credentials: sasl.Credentials, **options: Any
) -> None:
    before = len(house.directory.opened)
    with client:
        client.authenticate(credentials, **options)
        use(protocol, client)
    opened = house.directory.opened[before:]
    expected = "anonymous" if isinstance(credentials, sasl.AnonymousCredentials) else "alice"
    assert opened == [expected]


every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def wrong(credentials: sasl.Credentials) -> sasl.Credentials | None:
    match credentials:
        case sasl.PasswordCredentials():
            return sasl.PasswordCredentials("alice", "under the sea")
        case sasl.TokenCredentials():
            return sasl.TokenCredentials("alice", TOKEN[:-1])
        case _:
            return None


@pytest.mark.parity(
    "smtp-client PLAIN",
    "smtp-client LOGIN",
    "smtp-client CRAM-MD5",
    "smtp-client SCRAM-SHA-1, -256 and -512",
    "smtp-client XOAUTH2",
    "smtp-client OAUTHBEARER",
    "smtp-client ANONYMOUS",
    "smtp-server PLAIN",
    "smtp-server LOGIN",
    "smtp-server CRAM-MD5",
    "smtp-server SCRAM-SHA-1, -256 and -512",
    "smtp-server XOAUTH2",
    "smtp-server OAUTHBEARER",
    "smtp-server ANONYMOUS",
)
@every_protocol
@pytest.mark.parametrize("mechanism", UNBOUND, ids=ident)
def test_P07_a_login_by_every_mechanism(
    house: House, protocol: str, mechanism: sasl.Mechanism
) -> None:
    """After a wrong secret the same connection takes the right one."""
    client = house.connect(protocol)
    bad = wrong(CREDENTIALS[mechanism])
    if bad is not None:
        with pytest.raises(AuthenticationFailed):
            client.authenticate(bad, mechanisms=(mechanism,))
    logs_in(house, protocol, client, CREDENTIALS[mechanism], mechanisms=(mechanism,))


@every_protocol
@pytest.mark.parametrize("mechanism", [sasl.OAUTHBEARER, sasl.XOAUTH2, sasl.PLAIN], ids=ident)
def test_the_two_step_form(
    house: House, protocol: str, mechanism: sasl.Mechanism, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No initial response: the server's empty challenge asks for what would have been in it."""
    start = sasl.ClientExchange.start
    monkeypatch.setattr(sasl.ClientExchange, "start", lambda self, room=None: start(self, 0))
    client = house.connect(protocol)
    bad = wrong(CREDENTIALS[mechanism])
    assert bad is not None
    with pytest.raises(AuthenticationFailed):
        client.authenticate(bad, mechanisms=(mechanism,))
    logs_in(house, protocol, client, CREDENTIALS[mechanism], mechanisms=(mechanism,))


@pytest.mark.parity("smtp-client SCRAM-*-PLUS", "smtp-server SCRAM-*-PLUS")
@every_protocol
@pytest.mark.parametrize("mechanism", BOUND, ids=ident)
@pytest.mark.parametrize(
    ("version", "kind"),
    [
        (TLS_1_2, "tls-unique"),
        (TLS_1_2, "tls-server-end-point"),
        (TLS_1_3, "tls-server-end-point"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_P07_a_login_bound_to_the_connection(
    house: House,
    protocol: str,
    mechanism: sasl.Mechanism,
    version: ssl.TLSVersion,
    kind: str,
) -> None:
    """What the handshake gives by default, and the certificate's binding where it is asked for."""
    options: dict[str, Any] = {"floor": sasl.Strength.BOUND, "mechanisms": (mechanism,)}
    if version is TLS_1_2 and kind == "tls-server-end-point":
        options["channel_binding"] = house.end_point()
    client = house.connect(protocol, version)
    bindings = [binding.type for binding in client.session.secured.channel_bindings]
    assert ("tls-unique" in bindings) == (version is TLS_1_2)
    logs_in(house, protocol, client, ALICE, **options)


@every_protocol
@pytest.mark.parametrize(
    ("version", "binding"),
    [
        (TLS_1_2, sasl.tls_unique(b"another end.", "TLSv1.2")),
        (TLS_1_2, sasl.ChannelBinding("tls-server-end-point", bytes(32))),
        (TLS_1_3, sasl.ChannelBinding("tls-server-end-point", bytes(32))),
        (TLS_1_3, sasl.ChannelBinding("tls-unique", b"another end.")),
    ],
    ids=lambda value: getattr(value, "type", getattr(value, "name", "")),
)
def test_P07_a_login_bound_to_another_connection_is_refused(
    house: House, protocol: str, version: ssl.TLSVersion, binding: sasl.ChannelBinding
) -> None:
    """And under TLS 1.3 tls-unique binds to nothing (RFC 9266 section 3)."""
    client = house.connect(protocol, version)
    with pytest.raises(AuthenticationFailed):
        client.authenticate(ALICE, floor=sasl.Strength.BOUND, channel_binding=binding)
    logs_in(house, protocol, client, ALICE)


@pytest.mark.parity("smtp-client EXTERNAL", "smtp-server EXTERNAL")
@every_protocol
@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=lambda version: version.name)
@pytest.mark.parametrize("identity", ["", "alice"])
def test_P07_a_login_by_certificate(
    house: House, protocol: str, version: ssl.TLSVersion, identity: str
) -> None:
    client = house.connect(protocol, version, certificate_of="alice")
    with pytest.raises(AuthenticationFailed):
        client.authenticate(sasl.ExternalCredentials("bob"))
    logs_in(house, protocol, client, sasl.ExternalCredentials(identity))


@every_protocol
@pytest.mark.parametrize("owner", [None, "stranger"])
def test_P07_a_certificate_that_names_nobody_here_opens_nothing(
    house: House, protocol: str, owner: str | None
) -> None:
    """EXTERNAL is not offered then; whoever asks for it nevertheless is refused."""
    client = house.connect(protocol, certificate_of=owner)
    with pytest.raises(SecurityError, match="none of them takes ExternalCredentials"):
        client.authenticate(sasl.ExternalCredentials("alice"))
    logs_in(house, protocol, client, ALICE)


@every_protocol
@pytest.mark.parametrize(
    ("mechanism", "step"),
    [(sasl.LOGIN, 0), (sasl.LOGIN, 1), (sasl.SCRAM_SHA_256, 0), (sasl.SCRAM_SHA_256, 1)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_P26_a_cancelled_login_leaves_the_connection_usable(
    house: House,
    protocol: str,
    mechanism: sasl.Mechanism,
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    respond = sasl.ClientExchange.respond
    seen: list[bytes] = []

    def doubt(self: sasl.ClientExchange, challenge: bytes) -> bytes:
        seen.append(challenge)
        if len(seen) == step + 1:
            raise sasl.SASLError("that makes no sense")
        return respond(self, challenge)

    monkeypatch.setattr(sasl.ClientExchange, "respond", doubt)
    client = house.connect(protocol)
    with pytest.raises(sasl.SASLError, match="that makes no sense"):
        client.authenticate(ALICE, mechanisms=(mechanism,))
    assert len(seen) == step + 1
    logs_in(house, protocol, client, ALICE, mechanisms=(mechanism,))


@every_protocol
def test_login_with_a_name_and_a_password(house: House, protocol: str) -> None:
    """``login`` after ``connect`` is what ``connect(login=...)`` does."""
    client = house.connect(protocol)
    with pytest.raises(AuthenticationFailed):
        client.login("alice", "under the sea")
    before = len(house.directory.opened)
    with client:
        client.login("alice", PASSWORD)
        use(protocol, client)
        with pytest.raises(MailError):
            client.login("alice", PASSWORD)
        if protocol != "pop3":
            client.noop()
    assert house.directory.opened[before:] == ["alice"]
    with house.connect(protocol, login=("alice", PASSWORD)) as client:
        use(protocol, client)


def test_hello_again_tells_what_a_server_offers_after_the_login(house: House) -> None:
    """RFC 4468 section 3.3: trusted hosts are for those who have logged in."""
    said: list[bytes] = []
    with house.connect("smtp", trace=lambda side, line: said.append(line)) as client:
        assert client.capabilities.burl == ("imap",)
        client.login("alice", PASSWORD)
        # It is not asked unasked: RFC 4954 section 4 wants it after a security layer only.
        assert client.capabilities.burl == ("imap",)
        assert client.hello().burl == ("imap", TRUSTED_HOST)
        assert client.capabilities.burl == ("imap", TRUSTED_HOST)
        use("smtp", client)
        # And inside a transaction it ends that (RFC 5321 section 4.1.4).
        client.hello()
        use("smtp", client)
    assert sum(line.startswith(b"EHLO ") for line in said) == 3


def test_hello_again_in_LMTP(house: House) -> None:
    with house.connect("lmtp") as client:
        before = client.capabilities
        client.login("alice", PASSWORD)
        assert client.hello() == before
        use("lmtp", client)
