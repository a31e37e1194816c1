"""The outbox: order is kept, nothing passes a closed wait point."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailproto._core.outbox import Outbox


def test_nothing_passes_a_wait_point():
    box = Outbox()
    box.write(b"A1 LOGIN {5}\r\n")
    box.hold()
    box.write(b"alice {6}\r\n")
    box.hold()
    box.write(b"secret\r\n")
    assert (box.take(), box.take(), box.holding) == (b"A1 LOGIN {5}\r\n", b"", 2)
    box.release()
    assert (box.take(), box.holding) == (b"alice {6}\r\n", 1)
    box.release()
    box.write(b"A2 NOOP\r\n")
    assert (box.take(), box.holding) == (b"secret\r\nA2 NOOP\r\n", 0)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=4), st.just("hold"), st.just("take"))))
def test_order_is_kept_whatever_happens_between(steps):
    box = Outbox()
    written, taken = b"", b""
    for step in steps:
        if step == "hold":
            box.hold()
        elif step == "take":
            taken += box.take()
        else:
            box.write(step)
            written += step
    while box.holding:
        box.release()
        taken += box.take()
    taken += box.take()
    assert taken == written
    assert not box


def test_what_waits_can_be_forgotten():
    box = Outbox()
    box.write(b"A1 APPEND INBOX {5}\r\n")
    box.hold()
    box.write(b"hello\r\n")
    box.abandon()
    assert (box.take(), box.holding) == (b"A1 APPEND INBOX {5}\r\n", 0)
    box.write(b"A2 NOOP\r\n")
    box.hold()
    box.write(b"never")
    box.clear()
    assert (box.take(), box.holding) == (b"", 0)
