"""Capabilities (RFC 3501 section 7.2.1): names without regard to case, kept in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field

from mailproto._core.frozen import frozen

__all__ = ["Capabilities", "capabilities"]


def _upper(names: Iterable[str]) -> tuple[str, ...]:
    return tuple([name.upper() for name in names])


@frozen
class Capabilities:
    """What a server says it can: ``Capabilities(["IMAP4rev1", "IDLE", "AUTH=PLAIN"])``.

    Names are kept in upper case. ``"idle" in capabilities`` asks for one.
    """

    names: tuple[str, ...] = field(converter=_upper, default=())

    def __contains__(self, name: str) -> bool:
        return name.upper() in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def arguments(self, name: str) -> tuple[str, ...]:
        """What follows ``NAME=`` in every capability of that name: ``arguments("AUTH")``."""
        prefix = name.upper() + "="
        return tuple([one[len(prefix) :] for one in self.names if one.startswith(prefix)])

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms that AUTHENTICATE takes."""
        return self.arguments("AUTH")


def capabilities(value: Capabilities | Iterable[str]) -> Capabilities:
    """The converter of responses."""
    return value if isinstance(value, Capabilities) else Capabilities(value)
