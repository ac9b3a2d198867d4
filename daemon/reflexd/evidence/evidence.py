"""Gathers the evidence of rules that fired and has it written, on a thread that may wait for the disk; nobody waits for it.

The decision loop leaves an event in a queue. Once its time is over, its frames are taken from the ring and what was decided on
from the trace. What cannot be written is tried again for half a minute and is lost then, and so is what the write budget has no
room for; both are counted, and the log has one line when that begins and one when it is over. The event itself is stored in
any case: that is the history's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from reflexd.config.evidence import EvidenceSettings
from reflexd.config.settings import Settings
from reflexd.events import EVIDENCE_KEPT, EVIDENCE_LOST
from reflexd.evidence.folders import FOLDER, FRAMES, PAGE, RECORDING, Folders, Write, write_file
from reflexd.evidence.keeper import Keeper
from reflexd.evidence.orphans import prune, remove_orphans
from reflexd.evidence.recording import Fetch, write_recording
from reflexd.history.budget import DAY_S, MB, thread_wrote
from reflexd.history.incident import Incident, Kind
from reflexd.history.wording import Hashes, as_told, explained
from reflexd.history.writer import ASK_S, Writer
from reflexd.jobs import CameraJob
from reflexd.rules.items import NS
from reflexd.trace import Chunk
from reflexd.workers import BACKOFF_S, Inbox, Wake, start_thread

WAITING = 16           # events whose evidence is under way; of more there is none
GRACE_NS = NS // 4     # after the last frame of an event, until it is encoded
GIVE_UP_NS = 30 * NS   # after which what the disk does not take is lost
QUIET_S = 60.0         # without anything left out, until that counts as over
TIDY_S = 3600.0
RECORDING_BYTES = 32 * PAGE      # that a recording is expected to take
EVENT_BYTES = 4 * PAGE           # event.json and the folders


def nothing(_number: int | None, _since_s: float) -> tuple[Chunk, Mapping[str, str]]:
    """Stand for a trace that has nothing."""
    return Chunk(0, (), None), {}


class Waiting(NamedTuple):
    """An event whose evidence is not written yet; monotonic ns."""

    incident: Incident
    begin: int
    end: int


class Evidence:
    """The thread and what waits for it. `put` is for the main thread; the others for any but that."""

    def __init__(self, folder: Path, history: Writer, *, fetch: Fetch = nothing, quiet_s: float = QUIET_S,
                 write: Write = write_file, wrote: Callable[[], int | None] = thread_wrote, trial: bool = False) -> None:
        """Write below that folder, of a trial nothing, within the budget of the history. `fetch` asks the trace."""
        self.keeper = Keeper()
        self.fetch = fetch
        self.written = 0                   # of this run
        self.left_out = 0                  # events that have no evidence, or not all their frames
        self.trouble = ""                  # why
        self._history = history
        self._trial = trial
        self._quiet_s = quiet_s
        self._folders = Folders(folder / FOLDER, write)
        self._wrote = wrote
        self._opened = False
        self._settings: Settings | None = None
        self._wake = Wake()
        self._inbox: Inbox[Incident] = Inbox(WAITING, self._wake)
        self._waiting: deque[Waiting] = deque()
        self._crowded = 0                  # counted by the main thread
        self._crowded_told = 0
        self._hashes = Hashes()
        self._attempt = 0
        self._not_before = 0               # monotonic ns
        self._tidy_at = 0.0                # monotonic seconds, as all others
        self._left_out_at = self._written_at = 0.0
        self._lost_before = 0
        self._told = False
        self._asked: deque[SimpleQueue[str]] = deque()
        self._ending = False
        self._thread: threading.Thread | None = None

    @property
    def _wanted(self) -> EvidenceSettings | None:
        """Give what is to be kept; None for nothing."""
        settings = self._settings
        return None if settings is None or self._trial or not settings.events.enabled else settings.evidence

    @property
    def enabled(self) -> bool:
        """Say whether evidence is kept."""
        return self._wanted is not None

    @property
    def waiting(self) -> int:
        """Count the events whose evidence is under way."""
        return len(self._waiting) + len(self._inbox)

    def put(self, incident: Incident) -> None:
        """Take an event; at once."""
        wanted = self._wanted
        if wanted is None or incident.kind is not Kind.FIRED or incident.rule not in (wanted.rules or (incident.rule,)):
            return
        if self.waiting >= WAITING:
            self._crowded += 1
        else:
            self._inbox.put(incident)

    def follow(self, settings: Settings, cameras: Mapping[str, CameraJob]) -> None:
        """Go by these settings, with these cameras, from now on."""
        self._settings = settings
        self.keeper.follow(self._wanted, cameras)
        if self.enabled and self._thread is None:
            self._thread = start_thread("evidence", self._work)
        self._wake.set()

    def end(self) -> None:
        """Have what is under way written as it is by now, without waiting for it; the loop has ended."""
        self.keeper.end()
        self._ending = True
        self._wake.set()

    def close(self, timeout_s: float) -> str:
        """Wait for the end, so long at most. Says what was lost; empty when nothing was."""
        self.end()
        if self._thread is not None:
            self._thread.join(max(timeout_s, 0.0))
        return f"the evidence of {self.waiting} events is not written" if self.waiting else ""

    def prune(self) -> None:
        """Remove the evidence of events that are not stored any more. Raises: OSError."""
        if self._thread is None:
            prune(self._history.path)
            return
        answers: SimpleQueue[str] = SimpleQueue()
        self._asked.append(answers)
        self._wake.set()
        try:
            why = answers.get(timeout=ASK_S)
        except Empty:
            raise TimeoutError(f"{self._folders.folder}: the disk does not answer; see reflexctl status") from None
        if why:
            raise OSError(why)

    def report(self) -> dict[str, object]:
        """Describe how it is doing, for reflexctl status."""
        wanted, ring, entries = self._wanted, self.keeper.ring, self._folders.entries
        return {
            "enabled": self.enabled, "folder": str(self._folders.folder), "written": self.written, "waiting": self.waiting,
            "left_out": self.left_out + self._crowded - self._crowded_told, "kept": len(entries),
            "used_mb": round(sum(one.bytes for one in entries) / MB, 3), "trouble": self.trouble or self.keeper.trouble,
            "frames": len(ring), "memory_mb": round(ring.bytes / MB, 3),
            "memory_bound_mb": wanted.memory_mb if wanted else 0.0, "pushed_out": ring.pushed_out,
        }

    def _work(self) -> None:
        self._attend()                     # so that nothing that was cut off is left, whatever happens
        while not self._ending:
            self._wake.wait(self._pause_s())
            self._collect()
            self._answer()
            if not self._ending and time.monotonic_ns() >= self._not_before:
                self._attend()
        self._collect()
        self._not_before = 0
        self._attend()

    def _pause_s(self) -> float:
        """Say how long there is nothing to do unless something happens."""
        now = time.monotonic_ns()
        if self._waiting:
            return (max(self._waiting[0].end + GRACE_NS, self._not_before) - now) / NS
        if self._told and self._written_at > self._left_out_at:
            return self._left_out_at + self._quiet_s - time.monotonic()
        return max(self._tidy_at - time.monotonic(), (self._not_before - now) / NS)

    def _collect(self) -> None:
        wanted = self._wanted
        for one in self._inbox.drain():
            before_s, after_s = (wanted.before_s, wanted.after_s) if wanted is not None else (0.0, 0.0)
            known = one if one.synchronised is not None else replace(one, synchronised=self._history.clock())
            self._waiting.append(Waiting(known, one.monotonic_ns - round(before_s * NS), one.monotonic_ns + round(after_s * NS)))
        self._hold()
        if self._crowded > self._crowded_told:
            self._leave_out(f"rules fire so often that the evidence of {WAITING} events is under way already; name those that "
                            "matter with rules in [evidence], or give them a cooldown_s", self._crowded - self._crowded_told)
            self._crowded_told = self._crowded

    def _hold(self) -> None:
        """Have the ring keep what waits to be written, as far as it has room."""
        self.keeper.ring.wanted_since = min((one.begin for one in self._waiting), default=None)

    def _attend(self) -> None:
        """Write what is due; of what fails, again later."""
        try:
            if not self._opened:
                self._folders.open()
                self._opened = True
            while self._waiting and (self._ending or self._waiting[0].end + GRACE_NS <= time.monotonic_ns()):
                self._finish(self._waiting[0])
                self._waiting.popleft()
                self._hold()
            self._tidy()
        except Exception as error:    # a mistake of ours as well: outputs have nothing to do with it
            self._failed(error)
        else:
            self._attempt = 0
            self._went_well()

    def _finish(self, one: Waiting) -> None:
        """Write the evidence of an event, unless it costs more than may be written. Raises: OSError."""
        keys = self.keeper.ring.between(one.begin, one.end)
        size = self.keeper.ring.size_of(keys) + RECORDING_BYTES + EVENT_BYTES + PAGE * len(keys)
        if not self._history.spares(size):
            self._leave_out(f"the write budget in [events] has no room for {size / MB:.1f} MB, and events go first; raise "
                            "write_budget_mb_per_day")
            return
        before, stored = self._wrote(), 0

        def fill(folder: Path) -> None:
            write_recording(folder / RECORDING, self.fetch, one.begin, one.end, self._history.run.boot)
            for key in keys:
                jpeg = self.keeper.ring.get(key)
                if jpeg is not None:       # else it had to make room meanwhile, and the ring has counted it
                    place = folder / FRAMES / key.camera
                    place.mkdir(parents=True, exist_ok=True)
                    self._folders.write(place / f"{key.taken_at}.jpg", jpeg)

        told = as_told(self._history.run, one.incident, self._hashes.of(one.incident))
        try:
            stored = self._folders.store(told, fill, self._full)
        finally:
            after = self._wrote()
            self._history.charge(stored if before is None or after is None else after - before)
        self.written += 1
        self._written_at = time.monotonic()

    @property
    def _full(self) -> bool:
        return self._settings is not None and self._settings.events.durability == "full"

    def _tidy(self) -> None:
        """Remove what need not be kept any more."""
        self._tidy_at = time.monotonic() + TIDY_S
        wanted = self._wanted
        if wanted is None:
            return
        oldest = time.time_ns() - round(wanted.keep_days * DAY_S * 1e9) if self._history.clock() is not False else None
        self._folders.tidy(oldest, round(wanted.keep_mb * MB), wanted.keep_least)

    def _answer(self) -> None:
        while self._asked:
            answers = self._asked.popleft()
            try:
                if not self._history.waiting:      # else an event may have its evidence and not be stored yet
                    remove_orphans(self._folders, self._history.path)
                answers.put("")
            except OSError as error:
                answers.put(str(error))

    def _failed(self, error: Exception) -> None:
        """Try again later, for a while."""
        now = time.monotonic_ns()
        self._not_before = now + round(BACKOFF_S[min(self._attempt, len(BACKOFF_S) - 1)] * NS)
        self._attempt += 1
        self._opened = self._opened and not isinstance(error, FileNotFoundError)
        why = explained(error, self._folders.folder)
        lost = 0
        while self._waiting and self._waiting[0].end + GIVE_UP_NS < self._not_before:
            self._waiting.popleft()
            self._hold()
            lost += 1
        self._leave_out(why, lost)

    def _leave_out(self, why: str, events: int = 1) -> None:
        """Count events that have no evidence, and say so once."""
        if not self._told:
            self._lost_before = self.left_out
        self.left_out += events
        self.trouble, self._left_out_at = why, time.monotonic()
        if not self._told:
            self._told = True
            self._history.tell(EVIDENCE_LOST, f"evidence is not kept: {why}")

    def _went_well(self) -> None:
        if self._told and self._written_at > self._left_out_at and time.monotonic() - self._left_out_at >= self._quiet_s:
            self._told, self.trouble = False, ""
            self._history.tell(EVIDENCE_KEPT, f"{self._folders.folder}: evidence is kept again; "
                                              f"{self.left_out - self._lost_before} events have none")
