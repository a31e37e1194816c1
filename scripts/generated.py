"""What the generators of documents share: writing a file, or checking that it is fresh."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write_or_check(name: str, text: str) -> int:
    """Write docs/`name`, or with --check say what is out of date; returns the exit status."""
    parser = argparse.ArgumentParser(description=f"Generate docs/{name}.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail when stale")
    path = ROOT / "docs" / name
    if not parser.parse_args().check:
        path.write_text(text, encoding="utf-8")
        return 0
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if old == text:
        return 0
    difference = difflib.unified_diff(
        old.splitlines(), text.splitlines(), f"docs/{name}", "generated", lineterm="", n=0
    )
    print("\n".join(difference))
    print(f"docs/{name} is out of date: run `make docs`", file=sys.stderr)
    return 1
