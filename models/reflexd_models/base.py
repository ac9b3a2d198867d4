"""The contracts of networks, and what they say.

A model is stateless but for recurrent state inside a window: what remembers (hits, plausibility,
tracks) lives in the daemon's decision stage. A task is a module in tasks/ with `Options` (what a
[model.NAME] table may say beyond the common keys) and `build(bundle, options, watch)`.
Most watch a camera (Model), some a window of sensor readings (SeriesModel).
Scores are shares from 0 to 1; numbers that leave here are plain Python, never numpy scalars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Tensor: TypeAlias = NDArray[Any]
Size: TypeAlias = tuple[int, int]      # width and height in pixels


class ModelError(RuntimeError):
    """A network or its bundle cannot be used or trusted; the text says where, what and what to do."""


class View(Protocol):
    """A rendering of a frame; the drivers' View fulfils it.

    rgb: one plane uint8 (height, width, 3); grey: one plane uint8 (height, width);
    yuv420: planes Y (height, width), U and V (height/2, width/2), in full range (BT.601, Y from 0 to 255).
    """

    @property
    def format(self) -> Literal["rgb", "grey", "yuv420"]:
        """How the planes are to be read."""
        ...

    @property
    def planes(self) -> tuple[NDArray[np.uint8], ...]:
        """The pixels."""
        ...


class Detection(NamedTuple):
    """Something that was found in a frame, and where."""

    label: str
    score: float
    box: tuple[float, float, float, float]      # left, top, right, bottom: shares of the frame's width and height, 0 to 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network said of one frame, or of one window of readings, whose newest was `taken_at`.

    `scores` has the labels that were asked for; of a detector, the highest score of each, 0 where none was found.
    `value` is a number that was read, known to lie in [value, value + spread); None with `unsure`, the reason, when it
    cannot be told. `parts` tells the label and score of each region, in their order. `detections` come best first;
    `cut` says that more may have been found than they tell: then a label without one has no score, for it may be there.
    """

    taken_at: int
    scores: Mapping[str, float]
    value: float | None = None
    spread: float = 0.0
    unsure: str | None = None
    parts: tuple[tuple[str, float], ...] = ()
    detections: tuple[Detection, ...] = ()
    cut: bool = False


class Options(BaseModel):
    """What a [model.NAME] table may say to its task; each task refines it."""

    gives_number: ClassVar[bool] = False       # True: its predictions have a value
    gives_detections: ClassVar[bool] = False   # True: its predictions have detections, so rules may speak of zones
    watches: ClassVar[Literal["camera", "sensors"]] = "camera"     # frames (build gives a Model) or windows (a SeriesModel)

    nobody: ClassVar[tuple[str, ...]] = ()      # labels that stand for nothing: no score of them is ever told

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Say between which two numbers every value lies; None where that is not certain."""
        return None


class Model(Protocol):
    """A network with its way to read the outputs; used by one thread only."""

    labels: tuple[str, ...]

    def predict(self, view: View, taken_at: int) -> Prediction:
        """Run the network on a view. No allocation of a frame's size.

        Raises: ModelError.
        """
        ...

    def given(self, view: View) -> list[NDArray[np.uint8]]:
        """Draw what the network is given for that view: one or more uint8 (height, width, 3) RGB pictures.

        It may be called by another thread while predict() runs.
        """
        ...


class Shape(NamedTuple):
    """The windows that a model of readings wants."""

    channels: tuple[str, ...]      # what each column is, in its order
    rate_hz: float                 # samples a second, evenly spaced
    length: int                    # samples
    hop: int                       # samples from one window to the next, where the configuration says nothing else


@runtime_checkable
class SeriesModel(Protocol):
    """A network, or a classic learner, that watches windows of sensor readings; used by one thread only."""

    labels: tuple[str, ...]
    shape: Shape

    def predict(self, window: NDArray[np.float32], taken_at: int) -> Prediction:
        """Say what a window is: float32 (length, channels), oldest first, in the sensors' units.

        It forgets whatever a recurrent network kept from the window before, and keeps no reference to `window`.
        Raises: ModelError.
        """
        ...


@runtime_checkable
class Sized(Protocol):
    """A model that says how large a view has to be for it to lose nothing."""

    @property
    def least_px(self) -> Size:
        """Width and height of the smallest view that need not be enlarged."""
        ...


class SizedView(View, Protocol):
    """A view that knows its size; the drivers' View does."""

    @property
    def size_px(self) -> Size:
        """Width and height."""
        ...


V = TypeVar("V", bound=SizedView)


def view_for(model: Model, views: Mapping[str, V]) -> V:
    """Choose the smallest view that a network loses nothing by, else "main": the camera's own scaler is antialiased and free."""
    if len(views) == 1 or not isinstance(model, Sized):
        return views["main"]
    width, height = model.least_px
    enough = [view for view in views.values() if view.size_px[0] >= width and view.size_px[1] >= height]
    return min(enough, key=lambda view: view.size_px[0] * view.size_px[1], default=views["main"])
