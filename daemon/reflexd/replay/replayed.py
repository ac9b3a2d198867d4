"""Whether a recording is decided on as it was, and what it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from reflexd import __version__
from reflexd.replay.again import Comparison, Step, again
from reflexd.replay.tape import Begin, Line, TapeError, head, read
from reflexd.replay.telling import Clockwork
from reflexd.rules.items import Fired


class Replayed(Comparison):
    """A recording that was decided on once more."""

    def __init__(self, version: str) -> None:
        """`version` is that of the reflexd which recorded."""
        super().__init__()
        self.version = version
        self.number = 0                        # of the first item that was decided otherwise, from 1
        self.began = self.last = 0             # moments of its beginning and of its last item; monotonic ns
        self.utc_s: float | None = None        # of its beginning, by the wall clock
        self.fired: dict[str, list[int]] = {}  # moments, of each rule

    def add(self, step: Step) -> None:
        """Compare what was decided on an item, and note which rules fired."""
        super().add(step)
        self.last = step.taken.now
        if self.first is step:
            self.number = self.items
        for command in step.commands:
            if isinstance(command, Fired):
                self.fired.setdefault(command.rule, []).append(step.taken.now)

    def watch(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Pass lines on, and note when it began."""
        for line in super().watch(lines):
            if isinstance(line, Begin) and not self.items:
                self.began, self.utc_s = line.now, line.utc_s
            yield line

    @property
    def seconds(self) -> float:
        """Give how much time it spans."""
        return (self.last - self.began) / 1e9

    @property
    def clock(self) -> Clockwork:
        """Give what writes its moments."""
        return Clockwork(self.began, self.utc_s)

    @property
    def whole(self) -> bool:
        """Say whether it has an end, and that tells of what was found."""
        return self.end is not None and (self.end.items, self.end.sha256) == (self.items, str(self.digest))

    @property
    def same(self) -> bool:
        """Say whether everything is decided as it was."""
        return self.first is None and (self.end is None or self.whole)

    @property
    def remarks(self) -> list[str]:
        """Say what else is to be known of it."""
        found = [f"made by reflexd {self.version}, and this is {__version__}"] if self.version != __version__ else []
        found += [f"{self.lost} items are missing: they came faster than they were fetched, and what follows begins anew"] \
            if self.lost else []
        return [*found, "it was cut off: it has no end, and was read as far as it goes"] if self.end is None else found


def replay(path: Path) -> Replayed:
    """Decide on all of a recording once more. Raises: TapeError, OSError."""
    found = Replayed(head(path).version)
    for step in again(found.watch(read(path))):
        found.add(step)
    if not found.items:
        raise TapeError(f"{path}: has no items; record anew")
    return found
