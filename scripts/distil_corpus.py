"""Keep of what `make fuzz` has found the few inputs that reach what no other does.

    python scripts/distil_corpus.py            every target with a folder in fuzz/corpus/
    python scripts/distil_corpus.py smtp.server

An input is put into tests/fuzz/corpus/TARGET/reached-... when it takes steps from line to line in
mailproto that those there do not take, greedily: the one with the most new steps comes first.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import mailproto
from mailproto.testing import fuzz

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "tests" / "fuzz" / "corpus"
FOUND = ROOT / "fuzz" / "corpus"
LEAST = 2
"""Steps that an input must add to be worth a file."""

PACKAGE = str(Path(mailproto.__file__).parent)
TESTING = str(Path(PACKAGE, "testing"))
Step = tuple[str, int, int]


def steps(target: Callable[[bytes], None], data: bytes) -> set[Step]:
    """The steps from line to line that the machines take; raises what the target raises."""
    taken = set[Step]()

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) or file.startswith(TESTING):
            return None
        before = 0

        def step(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal before
            if event == "line":
                taken.add((file, before, frame.f_lineno))
                before = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target(fuzz.without_flood(data))
    finally:
        sys.settrace(None)
    return taken


def distil(name: str) -> None:
    target = fuzz.TARGETS[name]
    known = set[Step]()
    for file in (SEEDS / name).iterdir():
        known |= steps(target, file.read_bytes())
    inputs = {data: steps(target, data) for data in map(Path.read_bytes, (FOUND / name).iterdir())}
    kept = 0
    while inputs:
        best = max(inputs, key=lambda data: (len(inputs[data] - known), -len(data)))
        new = inputs.pop(best) - known
        if len(new) < LEAST:
            break
        known |= new
        kept += 1
        data = fuzz.without_flood(best)
        (SEEDS / name / f"reached-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
    print(f"{name}: {kept} inputs kept", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(folder.name for folder in FOUND.iterdir()):
        distil(name)
