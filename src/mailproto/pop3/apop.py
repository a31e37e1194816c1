"""The digest of APOP (RFC 1939 section 7): MD5, kept only because old servers know nothing else."""

from __future__ import annotations

__all__ = ["apop_digest"]


def apop_digest(timestamp: str, password: str) -> str:
    """The digest for ``Apop``, from the greeting's timestamp with its angle brackets.

    A stranger who can alter the timestamp can learn the password from some thousand digests;
    use it under TLS only, where PASS is as good.
    """
    # Few need it, and loading it takes as long as a fifth of this package.
    import hashlib

    octets = timestamp.encode("ascii") + password.encode()
    return hashlib.md5(octets, usedforsecurity=False).hexdigest()
