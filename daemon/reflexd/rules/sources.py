"""What is known of each source now: its last item, how old that is, and whether it may be used.

A source is unknown when it never spoke, is stale, failed, is gated, or is unsure of its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import ClassVar

from reflexd.rules.items import NS, Clock
from reflexd.rules.scene import Seen
from reflexd.rules.tracks import Track
from reflexd.rules.zones import Line, Point
from reflexd_drivers.base import Reading, Value
from reflexd_models.base import Detection, Prediction

NEVER = -1


def equals(value: Value | None, wanted: Value) -> bool | None:
    """Compare; None where the two are of different kinds, for "pressed" says nothing of true or false."""
    if value is None or isinstance(value, str) is not isinstance(wanted, str):
        return None
    if isinstance(wanted, bool) and value not in (0, 1):
        return None
    return value == wanted


@dataclass(slots=True)
class Source:
    """A sensor, a model, the state of a camera's picture or the clock as the rules see it."""

    # not what its newest prediction shows: that is looked at while it is decided on, and never after
    REMEMBERS: ClassVar[tuple[str, ...]] = (
        "period_ns", "interval_ns", "taken_at", "down_at", "trouble", "value", "scores", "cut", "rises", "falls", "offset_s",
        "late", "early", "exchanges", "epoch", "heard_at")

    name: str                      # "model.person", "sensor.pir", "camera.gate" or "clock"
    max_age_ns: int
    period_ns: int                 # as expected, or longer where items come more slowly; while `measured`, as they come
    measured: bool = False
    expected_ns: int = 0
    interval_ns: int = 0           # between the newest two items; 0 after a gap
    gates: tuple[tuple[Source, Value], ...] = ()   # sensors and what each has to say for this source to count
    taken_at: int = NEVER
    heard_at: int = NEVER          # as taken_at, but a failure leaves it: it tells since when nothing was heard
    down_at: int = NEVER
    trouble: str = "has said nothing yet"
    value: Value | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    zones: Mapping[str, Sequence[Point]] = field(default_factory=dict)     # of a detector, as the configuration has them
    lines: Mapping[str, Line] = field(default_factory=dict)
    detections: Sequence[Detection] = ()     # all that its newest prediction shows
    cut: bool = False              # whether it may have found more than it shows
    seen: Sequence[Seen] = ()      # what counts of that
    tracks: Sequence[Track] = ()   # what is followed, with what was missed for a moment
    rises: int = 0
    falls: int = 0
    offset_s: int = 0              # of the clock: local time is that much after UTC
    late: int = 0
    early: int = 0
    exchanges: int = 0             # of a model's network, as its newest prediction has it
    epoch: int = 0                 # counts the gaps: what was remembered before one is void

    def admits(self, taken_at: int, now: int) -> bool:
        """Say whether an item is fresh and newer than the last one and than the last failure; count it if not."""
        if now - taken_at > self.max_age_ns:
            self.late += 1
            return False
        if taken_at <= self.down_at or taken_at < self.taken_at or taken_at > now:
            self.early += 1
            return False
        return True

    def put(self, taken_at: int) -> None:
        """Note when the newest item was taken; a gap longer than max_age starts a new epoch."""
        if self.taken_at == NEVER or taken_at - self.taken_at > self.max_age_ns:
            self.epoch += 1
            self.interval_ns = 0
        elif taken_at > self.taken_at:
            self._follow_pace(taken_at - self.taken_at)
        self.taken_at = self.heard_at = taken_at
        self.trouble = ""

    def _follow_pace(self, interval_ns: int) -> None:
        """Follow the pace of the items, which may be slower than expected: a network often is than its camera.

        What is between the newest two counts from the next one on, and as twice the period at most, so that
        a gap does not stretch the time in which it has to be seen as one.
        """
        period = self.period_ns + (min(self.interval_ns, 2 * self.period_ns) - self.period_ns) // 8
        if self.interval_ns:
            self.period_ns = period if self.measured else max(period, self.expected_ns)
        self.interval_ns = interval_ns

    def sense(self, reading: Reading) -> None:
        """Take a sensor's reading over."""
        self.put(reading.taken_at)
        self.value, self.rises, self.falls = reading.value, reading.rises, reading.falls
        self._refuse_nan()

    def look(self, state: str, taken_at: int) -> None:
        """Take the state of a camera's picture over."""
        self.put(taken_at)
        self.value = state

    def tell_time(self, clock: Clock) -> None:
        """Take over what the wall clock says: seconds since 1970 at `taken_at`."""
        self.put(clock.taken_at)
        self.offset_s = clock.offset_s
        self.value = None if clock.utc_ns is None else clock.utc_ns / NS
        self.trouble = "" if self.value is not None else "the clock is not synchronised"

    def follow(self, exchanges: int) -> None:
        """Begin a new epoch where another network speaks than before."""
        if exchanges != self.exchanges:
            self.exchanges = exchanges
            self.epoch += 1

    def predict(self, prediction: Prediction, value: float | None, unsure: str) -> None:
        """Take a network's prediction over; `value` is what plausibility left of its number."""
        self.put(prediction.taken_at)
        self.scores, self.detections, self.cut = prediction.scores, prediction.detections, prediction.cut
        self.value, self.trouble = value, unsure
        self._refuse_nan()

    def _refuse_nan(self) -> None:
        """Know nothing of a number that is none: compared with anything it is false, and false may let a rule act."""
        if isinstance(self.value, float) and not isfinite(self.value):
            self.value, self.trouble = None, f"says {self.value}, which is no number"

    def fail(self, now: int, why: str) -> None:
        """Forget everything: nothing that was taken until now counts any more."""
        self.down_at, self.taken_at, self.trouble = now, NEVER, why
        self.value, self.scores, self.detections, self.seen, self.tracks = None, {}, (), (), ()
        self.epoch += 1

    def gated(self, now: int) -> bool:
        """Say whether an only_while sensor does not say, or is not known to say, that this source counts."""
        return any(bool(gate.unusable(now)) or not equals(gate.value, wanted) for gate, wanted in self.gates)

    def unusable(self, now: int) -> str:
        """Say why nothing may act on this source now; empty when it may."""
        if self.gated(now):
            return "gated by only_while"
        if self.taken_at == NEVER:
            return self.trouble
        if now - self.taken_at > self.max_age_ns:
            return f"last heard {(now - self.taken_at) / NS:.1f} s ago"
        return ""
