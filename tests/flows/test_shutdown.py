"""Shutdown: every session that watches is woken, whichever of the two comes first."""

from __future__ import annotations

from mailproto.flows.effects import Wakeup
from mailproto.flows.shutdown import Shutdown


def test_request_wakes_those_who_watch_and_nobody_else() -> None:
    shutdown, watching, gone = Shutdown(), Wakeup(), Wakeup()
    with shutdown.watch(gone):
        pass
    with shutdown.watch(watching):
        assert not shutdown.requested
        assert not watching.is_set
        shutdown.request()
        assert shutdown.requested
        assert watching.is_set
    assert not gone.is_set


def test_a_session_that_begins_after_the_request_is_woken_at_once() -> None:
    shutdown, late = Shutdown(), Wakeup()
    shutdown.request()
    with shutdown.watch(late):
        assert late.is_set


def test_the_hook_of_the_driver_runs_once_for_each_request() -> None:
    shutdown, wakeup = Shutdown(), Wakeup()
    calls: list[bool] = []
    wakeup.on_set = lambda: calls.append(shutdown.requested)
    with shutdown.watch(wakeup):
        shutdown.request()
    assert calls == [True]
