"""A network that watches sensors, in the whole daemon: it acts on whole windows, and on nothing else."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reflexd import swap
from reflexd.config.settings import DaemonSettings, ModelSettings, Settings, WindowSettings
from reflexd.jobs import SensorJob
from reflexd.networks import Held, Origin, origin_of
from reflexd.report import lines
from reflexd.rules.items import Predicted
from reflexd.series import SeriesJob, open_series
from reflexd.windows import MS, NS, Plan
from reflexd.workers import Inbox, Wake
from reflexd_drivers.base import DriverError, Reading, SensorSettings
from reflexd_models import tasks
from reflexd_models.base import ModelError, Prediction
from reflexd_models.bundle import find_bundle
from reflexd_models.runtime import runtime
from tests.daemon.devices import DEVICES, Device, SeriesNetwork
from tests.daemon.rules.story import Story, acts
from tests.daemon.test_faults import Devices, Start, within
from tests.models.helpers import rewrite

WINDOW = {"rate_hz": 50, "length": 10, "hop": 5, "gap_ms": 1000}
MOTOR = {"bundle": "x", "sensors": ["shaking"], "window": WINDOW}
FAULT = {"model": "motor", "label": "fault", "at_least": 0.5}
CONFIG: dict[str, Any] = {
    "sensor": {"shaking": {"driver": "bad-sensor", "key": "sensor", "max_age_ms": 2000},
               "switch": {"driver": "bad-sensor", "key": "stop", "max_age_ms": 600}},
    "model": {"motor": MOTOR},
    "actuator": {"lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"},
                 "fan": {"driver": "bad-actuator", "key": "fan", "safe": "off"}},
    "rule": [
        {"name": "alarm", "when": [FAULT], "then": [{"actuator": "lamp", "set": "on", "for_s": 60}]},
        {"name": "run", "when": [{"sensor": "switch", "is": True}], "unless": [FAULT],
         "then": [{"actuator": "fan", "set": "on", "follow": True}]},
    ],
}


def model(daemon: Any) -> Any:
    return daemon.status()["models"]["motor"]


@pytest.fixture
def running(start: Start, devices: Devices) -> Any:
    """A daemon that lets the fan run because all is known to be well."""
    devices["sensor"].value, devices["stop"].value = 0.0, True
    daemon = start(CONFIG)
    within(5, lambda: devices["fan"].level == 1.0)
    return daemon


def test_nothing_acts_while_a_window_fills_and_a_fault_stops_at_once(start: Start, devices: Devices) -> None:
    devices["sensor"].value, devices["stop"].value = "no number", True
    daemon = start(CONFIG)
    within(5, lambda: daemon.status()["sensors"]["shaking"]["readings"] > 25)
    assert (model(daemon)["state"], model(daemon)["window"]["filled"]) == ("run", 0)
    assert devices["fan"].written == [], "a fault is not known to be absent"
    devices["sensor"].value = 0.0
    within(5, lambda: devices["fan"].level == 1.0)
    devices["sensor"].value = 1.0
    within(5, lambda: devices["lamp"].level == 1.0 and devices["fan"].level == 0.0)


@pytest.mark.fault("F37", bound="one window", outcome="a model of sensors is unknown at once, until a window is whole again")
def test_what_is_no_number_makes_the_model_unknown_at_once(running: Any, devices: Devices) -> None:
    devices["sensor"].value = float("nan")
    within(1, lambda: "finite numbers" in model(running)["unknown"])
    within(2, lambda: devices["fan"].level == 0.0)     # the lease of what follows
    assert model(running)["window"]["gaps"] >= 1
    assert any("gaps, last: a reading is not 1 finite numbers" in line for line in lines(running.status()))
    devices["sensor"].value = 0.0
    within(5, lambda: devices["fan"].level == 1.0)


@pytest.mark.fault("F31", bound="one period of the sensor", outcome="a model of sensors goes with them; back after a window")
def test_a_sensor_that_fails_takes_its_model_along(running: Any, devices: Devices) -> None:
    devices["sensor"].value = 1.0
    within(5, lambda: devices["lamp"].level == 1.0)
    devices["sensor"].broken = True
    within(1, lambda: devices["lamp"].level == 0.0)
    assert "cannot read" in model(running)["unknown"]
    before = model(running)["predictions"]
    devices["sensor"].broken = False
    within(5, lambda: devices["lamp"].level == 1.0)
    assert model(running)["predictions"] > before
    assert model(running)["state"] == "run"


def test_a_window_does_not_reach_over_a_failure_that_was_short(running: Any, devices: Devices) -> None:
    gaps = model(running)["window"]["gaps"]
    devices["sensor"].silent = True
    within(2, lambda: model(running)["window"]["gaps"] > gaps)
    assert model(running)["window"]["filled"] == 0
    devices["sensor"].silent = False
    within(5, lambda: devices["fan"].level == 1.0)


def test_a_required_sensor_keeps_every_output_safe_while_it_is_away(start: Start, devices: Devices) -> None:
    devices["sensor"].value, devices["stop"].value = 0.0, True
    sensors = {**CONFIG["sensor"], "shaking": {**CONFIG["sensor"]["shaking"], "required": True}}
    daemon = start({**CONFIG, "sensor": sensors})
    within(5, lambda: devices["fan"].level == 1.0)
    devices["sensor"].broken = True
    within(1, lambda: daemon.status()["state"] == "SAFE")
    assert devices["fan"].level == 0.0


def test_while_it_rests_a_window_is_forgotten(start: Start, devices: Devices) -> None:
    devices["sensor"].value, devices["stop"].value = 0.0, True
    gated = {**MOTOR, "only_while": [{"sensor": "switch", "is": True}]}
    daemon = start({**CONFIG, "model": {"motor": gated}})
    within(5, lambda: devices["fan"].level == 1.0)
    devices["stop"].value = False
    within(2, lambda: model(daemon)["resting"] and model(daemon)["window"]["filled"] == 0)
    before = model(daemon)["predictions"]
    time.sleep(0.3)
    assert model(daemon)["predictions"] == before
    assert model(daemon)["unknown"] == "gated by only_while"
    devices["stop"].value = True
    within(5, lambda: devices["fan"].level == 1.0)


def test_what_a_network_says_too_late_of_a_window_is_dropped(start: Start, devices: Devices) -> None:
    devices["sensor"].value, devices["stop"].value = 0.0, True
    sensors = {**CONFIG["sensor"], "shaking": {**CONFIG["sensor"]["shaking"], "max_age_ms": 300}}
    daemon = start({**CONFIG, "sensor": sensors, "model": {"motor": {**MOTOR, "window": {**WINDOW, "gap_ms": 300}}}})
    within(5, lambda: devices["fan"].level == 1.0)
    late, devices["model"].hangs = model(daemon)["late"], threading.Event()
    within(3, lambda: devices["fan"].level == 0.0)
    devices["sensor"].value = 1.0                      # what is known then is that all was well once
    devices["model"].hangs.set()
    within(5, lambda: devices["lamp"].level == 1.0)
    assert devices["fan"].level == 0.0
    assert model(daemon)["late"] > late


def test_a_network_that_fails_is_opened_again_and_proves_itself(running: Any, devices: Devices) -> None:
    devices["model"].broken = True
    within(2, lambda: model(running)["state"] == "degraded")
    within(2, lambda: devices["fan"].level == 0.0)
    devices["model"].broken = False
    within(5, lambda: model(running)["state"] == "run" and devices["fan"].level == 1.0)


def test_a_reload_takes_a_model_along_with_its_sensors_and_leaves_it_else(running: Any, devices: Devices) -> None:
    job = running.daemon.parts.models["motor"]
    running.reload({**CONFIG, "actuator": {**CONFIG["actuator"], "lamp": {**CONFIG["actuator"]["lamp"], "max_on_s": 9}}})
    assert running.daemon.parts.models["motor"] is job
    sensors = {**CONFIG["sensor"], "shaking": {**CONFIG["sensor"]["shaking"], "max_age_ms": 1500}}
    running.reload({**running.written, "sensor": sensors})
    assert running.daemon.parts.models["motor"] is not job
    within(5, lambda: devices["fan"].level == 1.0)
    running.reload({**running.written, "model": {"motor": {**MOTOR, "window": {**WINDOW, "hop": 2}}}})
    within(5, lambda: model(running)["predictions"] > 3)
    sensor = running.daemon.parts.sensors["shaking"]
    assert len(sensor._readers) == 1, "the job that left reads no more"
    assert devices["sensor"].opened == 2


def test_status_tells_the_sensors_the_window_and_how_long_a_prediction_takes(running: Any) -> None:
    found = model(running)
    assert found["sensors"] == ["shaking"]
    assert found["window"]["length"] == 10
    assert 0 < found["latency_ms"]["inference"]["p50"] < found["latency_ms"]["frame_to_prediction"]["max"]
    text = "\n".join(lines(running.status()))
    assert "window 10 of 10 from shaking" in text
    assert "camera" not in found


class Bench:
    """A job with a sensor that is told what to say; the test makes its steps."""

    def __init__(self, ago_s: float = 2.0) -> None:
        self.out: Inbox[Any] = Inbox(100, Wake())
        self.inbox: Inbox[Reading] | None = None
        DEVICES["bench"] = Device()
        self.job = SeriesJob("motor", Plan((1,), 50, 10, 5, 1000), 2 * NS, lambda: SeriesNetwork(DEVICES["bench"]),
                             frozenset(), [self], self.out)       # type: ignore[list-item]  # all that it is asked for
        self.job.open()
        self.at = time.monotonic_ns() - round(ago_s * NS)

    def add_reader(self, wake: Wake, bound: int) -> Inbox[Reading]:
        self.inbox = Inbox(bound, wake)
        return self.inbox

    def remove_reader(self, inbox: Inbox[Reading]) -> None:
        assert inbox is self.inbox
        self.inbox = None

    def say(self, count: int, value: float = 0.5) -> None:
        assert self.inbox is not None
        for _ in range(count):
            self.at += 20 * MS
            self.inbox.put(Reading(value, self.at, self.at))

    def told(self) -> list[Predicted]:
        return list(self.out.drain())


def test_of_windows_that_became_whole_while_the_network_was_busy_the_newest_is_judged() -> None:
    bench = Bench()
    bench.say(100)
    bench.job.step()
    (told,) = bench.told()
    assert told.prediction.scores == {"fault": 0.5}
    assert abs(told.prediction.taken_at - bench.at) < MS, "it is as old as its last sample"
    assert bench.job.windows.skipped == 18


def test_another_network_takes_over_between_two_windows() -> None:
    bench = Bench(ago_s=0.5)
    bench.say(10)
    bench.job.step()
    DEVICES["other"] = Device()
    other = SeriesNetwork(DEVICES["other"], labels=("other",))
    bench.job.exchange(other)
    bench.say(5)
    bench.job.step()
    assert [told.exchanges for told in bench.told()] == [0, 1]
    assert bench.job.model is other


@pytest.mark.parametrize(("name", "evaluates"), [("vibration-forest", "numpy"), ("vibration-conv", runtime())])
def test_the_log_says_what_evaluates_a_network(name: str, evaluates: str) -> None:
    bundle = find_bundle(name)
    plan, options = Plan((3,), 100, 100, 50, 40), tasks.load(bundle.task).Options()
    model = ModelSettings(bundle=name, sensors=("x",), options=options)
    job = SeriesJob("motor", plan, NS, lambda: open_series(bundle, model, plan, frozenset()), frozenset(), [],
                    Inbox[Any](8, Wake()))
    job.open()
    assert job.about == evaluates


def test_a_bundle_with_other_windows_does_not_take_over_unasked(tmp_path: Path) -> None:
    """The windows are made for the old one: fed to the new one they would be of another rate, and nobody would see it."""
    standing = find_bundle("vibration-forest")
    folder = tmp_path / "state" / "bundles" / ".forest@2"
    shutil.copytree(standing.path.parent, folder)
    rewrite(folder, "rate_hz = 100", "rate_hz = 200")
    options = tasks.load(standing.task).Options()
    motor = ModelSettings(bundle="forest", sensors=("x",), window=WindowSettings(rate_hz=100, length=100, hop=50, gap_ms=40))
    settings = Settings(schema=1, daemon=DaemonSettings(state_dir=str(tmp_path / "state")),
                        model={"motor": motor.model_copy(update={"options": options})})
    job = SimpleNamespace(held=SimpleNamespace(origin=origin_of(standing)))
    daemon: Any = SimpleNamespace(parts=SimpleNamespace(models={"motor": job}))
    with pytest.raises(ModelError, match=r"model.motor: the bundle's \[window\] is another now.*say reflexctl reload"):
        swap._open(daemon, settings, "motor", str(folder))


def test_readings_for_which_there_is_no_room_begin_the_window_anew() -> None:
    bench = Bench()
    bench.say(9)
    bench.job.step()
    bench.say(2000)
    bench.job.step()
    assert bench.job.readings_dropped > 0
    assert "faster than the network" in bench.job.windows.trouble
    bench.job.leave()
    assert bench.inbox is None


def test_a_call_that_does_not_return_is_seen_however_seldom_windows_come() -> None:
    day = SeriesJob("motor", Plan((1,), 1, 10, 86_400, 4000), 86_400 * NS, lambda: SeriesNetwork(Device()), frozenset(), [],
                    Inbox[Any](8, Wake()))
    assert day.slow_ns < 6 * NS
    assert day.bound_ns < 8 * NS


def test_what_was_said_before_its_gate_fell_silent_does_not_count_after_it() -> None:
    rule = {"when": [{"model": "motor", "label": "fault", "at_least": 0.5}, {"sensor": "warmth", "above": 30}],
            "then": [{"actuator": "lamp", "set": "on", "follow": True}]}
    motor = {"bundle": "x", "sensors": ["warmth"], "window": {**WINDOW, "hop": 500}}
    story = Story(rule, model={"motor": {**motor, "only_while": [{"sensor": "button", "is": True}]}})
    told = Predicted("motor", Prediction(story.now, {"fault": 0.9}))
    story.feels("button", True)
    story.stage.consume(told, story.now)
    assert acts(story.feels("warmth", 40.0))
    story.wait(2).feels("warmth", 40.0)
    assert story.stage.gated("motor", story.now), "nobody says any more that it may run"
    story.feels("button", True)
    assert not acts(story.feels("warmth", 41.0, age_ms=0)), "the window was given up meanwhile"
    story.wait(0.1).stage.consume(Predicted("motor", Prediction(story.now, {"fault": 0.9})), story.now)
    assert story.stage.rules[0].truth is True


def test_what_a_network_was_made_of_is_known_while_it_is_closed() -> None:
    held = Held(lambda: SimpleNamespace(origin=Origin("abc", find_bundle("vibration-lstm"))))
    assert held.origin is None
    held.open()
    held.close()
    assert held.origin is not None, "a candidate is held against it"
    assert held.origin.sha256 == "abc"


class Failing:
    """A sensor that was heard, and then fails."""

    def __init__(self) -> None:
        self.broken = False

    def read(self, timeout_s: float) -> Reading:
        if self.broken:
            raise DriverError("/dev/fake: gone; plug it in")
        now = time.monotonic_ns()
        return Reading(1.0, now, now)

    def passed_over(self) -> list[Reading]:
        now = time.monotonic_ns()
        return [Reading(0.5, now - MS, now - MS)]

    def close(self) -> None: ...


def test_windows_hear_what_rules_do_not_and_that_a_sensor_failed() -> None:
    device, rules = Failing(), Inbox[Any](8, Wake())
    job = SensorJob("shaking", SensorSettings(driver="x"), lambda: device, rules)
    windows = job.add_reader(Wake(), 8)
    job.open()
    job.step()
    device.broken = True
    with pytest.raises(DriverError):
        job.step()
    assert [item.reading.value for item in rules.drain()] == [1.0]
    heard = [reading.value for reading in windows.drain()]
    assert heard[:2] == [0.5, 1.0]
    assert heard[2] == "/dev/fake: gone; plug it in", "why nothing is known"


def test_a_prediction_counts_for_as_long_as_its_newest_reading_and_until_the_next_is_due() -> None:
    rule = {"when": [{"model": "motor", "label": "fault", "at_least": 0.5}],
            "then": [{"actuator": "lamp", "set": "on", "follow": True}]}
    story = Story(rule, model={"motor": {"bundle": "x", "sensors": ["button", "warmth"], "window": {**WINDOW, "hop": 25}}})
    source = story.stage.sources["model.motor"]
    assert (source.max_age_ns, source.period_ns) == (1_500 * MS, 500 * MS)
    assert source.admits(story.now - 1_500 * MS, story.now)
    assert not source.admits(story.now - 1_501 * MS, story.now)
    assert source.late == 1


@pytest.mark.parametrize(("name", "widths", "length", "words"), [
    ("vibration-conv", (3,), 200, "100"), ("vibration-lstm", (2,), 100, "windows of 100 samples of 3 numbers"),
    ("meter", (3,), 100, "the task regions watches a camera"),
])
def test_a_bundle_that_does_not_fit_the_windows_is_refused(name: str, widths: tuple[int, ...], length: int, words: str) -> None:
    bundle = find_bundle(name)
    options = tasks.load(bundle.task).Options.model_construct(regions=[(0.1, 0.1, 0.1, 0.1)], decimals=0, min_score=None)
    settings = ModelSettings(bundle=name, sensors=("x",)).model_copy(update={"options": options})
    with pytest.raises(ModelError, match=words):
        open_series(bundle, settings, Plan(widths, 100, length, 50, 100), frozenset())
