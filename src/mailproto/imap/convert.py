"""Converters of the fields that users fill: what they accept, and the one form that is kept.

They run where a value is constructed, so that a wrong type fails there. What may travel where is
checked by the serializers, before the first octet is written.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailproto.errors import LocalProtocolError
from mailproto.imap.flags import canonical_flag

__all__ = ["flag_tuple", "octets", "octets_or_none", "parameter_tuple"]


def octets(value: str | bytes) -> bytes:
    """The octets of a string argument: ``str`` is encoded as UTF-8.

    Raises LocalProtocolError for half a surrogate pair.
    """
    if not isinstance(value, str):
        return bytes(value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        pass  # It holds the string, which may be a password, and so must cause nothing.
    raise LocalProtocolError("a string has half of a surrogate pair")


def octets_or_none(value: str | bytes | None) -> bytes | None:
    """As ``octets``, with ``None`` for NIL."""
    return None if value is None else octets(value)


def flag_tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    r"""A flag or several, system flags in the RFC's spelling: ``\SEEN`` is ``\Seen``."""
    if isinstance(value, str):
        return (canonical_flag(value),)
    return tuple(map(canonical_flag, value))


def parameter_tuple(
    value: Iterable[tuple[str | bytes, str | bytes | None]],
) -> tuple[tuple[bytes, bytes | None], ...]:
    """Field names and values in order, as octets; of a mapping, pass its ``items()``."""
    return tuple([(octets(name), octets_or_none(text)) for name, text in value])
