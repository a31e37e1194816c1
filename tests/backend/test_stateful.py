"""Both stores against the model of ``mailproto.testing.stateful``, and the model against faults."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from mailproto.backend import Draft, MemoryStore, SQLiteStore, Store
from mailproto.backend import memory as memory_module
from mailproto.backend.spool import Spool
from mailproto.testing.stateful import store_machine

FEWER = settings(max_examples=max(10, settings().max_examples // 3))


def test_the_memory_store_agrees_with_the_model() -> None:
    run_state_machine_as_test(store_machine(MemoryStore), settings=FEWER)


def test_the_sqlite_store_agrees_with_the_model_and_when_opened_again(tmp_path: Path) -> None:
    def make() -> Store:
        return SQLiteStore(Path(tempfile.mkdtemp(dir=tmp_path)) / "mail.db")

    def reopen(store: Store) -> Store:
        assert isinstance(store, SQLiteStore)
        store.close()
        return SQLiteStore(store.file)

    run_state_machine_as_test(store_machine(make, reopen), settings=FEWER)


class Awaited:
    """Every method of an object as a coroutine function, and so on for what it returns."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._inner, name)
        if not callable(attribute):
            return attribute

        async def method(*args: object, **kwargs: object) -> object:
            inner = [arg._inner if isinstance(arg, Awaited) else arg for arg in args]
            result = attribute(*inner, **kwargs)
            return Awaited(result) if name in ("account", "open", "draft", "content") else result

        return method


def test_a_store_of_coroutines_is_driven_too() -> None:
    def make() -> Store:
        return Awaited(MemoryStore())  # type: ignore[return-value]  # its methods are made on demand

    quick = settings(max_examples=5, stateful_step_count=20)
    run_state_machine_as_test(store_machine(make), settings=quick)


# --------------------------------------------------------------------------- the model can fail


class ForgetsPrefix(MemoryStore):
    def deliver(self, draft: Draft, recipients: Mapping[str, bytes]) -> None:
        super().deliver(draft, dict.fromkeys(recipients, b""))


class TellsNobody(MemoryStore):
    def tell(self, account: str, mailboxes: object) -> None:
        pass


class ReusesKeys(MemoryStore):
    def stored(self, prefix: bytes, body: Spool) -> memory_module._Stored:
        real = super().stored(prefix, body)
        return memory_module._Stored("1", real.content, real.eight_bit, real.canonical)


def fault(name: str, method: Callable[..., object]) -> Callable[[pytest.MonkeyPatch], type[Store]]:
    def install(patch: pytest.MonkeyPatch) -> type[Store]:
        patch.setattr(memory_module._Box, name, method)
        return MemoryStore

    return install


def expunge_ignores_flags(box: memory_module._Box, uids: Collection[int] | None) -> list[int]:
    return [m.uid for m in box.messages().messages if uids is None or m.uid in uids]


def drop_keeps_modseq(box: memory_module._Box, uids: Collection[int]) -> list[int]:
    gone = [uid for uid in sorted(uids) if box._messages.pop(uid, None)]
    for uid in gone:
        del box._changed[uid]
    return gone


@pytest.mark.parametrize(
    "make",
    [
        lambda patch: ForgetsPrefix,
        lambda patch: TellsNobody,
        lambda patch: ReusesKeys,
        fault("deletable", expunge_ignores_flags),
        fault("drop", drop_keeps_modseq),
        fault("claim_recent", lambda box: frozenset(box._recents())),
    ],
)
def test_a_faulty_store_is_found(
    make: Callable[[pytest.MonkeyPatch], type[Store]], monkeypatch: pytest.MonkeyPatch
) -> None:
    generous = settings(max_examples=400, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(store_machine(make(monkeypatch)), settings=generous)
