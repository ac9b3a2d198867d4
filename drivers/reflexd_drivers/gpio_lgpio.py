"""A gpiozero pin on lgpio that never floats an output. Imported only where lgpio is there.

gpiozero 2's own pin claims an input when it is made and an output at level 0 when it becomes one:
a relay that is active at low would pull in for an instant at every start, and one that was left
driven safe would float. This pin claims nothing until it is told what to be.
"""

from __future__ import annotations

from time import sleep
from typing import Any

import lgpio
from gpiozero.pins.lgpio import LGPIOPin
from gpiozero.pins.local import LocalPiPin


class DirectPin(LGPIOPin):   # type: ignore[misc]  # gpiozero has no types
    """Goes from whatever it was to an output at the wanted level, in one request to the kernel."""

    def __init__(self, factory: Any, info: Any) -> None:   # noqa: ANN401
        LocalPiPin.__init__(self, factory, info)   # past the parent, which would claim an input
        self._pwm = None
        self._bounce = None
        self._callback = None
        self._edges = lgpio.BOTH_EDGES
        self.frequency_hz = 1.0      # of pulses, once there were any

    def output_with_state(self, state: bool) -> None:
        """Claim the line as an output that starts at that level."""
        handle = self.factory._handle   # noqa: SLF001
        lgpio.gpio_claim_output(handle, self._number, int(state))
        lgpio.gpio_write(handle, self._number, int(state))   # a claim that this process has is not repeated: it sets no level

    def pulse(self, frequency_hz: float, share: float) -> None:
        """Give pulses from now on, in steps of 0.001 %; gpiozero's own way takes whole percents."""
        lgpio.tx_pwm(self.factory._handle, self._number, frequency_hz, share * 100)   # noqa: SLF001
        self.frequency_hz = frequency_hz

    def still(self, state: bool) -> None:
        """Give no more pulses, and stay at a level.

        lgpio stops between two periods: by then the last of them has to be at that level, or its end would be written over.
        """
        lgpio.tx_pwm(self.factory._handle, self._number, self.frequency_hz, 100.0 * state)   # noqa: SLF001
        sleep(2 / self.frequency_hz)
        lgpio.tx_pwm(self.factory._handle, self._number, 0, 0)   # noqa: SLF001
        lgpio.gpio_write(self.factory._handle, self._number, int(state))   # noqa: SLF001
