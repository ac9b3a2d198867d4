"""The write budget: in no 24 hours is more written than it says, over restarts as well."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

import pytest

from reflexd.history.budget import BURST, DAY_S, MB, UNSAVED_MOST, Budget, card_years, thread_wrote

DAILY = 20 * MB


def test_a_quarter_may_be_written_at_once_and_the_rest_comes_in_over_the_day() -> None:
    budget = Budget(20, 0.0)
    assert budget.wait_s(0) == 0
    budget.spend(DAILY * BURST, 0)
    assert budget.wait_s(0) == 0
    budget.spend(DAILY * (1 - BURST) / 24, 0)
    assert budget.wait_s(0) == pytest.approx(3600)
    assert budget.wait_s(1800) == pytest.approx(1800)
    assert budget.wait_s(3600) == 0


def test_what_is_left_of_a_quiet_week_is_not_saved_up() -> None:
    budget = Budget(20, 0.0)
    budget.wait_s(7 * DAY_S)
    assert budget.tokens == DAILY * BURST


@pytest.mark.parametrize("seed", range(20))
def test_no_24_hours_see_more_than_the_budget_however_often_it_is_restarted(seed: int) -> None:
    chance = random.Random(seed)
    now, boot, kept = 0.0, 0.0, None
    budget = Budget(20, 0.0)
    spent: list[tuple[float, float]] = []
    largest = 0.0
    while now < 6 * DAY_S:
        wait = budget.wait_s(now - boot)
        if wait <= 0:
            count = chance.choice((8192.0, 40_000.0, 400_000.0))
            largest = max(largest, count)
            budget.spend(count, now - boot)
            spent.append((now, count))
        now += max(wait, chance.choice((1.0, 20.0, 3600.0)))
        if budget.to_be_saved:
            kept = budget.saved(utc_s=now)
        if chance.random() < 0.02:          # killed, and begun anew with another monotonic clock
            boot = now - chance.uniform(0, 100)
            budget = Budget(20, now - boot)
            budget.restore(kept, utc_s=now, now_s=now - boot)
    for at, _ in spent:
        day = sum(count for when, count in spent if at <= when < at + DAY_S)
        assert day <= DAILY + largest
    assert sum(count for _, count in spent) > 2 * DAILY, "it is used as well"


def test_a_clock_that_steps_forward_by_ten_years_is_worth_one_full_bucket() -> None:
    budget = Budget(20, 0.0)
    budget.spend(DAILY, 0)
    kept = budget.saved(utc_s=0)
    after = Budget(20, 5.0)
    after.restore(kept, utc_s=3650 * DAY_S, now_s=5.0)
    assert after.tokens <= DAILY * BURST
    back = Budget(20, 5.0)
    back.restore(kept, utc_s=-3650 * DAY_S, now_s=5.0)
    assert back.wait_s(5.0) > 0, "stepped back, nothing is forgiven"


def test_the_last_24_hours_are_counted_over_a_restart() -> None:
    budget = Budget(20, 100.0)
    budget.spend(1e6, 100.0)
    budget.spend(2e6, 100.0 + 3 * 3600)
    after = Budget(20, 7.0)
    after.restore(budget.saved(utc_s=1000.0), utc_s=1000.0 + 3600, now_s=7.0)
    assert after.day(7.0) == 3e6
    assert after.day(7.0 + 22 * 3600) == 2e6
    assert after.day(7.0 + 48 * 3600) == 0
    assert after.total == 3e6


def test_a_budget_that_is_raised_gives_what_it_is_larger_by_and_a_smaller_one_alone_makes_nobody_wait() -> None:
    budget = Budget(2, 0.0)
    budget.spend(0.6 * MB, 0.0)
    assert budget.wait_s(0.0) > 0
    budget.change(20)
    assert budget.tokens == pytest.approx(20 * MB * BURST - 0.6 * MB), "what was spent stays spent"
    budget.change(0.1)
    assert budget.tokens == 0
    budget.change(0.1)
    assert budget.tokens == 0


def test_a_budget_that_is_raised_for_the_next_run_counts_at_once() -> None:
    budget = Budget(2, 0.0)
    budget.spend(0.6 * MB, 0.0)
    after = Budget(20, 0.0)
    after.restore(budget.saved(0.0), 0.0, 0.0)
    assert after.wait_s(0.0) == 0


def test_a_hundred_restarts_of_a_day_that_write_little_use_up_no_budget() -> None:
    kept: object = None
    for restart in range(100):
        budget = Budget(20, 0.0)
        budget.restore(kept, utc_s=600.0 * restart, now_s=0.0)
        assert budget.wait_s(0.0) == 0, f"at restart {restart}"
        budget.spend(30_000, 1.0)
        kept = budget.saved(utc_s=600.0 * restart + 1, ended=True)


def test_of_a_run_that_died_what_it_did_not_tell_counts_as_spent() -> None:
    first = Budget(20, 0.0)
    second = Budget(20, 0.0)
    second.restore(first.saved(0.0, ended=True), 0.0, 0.0)
    assert second.to_be_saved, "the store has to know that this run began"
    kept = second.saved(0.0)
    assert not second.to_be_saved
    third = Budget(20, 0.0)
    third.restore(kept, 0.0, 0.0)
    assert third.tokens <= DAILY * BURST - UNSAVED_MOST


@pytest.mark.parametrize(("each", "waits"), [(20_000.0, False), (120_000.0, True)])
def test_a_run_that_dies_again_and_again_keeps_to_the_budget_and_is_not_charged_for_much_more(each: float, waits: bool) -> None:
    kept: object = None
    spent = 0.0
    for at in range(0, 86_400, 300 if waits else 1440):
        budget = Budget(20, 0.0)
        budget.restore(kept, utc_s=at, now_s=0.0)
        if budget.wait_s(0.0) > 0:
            continue
        budget.spend(each, 0.0)
        spent += each
        if budget.to_be_saved:
            kept = budget.saved(utc_s=at)
    assert spent <= DAILY + each
    assert (spent < each * 288) if waits else (spent == each * 60)


def test_the_hours_are_those_of_the_last_day_however_often_it_was_restarted() -> None:
    budget = Budget(20, 0.0)
    budget.spend(1e6, 0.0)
    for _ in range(60):
        after = Budget(20, 0.0)
        after.spend(1.0, 0.0)
        after.restore(budget.saved(7300.0), 7300.0, 0.0)
        budget = after
    assert budget.day(0.0) == 1e6 + 60


def test_it_may_be_asked_from_another_thread_while_it_counts() -> None:
    budget = Budget(20, 0.0)
    done = threading.Event()
    wrong: list[Exception] = []

    def look() -> None:
        while not done.is_set():
            try:
                budget.day(0.0)
            except RuntimeError as error:        # deque mutated during iteration, which would end the daemon
                wrong.append(error)
                return

    looking = threading.Thread(target=look)
    looking.start()
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for hour in range(20_000):
        budget.spend(1.0, hour * 3600.0)
    sys.setswitchinterval(switching)
    done.set()
    looking.join()
    assert wrong == []


@pytest.mark.parametrize("told", [None, 3, {}, {"utc_s": "soon"}, {"utc_s": 1, "at_s": 1, "tokens": 1, "total": 1, "hours": [1]},
                                  {"utc_s": 1, "at_s": 1, "tokens": float("nan"), "total": 1, "hours": []},
                                  {"utc_s": 1, "at_s": 1, "tokens": 1, "total": float("inf"), "hours": []}])
def test_notes_that_make_no_sense_are_no_notes(told: object) -> None:
    budget = Budget(20, 0.0)
    budget.restore(told, 0.0, 0.0)
    assert budget.tokens == DAILY * BURST


def test_the_kernel_counts_what_this_thread_writes_and_not_what_others_do(tmp_path: Path) -> None:
    before = thread_wrote()
    if before is None:
        pytest.skip("this kernel does not count what a thread writes")
    other = threading.Thread(target=lambda: (tmp_path / "other").write_bytes(bytes(1 << 20)))
    other.start()
    other.join()
    assert thread_wrote() == before
    (tmp_path / "ours").write_bytes(bytes(1 << 20))
    after = thread_wrote()
    assert after is not None
    assert after == before or 1 << 20 <= after - before <= (1 << 20) + (64 << 10), "and the folder; in memory, nothing is worn"


def test_the_life_of_a_card_is_told_for_the_budget() -> None:
    assert card_years(20 * MB) == pytest.approx(25.7, abs=0.1)
    assert card_years(0) > 1000
