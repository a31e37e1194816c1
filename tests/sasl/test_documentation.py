"""Every Python block of docs/sasl.md runs, and its table of mechanisms is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailproto import sasl

PAGE = (Path(__file__).parents[2] / "docs" / "sasl.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_block_runs(block: str) -> None:
    exec(compile(block, "docs/sasl.md", "exec"), {})


def test_the_flow_of_the_page_asks_the_directory() -> None:
    block = next(block for block in BLOCKS if "settle" in block)
    space: dict[str, object] = {}
    exec(compile(block, "docs/sasl.md", "exec"), space)
    flow = space["flow"]
    effect = next(flow)  # type: ignore[call-overload]  # the block is not typed
    with pytest.raises(StopIteration) as end:
        flow.send(effect.function())  # type: ignore[attr-defined]  # as above
    assert end.value.value == sasl.Success("alice", "alice")


def test_the_table_names_every_mechanism_with_its_strength() -> None:
    listed: dict[str, str] = {}
    for names, strength in re.findall(
        r"^\| ([A-Z].*?) \| .*? \| `([A-Z]+)` \|", PAGE, re.MULTILINE
    ):
        for name in names.split(", "):
            full = f"SCRAM{name}" if name.startswith("-") else name
            listed[full] = strength
    assert listed == {mechanism.name: mechanism.strength.name for mechanism in sasl.MECHANISMS}
