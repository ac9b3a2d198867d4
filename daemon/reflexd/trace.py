"""The last minutes of what was decided on, always kept: every item as it was consumed, with its now and what was decided.

Memory is bounded in bytes. From a mark on, which has what the decision stage remembered, the same items lead to the same
decisions; so why a rule did not act is computed by who asks, in a process of its own, and the loop pays for a note only.
The loop's thread alone writes and reads here.
"""

from __future__ import annotations

import marshal
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from reflexd.config.settings import Settings
from reflexd.rules.items import NS, Command, Item
from reflexd.rules.memory import Memory
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage

BYTES = 8 << 20            # of notes; a camera at 30 Hz with one network fills that in about twenty minutes
EACH = 64                  # bytes that a note costs beyond its content
MARKS = 16                 # as many are made over the ring, and up to twice as many for who asks: what is given begins at one
SOON_NS = 5_000_000_000    # who asks for what comes from now on has a mark that is no older
CHUNK = 64 << 10           # bytes of notes that are given at once
CHANGES = 1000             # of outputs
NEAR = 50                  # of them are given around a moment,
NEAR_NS = 5 * NS           # within that of it


class Mark(NamedTuple):
    """What was remembered before an item."""

    number: int            # of that item, counted from 0
    now: int               # when that was noted; monotonic ns
    fresh: bool            # whether another configuration begins here
    settings: Settings
    memory: Memory


class Chunk(NamedTuple):
    """Some of the notes, all of one configuration."""

    number: int                    # of the first
    notes: tuple[bytes, ...]       # marshalled (now, item, orders)
    mark: Mark | None              # before the first, where it does not just follow on what was given before
    lost: int = 0                  # notes that were asked for and are gone


class Changed(NamedTuple):
    """An output was driven, or something else happened at the gate."""

    now: int
    output: str            # "" for all of them
    text: str


class Trace:
    """A ring of notes."""

    def __init__(self, limit: int = BYTES) -> None:
        """Keep so many bytes of notes."""
        self.changes: deque[Changed] = deque(maxlen=CHANGES)
        self._limit = limit
        self._notes: deque[bytes] = deque()
        self._bytes = 0
        self._next = 0                     # number of the next item
        self._last = 0                     # when the last one was noted; monotonic ns
        self._marks: deque[Mark] = deque()
        self._left = 0                     # bytes until the next mark
        self._stage: Stage | None = None

    def begin(self, stage: Stage, now: int) -> None:
        """Follow that stage from now on; it may be the same one, changed."""
        self._stage = stage
        while self._marks and self._marks[-1].number == self._next:
            self._marks.pop()
        self._mark(now, fresh=True)

    def note(self, item: Item, now: int, commands: Sequence[Command]) -> None:
        """Keep an item that was decided on."""
        note = marshal.dumps((now, packed(item), [ordered(command) for command in commands] if commands else []))
        self._notes.append(note)
        self._next += 1
        self._last = now
        size = len(note) + EACH
        self._bytes += size
        self._left -= size
        if self._left <= 0:
            self._mark(now)
        if self._bytes > self._limit:
            self._forget()

    def near(self, moment: int) -> list[Changed]:
        """Give the last change of each output by a moment, and some of those around it."""
        last = {one.output: one for one in self.changes if one.now <= moment}
        around = [one for one in self.changes if abs(one.now - moment) <= NEAR_NS]
        return sorted({*last.values(), *around[:NEAR]})

    def since(self, moment: int) -> Chunk:
        """Give notes from the last mark on that was noted by then, or from the oldest.

        For who asks for what comes from now on, a mark is made where the last one is old.
        """
        if self._last <= moment and moment - self._marks[-1].now > SOON_NS and len(self._marks) < 2 * MARKS:
            self._mark(moment)
        mark = next((one for one in reversed(self._marks) if one.now <= moment), self._marks[0])
        return self._chunk(mark.number, mark)

    def following(self, number: int) -> Chunk:
        """Give notes from that one on."""
        oldest = self._next - len(self._notes)
        if number < oldest:
            mark = next((one for one in self._marks if one.number >= oldest), self._marks[-1])
            return self._chunk(mark.number, mark, mark.number - number)
        return self._chunk(number, next((one for one in self._marks if one.fresh and one.number == number), None))

    def _chunk(self, number: int, mark: Mark | None, lost: int = 0) -> Chunk:
        end = min((one.number for one in self._marks if one.fresh and one.number > number), default=self._next)
        oldest = self._next - len(self._notes)
        notes, size = [], 0
        for note in self._between(number - oldest, end - oldest):
            notes.append(note)
            size += len(note)
            if size > CHUNK:
                break
        return Chunk(number, tuple(notes), mark, lost)

    def _between(self, first: int, end: int) -> Iterator[bytes]:
        """Go through some of the notes, from the nearer end of them: the loop waits meanwhile."""
        if first < len(self._notes) // 2:
            return islice(self._notes, first, end)
        tail = list(islice(reversed(self._notes), len(self._notes) - first))
        return islice(reversed(tail), end - first)

    def _forget(self) -> None:
        """Let the oldest notes go, and marks before what is left: nothing begins at them any more."""
        while self._bytes > self._limit:
            self._bytes -= len(self._notes.popleft()) + EACH
        oldest = self._next - len(self._notes)
        while self._marks[0].number < oldest:
            self._marks.popleft()

    def _mark(self, now: int, fresh: bool = False) -> None:
        assert self._stage is not None, "begun before"
        self._marks.append(Mark(self._next, now, fresh, self._stage.settings, self._stage.memory()))
        self._left = self._limit // MARKS
