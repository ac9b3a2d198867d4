"""The gate, in detail: what it writes and how often, when it has to look again, and what it tells of each change."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from reflexd.events import ALL_SAFE, NOT_SAFE, OUTPUT, PERMITTED, TRIGGERED, Event
from reflexd.output import NEVER, Change, described, level_text
from reflexd.outputs import Outputs
from reflexd.patterns import OVER, Phase, phase
from reflexd.rules.items import TEST, TEST_PRIORITY, Claim, Fired, Inhibit, Lift, Pattern, Permit, Release, Triggered, Verdict
from tests.daemon.relays import Relay, settings
from tests.daemon.test_outputs import PAIR, START, Bench, S

OTHERS = {"left": {"interlock": "wing"}, "lamp": {}}
WHY = (Verdict(True, "sensor.button is true", True), Verdict(True, "model.gate above 5", 7.5))
REASONS = "sensor.button is true: true; model.gate above 5: 7.5"
BLINK = Pattern((S // 10, S // 10), 2)


def claim(bench: Bench, actuator: str = "lamp", level: float = 1.0, for_s: float = 1, rule: str = "r", **more: Any) -> None:
    given = {"priority": 0, "reasons": WHY, **more}
    bench.gate.apply([Claim(rule, actuator, level, until=bench.now + round(for_s * S), **given)], bench.now)


def told(bench: Bench) -> list[tuple[Event, str]]:
    """Give what was told since the last look."""
    lines = [(one.event, str(one)) for one in bench.gate.changes]
    bench.gate.changes.clear()
    return lines


def numbered(bench: Bench) -> Bench:
    """Name what happens 1, 2, 3."""
    count = itertools.count(1)
    bench.gate.new_id = lambda: str(next(count))
    return bench


def test_of_an_interlocked_pair_the_one_that_is_active_is_not_touched() -> None:
    bench = Bench(**PAIR).claim("up", rule="a").claim("down", rule="b")
    assert [relay.written for relay in bench.relays.values()] == [[1.0], []]
    bench = Bench(**PAIR).claim("down", rule="a").claim("up", rule="b")
    assert [relay.written for relay in bench.relays.values()] == [[], [1.0]], "whichever comes first in the files"


def test_outputs_of_another_group_or_of_none_wait_for_nobody() -> None:
    bench = Bench(**PAIR, **OTHERS).claim("up").claim("left").claim("lamp")
    assert bench.levels() == [1.0, 0.0, 1.0, 1.0]


def test_who_is_let_go_makes_its_own_group_wait_and_no_other() -> None:
    bench = Bench(**PAIR, **OTHERS)
    bench.relays["up"].settled = False
    bench.gate.let_go(["up"], "a reload closes it", bench.now)
    assert bench.claim("down").claim("left").claim("lamp").levels() == [0.0, 0.0, 1.0, 1.0]
    assert bench.gate.unsettled() == ["up"]
    bench.relays["up"].settled = True
    bench.gate.settle(bench.now)
    assert bench.levels() == [0.0, 1.0, 1.0, 1.0]
    assert bench.gate.unsettled() == []


def test_what_is_let_go_is_set_safe_says_why_and_is_driven_no_more() -> None:
    bench = Bench(lamp={}, fan={}).claim("lamp", for_s=60).claim("fan", for_s=60)
    told(bench)
    bench.gate.let_go(["lamp"], "a reload closes it", bench.now)
    assert told(bench) == [(OUTPUT, "lamp off, safe: a reload closes it")]
    bench.gate.apply([Release("r", "lamp")], bench.now)       # its rule goes after it
    assert bench.levels() == [0.0, 1.0]
    assert list(bench.gate.outputs) == ["fan"]


def test_what_comes_back_rests_on_for_its_min_off() -> None:
    given = {"min_off_s": 3}
    bench = Bench(lamp=given).claim(for_s=1)
    bench.at(2).gate.let_go(["lamp"], "a reload closes it", bench.now)
    bench.gate.take_over({"lamp": (settings(**given), bench.relays["lamp"])})
    bench.claim(for_s=60)
    assert bench.at(3.9).levels() == [0.0]
    assert bench.at(4).levels() == [1.0]


def test_an_actuator_that_is_let_go_while_it_is_absent_inhibits_no_more() -> None:
    bench = Bench(lamp={}, fan={})
    bench.relays["lamp"].trouble, bench.relays["lamp"].failures = "unplugged", 1
    bench.gate.settle(bench.now)
    assert bench.claim("fan").levels() == [0.0, 0.0]
    bench.gate.let_go(["lamp"], "a reload closes it", bench.now)
    assert bench.claim("fan").levels() == [0.0, 1.0]


def test_disarming_sets_everything_safe_and_arming_drives_nothing_that_was_decided_before() -> None:
    bench = Bench().claim(for_s=60)
    told(bench)
    bench.gate.drive("disarmed", "somebody disarmed", bench.now)
    assert told(bench) == [(OUTPUT, "lamp off, safe: somebody disarmed")]
    assert (bench.levels(), bench.gate.dry_run, bench.gate.outputs["lamp"].leaving) == ([0.0], "disarmed", "")
    bench.claim(for_s=60)
    assert bench.gate.outputs["lamp"].active
    bench.gate.drive("dry run", "another reason", bench.now)
    assert bench.gate.outputs["lamp"].active, "not driven as before, and not decided anew"
    bench.gate.drive("", "somebody armed", bench.now)
    assert (bench.levels(), bench.gate.dry_run) == ([0.0], "")
    assert bench.claim().levels() == [1.0]


def test_what_stands_above_says_once_that_it_keeps_outputs_safe_and_once_that_it_permits() -> None:
    bench = numbered(Bench())
    for _ in range(2):
        bench.gate.apply([Inhibit("stop", "stop: says true")], bench.now)
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    twice = [Change(ALL_SAFE, "", 0.0, "every output safe: stop: says true", event_id="1"),
             Change(PERMITTED, "", 0.0, "stop permits outputs", event_id="2")]
    assert list(bench.gate.changes) == twice
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    assert list(bench.gate.changes) == twice


def test_what_forbids_after_it_permitted_lapses_no_more() -> None:
    bench = Bench()
    bench.gate.apply([Permit("stop", bench.now + S), Inhibit("stop", "stop: says true")], bench.now)
    assert due(bench) is None
    assert bench.at(2).gate.inhibited == {"stop": "stop: says true"}


def test_what_is_lifted_neither_permits_nor_inhibits() -> None:
    bench = Bench()
    bench.gate.apply([Inhibit("stop", "stop: says true"), Permit("arm", bench.now + S)], bench.now)
    bench.gate.apply([Lift("stop"), Lift("arm"), Lift("nobody")], bench.now)
    assert bench.gate.inhibited == {}
    assert bench.claim(for_s=5).at(3).levels() == [1.0], "no permission lapses"


def test_a_trigger_is_told_with_what_is_left() -> None:
    bench = Bench()
    bench.gate.apply([Triggered("entry", bench.now + 30 * S, WHY)], bench.now)
    assert told(bench) == [(TRIGGERED, f'rule "entry" acts in 30 s, unless something ends that: {REASONS}')]


def test_a_change_is_told_with_rule_reasons_and_the_event_it_belongs_to() -> None:
    bench = numbered(Bench())
    now = bench.now
    one = Claim("r", "lamp", 0.4, 0, now + S, WHY)
    bench.gate.apply([one, Fired("r", WHY)], now)
    bench.at(1)
    on, off = bench.gate.changes
    assert on == Change(OUTPUT, "lamp", 0.4, one, False, "1")
    assert on.fields() == {"output": "lamp", "rule": "r", "event_id": "1"}
    assert str(on) == f'lamp 0.4: rule "r": {REASONS}'
    assert off == Change(OUTPUT, "lamp", 0.0, "no rule claims it", False, "1")
    assert off.fields() == {"output": "lamp", "event_id": "1"}
    assert bench.gate.outputs["lamp"].changes == 2


def test_an_output_that_max_on_ended_names_the_rule_whose_claim_that_was() -> None:
    bench = numbered(Bench(lamp={"max_on_s": 1}))
    bench.gate.apply([Claim("r", "lamp", 1.0, 0, bench.now + 5 * S, WHY), Fired("r", WHY)], bench.now)
    bench.at(2)
    assert bench.gate.changes[-1] == Change(OUTPUT, "lamp", 0.0, "it was active for max_on_s = 1", False, "2", "r")
    assert bench.gate.changes[-1].fields() == {"output": "lamp", "rule": "r", "event_id": "2"}


@pytest.mark.parametrize(("ends", "why"), [
    (lambda bench: bench.gate.apply([Inhibit("stop", "stop: says true")], bench.now), "stop: says true"),
    (lambda bench: claim(bench, level=0.0, rule="hush", priority=1), 'rule "hush" wants it so'),
    (lambda bench: bench.at(5), "no rule claims it"),
])
def test_an_output_says_why_it_is_safe(ends: Any, why: str) -> None:
    bench = Bench()
    claim(bench)
    ends(bench)
    assert bench.gate.outputs["lamp"].why == f"off, safe: {why}"
    assert str(bench.gate.changes[-1]) == f"lamp off, safe: {why}"


def test_an_output_whose_pattern_is_through_or_that_gives_way_says_so() -> None:
    bench = Bench(**PAIR)
    claim(bench, "up", for_s=9, pattern=BLINK)
    assert bench.gate.outputs["up"].why == f'on in a pattern: rule "r": {REASONS}'
    bench.at(1)
    assert bench.gate.outputs["up"].why == 'off, safe: the pattern of rule "r" is through'
    bench = Bench(**PAIR)
    claim(bench, "up", for_s=9)
    claim(bench, "down", for_s=9, rule="d", priority=1)
    assert bench.gate.outputs["up"].why == "off, safe: it has to wait for min_off_s or an interlock"


@pytest.mark.parametrize(("level", "text"), [(0.0, "off"), (1.0, "on"), (0.25, "0.25")])
def test_a_level_in_words(level: float, text: str) -> None:
    assert level_text(level) == text
    assert described(level, "because") == f"{text}, safe: because"


def test_a_rule_takes_over_from_a_test_for_good() -> None:
    bench = numbered(Bench())
    bench.gate.apply([Claim(TEST, "lamp", 1.0, TEST_PRIORITY, bench.now + 5 * S, ())], bench.now)
    assert bench.gate.changes.pop().event_id == "", "a test is no event"
    taking = Claim("r", "lamp", 1.0, 0, bench.now + S, WHY)
    bench.gate.apply([taking, Fired("r", WHY)], bench.now)
    assert list(bench.gate.changes) == [Change(OUTPUT, "lamp", 1.0, taking, False, "1")]
    assert bench.gate.outputs["lamp"].why == f'on: rule "r": {REASONS}'
    assert bench.relays["lamp"].written == [1.0]
    assert bench.at(1).levels() == [0.0], "the test does not come back"


def test_a_rule_takes_over_from_a_test_in_a_dry_run_too() -> None:
    bench = Bench(dry_run="dry run")
    bench.gate.apply([Claim(TEST, "lamp", 1.0, TEST_PRIORITY, bench.now + 5 * S, ())], bench.now)
    told(bench)
    claim(bench)
    assert told(bench) == [(OUTPUT, f'lamp on: rule "r": {REASONS} (dry run: not driven)')]


def test_another_level_of_an_active_output_is_no_new_activation() -> None:
    bench = Bench(lamp={"max_on_s": 2}).claim(level=0.5, for_s=9)
    assert bench.at(1).claim(level=0.8, for_s=9).levels() == [0.8]
    assert bench.at(2).levels() == [0.0]


def test_a_partner_that_takes_a_while_to_let_go_is_waited_for() -> None:
    class Takes(Relay):
        """Its worker has not carried a command out when it is given."""

        def set(self, level: float) -> None:
            super().set(level)
            self.settled = False

    bench = Bench(**PAIR).claim("up", rule="a", for_s=60)
    up = bench.gate.outputs["up"].channel = Takes()
    bench.claim("down", rule="b", priority=1, for_s=60)
    assert (up.written, bench.relays["down"].written) == ([0.0], []), "told to let go, and not known to have done so"
    up.settled = True
    bench.gate.settle(bench.now)
    assert bench.levels()[1] == 1.0


def test_each_output_is_asked_at_this_moment_whether_it_was_followed() -> None:
    asked: list[int] = []

    class Asked(Relay):
        def check(self, now: int) -> None:
            asked.append(now)

    bench = Bench()
    bench.gate.outputs["lamp"].channel = Asked()
    bench.gate.look(bench.now)
    assert asked == [bench.now]


def test_a_rule_that_takes_over_from_a_test_with_another_level_is_told_once() -> None:
    bench = Bench()
    bench.gate.apply([Claim(TEST, "lamp", 1.0, TEST_PRIORITY, bench.now + 5 * S, ())], bench.now)
    told(bench)
    claim(bench, level=0.5)
    assert told(bench) == [(OUTPUT, f'lamp 0.5: rule "r": {REASONS}')]


def test_a_test_that_was_cut_short_is_over() -> None:
    bench = Bench(lamp={"max_on_s": 1, "min_off_s": 1})
    bench.gate.apply([Claim(TEST, "lamp", 1.0, TEST_PRIORITY, bench.now + 60 * S, ())], bench.now)
    bench.at(5)
    assert bench.relays["lamp"].written == [1.0, 0.0]
    assert not bench.gate.outputs["lamp"].claims


def test_a_level_that_goes_on_following_is_no_news() -> None:
    bench = Bench()
    claim(bench, level=0.5, follows=True)
    claim(bench, level=0.6, follows=True)
    claim(bench, level=0.7, follows=True, rule="other", priority=1)
    assert bench.relays["lamp"].written == [0.5, 0.6, 0.7]
    assert [str(one.cause.rule) for one in bench.gate.changes if isinstance(one.cause, Claim)] == ["r", "other"]


def due(bench: Bench) -> float | None:
    return None if bench.gate.due is None else (bench.gate.due - START) / S


def test_the_gate_has_to_look_again_when_something_lapses_by_itself() -> None:
    bench = Bench(lamp={"max_on_s": 2, "min_off_s": 1})
    bench.gate.settle(bench.now)
    assert due(bench) is None
    bench.gate.apply([Permit("stop", bench.now + 9 * S)], bench.now)
    assert due(bench) == 9
    bench.claim(for_s=7)
    assert due(bench) == 2, "max_on_s"
    assert due(bench.at(2)) == 3, "then min_off_s"
    assert due(bench.at(3)) == 7, "then the claim, though it does not count any more"
    assert due(bench.at(7)) == 9


def test_the_gate_need_not_look_at_what_rests_and_is_not_claimed() -> None:
    bench = Bench(lamp={"min_off_s": 5}).claim(for_s=1)
    assert due(bench.at(1)) is None
    assert due(bench.claim(for_s=2)) == 3
    assert due(bench.claim(for_s=20)) == 6


def test_the_gate_has_to_look_again_at_each_edge_of_a_pattern() -> None:
    bench = Bench()
    claim(bench, for_s=9, pattern=BLINK)
    assert [due(bench.at(tenth / 10)) for tenth in range(4)] == [0.1, 0.2, 0.3, 9]


def test_the_gate_has_to_look_again_after_a_write_that_failed() -> None:
    bench = Bench().claim(for_s=60)
    bench.relays["lamp"].broken = True
    bench.at(1).release()
    assert due(bench) == 1.5
    assert bench.gate.unsettled() == ["lamp"]
    assert bench.gate.inhibited["latched"].startswith("actuator lamp did not take its level: the relay does not answer")
    bench.relays["lamp"].broken = False
    assert bench.at(1.4).levels() == [1.0], "not before its time"
    assert bench.at(1.5).levels() == [0.0]
    assert (due(bench), bench.gate.unsettled(), bench.gate.outputs["lamp"].failed) == (None, [], False)


def test_the_gate_has_to_look_again_while_an_actuator_is_absent() -> None:
    bench = Bench(lamp={}, fan={}).claim("fan", for_s=60)
    told(bench)
    lamp = bench.relays["lamp"]
    lamp.trouble, lamp.failures = "unplugged", 1
    assert bench.at(1).levels() == [0.0, 0.0]
    assert due(bench) == 1.5
    lamp.trouble = "still unplugged"
    bench.at(1.5)
    assert bench.gate.inhibited == {"actuator.lamp": "actuator lamp: still unplugged"}
    lamp.trouble = ""
    bench.at(2)
    assert (bench.gate.inhibited, due(bench)) == ({}, None)
    assert told(bench) == [
        (ALL_SAFE, "every output safe: actuator lamp failed: unplugged"),
        (OUTPUT, "fan off, safe: actuator lamp failed: unplugged"),
        (PERMITTED, "actuator lamp works again and permits outputs"),
    ]


def test_an_actuator_that_was_absent_for_a_moment_made_everything_safe_for_that_moment() -> None:
    bench = Bench(lamp={}, fan={}).claim("fan", for_s=60)
    told(bench)
    bench.relays["lamp"].failures = 1
    assert bench.at(1).levels() == [0.0, 0.0]
    assert told(bench)[0] == (ALL_SAFE, "every output safe: actuator lamp failed: for a moment")
    bench.at(1.5)
    assert bench.gate.inhibited == {}
    told(bench)
    assert bench.claim("fan").levels() == [0.0, 1.0]
    assert [event for event, _ in told(bench)] == [OUTPUT], "that it works again is told once"


@pytest.mark.fault("F26", bound="0.5 s between two tries", outcome="every output safe until somebody looks: latched")
def test_a_blocking_actuator_that_failed_later_makes_every_output_safe_for_good() -> None:
    bench = Bench(lamp={}, fan={}).claim("lamp", for_s=60).claim("fan", for_s=60)
    bench.gate.failed_later("lamp", "the port is gone", bench.now)
    assert bench.levels() == [1.0, 0.0]
    assert (due(bench), bench.gate.unsettled()) == (0.5, ["lamp"])
    assert bench.gate.inhibited == {"latched": "actuator lamp did not take its level: the port is gone"}
    assert bench.at(0.5).levels() == [0.0, 0.0]


def test_one_that_was_let_go_meanwhile_and_failed_later_does_so_too() -> None:
    bench = Bench(lamp={}, fan={}).claim("fan", for_s=60)
    bench.gate.let_go(["lamp"], "a reload closes it", bench.now)
    bench.gate.failed_later("lamp", "the port is gone", bench.now)
    assert bench.levels() == [0.0, 0.0]
    assert bench.gate.inhibited == {"latched": "actuator lamp did not take its level: the port is gone"}


def test_what_the_world_did_not_follow_is_told_once_for_each_level() -> None:
    bench = Bench().claim(for_s=1)
    told(bench)
    bench.gate.astray("nobody", "the contact does not move", bench.now)
    bench.gate.astray("lamp", "the contact does not move", bench.now)
    why = "actuator lamp was not followed: the contact does not move"
    assert told(bench) == [(ALL_SAFE, f"every output safe: {why}"), (OUTPUT, f"lamp off, safe: {why}")]
    for _ in range(2):       # of the safe level, once
        bench.gate.astray("lamp", "the contact stays shut", bench.now)
    assert [(one.event, one.output, str(one)) for one in bench.gate.changes] == [
        (NOT_SAFE, "lamp", "lamp may not be safe: the contact stays shut")]


def test_what_went_astray_and_is_followed_again_is_told_again_when_it_is_not() -> None:
    bench = Bench()
    relay = bench.relays["lamp"]
    for stuck in (1.0, None, 1.0):
        relay.stuck_at = stuck
        bench.gate.look(bench.now)
    assert [event for event, _ in told(bench)] == [ALL_SAFE, NOT_SAFE, NOT_SAFE]


def test_leaving_says_which_output_may_not_be_safe() -> None:
    bench = Bench(lamp={}, fan={})
    claim(bench, "lamp", for_s=9, pattern=Pattern((S, S)))
    claim(bench, "fan", for_s=9)
    bench.at(1.5).relays["fan"].broken = True
    bench.gate.changes.clear()
    bench.gate.make_safe("SIGTERM", bench.now)
    assert [(one.event, one.output, str(one)) for one in bench.gate.changes] == [
        (NOT_SAFE, "fan", "fan may not be safe: the relay does not answer; check its wiring")]
    lamp, fan = bench.gate.outputs.values()
    assert (lamp.level, lamp.paused, lamp.claims, lamp.active) == (0.0, False, {}, False)
    assert (fan.level, fan.claims) == (1.0, {})
    assert bench.gate.inhibited == {"leaving": "SIGTERM"}


def test_what_nobody_takes_down_is_bounded() -> None:
    bench = Bench()
    for _ in range(600):
        bench.claim().release()
    assert len(bench.gate.changes) == 1000


def test_a_gate_drives_unless_it_is_told_why_not() -> None:
    relay = Relay()
    gate = Outputs({"lamp": (settings(), relay)})
    assert gate.dry_run == ""
    gate.apply([Claim("r", "lamp", 1.0, 0, START + S, ())], START)
    assert relay.level == 1.0


def test_the_last_pause_of_the_last_repetition_is_rest_already() -> None:
    pattern = Pattern((1, 2, 3, 4), times=2)
    assert phase(pattern, 100, 115) == Phase(on=True, over=False, until=116)
    assert phase(pattern, 100, 116) == OVER


def hindrance(bench: Bench, name: str = "lamp") -> str:
    return bench.gate.hindrance(bench.gate.outputs[name], bench.now)


def test_what_hinders_a_test_is_said() -> None:
    assert hindrance(Bench()) == ""
    assert hindrance(Bench(dry_run="disarmed, until reflexctl arm")) == "no output is driven: disarmed, until reflexctl arm"
    bench = Bench(lamp={"min_off_s": 3})
    assert hindrance(bench) == "", "it was never on"
    bench.claim(for_s=1).at(2)
    assert hindrance(bench) == "it rests for 2.0 s more, as min_off_s = 3 says"
    assert hindrance(bench.at(4)) == ""
    bench.gate.apply([Inhibit("stop", "stop: says true")], bench.now)
    assert hindrance(bench) == "every output is kept safe: stop: says true"


def test_an_interlock_hinders_a_test() -> None:
    bench = Bench(**PAIR, **OTHERS).claim("up", for_s=1)
    assert hindrance(bench, "down") == "it is interlocked with up, which is claimed or not known to be safe"
    assert [hindrance(bench, name) for name in ("up", "left", "lamp")] == ["", "", ""]
    bench.at(1).relays["up"].settled = False
    assert hindrance(bench, "down") == "it is interlocked with up, which is claimed or not known to be safe"
    bench.gate.let_go(["up"], "a reload closes it", bench.now)
    assert hindrance(bench, "down") == "it is interlocked with up, which is claimed or not known to be safe"
    bench.relays["up"].settled = True
    assert hindrance(bench, "down") == ""


def test_an_output_that_was_never_active_need_not_rest() -> None:
    bench = Bench(lamp={"min_off_s": 60})
    assert bench.gate.outputs["lamp"].rested_since == NEVER
    bench.now = S              # the machine was started a second ago
    assert bench.claim().levels() == [1.0]


def test_safe_is_written_before_anything_is_activated() -> None:
    order: list[str] = []

    class Noting(Relay):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def set(self, level: float) -> None:
            order.append(f"{self.name} {level:g}")
            super().set(level)

    bench = Bench(first={}, second={})
    for name, output in bench.gate.outputs.items():
        output.channel = Noting(name)
    bench.claim("second")
    bench.gate.apply([Claim("a", "first", 1.0, 0, bench.now + S, ()), Release("r", "second")], bench.now)
    assert order == ["second 1", "second 0", "first 1"]


def test_a_claim_that_is_not_released_by_its_own_rule_lives_on() -> None:
    bench = Bench().claim(rule="a")
    bench.gate.apply([Release("b", "lamp")], bench.now)
    assert bench.levels() == [1.0]


def test_a_pattern_that_is_claimed_again_does_not_begin_anew_and_one_that_ended_does() -> None:
    bench = Bench()
    claim(bench, for_s=9, pattern=Pattern((S, S)))
    bench.at(0.5)
    claim(bench, for_s=9, pattern=Pattern((S, S)))
    assert bench.at(1.1).levels() == [0.0]
    bench.release()
    claim(bench, for_s=9, pattern=Pattern((S, S)))
    assert bench.levels() == [1.0]
    assert bench.gate.outputs["lamp"].driven == 1.0
    assert bench.at(2.2).gate.outputs["lamp"].driven == 0.0, "in a pause it stands at its safe level"
    assert bench.gate.outputs["lamp"].active


def test_a_permission_that_lapses_at_the_moment_of_its_renewal_has_ended_every_claim() -> None:
    bench = Bench()
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    bench.claim(for_s=60)
    bench.now += S
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    assert bench.levels() == [0.0]


def test_a_claim_that_lapses_at_the_moment_of_its_renewal_begins_its_pattern_anew() -> None:
    bench = Bench()
    pattern = Pattern((3 * S // 10, 4 * S // 10))
    claim(bench, for_s=1, pattern=pattern)
    bench.now += S          # where the first one would be in a pause
    claim(bench, for_s=1, pattern=pattern)
    assert bench.gate.outputs["lamp"].begun == {"r": bench.now}
    assert bench.levels() == [1.0]


def test_a_programming_error_of_one_driver_keeps_no_other_output_from_its_safe_level() -> None:
    bench = Bench(lamp={}, fan={}).claim("lamp").claim("fan")

    def broken() -> None:
        raise ZeroDivisionError("a mistake")

    bench.relays["lamp"].safe = broken  # type: ignore[method-assign]
    bench.gate.make_safe("SIGTERM", bench.now)
    assert bench.levels() == [1.0, 0.0]
    assert str(bench.gate.changes[-1]) == "lamp may not be safe: a mistake"
