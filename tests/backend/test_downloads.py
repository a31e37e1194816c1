"""The directory of downloads: what has come is kept once, wherever the process ends."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mailproto.backend import DownloadDirectory, StoreFailure

ONE, TWO = b"Subject: one\r\n\r\nfirst\r\n", b"Subject: two\r\n\r\nsecond\r\n"
ODD = 'a b\xe9"\\\x7f'


def fetch(directory: DownloadDirectory, unique_id: str, content: bytes, now: float = 5.0) -> None:
    incoming = directory.begin()
    for octet in content:
        incoming.write(bytes((octet,)))
    incoming.keep(unique_id, now)


def mail(path: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in path.glob("*.eml"))


def hidden(path: Path) -> list[str]:
    return [file.name for file in path.iterdir() if file.suffix not in (".eml", "")]


def test_messages_are_files_and_unique_ids_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mail"
    assert DownloadDirectory(path).kept() == {}
    assert not path.exists()
    directory = DownloadDirectory(path)
    fetch(directory, "one", ONE, 5.0)
    fetch(directory, ODD, TWO, 6.5)
    assert mail(path) == [ONE, TWO]
    assert hidden(path) == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    again = DownloadDirectory(path)
    assert again.kept() == {"one": 5.0, ODD: 6.5}
    again.forget(["one", "never seen"])
    assert DownloadDirectory(path).kept() == {ODD: 6.5}
    assert mail(path) == [ONE, TWO]


def test_a_message_that_is_discarded_or_dropped_leaves_nothing(tmp_path: Path) -> None:
    directory = DownloadDirectory(tmp_path)
    incoming = directory.begin()
    incoming.write(ONE)
    incoming.discard()
    assert list(tmp_path.iterdir()) == []
    dropped = directory.begin()
    dropped.write(ONE)
    dropped.discard()
    assert DownloadDirectory(tmp_path).kept() == {}
    assert list(tmp_path.iterdir()) == []


def test_maildrops_share_a_directory_and_not_their_memory(tmp_path: Path) -> None:
    alice, bob = DownloadDirectory(tmp_path, "alice"), DownloadDirectory(tmp_path, "bob")
    fetch(alice, "1", ONE)
    under_way = bob.begin()
    under_way.write(TWO)
    assert alice.kept() == {"1": 5.0}
    under_way.keep("1", 0.0)
    assert bob.kept() == {"1": 0.0}
    assert mail(tmp_path) == [ONE, TWO]


def test_no_file_is_ever_overwritten(tmp_path: Path) -> None:
    directory = DownloadDirectory(tmp_path)
    for content in (ONE, TWO, ONE):
        fetch(directory, "1", content)
        directory.forget(["1"])
    assert mail(tmp_path) == [ONE, ONE, TWO]


class Killed(BaseException):
    """The process ends here."""


# What is done to the file system, each of which may be the last thing that happens.
STEPS = [(os, "fsync"), (os, "open"), (Path, "rename"), (Path, "replace"), (Path, "unlink")]


def killed_at(step: int, patch: pytest.MonkeyPatch) -> Callable[[], int]:
    """End the process before the step of that number; gives how many there were."""
    done = 0

    def wrapped(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **keywords: object) -> object:
            nonlocal done
            done += 1
            if done == step:
                raise Killed
            return real(*args, **keywords)

        return call

    for owner, name in STEPS:
        patch.setattr(owner, name, wrapped(getattr(owner, name)))
    return lambda: done


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_P22_a_process_that_is_killed_anywhere_keeps_each_message_once(tmp_path: Path) -> None:
    wanted = {"one": ONE, ODD: TWO}

    def run(directory: DownloadDirectory) -> None:
        kept = directory.kept()
        for unique_id, content in wanted.items():
            if unique_id not in kept:
                fetch(directory, unique_id, content)
        directory.forget(["gone"])

    step = 0
    while True:
        step += 1
        path = tmp_path / str(step)
        with pytest.MonkeyPatch.context() as patch:
            steps = killed_at(step, patch)
            try:
                run(DownloadDirectory(path))
            except Killed:
                pass
            else:
                break
        run(DownloadDirectory(path))
        assert mail(path) == [ONE, TWO], step
        assert DownloadDirectory(path).kept().keys() == wanted.keys()
        assert hidden(path) in ([], [f"{next(path.glob('.seen-*')).name}.new"])
    assert steps() == step - 1 > 12


def test_a_line_that_was_not_written_whole_is_cut_off(tmp_path: Path) -> None:
    directory = DownloadDirectory(tmp_path)
    fetch(directory, "one", ONE)
    (seen,) = tmp_path.glob(".seen-*")
    whole = seen.read_bytes()
    for length in range(len(whole)):
        seen.write_bytes(whole + whole[:length])
        assert DownloadDirectory(tmp_path).kept() == {"one": 5.0}
        assert seen.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [b"x", b"[]", b"[1]", b'["a", null]', b"3", b'{"a": 1}', b"\xff", b"\0" * 9, b"[" * 99_999],
)
def test_a_memory_of_something_else_is_refused(tmp_path: Path, line: bytes) -> None:
    fetch(DownloadDirectory(tmp_path), "one", ONE)
    (seen,) = tmp_path.glob(".seen-*")
    seen.write_bytes(seen.read_bytes() + line + b"\n")
    with pytest.raises(StoreFailure, match="not its own, number 2: without that line"):
        DownloadDirectory(tmp_path).kept()


def test_what_the_file_system_refuses_is_a_store_failure(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_bytes(b"")
    directory = DownloadDirectory(taken)
    with pytest.raises(StoreFailure, match="file"):
        directory.kept()
    with pytest.raises(StoreFailure, match="file"):
        directory.begin()
    with pytest.raises(StoreFailure, match="file"):
        directory.forget(["one"])
