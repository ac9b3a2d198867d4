"""The camera that draws: every scene in every format, on time, the same for the same seed."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from reflexd_drivers.base import DriverError, SilentError
from reflexd_drivers.cameras import pattern
from reflexd_drivers.cameras.scenes import SceneName, stamp_of


def opened(**table: Any) -> pattern.Pattern:
    return pattern.connect(pattern.Settings.model_validate({"driver": "pattern", "size_px": (64, 48), "pace": "fast", **table}))


def pictures(count: int, **table: Any) -> list[Any]:
    camera = opened(**table)
    found = []
    for _ in range(count):
        frame = camera.read(1)
        found.append([plane.copy() for plane in frame.views["main"].planes])
        frame.release()
    camera.close()
    return found


@pytest.mark.parametrize("scene", get_args(SceneName))
@pytest.mark.parametrize(("kind", "shapes"), [
    ("rgb", [(48, 64, 3)]), ("grey", [(48, 64)]), ("yuv420", [(48, 64), (24, 32), (24, 32)])])
def test_each_scene_comes_in_each_format_and_the_same_for_the_same_seed(scene: str, kind: str, shapes: list[Any]) -> None:
    first, again = pictures(3, scene=scene, format=kind, seed=7), pictures(3, scene=scene, format=kind, seed=7)
    assert [plane.shape for plane in first[0]] == shapes
    assert all(np.array_equal(one, other) for a, b in zip(first, again, strict=True) for one, other in zip(a, b, strict=True))


@pytest.mark.parametrize(("scene", "changes"), [("moving", True), ("noise", True), ("stamped", True), ("bars", False),
                                                ("gradient", False), ("black", False)])
def test_a_scene_moves_or_stands_still(scene: str, changes: bool) -> None:
    one, other = pictures(2, scene=scene)
    assert np.array_equal(one[0], other[0]) is not changes


def test_another_seed_is_another_noise() -> None:
    assert not np.array_equal(pictures(1, scene="noise", seed=1)[0][0], pictures(1, scene="noise", seed=2)[0][0])


def test_the_bars_have_their_colours_in_yuv420_too() -> None:
    luma, blue, red = pictures(1, scene="bars", format="yuv420")[0]
    found = np.array([[luma[20, x], blue[10, x // 2], red[10, x // 2]] for x in (4, 44, 52, 60)], int)
    full_range = [[255, 128, 128], [76, 85, 255], [29, 255, 107], [0, 128, 128]]      # Source: JFIF 1.02
    assert np.abs(found - full_range).max() <= 1


def test_a_stamp_tells_its_number_and_a_torn_picture_tells_none() -> None:
    found = pictures(300, scene="stamped", size_px=(16, 8))
    assert [stamp_of(planes[0]) for planes in found] == list(range(300))
    torn = found[298][0].copy()
    torn[4:] = found[299][0][4:]
    assert stamp_of(torn) is None


def test_frames_keep_one_schedule_however_late_a_reader_is() -> None:
    camera = opened(pace="rate", rate_hz=100)
    camera.read(1).release()
    began = monotonic()
    for index in range(20):
        camera.read(1).release()
        if index == 5:
            sleep(0.06)
    passed = monotonic() - began
    assert passed > 0.19, "no frame comes before its time"
    camera.read(1).release()
    with pytest.raises(SilentError, match="not due yet"):
        [camera.read(0) for _ in range(15)]     # there are 16 buffers, so it is the time that is short
    camera.close()


def test_a_script_changes_the_scene_and_can_freeze_it() -> None:
    camera = opened(pace="rate", rate_hz=200, scene="white", script=[[0, "moving"], [0.3, "frozen"], [0.7, "black"]])
    sums = []
    began = monotonic()
    while monotonic() - began < 0.8:
        frame = camera.read(1)
        sums.append((monotonic() - began, frame.views["main"].planes[0].tobytes()))
        frame.release()
    camera.close()
    assert len({picture for at, picture in sums if at < 0.29}) > 3
    assert len({picture for at, picture in sums if 0.35 < at < 0.65}) == 1
    assert not any(sums[-1][1])


def test_a_reader_that_keeps_every_frame_gets_a_reason() -> None:
    camera = opened()
    held = [camera.read(1) for _ in range(16)]
    with pytest.raises(SilentError, match="readers hold every frame"):
        camera.read(0.02)
    held[0].release()
    camera.read(1).release()
    camera.close()
    with pytest.raises(DriverError, match="closed"):
        camera.read(1)


@pytest.mark.parametrize("table", [{"size_px": (63, 48)}, {"size_px": (64, 5000)}, {"scene": "unheard"}, {"seed": -1},
                                   {"script": [[5, "bars"], [5, "black"]]}, {"script": [[0, "unheard"]]}])
def test_what_cannot_be_drawn_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        opened(**table)
