"""Linear work passes on any machine, quadratic work never does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailproto.testing import assert_linear, processor_seconds


def test_linear_work_passes() -> None:
    assert_linear(lambda size: lambda: sum(range(size)), 20_000)


def test_quadratic_work_is_told_with_its_figures() -> None:
    def prepare(size: int) -> Callable[[], object]:
        return lambda: sum(1 for _ in range(size) for _ in range(size))

    with pytest.raises(AssertionError, match=r"size 100 took .* 8 times the size"):
        assert_linear(prepare, 100)


def test_only_the_work_is_timed() -> None:
    # Preparing is quadratic here, the work is not.
    def prepare(size: int) -> Callable[[], object]:
        found = sum(1 for _ in range(size) for _ in range(size))
        return lambda: found

    assert_linear(prepare, 100)
    assert processor_seconds(lambda: None) >= 0
