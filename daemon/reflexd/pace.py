"""Which frames a network looks at, and how long it takes for them."""

from __future__ import annotations

from time import monotonic_ns

from reflexd.health import Latency
from reflexd.rules.items import NS

SPANS = 1024      # the last of them that count


class Pace:
    """Picks frames by when they were taken: on average as many a second as asked for, where there are as many."""

    def __init__(self, rate_hz: float | None) -> None:
        self._period_ns = 0 if rate_hz is None else round(NS / rate_hz)
        self._due = -2 * self._period_ns      # so long ago that the schedule begins with the first frame

    def picks(self, taken_at: int) -> bool:
        """Say whether it is time for a frame. The next is due a period after this one was, not after it came.

        Two periods late the schedule begins anew, so after a pause nothing is caught up with.
        """
        if taken_at < self._due:
            return False
        late = taken_at - self._due
        self._due = taken_at + self._period_ns - (late if late < 2 * self._period_ns else 0)
        return True


class Spans:
    """How long predictions take; filled by a model's worker, read by the main thread."""

    def __init__(self) -> None:
        self.to_prediction = Latency(SPANS)
        self.inference = Latency(SPANS)

    def add(self, taken_at: int, began: int) -> None:
        """Note a prediction that has just been made of something taken then, by a network that began then."""
        now = monotonic_ns()
        self.to_prediction.add(now - taken_at)
        self.inference.add(now - began)

    def percentiles_ms(self) -> dict[str, dict[str, float]]:
        """Give both, each as Latency does; empty while there is none."""
        inference = self.inference.percentiles_ms()      # first: its spans are noted last, so none is told without its whole
        return {"frame_to_prediction": self.to_prediction.percentiles_ms(), "inference": inference}
