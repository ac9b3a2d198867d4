"""A gpiozero pin on lgpio that never floats an output. Imported only where lgpio is there.

gpiozero 2's own pin claims an input when it is made and an output at level 0 when it becomes one:
a relay that is active at low would pull in for an instant at every start, and one that was left
driven safe would float. This pin claims nothing until it is told what to be.
"""

from __future__ import annotations

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

    def output_with_state(self, state: bool) -> None:
        """Claim the line as an output that starts at that level."""
        handle = self.factory._handle   # noqa: SLF001
        lgpio.gpio_claim_output(handle, self._number, int(state))
        lgpio.gpio_write(handle, self._number, int(state))   # a claim that this process has is not repeated: it sets no level
