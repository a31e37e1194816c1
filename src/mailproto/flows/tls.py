"""TLS as octets in and octets out, for both drivers: ``ssl.MemoryBIO``, no socket.

Everything the peer sends after the boundary goes through here, so that no plaintext can reach a
conversation by another way. End of file without a close alert is end of file: the machines know
themselves whether what they were reading was whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, cast

from mailproto.backend.directory import ClientCertificate
from mailproto.errors import LocalProtocolError, TLSError
from mailproto.flows.effects import Secured
from mailproto.sasl import ChannelBinding, tls_exporter, tls_server_end_point, tls_unique

__all__ = [
    "ServerContext",
    "TLSChannel",
    "client_context",
    "server_context",
    "unverified_client_context",
]

StrOrBytesPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Password: TypeAlias = Callable[[], str | bytes | bytearray] | str | bytes | bytearray
_Names: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]

_PIECE: Final = 256 * 1024
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


def client_context(cafile: str | None = None) -> ssl.SSLContext:
    """A context that verifies the server's name and certificate, by ``cafile`` where given."""
    return ssl.create_default_context(cafile=cafile)


def unverified_client_context() -> ssl.SSLContext:
    """A context that accepts any certificate: it keeps listeners out, but not impostors.

    For opportunistic TLS between mail servers alone, whose alternative is no TLS (RFC 7435).
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ServerContext(ssl.SSLContext):
    """A server's context that knows the certificate it shows, as channel binding needs it.

    It is made and used as any other ``SSLContext``; of that one, nobody can learn the certificate.
    It has one certificate: what ``load_cert_chain`` loads replaces what it had.
    """

    certificate: bytes | None = None
    """The server's own certificate in DER."""

    def load_cert_chain(
        self,
        certfile: StrOrBytesPath,
        keyfile: StrOrBytesPath | None = None,
        password: Password | None = None,
    ) -> None:
        """Load a chain and its key as ``SSLContext`` does, and take note of the certificate."""
        super().load_cert_chain(certfile, keyfile, password)
        with open(certfile, encoding="ascii", errors="replace") as file:
            first = _CERTIFICATE.search(file.read())
        self.certificate = ssl.PEM_cert_to_DER_cert(first[0]) if first else None


def server_context(
    certificate: str, key: str, *, client_authorities: str | None = None
) -> ServerContext:
    """A context with the certificate chain and key of two PEM files.

    With ``client_authorities``, a PEM file, clients may show a certificate that one of these
    authorities has signed, for EXTERNAL; any other certificate ends the handshake.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_authorities is not None:
        context.load_verify_locations(client_authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class TLSChannel:
    """One TLS session over memory. Feed it what arrives, send what ``outgoing`` gives."""

    __slots__ = ("_incoming", "_object", "_outgoing", "_server_side", "established")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        self._server_side = server_side
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=None if server_side else server_hostname,
        )
        self.established: bool = False

    def feed(self, data: bytes) -> None:
        """Octets from the network; ``b""`` is end of file."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def outgoing(self) -> bytes:
        """Octets for the network, ``b""`` when there are none. Look after every other call."""
        return self._outgoing.read()

    def handshake(self) -> bool:
        """Go on with the handshake; true when it is done. Raises TLSError."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise TLSError(f"the certificate was not accepted: {error.verify_message}") from error
        except (ssl.SSLError, OSError) as error:
            raise TLSError(f"the TLS handshake failed: {_reason(error)}") from error
        self.established = True
        return True

    def read(self) -> bytes | None:
        """Decrypted octets, ``b""`` at end of file, ``None`` when more input is needed."""
        pieces: list[bytes] = []
        size = 0
        try:
            while size < _PIECE:
                piece = self._object.read(_PIECE - size)
                if not piece:
                    break
                pieces.append(piece)
                size += len(piece)
        except ssl.SSLWantReadError:
            if not pieces:
                return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        except ssl.SSLError as error:
            if not pieces:
                raise TLSError(f"a TLS record was not accepted: {_reason(error)}") from error
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Encrypt ``data``; the records are in ``outgoing``."""
        view = memoryview(data)
        while view:
            try:
                sent = self._object.write(view)
            except (ssl.SSLError, OSError) as error:
                raise TLSError(f"TLS could not send: {_reason(error)}") from error
            view = view[sent:]

    def close(self) -> None:
        """Queue the close alert; the peer's is not waited for."""
        try:
            self._object.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            # WantRead is the usual case: the alert is out, the answer has not come.
            pass

    def version(self) -> str:
        """The protocol version, ``TLSv1.3`` for one; empty before the handshake."""
        return self._object.version() or ""

    def cipher(self) -> str:
        """The name of the cipher suite; empty before the handshake."""
        cipher = self._object.cipher()
        return cipher[0] if cipher else ""

    def secured(self) -> Secured:
        """What the handshake, which is done, has established for a login."""
        return Secured(
            tuple(self._channel_bindings()),
            self._client_certificate() if self._server_side else None,
        )

    def _channel_bindings(self) -> Iterator[ChannelBinding]:
        tls = self._object
        version = self.version()
        if version != "TLSv1.3":
            # In a handshake that resumes a session it binds only with the extended master secret
            # (RFC 7627), of which ``ssl`` does not tell.
            finished = None if tls.session_reused else tls.get_channel_binding("tls-unique")
            if finished:
                yield tls_unique(finished, version)
        elif "tls-exporter" in ssl.CHANNEL_BINDING_TYPES:
            exported = tls.get_channel_binding("tls-exporter")
            if exported:
                yield tls_exporter(exported)
        certificate = self._server_certificate()
        if certificate is not None:
            # What OpenSSL has taken and is not DER has no binding.
            with contextlib.suppress(LocalProtocolError):
                binding = tls_server_end_point(certificate)
                if binding is not None:
                    yield binding

    def _server_certificate(self) -> bytes | None:
        """The server's certificate in DER, whichever side this is."""
        if not self._server_side:
            return self._object.getpeercert(binary_form=True)
        # Not the context that was given: a callback for SNI may have chosen another.
        context = self._object.context
        return context.certificate if isinstance(context, ServerContext) else None

    def _client_certificate(self) -> ClientCertificate | None:
        # Empty for a certificate that was not verified.
        names = self._object.getpeercert()
        der = self._object.getpeercert(binary_form=True)
        if not names or der is None:
            return None
        subject = cast("_Names", names.get("subject", ()))
        alternatives = cast("tuple[tuple[str, str], ...]", names.get("subjectAltName", ()))
        common_names = [value for part in subject for name, value in part if name == "commonName"]
        return ClientCertificate(
            der,
            common_names[0] if len(common_names) == 1 else "",
            tuple(value for kind, value in alternatives if kind == "email"),
        )


def _reason(error: OSError) -> str:
    """The short reason of OpenSSL, or what the system says."""
    reason = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if isinstance(reason, str) else str(error)
