"""Every Python block of docs/testing.md runs as it stands."""

from __future__ import annotations

import poplib
import re
from pathlib import Path

import pytest

from mailproto import sync
from mailproto.errors import LocalProtocolError
from mailproto.testing import peer, transcript

GUIDE = Path(__file__).parent.parent / "docs" / "testing.md"
SOURCE = GUIDE.read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.*?)$(.*?)(?=^## |\Z)", SOURCE, re.DOTALL | re.MULTILINE)
BLOCKS = {
    title: block
    for title, text in SECTIONS
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
}


def run(block: str) -> None:
    exec(compile(block, "docs/testing.md", "exec"), {})


@pytest.mark.parametrize("title", BLOCKS)
def test_the_example_runs(title: str) -> None:
    run(BLOCKS[title])


def test_every_section_has_its_example() -> None:
    assert list(BLOCKS) == [title for title, _ in SECTIONS]
    assert SOURCE.count("```python") == len(BLOCKS) == 5


def test_what_does_not_fit_a_transcript_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    script = transcript("S: +OK ready\nC: LIST\nS: +OK\n")
    with sync.Server() as server:
        client = poplib.POP3("127.0.0.1", server.listen("127.0.0.1", 0, lambda _: peer(script)))
        with pytest.raises(poplib.error_proto, match="EOF"):
            client.stat()
        client.close()
    assert "expected: C: LIST\nfound:    C: STAT" in caplog.text


def test_an_application_that_fails_is_found() -> None:
    block = BLOCKS["Fuzzing"].replace("smtp.Auth", "smtp.Rcpt").replace("535", "235")
    with pytest.raises(LocalProtocolError, match="235 does not answer RCPT"):
        run(block)


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", SOURCE):
        assert (GUIDE.parent / link).exists(), link
