"""Writes events into the store, on a thread of its own; nobody waits for it.

What cannot be written waits in memory, the oldest is dropped and counted when too much does, and it is tried again after
0.5, 1, 2 … 30 s. The log has one line when that begins and one when it is over. Whatever goes wrong here, decisions and
outputs have nothing to do with it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from reflexd.config.settings import DaemonSettings, EventsSettings
from reflexd.events import EVENTS_ASIDE, EVENTS_STORED, EVENTS_WAIT, Event
from reflexd.history.budget import DAY_S, MB, Budget, card_years, estimated, thread_wrote
from reflexd.history.hindrance import Hindrance
from reflexd.history.incident import Incident, Run, unknown
from reflexd.history.store import FILE, Bounds, Connect, DamagedError, Store, connect, set_aside
from reflexd.history.wording import Hashes, explained
from reflexd.workers import Inbox, Wake, start_thread

WAITING = 1000           # events that wait for the disk; as many more may come in while one call into it does not return
BATCH = 250              # events of one commit
PAUSE_S = 1.0            # between two commits: what happens meanwhile is written at once, which costs a card the least
TIDY_S = 3600.0          # how often the store is looked over for what need not be kept
TIDY_AFTER = 200         # or after so many events
ASK_S = 30.0
USUAL_FOLDER = str(DaemonSettings.model_fields["state_dir"].default)

Tell: TypeAlias = Callable[[Event, str], None]
Answer: TypeAlias = tuple[int, str]           # events that were removed, or why that failed


class Writer:
    """The thread and what waits for it. Only `put`, `start`, `take_over`, `end` and `close` are for the main thread."""

    def __init__(self, run: Run, settings: EventsSettings, folder: Path, *, opens: Connect = connect, pause_s: float = PAUSE_S,
                 wrote: Callable[[], int | None] = thread_wrote, tell: Tell = lambda _event, _text: None,
                 synchronised: Callable[[], bool | None] = unknown, trial: bool = False) -> None:
        """Write to a file in that folder, of a trial nothing. `tell` logs from any thread; `wrote` counts a thread's bytes.

        `synchronised` is asked of the wall clock, on this thread, where the loop did not know.
        """
        self.path = folder / FILE
        self.run = run
        self.tell = tell
        self.stored = 0                    # of this run
        self.stored_up_to = ""             # id of the newest one
        self.kept = 0                      # in the store
        self._settings = settings
        self._trial = trial
        self.clock = synchronised
        self._opens, self._pause_s, self._wrote = opens, pause_s, wrote
        self._wake = Wake()
        self._inbox: Inbox[Incident] = Inbox(WAITING, self._wake)
        self._waiting: deque[Incident] = deque()
        self._dropped = 0
        self._asked: deque[tuple[int | None, int | None, SimpleQueue[Answer]]] = deque()
        self._store: Store | None = None
        self._used_bytes = 0
        self._gone = 0                     # events, by what was asked for last
        self._hashes = Hashes()
        self._budget = Budget(settings.write_budget_mb_per_day, time.monotonic())
        self._restored = False
        self._text_bytes = 0
        self._hindrance = Hindrance()
        self._tidy_at = 0.0                # monotonic seconds
        self._since_tidy = 0
        self._ending = False
        self._thread: threading.Thread | None = None

    @property
    def enabled(self) -> bool:
        """Say whether events are stored."""
        return self._settings.enabled and not self._trial

    @property
    def trouble(self) -> str:
        """Say why events wait; empty while they do not."""
        return self._hindrance.why

    @property
    def dropped(self) -> int:
        """Count the events that were lost because too many waited."""
        return self._dropped + self._inbox.dropped

    @property
    def waiting(self) -> int:
        """Count the events that are not stored yet."""
        return len(self._waiting) + len(self._inbox)

    def put(self, incident: Incident) -> None:
        """Take an event; at once."""
        if self.enabled:
            self._inbox.put(incident)

    def start(self) -> None:
        """Begin to write, where that is wanted."""
        if self.enabled and self._thread is None:
            self._thread = start_thread("events", self._work)

    def take_over(self, settings: EventsSettings) -> None:
        """Go by these settings from now on."""
        self._settings = settings
        self.start()
        self._wake.set()

    def end(self) -> None:
        """Have what waits written once more, without waiting for it."""
        self._ending = True
        self._wake.set()

    def close(self, timeout_s: float) -> str:
        """Wait for the end, so long at most. Says what was lost; empty when nothing was."""
        self.end()
        if self._thread is not None:
            self._thread.join(timeout_s)
        late = self._thread is not None and self._thread.is_alive()
        if not self.waiting or not (late or self._hindrance.told):
            return ""
        return f"{self.waiting} events are not stored: {'the disk takes too long' if late else self.trouble}"

    def prune(self, before_utc_ns: int | None, keep: int | None, within_s: float = ASK_S) -> int:
        """Remove what happened before, or all but the newest; from any thread but this one. Raises: OSError."""
        if self._thread is None:
            raise OSError(f"{self.path}: this reflexd stores no events; name the file with --store")
        answers: SimpleQueue[Answer] = SimpleQueue()
        asked = (before_utc_ns, keep, answers)
        self._asked.append(asked)
        self._wake.set()
        try:
            gone, why = answers.get(timeout=within_s)
        except Empty:
            try:
                self._asked.remove(asked)      # not to be done behind the back of who was told that it failed
            except ValueError:
                raise TimeoutError(f"{self.path}: the store is still at it; see reflexctl events later") from None
            raise TimeoutError(f"{self.path}: the store does not answer, and nothing is removed; see reflexctl status") from None
        if why:
            raise OSError(why)
        return gone

    def spares(self, count: float) -> bool:
        """Say whether the budget has room for what can be left out; from any thread."""
        return self._budget.spares(count, time.monotonic())

    def charge(self, count: float) -> None:
        """Count bytes that were written beside the store; from any thread."""
        self._budget.spend(count, time.monotonic())
        self._wake.set()

    def report(self) -> dict[str, object]:
        """Describe how it is doing, for reflexctl status."""
        now, settings = time.monotonic(), self._settings
        day = self._budget.day(now)
        return {
            "enabled": self.enabled, "file": str(self.path), "durability": settings.durability,
            "stored": self.stored, "stored_up_to": self.stored_up_to, "waiting": self.waiting, "dropped": self.dropped,
            "kept": self.kept, "used_mb": round(self._used_bytes / MB, 3), "trouble": self.trouble,
            "trouble_s": round(self._hindrance.lasts_s(now), 1),
            "written_mb_24h": round(day / MB, 3), "write_budget_mb_per_day": settings.write_budget_mb_per_day,
            "written_mb": round(self._budget.total / MB, 3),
            "card_years_at_budget": round(card_years(settings.write_budget_mb_per_day * MB), 1),
        }

    def _work(self) -> None:
        self._attend(self._open)      # so that status tells from the start how the store is
        while not self._ending:
            self._wake.wait(self._pause())
            self._collect()
            self._answer()
            if not self._ending and self._may_write():
                self._attend(self._write)
        self._collect()
        if self._waiting:             # once, whatever the budget says
            self._attend(self._write)
        self._leave()

    def _collect(self) -> None:
        for one in self._inbox.drain():
            self._waiting.append(one if one.synchronised is not None else replace(one, synchronised=self.clock()))
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._dropped += 1

    def _pause(self) -> float:
        """Say how long there is nothing to do unless something happens."""
        now, due = time.monotonic(), self._hindrance.not_before
        if not self._waiting and not self.trouble:
            due = max(due, self._tidy_at)
        return max(due - now, self._budget.wait_s(now))

    def _may_write(self) -> bool:
        now = time.monotonic()
        if self._budget.daily != (daily := self._settings.write_budget_mb_per_day) * MB:
            self._budget.change(daily)      # before it is asked: a reload may have raised it
        if self._budget.wait_s(now) <= 0:
            due = bool(self._waiting or self.trouble or self._budget.to_be_saved or now >= self._tidy_at)
            return now >= self._hindrance.not_before and due
        if self._waiting:
            self._hindered(self._used_up())
        return False

    def _used_up(self) -> str:
        return (f"the write budget of {self._settings.write_budget_mb_per_day:g} MB a day is used up; raise "
                "write_budget_mb_per_day in [events], or have rules fire less often")

    def _attend(self, do: Callable[[], object], *, asked: bool = False) -> None:
        """Do something with the store, count what that wrote, and take in how it went; `asked`: somebody wanted it."""
        before, self._text_bytes, failure = self._wrote(), 0, None
        try:
            do()
        except Exception as error:    # a mistake of ours as well: outputs have nothing to do with it
            failure = error
        after = self._wrote()
        wrote = estimated(self._text_bytes) * bool(self._text_bytes) if before is None or after is None else after - before
        self._budget.spend(wrote, time.monotonic(), asked=asked)
        if failure is None:
            self._went_well()
        else:
            self._failed(failure)

    def _open(self) -> Store:
        if self._store is not None and (self._store.gone or self._store.durability != self._settings.durability):
            self._close()
        if self._store is None:
            self._store = store = Store(self.path, self._settings.durability, self._opens)
            self.kept, self._used_bytes = store.kept, store.used_bytes
            if not self._restored:
                self._budget.restore(store.recall("budget"), time.time(), time.monotonic())
                self._restored = True
        return self._store

    def _write(self) -> None:
        """Store all that waits."""
        store = self._open()
        while self._waiting:
            batch = list(islice(self._waiting, BATCH))
            self._text_bytes += store.add(self.run, batch, self._hashes.of)
            for _ in batch:
                self._waiting.popleft()
            self.stored_up_to = batch[-1].id
            self.stored += len(batch)
            self.kept = store.kept
            self._since_tidy += len(batch)
        self._tidy(store)
        if self._budget.to_be_saved:
            store.note("budget", self._budget.saved(time.time()))
        self._used_bytes = store.used_bytes

    def _tidy(self, store: Store) -> None:
        """Remove some of what need not be kept any more."""
        now, settings = time.monotonic(), self._settings
        if now < self._tidy_at and self._since_tidy < TIDY_AFTER:
            return
        # Asked now: a clock that was set by ten years since the newest event, or before the first, makes nothing old.
        oldest = None if self.clock() is False else time.time_ns() - round(settings.keep_days * DAY_S * 1e9)
        gone = store.tidy(Bounds(oldest, round(settings.keep_mb * MB), settings.keep_per_rule))
        self.kept = store.kept
        self._since_tidy = 0
        self._tidy_at = now + (self._pause_s if gone else TIDY_S)     # there may be more

    def _answer(self) -> None:
        """Remove what somebody wants removed, and say how many went."""
        while self._asked:
            before_utc_ns, keep, answers = self._asked.popleft()
            self._gone = -1
            self._attend(partial(self._prune, before_utc_ns, keep), asked=True)
            lost = f"{self.path}: the store was damaged, and is begun anew"
            answers.put((self._gone, "") if self._gone >= 0 else (0, self.trouble or lost))

    def _prune(self, before_utc_ns: int | None, keep: int | None) -> None:
        store = self._open()
        self._gone = store.prune(before_utc_ns, keep)
        self.kept, self._used_bytes = store.kept, store.used_bytes

    def _leave(self) -> None:
        if self._store is not None:
            with suppress(Exception):     # the next run takes it for spent
                self._store.note("budget", self._budget.saved(time.time(), ended=True))
        self._close()

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _went_well(self) -> None:
        now = time.monotonic()
        self._hindrance.go_on(now + self._pause_s)
        if not self.trouble:
            return
        if self._budget.wait_s(now) > 0:
            self._hindered(self._used_up())
        elif line := self._hindrance.end(self.dropped, now):
            self.tell(EVENTS_STORED, f"{self.path}: {line}")

    def _failed(self, error: Exception) -> None:
        """Try again later; with a damaged store out of the way."""
        self._close()
        self._hindrance.put_off(time.monotonic())
        if isinstance(error, DamagedError):
            try:
                aside = set_aside(self.path)
            except OSError as refused:
                error = refused
            else:
                self.tell(EVENTS_ASIDE, f"{self.path}: the store of events is damaged ({error}); it is {aside.name} now, "
                                        "and a new one is begun")
                return
        absent = isinstance(error, FileNotFoundError) and str(self.path.parent) == USUAL_FOLDER
        self._hindered(explained(error, self.path), quietly=absent)      # run by hand, without a service around it

    def _hindered(self, why: str, quietly: bool = False) -> None:
        if line := self._hindrance.begin(why, self.dropped, time.monotonic(), quietly):
            self.tell(EVENTS_WAIT, line)
