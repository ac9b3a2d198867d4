"""Threads and inboxes: the only file that starts a thread.

A worker is a thread around one thing that blocks. It hands what it gets to inboxes, each with one
producer and a bound, and wakes their consumer. Whatever goes wrong is met in one place: trouble is
told and the device is opened again after 0.5, 1, 2 … 30 s, for ever; a programming error ends the
process; a call that does not return shows in `busy_since`, for the main thread to judge.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from time import monotonic, monotonic_ns
from typing import Generic, Protocol, TypeVar

from reflexd.sandbox import explained
from reflexd_drivers.base import DriverError, NotYetError, SilentError, SourceEndedError
from reflexd_models.base import ModelError

T = TypeVar("T")
R = TypeVar("R")
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
WAIT_S = 0.25                     # how long a worker sleeps before it looks whether it has to end
GIVE_UP_NS = 2_000_000_000        # past the bound of a call, until it counts as one that never returns
SEEN_S = 0.25                     # how often a pause looks whether the device has come: a look at a name in /dev
REOPEN_AFTER_NS = 5_000_000_000
WELL_AFTER_NS = 10_000_000_000    # what fails sooner after it came back has not recovered: pauses go on growing
OPEN_BOUND_NS = 30_000_000_000   # opening may load a network or wait for a camera's firmware


class Wake:
    """What a consumer sleeps on: a raw lock used as a binary semaphore (13 µs, where Condition costs 20 to 30)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake the consumer; any thread and a signal handler may call it."""
        try:      # suppress() costs half a microsecond, several times a frame
            self._lock.release()
        except RuntimeError:   # it is awake already
            pass

    def wait(self, timeout_s: float) -> bool:
        """Sleep until set() or for timeout_s; negative counts as zero. Returns whether it was set."""
        return self._lock.acquire(True, min(max(timeout_s, 0.0), 3600.0))


class Inbox(Generic[T]):
    """A bounded hand-off with one producer: the newest items stay, what they push out is counted.

    Rests on deque.append, popleft and len being atomic under the interpreter's lock.
    """

    def __init__(self, bound: int, wake: Wake, drop: Callable[[T], None] | None = None) -> None:
        self._items: deque[T] = deque()
        self._bound = bound
        self._wake = wake
        self._drop = drop
        self._taken = Wake()
        self.puts = 0
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item, at the cost of the oldest when full, and wake the consumer."""
        if len(self._items) >= self._bound:
            self._make_room()
        self._items.append(item)
        self.puts += 1
        self._wake.set()

    def _make_room(self) -> None:
        try:
            old = self._items.popleft()
        except IndexError:    # the consumer was quicker
            return
        self.dropped += 1
        if self._drop is not None:
            self._drop(old)

    def take(self) -> T | None:
        """Give the oldest item, or None."""
        try:
            item = self._items.popleft()
        except IndexError:
            return None
        self._taken.set()
        return item

    def drain(self) -> Iterator[T]:
        """Give what is here now, and not what arrives meanwhile."""
        for _ in range(len(self._items)):
            item = self.take()
            if item is not None:
                yield item

    def wait_until_taken(self, timeout_s: float) -> bool:
        """For the producer: wait until nothing is left."""
        while self._items:
            if not self._taken.wait(timeout_s):
                return not self._items
        return True

    def __len__(self) -> int:
        """Count the items that wait."""
        return len(self._items)


class State(Enum):
    """How a worker stands."""

    OPENING = "opening"
    RUN = "run"
    DEGRADED = "degraded"
    ENDED = "ended"


class Job(Protocol):
    """What a worker does, over and over: one thing that blocks."""

    name: str         # "camera.NAME", "model.NAME", "sensor.NAME" or "actuator.NAME"
    slow_ns: int      # a step that lasts longer is trouble: what depends on it goes safe
    bound_ns: int     # a step that lasts longer will not return: the process is given up

    @property
    def about(self) -> str:
        """Say what was opened, for the log; may be empty."""
        ...

    def open(self) -> None:
        """Get ready. Raises: DriverError, ModelError."""
        ...

    def step(self) -> bool:
        """Do one bounded unit. Returns True when it proved the thing alive.

        Raises: SilentError, SourceEndedError, DriverError, ModelError.
        """
        ...

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        ...


class Reports:
    """What workers tell the main thread, which looks at it in each cycle."""

    def __init__(self, wake: Wake) -> None:
        self.wake = wake
        self.changed = True                                    # the state of some worker
        self.fatal = ""                                        # a programming error
        self.settled = False                                   # some actuator that blocks carried a command out
        self.failed_writes: deque[tuple[str, str]] = deque()   # output and reason, of actuators that block
        self.pictures: deque[tuple[str, str, bool]] = deque()  # camera, what to say, and whether all is well
        self.astray: deque[tuple[str, str]] = deque(maxlen=64)  # the same, where the world did not follow

    def tell_changed(self) -> None:
        """Say that a worker's state changed."""
        self.changed = True
        self.wake.set()

    def tell_picture(self, source: str, text: str, well: bool) -> None:
        """Say that the state of a camera's picture changed."""
        self.pictures.append((source, text, well))
        self.wake.set()

    def tell_fatal(self, text: str) -> None:
        """Say that a driver or a network broke its contract."""
        self.fatal = text
        self.wake.set()

    def tell_settled(self) -> None:
        """Say that an actuator that blocks is where it should be: an interlocked partner may wait for that."""
        self.settled = True
        self.wake.set()

    def tell_astray(self, output: str, why: str) -> None:
        """Say that the world did not follow an actuator."""
        self.astray.append((output, why))
        self.wake.set()

    def tell_failed_write(self, output: str, why: str) -> None:
        """Say that an actuator did not take a level."""
        self.failed_writes.append((output, why))
        self.wake.set()


class Worker:
    """A thread around a job, with the recovery that all jobs share."""

    def __init__(self, job: Job, reports: Reports) -> None:
        self.job = job
        self.state = State.OPENING
        self.why = "is being opened"
        self.failures = 0            # times it left RUN
        self.openings = 0            # times that it was tried to open it
        self.recoveries = 0          # times it came back to RUN
        self.last_error = ""         # stays when it is over
        self.down_since = monotonic_ns()     # 0 while in RUN
        self.opened = False          # at least once
        self.busy_since = 0          # monotonic ns; 0 while in no call
        self.slow_ns = OPEN_BOUND_NS
        self.bound_ns = OPEN_BOUND_NS
        self._reports = reports
        self._stop = Wake()
        self._stopping = False
        self._attempt = 0
        self._well_since = 0
        self._silent_since = 0
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; does not wait."""
        self._stopping = True
        self._stop.set()

    @property
    def ended(self) -> bool:
        """Say whether its thread is gone."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end. Returns whether it came."""
        if self._thread.is_alive():
            self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping and self._once():
                self._attempt = self._pause(BACKOFF_S[min(self._attempt, len(BACKOFF_S) - 1)])
        except BaseException as error:   # a driver or a network broke its contract, a library's sys.exit() included
            self._tell(State.DEGRADED, f"programming error: {error!r}")
            self._reports.tell_fatal(f"{self.job.name}: programming error: {error!r}\n{traceback.format_exc()}")
            with suppress(Exception):    # nobody else drives this actuator: only close() sets it safe now
                self._call(self.job.close, self.job.slow_ns, self.job.bound_ns)

    def _pause(self, pause_s: float) -> int:
        """Wait before the next opening, at most until the device is seen to come. Gives the number of the next attempt."""
        look: Callable[[], object] = getattr(self.job, "seen", lambda: None)
        before, deadline = look(), monotonic() + pause_s
        while (left_s := deadline - monotonic()) > 0 and not self._stop.wait(min(left_s, SEEN_S)):
            if (now := look()) != before and now is not None:
                return 0
        return self._attempt + 1

    def _once(self) -> bool:
        """Open, step until something fails, close. Returns whether to try again."""
        again = True
        self.openings += 1
        try:
            self._call(self.job.open, OPEN_BOUND_NS, OPEN_BOUND_NS)
            self.opened = True
            self.slow_ns, self.bound_ns = self.job.slow_ns, self.job.bound_ns
            while not self._stopping:
                self._step()
        except SourceEndedError as error:
            self._tell(State.ENDED, str(error))
            again = False
        except (DriverError, ModelError) as error:
            self._tell(State.DEGRADED, explained(error))
        self._close()
        return again

    def _close(self) -> None:
        """Close; a device that is gone may refuse even that, and is opened again all the same."""
        try:
            self._call(self.job.close, self.job.slow_ns, self.job.bound_ns)
        except (DriverError, ModelError) as error:
            if self.state is State.RUN:     # else what went wrong first says more
                self._tell(State.DEGRADED, str(error))

    def _step(self) -> None:
        self.busy_since = monotonic_ns()
        try:
            alive = self.job.step()
        except NotYetError as error:
            self._tell(State.DEGRADED, str(error))
            return
        except SilentError as error:
            self._silent(str(error))
            return
        finally:
            self.busy_since = 0
        if alive:
            self._silent_since = 0
        if alive and self.state is not State.RUN:
            self._tell(State.RUN, self.job.about)
            self._well_since = monotonic_ns()
        elif self._attempt and alive and monotonic_ns() - self._well_since > WELL_AFTER_NS:
            self._attempt = 0

    def _silent(self, why: str) -> None:
        """Tell of the silence; open the device again when it lasts, for it may have lost its settings."""
        self._silent_since = self._silent_since or monotonic_ns()
        self._tell(State.DEGRADED, why)
        if monotonic_ns() - self._silent_since > REOPEN_AFTER_NS:
            self._silent_since = 0
            raise DriverError(f"{why}; opening it again")

    def _call(self, what: Callable[[], R], slow_ns: int, bound_ns: int) -> R:
        """Do something that may block, visibly to the main thread."""
        self.slow_ns, self.bound_ns = slow_ns, bound_ns
        self.busy_since = monotonic_ns()
        try:
            return what()
        finally:
            self.busy_since = 0

    def _tell(self, state: State, why: str) -> None:
        if state is State.RUN:
            self.recoveries += self.failures > self.recoveries
            self.down_since = 0
        else:
            self.failures += self.state is State.RUN
            self.last_error = why
            self.down_since = self.down_since or monotonic_ns()
        if (state, why) != (self.state, self.why):
            self.state, self.why = state, why
            self._reports.tell_changed()


def start_thread(name: str, target: Callable[[], None]) -> threading.Thread:
    """Start a thread that serves no device: the journal's writer, the control socket."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
