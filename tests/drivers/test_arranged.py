"""What all cameras have in common: turned, mirrored, cropped and masked, each view alike, without new memory."""

from __future__ import annotations

import threading
import tracemalloc
from itertools import product
from time import monotonic_ns, sleep
from typing import Any, Literal, cast

import numpy as np
import pytest
from pydantic import ValidationError

from reflexd_drivers.base import Camera, CameraSettings, DriverError, Frame, FramePool, SilentError, View
from reflexd_drivers.cameras.arranged import Arranged, arrange
from tests.stopwatch import Stopwatch

Format = Literal["rgb", "grey", "yuv420"]


def picture(kind: Format, width: int = 12, height: int = 8) -> View:
    """A picture in which each pixel is another one."""
    luma = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    if kind == "grey":
        return View(kind, (luma,))
    if kind == "rgb":
        return View(kind, (np.stack([luma, luma + 50, luma + 100], axis=2),))
    return View(kind, (luma, luma[::2, ::2].copy(), luma[1::2, 1::2].copy()))


class Still:
    """A camera that shows the same views over and over."""

    lossless = False
    about = "still: here"

    def __init__(self, views: dict[str, View], arranged: frozenset[str] = frozenset(), lossless: bool = False) -> None:
        self.views = views
        self.arranged = arranged
        self.lossless = lossless
        self.closed = threading.Event()
        self.out = 0
        self.sequence = 0
        self._pool = FramePool(lambda: self.views, limit=64)

    def counters(self) -> dict[str, int]:
        return {"bad": 3}

    def read(self, timeout_s: float) -> Frame:
        if self.closed.is_set():
            raise DriverError("still: closed; open it again")
        slot = self._pool.take()
        assert slot is not None
        self.sequence += 1
        return Frame(monotonic_ns(), self.sequence, slot)

    @property
    def held(self) -> int:
        return self._pool.made - len(self._pool._free)

    def close(self) -> None:
        self.closed.set()


def settings(**table: Any) -> CameraSettings:
    return CameraSettings.model_validate({"driver": "still", **table})


def arranged(view: View, done: frozenset[str] = frozenset(), **table: Any) -> tuple[np.ndarray[Any, Any], ...]:
    camera = arrange(cast("Camera", Still({"main": view}, done)), settings(**table))
    frame = camera.read(1)
    return frame.views["main"].planes


def turned(plane: Any, rotate: int, flip: str) -> Any:
    """What is wanted, written in the plainest way."""
    plane = np.rot90(plane, -rotate // 90)
    if flip in ("horizontal", "both"):
        plane = plane[:, ::-1]
    return plane[::-1] if flip in ("vertical", "both") else plane


TURNS = list(product((0, 90, 180, 270), ("none", "horizontal", "vertical", "both")))


@pytest.mark.parametrize("kind", ["rgb", "grey", "yuv420"])
@pytest.mark.parametrize(("rotate", "flip"), TURNS)
def test_every_plane_is_turned_and_then_mirrored(kind: Format, rotate: int, flip: str) -> None:
    view = picture(kind)
    for plane, got in zip(view.planes, arranged(view, rotate=rotate, flip=flip), strict=True):
        np.testing.assert_array_equal(got, turned(plane, rotate, flip))


@pytest.mark.parametrize("done", [{"rotate"}, {"flip"}, {"rotate", "flip"}])
@pytest.mark.parametrize(("rotate", "flip"), TURNS)
def test_what_the_camera_does_itself_is_not_done_again(done: set[str], rotate: int, flip: str) -> None:
    plane = picture("grey").planes[0]
    given = turned(plane, rotate if "rotate" in done else 0, flip if "flip" in done else "none")
    got = arranged(View("grey", (np.ascontiguousarray(given),)), frozenset(done), rotate=rotate, flip=flip)
    np.testing.assert_array_equal(got[0], turned(plane, rotate, flip))


def test_where_nothing_is_asked_the_camera_itself_is_given() -> None:
    camera = cast("Camera", Still({"main": picture("rgb")}, frozenset({"rotate", "flip"})))
    assert arrange(camera, settings()) is camera
    assert arrange(camera, settings(rotate=180, flip="vertical")) is camera


@pytest.mark.parametrize("kind", ["rgb", "grey", "yuv420"])
@pytest.mark.parametrize(("rotate", "flip"), TURNS)
def test_a_crop_is_taken_of_the_picture_as_it_stands_upright(kind: Format, rotate: int, flip: str) -> None:
    view = picture(kind, 16, 8)
    for plane, got in zip(view.planes, arranged(view, rotate=rotate, flip=flip, crop=[0.5, 0.25, 0.5, 0.5]), strict=True):
        upright = turned(plane, rotate, flip)
        height, width = upright.shape[:2]
        np.testing.assert_array_equal(got, upright[height // 4:height * 3 // 4, width // 2:])


def test_the_smallest_crop_keeps_planes_that_fit() -> None:
    luma, blue, red = arranged(picture("yuv420"), crop=[0.99, 0.99, 0.01, 0.01])
    assert (luma.shape, blue.shape, red.shape) == ((2, 2), (1, 1), (1, 1))


@pytest.mark.parametrize("size_px", [(8, 1), (1, 8), (7, 5)])
def test_a_picture_with_odd_sides_is_arranged_or_refused(size_px: tuple[int, int]) -> None:
    width, height = size_px
    luma, half = np.zeros((height, width), np.uint8), np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
    camera = arrange(cast("Camera", Still({"main": View("yuv420", (luma, half, half))})), settings(rotate=90, masks=[LEFT]))
    if min(size_px) == 1:
        with pytest.raises(DriverError, match=rf"still: a frame of {width}x{height} px cannot be .*; open it with a larger size"):
            camera.read(1)
    else:
        assert [plane.shape for plane in camera.read(1).views["main"].planes] == [(7, 5), (3, 2), (3, 2)]


LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]


@pytest.mark.parametrize(("kind", "black"), [("rgb", [0]), ("grey", [0]), ("yuv420", [0, 128, 128])])
def test_a_mask_is_black_in_every_plane_and_the_rest_is_untouched(kind: Format, black: list[int]) -> None:
    view = View(kind, tuple(plane | 1 for plane in picture(kind).planes))
    for plane, got, value in zip(view.planes, arranged(view, masks=[LEFT]), black, strict=True):
        half = plane.shape[1] // 2
        assert (got[:, :half] == value).all()
        np.testing.assert_array_equal(got[:, half + 1:], plane[:, half + 1:])


def test_where_two_masks_overlap_nothing_is_seen() -> None:
    view = View("grey", (np.full((40, 40), 200, np.uint8),))
    both = [[[0.1, 0.1], [0.7, 0.1], [0.7, 0.7], [0.1, 0.7]], [[0.3, 0.3], [0.9, 0.3], [0.9, 0.9], [0.3, 0.9]]]
    assert not arranged(view, masks=both)[0][13:27, 13:27].any()


def test_masks_lie_on_the_picture_that_is_kept() -> None:
    view = View("grey", (np.full((40, 40), 200, np.uint8),))
    got = arranged(view, rotate=90, crop=[0, 0, 1, 0.5], masks=[LEFT])[0]
    assert got.shape == (20, 40)
    assert not got[:, :20].any()
    assert got[:, 21:].all()


def test_every_view_of_a_frame_is_arranged() -> None:
    camera = arrange(cast("Camera", Still({"main": picture("rgb"), "small": picture("grey", 4, 4)})), settings(masks=[LEFT]))
    views = camera.read(1).views
    assert not views["main"].planes[0][:, :6].any()
    assert not views["small"].planes[0][:, :2].any()


def test_a_frame_keeps_its_time_and_number_and_the_drivers_own_goes_back() -> None:
    still = Still({"main": picture("grey")})
    camera = arrange(cast("Camera", still), settings(rotate=90))
    before = monotonic_ns()
    frames = [camera.read(1) for _ in range(3)]
    assert [frame.sequence for frame in frames] == [1, 2, 3]
    assert before <= frames[0].taken_at <= frames[2].taken_at <= monotonic_ns()
    assert still.held == 0
    assert isinstance(camera, Arranged)
    assert (camera.about, camera.counters()) == ("still: here", {"bad": 3})


def test_no_frame_is_allocated_once_it_is_warm() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    camera = arrange(cast("Camera", Still({"main": View("rgb", (noise,))})), settings(rotate=90, masks=[LEFT]))
    for _ in range(3):
        camera.read(1).release()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        camera.read(1).release()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 20_000


@pytest.mark.fault("F10", bound="the frame", outcome="the camera is opened again")
def test_f10_a_camera_that_changes_its_size_is_told_apart() -> None:
    still = Still({"main": picture("grey")})
    camera = arrange(cast("Camera", still), settings(rotate=90))
    camera.read(1).release()
    still.views = {"main": picture("grey", 4, 4)}
    still._pool = FramePool(lambda: still.views)
    with pytest.raises(DriverError, match="4x4 px, the first was 12x8; open the camera again"):
        camera.read(1)
    assert still.held == 0


@pytest.mark.parametrize("lossless", [True, False])
def test_while_readers_hold_every_buffer_a_read_keeps_its_bound(lossless: bool) -> None:
    still = Still({"main": picture("grey")}, lossless=lossless)
    camera = arrange(cast("Camera", still), settings(rotate=90))
    held = [camera.read(1) for _ in range(16)]
    for _ in range(2):
        with pytest.raises(SilentError, match="readers hold every frame"):
            camera.read(0.02)
    held[0].release()
    assert camera.read(1).sequence == (17 if lossless else 19), "a recording loses no frame"
    assert still.held == 0


def test_close_ends_a_read_that_waits_and_gives_everything_back() -> None:
    still = Still({"main": picture("grey")}, lossless=True)
    camera = arrange(cast("Camera", still), settings(rotate=90))
    held = [camera.read(1) for _ in range(16)]
    ended: list[bool] = []

    def read() -> None:
        with pytest.raises(DriverError, match="closed"):
            camera.read(30)
        ended.append(True)

    reader = threading.Thread(target=read)
    reader.start()
    sleep(0.05)
    with Stopwatch() as took:
        camera.close()
        reader.join(5)
    assert ended
    assert took.seconds < 0.3
    assert still.closed.is_set()
    assert still.held == 0
    assert all(frame.views["main"].planes[0].any() for frame in held)


@pytest.mark.parametrize(("table", "says"), [
    ({"masks": [[[0, 0], [1, 1]]]}, "at least 3"),
    ({"masks": [[[0, 0], [1.2, 0], [0, 1]]]}, "less than or equal to 1"),
    ({"masks": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}, "the sides of this polygon cross"),
    ({"masks": [[[0, 0], [0.5, 0.5], [1, 0], [1, 1], [0.5, 0.5], [0, 1]]]}, "the sides of this polygon cross"),      # at a corner
    ({"masks": [[[0, 0], [1, 0], [0, 1], [0, 0], [1, 0], [0, 1]]]}, "the sides of this polygon cross"),      # twice round: open
    ({"masks": [[[0, 0], [0, 0], [1, 1]]]}, "at least three different corners"),
    ({"crop": [0.5, 0, 0.6, 1]}, "reaches out of the picture"),
    ({"crop": [0.5, 0, 0, 1]}, "crop is empty"),
    ({"rotate": 45}, "0, 90, 180 or 270"),
    ({"flip": "sideways"}, "'none', 'horizontal', 'vertical' or 'both'"),
])
def test_what_makes_no_picture_is_refused(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**table)
    assert says in str(caught.value)


def test_a_polygon_may_end_where_it_began() -> None:
    ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    assert sorted(settings(masks=[ring]).masks[0]) == [(0, 0), (0, 1), (1, 0), (1, 1)]
