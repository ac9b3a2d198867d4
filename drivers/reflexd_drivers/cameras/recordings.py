"""What a replay camera can read: a folder of pictures, a video file, an .npz. Frames come out as slots, in order.

One thread at a time. A recording tells when each of its frames was taken, in seconds after the first;
it never waits and knows no clock.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import DriverError, FramePool, Plane, Slot, View

PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}
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


class Steady:
    """The time of frames that come at one rate."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self.index = -1

    def seconds(self) -> float:
        """Tell when the frame was taken; a product and not a sum, so that it does not drift."""
        return self.index / self._rate_hz

    def period_s(self) -> float:
        """Tell how long a frame lasts."""
        return 1 / self._rate_hz


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


class Decoded(Steady):
    """Pictures that cv2 decodes as BGR and that are turned into RGB in a slot of a pool."""

    def __init__(self, where: str, rate_hz: float) -> None:
        super().__init__(rate_hz)
        self._where = where
        self._pool: FramePool | None = None
        self._shape: tuple[int, ...] = ()

    def into_slot(self, picture: Plane) -> Slot | None:
        """Convert into a free slot, if there is one. Raises: DriverError when the size changed."""
        import cv2

        if self._pool is None:
            self._shape = shape = picture.shape
            self._pool = FramePool(lambda: rgb_views(shape))
        if picture.shape != self._shape:
            raise DriverError(f"{self._where}: frame {self.index} is {_px(picture.shape)} px, the first was {_px(self._shape)}; "
                              "record all frames at one size")
        slot = self._pool.take()
        if slot is not None:
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=slot.views["main"].planes[0])
        return slot


def rgb_views(shape: tuple[int, ...]) -> Mapping[str, View]:
    """Make the buffer of a frame."""
    return {"main": View("rgb", (np.empty(shape, np.uint8),))}


def _px(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


class Pictures(Decoded):
    """The pictures of a folder, in the order of their names."""

    def __init__(self, folder: Path, rate_hz: float) -> None:
        super().__init__(str(folder), rate_hz)
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
        if not self._paths:
            raise DriverError(f"{folder}: the folder has no pictures; put .png, .jpg or .bmp files there")
        self._picture: Plane | None = None

    def advance(self) -> bool:
        """Decode the next picture."""
        import cv2

        self.index += 1
        if self.index >= len(self._paths):
            return False
        path = self._paths[self.index]
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise DriverError(f"{path}: this is no picture that can be decoded; replace it or take it out of the folder")
        self._picture = picture.view(np.uint8)
        return True

    def slot(self) -> Slot | None:
        """Give the picture."""
        assert self._picture is not None, "advance() came first"
        return self.into_slot(self._picture)

    def rewind(self) -> None:
        """Go back to before the first picture."""
        self.index = -1

    def close(self) -> None:
        """Nothing is open."""


class Video(Decoded):
    """A video file, at the rate that it says."""

    def __init__(self, path: Path, rate_hz: float | None) -> None:
        import cv2

        self._path = path
        self._capture = self._open()
        own = self._capture.get(cv2.CAP_PROP_FPS)
        if rate_hz is None and not 0 < own <= 1000:
            self._capture.release()
            raise DriverError(f"{path}: the video does not say its rate (found {own:g}); write rate_hz")
        super().__init__(str(path), rate_hz or own)
        self._picture: Plane | None = None

    def _open(self) -> Any:   # noqa: ANN401  cv2.VideoCapture; kept out of this module's imports
        import cv2

        # One decoding thread: more would compete with the networks for the cores.
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_ANY, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise DriverError(f"{self._path}: this is no video that can be decoded; use MJPEG in .avi or H.264 in .mp4")
        return capture

    def advance(self) -> bool:
        """Go to the next frame; it is decoded by slot()."""
        self.index += 1
        if self._capture.grab():
            return True
        if self.index == 0:
            raise DriverError(f"{self._path}: the video has no frame that can be decoded; record it again")
        return False

    def slot(self) -> Slot | None:
        """Decode into the same scratch picture each time, and convert."""
        good, picture = self._capture.retrieve(self._picture)
        if not good:
            raise DriverError(f"{self._path}: frame {self.index} cannot be decoded; cut the video before it")
        self._picture = picture
        return self.into_slot(picture)

    def rewind(self) -> None:
        """Open the file again: seeking is not exact in every container."""
        self._capture.release()
        self._capture = self._open()
        self.index = -1

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


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
