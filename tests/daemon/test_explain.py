"""reflexctl explain against a running daemon and a recording: now, at a moment, summed up, and what it refuses."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import tzset
from typing import Any

import pytest

from reflexd.ctl.__main__ import main
from reflexd.ctl.explain import moment
from reflexd.history.reading import Reader, Wanted
from reflexd.history.store import FILE
from reflexd.protocol import ask
from reflexd.replay.live import Live
from reflexd.replay.moments import local, moment_of
from reflexd.replay.plain import plain_of
from reflexd.replay.tape import Begin, Taken, Writer
from reflexd.rules.items import NS, Sensed
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage
from reflexd.trace import NEAR, NEAR_NS, Changed, Trace
from reflexd_drivers.base import Reading
from tests.daemon.devices import DEVICES
from tests.daemon.rules.story import FOLLOW, START, settings
from tests.daemon.test_exercise import Bench
from tests.daemon.test_faults import CONFIG, Devices, Start
from tests.stopwatch import within

RULES: list[dict[str, Any]] = [
    {"name": "see", "when": [{"model": "person", "label": "person", "at_least": 0.7, "hits": 2, "of": 3}],
     "unless": [{"sensor": "button", "is": True}], "then": [{"actuator": "lamp", "set": "on", "for_s": 0.05}], "cooldown_s": 600},
    CONFIG["rule"][1],
]


@pytest.fixture
def bench(start: Start, devices: Devices, tmp_path: Path) -> Iterator[Bench]:
    devices["model"].value = 0.68
    one = Bench(start, tmp_path / "control.sock", rule=RULES)
    within(5, lambda: rule(one, "see")["decided_ago_s"] is not None)
    yield one
    one.server.close()


Said = pytest.CaptureFixture[str]


def explain(bench: Bench, *options: str) -> int:
    return main(["explain", *options, "--socket", str(bench.socket)])


def rule(bench: Bench, name: str, *options: str) -> Any:
    with redirect_stdout(io.StringIO()) as said:
        assert explain(bench, "--rule", name, "--json", *options) == 0
    (found,) = json.loads(said.getvalue())["rules"]
    return found


def test_what_stopped_a_rule_first_is_told_with_its_numbers(bench: Bench, capsys: Said) -> None:
    within(5, lambda: (rule(bench, "see")["state"], rule(bench, "press")["state"]) == ("false", "false"))
    assert explain(bench) == 0
    head, see, *more = capsys.readouterr().out.splitlines()
    assert head.endswith(", now")
    assert see.split("  ", 1)[0] == "see"
    assert "false" in see
    assert "person 0.68 < 0.70, short by 0.02; 0 of 3 hits, 2 needed" in see
    when, unless, then, press, pressed, fan = more
    assert when.startswith("  > when")
    assert "model.person person at least 0.7" in when
    assert "s old" in when
    assert unless.startswith("    unless")
    assert "lamp off, safe: no rule claims it" in then
    assert press.startswith("press")
    assert pressed.startswith("  > when")
    assert "fan off" in fan


def test_as_data_everything_is_told(bench: Bench) -> None:
    found = rule(bench, "see")
    score, button = found["conditions"]
    assert (found["state"], found["first"], found["held"], found["lapse"]) == ("false", 0, None, None)
    assert (score["observed"], score["threshold"], score["needed"], score["of"]) == (0.68, 0.7, 2, 3)
    assert score["margin"] == pytest.approx(-0.02)
    assert (button["kind"], button["truth"], button["stops"]) == ("unless", False, False)


def test_a_rule_that_is_held_back_says_by_what_and_what_its_output_did(bench: Bench, capsys: Said) -> None:
    DEVICES["model"].value = 0.9
    within(5, lambda: rule(bench, "see")["state"] == "held back")
    assert explain(bench, "--rule", "see") == 0
    said = capsys.readouterr().out
    assert "held back  cooldown, 59" in said
    assert "0.90 > 0.70, by 0.2; " in said
    within(5, lambda: "lamp on" in later(bench, capsys))


def later(bench: Bench, capsys: Said) -> str:
    assert explain(bench, "--rule", "see", "--ago", "1ms") == 0
    return capsys.readouterr().out


def test_a_source_that_fails_leaves_it_unknown_and_tells_since_when(bench: Bench, capsys: Said) -> None:
    DEVICES["sensor"].broken = True
    within(5, lambda: rule(bench, "press")["lapse"] is not None or rule(bench, "press")["state"] == "unknown")
    found = rule(bench, "press")
    assert found["state"] == "unknown"
    assert found["lapse"]["source"] == "sensor.button"
    assert found["lapse"]["ago_s"] >= 0
    assert explain(bench, "--rule", "press") == 0
    said = capsys.readouterr().out
    assert "sensor.button: " in said
    assert ", unknown since " in said
    assert "it was: button is false" in said


def test_what_stands_above_the_rules_is_told(start: Start, devices: Devices, tmp_path: Path, capsys: Said) -> None:
    devices["sensor"].value = True
    halt = {"driver": "bad-sensor", "key": "stop", "max_age_ms": 300}
    bench = Bench(start, tmp_path / "control.sock", sensor={**CONFIG["sensor"], "halt": halt},
                  safety={"stop": {"sensor": "halt", "is": True}})
    devices["stop"].value = True
    within(5, lambda: "kept safe by stop: sensor halt says true" in said(bench, capsys))
    bench.server.close()


def said(bench: Bench, capsys: Said) -> str:
    assert explain(bench, "--rule", "press") == 0
    return capsys.readouterr().out


def test_at_a_time_of_day_or_a_date_it_is_what_was_decided_then(bench: Bench) -> None:
    within(5, lambda: rule(bench, "see")["state"] == "false")
    early = decided_for_a_while(bench)
    DEVICES["model"].value = 0.9
    within(5, lambda: rule(bench, "see")["state"] == "held back")
    late = decided_for_a_while(bench)
    for shown in (lambda moment: f"{moment:%H:%M:%S.%f}", datetime.isoformat):
        assert rule(bench, "see", "--at", shown(early))["state"] == "false"
        assert rule(bench, "see", "--at", shown(late))["state"] == "held back"


def decided_for_a_while(bench: Bench) -> datetime:
    """Give a moment in the middle of half a second in which the same was decided."""
    loop, begun = bench.running.daemon.loop, datetime.now(UTC).astimezone()
    decided = loop.decided
    within(10, lambda: loop.decided > decided + 25)
    return begun + (datetime.now(UTC).astimezone() - begun) / 2


def test_a_whole_second_is_meant_to_its_end_so_what_the_log_has_of_it_lies_before(bench: Bench, capsys: Said) -> None:
    within(5, lambda: rule(bench, "see")["state"] == "false")
    DEVICES["model"].value = 0.9
    within(5, lambda: "lamp on" in later(bench, capsys))
    text = next(line for line in later(bench, capsys).splitlines() if "lamp on" in line).split()[1]
    assert rule(bench, "see", "--at", text)["state"] in ("fired", "goes on", "held back"), "as the log says: it had fired"


@dataclass
class Ended:
    """A record that ends at a moment of the wall clock."""

    at: datetime
    end: int = 10**18

    @property
    def offset_s(self) -> float:
        return self.at.timestamp() - self.end / 1e9

    def asked(self, text: str) -> str:
        found = local(self, moment_of(self, moment(text)))      # type: ignore[arg-type]
        assert found is not None
        return f"{found:%Y-%m-%d %H:%M:%S %z}"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    tzset()
    yield
    monkeypatch.undo()
    tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("text", "found"), [
    ("14:03:05", "2026-10-24 14:03:05 +0200"),                   # yesterday, and clocks went back in between
    ("09:00:00", "2026-10-25 09:00:00 +0100"),
    ("10:00:00", "2026-10-25 10:00:00 +0100"),                   # the second that is not over yet
    ("10:00:01", "2026-10-24 10:00:01 +0200"),
    ("08:30:00Z", "2026-10-25 09:30:00 +0100"),
    ("22:30:00+14:00", "2026-10-25 09:30:00 +0100"),
    ("21:30:00-11:00", "2026-10-25 09:30:00 +0100"),
    ("2026-10-25T08:30:00+00:00", "2026-10-25 09:30:00 +0100"),
    ("1970-01-01T00:00:00", "1970-01-01 00:00:00 +0100"),
])
def test_a_time_of_day_is_the_last_one_in_whatever_zone_it_is_told(text: str, found: str) -> None:
    assert Ended(datetime(2026, 10, 25, 9, 0, 0, 500_000, tzinfo=UTC)).asked(text) == found


def test_near_misses_are_summed_up_and_it_is_said_how_far_back_is_known(bench: Bench, capsys: Said) -> None:
    within(5, lambda: bench.running.daemon.loop.decided > 20)
    assert explain(bench, "--not", "see", "--since", "10m") == 0
    head, warning, states, titles, score = capsys.readouterr().out.splitlines()[:5]
    assert head.startswith('rule "see": ')
    assert "decisions in " in head
    assert warning.startswith("! asked for 10.0 min, and what is kept begins at ")
    assert "false " in states
    assert titles.split() == ["stopped", "first", "by", "times", "closest", "at"]
    assert "0.68 < 0.70, short by 0.02" in score
    assert explain(bench, "--not", "see", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["covered_s"] < found["asked_s"] == 600
    assert found["decisions"] == sum(found["states"].values()) > 20
    closest = found["stopped_first_by"][0]["closest"]
    assert (closest["observed"], closest["threshold"]) == (0.68, 0.7)
    assert 0 <= found["stopped_first_by"][0]["newest_ago_s"] <= closest["ago_s"] <= found["covered_s"] + 5


@pytest.mark.parametrize("options", [["--since", "5m"], ["--not", "see", "--rule", "press"]])
def test_what_would_be_passed_over_is_wrong_usage(capsys: Said, options: list[str]) -> None:
    assert main(["explain", *options]) == 2
    assert capsys.readouterr().err.startswith("reflexctl: --")


def test_a_value_at_the_threshold_itself_is_the_nearest_miss(tmp_path: Path, capsys: Said) -> None:
    writer = Writer(tmp_path / "day.jsonl", "0.1.0", "boot")
    hot = settings({"when": [{"sensor": "warmth", "above": 25}], "then": FOLLOW})
    stage = Stage(hot)
    writer.begin(Begin(START, plain_of(hot), stage.memory(), 1e9))
    for second, value in enumerate((20.0, 25.0, 24.5)):
        now, item = START + second * NS, Sensed("warmth", Reading(value, START + second * NS, START))
        writer.take(Taken(now, packed(item), [ordered(one) for one in stage.consume(item, now)]))
    writer.end()
    assert main(["explain", "--file", str(tmp_path / "day.jsonl"), "--not", "rule 0"]) == 0
    assert "3      25.00 = 25.00" in capsys.readouterr().out


def test_without_a_rule_it_says_so(start: Start, devices: Devices, tmp_path: Path, capsys: Said) -> None:
    one = Bench(start, tmp_path / "control.sock", rule=[])
    assert explain(one) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["no rule was configured"]
    one.server.close()


def test_what_is_not_driven_is_not_told_as_if_it_were(start: Start, devices: Devices, tmp_path: Path, capsys: Said) -> None:
    devices["model"].value = 0.9
    rules = [{**RULES[0], "then": [{"actuator": "lamp", "set": "on", "follow": True}], "cooldown_s": 0}, RULES[1]]
    one = Bench(start, tmp_path / "control.sock", rule=rules, daemon={"state_dir": str(tmp_path), "initially": "disarmed"})
    within(5, lambda: rule(one, "see")["state"] == "goes on" and one.running.status()["outputs"]["lamp"]["active"])
    assert explain(one) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[1] == "no output is driven: disarmed, until reflexctl arm"
    assert next(line for line in said.splitlines() if "lamp on" in line).endswith(" s (dry run: not driven)")
    assert said.count("disarmed") == 1
    one.server.close()


@pytest.mark.parametrize(("options", "words"), [
    (["--ago", "5h"], "is gone: the trace reaches back to "),
    (["--at", "2001-01-01T12:00:00"], "2001-01-01 12:00:00 is gone: the trace reaches back to "),
    (["--at", "2101-01-01T12:00:00"], "2101-01-01 12:00:00 is still to come; name a moment before "),
    (["--rule", "seee"], 'no rule is called "seee"; did you mean "see"?'),
    (["--not", "nothing"], 'no rule is called "nothing"; known here: see, press'),
])
def test_what_cannot_be_told_is_refused_in_one_line(bench: Bench, capsys: Said, options: list[str], words: str) -> None:
    assert explain(bench, *options) == 1
    told = capsys.readouterr()
    assert words in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("options", [
    ["--at", "noon"], ["--at", "0001-01-01T00:00:00"], ["--at", "9999-12-31T23:59:59"], ["--ago", "5 parsecs"],
    ["--at", "12:00", "--ago", "1s"]])
def test_what_is_no_moment_is_wrong_usage(capsys: Said, options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *options])
    assert ended.value.code == 2


def test_without_a_daemon_or_a_recording_it_says_so(tmp_path: Path, capsys: Said) -> None:
    assert main(["explain", "--socket", str(tmp_path / "none")]) == 1
    assert "reflexd does not run" in capsys.readouterr().err
    (tmp_path / "it").write_text("hello\n")
    assert main(["explain", "--file", str(tmp_path / "it")]) == 1
    assert "it: is no recording, and if it is compressed, its name has to end in .gz; make one with" in capsys.readouterr().err
    assert main(["explain", "--file", str(tmp_path / "none")]) == 1
    assert "no such file" in capsys.readouterr().err


def test_a_recording_is_explained_without_a_daemon(bench: Bench, tmp_path: Path, capsys: Said) -> None:
    within(5, lambda: bench.running.daemon.loop.decided > 10)
    path, begins = tmp_path / "day.jsonl.gz", []
    writer = Writer(path, "0.1.0", "boot")
    for line in Live(bench.socket, 60).lines():
        if isinstance(line, Begin):
            begins.append(line)
            writer.begin(line)
        elif isinstance(line, Taken):
            writer.take(line)
    writer.end()
    assert main(["explain", "--file", str(path), "--rule", "see"]) == 0
    told = capsys.readouterr().out
    assert "before" not in told.splitlines()[0]
    assert told.splitlines()[1].startswith("what outputs did is not part of a recording")
    assert "person 0.68 < 0.70, short by 0.02" in told
    assert main(["explain", "--file", str(path), "--ago", "10ms", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ago_s"], found["outputs"]) == (0.01, None)
    assert main(["explain", "--file", str(path), "--not", "see"]) == 0
    assert 'rule "see": ' in capsys.readouterr().out
    assert main(["explain", "--file", str(path), "--ago", "5h"]) == 1
    assert f"is not in {path}: it reaches from " in capsys.readouterr().err


def test_what_an_output_did_around_a_moment_is_bounded() -> None:
    trace, moment = Trace(), 100 * NEAR_NS
    trace.changes += [Changed(1, "fan", "fan off"), Changed(2, "lamp", "lamp on"), Changed(3, "lamp", "lamp off")]
    trace.changes += [Changed(moment + number, "fan", "fan on") for number in range(-200, 200)]
    trace.changes.append(Changed(moment + 2 * NEAR_NS, "lamp", "lamp on"))
    found = trace.near(moment)
    assert found[0] == Changed(3, "lamp", "lamp off")
    assert Changed(moment, "fan", "fan on") in found
    assert NEAR <= len(found) <= NEAR + 2


def test_the_trace_refuses_a_moment_that_is_none(bench: Bench) -> None:
    with pytest.raises(OSError, match='"at", monotonic ns'):
        ask(bench.socket, "trace", {"at": "noon"})
    assert ask(bench.socket, "trace", {"at": 0})["changes"] == []


def test_a_stored_event_is_explained_with_the_trace_and_without(bench: Bench, tmp_path: Path, capsys: Said) -> None:
    store = tmp_path / FILE
    event = fired(bench, store)
    here = ["--store", str(store), "--socket", str(bench.socket)]
    assert main(["explain", event["id"], *here]) == 0
    head, score, button, see, *_ = capsys.readouterr().out.splitlines()
    assert f'{event["id"]}' in head
    assert 'rule "see": lamp on' in head
    assert score.split()[0] == "true"
    assert "0.9; by +0.2; 2 of 3 hits, 2 needed" in score
    assert "sensor.button is true" in button
    assert see.split() == ["see", "fired", *see.split()[2:]], "as it was decided at that very moment"
    assert main(["explain", event["id"], "--json", *here]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["event"]["id"] == event["id"]
    assert [one["state"] for one in found["then"]["rules"]] == ["fired"]
    bench.server.close()
    assert main(["explain", event["id"], *here]) == 0
    head, score, button, why = capsys.readouterr().out.splitlines()
    assert why.startswith("nothing else is known of that moment: ")
    assert "reflexd does not run" in why


def fired(bench: Bench, store: Path) -> dict[str, Any]:
    """Let a rule fire, and give the event once it is stored."""
    DEVICES["model"].value = 0.9
    found: list[dict[str, Any]] = []

    def is_stored() -> bool:
        if bench.running.status()["events"]["stored"] > 0:
            with Reader(store) as reader:
                found[:] = reader.find(Wanted(rule="see", kind="fired"))
        return bool(found)

    within(20, is_stored)
    return found[0]


@pytest.mark.parametrize(("options", "words"), [
    ([], "no event is called abc-1; reflexctl events lists what is stored"),
    (["--file", "day.jsonl"], "a recording has no events; leave out --file, or the id"),
])
def test_an_event_that_is_none_is_refused(bench: Bench, tmp_path: Path, capsys: Said, options: list[str], words: str) -> None:
    fired(bench, tmp_path / FILE)
    assert explain(bench, "abc-1", "--store", str(tmp_path / FILE), *options) == 1
    assert words in capsys.readouterr().err
