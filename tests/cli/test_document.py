"""docs/command-line.md names every option of the command line, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailproto.cli import main
from mailproto.cli.offering import OFFERS

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
OPTION = re.compile(r"--[a-z][a-z0-9-]*")
COMMANDS = ("serve", "send", "fetch", "demo")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_names_the_options(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise options in the text are broken at their hyphens.
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    there = set(OPTION.findall(capsys.readouterr().out)) - {"--help"}
    section = PAGE.partition(f"## `mailproto {command}`")[2].partition("\n## ")[0]
    assert set(OPTION.findall(section)) == there


def test_the_page_names_what_can_be_offered() -> None:
    names = set(re.findall(r"[A-Z][A-Z-]{2,}", OFFERS)) - {"SECONDS", "POLICY", "CLASS", "TIME"}
    assert names
    assert {name for name in names if f"`{name}" not in PAGE} == set()
