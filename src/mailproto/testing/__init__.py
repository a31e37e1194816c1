"""Tools to test mail programs with: cut inputs, link two ends in memory, play transcripts.

Needs the extra ``mailproto[testing]`` only for ``mailproto.testing.strategies`` (Hypothesis).
"""

from __future__ import annotations

from mailproto.testing.chop import (
    Endpoint,
    Outcome,
    assert_chop_invariant,
    outcome,
    outcomes,
    splits,
)
from mailproto.testing.growth import assert_linear, processor_seconds
from mailproto.testing.link import Link, converse
from mailproto.testing.script import (
    TLS,
    Line,
    ScriptMismatch,
    peer,
    play_client,
    play_server,
    transcript,
)

__all__ = [
    "TLS",
    "Endpoint",
    "Line",
    "Link",
    "Outcome",
    "ScriptMismatch",
    "assert_chop_invariant",
    "assert_linear",
    "converse",
    "outcome",
    "outcomes",
    "peer",
    "play_client",
    "play_server",
    "processor_seconds",
    "splits",
    "transcript",
]
