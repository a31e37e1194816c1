"""Retry advice against RFC 5321 section 4.5.4.1, whose numbers are written here once more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.errors import CommandFailed
from mailproto.flows.smtp_result import DeliveryUnknown, RecipientResult, SendResult
from mailproto.flows.smtp_retry import Bounce, Schedule, advise
from mailproto.smtp import Mailbox, Reply

MINUTE, HOUR, DAY = 60, 3600, 86400
TAKEN, BUSY, NEVER = Reply(250, "ok"), Reply(451, "busy"), Reply(550, "no such user")
REPLIES = {"taken": TAKEN, "busy": BUSY, "never": NEVER, "lost": None}


def mailbox(name: str) -> Mailbox:
    return Mailbox(name, "example.com")


def result(*names: str) -> SendResult:
    """Recipients named for what became of them."""
    return SendResult(tuple(RecipientResult(mailbox(n), REPLIES[n]) for n in names), None)


def test_who_is_tried_again_and_who_is_given_back():
    mixed = result("taken", "busy", "never", "lost")
    advice = advise([mixed], age=0)
    assert advice.retry == (mailbox("busy"), mailbox("lost"))
    assert advice.after == 30 * MINUTE
    assert advice.bounce == (Bounce(mixed.recipients[2], expired=False),)


def test_an_unknown_outcome_is_a_duplicate_rather_than_a_loss():
    advice = advise([result("lost")], age=0)
    assert advice.retry == (mailbox("lost"),)
    assert advice.bounce == ()


def test_nothing_is_left_to_do():
    advice = advise([result("busy"), result("taken")], age=HOUR)
    assert (advice.retry, advice.after, advice.bounce) == ((), None, ())


def test_two_attempts_in_the_first_hour_then_every_few_hours():
    waits = [advise([result("busy")] * n, age=0).after for n in range(1, 7)]
    assert waits == [30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR, 3 * HOUR]


@pytest.mark.parametrize("name", ["busy", "lost"])
def test_after_five_days_it_is_given_up(name: str):
    failed = result(name)
    assert advise([failed], age=5 * DAY - 1).retry == (mailbox(name),)
    advice = advise([failed], age=5 * DAY)
    assert (advice.retry, advice.after) == ((), None)
    assert advice.bounce == (Bounce(failed.recipients[0], expired=True),)


def test_a_refusal_for_good_is_not_called_expired():
    assert [b.expired for b in advise([result("never")], age=6 * DAY).bounce] == [False]


def test_a_schedule_of_ones_own():
    steady = Schedule(first=60, factor=1.0, longest=60, give_up_after=HOUR)
    assert advise([result("busy")] * 1000, age=HOUR - 1, schedule=steady).after == 60
    assert advise([result("busy")], age=HOUR, schedule=steady).retry == ()


@given(st.lists(st.sampled_from(list(REPLIES)), min_size=1, unique=True), st.floats(0, 10 * DAY))
def test_every_recipient_has_exactly_one_fate(names: list[str], age: float):
    last = result(*names)
    advice = advise([last], age=age)
    fates = [r.forward_path for r in last.delivered]
    fates += [*advice.retry, *(b.recipient.forward_path for b in advice.bounce)]
    assert sorted(map(str, fates)) == sorted(str(mailbox(n)) for n in names)
    assert (advice.after is None) is (not advice.retry)


@given(st.integers(1, 10_000))
def test_no_wait_is_shorter_than_the_one_before(attempts: int):
    schedule = Schedule()
    assert 30 * MINUTE <= schedule.wait(attempts) <= schedule.wait(attempts + 1) <= 3 * HOUR


def test_no_attempt_no_advice():
    with pytest.raises(ValueError, match="no attempt"):
        advise([], age=0)


def test_check_tells_a_refusal_before_a_missing_reply():
    with pytest.raises(CommandFailed, match="busy@"):
        result("lost", "busy").check()
    with pytest.raises(DeliveryUnknown):
        result("taken", "lost").check()
    result("taken").check()
