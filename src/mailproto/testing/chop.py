r"""Every way of cutting an input, and what a machine makes of it (promise P01).

A machine must not care how the network cuts its input::

    assert_chop_invariant(make_server, b"NOOP\r\nQUIT\r\n", lambda m, event: m.accept())

Nothing here knows a protocol. Everything that is random comes from a seed.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs
from typing_extensions import TypeVar

from mailproto._core.machine import PAUSED, ConnectionClosed, Signal
from mailproto.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "Endpoint",
    "Outcome",
    "assert_chop_invariant",
    "cut_at",
    "drain",
    "every_cut",
    "octets",
    "outcome",
    "outcomes",
    "random_cuts",
    "sized",
    "splits",
]


class Endpoint(Protocol):
    """What the kit needs of a machine: the contract of ``mailproto._core.machine.Machine``."""

    @property
    def awaiting_tls(self) -> bool:
        """Whether the TLS handshake is due."""
        ...

    def receive_data(self, data: bytes) -> None:
        """Store octets; ``b""`` is end of file."""
        ...

    def next_event(self) -> object:
        """An event, ``ConnectionClosed``, ``NEED_DATA`` or ``PAUSED``."""
        ...

    def data_to_send(self) -> bytes:
        """Octets for the peer, once."""
        ...

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS."""
        ...


M = TypeVar("M", bound=Endpoint)

Answer: TypeAlias = Callable[[M, object], object]
"""``answer(machine, event)``: what the application does about an event, or about ``PAUSED``.

After ``PAUSED`` the machine is asked again once; if it is still paused it stays so until more
octets come.
"""

CHUNK_FIELDS: Mapping[str, str] = {
    "Body": "data",
    "LiteralChunk": "data",
    "ScanListings": "entries",
    "UniqueIdListings": "entries",
}
"""Class name of events whose borders mean nothing, to the field that holds the piece."""


@attrs.frozen
class Outcome:
    """All that can be seen of a machine after an input."""

    events: tuple[object, ...]
    """Events in order, adjacent pieces of one stream joined."""
    output: bytes
    """Everything it had to send."""
    end: object
    """The last thing ``next_event`` returned: a signal or ``ConnectionClosed``; ``None`` after
    an error."""
    error: str | None
    """The text of the RemoteProtocolError, if there was one."""
    hint: object
    """Its ``hint``."""
    state: Mapping[str, object]
    """Every public property of the machine."""


def cut_at(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """``data`` cut at these offsets; no piece is empty."""
    borders = [0, *sorted({p for p in positions if 0 < p < len(data)}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(borders) if a < b]


def octets(data: bytes) -> list[bytes]:
    """One octet at a time."""
    return [data[i : i + 1] for i in range(len(data))]


def sized(data: bytes, size: int) -> list[bytes]:
    """Pieces of ``size`` octets, the last one shorter."""
    return [data[i : i + size] for i in range(0, len(data), size)]


def random_cuts(data: bytes, seed: int) -> list[bytes]:
    """Between one and twenty random cuts, always the same for a seed."""
    if len(data) < 2:
        return [data] if data else []
    chance = random.Random(seed)
    count = chance.randint(1, min(20, len(data) - 1))
    return cut_at(data, chance.sample(range(1, len(data)), count))


def every_cut(data: bytes, cuts: int = 1) -> Iterator[list[bytes]]:
    """Every choice of ``cuts`` offsets; their number grows with ``len(data) ** cuts``."""
    for positions in itertools.combinations(range(1, len(data)), cuts):
        yield cut_at(data, positions)


def splits(
    data: bytes, *, randoms: int = 64, single_cuts: int = 256, double_cuts: int = 32
) -> Iterator[list[bytes]]:
    """The ways of cutting that P01 asks for.

    Whole, one octet at a time, some fixed sizes, ``randoms`` random ones; also every single cut
    if ``data`` has at most ``single_cuts`` octets, every pair of cuts up to ``double_cuts``.
    """
    yield [data] if data else []
    yield octets(data)
    for size in (2, 3, 5, 1448):
        if size < len(data):
            yield sized(data, size)
    for seed in range(randoms):
        yield random_cuts(data, seed)
    if len(data) <= single_cuts:
        yield from every_cut(data, 1)
    if len(data) <= double_cuts:
        yield from every_cut(data, 2)


def drain(
    machine: M,
    answer: Callable[[M, object], object],
    events: list[object],
    output: list[bytes],
) -> object:
    """Pull a machine until it has nothing more; the last signal or ``ConnectionClosed``.

    Appends to ``events`` and ``output``; lets RemoteProtocolError through, output saved.
    """
    paused = False
    while True:
        try:
            event = machine.next_event()
        finally:
            output.append(machine.data_to_send())
        if event is PAUSED and not paused and not machine.awaiting_tls:
            paused = True
            answer(machine, event)
        elif isinstance(event, Signal | ConnectionClosed):
            return event
        else:
            paused = False
            events.append(event)
            answer(machine, event)
        output.append(machine.data_to_send())


def outcome(
    make: Callable[[], M],
    chunks: Iterable[bytes],
    answer: Callable[[M, object], object],
    *,
    eof: bool = True,
) -> Outcome:
    """What a new machine makes of ``chunks``, followed by end of file if ``eof``.

    ``make`` may already send commands. ``answer(machine, event)`` is called for each event, and
    for ``PAUSED``; it must not depend on the borders of ``Body`` events. A TLS gate is never
    passed, so that what follows it is an error, however it arrives.
    """
    machine = make()
    events: list[object] = []
    output: list[bytes] = []
    end: object = None
    error: RemoteProtocolError | None = None
    try:
        end = drain(machine, answer, events, output)
        for chunk in itertools.chain(chunks, [b""] if eof else []):
            machine.receive_data(chunk)
            end = drain(machine, answer, events, output)
    except RemoteProtocolError as failure:
        end, error = None, failure
    return Outcome(
        events=tuple(joined(events)),
        output=b"".join(output),
        end=end,
        error=None if error is None else str(error),
        hint=None if error is None else error.hint,
        state=properties(machine),
    )


def outcomes(
    make: Callable[[], M],
    data: bytes,
    answer: Callable[[M, object], object],
    chunkings: Iterable[Sequence[bytes]] | None = None,
    *,
    eof: bool = True,
) -> Iterator[tuple[Sequence[bytes], Outcome]]:
    """Each way of cutting ``data`` (``splits(data)`` unless given) with its outcome."""
    for chunks in splits(data) if chunkings is None else chunkings:
        yield chunks, outcome(make, chunks, answer, eof=eof)


def assert_chop_invariant(
    make: Callable[[], M],
    data: bytes,
    answer: Callable[[M, object], object],
    chunkings: Iterable[Sequence[bytes]] | None = None,
    *,
    eof: bool = True,
) -> Outcome:
    """P01 in one call: every way of cutting gives the outcome of the whole, which is returned."""
    whole = outcome(make, [data] if data else [], answer, eof=eof)
    for chunks, found in outcomes(make, data, answer, chunkings, eof=eof):
        for field in ("error", "events", "output", "end", "hint", "state"):
            one, other = getattr(whole, field), getattr(found, field)
            assert one == other, (
                f"{field} depends on the chunks {[len(c) for c in chunks]} of {data!r}:\n"
                f"  whole: {one!r}\n  cut:   {other!r}"
            )
    return whole


def joined(events: Iterable[object]) -> Iterator[object]:
    """Events with adjacent pieces of one stream made one."""
    for kind, group in itertools.groupby(events, key=_stream):
        if kind is None:
            yield from group
            continue
        field, make, others = kind
        pieces = [getattr(event, field) for event in group]
        whole: object
        if isinstance(pieces[0], bytes):
            whole = b"".join(pieces)
        else:
            whole = dict(itertools.chain.from_iterable(piece.items() for piece in pieces))
        yield make(**{field: whole}, **dict(others))


def _stream(
    event: object,
) -> tuple[str, Callable[..., object], tuple[tuple[str, object], ...]] | None:
    """The same for two events exactly when they are pieces of one stream."""
    kind = type(event)
    field = CHUNK_FIELDS.get(kind.__name__)
    if field is None or not attrs.has(kind):
        return None
    others = ((a.name, getattr(event, a.name)) for a in attrs.fields(kind) if a.name != field)
    return field, kind, tuple(others)


def properties(machine: object) -> dict[str, object]:
    """The public properties of an object; one that refuses now counts by its refusal."""
    found: dict[str, object] = {}
    for owner in type(machine).__mro__:
        for name, value in vars(owner).items():
            if isinstance(value, property) and not name.startswith("_") and name not in found:
                try:
                    found[name] = getattr(machine, name)
                except LocalProtocolError as error:
                    found[name] = str(error)
    return found
