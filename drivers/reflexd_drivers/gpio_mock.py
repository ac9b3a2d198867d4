"""A gpiozero mock pin that also takes pulses. Imported only where pins are simulated."""

from __future__ import annotations

from gpiozero.pins.mock import MockPin


class PulsePin(MockPin):   # type: ignore[misc]  # gpiozero has no types
    """Remembers what pulses it was told to give; its state is that of a line that gives none."""

    frequency_hz = 0.0
    share: float | None = None     # of each period that is high; None while there are no pulses

    def pulse(self, frequency_hz: float, share: float) -> None:
        """Give pulses from now on."""
        self.frequency_hz, self.share = frequency_hz, share

    def still(self, state: bool) -> None:
        """Give no more pulses, and stay at a level."""
        self.share = None
        self.state = state
