"""SCRAM (RFC 5802, RFC 7677) with SHA-1, SHA-256 and SHA-512, plain and bound to TLS (``-PLUS``).

Neither the password nor anything that lets one log in elsewhere crosses the wire or is kept by
the server, and the server proves that it knows the keys. The client checks the iteration count
before it does any work and the server's signature before it accepts success.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from attrs import field

from mailproto._core.frozen import frozen
from mailproto._core.strict import decode_base64, encode_base64, number
from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import PasswordCredentials, ProvenCredentials, StoredKeys
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    SASLError,
    ServerDialogue,
    ServerNotProven,
    challenge,
    conclude,
    expect_challenge,
    first_response,
    lookup,
    take_refusal,
)
from mailproto.sasl.gs2 import SASLNAME, escape, unescape
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.saslprep import prepare, saslprep, utf8

__all__ = [
    "MAXIMUM_ITERATIONS",
    "MINIMUM_ITERATIONS",
    "SCRAM_SHA_1",
    "SCRAM_SHA_1_PLUS",
    "SCRAM_SHA_256",
    "SCRAM_SHA_256_PLUS",
    "SCRAM_SHA_512",
    "SCRAM_SHA_512_PLUS",
    "ScramKeys",
]

MINIMUM_ITERATIONS: Final = 4096
"""Fewer would let a false server guess the password cheaply (RFC 7677 section 4)."""

MAXIMUM_ITERATIONS: Final = 1_000_000
"""More would let a false server keep the client busy."""

_HASHES: Final = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}

# RFC 5802 section 7. An attribute of section 5.1 is no extension: not twice, nor out of its place.
# Nor is reserved-mext ("m="), which matches nowhere: that is the failure it wants.
_NONCE = rb"[!-+\x2d-~]+"
_BASE64 = rb"[A-Za-z0-9+/=]+"
_EXTENSIONS = rb"(?:,[A-Zbdf-hj-loqtuw-z]=[^\0,]+)*"

_CLIENT_FIRST: Final = re.compile(
    rb"(?P<gs2>(?:(?P<flag>[ny])|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>%b))?,)"
    rb"(?P<bare>n=(?P<user>%b),r=(?P<nonce>%b)%b)" % (SASLNAME, SASLNAME, _NONCE, _EXTENSIONS)
)
_SERVER_FIRST: Final = re.compile(
    rb"r=(?P<nonce>%b),s=(?P<salt>%b),i=(?P<iterations>[1-9][0-9]*)%b"
    % (_NONCE, _BASE64, _EXTENSIONS)
)
_CLIENT_FINAL: Final = re.compile(
    rb"(?P<bare>c=(?P<binding>%b),r=(?P<nonce>%b)%b),p=(?P<proof>%b)"
    % (_BASE64, _NONCE, _EXTENSIONS, _BASE64)
)
_SERVER_FINAL: Final = re.compile(
    rb"(?:v=(?P<signature>%b)|e=(?P<error>[^\0,]+))%b" % (_BASE64, _EXTENSIONS)
)


@frozen
class ScramKeys(StoredKeys):
    """What a server keeps of a password (RFC 5802 section 3); it does not open other servers."""

    scheme: str
    """``SCRAM-SHA-1``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``."""
    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def derive(
        cls, scheme: str, password: str, salt: bytes, iterations: int = MINIMUM_ITERATIONS
    ) -> ScramKeys:
        """The keys of ``password``; ``salt`` are 16 random octets. Takes milliseconds.

        Raises LocalProtocolError for another scheme, a password that SASLprep refuses or an
        iteration count that our own client would refuse.
        """
        if scheme not in _HASHES:
            raise LocalProtocolError(f"the scheme {scheme!r} is none of {', '.join(_HASHES)}")
        if not MINIMUM_ITERATIONS <= iterations <= MAXIMUM_ITERATIONS:
            raise LocalProtocolError(
                f"the iteration count must be within {MINIMUM_ITERATIONS} and {MAXIMUM_ITERATIONS}"
            )
        prepared = prepare(password, "password").encode()
        _, stored_key, server_key = _derive(_HASHES[scheme], prepared, salt, iterations)
        return cls(scheme, salt, iterations, stored_key, server_key)

    @classmethod
    def decoy(cls, scheme: str, user: str, key: bytes, iterations: int) -> ScramKeys:
        """Keys that no password fits, always with the same salt for the same user and ``key``."""
        size = hashlib.new(_HASHES[scheme]).digest_size
        seed = b"\0".join((key, scheme.encode(), user.encode()))
        made = hashlib.shake_256(seed).digest(16 + 2 * size)
        return cls(scheme, made[:16], iterations, made[16 : 16 + size], made[16 + size :])

    def fits(self, password: str) -> bool:
        """Whether these are the keys of ``password``, in constant time. Takes milliseconds."""
        prepared = saslprep(password)
        # What SASLprep refuses is no password, and costs as much as a wrong one.
        octets = (prepared or "-").encode()
        _, stored_key, _ = _derive(_HASHES[self.scheme], octets, self.salt, self.iterations)
        return hmac.compare_digest(stored_key, self.stored_key) and bool(prepared)


def _derive(
    hash_name: str, password: bytes, salt: bytes, iterations: int
) -> tuple[bytes, bytes, bytes]:
    """ClientKey, StoredKey and ServerKey (RFC 5802 section 3)."""
    salted = hashlib.pbkdf2_hmac(hash_name, password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    server_key = hmac.digest(salted, b"Server Key", hash_name)
    return client_key, hashlib.new(hash_name, client_key).digest(), server_key


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _client_side(
    scheme: str, bind: bool
) -> Callable[[PasswordCredentials, ClientSettings], ClientDialogue]:
    hash_name = _HASHES[scheme]

    def client(credentials: PasswordCredentials, settings: ClientSettings) -> ClientDialogue:
        user = utf8(prepare(credentials.user, "user"), "user")
        password = prepare(credentials.password, "password").encode()
        authzid = utf8(credentials.authorization_identity, "authorization identity")
        binding = settings.channel_binding
        if bind and binding is not None:
            flag, data = b"p=" + binding.type.encode(), binding.data
        else:
            # "y": I could bind but you say that you cannot. The server notices if it never did.
            flag, data = b"y" if binding and not settings.server_can_bind else b"n", b""
        gs2 = flag + b"," + (b"a=" + escape(authzid) if authzid else b"") + b","
        nonce = settings.nonce().encode()
        client_first = b"n=" + escape(user) + b",r=" + nonce

        server_first = expect_challenge((yield gs2 + client_first))
        match = _SERVER_FIRST.fullmatch(server_first)
        salt = decode_base64(match["salt"]) if match else None
        if match is None or not salt:
            raise SASLError(f"{scheme}: the server's first message is malformed")
        if not match["nonce"].startswith(nonce) or match["nonce"] == nonce:
            raise SASLError(f"{scheme}: the server did not extend the client's nonce")
        iterations = number(match["iterations"], MAXIMUM_ITERATIONS, minimum=MINIMUM_ITERATIONS)
        if iterations is None:
            raise SASLError(
                f"{scheme}: the iteration count {match['iterations'][:20].decode()} is not within "
                f"{MINIMUM_ITERATIONS} and {MAXIMUM_ITERATIONS}"
            )

        client_key, stored_key, server_key = _derive(hash_name, password, salt, iterations)
        client_final = b"c=" + encode_base64(gs2 + data) + b",r=" + match["nonce"]
        message = b",".join((client_first, server_first, client_final))
        proof = _xor(client_key, hmac.digest(stored_key, message, hash_name))

        server_final = expect_challenge((yield client_final + b",p=" + encode_base64(proof)))
        match = _SERVER_FINAL.fullmatch(server_final)
        if match is None:
            raise SASLError(f"{scheme}: the server's final message is malformed")
        if match["error"] is not None:
            yield from take_refusal(match["error"], b"")
        else:
            signature = decode_base64(match["signature"]) or b""
            if not hmac.compare_digest(signature, hmac.digest(server_key, message, hash_name)):
                raise ServerNotProven(f"{scheme}: the server's signature is wrong")

    return client


def _server_side(
    scheme: str, bind: bool
) -> Callable[[bytes | None, ServerSettings], ServerDialogue]:
    hash_name = _HASHES[scheme]
    size = hashlib.new(hash_name).digest_size

    def server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
        client_first = yield from first_response(initial)
        match = _CLIENT_FIRST.fullmatch(client_first)
        user = unescape(match["user"]) if match else None
        prepared = saslprep(user) if user else None
        authzid = unescape(match["authzid"] or b"") if match else None
        if match is None or not prepared or authzid is None:
            return Failure(FailureReason.MALFORMED)
        data = b""
        if match["binding"] is not None:
            # RFC 5802 section 6; Cyrus SASL names the mechanism without -PLUS then.
            bindings = {b.type.encode(): b.data for b in settings.channel_bindings}
            known = bindings.get(match["binding"])
            if known is None:
                return Failure(FailureReason.REFUSED)
            data = known
        elif bind or (match["flag"] == b"y" and settings.offers_binding):
            # Somebody took the -PLUS mechanisms out of what the client was shown.
            return Failure(FailureReason.REFUSED)

        # The decoy is made for every user, so that making it does not tell who exists.
        decoy = ScramKeys.decoy(scheme, prepared, settings.decoy_key, settings.decoy_iterations)
        found = yield from lookup(prepared, scheme, ScramKeys)
        keys = decoy if found is None else found
        if keys.scheme != scheme:
            raise TypeError(f"a Lookup of {scheme} was answered with keys for {keys.scheme}")
        nonce = match["nonce"] + settings.nonce().encode()
        server_first = b"r=%b,s=%b,i=%d" % (nonce, encode_base64(keys.salt), keys.iterations)
        final = _CLIENT_FINAL.fullmatch((yield from challenge(server_first)))
        proof = decode_base64(final["proof"]) if final else None
        if final is None or proof is None or len(proof) != size:
            return Failure(FailureReason.MALFORMED)

        message = b",".join((match["bare"], server_first, final["bare"]))
        client_key = _xor(proof, hmac.digest(keys.stored_key, message, hash_name))
        right = (
            hmac.compare_digest(hashlib.new(hash_name, client_key).digest(), keys.stored_key),
            hmac.compare_digest(final["nonce"], nonce),
            hmac.compare_digest(final["binding"], encode_base64(match["gs2"] + data)),
            found is not None,
        )
        if not all(right):
            return Failure(FailureReason.REFUSED)
        signature = hmac.digest(keys.server_key, message, hash_name)
        credentials = ProvenCredentials(prepared, authzid)
        return (yield from conclude(credentials, prepared, b"v=" + encode_base64(signature)))

    return server


def _mechanism(scheme: str, *, bind: bool) -> Mechanism:
    return Mechanism(
        f"{scheme}-PLUS" if bind else scheme,
        Strength.BOUND if bind else Strength.MUTUAL,
        takes(PasswordCredentials, _client_side(scheme, bind)),
        _server_side(scheme, bind),
        binds=bind,
    )


SCRAM_SHA_1: Final = _mechanism("SCRAM-SHA-1", bind=False)
"""RFC 5802."""
SCRAM_SHA_1_PLUS: Final = _mechanism("SCRAM-SHA-1", bind=True)
"""RFC 5802, with channel binding."""
SCRAM_SHA_256: Final = _mechanism("SCRAM-SHA-256", bind=False)
"""RFC 7677."""
SCRAM_SHA_256_PLUS: Final = _mechanism("SCRAM-SHA-256", bind=True)
"""RFC 7677, with channel binding."""
SCRAM_SHA_512: Final = _mechanism("SCRAM-SHA-512", bind=False)
"""As RFC 7677 with SHA-512 (draft-melnikov-scram-sha-512)."""
SCRAM_SHA_512_PLUS: Final = _mechanism("SCRAM-SHA-512", bind=True)
"""As RFC 7677 with SHA-512 and channel binding."""
