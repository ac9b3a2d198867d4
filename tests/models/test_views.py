"""Which of a camera's views a network is given."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reflexd_drivers.base import View
from reflexd_models.base import view_for
from reflexd_models.bundle import find_bundle, open_model


def views(**sizes: tuple[int, int]) -> dict[str, View]:
    """Make grey views of these sizes."""
    return {name: View("grey", (np.zeros((height, width), np.uint8),)) for name, (width, height) in sizes.items()}


def chosen(found: Mapping[str, View], least_px: tuple[int, int]) -> str:
    model: Any = SimpleNamespace(least_px=least_px)
    view = view_for(model, found)
    return next(name for name, one in found.items() if one is view)


@pytest.mark.parametrize(("least_px", "name"), [
    ((96, 96), "model"), ((224, 224), "model"), ((225, 224), "main"), ((224, 225), "main"), ((641, 480), "main"),
])
def test_a_network_is_given_the_smallest_view_that_need_not_be_enlarged(least_px: tuple[int, int], name: str) -> None:
    assert chosen(views(main=(640, 480), model=(224, 224)), least_px) == name


def test_of_several_views_the_smallest_wins_whatever_they_are_called() -> None:
    assert chosen(views(main=(640, 480), model=(320, 320), tiny=(96, 96), flat=(640, 32)), (90, 90)) == "tiny"


def test_a_model_that_does_not_say_what_it_needs_is_given_the_main_view() -> None:
    found, silent = views(main=(640, 480), model=(224, 224)), SimpleNamespace()
    assert view_for(silent, found) is found["main"]      # type: ignore[arg-type]


def test_regions_need_so_much_more_of_the_whole(tmp_path: Any) -> None:
    bundle = find_bundle("meter", tmp_path)
    from reflexd_models.tasks.regions import Options

    whole = open_model(bundle, Options(regions=((0, 0, 1, 1),)), frozenset())
    width, height = whole.least_px
    part = open_model(bundle, Options(regions=((0, 0, 0.5, 1), (0.75, 0.5, 0.16, 0.25))), frozenset())
    assert part.least_px == (round(width / 0.16 + 0.499), height * 4)
    assert chosen(views(main=(640, 480), model=(width, height)), whole.least_px) == "model"
    assert chosen(views(main=(640, 480), model=(width, height)), part.least_px) == "main"
