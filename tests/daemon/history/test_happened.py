"""What a daemon takes down of itself: rules, with what they saw, the gate, and ids that the log has as well."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reflexd.clock import WallClock
from reflexd.events import ALL_SAFE, EVENTS_STORED, EVENTS_WAIT, OUTPUT, Event
from reflexd.history.incident import Incident, Kind, Run, boot_id
from reflexd.history.reading import Reader, Wanted
from reflexd.history.recorder import Recorder
from reflexd.history.store import FILE
from reflexd.history.wording import config_hash
from tests.daemon.devices import Device
from tests.daemon.history.incidents import Disk
from tests.daemon.test_faults import CONFIG, both_on
from tests.stopwatch import within

Devices = dict[str, Device]
Start = Callable[..., Any]


class Kept:
    """A log that keeps what is said."""

    dropped = 0

    def __init__(self) -> None:
        self.lines: list[tuple[Event, str, dict[str, str]]] = []

    def say(self, event: Event, text: str, **fields: str) -> None:
        self.lines.append((event, text, fields))

    def of(self, event: Event) -> list[dict[str, str]]:
        return [fields for kind, _, fields in self.lines if kind is event]


def configured(folder: Path, **changes: Any) -> dict[str, Any]:
    actuators = {**CONFIG["actuator"], "fan": {**CONFIG["actuator"]["fan"], "max_on_s": 0.4}}
    return {**CONFIG, "actuator": actuators, "daemon": {"state_dir": str(folder)},
            "events": {"write_budget_mb_per_day": 100_000}, **changes}


@pytest.fixture
def begun(start: Start, devices: Devices, tmp_path: Path) -> Any:
    """A daemon with a store, a log that is kept, and a lamp that is on by what a camera sees."""
    running = start(configured(tmp_path))
    running.kept = running.daemon.loop._journal = Kept()
    devices["model"].value = 0.9
    within(10, lambda: devices["lamp"].level == 1.0)
    return running


def stored(running: Any, folder: Path) -> list[dict[str, Any]]:
    within(20, lambda: running.status()["events"]["waiting"] == 0 and running.status()["events"]["stored"] > 0)
    with Reader(folder / FILE) as reader:
        return reader.find(Wanted())


def test_a_rule_that_fired_is_stored_with_what_it_saw_and_how_long_it_took(begun: Any, devices: Devices, tmp_path: Path) -> None:
    (fired,) = stored(begun, tmp_path)
    assert (fired["kind"], fired["rule"], fired["outputs"], fired["held"]) == ("fired", "see", {"lamp": "on"}, "")
    assert fired["why"] == "model.person person at least 0.5: 0.9"
    assert fired["verdicts"][0]["margin"] == pytest.approx(0.4)
    assert fired["config"] == config_hash(begun.daemon.loop.stage.settings)
    assert 0 <= fired["frame_age_ms"] <= fired["latency_ms"] < 500
    assert abs(fired["utc_ns"] - time.time_ns()) < 60e9
    assert fired["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert fired["synchronised"] is (WallClock().tell().utc_ns is not None)


def test_the_log_carries_the_id_where_an_output_goes_on_and_where_it_goes_off_again(
        begun: Any, devices: Devices, tmp_path: Path) -> None:
    (fired,) = stored(begun, tmp_path)
    devices["camera"].broken = True
    within(10, lambda: devices["lamp"].level == 0.0)
    within(10, lambda: len(begun.kept.of(OUTPUT)) == 2)
    on, off = begun.kept.of(OUTPUT)
    assert on == {"output": "lamp", "rule": "see", "event_id": fired["id"]}
    assert off == {"output": "lamp", "event_id": fired["id"]}


def test_an_output_that_ran_into_max_on_s_is_an_event_of_its_own(begun: Any, devices: Devices, tmp_path: Path) -> None:
    devices["sensor"].value = True
    within(10, lambda: devices["fan"].level == 1.0)
    within(10, lambda: devices["fan"].level == 0.0)
    within(10, lambda: begun.status()["events"]["stored"] == 3)
    overran = stored(begun, tmp_path)[-1]
    assert (overran["kind"], overran["rule"], overran["outputs"]) == ("max-on", "press", {"fan": "off"})
    assert overran["why"] == "it was active for max_on_s = 0.4"
    assert begun.kept.of(OUTPUT)[-1] == {"output": "fan", "rule": "press", "event_id": overran["id"]}


def test_that_every_output_is_held_safe_and_that_it_is_over_are_events(start: Start, devices: Devices, tmp_path: Path) -> None:
    running = start(configured(tmp_path, safety={"stop": {"sensor": "button", "is": True}}, rule=CONFIG["rule"][:1]))
    running.kept = running.daemon.loop._journal = Kept()
    devices["model"].value = 0.9
    within(10, lambda: devices["lamp"].level == 1.0)
    devices["sensor"].value = True
    within(10, lambda: devices["lamp"].level == 0.0)
    devices["sensor"].value = False
    within(10, lambda: devices["lamp"].level == 1.0)
    within(10, lambda: running.status()["events"]["stored"] >= 6)
    found = stored(running, tmp_path)
    assert [one["kind"] for one in found[-6:]] == ["all-safe", "permitted", "fired", "all-safe", "permitted", "fired"]
    assert found[-3]["why"] == "every output safe: stop: sensor button says true"
    assert found[-3]["outputs"] == {}, "all of them"
    assert running.kept.of(ALL_SAFE)[-1] == {"event_id": found[-3]["id"]}


def test_a_rule_that_fires_while_nothing_is_driven_says_so(start: Start, devices: Devices, tmp_path: Path) -> None:
    running = start(configured(tmp_path, daemon={"state_dir": str(tmp_path), "dry_run": True}))
    devices["model"].value = 0.9
    within(10, lambda: running.status()["rules"]["see"]["truth"] is True)
    assert stored(running, tmp_path)[0]["held"] == "dry run, as [daemon] dry_run = true says"


@pytest.mark.parametrize("how", ["reflexctl arm", "a reload"])
def test_a_rule_that_went_on_in_a_dry_run_fires_anew_when_outputs_are_driven(
        start: Start, devices: Devices, tmp_path: Path, how: str) -> None:
    dry = {"initially": "disarmed"} if how == "reflexctl arm" else {"dry_run": True}
    configuration = configured(tmp_path, daemon={"state_dir": str(tmp_path), **dry})
    running = start(configuration)
    devices["model"].value = 0.9
    within(10, lambda: running.status()["rules"]["see"]["truth"] is True)
    if how == "reflexctl arm":
        running.daemon.arming.say(True, running.daemon.loop)
    else:
        running.reload(configured(tmp_path, daemon={"state_dir": str(tmp_path)}))
    within(10, lambda: devices["lamp"].level == 1.0)
    within(10, lambda: running.status()["events"]["stored"] >= 2)
    assert [(one["rule"], one["held"]) for one in stored(running, tmp_path) if one["kind"] == "fired"][-1] == ("see", "")


def test_the_end_is_stored_before_the_process_leaves(begun: Any, tmp_path: Path) -> None:
    assert begun.stop() == 0
    with Reader(tmp_path / FILE) as reader:
        last = reader.find(Wanted())[-1]
    assert (last["kind"], last["why"]) == ("all-safe", "every output safe, leaving: the test is done")


def test_a_reload_changes_how_events_are_stored(begun: Any, devices: Devices, tmp_path: Path) -> None:
    told = begun.reload({**begun.written, "events": {"durability": "full", "write_budget_mb_per_day": 100_000}})
    assert told == "[events] changed"
    devices["sensor"].value = True
    within(10, lambda: begun.status()["events"]["stored"] >= 2)
    assert begun.status()["events"]["durability"] == "full"
    assert begun.daemon.history._store.durability == "full"
    first, *_, last = stored(begun, tmp_path)
    assert first["config"] == last["config"], "how events are stored decides nothing"


@pytest.mark.fault("F62", bound="at once", outcome="outputs act as ever; events wait and are written when the disk works again")
def test_f62_outputs_have_nothing_to_do_with_a_disk_that_fails(begun: Any, devices: Devices, tmp_path: Path) -> None:
    stored(begun, tmp_path)
    disk = begun.daemon.history._opens = Disk()
    disk.failing = sqlite3.SQLITE_IOERR
    begun.reload({**begun.written, "events": {"durability": "full"}})       # which opens the store anew
    for _ in range(5):
        devices["sensor"].value = True
        within(1, lambda: devices["fan"].level == 1.0)
        devices["sensor"].value = False
        within(1, lambda: devices["fan"].level == 0.0)
    within(20, lambda: disk.failed > 0 and begun.status()["events"]["trouble"] != "")
    waiting = begun.status()["events"]["waiting"]
    assert waiting >= 5
    disk.failing = None
    assert len(stored(begun, tmp_path)) >= 1 + waiting
    within(10, lambda: [event for event, _, _ in begun.kept.lines if event in (EVENTS_WAIT, EVENTS_STORED)]
           == [EVENTS_WAIT, EVENTS_STORED])


def test_a_disk_that_hangs_keeps_no_decision_waiting_and_no_end(begun: Any, devices: Devices, tmp_path: Path) -> None:
    stored(begun, tmp_path)
    answers = threading.Event()
    disk = Disk()

    def opens(path: Path) -> sqlite3.Connection:
        answers.wait(30)
        return disk(path)

    begun.daemon.history._opens = opens
    begun.reload({**begun.written, "events": {"durability": "full"}})
    devices["sensor"].value = True
    within(1, lambda: devices["fan"].level == 1.0)
    within(10, lambda: begun.status()["events"]["waiting"] >= 1)
    began = time.monotonic()
    assert begun.stop() == 0
    assert time.monotonic() - began < 3      # 0.3 s is the bound, the rest this machine's noise
    assert not both_on(devices)
    answers.set()


def test_ids_count_on_and_name_their_run() -> None:
    taken: list[Incident] = []
    run = Run.begin()
    recorder = Recorder(run, taken.append)
    assert [recorder.new_id() for _ in range(3)] == [f"{run.name}-{number}" for number in (1, 2, 3)]
    assert len({Run.begin().name for _ in range(50)}) == 50
    assert taken == []
    assert Kind("max-on") is Kind.MAX_ON


def test_a_boot_has_a_name_where_the_kernel_tells_none(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    assert boot_id(None, "abc", kernel=hidden) == "run-abc"
    assert boot_id(tmp_path, "abc", kernel=hidden) == "run-abc"
    assert boot_id(tmp_path, "def", kernel=hidden) == "run-abc", "until a reboot takes the folder along"
    hidden.write_text("0f0f\n")
    assert boot_id(tmp_path, "def", kernel=hidden) == "0f0f"
    assert boot_id(Path(os.devnull), "def", kernel=tmp_path / "none") == "run-def"
