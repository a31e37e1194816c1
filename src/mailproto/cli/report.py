"""What the demonstration shows: a transcript of each leg, then a line for each fact checked."""

from __future__ import annotations

import os
from typing import Final, Literal, TextIO

__all__ = ["Leg", "Report"]

_LONGEST: Final = 96
_MOST: Final = 34
_LISTS: Final = ("S: 250-", "S: * OK [")
"""Beginnings of lines of which one of a run is enough."""

_COLOURS: Final = {
    "C": "\033[36m",
    "S": "\033[32m",
    " ": "\033[2m",
    "title": "\033[1m",
    "note": "\033[2m",
}
_GOOD: Final = "\033[32m"
_BAD: Final = "\033[31m"
_PLAIN: Final = "\033[0m"


class Leg:
    """One connection's part of the story; ``trace`` goes to the machine."""

    def __init__(self, report: Report, title: str, protocol: str) -> None:
        self._report = report
        self._title = title
        self._protocol = protocol
        self.lines: list[str] = []
        """``C: EHLO ...``, as traced."""

    def trace(self, side: Literal["C", "S"], line: bytes) -> None:
        """Take a line; from any thread."""
        self.lines.append(f"{side}: {line.decode('ascii', 'backslashreplace')}")

    def show(self, note: str) -> None:
        """Print the leg, shortened, with a note on what to look at."""
        self._report.show(f"{self._title} ({self._protocol})", note, self.lines)


class Report:
    """Prints to ``screen``; colours only on a terminal that wants them."""

    def __init__(self, screen: TextIO, *, transcript: bool = True) -> None:
        self._screen = screen
        self._transcript = transcript
        self._coloured = screen.isatty() and "NO_COLOR" not in os.environ
        self._facts: list[tuple[str, bool]] = []
        self._legs: list[Leg] = []
        self._shown = 0

    @property
    def lines(self) -> list[str]:
        """Every line of every leg."""
        return [line for leg in self._legs for line in leg.lines]

    def leg(self, title: str, protocol: str) -> Leg:
        """A new leg; it is printed when it is shown."""
        leg = Leg(self, title, protocol)
        self._legs.append(leg)
        return leg

    def show(self, title: str, note: str, lines: list[str]) -> None:
        """Print a transcript."""
        if not self._transcript:
            return
        self._shown += 1
        self._print(f"{self._shown}. {title}", "title")
        self._print(f"   {note}", "note")
        for line in _shortened(lines):
            shown = line if len(line) <= _LONGEST else line[: _LONGEST - 4] + " ..."
            self._print(f"   {shown}", line[0])
        self._screen.write("\n")

    def check(self, fact: str, holds: bool) -> None:
        """Remember a fact for the end."""
        self._facts.append((fact, holds))

    def conclude(self) -> bool:
        """Print the facts; whether all of them hold."""
        self._print("What was checked", "title")
        for fact, holds in self._facts:
            word, colour = ("ok", _GOOD) if holds else ("FAILED", _BAD)
            self._screen.write(f"   {self._painted(f'{word:6}', colour)} {fact}\n")
        held = sum(holds for _, holds in self._facts)
        self._screen.write(f"\n{held} of {len(self._facts)} checks held.\n")
        return held == len(self._facts)

    def _print(self, text: str, kind: str) -> None:
        self._screen.write(self._painted(text, _COLOURS[kind]) + "\n")

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._coloured else text


def _shortened(lines: list[str]) -> list[str]:
    """The lines without runs of the same kind, and with a gap in the middle if there are many."""
    short: list[str] = []
    for line in lines:
        kind = next((kind for kind in _LISTS if line.startswith(kind)), None)
        if kind is None or not short or not short[-1].startswith(kind):
            short.append(line)
        elif not short[-1].endswith(" (and more)"):
            short[-1] += " (and more)"
    if len(short) > _MOST:
        left_out = len(short) - _MOST + 1
        half = _MOST // 2
        short[half : half + left_out] = [f" : ({left_out} lines left out)"]
    return short
