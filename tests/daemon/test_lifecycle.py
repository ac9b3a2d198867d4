"""Every way out leaves the outputs safe, an error of our own included."""

from __future__ import annotations

from typing import Any

from tests.daemon.devices import Device
from tests.daemon.test_faults import CONFIG, Start
from tests.stopwatch import Stopwatch, within


def test_an_error_in_the_loop_itself_makes_everything_safe_and_ends_with_70(start: Start, devices: dict[str, Device]) -> None:
    devices["model"].value, devices["sensor"].value = 0.9, True
    daemon: Any = start(CONFIG)
    within(5, lambda: devices["lamp"].level == devices["fan"].level == 1.0)

    def broken(*_: Any) -> Any:
        raise KeyError("a mistake of ours")

    daemon.daemon.loop.stage.consume = broken
    with Stopwatch() as took:
        assert daemon.wait(5) == 70
    assert took.seconds < 1.5
    assert [devices["lamp"].level, devices["fan"].level] == [0.0, 0.0]
    assert "programming error: KeyError('a mistake of ours')" in daemon.log()


def test_a_driver_whose_safe_raises_what_no_driver_may_keeps_no_other_output_from_its_safe_level(
        start: Start, devices: dict[str, Device]) -> None:
    devices["model"].value, devices["sensor"].value = 0.9, True
    daemon: Any = start(CONFIG)
    within(5, lambda: devices["lamp"].level == devices["fan"].level == 1.0)
    devices["lamp"].bug = True       # the first of the two that are set safe on the way out
    devices["camera"].broken = True
    assert daemon.wait(5) == 70
    assert devices["fan"].level == 0.0
    assert "lamp may not be safe" in daemon.log()


def test_a_blocking_actuator_is_set_safe_after_a_mistake_of_its_driver(start: Start, devices: dict[str, Device]) -> None:
    fan = {"driver": "slow-actuator", "key": "fan", "safe": "off"}
    devices["sensor"].value = True
    daemon: Any = start({**CONFIG, "actuator": {**CONFIG["actuator"], "fan": fan}})
    within(5, lambda: devices["fan"].level == 1.0)
    devices["fan"].bug = True
    devices["sensor"].value = False
    assert daemon.wait(5) == 70
    assert devices["fan"].level == 0.0, "its worker is gone: nobody else would drive it"


def test_a_blocking_actuator_that_refuses_its_safe_level_on_the_way_out_is_named(
        start: Start, devices: dict[str, Device]) -> None:
    fan = {"driver": "slow-actuator", "key": "fan", "safe": "off"}
    devices["sensor"].value = True
    daemon: Any = start({**CONFIG, "actuator": {**CONFIG["actuator"], "fan": fan}})
    within(5, lambda: devices["fan"].level == 1.0)
    devices["fan"].broken = True
    assert daemon.stop() == 0
    assert "fan may not be safe: /dev/fake: cannot write" in daemon.log()
