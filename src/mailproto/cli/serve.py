"""``mailproto serve``: SMTP, submission, LMTP, IMAP and POP3 over one store, until told to end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

from mailproto import aio, pop3, sasl
from mailproto.backend import MemoryStore, SQLiteStore, Store, StoreError
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles, make_certificate
from mailproto.cli.offering import OFFERS, extension, limit, limited, smtp_offer
from mailproto.cli.usage import UsageError, host_and_port, hostname, network, number, port, reason
from mailproto.flows import pop3_server
from mailproto.flows.pop3_maildrop import Internationalized
from mailproto.flows.services import IMPLICIT_TLS, PORTS, Services
from mailproto.flows.tls import ServerContext, server_context

HELP: Final = "serve SMTP, submission, LMTP, IMAP and POP3 over one store"

_GRACE: Final = 5.0
_INTERNATIONALIZED: Final = {
    "as-is": Internationalized.AS_IS,
    "refuse": Internationalized.REFUSE,
    "surrogate": Internationalized.SURROGATE,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--hostname",
        type=hostname,
        default="localhost",
        metavar="NAME",
        help="how the server names itself; default: localhost",
    )
    parser.add_argument(
        "--proxied-by",
        type=network,
        action="append",
        default=[],
        metavar="NETWORK",
        help="proxies, such as 10.0.0.0/8, that begin with a PROXY header (repeatable)",
    )
    for name in PORTS:
        parser.add_argument(
            f"--{name}-port",
            type=port,
            metavar="PORT",
            help=f"port of {name}; 0: the system chooses; with no port named all are opened",
        )
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="an account; NAME may be an address, else it receives at every domain (repeatable)",
    )
    parser.add_argument(
        "--domain", action="append", default=[], help="a domain that is local (repeatable)"
    )
    parser.add_argument(
        "--relay",
        type=host_and_port,
        metavar="HOST:PORT",
        help="where mail of authenticated senders for other domains goes",
    )
    parser.add_argument(
        "--store", default="memory", metavar="memory|sqlite:FILE", help="where mail lies"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain in PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="its key in PEM")
    parser.add_argument(
        "--client-ca",
        metavar="FILE",
        help="authorities in PEM whose certificates log in their owners (EXTERNAL)",
    )
    parser.add_argument(
        "--certificate-binding",
        action="store_true",
        help="offer SCRAM-*-PLUS where it can be bound to the certificate alone (TLS 1.3)",
    )
    parser.add_argument(
        "--allow-insecure-auth",
        action="store_true",
        help="offer AUTH, LOGIN and USER on connections without TLS too",
    )
    parser.add_argument(
        "--offer",
        type=extension,
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help=f"an extension of SMTP to offer (repeatable): {OFFERS}",
    )
    parser.add_argument(
        "--limit",
        type=limit,
        action="append",
        default=[],
        metavar="PROTOCOL.NAME=NUMBER",
        help="a limit of docs/limits.md, such as smtp.recipients=100 (repeatable)",
    )
    parser.add_argument(
        "--pop3-login-delay",
        type=number,
        default=0,
        metavar="SECONDS",
        help="between two logins of a user by POP3",
    )
    parser.add_argument(
        "--pop3-expire",
        type=_expire,
        default=pop3.Expire(None),
        metavar="never|DAYS",
        help="how long users of POP3 are told that mail may stay; 0: what was fetched is removed",
    )
    parser.add_argument(
        "--pop3-utf8",
        choices=sorted(_INTERNATIONALIZED),
        default="surrogate",
        help="what POP3 gives of mail with headers beyond ASCII to who has not said UTF8:"
        " a surrogate, an error, or the mail as it is; default: surrogate",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    users = _users(options.user, options.domain or ["localhost"])
    with _certificate(options) as files, contextlib.closing(_store(options.store)) as store:
        tls = _tls(files, options.client_ca)
        services = _services(options, store, users)
        named = {name: getattr(options, f"{name}_port") for name in PORTS}
        if all(number is None for number in named.values()):
            named = dict.fromkeys(PORTS, 0)

        async def main() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
            server = aio.Server(services.shutdown)
            try:
                ready: dict[str, object] = {"ready": True}
                for name, wanted in named.items():
                    if wanted is None:
                        continue
                    try:
                        ready[name] = await server.listen(
                            options.host,
                            wanted,
                            services.sessions(name),
                            tls=tls,
                            implicit_tls=name in IMPLICIT_TLS,
                            proxied_by=options.proxied_by,
                        )
                    except OSError as error:
                        raise UsageError(
                            f"cannot listen on {options.host} port {wanted} for {name}: "
                            f"{reason(error)}"
                        ) from error
                ready["ca"] = files.cert
                print(json.dumps(ready), flush=True)
                await stop.wait()
            finally:
                await server.close(_GRACE)

        asyncio.run(main())
    return 0


def _services(options: argparse.Namespace, store: Store, users: Users) -> Services:
    mechanisms = sasl.PASSWORD_MECHANISMS
    if options.client_ca is not None:
        mechanisms = (sasl.EXTERNAL, *mechanisms)
    services = Services(
        store=store,
        directory=users,
        hostname=options.hostname,
        next_hop=options.relay and aio.relay(*options.relay, domain=options.hostname),
        allow_insecure_auth=options.allow_insecure_auth,
        offer=sasl.Offer(
            mechanisms,
            allow_insecure_auth=options.allow_insecure_auth,
            certificate_binding=options.certificate_binding,
        ),
        smtp_offer=smtp_offer(options.offer, relayed=options.relay is not None),
        pop3=pop3_server.Options(
            policy=pop3_server.Policy(options.pop3_login_delay, options.pop3_expire),
            internationalized=_INTERNATIONALIZED[options.pop3_utf8],
        ),
    )
    return limited(services, options.limit)


def _tls(files: CertificateFiles, client_ca: str | None) -> ServerContext:
    try:
        context = server_context(files.cert, files.key)
    except OSError as error:
        raise UsageError(
            f"cannot use the certificate {files.cert} with the key {files.key}: {reason(error)}"
        ) from error
    if client_ca is None:
        return context
    try:
        return server_context(files.cert, files.key, client_authorities=client_ca)
    except OSError as error:
        raise UsageError(f"cannot use the certificates of {client_ca}: {reason(error)}") from error


def _expire(text: str) -> pop3.Expire:
    if text == "never":
        return pop3.Expire(None)
    return pop3.Expire(0 if text == "0" else number(text))


def _users(pairs: list[str], domains: list[str]) -> Users:
    try:
        return Users.from_options(pairs, domains)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _store(text: str) -> Store:
    if text == "memory":
        return MemoryStore()
    kind, _, file = text.partition(":")
    if kind != "sqlite" or not file:
        raise UsageError(f"--store {text!r} is neither memory nor sqlite:FILE")
    try:
        return SQLiteStore(file)
    except StoreError as error:
        raise UsageError(f"cannot open the store {file}: {error}") from error


@contextlib.contextmanager
def _certificate(options: argparse.Namespace) -> Generator[CertificateFiles]:
    cert, key = options.tls_cert, options.tls_key
    if (cert is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key go together")
    if cert is not None:
        for file in (cert, key):
            try:
                with open(file, "rb"):
                    pass
            except OSError as error:
                raise UsageError(f"cannot read {file}: {reason(error)}") from error
        yield CertificateFiles(cert, key)
        return
    with tempfile.TemporaryDirectory(prefix="mailproto-") as directory:
        try:
            # An address in brackets is no name of a host.
            names = () if options.hostname.startswith("[") else (options.hostname,)
            files = make_certificate(Path(directory), *names)
        except ImportError as error:
            raise UsageError(
                "making a certificate needs the extra mailproto[cli]; "
                "install it or give --tls-cert and --tls-key"
            ) from error
        yield files
