"""A scripted peer: an RFC's ``C:``/``S:`` transcript, played against a machine or a flow.

::

    script = transcript('''
        S: +OK POP3 server ready
        C: QUIT
        S: +OK bye
    ''')
    events = play_server(script, pop3.Client(), [pop3.Quit()])

A mismatch is a ``ScriptMismatch`` that shows what was played, what was expected and what came.
"""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol, TypeAlias

import attrs
from typing_extensions import TypeVar

from mailproto.flows.effects import Flow, read, start_tls, write
from mailproto.testing.chop import Endpoint, drain

__all__ = ["Line", "ScriptMismatch", "TLS", "peer", "play_client", "play_server", "transcript"]


@attrs.frozen
class Line:
    """One line of a transcript, without its CRLF."""

    side: Literal["C", "S"]
    data: bytes

    def __str__(self) -> str:
        return f"{self.side}: {self.data.decode('utf-8', 'backslashreplace')}"


@attrs.frozen
class TLS:
    """The point of a transcript where both sides do the TLS handshake."""

    def __str__(self) -> str:
        return "TLS"


Script: TypeAlias = Sequence[Line | TLS]


class Sender(Endpoint, Protocol):
    """A client machine: one with ``send``."""

    @property
    def send(self) -> Callable[..., None]:
        """Queue a command."""
        ...


M = TypeVar("M", bound=Endpoint)
C = TypeVar("C", bound=Sender)


class ScriptMismatch(AssertionError):
    """The machine or flow under test did not say what the script says."""


def transcript(text: str) -> list[Line | TLS]:
    """Parse lines that begin with ``C: `` or ``S: ``; a line ``TLS`` is the handshake.

    Common indentation and blank lines are dropped. ``\N{SYMBOL FOR SPACE}`` stands for a space
    that would be lost at a line's end. Raises ValueError quoting any other line.
    """
    script: list[Line | TLS] = []
    for number, line in enumerate(textwrap.dedent(text).split("\n"), 1):
        data = line[3:].replace("\N{SYMBOL FOR SPACE}", " ").encode()
        if line.startswith("C: ") or line == "C:":
            script.append(Line("C", data))
        elif line.startswith("S: ") or line == "S:":
            script.append(Line("S", data))
        elif line.strip() == "TLS":
            script.append(TLS())
        elif line.strip():
            raise ValueError(f"line {number} of the transcript is neither C:, S: nor TLS: {line!r}")
    return script


def play_server(
    script: Script,
    client: C,
    commands: Iterable[object] = (),
    on_event: Callable[[C, object], object] = lambda client, event: None,
) -> list[object]:
    """Play the ``S:`` lines against a client machine; its events.

    Where the script wants a ``C:`` line and the client has nothing to say, the next of
    ``commands`` is sent. Raises ScriptMismatch also when commands or octets are left over.
    """
    waiting = deque(commands)

    def speak() -> bool:
        if waiting:
            client.send(waiting.popleft())
            return True
        return False

    events = _play(script, "S", client, on_event, speak)
    if waiting:
        raise ScriptMismatch(f"the script has ended, but not the commands: {list(waiting)!r}")
    return events


def play_client(script: Script, server: M, answer: Callable[[M, object], object]) -> list[object]:
    """Play the ``C:`` lines against a server machine; its events.

    ``answer(server, event)`` is called for each event, and for ``PAUSED`` (a greeting is due).
    """
    return _play(script, "C", server, answer, lambda: False)


def _play(
    script: Script,
    ours: Literal["C", "S"],
    machine: M,
    answer: Callable[[M, object], object],
    speak: Callable[[], bool],
) -> list[object]:
    events: list[object] = []
    output = _Output()
    for position, line in enumerate(script):
        drain(machine, answer, events, output.chunks)
        if isinstance(line, TLS):
            output.expect_nothing(script[:position])
            machine.start_tls()
        elif line.side == ours:
            machine.receive_data(line.data + b"\r\n")
        else:
            while (said := output.line()) is None and speak():
                drain(machine, answer, events, output.chunks)
            if said != line.data:
                raise ScriptMismatch(_difference(script[:position], line, said))
    drain(machine, answer, events, output.chunks)
    output.expect_nothing(script)
    return events


def peer(script: Script, side: Literal["C", "S"] = "S") -> Flow[None]:
    """A flow that plays one side of ``script``, for ``link.converse`` with the flow under test."""
    received = _Output()
    for position, line in enumerate(script):
        if isinstance(line, TLS):
            received.expect_nothing(script[:position])
            yield from start_tls()
        elif line.side == side:
            yield from write(line.data + b"\r\n")
        else:
            while (said := received.line()) is None:
                data = yield from read()
                if not data:
                    break
                received.chunks.append(data)
            if said != line.data:
                raise ScriptMismatch(_difference(script[:position], line, said))
    received.expect_nothing(script)


class _Output:
    """What the side under test has said, read by lines."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def line(self) -> bytes | None:
        """The next whole line without its CRLF."""
        line, end, rest = b"".join(self.chunks).partition(b"\r\n")
        if not end:
            return None
        self.chunks[:] = [rest]
        return line

    def expect_nothing(self, played: Script) -> None:
        rest = b"".join(self.chunks)
        if rest:
            raise ScriptMismatch(f"{_played(played)}\nunexpected: {rest!r}")


def _played(script: Script) -> str:
    return "\n".join(["played:", *(f"  {line}" for line in script[-20:])])


def _difference(played: Script, expected: Line, said: bytes | None) -> str:
    found = "nothing (or no whole line)" if said is None else str(attrs.evolve(expected, data=said))
    return f"{_played(played)}\nexpected: {expected}\nfound:    {found}"
