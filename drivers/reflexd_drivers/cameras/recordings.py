"""What a replay camera can read: a folder of pictures, a video file, an .npz. Frames come out as slots, in order.

One thread at a time. A recording tells when each of its frames was taken, in seconds after the first;
it never waits and knows no clock.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import DriverError, Slot, View
from reflexd_drivers.cameras.decoded import Pictures, Steady, Video

FOLDER_HZ = 10.0


class Recording(Protocol):
    """Frames that were taken before."""

    def advance(self) -> bool:
        """Go to the next frame, at first to the first one. False at the end. Raises: DriverError."""
        ...

    def seconds(self) -> float:
        """Tell when the frame was taken, counted from the first one."""
        ...

    def period_s(self) -> float:
        """Tell how long the last frame lasts."""
        ...

    def slot(self) -> Slot | None:
        """Give the frame with one holder, or None while readers hold every buffer. Raises: DriverError."""
        ...

    def rewind(self) -> None:
        """Go back to before the first frame. Raises: DriverError."""
        ...

    def close(self) -> None:
        """Let files go."""
        ...


class Arrays(Steady):
    """The pictures of an .npz, served as read-only views of the array: nothing is copied."""

    def __init__(self, pictures: NDArray[np.uint8], rate_hz: float, taken_s: NDArray[np.float64] | None = None) -> None:
        super().__init__(rate_hz)
        self._pictures = pictures
        self._pictures.flags.writeable = False
        self._taken_s = taken_s
        self._format: Literal["rgb", "grey"] = "rgb" if pictures.ndim == 4 else "grey"

    def advance(self) -> bool:
        """Go to the next picture."""
        self.index += 1
        return self.index < len(self._pictures)

    def seconds(self) -> float:
        """Tell when the picture was taken."""
        return super().seconds() if self._taken_s is None else float(self._taken_s[self.index] - self._taken_s[0])

    def slot(self) -> Slot:
        """Give a view of the picture."""
        slot = Slot({"main": View(self._format, (self._pictures[self.index],))}, _keep)
        slot.retain()
        return slot

    def rewind(self) -> None:
        """Go back to before the first picture."""
        self.index = -1

    def close(self) -> None:
        """Nothing is open: frames that are still held keep the array alive."""


def _keep(_slot: Slot) -> None:
    """Take back a slot whose buffers are the recording's own."""


def open_recording(path: Path, rate_hz: float | None, needs_pace: bool) -> Recording:
    """Open a folder, an .npz or a video.

    Raises: DriverError.
    """
    try:
        if path.is_dir():
            return Pictures(path, rate_hz or FOLDER_HZ)
        if not path.is_file():
            raise DriverError(f"{path}: there is no such file or folder; name a folder of pictures, a video or an .npz")
        return read_npz(path, rate_hz, needs_pace) if path.suffix.lower() == ".npz" else Video(path, rate_hz)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, DriverError):
            raise
        raise DriverError(f"{path}: the recording cannot be read: {error}; check its permissions and make it again") from error


def read_npz(path: Path, rate_hz: float | None, needs_pace: bool) -> Arrays:
    """Read the pictures of an .npz: array x, or else the first one.

    Raises: DriverError.
    """
    with np.load(path, allow_pickle=False) as file:
        name = "x" if "x" in file.files else next((name for name in file.files if name != "taken_s"), "")
        if not name:
            raise DriverError(f"{path}: there is no array; save the pictures as x, uint8 (n, height, width, 3)")
        pictures = file[name]
        taken_s = file["taken_s"].astype(np.float64) if rate_hz is None and "taken_s" in file.files else None
    of_pictures = pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 3)
    if pictures.dtype != np.uint8 or not pictures.size or not of_pictures:
        found = f"array {name} is {pictures.dtype} {pictures.shape}"
        raise DriverError(f"{path}: {found}; save uint8 (n, height, width, 3) or (n, height, width)")
    if taken_s is not None and (taken_s.shape != pictures.shape[:1] or not np.all(np.diff(taken_s) > 0)):
        raise DriverError(f"{path}: taken_s is not {len(pictures)} rising times; save one time in seconds for each picture")
    if taken_s is None and rate_hz is None and needs_pace:
        raise DriverError(f'{path}: an .npz has no pace of its own; write rate_hz, or pace = "fast"')
    mean_hz = 1.0 if taken_s is None or len(taken_s) < 2 else (len(taken_s) - 1) / float(taken_s[-1] - taken_s[0])
    return Arrays(pictures, rate_hz or mean_hz, taken_s)
