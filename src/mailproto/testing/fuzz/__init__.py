r"""Fuzzing: octets in, promises checked, for our machines and for your applications on them.

Every target is a plain function that takes any octets and returns nothing; what goes wrong is an
exception. So any fuzzer will do::

    from mailproto.testing import fuzz

    fuzz.TARGETS["smtp.server"](data)             # one of ours, in a loop or with Hypothesis
    atheris.Setup(sys.argv, fuzz.TARGETS["imap.client"]); atheris.Fuzz()

Your own application is fuzzed the same way; ``handler(machine, event)`` is called for every event
and for ``PAUSED``, and must not let an exception out::

    def target(data: bytes) -> None:
        fuzz.check_handler(data, lambda: smtp.Server("mx.example.com"), my_handler)

The machine below it is checked along: what it does must not depend on how octets are cut (P01),
only documented exceptions leave it (P11), and after a failure nothing is interpreted (P13). Since
a case is played several times, a handler begins anew for each machine it is given.

``make fuzz`` runs all targets with atheris. What a case looks like is in ``fuzz.case``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Generic

from typing_extensions import TypeVar

from mailproto.testing.fuzz import imap, message, pop3, sasl, smtp
from mailproto.testing.fuzz.case import Case, Turn, without_flood
from mailproto.testing.fuzz.conversation import (
    Conversation,
    Player,
    Speaker,
    Violation,
    check,
)
from mailproto.testing.fuzz.flood import check_flood

__all__ = [
    "TARGETS",
    "Case",
    "Conversation",
    "Player",
    "Turn",
    "Violation",
    "check",
    "check_flood",
    "check_handler",
    "without_flood",
]

M = TypeVar("M", bound=Speaker)

TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = MappingProxyType(
    {
        "smtp.server": smtp.server,
        "smtp.client": smtp.client,
        "pop3.server": pop3.server,
        "pop3.client": pop3.client,
        "imap.server": imap.server,
        "imap.client": imap.client,
        "message.indexer": message.indexer,
        "sasl.exchange": sasl.exchange,
    }
)
"""Every target of ours by its name."""


class _Handler(Generic[M]):
    """An application that is one function and does nothing unasked."""

    def __init__(self, handler: Callable[[M, object], object]) -> None:
        self._handler = handler

    def answer(self, machine: M, event: object) -> None:
        self._handler(machine, event)

    def move(self, machine: M, turn: Turn) -> None:
        """Do nothing."""


def check_handler(
    data: bytes, make: Callable[[], M], handler: Callable[[M, object], object]
) -> None:
    """Let any peer talk to ``handler`` through a machine of ``make``; see the module's example.

    Raises Violation when a promise of the machine is broken, and whatever ``handler`` raises. What
    ``handler`` does must follow from the events alone, the borders of ``Body`` events apart.
    """
    case = Case.parse(data)
    check(case, lambda case: make(), lambda conversation: _Handler(handler))
