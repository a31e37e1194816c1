"""Names inside the GS2 header of SCRAM and OAUTHBEARER (RFC 5801 section 4, RFC 5802 section 5.1).

A comma in a name travels as ``=2C``, an equals sign as ``=3D``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SASLNAME", "escape", "unescape"]

SASLNAME: Final = rb"(?:[^\0,=]|=2[Cc]|=3[Dd])+"
"""``saslname`` of RFC 5802 section 7 on octets; whether it is UTF-8 shows when it is decoded."""


def escape(identity: bytes) -> bytes:
    """The saslname of an identity."""
    return identity.replace(b"=", b"=3D").replace(b",", b"=2C")


def unescape(name: bytes) -> str | None:
    """The identity that a saslname stands for; ``None`` if it is not UTF-8."""
    for code, character in ((b"=2C", b","), (b"=2c", b","), (b"=3D", b"="), (b"=3d", b"=")):
        name = name.replace(code, character)
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None
