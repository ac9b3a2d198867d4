"""A module that measures distances: it answers a trigger of 10 µs with an echo of the right length, stamped as a kernel would."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

from reflexd_drivers import gpio
from reflexd_drivers.sensors.distance import speed_of_sound

from .storm import Storm

DELAY_NS = 450_000      # until eight periods of 40 kHz are out


class Module:
    """What stands `metres` before it; None: nothing."""

    def __init__(self, metres: float | None = None) -> None:
        self.metres = metres
        self.triggers = 0
        self.line = Storm()
        self.chip = f"module-{id(self)}"
        self._number = 0
        module = self

        class Trigger(MockPin):   # type: ignore[misc]  # gpiozero has no types
            """The pin that the module listens to."""

            risen_at = 0

            def _set_state(self, value: bool) -> None:
                super()._set_state(value)
                if value:
                    self.risen_at = monotonic_ns()
                    return
                lasted, self.risen_at = monotonic_ns() - self.risen_at, 0
                if 10_000 <= lasted < 1_000_000_000:
                    module.answer()

        self.line.close()     # a new one is made each time that somebody listens
        gpio._headers["mock", self.chip] = gpio.Header(MockFactory(pin_class=Trigger), self.chip, lambda _line: "", self._listen)

    def _listen(self, _factory: object, name: str, _pull: object, _debounce_s: float) -> Any:
        self.line, self._number = Storm(), 0
        return self.line.edges(name)

    def answer(self) -> None:
        """Sound, and hold the echo line high until the sound would be back."""
        self.triggers += 1
        if self.metres is not None:
            begins = monotonic_ns() + DELAY_NS
            travels = round(2 * self.metres / speed_of_sound(20) * 1e9)
            for rising, at in ((True, begins), (False, begins + travels)):
                self._number += 1
                self.line.edge(self._number, rising, at)
