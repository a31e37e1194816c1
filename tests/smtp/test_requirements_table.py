"""The table of what RFC 5321 requires names tests that exist, or says why there is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "smtp-requirements.md").read_text(encoding="utf-8")
ROWS = [line[2:-2].split(" | ") for line in TABLE.split("\n") if re.match(r"\| [0-9]", line)]


def test_P19_every_requirement_of_RFC_5321_has_a_test_or_a_reason() -> None:
    assert len(ROWS) > 40
    defined: dict[str, set[str]] = {}
    for sections, required, shown in ROWS:
        assert re.fullmatch(r"[0-9](?:\.[0-9]+)*(?:, [0-9](?:\.[0-9]+)*)*", sections)
        assert required
        assert shown
        for path, name in re.findall(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", shown):
            if path not in defined:
                tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
                defined[path] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
            assert name in defined[path], f"{path} has no {name}"
        assert shown.count("::") == len(re.findall(r"`tests/[a-z0-9_/]+\.py::\w+`", shown))
