"""A camera that draws its pictures: for demonstrations, and for tests of everything behind a camera.

Frames come on one absolute schedule, or as fast as their readers take them. A script changes the scene as
time goes by, so that rules on black, covered or frozen pictures can be tried on a desk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import pairwise
from time import monotonic_ns
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from reflexd_drivers.base import CameraSettings, DriverError, Format, Frame, FramePool, NotYetError, Plane, SilentError, View
from reflexd_drivers.cameras.scenes import Draw, SceneName, scene

NS = 1_000_000_000
FORGET_LAG_NS = NS              # a reader that stood still for longer goes on from now, without a burst
RETRY_S = 0.001                 # while every buffer is held
RATE_HZ = 30.0

MakePool = Callable[[Callable[[], Mapping[str, View]]], FramePool]
Step = tuple[Annotated[float, Field(ge=0, le=86_400)], SceneName | Literal["frozen"]]
Side = Annotated[int, Field(ge=8, le=4096, multiple_of=2)]


def rises(script: tuple[Step, ...]) -> tuple[Step, ...]:
    """Refuse a script whose times do not rise. Raises: ValueError."""
    times = [at_s for at_s, _ in script]
    if any(later <= sooner for sooner, later in pairwise(times)):
        raise ValueError("the times of this script do not rise; write it as [[0, \"bars\"], [10, \"black\"]]")
    return script


class Settings(CameraSettings):
    """What the configuration says of a pattern camera; rate_hz is 30 where nothing else is written."""

    frozen_default_s: ClassVar[float] = 0.0     # some scenes stand still

    scene: SceneName = Field(default="moving", description="what is drawn")
    script: Annotated[tuple[Step, ...], AfterValidator(rises)] = Field(
        default=(), max_length=100,
        description='[[seconds, scene], …] since it was opened: the scene from then on; "frozen" repeats the last picture')
    size_px: tuple[Side, Side] = Field(default=(320, 240), description="width and height, both even")
    format: Literal["rgb", "grey", "yuv420"] = Field(default="rgb", description="how pixels come out")
    pace: Literal["rate", "fast"] = Field(default="rate", description='"fast" waits only for the reader, who gets every frame')
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="another seed, another noise and another way of the block")


class Pattern:
    """A camera that draws."""

    def __init__(self, settings: Settings, make_pool: MakePool = FramePool) -> None:
        self.lossless = settings.pace == "fast"
        self._period_ns = round(NS / (settings.rate_hz or RATE_HZ))
        self._artist = Artist(settings)
        self._pool = make_pool(self._artist.make_views)
        self._begun_at = monotonic_ns()
        self._due_at = self._begun_at
        self._sequence = 0
        self._closed = threading.Event()
        self.about = f"pattern: {settings.format} {settings.size_px[0]}x{settings.size_px[1]}"

    def read(self, timeout_s: float) -> Frame:
        """Draw the next frame at its time.

        Raises: NotYetError when it is not due yet; SilentError when readers hold every buffer; DriverError once closed.
        """
        deadline = monotonic_ns() + round(timeout_s * NS)
        if not self.lossless:
            self._wait_until_due(deadline)
        slot = self._pool.take()
        while slot is None:
            if monotonic_ns() >= deadline:
                raise SilentError("pattern: readers hold every frame; release() each frame after use")
            if self._closed.wait(RETRY_S):
                break
            slot = self._pool.take()
        if self._closed.is_set():
            if slot is not None:
                slot.release()
            raise DriverError("pattern: the camera was closed while it was read; open it again")
        assert slot is not None, "the loop ends with one, or closed"
        now = monotonic_ns()
        self._artist.draw(slot.views["main"], self._sequence, (now - self._begun_at) / NS)
        self._sequence += 1
        self._due_at += self._period_ns
        if now - self._due_at > FORGET_LAG_NS:
            self._due_at = now
        return Frame(monotonic_ns(), self._sequence - 1, slot)

    def _wait_until_due(self, deadline: int) -> None:
        self._closed.wait(max(min(self._due_at, deadline) - monotonic_ns(), 0) / NS)
        if monotonic_ns() < self._due_at and not self._closed.is_set():
            raise NotYetError("pattern: the next frame is not due yet; raise rate_hz or max_age_ms")

    def close(self) -> None:
        """End a read that waits; frames that are still held stay valid."""
        self._closed.set()


class Artist:
    """Draws the scene that the script wants, in the format that was asked for."""

    def __init__(self, settings: Settings) -> None:
        width, height = settings.size_px
        self._format: Format = settings.format
        self._shape = (height, width) if settings.format == "grey" else (height, width, 3)
        self._packed = (height * 3 // 2, width)
        self._script = settings.script
        self._seed = settings.seed
        self._scene: SceneName = settings.scene
        self._drawings: dict[str, Draw] = {}
        self._last: Plane | None = None      # what "frozen" repeats
        if any(name == "frozen" for _, name in settings.script):
            self._last = np.zeros(self._packed if settings.format == "yuv420" else self._shape, np.uint8)

    def make_views(self) -> Mapping[str, View]:
        """Make the buffer of a frame; the three planes of yuv420 lie one after the other in one."""
        if self._format != "yuv420":
            return {"main": View(self._format, (np.empty(self._shape, np.uint8),))}
        return {"main": View("yuv420", planes_of(np.empty(self._packed, np.uint8)))}

    def draw(self, view: View, number: int, at_s: float) -> None:
        """Draw frame `number`, which comes at_s after the first."""
        name = self._wanted(at_s)
        target = view.planes[0] if self._format != "yuv420" else whole(view)
        if name == "frozen":
            assert self._last is not None, "the script says frozen"
            np.copyto(target, self._last)
            return
        if name not in self._drawings:
            self._drawings[name] = self._drawing(name)
        self._drawings[name](target, number)
        if self._last is not None:
            np.copyto(self._last, target)

    def _wanted(self, at_s: float) -> SceneName | Literal["frozen"]:
        for begins_s, wanted in reversed(self._script):
            if begins_s <= at_s:
                return wanted
        return self._scene

    def _drawing(self, name: SceneName) -> Draw:
        if self._format != "yuv420" or name == "stamped":      # a stamp is no colour: it goes into the bytes themselves
            return scene(name, self._shape if self._format != "yuv420" else self._packed, self._seed)
        return in_yuv420(scene(name, self._shape, self._seed), self._shape)


def whole(view: View) -> Plane:
    """Give the one buffer in which the planes of a yuv420 view lie."""
    base = view.planes[0].base
    assert isinstance(base, np.ndarray), "make_views() made it"
    return base


def planes_of(packed: Plane) -> tuple[Plane, Plane, Plane]:
    """Find Y, U and V in a buffer of uint8 (height * 3 / 2, width)."""
    height, width = packed.shape[0] * 2 // 3, packed.shape[1]
    blue, red = packed[height:].reshape(2, height // 2, width // 2)
    return packed[:height], blue, red


def in_yuv420(draw: Draw, shape: tuple[int, ...]) -> Draw:
    """Draw in RGB, and convert; cv2's own conversion to I420 would be in the video range."""
    import cv2

    canvas, full = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    half = np.zeros((shape[0] // 2, shape[1] // 2, 3), np.uint8)

    def convert(packed: Plane, number: int) -> None:
        draw(canvas, number)
        cv2.cvtColor(canvas, cv2.COLOR_RGB2YCrCb, dst=full)
        cv2.resize(full, half.shape[1::-1], dst=half, interpolation=cv2.INTER_AREA)
        for plane, found in zip(planes_of(packed), (full[:, :, 0], half[:, :, 2], half[:, :, 1]), strict=True):
            np.copyto(plane, found)

    return convert


def connect(settings: Settings) -> Pattern:
    """Begin to draw."""
    return Pattern(settings)
