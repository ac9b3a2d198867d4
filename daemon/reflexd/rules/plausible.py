"""Whether a number that was read can be true, given the ones before it.

A reading tells that the number lies in [value, value + spread). It is believed when that range meets
what the number can have become since it was last believed: it rises no faster than it may, and falls
only where that is allowed. What is not believed is unknown, and never acted on.
"""

from __future__ import annotations

from typing import ClassVar

from reflexd.config.settings import PlausibleSettings
from reflexd.rules.items import NS
from reflexd_models.base import Prediction


class Plausible:
    """Follows one number."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_value", "_at", "_agreed", "_unit")

    def __init__(self, settings: PlausibleSettings) -> None:
        self._rise_per_ns = settings.max_rise_per_min / (60 * NS)
        self._backwards = settings.backwards
        self._settle = settings.settle
        self._unit = float("inf")
        self.forget()

    def forget(self) -> None:
        """Believe nothing: the next readings have to agree before one counts."""
        self._value: float | None = None
        self._at = 0
        self._agreed = 0

    def judge(self, prediction: Prediction) -> tuple[float | None, str]:
        """Give the believed number, or None and the reason."""
        if prediction.value is None:
            return None, prediction.unsure or "the network gave no number"
        self._unit = min(self._unit, prediction.spread)
        sharp = prediction.spread <= self._unit
        if self._agreed < self._settle:
            return self._begin(prediction, sharp)
        trouble = self._trouble(prediction)
        if trouble:
            return None, trouble
        return self._believe(prediction, sharp), ""

    def _begin(self, prediction: Prediction, sharp: bool) -> tuple[float | None, str]:
        """Wait for enough readings in a row that fit one another."""
        if not sharp:
            return None, "waits for a sharp first reading"
        if self._agreed == 0 or self._trouble(prediction):
            self._value, self._at, self._agreed = prediction.value, prediction.taken_at, 1
        else:
            self._believe(prediction, sharp)
            self._agreed += 1
        if self._agreed < self._settle:
            return None, f"{self._agreed} of {self._settle} first readings agree"
        return self._value, ""

    def _trouble(self, prediction: Prediction) -> str:
        """Say why the reading cannot follow from the believed one; empty when it can."""
        assert self._value is not None, "called after a first reading"
        assert prediction.value is not None, "called with a number"
        reach = self._rise_per_ns * (prediction.taken_at - self._at) + self._unit
        if prediction.value > self._value + reach:
            return f"{prediction.value:g} after {self._value:g} rises too fast"
        low = self._value - reach if self._backwards else self._value
        if prediction.value < low and prediction.value + prediction.spread <= low:     # of a number without a spread, itself
            return f"{prediction.value:g} after {self._value:g} goes backwards"
        return ""

    def _believe(self, prediction: Prediction, sharp: bool) -> float:
        """Take the reading over; a blurred one says only that the number is at least so high.

        Only a sharp one moves the moment from which the number may rise: else each blurred reading
        would shorten the reach of the next sharp one, which had gone on rising all the while.
        """
        assert self._value is not None, "called after a first reading"
        assert prediction.value is not None, "called with a number"
        if sharp:
            self._value, self._at = prediction.value, prediction.taken_at
        else:
            self._value = max(self._value, prediction.value)
        return self._value
