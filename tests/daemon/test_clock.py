"""The wall clock: when it is known to be right, and that nobody but conditions on the time notices when it is set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from reflexd.clock import STEP_NS, Seen, WallClock, seen
from reflexd.config.conditions import TimeCondition
from reflexd.kernel_clock import kernel_says
from reflexd.parts import what_stays
from reflexd.report import lines
from reflexd.rules.items import NS, Clock, Command, Item
from reflexd.rules.packing import ordered
from reflexd.rules.stage import Stage
from tests.daemon.conftest import Running
from tests.daemon.rules.random_runs import WALL_S, Day, busy
from tests.daemon.rules.story import FOLLOW, START, settings
from tests.stopwatch import within

TEN_YEARS_S = 315_576_000
UTC_S = 1_800_000_000


class Kernel:
    """A computer whose clock can be set; each look is a second after the last one."""

    def __init__(self) -> None:
        self.at = 5 * NS
        self.utc_ns = UTC_S * NS
        self.says: bool | None = False
        self.touched_ns: int | None = None

    def __call__(self) -> Seen:
        self.at += NS
        self.utc_ns += NS
        return Seen(self.utc_ns, 7200, self.at, self.says, self.touched_ns)

    def set(self, by_s: float) -> None:
        self.utc_ns += round(by_s * NS)


def test_it_is_known_once_the_kernel_says_so_and_stays_so() -> None:
    kernel = Kernel()
    clock = WallClock(look=kernel)
    assert clock.tell().utc_ns is None
    assert clock.why == "nobody has said since the start that it is right"
    kernel.says = True
    assert clock.tell() == Clock((UTC_S + 2) * NS, 7200, 7 * NS)
    kernel.says = False
    assert clock.tell().utc_ns == (UTC_S + 3) * NS, "the network went, and the clock runs on"
    assert (clock.known, clock.why) == (True, "")


@pytest.mark.parametrize("by_s", [-TEN_YEARS_S, -3, 3, TEN_YEARS_S])
def test_a_clock_that_was_set_is_unknown_until_somebody_says_that_it_is_right(by_s: float) -> None:
    kernel = Kernel()
    clock = WallClock(look=kernel)
    kernel.says = True
    clock.tell()
    kernel.says = False
    kernel.set(by_s)
    assert [clock.tell().utc_ns for _ in range(3)] == [None] * 3
    assert clock.why == f"it was set by {by_s:+.0f} s, and nobody has said since that it is right"
    kernel.says = True
    assert clock.tell().utc_ns == kernel.utc_ns


def test_small_corrections_are_no_step() -> None:
    kernel = Kernel()
    clock = WallClock(look=kernel)
    kernel.says = True
    clock.tell()
    kernel.says = False
    for _ in range(10):
        kernel.set(STEP_NS / NS - 0.5)
        assert clock.tell().utc_ns is not None


def test_where_the_kernel_may_not_be_asked_timesyncd_tells() -> None:
    kernel = Kernel()
    clock = WallClock(look=kernel)
    kernel.says = None
    assert clock.tell().utc_ns is None
    kernel.set(TEN_YEARS_S)
    kernel.touched_ns = kernel.utc_ns      # it sets the clock and says so, within one look of ours
    assert clock.tell().utc_ns == kernel.utc_ns
    kernel.set(-TEN_YEARS_S)
    assert [clock.tell().utc_ns for _ in range(3)] == [None] * 3, "it said so before somebody else set the clock"
    kernel.touched_ns = kernel.utc_ns
    assert clock.tell().utc_ns is not None


def test_what_timesyncd_said_in_the_future_was_before_a_step() -> None:
    kernel = Kernel()
    kernel.says, kernel.touched_ns = None, (UTC_S + TEN_YEARS_S) * NS
    assert WallClock(look=kernel).tell().utc_ns is None


def test_a_trusted_clock_is_right_whatever_happens() -> None:
    kernel = Kernel()
    clock = WallClock(trusted=True, look=kernel)
    for by_s in (0, TEN_YEARS_S, -TEN_YEARS_S):
        kernel.set(by_s)
        assert clock.tell().utc_ns == kernel.utc_ns


def test_this_computer_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel_says() in (True, False, None)
    for zone, offset_s in (("<+0530>-5:30", 19_800), ("UTC0", 0)):
        monkeypatch.setenv("TZ", zone)
        before, found, after = time.time_ns(), seen(), time.time_ns()
        assert found.offset_s == offset_s, "the zone may change while reflexd runs"
        assert before <= found.utc_ns <= after
    monkeypatch.delenv("TZ")
    time.tzset()


def decided(items: Iterator[tuple[Item, int]]) -> tuple[list[list[Any]], list[dict[str, bool | None]]]:
    """Give the commands on each item, and what each rule says after it."""
    stage = Stage(busy())
    commands: list[list[Any]] = []
    truths: list[dict[str, bool | None]] = []
    for item, now in items:
        commands.append([ordered(one) for one in stage.consume(item, now) if _names(one) not in WITH_TIME])
        truths.append({rule.name: rule.truth for rule in stage.rules})
    return commands, truths


WITH_TIME = {rule.name for rule in busy().rule if any(isinstance(one, TimeCondition) for one in rule.when)}
NIGHT, = (rule.name for rule in busy().rule if any(isinstance(one, TimeCondition) and one.days for one in rule.when))


def _names(command: Command) -> str:
    return getattr(command, "rule", "")


def stepped(seed: int, steps: bool, count: int = 4000) -> Iterator[tuple[Item, int]]:
    """Run a day through a real WallClock, on a clock that is set ten years on and back, and known again after half a minute."""
    kernel, looks = Kernel(), 0
    clock = WallClock(look=kernel)
    kernel.says = True
    for item, now in Day(seed).items(count):
        if not isinstance(item, Clock):
            yield item, now
            continue
        looks += 1
        kernel.at = item.taken_at - NS
        kernel.utc_ns = (WALL_S + looks - 1) * NS + (TEN_YEARS_S * NS if steps and 40 <= looks < 80 else 0)
        kernel.says = not (steps and looks % 40 < 30 and looks >= 40)
        yield clock.tell()._replace(offset_s=3600), now


@pytest.mark.fault("F64", bound="2 s", outcome="rules without the time of day decide the same; those with it are unknown until "
                                               "the clock is synchronised again")
@pytest.mark.parametrize("seed", [1, 2])
def test_steps_of_ten_years_change_nothing_but_what_asks_for_the_time(seed: int) -> None:
    assert 2 <= len(WITH_TIME) < len(busy().rule) / 2
    plain, before = decided(stepped(seed, steps=False))
    same, after = decided(stepped(seed, steps=True))
    assert plain == same
    assert sum(map(len, plain)) > 100
    looks = [index for index, (item, _) in enumerate(stepped(seed, steps=True)) if isinstance(item, Clock)]
    told = [(before[index][NIGHT], after[index][NIGHT]) for index in looks]
    assert all(one == other for one, other in told[:39])
    assert {other for _, other in told[39:69]} == {None}, "set ten years on"
    assert {other for _, other in told[69:79]} == {False}, "ten years on that is right: not a Saturday night"
    assert {other for _, other in told[79:109]} == {None}, "set back"
    assert all(one == other for one, other in told[109:])
    assert True in {other for _, other in told[109:]}


CONFIG: dict[str, Any] = {
    "sensor": {"meter": {"driver": "bad-sensor", "key": "sensor", "max_age_ms": 1000}},
    "actuator": {"bell": {"driver": "bad-actuator", "key": "lamp", "safe": "off", "max_on_s": 60},
                 "sign": {"driver": "bad-actuator", "key": "fan", "safe": "off", "max_on_s": 60}},
    "rule": [
        {"name": "gone", "when": [{"sensor": "meter", "silent_for_s": 1.5}],
         "then": [{"actuator": "bell", "set": "on", "follow": True}]},
        {"name": "evening", "when": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "otherwise": True}],
         "then": [{"actuator": "sign", "set": "on", "follow": True}]}]}


def test_a_daemon_hears_the_clock_and_acts_on_silence(start, devices) -> None:
    running: Running = start(CONFIG)
    bell, sign, meter = devices["lamp"], devices["fan"], devices["sensor"]
    within(10, lambda: sign.level == 1.0)      # whether this computer's clock is right or not
    told = running.status()["clock"]
    assert told["synchronised"] is not bool(told["why"])
    assert any(line.startswith("clock: ") for line in lines(running.status()))
    meter.broken = True
    within(10, lambda: bell.level == 1.0)
    meter.broken = False
    within(10, lambda: bell.level == 0.0)
    again = {**CONFIG, "sensor": {"meter": {**CONFIG["sensor"]["meter"], "max_age_ms": 900}}}
    running.reload(again)
    within(10, lambda: bell.level == 0.0 and running.status()["rules"]["gone"]["truth"] is False)
    meter.silent = True
    within(10, lambda: bell.level == 1.0)      # the rule is the same, and what it listens to is another one
    meter.silent = False
    running.reload({**again, "rule": again["rule"][:1]})
    assert running.status()["clock"] is None, "no rule asks for the time of day any more"
    assert running.stop() == 0
    log = running.log()
    assert log.count("the clock is right") + log.count("the clock is not known") == 1, "told once"


def test_a_reload_to_another_place_begins_rules_anew_that_ask_for_the_sun() -> None:
    berlin, sydney = (settings({"when": [{"between": ["sunset", "sunrise"]}], "then": FOLLOW},
                               {"when": [{"between": ["22:00", "06:00"]}], "then": FOLLOW},
                               model={}, place={"latitude": latitude, "longitude": longitude})
                      for latitude, longitude in ((52.5, 13.4), (-33.9, 151.2)))
    before = Stage(berlin)
    stays = what_stays(berlin, sydney, {})
    assert stays.rule == {"rule 1"}
    assert what_stays(berlin, berlin, {}).rule == {"rule 0", "rule 1"}
    before.let_go(stays.rule, (), START)
    after = Stage(sydney, before)
    noon_s = 1_767_268_800       # in Berlin, on the first of January: night in Sydney
    after.consume(Clock(noon_s * NS, 0, START), START)
    assert [rule.truth for rule in after.rules] == [True, False]
