"""Another configuration on a recording: what differs is told, and what the recording cannot tell is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reflexd.config.settings import Settings
from reflexd.ctl.__main__ import main
from reflexd.replay.plain import plain_of
from reflexd.replay.tape import Begin, Taken, Writer
from reflexd.replay.telling import as_plain, changes
from reflexd.replay.whatif import WhatIf, what_if
from reflexd.rules.items import Clock, Down, Item, Looked, Predicted, Sensed
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage
from reflexd_drivers.base import Reading
from reflexd_models.base import Prediction
from tests.daemon.rules.random_runs import Day, busy
from tests.daemon.rules.story import FOLLOW, MS, START, settings

S = 1000
Rule = dict[str, Any]
Tell = Callable[..., WhatIf]
LAMP = [{"actuator": "lamp", "set": "on", "for_s": 2}]
PERSON: Rule = {"when": [{"model": "person", "label": "person", "at_least": 0.5}], "then": LAMP}
WARM: Rule = {"when": [{"sensor": "warmth", "above": 25}], "then": FOLLOW}


class Tape:
    """Writes a recording, item by item."""

    def __init__(self, path: Path, recorded: Settings) -> None:
        self.path = path
        self._writer = Writer(path, "0.1.0", "boot", force=True)
        self.reload(recorded, 0)

    def reload(self, recorded: Settings, at_ms: float) -> None:
        self._stage = Stage(recorded)
        self._writer.begin(Begin(START + round(at_ms * MS), plain_of(recorded), self._stage.memory()))

    def tell(self, item: Item, now: int) -> None:
        self._writer.take(Taken(now, packed(item), [ordered(one) for one in self._stage.consume(item, now)]))

    def sees(self, at_ms: float, score: float) -> None:
        now = START + round(at_ms * MS)
        self.tell(Predicted("person", Prediction(now, {"person": score})), now)

    def feels(self, at_ms: float, value: float, sensor: str = "warmth") -> None:
        now = START + round(at_ms * MS)
        self.tell(Sensed(sensor, Reading(value, now, now)), now)

    def end(self) -> Path:
        self._writer.end()
        return self.path


@pytest.fixture
def tape(tmp_path: Path) -> Callable[..., Tape]:
    return lambda *rules, **more: Tape(tmp_path / "day.jsonl", settings(*rules, **more))


def warm(tape: Tape, *spans: tuple[int, int], until_s: int = 60) -> Path:
    """Give a reading of 20 degrees every half second, and of 30 in these spans of seconds."""
    for half in range(until_s * 2):
        tape.feels(half * 500, 30 if any(begin <= half / 2 < end for begin, end in spans) else 20)
    return tape.end()


def told(found: WhatIf) -> str:
    return "\n".join(changes(found))


def test_outputs_are_told_with_how_often_and_for_how_long(tape: Any) -> None:
    file = warm(tape(WARM), (10, 15), (20, 30), (58, 60))
    bounded = {"lamp": {"driver": "gpio-output", "safe": "off", "max_on_s": 7}, "fan": {"driver": "gpio-output", "safe": "off"}}
    found = what_if(file, settings(WARM, actuator=bounded))
    then, now = found.outputs["lamp"]
    assert then is not None
    assert now is not None
    assert (then.times, then.active_ns / 1e9) == (3, 5 + 10 + 1.5)
    assert (now.times, now.active_ns / 1e9) == (3, 5 + 7 + 1.5)
    assert "output lamp: would have been active 3 times for 13.5 s instead of 3 times for 16.5 s" in told(found)
    assert "output fan: would not have been active, as it was not" in told(found)


def test_a_claim_that_lapses_ends_at_its_own_moment(tape: Any) -> None:
    one = tape(PERSON)
    one.sees(1000, 0.9)
    one.feels(30_000, 20)
    then, now = what_if(one.end(), settings({**PERSON, "then": [{"actuator": "lamp", "set": "on", "for_s": 5}]})).outputs["lamp"]
    assert [(found.times, found.active_ns) for found in (then, now) if found] == [(1, 2 * S * MS), (1, 5 * S * MS)]


def test_a_recorded_reload_ends_what_it_ended_and_bounds_as_it_bounded(tape: Any) -> None:
    long = {**PERSON, "then": [{"actuator": "lamp", "set": "on", "for_s": 60}]}
    one = tape(long)
    one.sees(1000, 0.9)
    one.reload(settings(WARM), 11_000)                  # the rule is gone, and its claim with it
    one.feels(11_000, 20)
    one.feels(20_000, 30)
    one.reload(settings(WARM, actuator={"lamp": {"driver": "gpio-output", "safe": "on"}}), 20_200)
    one.feels(20_200, 20)
    one.feels(21_000, 20)
    then, now = what_if(one.end(), settings(long)).outputs["lamp"]
    assert then is not None
    assert now is not None
    assert (then.times, then.active_ns // MS) == (2, 10_200)
    assert (now.times, now.active_ns // MS) == (1, 20_000)


def test_nothing_moves_the_cursor_of_who_reads_it(tape: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = warm(tape({**WARM, "name": "\x1b[2J wipe"}), (10, 15))
    (tmp_path / "good.toml").write_text("schema = 1\n")
    assert main(["replay", str(file)]) == 0
    assert main(["replay", str(file), "--config", str(tmp_path / "good.toml")]) == 0
    assert main(["check", str(tmp_path / "good.toml"), "--against", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.count('rule "?[2J wipe"') == 3
    assert "\x1b" not in said


def test_moments_tell_what_kept_the_other_from_acting(tape: Any) -> None:
    one = tape(PERSON)
    for at_ms, score in ((1000, 0.55), (1100, 0.1), (9000, 0.95), (9100, 0.1)):
        one.sees(at_ms, score)
    found = what_if(one.end(), settings({"when": [{"model": "person", "label": "person", "at_least": 0.7}], "then": LAMP}))
    assert told(found).splitlines()[:2] == [
        'rule "rule 0": would have fired once instead of 2 times',
        "  1.000 s: only then; now model.person person at least 0.7: 0.55"]


@pytest.mark.parametrize(("then", "now", "why"), [
    ({}, {"cooldown_s": 60}, "only then; now cooldown, 41.0 s left"),
    ({}, {"max_per_hour": 1}, "only then; now max_per_hour is full, 59.7 min left"),
    ({}, {"then": [{"actuator": "lamp", "set": "on", "for_s": 30}]}, "only then; now it acts already"),
    ({"delay_s": 1, "then": LAMP}, {"delay_s": 5, "then": LAMP}, "only then; now it was triggered and waits for its delay_s"),
], ids=["cooldown", "hour", "acting", "delay"])
def test_what_held_it_back_is_told_with_what_is_left(tape: Any, then: Rule, now: Rule, why: str) -> None:
    found = what_if(warm(tape({**WARM, **then}), (10, 11), (29, 30)), settings({**WARM, **now}))
    assert why in told(found)


def test_the_level_that_an_action_follows_is_no_hindrance(tape: Any) -> None:
    dims = {"lamp": {"driver": "gpio-output", "safe": "off"}, "fan": {"driver": "pwm", "safe": "off"}}
    follows = {**WARM, "then": [{"actuator": "fan", "follow": True,
                                 "set": {"sensor": "warmth", "from": [20, 40], "to": [0.1, 1.0]}}]}
    one = tape(follows, actuator=dims)
    for at_s, value in ((1, 26), (2, 36), (3, 20)):
        one.feels(at_s * 500, value)
    found = what_if(one.end(), settings({**follows, "when": [{"sensor": "warmth", "above": 35}]}, actuator=dims))
    assert "  1.000 s: only now; then it acts already" in told(found)


def test_what_stands_above_the_rules_is_named(tape: Any) -> None:
    one = tape(WARM)
    for at_s, value in ((1, True), (2, 30), (3, 20)):
        one.feels(at_s * S, value, "button" if at_s == 1 else "warmth")
    found = what_if(one.end(), settings(WARM, safety={"stop": {"sensor": "button", "is": True}}))
    assert "only then; now kept safe by stop: sensor button says true" in told(found)


def test_rules_that_came_or_went_are_named(tape: Any) -> None:
    found = what_if(warm(tape(WARM), (10, 15)), settings())
    assert 'rule "rule 0": is no longer there; it fired once\noutput' in told(found), "and no list of moments"
    found = what_if(warm(tape(), (10, 15)), settings(WARM))
    assert 'rule "rule 0": would have fired once; there was no such rule' in told(found)


UNKNOWN: list[tuple[Rule, str]] = [
    ({"when": [{"model": "person", "label": "dog", "at_least": 0.5}], "then": LAMP},
     "no rule asked model person for label dog then, so the recording does not have its scores"),
    ({"when": [{"camera": "gate", "is": "covered"}], "then": LAMP},
     "no rule asked for the picture of camera gate then, so the recording does not have its state"),
    ({"when": [{"sensor": "rain", "is": True}], "then": LAMP}, "the recording does not have sensor rain"),
    ({"when": [{"model": "cat", "label": "cat", "at_least": 0.5}], "then": LAMP}, "the recording does not have model cat"),
    ({"when": [{"sensor": "button", "is": False}], "unless": [{"sensor": "rain", "is": True}], "then": LAMP},
     "the recording does not have sensor rain"),
    ({"when": [{"sensor": "rain", "silent_for_s": 5}], "then": LAMP}, "the recording does not have sensor rain"),
    ({"when": [{"between": ["22:00", "06:00"]}], "then": LAMP},
     "no rule asked for the time of day then, so the recording does not have it; one made by this configuration has"),
]


@pytest.mark.parametrize(("rule", "why"), UNKNOWN)
def test_what_was_not_asked_then_is_unknown_and_not_0_times(tape: Any, tmp_path: Path, rule: Rule, why: str) -> None:
    new = settings(PERSON, rule)
    more = {**{name: one.model_dump() for name, one in new.sensor.items()}, "rain": {"driver": "scripted", "max_age_ms": 1000}}
    found = what_if(warm(tape(PERSON)), settings(PERSON, rule, sensor=more, model={
        "person": {"bundle": "person", "camera": "gate"}, "cat": {"bundle": "cat", "camera": "gate"}}))
    assert 'rule "rule 1": not known\n' in told(found)
    assert f"\n  not known: {why}\n" in told(found)
    assert 'rule "rule 0": would not have fired, as it did not' in told(found)
    assert 'output lamp: not known, as rule "rule 1" is not; it was never active' in told(found)
    assert "output fan: would not have been active, as it was not" in told(found)
    assert as_plain(found)["outputs"]["lamp"] == {"then": {"times": 0, "active_s": 0}, "now": None, "doubts": ["rule 1"]}


def test_an_output_is_not_known_where_its_interlocked_partner_is_not(tape: Any) -> None:
    barred = {name: {"driver": "gpio-output", "safe": "off", "interlock": "motor"} for name in ("lamp", "fan")}
    unasked = {"when": [{"sensor": "rain", "is": True}], "then": LAMP}
    sensors = {name: {"driver": "scripted", "max_age_ms": 1000} for name in ("rain", "warmth", "button")}
    found = what_if(warm(tape(WARM, actuator=barred), (10, 15)), settings(
        {**WARM, "then": [{"actuator": "fan", "set": "on", "follow": True}]}, unasked, actuator=barred, sensor=sensors))
    assert "output fan: not known, as rule" in told(found)


@pytest.mark.parametrize(("table", "why"), [
    ({"bundle": "other", "camera": "gate"}, "is another network (other, and person then)"),
    ({"bundle": "person", "camera": "gate", "rate_hz": 2}, "has other options, a window or a rate of its own"),
])
def test_another_network_is_unknown(tape: Any, table: Rule, why: str) -> None:
    one = tape(PERSON)
    one.sees(1000, 0.9)
    found = what_if(one.end(), settings(PERSON, model={"person": table}))
    assert f'rule "rule 0": not known how often; it fired once\n  not known: model person {why}' in told(found)


def test_a_pattern_is_one_activation_and_a_level_counts_while_it_lives(tape: Any) -> None:
    blinks = {**PERSON, "then": [{"actuator": "lamp", "set": "on", "for_s": 5, "pattern": [0.2, 0.3]}]}
    follows = {**WARM, "then": [{"actuator": "fan", "follow": True,
                                 "set": {"sensor": "warmth", "from": [20, 40], "to": [0.1, 1.0]}}]}
    dims = {"lamp": {"driver": "gpio-output", "safe": "off"}, "fan": {"driver": "pwm", "safe": "off"}}
    one = tape(blinks, follows, actuator=dims)
    one.sees(0, 0.9)
    for half in range(40):
        one.feels(half * 500, 30 + half if 10 <= half < 20 else 20)
    file = one.end()
    found = what_if(file, settings(PERSON, follows, actuator=dims))
    lamp, fan = ([(one.times, one.active_ns // MS) for one in found.outputs[name] if one is not None] for name in ("lamp", "fan"))
    assert lamp == [(1, 5000), (1, 2000)]
    assert fan == [(1, 5000), (1, 5000)]


def test_rules_and_networks_hear_a_sensor_that_the_other_configuration_changed(tape: Any) -> None:
    """A rule goes with what its level follows, and a network with what sends it to rest, as in a reload."""
    patient = {"button": {"driver": "scripted", "max_age_ms": 5000}, "warmth": {"driver": "scripted", "max_age_ms": 5000}}
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "button", "is": True}]}}
    follows = {**PERSON, "then": [{"actuator": "fan", "follow": True,
                                   "set": {"sensor": "warmth", "from": [20, 40], "to": [0.1, 1.0]}}]}
    one = tape(follows, model=gated)
    one.feels(0, True, "button")
    one.feels(100, 30)
    one.sees(200, 0.9)
    then, now = what_if(one.end(), settings(follows, model=gated, sensor=patient)).outputs["fan"]
    assert [(found.times, found.active_ns) for found in (then, now) if found] == [(1, 0), (1, 0)]


def test_a_network_that_rested_then_is_unknown_where_it_would_not_rest(tape: Any) -> None:
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "button", "is": True}]}}
    found = what_if(warm(tape(PERSON, model=gated)), settings(PERSON))
    assert "rested then while its only_while did not hold" in told(found)
    found = what_if(warm(tape(PERSON)), settings(PERSON, model=gated))
    assert "not known" not in told(found)


def test_a_stop_that_nobody_recorded_is_unknown_for_every_rule(tape: Any) -> None:
    sensors = {"rain": {"driver": "scripted", "max_age_ms": 1000}, "button": {"driver": "scripted", "max_age_ms": 1000},
               "warmth": {"driver": "scripted", "max_age_ms": 1000}}
    found = what_if(warm(tape(WARM), (10, 15)), settings(WARM, sensor=sensors, safety={"stop": {"sensor": "rain", "is": True}}))
    assert "[safety] stop asks for sensor rain, which the recording does not have" in told(found)
    assert "would have fired" not in told(found).splitlines()[0]


def test_what_was_asked_for_part_of_the_time_is_told_as_that(tape: Any) -> None:
    covered = {"when": [{"camera": "gate", "is": "covered"}], "then": LAMP}
    one = tape(PERSON)
    one.sees(0, 0.1)
    one.sees(10_000, 0.1)
    one.reload(settings(PERSON, covered), 10_000)
    one.tell(Looked("gate", "covered", START + 12_000 * MS), START + 12_000 * MS)
    found = what_if(one.end(), settings(PERSON, covered))
    assert 'rule "rule 1": would have fired at least once, as it did\n  not known for 10.0 s: ' in told(found)
    assert "output lamp: would have been active once for 0.0 s, as it was, where that can be told" in told(found)


def test_the_same_configuration_decides_the_same(tmp_path: Path) -> None:
    one, day = Tape(tmp_path / "day.jsonl", busy()), Day(9)
    for item, now in day.items(4000):
        one.tell(item, now)
    found = what_if(one.end(), busy())
    assert found.otherwise == 0
    assert all(rule.then == rule.now and not rule.differing and not rule.unknown_ns for rule in found.rules.values())
    assert all(then == now for then, now in found.outputs.values())
    assert sum(rule.then or 0 for rule in found.rules.values()) > 50


def test_items_of_what_the_new_configuration_does_not_have_are_passed_over(tmp_path: Path) -> None:
    one, day = Tape(tmp_path / "day.jsonl", busy()), Day(9)
    for item, now in day.items(1000):
        one.tell(item, now)
    one.tell(Clock(1, 0, day.now), day.now)
    one.tell(Down("sensor.gone", "x"), day.now)
    found = what_if(one.end(), settings())
    assert 'rule "rule 0": is no longer there; it fired' in told(found)
    assert all(rule.now is None for rule in found.rules.values())


def test_a_recording_of_another_version_or_with_another_decision_is_told(tape: Any, capsys: pytest.CaptureFixture[str]) -> None:
    one = tape(PERSON)
    one.sees(1000, 0.9)
    one.sees(1500, 0.2)
    file = one.end()
    other = file.read_text().replace('"version":"0.1.0"', '"version":"0.0.3"')
    file.write_text(other.replace('["claim","rule 0","lamp",1.0', '["claim","rule 0","lamp",0.5'))
    assert main(["replay", str(file)]) == 1
    said = capsys.readouterr().out
    assert "made by reflexd 0.0.3, and this is" in said
    assert "differs first at item 1, 1.000 s: " in said
    assert "recorded claim rule 0 lamp 0.5" in said
    assert "now claim rule 0 lamp 1.0" in said


def test_a_recording_without_a_line_is_no_longer_whole(tape: Any, capsys: pytest.CaptureFixture[str]) -> None:
    one = tape(PERSON)
    for at_ms in range(1000, 9000, 1000):
        one.sees(at_ms, 0.2)
    file = one.end()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:4] + lines[5:]))
    assert main(["replay", str(file)]) == 1
    assert "differs: its end tells of other items" in capsys.readouterr().out
    file.write_text("".join(lines[:-1]))
    assert main(["replay", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cut_off"] is True


def test_wrong_usage_and_wrong_configurations_have_their_own_status(tape: Any, tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    file = warm(tape(WARM))
    (tmp_path / "bad.toml").write_text("schema = 1\nx = 1\n")
    (tmp_path / "good.toml").write_text("schema = 1\n")
    assert main(["replay", str(file), "--config", str(tmp_path / "bad.toml")]) == 78
    assert main(["replay", str(file), "--config", str(tmp_path / "good.toml"), "--times", "2"]) == 2
    assert main(["replay", str(tmp_path / "nothing.jsonl")]) == 1
    assert main(["check", "--against", str(file), str(tmp_path / "good.toml")]) == 2
    assert "good.toml is a configuration and no recording; write it before --against" in capsys.readouterr().err
    (tmp_path / "bad.txt").write_text("schema = 1\n")
    assert main(["check", str(tmp_path / "good.toml"), "--against", str(tmp_path / "bad.txt"), str(file)]) == 1
    said = capsys.readouterr()
    assert "is no recording" in said.err or "is no line of a recording" in said.err
    assert f"against {file}" in said.out
    assert main(["replay", str(file), "--config", str(tmp_path / "good.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"]["rule 0"]["now"] is None


@pytest.mark.parametrize("often", ["0", "1001", "x", "-1"])
def test_a_number_of_times_that_is_none_is_wrong_usage(often: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", "day.jsonl", f"--times={often}"])
    assert ended.value.code == 2
    assert f"{often} is no number from 1 to 1000" in capsys.readouterr().err


def test_a_folder_stands_for_the_recordings_in_it_and_what_cannot_be_read_keeps_none_back(
        tape: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = warm(tape(WARM), (10, 15))
    folder, empty, good = tmp_path / "days", tmp_path / "empty", tmp_path / "good.toml"
    for made in (folder, empty):
        made.mkdir()
        (made / "README").write_text("what is in here")
    for day in ("2.jsonl", "1.jsonl"):
        (folder / day).write_bytes(file.read_bytes())
    (folder / "3.jsonl.gz").write_bytes(gzip.compress(file.read_bytes()))
    good.write_text("schema = 1\n")
    assert main(["check", str(good), "--against", str(folder)]) == 0
    told = [line.split(",")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("against")]
    assert told == [f"against {folder / name}" for name in ("1.jsonl", "2.jsonl", "3.jsonl.gz")]
    assert main(["check", str(good), "--against", str(tmp_path / "nothing"), str(empty), str(file)]) == 1
    said = capsys.readouterr()
    assert f"against {file}, 120 items" in said.out
    assert f"{tmp_path / 'nothing'}: no such file or directory; name another one\n" in said.err
    assert f"{empty}: has no file that ends in .jsonl or .jsonl.gz; name another one\n" in said.err
