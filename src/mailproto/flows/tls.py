"""TLS as octets in and octets out, for both drivers: ``ssl.MemoryBIO``, no socket.

Everything the peer sends after the boundary goes through here, so that no plaintext can reach a
conversation by another way. End of file without a close alert is end of file: the machines know
themselves whether what they were reading was whole.
"""

from __future__ import annotations

import ssl
from typing import Final

from mailproto.errors import TLSError

__all__ = ["TLSChannel", "client_context", "server_context", "unverified_client_context"]

_PIECE: Final = 256 * 1024


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


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """A context with the certificate chain and key of two PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


class TLSChannel:
    """One TLS session over memory. Feed it what arrives, send what ``outgoing`` gives."""

    __slots__ = ("_incoming", "_object", "_outgoing", "established")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
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

    def certificate(self) -> bytes | None:
        """The peer's certificate in DER, where it sent one."""
        return self._object.getpeercert(binary_form=True)


def _reason(error: OSError) -> str:
    """The short reason of OpenSSL, or what the system says."""
    reason = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if isinstance(reason, str) else str(error)
