"""What a [model.NAME] of a detector says of the scene: zones, masks, lines, and which detections count.

These stand with the model and not with a condition, because they tell which detections count at all: one
answer for every rule, and one set of tracks.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reflexd_drivers.base import Point, Polygon

T = TypeVar("T")
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MOST = 32
LEAST_AREA = 1e-4       # of the frame: a hundredth of its width by a hundredth of its height


class Table(BaseModel):
    """A table of the configuration: an unknown key is an error, and nothing changes it later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def area_of(corners: tuple[Point, ...]) -> float:
    """Give the area of a polygon that does not cross itself. Source: the shoelace formula."""
    pairs = zip(corners, (*corners[1:], *corners[:1]), strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def _check_size(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    if area_of(corners) < LEAST_AREA:
        raise ValueError("this polygon has next to no area, so nothing would ever stand in it; move its corners apart")
    return corners


def _check_ends(line: tuple[Point, Point]) -> tuple[Point, Point]:
    if line[0] == line[1]:
        raise ValueError("this line begins where it ends; write two different points, as [[0.1, 0.5], [0.9, 0.5]]")
    return line


def _check_names(tables: dict[str, T]) -> dict[str, T]:
    if len(tables) > MOST:
        raise ValueError(f"there can be at most {MOST} of them, found {len(tables)}; remove some")
    for name in tables:
        if not NAMED.fullmatch(name):
            raise ValueError(f'a name has 1 to 64 letters, digits, _, - or points, found "{name}"; choose another one')
    return tables


Zone: TypeAlias = Annotated[Polygon, AfterValidator(_check_size)]
Line: TypeAlias = Annotated[tuple[Point, Point], AfterValidator(_check_ends)]


class Scene(Table):
    """[model.NAME] of a detector: what its detections are held against. Everything is in shares of the frame."""

    zones: Annotated[dict[str, Zone], AfterValidator(_check_names)] = Field(
        default_factory=dict, description="polygons by name, as zones.path = [[x, y], …]; for zone in a condition")
    masks: tuple[Zone, ...] = Field(default=(), max_length=MOST, description="polygons; what stands in one does not count")
    lines: Annotated[dict[str, Line], AfterValidator(_check_names)] = Field(
        default_factory=dict, description="by name, as lines.gate = [[x, y], [x, y]]; for crosses in a condition")
    min_area: float | None = Field(default=None, ge=0, le=1, description="a smaller box does not count; share of the frame")
    max_area: float | None = Field(default=None, gt=0, le=1, description="a larger box does not count; share of the frame")
    stands_at: Literal["bottom", "centre"] = Field(
        default="bottom", description="where a detection stands: in the middle of its box's lower side, or of its box")

    @model_validator(mode="after")
    def _has_sizes_left(self) -> Scene:
        if self.min_area is not None and self.max_area is not None and self.min_area > self.max_area:
            raise ValueError("min_area is greater than max_area, so nothing would count; lower min_area, or raise max_area")
        return self


SCENE_KEYS = tuple(Scene.model_fields)
