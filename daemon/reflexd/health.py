"""How the parts are doing: which source is in trouble, which call is stuck, how long frames take.

The main thread asks; nothing here waits. A worker that sits in a call beyond its slow bound is in
trouble, beyond its last bound it counts as one that never returns: only ending the process helps.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from reflexd.events import SOURCE_DEGRADED, SOURCE_RUNS, Event
from reflexd.rules.items import NS, Down
from reflexd.workers import State, Worker

Said: TypeAlias = tuple[Event, str, str]     # event, text, source
Described: TypeAlias = dict[str, str | int | float]
LOOK_NS = 50_000_000      # how often the main thread looks for stuck calls


class StuckError(RuntimeError):
    """A call will not return: the process has to be given up."""


@dataclass(slots=True)
class Watched:
    """A worker and what was last told of it."""

    worker: Worker
    state: State = State.OPENING
    why: str = ""
    failures: int = 0
    down_at: int = 0        # since when it is told to be in trouble; ns, 0 while it is not
    openings: int = 0       # how often it had been opened then
    told_busy: int = 0      # busy_since of the call that was told to be stuck
    call: int = 0           # busy_since of the call that was looked at last
    forgiven: int = 0       # of its time, what the main thread itself was not let run; ns

    @property
    def stuck(self) -> bool:
        """Say whether it is in a call that was told to be stuck."""
        return self.worker.busy_since != 0 and self.told_busy == self.worker.busy_since


class Monitor:
    """Finds changes in the state of the workers."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._watched = [Watched(worker) for worker in workers]
        self._leaving: list[Worker] = []
        self._polled_at = 0

    def take_over(self, workers: Collection[Worker]) -> None:
        """Watch these from now on. Of the others nothing is told any more, but a call of theirs has to return too."""
        known = {one.worker: one for one in self._watched}
        self._leaving += [worker for worker in known if worker not in workers]
        self._watched = [known.get(worker) or Watched(worker) for worker in workers]

    @property
    def settled(self) -> bool:
        """Say whether every part has been opened, or is known to be in trouble."""
        return all(one.state is not State.OPENING for one in self._watched)

    @property
    def sound(self) -> bool:
        """Say whether every part works."""
        return all(one.state is State.RUN and not one.stuck for one in self._watched)

    def poll(self, now: int) -> tuple[list[Down], list[Said]]:
        """Give the sources that failed since the last call, and what to log of each change.

        Raises: StuckError.
        """
        downs: list[Down] = []
        lines: list[Said] = []
        starved = max(now - self._polled_at - 2 * LOOK_NS, 0) if self._polled_at else 0
        self._polled_at = now
        for one in self._watched:
            _forgive(one, now, starved)
            self._look(one, now, downs, lines)
        self._leaving = [worker for worker in self._leaving if not worker.ended]
        for worker in self._leaving:
            busy, bound_ns = worker.busy_since, worker.bound_ns
            if busy and worker.busy_since == busy:
                _give_up(worker, now, busy, bound_ns)
        return downs, lines

    def _look(self, one: Watched, now: int, downs: list[Down], lines: list[Said]) -> None:
        worker, name = one.worker, one.worker.job.name
        busy, slow_ns, bound_ns = worker.busy_since, worker.slow_ns, worker.bound_ns
        if busy and now - busy - one.forgiven > slow_ns and worker.busy_since == busy:   # still that call: the bounds are its own
            self._stuck(one, now, busy, bound_ns, downs, lines)
        elif one.told_busy and busy != one.told_busy:
            one.told_busy = 0
            if worker.state is State.RUN is one.state:     # else its change of state is told below
                lines.append((SOURCE_RUNS, f"{name}: run: the call has returned", name))
        state, why, failures = worker.state, worker.why, worker.failures
        if (state, failures) == (one.state, one.failures) and (why == one.why or state is State.RUN):
            return
        if state in (State.DEGRADED, State.ENDED) or failures != one.failures:
            downs.append(Down(name, why if state is not State.RUN else "failed for a moment"))
        if state is State.RUN:
            text = ": ".join(filter(None, (why, _back(one, now))))
            lines.append((SOURCE_RUNS, f"{name}: run" + (f": {text}" if text else ""), name))
            one.down_at = 0
        elif state is not State.OPENING and state is not one.state:     # reasons that change meanwhile are shown by status
            lines.append((SOURCE_DEGRADED, f"{name}: {state.value}: {why}", name))
            one.down_at, one.openings = one.down_at or now, worker.openings
        one.state, one.why, one.failures = state, why, failures

    def _stuck(self, one: Watched, now: int, busy: int, bound_ns: int, downs: list[Down], lines: list[Said]) -> None:
        name = one.worker.job.name
        _give_up(one.worker, now - one.forgiven, busy, bound_ns)
        if one.told_busy != busy:
            one.told_busy = busy
            why = f"a call has not returned for {(now - busy) / NS:.2f} s"
            downs.append(Down(name, why))
            lines.append((SOURCE_DEGRADED, f"{name}: degraded: {why}", name))

    def states(self, now: int) -> dict[str, Described]:
        """Describe every worker."""
        return {one.worker.job.name: _describe(one, now) for one in self._watched}


def _describe(one: Watched, now: int) -> Described:
    worker = one.worker
    state = State.DEGRADED if one.stuck else worker.state
    since = one.told_busy if one.stuck else worker.down_since
    return {
        "state": state.value,
        "why": "a call does not return" if one.stuck else worker.why,
        "failures": worker.failures,
        "recoveries": worker.recoveries,
        "openings": worker.openings,
        "down_s": round(max(now - since, 0) / NS, 1) if since else 0.0,
        "last_error": worker.last_error,
    }


def _back(one: Watched, now: int) -> str:
    """Say how long it took to come back; nothing of what was never told to be in trouble."""
    if not one.down_at:
        return ""
    times = one.worker.openings - one.openings
    return f"back after {(now - one.down_at) / NS:.1f} s" + (f", opened {times} times" if times > 1 else "")


def _forgive(one: Watched, now: int, starved: int) -> None:
    """While the main thread did not run, workers may not have run either: that time says nothing of their devices.

    A library that is loaded holds the interpreter's lock for a second on a small computer.
    """
    busy = one.worker.busy_since
    one.forgiven = one.forgiven + starved if busy == one.call else min(starved, max(now - busy, 0))   # it may be newer than now
    one.call = busy


def _give_up(worker: Worker, now: int, busy: int, bound_ns: int) -> None:
    """End the process over a call that will not return. Raises: StuckError."""
    if now - busy > bound_ns:
        raise StuckError(f"{worker.job.name}: a call has not returned for {(now - busy) / NS:.1f} s and is given up")


class Latency:
    """The last spans of one kind, in a ring that is never allocated anew."""

    def __init__(self, size: int = 4096) -> None:
        self._spans = array("q", bytes(8 * size))
        self.count = 0

    def add(self, span_ns: int) -> None:
        """Note one span."""
        self._spans[self.count % len(self._spans)] = span_ns
        self.count += 1

    def spans(self) -> list[int]:
        """Give the spans in the ring, oldest first, in nanoseconds."""
        size = len(self._spans)
        if self.count <= size:
            return self._spans[: self.count].tolist()
        return (self._spans[self.count % size:] + self._spans[: self.count % size]).tolist()

    def percentiles_ms(self) -> dict[str, float]:
        """Give p50, p90, p99 and the longest of the spans in the ring, in milliseconds; empty without any."""
        spans = sorted(self.spans())
        if not spans:
            return {}
        wanted = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
        found = {name: spans[min(len(spans) - 1, int(share * len(spans)))] / 1e6 for name, share in wanted.items()}
        return {**found, "max": spans[-1] / 1e6}
