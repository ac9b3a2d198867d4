"""Where lines of a recording come from, and when: a running daemon's trace or a file, and the wall clock in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Protocol

from reflexd.replay.live import Live
from reflexd.replay.tape import Begin, Line, Taken, TapeError, read
from reflexd.rules.items import NS

SLACK_NS = 60 * NS      # before a moment: most rules have decided within that
LATER_NS = 5 * NS       # the daemon is asked so long after it told the time, at most: it counts from when it is asked
ALWAYS_S = 1e9 - 1      # as far back as it reaches


class MomentError(ValueError):
    """There is nothing to tell of that moment; the text says what there is."""


class Recorded(Protocol):
    """Lines, and the moment in which they end."""

    end: int
    offset_s: float | None      # of the wall clock, seconds since 1970, from monotonic time

    def lines(self, moment: int) -> Iterator[Line]:
        """Give lines from a mark at that moment or before it. Raises: MomentError, TapeError."""
        ...

    def since(self, moment: int) -> Iterator[Line]:
        """Give lines from a mark by that moment on, or as near to it as there is one."""
        ...

    def all_lines(self) -> Iterator[Line]:
        """Give all there is."""
        ...


class Running:
    """What a daemon keeps in its trace."""

    def __init__(self, socket: Path) -> None:
        """Ask it for the time. Raises: ControlError."""
        live = Live(socket)
        begin = next(one for one in live.lines() if isinstance(one, Begin))      # the trace is never without a mark
        self.end = live.now
        self.offset_s = None if begin.utc_s is None else begin.utc_s - begin.now / NS
        self._socket = socket

    def lines(self, moment: int) -> Iterator[Line]:
        """Fetch what has a minute more, so that most rules have decided. Raises: ControlError, MomentError."""
        for number, line in enumerate(self.since(moment - SLACK_NS)):
            if number == 0 and isinstance(line, Begin) and line.now > moment:
                raise MomentError(f"{shown(self, moment)} is gone: the trace reaches back to {shown(self, line.now)}, "
                                  f"{span((self.end - line.now) / NS)}; a recording or an event keeps longer")
            yield line

    def since(self, moment: int) -> Iterator[Line]:
        """Fetch from before that moment on. Raises: ControlError."""
        return Live(self._socket, (self.end - moment + LATER_NS) / NS).lines()

    def all_lines(self) -> Iterator[Line]:
        """Fetch everything. Raises: ControlError."""
        return Live(self._socket, ALWAYS_S).lines()


@dataclass
class Filed:
    """A recording in a file."""

    path: Path
    begin: int = 0
    end: int = 0
    offset_s: float | None = None

    def __post_init__(self) -> None:
        """Find where it begins and ends. Raises: TapeError, OSError."""
        begins: list[Begin] = []
        for line in read(self.path):
            if isinstance(line, Begin):
                begins.append(line)
            if isinstance(line, (Begin, Taken)):
                self.end = line.now
        if not begins:
            raise TapeError(f"{self.path}: has nothing in it; record anew")
        self.begin = begins[0].now
        self.offset_s = next((one.utc_s - one.now / NS for one in begins if one.utc_s is not None), None)

    def lines(self, moment: int) -> Iterator[Line]:
        """Read from its beginning. Raises: MomentError, TapeError, OSError."""
        if not self.begin <= moment <= self.end:
            raise MomentError(f"{shown(self, moment)} is not in {self.path}: it reaches from {shown(self, self.begin)} "
                              f"to {shown(self, self.end)}, {span((self.end - self.begin) / NS)}; name a moment in between")
        return self.all_lines()

    def since(self, moment: int) -> Iterator[Line]:
        """Read from its beginning. Raises: TapeError, OSError."""
        return self.all_lines()

    def all_lines(self) -> Iterator[Line]:
        """Read everything. Raises: TapeError, OSError."""
        return read(self.path)


def moment_of(recorded: Recorded, wanted: datetime | time) -> int:
    """Give a moment of the wall clock as monotonic ns; a time of day is the last one before the end. Raises: MomentError."""
    if recorded.offset_s is None:
        raise MomentError("the recording does not tell the wall clock; say --ago, which counts from its end")
    end = datetime.fromtimestamp(recorded.end / NS + recorded.offset_s, UTC).astimezone()
    at, soon = _dated(wanted, end), end + timedelta(seconds=1)      # a second that is not over yet has been asked for to its end
    if isinstance(wanted, time) and at > soon:
        at = _dated(wanted, end - timedelta(days=1))
    if at > soon:
        raise MomentError(f"{at:%Y-%m-%d %H:%M:%S} is still to come; name a moment before {end:%Y-%m-%d %H:%M:%S}")
    return min(round((at.timestamp() - recorded.offset_s) * NS), recorded.end)


def _dated(wanted: datetime | time, day: datetime) -> datetime:
    """Give a time of day the date that it is then, in its own time zone; and everything the zone of this computer."""
    if isinstance(wanted, time):
        wanted = datetime.combine(day.astimezone(wanted.tzinfo).date(), wanted)
    return wanted.astimezone()


def local(recorded: Recorded, moment: int) -> datetime | None:
    """Give a moment as local time; None where nobody knows it."""
    if recorded.offset_s is None:
        return None
    return datetime.fromtimestamp(moment / NS + recorded.offset_s, UTC).astimezone()


def shown(recorded: Recorded, moment: int) -> str:
    """Write a moment: the time of day, with the date where it is not that of the end."""
    at, end = local(recorded, moment), local(recorded, recorded.end)
    if at is None or end is None:
        return f"{span((recorded.end - moment) / NS)} before the end"
    return f"{at:%H:%M:%S}" if at.date() == end.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """Write how long something is."""
    if abs(seconds) < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if abs(seconds) < 7200 else f"{seconds / 3600:.1f} h"
