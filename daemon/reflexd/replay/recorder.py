"""Writes down what a running daemon decides on, as long as it runs and somebody wants it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from reflexd.protocol import ControlError
from reflexd.replay.live import Live, LiveFrames
from reflexd.replay.tape import Begin, Framed, Line, Lost, Taken, Unframed, Writer

LAST_S = 1.0       # for the frames of the last predictions, which are still on their way


class Recorder:
    """Fetches and writes, a part at a time, so that memory stays small; what was written stays if the daemon goes."""

    def __init__(self, live: Live, path: Path, force: bool = False, for_ns: int | None = None,
                 frames: LiveFrames | None = None) -> None:
        """Record for that long from the first answer on; the file is made only once there is one."""
        self.path = path
        self.films = frames
        self.items = self.lost = self.begins = self.frames = self.unframed = 0
        self.unfilmed = ""                     # why frames do not come any more
        self.first = self.last = 0             # moments of the first mark and of the last item; monotonic ns
        self.reached_s = 0.0                   # how long before the first answer it begins
        self.fired: Counter[str] = Counter()
        self._live = live
        self._force = force
        self._for_ns = for_ns
        self._until: int | None = None
        self._writer: Writer | None = None
        self._ending = False

    @property
    def begun(self) -> bool:
        """Say whether there is a file."""
        return self._writer is not None

    @property
    def bytes(self) -> int:
        """Give the size of the file, as far as it was written."""
        return self.path.stat().st_size if self.begun else 0

    @property
    def seconds(self) -> float:
        """Give how much time it spans."""
        return max(self.last - self.first, 0) / 1e9

    def fetch(self, enough: Callable[[], bool] = lambda: False) -> bool:
        """Write all that came by now; false once the time is up or it is enough. Raises: ControlError, OSError."""
        for line in self._live.lines():
            writer = self._writer or self._open()
            if enough() or (self._until is not None and isinstance(line, Taken) and line.now > self._until):
                return False
            self._write(writer, line)
        assert self._writer is not None, "the first answer has a mark"
        self._writer.flush()
        return self._until is None or self._live.now < self._until

    def film(self, for_s: float) -> bool:
        """Write the frames that come in that time; false where there are none to wait for. Raises: OSError of the file."""
        if self.films is None or self._writer is None:
            return False
        try:
            for line in self.films.lines(for_s):
                late = isinstance(line, Framed) and line.taken_at > (self.last if self._ending else self._until or line.taken_at)
                if late and self._ending:
                    break
                if not late:            # else what is said of it comes after the end
                    self._write(self._writer, line)
        except ControlError as error:      # the items go on; what the daemon does, they tell
            self.unfilmed = str(error)
            return False
        self.unfilmed = ""
        return True

    def end(self) -> str:
        """End the file whole, and give the hash of what was decided. Raises: OSError."""
        assert self._writer is not None, "begun before"
        self._ending = True
        if self.films is not None and not self.unfilmed:
            self.film(LAST_S)
            self.films.close()
        return self._writer.end()

    def abandon(self) -> None:
        """Leave the file as it is: nothing more can be written to it, or nobody wants more."""
        if self.films is not None:
            self.films.close()
        if self._writer is not None:
            self._writer.abandon()

    def _open(self) -> Writer:
        state_dir = self.films.state_dir if self.films else None
        self._writer = Writer(self.path, self._live.version, self._live.boot, self._force, state_dir)
        self._until = None if self._for_ns is None else self._live.now + self._for_ns
        return self._writer

    def _write(self, writer: Writer, line: Line) -> None:
        if isinstance(line, Taken):
            writer.take(line)
            self.items += 1
            self.last = line.now
            self.fired.update(str(order[1]) for order in line.orders if order[0] == "fired")
        elif isinstance(line, Begin):
            writer.begin(line)
            self.begins += 1
            if not self.first:
                self.first, self.reached_s = line.now, (self._live.now - line.now) / 1e9
        elif isinstance(line, Lost):
            writer.lose(line.items)
            self.lost += line.items
        elif isinstance(line, Framed):
            writer.frame(line)
            self.frames += 1
        elif isinstance(line, Unframed):
            writer.unframe(line.frames)
            self.unframed += line.frames
