"""Black, covered, saturated, moved, frozen: what the judge says of pictures, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reflexd_drivers.base import View
from reflexd_drivers.cameras.picture_state import PictureJudge

NS = 1_000_000_000
Picture = NDArray[np.uint8]


def scene(seed: int = 1) -> Picture:
    """A garden of a kind: soft shapes of many sizes in many tones, as uint8 (240, 320, 3) RGB."""
    chance = np.random.default_rng(seed)
    ground = np.full((240, 320, 3), 120, np.uint8)
    for _ in range(60):
        centre, size = chance.integers(0, (320, 240)), chance.integers(8, 60)
        cv2.circle(ground, [int(one) for one in centre], int(size), [int(one) for one in chance.integers(30, 220, 3)], -1)
    return np.asarray(cv2.GaussianBlur(ground, (5, 5), 0), np.uint8)


class Lens:
    """A camera at 10 Hz with the noise of a sensor; a test puts before it what it likes."""

    def __init__(self, noise: float = 4, rate_hz: float = 10, **judge: Any) -> None:
        self.judge = PictureJudge(judge.pop("frozen_s", 5.0), **judge)
        self.now = NS
        self.period = round(NS / rate_hz)
        self._noise = np.random.default_rng(2).normal(0, noise, (240, 320, 3)).astype(np.float32)
        self._number = 0

    def take(self, picture: Picture) -> Picture:
        self._number += 1
        noisy = picture + np.roll(self._noise, self._number * 7919, axis=(0, 1))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    def sees(self, picture: Picture, seconds: float, still: bool = False,
             kind: Literal["rgb", "grey", "yuv420"] = "rgb") -> list[str | None]:
        """Give each state that was said over that time, once in a row."""
        said: list[str | None] = []
        shown = picture if still else None
        for _ in range(round(seconds * NS / self.period)):
            self.now += self.period
            frame = shown if shown is not None else self.take(picture)
            state = self.judge.look(View(kind, (frame if kind == "rgb" else frame[:, :, 1].copy(),)), self.now)
            if not said or said[-1] != state:
                said.append(state)
        return said


EVEN: dict[str, Callable[[], Picture]] = {
    "black": lambda: np.full((240, 320, 3), 6, np.uint8),
    "covered": lambda: np.broadcast_to(np.linspace(60, 110, 320).astype(np.uint8)[:, None], (240, 320, 3)).copy(),
    "saturated": lambda: np.where(scene() > 100, 255, scene()).astype(np.uint8),
}


@pytest.mark.parametrize("kind", ["rgb", "grey", "yuv420"])
@pytest.mark.parametrize("state", EVEN)
@pytest.mark.fault("F07", bound="2 s", outcome="a log line and a state that rules may use")
def test_f07_a_picture_that_shows_nothing_is_told_after_a_second_and_so_is_its_end(state: str, kind: Any) -> None:
    lens = Lens()
    assert lens.sees(scene(), 4, kind=kind) == [None, "normal"]
    assert lens.sees(EVEN[state](), 0.8, kind=kind) == ["normal"], "a flash or a hand that passes is none"
    assert lens.sees(EVEN[state](), 1, kind=kind)[-1] == state
    assert lens.sees(scene(), 2, kind=kind) == [state, "normal"]


@pytest.mark.fault("F15", bound="2 s", outcome="the picture is not judged before")
def test_f15_while_exposure_settles_nothing_is_said() -> None:
    lens = Lens()
    for share in (0.0, 0.05, 0.2, 0.5):
        assert lens.sees((scene() * share).astype(np.uint8), 0.4) == [None]
    assert lens.sees(scene(), 3) == [None, "normal"]


def test_a_state_does_not_flicker_at_its_threshold() -> None:
    lens = Lens(noise=1)
    lens.sees(scene(), 3)
    part = scene()
    said: list[str | None] = []
    for width in (200, 180, 210, 190, 205, 175) * 5:      # white from 0.55 to 0.66 of the picture, to and fro
        part = scene()
        part[:, :width] = 255
        said += lens.sees(part, 0.5)
    turns = [one for one, before in zip(said[1:], said, strict=False) if one != before]
    assert len(turns) <= 1


def test_a_black_picture_is_black_also_in_the_noise_of_a_dark_night() -> None:
    lens = Lens(noise=10)
    lens.sees(scene(), 3)
    assert lens.sees(np.full((240, 320, 3), 8, np.uint8), 3)[-1] == "black"


@pytest.mark.parametrize("kind", ["rgb", "grey", "yuv420"])
def test_a_bright_scene_that_is_not_yet_white_is_a_picture(kind: Any) -> None:
    bright = np.where(scene() > 100, 240, scene()).astype(np.uint8)
    assert Lens().sees(bright, 5, kind=kind) == [None, "normal"]


def test_a_lamp_in_the_dark_is_a_picture() -> None:
    night = np.full((240, 320, 3), 8, np.uint8)
    cv2.circle(night, (200, 100), 40, (250, 240, 200), -1)
    assert Lens().sees(night, 5) == [None, "normal"]


def test_a_hand_on_the_lens_is_covered_also_where_the_sensor_is_noisy() -> None:
    lens = Lens(noise=8)
    lens.sees(scene(), 3)
    assert lens.sees(EVEN["covered"](), 3)[-1] == "covered"


def test_a_camera_that_was_turned_away_is_moved_and_normal_once_it_is_back() -> None:
    lens = Lens()
    assert lens.sees(scene(1), 10) == [None, "normal"]
    assert lens.sees(scene(2), 4) == ["normal"]
    assert lens.sees(scene(2), 4) == ["normal", "moved"]
    assert lens.sees(scene(2), 60) == ["moved"], "it is not learned anew by waiting"
    assert lens.sees(scene(1), 3) == ["moved", "normal"]


def test_what_was_learned_outlasts_an_opening() -> None:
    lens = Lens()
    lens.sees(scene(1), 10)
    lens.judge.reopened()
    assert lens.sees(scene(2), 9)[-1] == "moved", "unplugged, turned away and plugged in again"


def walkers() -> Iterable[Picture]:
    for at in range(-80, 320, 10):
        with_person = scene()
        with_person[40:, max(at, 0):max(at + 80, 0)] = (90, 60, 40)
        yield with_person


def test_who_walks_by_or_stands_in_the_way_is_no_move() -> None:
    lens = Lens()
    lens.sees(scene(), 10)
    said = [state for picture in walkers() for state in lens.sees(picture, 0.3)]
    standing = scene()
    standing[40:, 100:190] = (90, 60, 40)
    assert {*said, *lens.sees(standing, 30)} == {"normal"}


@pytest.mark.parametrize("light", [0.5, 0.75, 1.25])
def test_a_change_of_the_light_is_no_move(light: float) -> None:
    lens = Lens()
    lens.sees(scene(), 10)
    assert lens.sees(np.clip(scene() * light, 0, 255).astype(np.uint8), 20) == ["normal"]


def test_a_camera_that_shakes_in_the_wind_is_no_move() -> None:
    lens = Lens()
    lens.sees(scene(), 10)
    said = [state for step in range(60) for state in lens.sees(np.roll(scene(), ((-1) ** step * 3, step % 4), axis=(0, 1)), 0.2)]
    assert set(said) == {"normal"}


@pytest.mark.fault("F06", bound="frozen_after_s, 5 s", outcome="degraded until the picture changes")
def test_f06_a_picture_that_stays_the_same_bit_for_bit_is_frozen_until_it_changes() -> None:
    lens = Lens()
    lens.sees(scene(), 4)
    still = lens.take(scene())
    assert lens.sees(still, 4.9, still=True) == ["normal"]
    assert lens.sees(still, 1, still=True) == ["normal", "frozen"]
    assert lens.judge.stands(lens.now)
    lens.judge.reopened()
    assert lens.sees(still, 3, still=True) == ["frozen"], "opened again, it stays frozen"
    assert not lens.judge.stands(lens.now)
    lens.sees(still, 3, still=True)
    assert lens.judge.stands(lens.now)
    lens.judge.reopened()
    assert lens.sees(scene(), 3) == ["frozen", None, "normal"]


def test_one_new_picture_after_opening_does_not_make_a_frozen_camera_alive() -> None:
    lens = Lens()
    lens.sees(scene(), 4)
    lens.sees(lens.take(scene()), 6, still=True)
    lens.judge.reopened()
    assert lens.sees(lens.take(scene()), 4, still=True) == ["frozen"]


def test_a_picture_that_moves_by_a_single_row_is_not_frozen() -> None:
    lens = Lens(noise=0)
    assert {state for step in range(80) for state in lens.sees(np.roll(scene(), step % 2, axis=0), 0.1)} == {None, "normal"}


@pytest.mark.parametrize("state", ["black", "covered"])
def test_what_has_no_detail_is_not_called_frozen(state: str) -> None:
    assert Lens().sees(EVEN[state](), 20, still=True) == [None, state]


def test_a_scene_that_may_stand_still_is_never_frozen() -> None:
    assert Lens(frozen_s=0).sees(scene(), 30, still=True) == [None, "normal"]


def test_a_slow_camera_is_not_frozen_after_two_pictures() -> None:
    lens = Lens(rate_hz=0.2, frozen_s=5)
    lens.sees(scene(), 20)
    still = lens.take(scene())
    assert lens.sees(still, 20, still=True) == ["normal"]
    assert lens.sees(still, 10, still=True)[-1] == "frozen"


HALF = ((0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.0, 1.0))


def masked(picture: Picture) -> Picture:
    shown = picture.copy()
    shown[:, :192] = 0
    return shown


@pytest.mark.parametrize("state", EVEN)
def test_what_a_mask_covers_is_not_judged(state: str) -> None:
    lens = Lens(noise=2, masks=(HALF,))
    assert lens.sees(masked(scene()), 10) == [None, "normal"]
    assert lens.sees(masked(EVEN[state]()), 3)[-1] == state
    lens.sees(masked(scene()), 3)
    assert lens.sees(masked(scene(2)), 8)[-1] == "moved"


def test_masks_over_everything_leave_nothing_to_judge() -> None:
    everything = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    assert Lens(masks=(everything,)).sees(np.zeros((240, 320, 3), np.uint8), 12, still=True) == [None, "normal"]


@pytest.mark.parametrize("shape", [(8, 8), (2, 2), (50, 70), (1080, 1920)])
def test_pictures_of_any_size_are_judged(shape: tuple[int, int]) -> None:
    judge = PictureJudge(0)
    chance = np.random.default_rng(3)
    for step in range(40):
        judge.look(View("grey", (chance.integers(0, 255, shape).astype(np.uint8),)), NS + step * NS // 10)
    assert judge.state is not None


PHOTOGRAPHS = ("bird.bmp", "cat.bmp", "grace_hopper.bmp", "person.bmp")


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_on_photographs_a_small_turn_is_a_move_and_half_the_light_is_none(name: str, shared: Path) -> None:
    def photograph(one: str) -> Picture:
        picture = cv2.imread(str(shared / "images" / one))
        assert picture is not None
        return np.asarray(cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA), np.uint8)

    lens, seen = Lens(), photograph(name)
    assert lens.sees(seen, 6) == [None, "normal"]
    assert lens.sees((seen * 0.5).astype(np.uint8), 8) == ["normal"]
    assert lens.sees(np.roll(seen, 2, axis=1), 8) == ["normal"], "0.6 % of the width: wind"
    assert lens.sees(np.roll(seen, 20, axis=1), 8)[-1] == "moved", "6 % of the width"
    assert lens.sees(seen, 3)[-1] == "normal"
    others = [photograph(one) for one in PHOTOGRAPHS if one != name]
    assert [lens.sees(other, 8)[-1] for other in others] == ["moved"] * len(others)
