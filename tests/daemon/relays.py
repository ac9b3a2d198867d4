"""Fake actuators that behave: they hold a level, can fail, can block, and remember each write."""

from __future__ import annotations

import threading
from typing import Any

from reflexd_drivers.base import ActuatorSettings, AfterDeath, DriverError


class Relay:
    """An actuator that does what it is told, unless it is broken."""

    blocking = False
    settled = True

    def __init__(self, safe: float = 0.0) -> None:
        self.safe_level = safe
        self.level = safe
        self.broken = False
        self.stuck_at: float | None = None
        self.trouble = ""
        self.failures = 0
        self.written: list[float] = []

    def set(self, level: float) -> None:
        if self.broken:
            raise DriverError("the relay does not answer; check its wiring")
        self.level = level
        self.written.append(level)

    def safe(self) -> None:
        self.set(self.safe_level)

    def check(self, now: int) -> None:
        if self.stuck_at is not None and self.stuck_at != self.level:
            raise DriverError("the contact does not move; look at the relay")

    def close(self) -> None:
        self.level = self.safe_level

    def after_death(self) -> AfterDeath:
        return None


class SlowRelay(Relay):
    """A relay whose writes wait until the test lets them go on."""

    blocking = True

    def __init__(self, safe: float = 0.0) -> None:
        super().__init__(safe)
        self.may_go_on = threading.Event()
        self.entered = threading.Event()

    def set(self, level: float) -> None:
        self.entered.set()
        self.may_go_on.wait(10)
        super().set(level)


def settings(**more: Any) -> ActuatorSettings:
    return ActuatorSettings.model_validate({"driver": "recorder", "safe": "off", **more})
