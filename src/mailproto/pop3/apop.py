"""The digest of APOP (RFC 1939 section 7): MD5, kept only because old servers know nothing else."""

from __future__ import annotations

from mailproto.errors import LocalProtocolError

__all__ = ["apop_digest"]


def apop_digest(timestamp: str, password: str) -> str:
    """The digest for ``Apop``, from the greeting's timestamp with its angle brackets.

    A stranger who can alter the timestamp can learn the password from some thousand digests;
    use it under TLS only, where PASS is as good. A password beyond ASCII is prepared as a stored
    string (RFC 6856 section 2.2): raises LocalProtocolError for one that SASLprep prohibits.
    """
    if not password.isascii():
        password = _stored(password)
    # Few need it, and loading it takes as long as a fifth of this package.
    import hashlib

    octets = timestamp.encode("ascii") + password.encode()
    return hashlib.md5(octets, usedforsecurity=False).hexdigest()


def _stored(password: str) -> str:
    """``password`` as SASLprep has stored strings: no code points without a meaning in it."""
    import stringprep

    from mailproto.sasl.saslprep import prepare

    prepared = prepare(password, "password")
    if any(map(stringprep.in_table_a1, prepared)):
        raise LocalProtocolError("the password contains what SASLprep (RFC 4013) prohibits")
    return prepared
