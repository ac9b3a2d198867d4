"""Recordings of sensor readings, cut into windows as the daemon cuts them.

A .csv has a column for each channel, and may have one of times; then its readings go through the daemon's own windows.py:
resampled to the rate, and no window over a gap. Without times its rows are samples, and so are those of an .npz.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reflexd.windows import Plan, Windows
from reflexd_drivers.base import Reading
from reflexd_models import files
from reflexd_models.base import ModelError

LARGEST = 256 * files.MIB
TIMES = ("time_s", "time", "timestamp")     # a column of that name has times, as seconds or as 2026-11-21 22:04:59
GAP_SAMPLES = 4
Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings of some channels; `times` in seconds, or None where rows are samples."""

    path: Path
    channels: tuple[str, ...]
    rows: NDArray[np.float64]          # (readings, channels); nan where there was none
    times: NDArray[np.float64] | None = None
    cut: Samples | None = None         # windows (n, length, channels), where they were cut already

    @property
    def rate_hz(self) -> float | None:
        """Tell how many readings a second there are, None where nothing says it."""
        if self.times is None or len(self.times) < 2:
            return None
        pause = float(np.median(np.diff(self.times)))
        return 1 / pause if pause > 0 else None

    @property
    def length(self) -> int | None:
        """Tell how long its windows are, where they were cut already."""
        return None if self.cut is None else self.cut.shape[1]


def read(path: Path, channels: Sequence[str] = ()) -> Recording:
    """Read a .csv or .npz, with the channels of those names or all of them.

    Raises: ModelError.
    """
    return _npz(path, channels) if path.suffix == ".npz" else _csv(path, channels)


def windows(recording: Recording, rate_hz: float, length: int, hop: int) -> Samples:
    """Cut a recording into windows: float32 (n, length, channels).

    Raises: ModelError.
    """
    if recording.cut is not None:
        if recording.cut.shape[1] != length:
            raise ModelError(f"{recording.path}: has windows of {recording.cut.shape[1]} samples, wanted are {length}; "
                             "change the length, or record anew")
        found: Iterable[Samples] = recording.cut
    else:
        found = _of_times(recording, rate_hz, length, hop) if recording.times is not None else _of_rows(recording, length, hop)
    whole = [window for window in found if np.isfinite(window).all()]
    return np.stack(whole) if whole else np.zeros((0, length, len(recording.channels)), np.float32)


def _of_rows(recording: Recording, length: int, hop: int) -> Iterator[Samples]:
    rows = recording.rows.astype(np.float32)
    for at in range(0, len(rows) - length + 1, hop):
        yield rows[at : at + length]


def _of_times(recording: Recording, rate_hz: float, length: int, hop: int) -> Iterator[Samples]:
    """Let the readings come one after the other, as a sensor gives them; where times go back (a clock was set) begin anew."""
    assert recording.times is not None
    plan = Plan((len(recording.channels),), rate_hz, length, hop, gap_ms=GAP_SAMPLES * 1000 / rate_hz)
    breaks = np.flatnonzero(np.diff(recording.times) < 0) + 1
    for times, rows in zip(np.split(recording.times, breaks), np.split(recording.rows, breaks), strict=True):
        cutter, since = Windows(plan), times[0] if len(times) else 0.0
        for time, row in zip(times.tolist(), rows.tolist(), strict=True):
            at = round((time - since) * 1e9)
            cutter.add(0, Reading(row[0], at, at, values=tuple(row)))
            taken = cutter.take()
            if taken is not None:
                yield taken[0].copy()


def _npz(path: Path, channels: Sequence[str]) -> Recording:
    found = files.npz(path, LARGEST, "the recording").get("x")
    if found is None or found.dtype.kind not in "fiu" or found.ndim not in (2, 3) or not found.size:
        raise ModelError(f"{path}: needs an array x of numbers, (samples, channels) or (windows, length, channels); save it so")
    names = tuple(channels) or tuple(f"channel{at}" for at in range(1, found.shape[-1] + 1))
    if len(names) != found.shape[-1]:
        raise ModelError(f"{path}: x has {found.shape[-1]} channels, and {len(names)} are named; name each with --channels")
    cut = found.astype(np.float32) if found.ndim == 3 else None
    return Recording(path, names, found.reshape(-1, found.shape[-1]).astype(np.float64), cut=cut)


def _csv(path: Path, wanted: Sequence[str]) -> Recording:
    lines = files.text(path, LARGEST, "the recording").splitlines()
    table = [row for row in csv.reader(lines) if row]
    if not table:
        raise ModelError(f"{path}: is empty; record some readings")
    header = [name.strip() for name in table[0]]
    if all(_is_number(name) for name in header):
        raise ModelError(f"{path}: line 1 has numbers where the names of the columns belong; write a first line as time_s,x,y,z")
    time = next((at for at, name in enumerate(header) if name.lower() in TIMES), None)
    names = tuple(wanted) or tuple(name for at, name in enumerate(header) if at != time)
    missing = [name for name in names if name not in header]
    if missing or not names:
        raise ModelError(f'{path}: has no column "{missing[0] if missing else ""}", found {", ".join(header)}; '
                         "name columns with --channels")
    places = [header.index(name) for name in names]
    rows = np.array([[_number(row[at]) if at < len(row) else math.nan for at in places] for row in table[1:]], np.float64)
    rows = rows.reshape(-1, len(names))
    if time is None:
        return Recording(path, names, rows)
    times = np.array([_seconds(row[time] if time < len(row) else "", path, line) for line, row in enumerate(table[1:], 2)])
    return Recording(path, names, rows, times)


def _is_number(text: str) -> bool:
    return not math.isnan(_number(text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(text: str, path: Path, line: int) -> float:
    found: Any = _number(text)
    if math.isnan(found):
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ModelError(f'{path}: line {line}: a time is seconds or as 2026-11-21 22:04:59, found "{text[:40]}"; '
                             "correct it") from None
        found = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    if not math.isfinite(found):
        raise ModelError(f"{path}: line {line}: a time is a number, found {text[:40]}; correct it")
    return float(found)
