"""The readers of commands: the quick ones against the general one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import imap
from mailproto.imap.parse.commands import arguments, general_command, head
from mailproto.imap.parse.commands_search import search, usual_key
from mailproto.imap.parse.commands_usual import usual_command
from mailproto.imap.serialize.commands import serialize_command
from mailproto.imap.wire.cursor import Cursor, Malformed
from mailproto.imap.wire.frames import Frame
from mailproto.testing.strategies.imap_commands import search_keys, selected_commands

FRAGMENTS = st.sampled_from(
    [
        b"",
        b" ",
        b"1",
        b"*",
        b"0",
        b"4294967296",
        b"(",
        b")",
        b"\\",
        b'"',
        b"FLAGS",
        b".SILENT",
        b"x",
    ]
)


def line_of(command: imap.Command) -> bytes | None:
    """The command on one line, ``None`` if it needs a literal."""
    parts = serialize_command(command)
    if not all(isinstance(part, bytes) for part in parts):
        return None
    return b"a " + b"".join(part for part in parts if isinstance(part, bytes))


@given(selected_commands, st.integers(0, 60), FRAGMENTS, st.integers(0, 3))
@settings(max_examples=500, deadline=None)
def test_the_usual_and_the_general_reader_agree(
    command: imap.Command, at: int, inserted: bytes, removed: int
) -> None:
    line = line_of(command)
    if line is None:
        return
    of = head(line)
    # FETCH is usual from the second time on, when its items are remembered.
    for _ in range(2):
        assert arguments(of.name, Frame(line), of.end, depth=50) == command
    at = min(of.end + at, len(line))
    line = line[:at] + inserted + line[at + removed :]
    usual = usual_command(of.name, line, of.end)
    if usual is not None:
        assert general_command(of.name, Frame(line), of.end, depth=50) == usual


@given(search_keys, st.integers(0, 30), FRAGMENTS, st.integers(0, 3))
@settings(max_examples=500, deadline=None)
def test_usual_search_keys_are_what_they_are_in_lower_case(
    key: imap.SearchKey, at: int, inserted: bytes, removed: int
) -> None:
    line = line_of(imap.Search(key))
    if line is None:
        return
    text = line[len(b"a SEARCH ") :]
    text = text[:at] + inserted + text[at + removed :]
    cursor = Cursor(Frame(text))
    usual = usual_key(cursor)
    if usual is None or not cursor.at_end or cursor.text.count(b" ") > 1:
        return
    word, space, argument = text.partition(b" ")
    # The quick reader knows upper case only, so that lower case takes the general one.
    general = search(Cursor(Frame(b" " + word.lower() + space + argument)), uid=False)
    assert general == imap.Search(usual)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a NOOP", ("a", b"NOOP")),
        (b"a uid fetch 1 x", ("a", b"UID FETCH")),
        (b"a]b Login", ("a]b", b"LOGIN")),
        (b"a", ("a", b"")),
        (b"a ", ("a", b"")),
        (b"a  NOOP", ("a", b"")),
        (b"a NOOP1", ("a", b"")),
        (b"t" * 64 + b" NOOP", ("t" * 64, b"NOOP")),
        (b"t" * 65 + b" NOOP", (None, b"")),
        (b"+a NOOP", (None, b"")),
        (b"a+b NOOP", (None, b"")),
        (b"(a NOOP", (None, b"")),
        (b'"a" NOOP', (None, b"")),
        (b"\xe4 NOOP", (None, b"")),
        (b"* NOOP", (None, b"")),
        (b"", (None, b"")),
    ],
)
def test_heads(line: bytes, expected: tuple[str | None, bytes]) -> None:
    found = head(line)
    assert (found.tag, found.name) == expected


@pytest.mark.parametrize(
    ("arguments_", "problem"),
    [
        (b" 0 FLAGS", "expected a sequence set, found b'0 FLAGS' at octet 8"),
        (b" 1 NOSUCH", "expected a data item of FETCH, found b'NOSUCH' at octet 10"),
        (b" 1 (FLAGS", "expected ' ', found the end"),
    ],
)
def test_P12_problems_say_what_and_where(arguments_: bytes, problem: str) -> None:
    with pytest.raises(Malformed) as raised:
        arguments(b"FETCH", Frame(b"a FETCH" + arguments_), 7, depth=50)
    assert str(raised.value) == problem
