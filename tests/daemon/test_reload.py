"""A reload exchanges what differs, in the order safe, release, open, and leaves the rest alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from reflexd.config.settings import Settings
from reflexd.protocol import ControlError
from reflexd.reload import Reloader, ReloadError
from reflexd.verbs import reload, snapshot
from reflexd_drivers.base import SysfsWrite
from tests.daemon.devices import DEVICES, Device
from tests.daemon.test_faults import CONFIG, Devices, Start, both_on
from tests.stopwatch import within

SAFE_FILE = "safe-state.json"


@pytest.fixture
def acting(start: Start, devices: Devices) -> Iterator[Any]:
    """Run a daemon whose two outputs are active, one by the camera and one by the button."""
    DEVICES["horn"] = Device()
    devices["model"].value, devices["sensor"].value = 0.9, True
    daemon = start(CONFIG)
    within(5, lambda: both_on(devices))
    yield daemon
    del DEVICES["horn"]


def changed(section: str, name: str, **keys: Any) -> dict[str, Any]:
    """Give the configuration with some keys of one table changed."""
    return {**CONFIG, section: {**CONFIG[section], name: {**CONFIG[section].get(name, {}), **keys}}}


def reloading(daemon: Any, config: dict[str, Any]) -> threading.Thread:
    """Reload in a thread of its own."""
    def work() -> None:
        with suppress(ReloadError):      # the end of the daemon is what is looked at
            daemon.reload(config)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_an_unchanged_configuration_touches_nothing(acting: Any, devices: Devices) -> None:
    written = len(devices["lamp"].written)
    assert acting.reload(CONFIG) == "nothing changed"
    assert [devices[key].opened for key in ("camera", "model", "sensor", "lamp", "fan")] == [1] * 5
    assert len(devices["lamp"].written) == written
    assert both_on(devices)


def test_what_is_the_same_stays_open_and_active(acting: Any, devices: Devices) -> None:
    told = acting.reload(changed("actuator", "fan", max_on_s=100))
    assert told == "actuators: 0 added, 0 removed, 1 changed"
    assert devices["lamp"].level == 1.0
    assert [level for _, level in devices["lamp"].written] == [1.0], "it was not touched"
    assert [devices[key].opened for key in ("camera", "model", "sensor", "lamp", "fan")] == [1, 1, 1, 1, 2]
    within(2, lambda: both_on(devices))


def test_a_changed_output_is_safe_then_closed_then_opened(acting: Any, devices: Devices) -> None:
    acting.reload({**changed("actuator", "fan", key="horn"), "rule": CONFIG["rule"][:1]})
    assert [level for _, level in devices["fan"].written][-2:] == [1.0, 0.0]
    assert (devices["fan"].closed, devices["fan"].level) == (1, 0.0)
    assert (devices["horn"].opened, devices["horn"].level) == (1, 0.0)
    devices["sensor"].value = False
    time.sleep(0.1)
    assert devices["fan"].closed == 1
    assert acting.stop() == 0
    assert "fan off, safe: a reload closes it" in acting.log()


def test_a_rule_begins_anew_when_its_sensor_changes_and_its_claim_ends(acting: Any, devices: Devices) -> None:
    acting.reload(changed("sensor", "button", max_age_ms=400))
    levels = [level for _, level in devices["fan"].written]
    assert levels[:2] == [1.0, 0.0], "released while the sensor was away"
    within(2, lambda: both_on(devices))
    assert (devices["sensor"].opened, devices["sensor"].closed) == (2, 1)


def test_a_changed_camera_takes_its_network_along_and_nothing_else(acting: Any, devices: Devices) -> None:
    acting.reload(changed("camera", "gate", rate_hz=25))
    assert [devices[key].opened for key in ("camera", "model", "sensor", "lamp", "fan")] == [2, 2, 1, 1, 1]
    assert [level for _, level in devices["fan"].written] == [1.0], "the button's rule went on"
    within(2, lambda: both_on(devices))
    assert acting.status()["cameras"]["gate"]["state"] == "run"


def test_a_network_is_exchanged_while_its_camera_stays_open(acting: Any, devices: Devices) -> None:
    acting.reload(changed("model", "person", bundle="y"))
    assert (devices["camera"].opened, devices["model"].opened) == (1, 2)
    frames = acting.status()["models"]["person"]["predictions"]
    within(2, lambda: acting.status()["models"]["person"]["predictions"] > frames)
    within(2, lambda: both_on(devices))


def test_a_label_that_no_network_watched_has_its_network_loaded_again(acting: Any, devices: Devices) -> None:
    rule = {"name": "cat", "when": [{"model": "person", "label": "cat", "at_least": 0.5}],
            "then": [{"actuator": "fan", "set": "on", "follow": True}], "priority": 1}
    acting.reload({**CONFIG, "rule": [*CONFIG["rule"], rule]})
    assert devices["model"].opened == 2
    acting.reload(CONFIG)
    assert devices["model"].opened == 2, "it watches more than it has to"


def test_devices_are_added_and_removed(acting: Any, devices: Devices) -> None:
    horn = {"driver": "bad-actuator", "key": "horn", "safe": "on"}
    stop = {"driver": "bad-sensor", "key": "stop", "max_age_ms": 300}
    devices["stop"].value = True
    rule = {"name": "hush", "when": [{"sensor": "stop", "is": True}],
            "then": [{"actuator": "horn", "set": "off", "follow": True}]}
    more = {**CONFIG, "actuator": {**CONFIG["actuator"], "horn": horn}, "sensor": {**CONFIG["sensor"], "stop": stop},
            "rule": [*CONFIG["rule"], rule]}
    one = "1 added, 0 removed, 0 changed"
    assert acting.reload(more) == f"sensors: {one}; actuators: {one}; rules: {one}"
    assert both_on(devices)
    within(2, lambda: devices["horn"].written[-1:] != [] and devices["horn"].level == 0.0)
    acting.reload(CONFIG)
    assert devices["horn"].level == 1.0, "its safe level"
    assert (devices["horn"].closed, devices["stop"].closed) == (1, 1)
    assert both_on(devices)
    assert list(acting.status()["outputs"]) == ["lamp", "fan"]


def test_an_output_that_cannot_be_opened_brings_the_old_configuration_back(acting: Any, devices: Devices) -> None:
    devices["horn"].broken = True
    with pytest.raises(ReloadError, match=r"/dev/fake: cannot open.*the old configuration runs again"):
        acting.reload(changed("actuator", "fan", key="horn"))
    assert devices["horn"].level == 0.0
    within(2, lambda: both_on(devices))
    assert [level for _, level in devices["lamp"].written] == [1.0], "what was the same was not touched"
    assert acting.reload(CONFIG) == "nothing changed"


def test_a_camera_that_cannot_be_opened_brings_the_old_one_back(acting: Any, devices: Devices) -> None:
    DEVICES["other"] = Device(broken=True)
    with pytest.raises(ReloadError, match=r"camera.gate: /dev/fake: cannot open.*the old configuration runs again"):
        acting.reload(changed("camera", "gate", key="other"))
    within(2, lambda: both_on(devices))
    assert devices["camera"].opened == 2
    assert acting.status()["state"] == "RUN"
    del DEVICES["other"]


def test_where_neither_can_be_opened_the_process_ends_with_70(acting: Any, devices: Devices) -> None:
    devices["fan"].broken = True
    with pytest.raises(ReloadError):
        acting.reload(changed("actuator", "fan", max_on_s=100))
    assert acting.wait() == 70
    assert devices["lamp"].level == 0.0
    assert "neither the new configuration nor the old one" in acting.log()


def test_a_device_that_hangs_while_it_is_closed_ends_the_process_and_nothing_waits_for_it(
        acting: Any, devices: Devices) -> None:
    devices["sensor"].hangs = threading.Event()
    time.sleep(0.1)      # by then it hangs in a read
    reloading(acting, changed("sensor", "button", key="stop"))
    within(2, lambda: devices["fan"].level == 0.0)
    assert devices["lamp"].level == 1.0
    assert acting.wait() == 70
    assert "sensor.button: a call has not returned" in acting.log()


def test_one_reload_at_a_time(acting: Any, devices: Devices) -> None:
    devices["stop"].hangs = threading.Event()
    thread = reloading(acting, changed("sensor", "button", key="stop"))
    within(2, lambda: devices["stop"].opened == 1)
    with pytest.raises(ReloadError, match="another reload is under way"):
        acting.reload(CONFIG)
    assert devices["lamp"].level == 1.0, "the loop does not wait for it"
    devices["stop"].hangs.set()
    thread.join(5)


def test_a_rest_is_kept_over_a_reload(acting: Any, devices: Devices) -> None:
    acting.reload(changed("actuator", "fan", min_off_s=1))
    began = time.monotonic()
    assert devices["fan"].level == 0.0
    within(3, lambda: devices["fan"].level == 1.0)
    assert time.monotonic() - began > 0.8


def test_a_reload_is_no_way_around_the_bounds_of_a_rule(acting: Any, devices: Devices) -> None:
    press = {**CONFIG["rule"][1], "max_per_hour": 1}
    acting.reload({**CONFIG, "rule": [CONFIG["rule"][0], press]})
    within(2, lambda: both_on(devices))
    acting.reload({**changed("sensor", "button", max_age_ms=400), "rule": [CONFIG["rule"][0], press]})
    time.sleep(0.3)
    assert devices["fan"].level == 0.0, "it has acted once in this hour"
    acting.reload({**CONFIG, "rule": [CONFIG["rule"][0], {**press, "max_per_hour": 2}]})
    within(2, lambda: both_on(devices))


def test_dry_run_is_taken_over_with_every_output_safe_first(acting: Any, devices: Devices) -> None:
    acting.reload({**CONFIG, "daemon": {"dry_run": True}})
    assert devices["lamp"].opened == 1
    assert (devices["lamp"].level, devices["fan"].level) == (0.0, 0.0)
    time.sleep(0.2)
    assert (devices["lamp"].level, devices["fan"].level) == (0.0, 0.0)
    acting.reload(CONFIG)
    within(2, lambda: both_on(devices))


def test_what_only_a_start_can_change_is_refused_whole(acting: Any, devices: Devices) -> None:
    with pytest.raises(ReloadError, match=r"\[daemon\] state_dir; that needs a restart"):
        acting.reload({**changed("actuator", "fan", key="horn"), "daemon": {"state_dir": "/elsewhere"}})
    assert devices["horn"].opened == 0


def test_a_stop_that_is_added_keeps_outputs_safe_until_it_is_known_and_lifted_it_counts_no_more(
        acting: Any, devices: Devices) -> None:
    devices["stop"].value = True
    stop = {"stop": {"driver": "bad-sensor", "key": "stop", "max_age_ms": 300}}
    acting.reload({**CONFIG, "sensor": {**CONFIG["sensor"], **stop}, "safety": {"stop": {"sensor": "stop", "is": True}}})
    within(1, lambda: not devices["lamp"].level and not devices["fan"].level)
    assert acting.status()["state"] == "SAFE"
    acting.reload(CONFIG)
    within(2, lambda: both_on(devices))
    assert acting.status()["inhibited"] == {}


def test_a_write_that_fails_while_an_output_is_let_go_keeps_everything_safe(acting: Any, devices: Devices) -> None:
    devices["fan"].broken = True
    devices["fan"].unclosable = True
    with pytest.raises(ReloadError):
        acting.reload(changed("actuator", "fan", key="horn"))
    assert "latched" in acting.status()["inhibited"]
    assert devices["lamp"].level == 0.0


def test_until_the_new_stands_both_are_left_for_the_time_after_a_death(
        start: Start, devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))

    def relay(pin: str, active: str) -> dict[str, Any]:
        return {"driver": "gpio-output", "pin": pin, "safe": "off", "active": active, "factory": "mock", "chip": "pinctrl-rp1"}

    def left() -> list[tuple[str, int, bool]]:
        return [(one["name"], one["line"], one["high"]) for one in json.loads((tmp_path / SAFE_FILE).read_text())["outputs"]]

    plain = {key: CONFIG[key] for key in ("sensor",)}
    daemon = start({**plain, "actuator": {"lamp": relay("GPIO17", "high"), "fan": relay("GPIO27", "high")}})
    daemon.reload({**plain, "actuator": {"lamp": relay("GPIO17", "low"), "fan": relay("GPIO22", "high")}})
    assert left() == [("lamp", 17, True), ("fan", 22, False)]

    devices["lamp"].hangs = threading.Event()
    thread = reloading(daemon, {
        **plain, "actuator": {"fan": relay("GPIO22", "low"), "lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"}}})
    within(2, lambda: devices["lamp"].opened == 1)
    assert left() == [("lamp", 17, True), ("fan", 22, False)], "the old ones, while the new ones open"
    devices["lamp"].hangs.set()
    thread.join(5)
    assert left() == [("fan", 22, True)]

    devices["stop"].hangs = threading.Event()
    more = {"stop": {"driver": "bad-sensor", "key": "stop"}}
    thread = reloading(daemon, {
        "sensor": {**plain["sensor"], **more}, "actuator": {"fan": relay("GPIO23", "low")}})
    within(2, lambda: devices["stop"].opened == 1)
    within(2, lambda: left() == [("fan", 23, True)])
    devices["stop"].hangs.set()
    thread.join(5)


def test_a_partner_waits_until_what_a_reload_lets_go_is_safe(start: Start, devices: Devices) -> None:
    def motor(driver: str, key: str) -> dict[str, Any]:
        return {"driver": driver, "key": key, "safe": "off", "interlock": "motor"}

    def rule(name: str, priority: int) -> dict[str, Any]:
        return {"name": name, "when": [{"sensor": "button", "is": True}], "priority": priority,
                "then": [{"actuator": name, "set": "on", "follow": True}]}

    fan, rules = motor("bad-actuator", "fan"), [rule("fan", 0), rule("lamp", 1)]
    devices["sensor"].value = True
    daemon = start({"sensor": CONFIG["sensor"], "actuator": {"fan": fan, "lamp": motor("slow-actuator", "lamp")}, "rule": rules})
    within(5, lambda: devices["lamp"].level == 1.0)
    devices["lamp"].hangs = threading.Event()
    reloading(daemon, {"sensor": CONFIG["sensor"], "actuator": {"fan": fan}, "rule": rules[:1]})
    within(2, lambda: "lamp" not in daemon.daemon.loop.outputs.outputs)
    time.sleep(0.1)
    assert (devices["lamp"].level, devices["fan"].level) == (1.0, 0.0), "never both"
    devices["lamp"].hangs.set()
    within(1, lambda: devices["fan"].level == 1.0)
    assert devices["lamp"].level == 0.0


def test_a_stop_waits_for_what_a_reload_is_letting_go(start: Start, devices: Devices) -> None:
    lamp = {"driver": "slow-actuator", "key": "lamp", "safe": "off"}
    devices["model"].value = 0.9
    daemon = start({**CONFIG, "actuator": {**CONFIG["actuator"], "lamp": lamp}})
    within(5, lambda: devices["lamp"].level == 1.0)
    devices["lamp"].hangs = threading.Event()
    reloading(daemon, CONFIG)
    within(2, lambda: "lamp" not in daemon.daemon.loop.outputs.outputs)
    threading.Timer(0.15, devices["lamp"].hangs.set).start()
    assert daemon.stop() == 0
    assert devices["lamp"].level == 0.0


def test_what_no_driver_may_raise_ends_the_process(acting: Any, devices: Devices) -> None:
    devices["horn"].bug = True
    with pytest.raises(ReloadError, match="programming error"):
        acting.reload(changed("actuator", "fan", key="horn"))
    assert acting.wait() == 70
    assert devices["lamp"].level == 0.0
    assert "a reload: programming error: AttributeError" in acting.log()


def test_an_output_that_did_not_become_safe_stays_guarded_after_its_removal(
        start: Start, devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    devices["sensor"].value, devices["fan"].after_death = True, SysfsWrite("/sys/fan", "0")
    daemon = start(CONFIG)
    within(5, lambda: devices["fan"].level == 1.0)
    devices["fan"].broken = devices["fan"].unclosable = True
    with pytest.raises(ReloadError, match="kept safe until a restart"):
        daemon.reload({**CONFIG, "actuator": {"lamp": CONFIG["actuator"]["lamp"]}, "rule": CONFIG["rule"][:1]})
    assert [one["path"] for one in json.loads((tmp_path / SAFE_FILE).read_text())["outputs"]] == ["/sys/fan"]


def test_a_snapshot_whose_camera_a_reload_removes_says_so(acting: Any, devices: Devices) -> None:
    said: list[str] = []

    def look() -> None:
        with suppress(TimeoutError):
            try:
                snapshot(acting.daemon.observer, {})
            except ControlError as error:
                said.append(str(error))

    import_module("reflexd.picture")       # else it is loaded in the thread, which may take longer than the reload
    devices["camera"].silent = True
    within(2, lambda: devices["lamp"].level == 0.0)
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    time.sleep(0.3)
    acting.reload({key: CONFIG[key] for key in ("sensor", "actuator")} | {"rule": CONFIG["rule"][1:]})
    thread.join(5)
    assert said == ["camera.gate gave no frame within 1.5 s: a reload closed it; ask again"]


def test_a_mistake_of_ours_while_files_are_read_leaves_the_old_configuration_alone(acting: Any, devices: Devices) -> None:
    def broken() -> Settings:
        raise KeyError("a mistake of ours")

    with pytest.raises(ReloadError, match=r"programming error: KeyError.*the old configuration runs on, see the log"):
        reload(acting.daemon.observer, Reloader(broken, acting.read(), acting.daemon))
    assert both_on(devices)
    acting.stop()
    assert "programming error: KeyError" in acting.log()
