"""From the first safe level to the last: start the parts, run the loop, and leave every output safe.

Whatever ends the loop (a signal, a limit, a programming error, a call that never returns), outputs
are set safe first, and only then is anything waited for, each wait with its bound.
"""

from __future__ import annotations

import gc
import sys
import traceback
from dataclasses import dataclass, field
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING

from reflexd.actuating import ActuatorJob
from reflexd.arming import Arming
from reflexd.events import END, EVENTS_WAIT, EVIDENCE_LOST, FATAL, NOT_SAFE, SOURCE_RUNS
from reflexd.evidence.evidence import Evidence
from reflexd.health import StuckError
from reflexd.history.writer import Writer
from reflexd.journal import Journal
from reflexd.loop import FatalError, Loop
from reflexd.notify import Notifier
from reflexd.parts import Parts
from reflexd.rules.items import NS
from reflexd.status import Observer
from reflexd_drivers.base import Actuator

if TYPE_CHECKING:
    from reflexd.wiring import Wiring  # which builds the daemon

EX_OK = 0
EX_SOFTWARE = 70
SETTLE_S = 0.3               # for actuators that block, on the way out
JOIN_S = 0.3                 # for workers: what is stuck is left behind
STORE_S = 0.3                # for events that are not stored yet, once all that is over
SWITCH_INTERVAL_S = 1e-4     # at Python's 5 ms a busy thread costs 5 ms per hand-off


@dataclass(slots=True)
class Daemon:
    """The parts, wired; the actuators stand at their safe levels."""

    loop: Loop
    parts: Parts
    wiring: Wiring
    journal: Journal
    notifier: Notifier
    observer: Observer
    arming: Arming
    history: Writer
    evidence: Evidence
    leaving: Parts = field(default_factory=Parts)     # what a reload took out of the parts and is closing

    def run(self, seconds: float | None = None, frames: int | None = None) -> int:
        """Work until the end and give the exit status. Afterwards every output is safe."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        try:
            for worker in self.parts.workers.values():
                worker.start()
            self.history.start()
            self.evidence.follow(self.loop.stage.settings, self.parts.cameras)
            self.tell_about(self.parts)
            gc.collect()
            gc.freeze()           # a full collection over what never goes would stall the loop for 200 ms
            until = None if seconds is None else monotonic_ns() + round(seconds * NS)
            reason, status = self.loop.run(until, frames), EX_OK
        except (FatalError, StuckError) as error:
            reason, status = str(error), EX_SOFTWARE
        except Exception as error:     # a programming error of ours: as grave as one of a driver
            reason, status = f"programming error: {error!r}\n{traceback.format_exc()}", EX_SOFTWARE
        finally:
            gc.unfreeze()
        self.leave(reason, status)
        return status

    def tell_about(self, parts: Parts) -> None:
        """Say what was agreed on with the actuators that have no worker to say it; on the main thread."""
        for name, actuator in parts.direct().items():
            if about := str(getattr(actuator, "about", "")):
                self.journal.say(SOURCE_RUNS, f"actuator.{name}: run: {about}", source=f"actuator.{name}")

    def leave(self, reason: str, status: int) -> None:
        """Set every output safe, then end the workers, each within its bound."""
        self.loop.outputs.make_safe(reason, monotonic_ns())
        self.notifier.stopping()
        self.loop.tell_changes()
        self.loop.recorder.left(f"every output safe, leaving: {reason}", monotonic_ns())
        self.history.end()
        self.evidence.fetch = self.observer.trace      # the loop does not turn any more
        self.evidence.end()
        self.journal.say(FATAL if status else END, f"every output safe, leaving: {reason}")
        deadline = monotonic() + SETTLE_S
        while monotonic() < deadline and not all(job.settled for job in self._blocking().values()):
            self.loop.wake.wait(0.01)
        for worker in self.parts.workers.values():
            worker.stop()
        deadline = monotonic() + JOIN_S
        for worker in self.parts.workers.values():
            worker.join(deadline - monotonic())
        self._tell_doubts()
        for name, actuator in self.parts.direct().items():
            self._close(name, actuator)
        deadline = monotonic() + STORE_S
        if lost := self.history.close(STORE_S):
            self.journal.say(EVENTS_WAIT, lost)
        if lost := self.evidence.close(deadline - monotonic()):
            self.journal.say(EVIDENCE_LOST, lost)

    def _blocking(self) -> dict[str, ActuatorJob]:
        return {**self.leaving.blocking, **self.parts.blocking}

    def _tell_doubts(self) -> None:
        """Name the actuators that block and that nobody saw taking their safe level."""
        whys = dict(self.loop.reports.failed_writes)
        for name, job in self._blocking().items():
            if not job.settled:
                why = whys.get(name, "its last command has not been carried out")
                self.journal.say(NOT_SAFE, f"{name} may not be safe: {why}", output=name)

    def _close(self, name: str, actuator: Actuator) -> None:
        try:
            actuator.close()
        except Exception as error:    # a mistake in one driver keeps no other output from its safe level
            self.journal.say(NOT_SAFE, f"{name} may not be safe: {error}", output=name)
