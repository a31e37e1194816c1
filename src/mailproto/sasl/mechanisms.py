"""Every mechanism that is built in, in the order of preference among those of equal strength."""

from __future__ import annotations

from typing import Final

from mailproto.sasl.login import LOGIN
from mailproto.sasl.mechanism import Mechanism
from mailproto.sasl.plain import PLAIN

__all__ = ["MECHANISMS"]

MECHANISMS: Final[tuple[Mechanism, ...]] = (PLAIN, LOGIN)
"""The default of ``choose``; add your own with ``mechanisms=(MINE, *sasl.MECHANISMS)``."""
