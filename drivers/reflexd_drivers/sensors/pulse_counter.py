"""Pulses at a pin: the reed contact of a water meter, a wind gauge, the light of an electricity meter.

The value is what was counted since this opening, or how fast it goes. Each pulse is counted by the kernel's own number of it, so
none is lost to a slow reader; what comes faster than the device can turn is noise, and never becomes a value.
"""

from __future__ import annotations

from collections import deque
from math import inf
from time import monotonic_ns
from typing import Literal

from pydantic import Field

from reflexd_drivers.base import Reading, SensorSettings, SilentError, ValueKind
from reflexd_drivers.gpio import Header, InputKeys, open_header
from reflexd_drivers.gpio_edges import TRUSTED_NS

NS = 1_000_000_000


class Settings(InputKeys, SensorSettings):
    """What the configuration says of a pulse-counter."""

    value: Literal["count", "rate"] = Field(default="count", description='"count" since the opening, or "rate" a second')
    active: Literal["high", "low"] = Field(default="low", description="level that begins a pulse")
    per_pulse: float = Field(default=1, gt=0, le=1e9, description="what one pulse stands for, as 0.001 for a litre in m³")
    window_s: float = Field(default=10, ge=0.1, le=3600, description="a rate is taken over that time; 0 without a pulse in it")
    max_rate_hz: float = Field(default=1000, gt=0, le=100_000, description="pulses a second that can be true; more are noise")

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "number"

    @property
    def bounds(self) -> tuple[float, float]:
        """Say that nothing is counted backwards."""
        return 0.0, inf


class Rate:
    """How fast pulses come, from when they came; time is an argument."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._seen: deque[tuple[int, int]] = deque(maxlen=4096)    # when, and how many had been counted by then

    def note(self, at: int, count: int) -> None:
        """Take over how many there were when the last one came."""
        self._seen.append((at, count))

    def between(self, now: int) -> float:
        """Give the pulses a second between the first and the last in the window; 0 where there are not two."""
        while self._seen and now - self._seen[0][0] > self._window_ns:
            self._seen.popleft()
        if len(self._seen) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) * NS / max(last_at - first_at, 1)

    def per_second(self, now: int) -> float:
        """Give the pulses a second: as between them, and no more than the pause since the last allows."""
        between = self.between(now)
        return min(between, NS / max(now - self._seen[-1][0], 1)) if between else 0.0


class PulseCounter:
    """A pin whose pulses are counted."""

    def __init__(self, settings: Settings, header: Header) -> None:
        self._settings = settings
        self._high = settings.active == "high"
        self._edges = header.listen(settings.pin, "an open pulse-counter", settings.pull, settings.debounce_ms / 1000)
        self._rate = Rate(round(settings.window_s * NS))
        self._seen = 0               # pulses that were looked at, noise included
        self._count = self._noise = 0
        self._second: deque[tuple[int, int]] = deque()    # the looks of the last second, and what each brought
        self._reading = Reading(0.0, 0, monotonic_ns())
        self._told = False

    def counters(self) -> dict[str, int]:
        """Count edges and storms, and pulses that came too fast to be true."""
        return {**self._edges.counters(), "noise": self._noise}

    def read(self, timeout_s: float) -> Reading:
        """Give the count or the rate as soon as there is a pulse, else after timeout_s.

        Raises: SilentError while pulses come faster than they can be true; DriverError.
        """
        self._edges.wait(timeout_s if self._told else 0)
        self._told = True
        now = monotonic_ns()
        self._take(now)
        counts = self._settings.value == "count"
        if not counts and self._rate.between(now) > self._settings.max_rate_hz:     # a contact that bounced, and nothing since
            raise self._too_fast()
        value = (self._count if counts else self._rate.per_second(now)) * self._settings.per_pulse
        changed_at = now if value != self._reading.value else self._reading.changed_at
        self._reading = Reading(value, now, changed_at)
        return self._reading

    def _take(self, now: int) -> None:
        """Count what is new, unless there is too much of it. Raises: SilentError."""
        total = self._edges.rises if self._high else self._edges.falls
        new, self._seen = total - self._seen, total
        self._second.append((now, new))
        while now - self._second[0][0] > NS:
            self._second.popleft()
        if sum(many for _, many in self._second) > max(self._settings.max_rate_hz, 1):
            self._noise += new
            raise self._too_fast()
        if new:
            self._count += new
            self._rate.note(self._when(now), self._count)

    def _too_fast(self) -> SilentError:
        return SilentError(f"{self._settings.pin}: more pulses come than max_rate_hz = {self._settings.max_rate_hz:g} allows; "
                           "check the contact and its cable, and raise debounce_ms")

    def _when(self, now: int) -> int:
        """Say when the last pulse began."""
        rose, fell = self._edges.times()
        stamps = rose if self._high else fell
        at = int(stamps[-1]) if stamps.size else now
        return at if 0 <= now - at <= TRUSTED_NS else now

    def close(self) -> None:
        """Stop listening; the line stays an input."""
        self._edges.close()


def connect(settings: Settings) -> PulseCounter:
    """Claim the pin as an input.

    Raises: DriverError.
    """
    return PulseCounter(settings, open_header(settings.factory, settings.chip))
