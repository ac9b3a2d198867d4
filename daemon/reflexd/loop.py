"""The decision loop: items → decisions → outputs, on the main thread, which alone holds rule state.

It sleeps until a worker wakes it or the next deadline is due, and waits for nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from time import monotonic_ns
from typing import TypeVar

from reflexd.clock import WallClock
from reflexd.config.settings import Settings
from reflexd.events import CLOCK_KNOWN, CLOCK_UNKNOWN, PICTURE, PICTURE_NORMAL, Event
from reflexd.health import LOOK_NS, Latency, Monitor
from reflexd.history.incident import Run
from reflexd.history.recorder import Recorder
from reflexd.journal import Journal
from reflexd.notify import Notifier
from reflexd.output import level_text
from reflexd.outputs import Outputs
from reflexd.parts import Parts
from reflexd.rules.asked import CLOCK_PERIOD_NS, asks_time
from reflexd.rules.items import CLOCK, NS, Command, Fired, Item, Predicted
from reflexd.rules.stage import Stage
from reflexd.trace import Changed, Trace
from reflexd.workers import Reports

T = TypeVar("T")
ANSWER_S = 4.0             # the loop comes round in microseconds, unless it is in trouble or others have the processor


class FatalError(RuntimeError):
    """The process has to end: outputs safe, log flushed, exit status 70."""


class Loop:
    """One cycle after another until stop() is called or a limit is reached."""

    def __init__(self, settings: Settings, parts: Parts, outputs: Outputs, journal: Journal, notifier: Notifier,
                 reports: Reports, recorder: Recorder | None = None) -> None:
        self.outputs = outputs
        self.monitor = Monitor(())
        self.reports = reports
        self.wake = reports.wake
        self.decided = 0
        self.cycles = 0
        self.to_decision = Latency()
        self.to_pin = Latency()
        self._journal = journal
        self._notifier = notifier
        self._stop_reason = ""
        self._look_at = 0
        self.clock = WallClock(settings.daemon.trust_clock)
        self._tell_time_at = 0
        self._clock_told: bool | None = None
        self._asked: deque[Callable[[], None]] = deque()
        self.later: tuple[int, Callable[[], None]] | None = None      # what is done at a moment, and when; main thread only
        self.trace = Trace()
        self.recorder = recorder or Recorder(Run.begin())
        self.recorder.synchronised = lambda: self.clock.known if self._clocked else None      # else nobody has looked
        outputs.new_id = self.recorder.new_id
        self.rewire(Stage(settings), parts, monotonic_ns())

    def rewire(self, stage: Stage, parts: Parts, now: int) -> None:
        """Decide by that stage, on what these parts say, from the next cycle on."""
        self.stage = stage
        self._inboxes = tuple(inbox for name, inbox in parts.inboxes.items() if name in stage.sources)
        for name, camera in parts.cameras.items():
            camera.looking.watched = f"camera.{name}" in stage.sources
        self._resting = {name: job for name, job in parts.models.items() if stage.sources[f"model.{name}"].gates}
        for name, job in self._resting.items():
            job.resting = stage.gated(name, now)
        self._clocked, self._timed = CLOCK in stage.sources, asks_time(stage.settings)
        self.monitor.take_over(tuple(parts.workers.values()))
        self.trace.begin(stage, now)
        self.recorder.rewire(stage, parts.models)

    def stop(self, reason: str) -> None:
        """Ask for the end; a signal handler may call it."""
        self._stop_reason = self._stop_reason or reason
        self.wake.set()

    def log(self, event: Event, text: str) -> None:
        """Say something; on the main thread only."""
        self._journal.say(event, text)

    def ask(self, question: Callable[[], None]) -> None:
        """Have something done between two cycles; once only when it is asked for again before."""
        if question not in self._asked:
            self._asked.append(question)
        self.wake.set()

    def between_cycles(self, question: Callable[[], T]) -> T:
        """Have something done between two cycles and give its result; from any other thread.

        Raises: TimeoutError when the loop does not get to it in time.
        """
        answers: SimpleQueue[T] = SimpleQueue()
        self.ask(lambda: answers.put(question()))
        try:
            return answers.get(timeout=ANSWER_S)
        except Empty:
            raise TimeoutError("the decision loop did not answer in time; see the log") from None

    def run(self, until_ns: int | None = None, frames: int | None = None) -> str:
        """Cycle until the end. Returns its reason.

        Raises: FatalError, StuckError.
        """
        self.trace.begin(self.stage, monotonic_ns())      # until now nobody told the time
        self.outputs.apply(self.stage.begin(), monotonic_ns())
        while not self._stop_reason:
            now = monotonic_ns()
            if until_ns is not None and now >= until_ns:
                return "the time is up"
            if frames is not None and self.decided >= frames:
                return f"{self.decided} predictions were decided"
            self.wake.wait((self._deadline(until_ns) - now) / NS)
            self.cycle()
        return self._stop_reason

    def _deadline(self, until_ns: int | None) -> int:
        due = (self._look_at, self.outputs.due, until_ns, self.later and self.later[0])
        return min(one for one in due if one is not None)

    def cycle(self) -> None:
        """Handle all that is there."""
        self.cycles += 1
        self._look_after(monotonic_ns())
        for inbox in self._inboxes:
            for item in inbox.drain():
                self.consume(item, monotonic_ns())
        now = monotonic_ns()
        if self._clocked and now >= self._tell_time_at:      # after the items: what waited was heard in time
            self._tell_time_at = now + CLOCK_PERIOD_NS - LOOK_NS      # the loop comes round every LOOK_NS
            self.consume(self.clock.tell(), monotonic_ns())
            self._tell_of_clock()
        if self.outputs.due is not None and now >= self.outputs.due:
            self.outputs.settle(now)
        self.tell_changes()
        while self._asked:
            self._asked.popleft()()
        if self.later is not None and now >= self.later[0]:
            (_, do), self.later = self.later, None
            do()

    def _tell_of_clock(self) -> None:
        """Put into the log that the time of day is known or not, where a rule asks for it."""
        if self._timed and self.clock.known is not self._clock_told:
            self._clock_told = self.clock.known
            self._journal.say(*((CLOCK_KNOWN, "the clock is right: the time of day is known") if self.clock.known else
                                (CLOCK_UNKNOWN, f"the clock is not known to be right: {self.clock.why}")))

    def tell_changes(self) -> None:
        """Put into the log what the gate did, now that every output stands."""
        while self.outputs.changes:
            now = monotonic_ns()
            change = self.outputs.changes.popleft()
            self.recorder.told(change, now)
            text = str(change)
            self._journal.say(change.event, text, **change.fields())
            self.trace.changes.append(Changed(now, change.output, text))

    def consume(self, item: Item, now: int) -> None:
        """Decide on one item and act."""
        commands = self.stage.consume(item, now)
        if isinstance(item, Predicted):
            self._act_on_frame(item, commands, now)
            self.trace.note(item, now, commands)
            return
        if commands:
            self.act(commands, now)
        self.trace.note(item, now, commands)
        for name, job in self._resting.items():
            job.resting = self.stage.gated(name, now)

    def _act_on_frame(self, item: Predicted, commands: Sequence[Command], now: int) -> None:
        taken_at = item.prediction.taken_at
        self.decided += 1
        self.to_decision.add(monotonic_ns() - taken_at)
        if commands:
            self.act(commands, now, taken_at)
        self.to_pin.add(monotonic_ns() - taken_at)

    def act(self, commands: Sequence[Command], now: int, taken_at: int = 0) -> None:
        """Drive what was decided, of a frame that was taken then; on the main thread.

        The manager's watchdog counts from READY on, so nothing is active before that was said.
        """
        self._notifier.ready()
        self.outputs.apply(commands, now)
        if any(isinstance(one, Fired) for one in commands):
            held = self.outputs.dry_run or next(iter(self.outputs.inhibited.values()), "")
            self.recorder.fired(self.outputs.events, commands, now, taken_at, held)

    def _look_after(self, now: int) -> None:
        """Take failures of workers in, before the items that they produced."""
        if self.reports.fatal:
            raise FatalError(self.reports.fatal)
        while self.reports.failed_writes:
            name, why = self.reports.failed_writes.popleft()
            self.outputs.failed_later(name, why, now)
        while self.reports.pictures:
            source, text, well = self.reports.pictures.popleft()
            self._journal.say(PICTURE_NORMAL if well else PICTURE, f"{source}: {text}", source=source)
        while self.reports.astray:
            name, why = self.reports.astray.popleft()
            self.outputs.astray(name, why, now)
        if self.reports.settled:
            self.reports.settled = False
            self.outputs.settle(now)
        if self.reports.changed or now >= self._look_at:
            self.reports.changed, self._look_at = False, now + LOOK_NS
            self.outputs.look(now)
            downs, lines = self.monitor.poll(now)
            for event, text, source in lines:
                self._journal.say(event, text, source=source)
            self._tell_manager(now)
            for down in downs:
                self.consume(down, now)

    def _tell_manager(self, now: int) -> None:
        """Feed the watchdog: the loop turns, and poll() found no call beyond its bound."""
        if self.monitor.settled:
            self._notifier.ready()
        self._notifier.feed(now)
        levels = ", ".join(f"{one.name} {level_text(one.level)}" for one in self.outputs.outputs.values())
        state = "SAFE" if self.outputs.inhibited else "RUN" if self.monitor.sound else "DEGRADED"
        self._notifier.tell(f"{state}; {levels}; {self.decided} predictions decided", now)
