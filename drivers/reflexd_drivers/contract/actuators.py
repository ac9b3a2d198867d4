"""The promises of actuators: at the safe level whenever nobody asks for another."""

from __future__ import annotations

from statistics import median
from time import monotonic
from typing import Any, ClassVar

import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import DriverError
from reflexd_drivers.contract.common import Contract, settle
from reflexd_drivers.contract.scenario import Scenario
from reflexd_drivers.contract.traces import within

GONE_S = 2.0     # how soon a write says that the device is gone
QUICK_S = 0.01   # what an actuator may take that gets no worker of its own; the loop waits for it


class ActuatorContract(Contract):
    """What an actuator promises."""

    kind: ClassVar[registry.Kind] = "actuator"

    def use(self, case: Scenario, device: Any) -> None:   # noqa: ANN401
        """Drive both levels, and leave the safe one."""
        for level in (1.0, 0.0):
            device.set(level)
            settle(device)
            assert case.level() == pytest.approx(level, abs=0.01)
        device.safe()
        settle(device)

    def failure(self, case: Scenario, device: Any) -> DriverError:   # noqa: ANN401
        """Write until it says that the device is gone."""
        until = monotonic() + GONE_S
        while monotonic() < until:
            try:
                within(GONE_S, lambda: device.set(1.0))
                settle(device)
            except DriverError as error:
                return error
        pytest.fail(f"the device has been gone for {GONE_S:g} s, and no write said so")

    @pytest.mark.parametrize("safe", ["on", "off"])
    def test_it_is_at_its_safe_level_after_connect_and_after_close(self, case: Scenario, safe: str) -> None:
        case.table["safe"] = safe
        want = float(safe == "on")
        device = case.open(self.kind)
        assert case.level() == pytest.approx(want, abs=0.01), "connect() leaves it at its safe level"
        self.drive(case, device, 1 - want)
        device.safe()
        settle(device)
        assert case.level() == pytest.approx(want, abs=0.01), "safe() drives the safe level"
        self.drive(case, device, 1 - want)
        device.close()
        assert case.level() == pytest.approx(want, abs=0.01), "close() leaves it driven at its safe level"
        with pytest.raises(DriverError):
            device.set(1.0)

    def drive(self, case: Scenario, device: Any, level: float) -> None:   # noqa: ANN401
        """Drive a level, and see that the device follows."""
        device.set(level)
        settle(device)
        assert case.level() == pytest.approx(level, abs=0.01), "set() drives the level"

    def test_settings_say_whether_something_sets_the_safe_level_after_a_death(self, case: Scenario) -> None:
        device = case.open(self.kind)
        settings: Any = case.driver(self.kind).Settings
        told = device.after_death()
        device.close()
        assert settings.guarded is (told is not None)

    def test_one_that_may_block_says_so(self, case: Scenario) -> None:
        device = case.open(self.kind)
        taken = []
        for count in range(21):
            began = monotonic()
            device.set(float(count % 2))
            taken.append(monotonic() - began)
        device.close()
        assert isinstance(device.blocking, bool)
        assert device.blocking or median(taken) < QUICK_S, "set() takes long: say blocking = True"
