"""Faults of devices and networks in the whole daemon: what depends on them goes safe, the rest works on."""

from __future__ import annotations

import os
import pty
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from reflexd_drivers import gpio
from tests.daemon.devices import Device
from tests.stopwatch import Stopwatch, within

CONFIG: dict[str, Any] = {
    "camera": {"gate": {"driver": "bad-camera", "key": "camera", "rate_hz": 50, "max_age_ms": 500}},
    "model": {"person": {"bundle": "x", "camera": "gate"}},
    "sensor": {"button": {"driver": "bad-sensor", "key": "sensor", "max_age_ms": 300}},
    "actuator": {
        "lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"},
        "fan": {"driver": "bad-actuator", "key": "fan", "safe": "off"},
    },
    "rule": [
        {"name": "see", "when": [{"model": "person", "label": "person", "at_least": 0.5}],
         "then": [{"actuator": "lamp", "set": "on", "for_s": 60}]},
        {"name": "press", "when": [{"sensor": "button", "is": True}], "then": [{"actuator": "fan", "set": "on", "follow": True}]},
    ],
}
Start = Callable[[dict[str, Any]], Any]
Devices = dict[str, Device]


def both_on(devices: Devices) -> bool:
    return devices["lamp"].level == 1.0 and devices["fan"].level == 1.0


@pytest.fixture
def acting(start: Start, devices: Devices) -> Any:
    """A daemon whose two outputs are active, one by the camera and one by the button."""
    devices["model"].value, devices["sensor"].value = 0.9, True
    daemon = start(CONFIG)
    within(5, lambda: both_on(devices))
    return daemon


def fan_works_on(devices: Devices) -> None:
    """The button's own arc answers at once."""
    devices["sensor"].value = False
    within(0.5, lambda: devices["fan"].level == 0.0)
    devices["sensor"].value = True
    within(0.5, lambda: devices["fan"].level == 1.0)


@pytest.mark.fault("F03", bound="200 ms or 3 periods",
                   outcome="degraded, the rest works on; after 2 s the process leaves, everything safe")
def test_f03_a_camera_whose_read_never_returns(acting: Any, devices: Devices) -> None:
    devices["camera"].hangs = threading.Event()
    within(0.5, lambda: devices["lamp"].level == 0.0)     # 200 ms are allowed to notice, the rest is this machine's noise
    fan_works_on(devices)
    assert "a call does not return" in acting.status()["cameras"]["gate"]["why"]
    assert acting.wait(5) == 70, "a thread cannot be ended: the process leaves, and the service manager starts it anew"
    assert devices["fan"].level == 0.0
    assert "camera.gate: a call has not returned for" in acting.log()


@pytest.mark.fault("F05", bound="1 s at a stop", outcome="everything safe, then the process leaves without it")
def test_f05_a_camera_whose_close_blocks_keeps_no_stop_waiting(acting: Any, devices: Devices) -> None:
    devices["camera"].closes_never = threading.Event()
    began = time.monotonic()
    assert acting.stop() == 0
    assert time.monotonic() - began < 1.5     # one is the bound, the rest this machine's noise
    assert devices["camera"].closed == 1
    assert devices["lamp"].level == devices["fan"].level == 0.0
    devices["camera"].closes_never.set()


@pytest.mark.fault("F05", bound="2 s", outcome="degraded, then the process leaves, everything safe")
def test_f05_a_camera_that_was_unplugged_and_whose_close_blocks_is_given_up(acting: Any, devices: Devices) -> None:
    devices["camera"].closes_never = threading.Event()
    devices["camera"].broken = True
    within(0.5, lambda: devices["lamp"].level == 0.0)
    fan_works_on(devices)
    assert acting.wait(5) == 70
    assert devices["fan"].level == 0.0
    devices["camera"].closes_never.set()


def test_a_camera_that_falls_silent_and_speaks_again(acting: Any, devices: Devices) -> None:
    devices["camera"].silent = True
    within(0.6, lambda: devices["lamp"].level == 0.0)
    fan_works_on(devices)
    assert acting.status()["cameras"]["gate"]["state"] == "degraded"
    devices["camera"].silent = False
    within(1, lambda: devices["lamp"].level == 1.0)


@pytest.mark.fault("F01", bound="1 s", outcome="degraded; back by itself once it is plugged in")
def test_f01_a_camera_unplugged_and_back(acting: Any, devices: Devices) -> None:
    devices["camera"].broken = True
    within(0.5, lambda: devices["lamp"].level == 0.0)
    fan_works_on(devices)
    within(1, lambda: devices["camera"].opened >= 2)
    devices["camera"].broken = False
    within(5, lambda: devices["lamp"].level == 1.0)
    assert devices["camera"].closed >= 1
    acting.stop()
    log = acting.log()
    assert log.count("camera.gate: degraded: /dev/fake: cannot read") == 1, "once in ..."
    assert log.count("camera.gate: run") == 2, "... and once out"


def test_a_sensor_unplugged_and_back(acting: Any, devices: Devices) -> None:
    devices["sensor"].broken = True
    within(0.5, lambda: devices["fan"].level == 0.0)
    assert devices["lamp"].level == 1.0
    devices["sensor"].broken = False
    within(5, lambda: devices["fan"].level == 1.0)


def test_a_device_that_is_gone_and_cannot_be_closed_either_is_opened_again(acting: Any, devices: Devices) -> None:
    devices["sensor"].unclosable = True
    devices["sensor"].broken = True
    within(0.5, lambda: devices["fan"].level == 0.0)
    assert devices["lamp"].level == 1.0, "the camera's own arc works on"
    devices["sensor"].broken = False
    within(5, lambda: devices["fan"].level == 1.0)


def test_a_network_that_fails_is_loaded_again(acting: Any, devices: Devices) -> None:
    devices["model"].broken = True
    within(0.5, lambda: devices["lamp"].level == 0.0)
    fan_works_on(devices)
    assert "the output is not a number" in acting.status()["models"]["person"]["why"]
    devices["model"].broken = False
    within(5, lambda: devices["lamp"].level == 1.0)
    assert devices["model"].opened >= 2


@pytest.mark.parametrize("broken", ["camera", "model", "sensor"])
def test_a_programming_error_makes_everything_safe_and_ends_the_process(acting: Any, devices: Devices, broken: str) -> None:
    devices[broken].bug = True
    assert acting.wait(3) == 70
    assert [devices["lamp"].level, devices["fan"].level] == [0.0, 0.0]
    assert "programming error" in acting.log()


@pytest.mark.fault("F51", bound="the lease", outcome="its output safe, the others work on; back by itself")
def test_a_network_that_never_returns_leaves_the_rest_alone(acting: Any, devices: Devices) -> None:
    devices["model"].hangs = threading.Event()
    within(2, lambda: devices["lamp"].level == 0.0)
    fan_works_on(devices)
    devices["model"].hangs.set()
    devices["model"].hangs = None
    within(3, lambda: devices["lamp"].level == 1.0)


@pytest.mark.fault("F26", bound="at once", outcome="every output safe until somebody looks: latched")
def test_f26_a_write_that_fails_makes_everything_safe(acting: Any, devices: Devices) -> None:
    devices["fan"].broken = True
    devices["sensor"].value = False
    within(0.5, lambda: devices["lamp"].level == 0.0)
    assert acting.status()["state"] == "SAFE"
    devices["fan"].broken = False
    within(1, lambda: devices["fan"].level == 0.0)


def serial_config(port: str) -> dict[str, Any]:
    relay = {"driver": "serial-relay", "port": port, "safe": "off"}
    rule = {"name": "talk", "when": [{"model": "person", "label": "person", "at_least": 0.5}],
            "then": [{"actuator": "talker", "set": "on", "follow": True}]}
    return {**CONFIG, "actuator": {**CONFIG["actuator"], "talker": relay}, "rule": [*CONFIG["rule"], rule]}


def test_a_serial_actuator_that_blocks_keeps_nobody_waiting(start: Start, devices: Devices) -> None:
    devices["model"].value = 0.9
    master, slave = pty.openpty()          # nobody reads: a write blocks when the line's buffer is full
    daemon = start(serial_config(os.ttyname(slave)))
    within(5, lambda: bool(daemon.status()["outputs"]["talker"]["active"]))
    fan_works_on(devices)
    assert daemon.wait(6) == 70, "the write never returned"
    assert [devices["lamp"].level, devices["fan"].level] == [0.0, 0.0]
    os.close(master)
    os.close(slave)


def test_a_blocking_actuator_gets_the_last_command_and_safe_goes_first(start: Start, devices: Devices) -> None:
    config = {**CONFIG, "actuator": {**CONFIG["actuator"], "fan": {"driver": "slow-actuator", "key": "fan", "safe": "off"}}}
    daemon = start(config)
    within(5, lambda: devices["camera"].opened > 0)
    devices["fan"].hangs = threading.Event()
    for pressed in (True, False):
        devices["sensor"].value = pressed
        within(5, lambda pressed=pressed: daemon.status()["outputs"]["fan"]["active"] is pressed)
        time.sleep(0.1)          # so that its worker is in the call
    devices["fan"].hangs.set()
    within(5, lambda: [level for _, level in devices["fan"].written] == [1.0, 0.0])
    assert daemon.status()["outputs"]["fan"]["active"] is False


def test_the_partner_of_a_blocking_actuator_goes_on_as_soon_as_that_one_is_safe(start: Start, devices: Devices) -> None:
    pair = {name: {"driver": "slow-actuator", "key": name, "safe": "off", "interlock": "motor"} for name in ("lamp", "fan")}
    quiet = {"driver": "bad-sensor", "max_age_ms": 60_000}
    daemon = start({"sensor": {"up": {**quiet, "key": "sensor"}, "down": {**quiet, "key": "stop"}}, "actuator": pair, "rule": [
        {"name": "up", "when": [{"sensor": "up", "changed": True}], "then": [{"actuator": "lamp", "set": "on", "for_s": 60}]},
        {"name": "down", "when": [{"sensor": "down", "changed": True}], "priority": 1,
         "then": [{"actuator": "fan", "set": "on", "for_s": 60}]},
    ]})
    for name in ("up", "down"):      # a change is a change from something
        within(5, lambda name=name: daemon.status()["sensors"][name].get("value") is False)
    devices["sensor"].value = True
    within(1, lambda: devices["lamp"].level == 1.0)
    devices["stop"].value = True
    within(1, lambda: devices["fan"].level == 1.0)
    assert devices["lamp"].level == 0.0


STOP = {"safety": {"stop": {"sensor": "stop", "is": True}},
        "sensor": {**CONFIG["sensor"], "stop": {"driver": "bad-sensor", "key": "stop", "max_age_ms": 300}}}


def test_a_stop_input_keeps_every_output_safe(start: Start, devices: Devices) -> None:
    devices["model"].value, devices["sensor"].value, devices["stop"].value = 0.9, True, True
    daemon = start({**CONFIG, **STOP})
    within(5, lambda: daemon.status()["rules"]["see"]["truth"] is True or daemon.status()["decided"] > 5)
    assert not devices["lamp"].written or all(level == 0.0 for _, level in devices["lamp"].written)
    devices["stop"].value = False
    within(1, lambda: both_on(devices))
    devices["stop"].value = True
    within(0.3, lambda: devices["lamp"].level == devices["fan"].level == 0.0)


def test_a_stop_input_that_is_unplugged_counts_as_pressed(start: Start, devices: Devices) -> None:
    devices["model"].value, devices["sensor"].value = 0.9, True
    start({**CONFIG, **STOP})
    within(5, lambda: both_on(devices))
    devices["stop"].broken = True
    within(0.5, lambda: devices["lamp"].level == devices["fan"].level == 0.0)


def test_a_required_camera_whose_network_rests_keeps_nothing_safe(start: Start, devices: Devices) -> None:
    camera = {"gate": {**CONFIG["camera"]["gate"], "required": True}}
    gated = {"person": {"bundle": "x", "camera": "gate", "only_while": [{"sensor": "button", "is": False}]}}
    devices["sensor"].value = True
    start({**CONFIG, "camera": camera, "model": gated})
    within(5, lambda: devices["fan"].level == 1.0)
    devices["camera"].broken = True
    within(0.5, lambda: devices["fan"].level == 0.0)


def test_a_clean_stop_leaves_everything_safe_within_a_second(acting: Any, devices: Devices) -> None:
    with Stopwatch() as took:
        assert acting.stop() == 0
    assert took.seconds < 1.0
    assert [devices["lamp"].level, devices["fan"].level] == [0.0, 0.0]
    assert devices["lamp"].closed == 1


@pytest.mark.fault("F27", bound="sense_within_ms and 50 ms", outcome="every output safe for good, told with its pins")
def test_f27_a_relay_that_does_not_follow_makes_everything_safe(start: Start, devices: Devices) -> None:
    header = gpio.open_header("mock", "world")
    pins = {"factory": "mock", "chip": "world"}
    devices["sensor"].value = True
    press = [{"sensor": "button", "is": True}]
    daemon = start({
        "sensor": CONFIG["sensor"],
        "actuator": {
            "valve": {"driver": "gpio-output", "pin": "GPIO17", "safe": "off", "sense_pin": "GPIO27", "sense_within_ms": 2000,
                      **pins},
            "glow": {"driver": "pwm", "pin": "GPIO18", "safe": "off", **pins},
            "fan": CONFIG["actuator"]["fan"],
        },
        "rule": [{"name": "press", "when": press, "then": [{"actuator": "valve", "set": "on", "follow": True},
                                                           {"actuator": "glow", "set": 0.4, "follow": True},
                                                           {"actuator": "fan", "set": "on", "follow": True}]}],
    })
    within(5, lambda: devices["fan"].level == 1.0 and header.factory.pin("GPIO17").state is True)
    header.factory.pin("GPIO27").drive_high()
    assert header.factory.pin("GPIO18").share == 0.4
    header.factory.pin("GPIO27").drive_low()      # welded open, or its supply is gone
    within(5, lambda: devices["fan"].level == 0.0)
    assert (header.factory.pin("GPIO17").state, header.factory.pin("GPIO18").share) == (False, 0.0)
    time.sleep(0.3)
    assert devices["fan"].level == 0.0, "for good"
    assert "GPIO27 has seen it off" in daemon.status()["inhibited"]["latched"]
    assert daemon.stop() == 0
    said = daemon.log()
    assert "actuator valve was not followed: GPIO17: it is driven on, and GPIO27 has seen it off for more than 2000 ms" in said
    assert "actuator.glow: run: GPIO18 by software, since the kernel shows no hardware for pulses" in said
