"""The demonstration as a user runs it, and that a check which fails is told."""

from __future__ import annotations

import io
import subprocess
import sys

from mailproto.cli.report import Report


def test_demo_ends_with_its_facts_and_status_0():
    done = subprocess.run(
        [sys.executable, "-m", "mailproto", "demo"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    text = done.stdout.decode()
    assert text.count("   ok     ") == 11
    assert text.endswith("11 of 11 checks held.\n")
    assert "FAILED" not in text
    assert "\033" not in text
    for line in (
        "C: STARTTLS",
        "C: AUTH SCRAM-SHA-512 <hidden>",
        "C: MAIL FROM:<alice@sender.example>",
        r"S: * 1 FETCH (FLAGS (\Flagged))",
        "S: * 1 EXPUNGE",
        "C: RETR 1",
    ):
        assert line in text


def test_a_fact_that_does_not_hold_is_told():
    screen = io.StringIO()
    report = Report(screen)
    report.check("water is wet", True)
    report.check("the moon is cheese", False)
    assert report.conclude() is False
    assert "FAILED the moon is cheese" in screen.getvalue()
    assert "1 of 2 checks held" in screen.getvalue()


def test_colours_only_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), io.StringIO()
    for screen in (coloured, plain):
        report = Report(screen)
        leg = report.leg("a leg", "SMTP")
        leg.trace("C", b"NOOP")
        leg.show("a note")
    assert "\033[" in coloured.getvalue()
    assert "\033[" not in plain.getvalue()


def test_long_transcripts_are_shortened_and_say_so():
    screen = io.StringIO()
    leg = Report(screen).leg("a leg", "SMTP")
    for number in range(100):
        leg.trace("S", b"line %d" % number)
    leg.trace("S", b"x" * 500)
    leg.show("a note")
    shown = screen.getvalue()
    assert "lines left out" in shown
    assert max(map(len, shown.splitlines())) <= 100
