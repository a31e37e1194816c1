"""The tables of what RFCs require name tests that exist, or say why there is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLES = sorted((ROOT / "docs").glob("*-requirements.md"))
SECTION = r"(?:[0-9]+|[A-C])(?:\.[0-9]+)*"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_P19_every_requirement_has_a_test_or_a_reason(table: Path) -> None:
    lines = table.read_text(encoding="utf-8").split("\n")
    rows = [line[2:-2].split(" | ") for line in lines if re.match(r"\| (?:[0-9]|RFC )", line)]
    assert len(rows) > 30
    defined: dict[str, set[str]] = {}
    for sections, required, shown in rows:
        assert re.fullmatch(rf"(?:RFC [0-9]{{4}} )?{SECTION}(?:, {SECTION})*", sections)
        assert required
        assert shown
        for path, name in re.findall(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", shown):
            if path not in defined:
                tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
                defined[path] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
            assert name in defined[path], f"{path} has no {name}"
        assert shown.count("::") == len(re.findall(r"`tests/[a-z0-9_/]+\.py::\w+`", shown))
