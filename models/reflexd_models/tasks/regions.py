"""One network over several regions of a frame, in their order from left to right: a row of wheels is a number.

Only the last wheel may stand between two digits; it then counts as 0 and the number is known to ten units
of that wheel. In any other case the reading is unsure and says which wheel is the reason: a number
that may be wrong is worse here than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, ClassVar, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from reflexd_models import base
from reflexd_models.base import Model, ModelError, Prediction, View
from reflexd_models.bundle import Bundle, load
from reflexd_models.quantize import real
from reflexd_models.resample import Pixels, Region
from reflexd_models.sight import Sight, intake_for
from reflexd_models.tasks.classify import check_labels, share

BETWEEN = "between"
DIGITS = "0123456789"

Share = Annotated[float, Field(ge=0, le=1)]
Part: TypeAlias = tuple[str, float]


class Options(base.Options):
    """Where the wheels are, and where the decimal point is."""

    gives_number: ClassVar[bool] = True

    regions: tuple[tuple[Share, Share, Share, Share], ...] = Field(
        min_length=1, max_length=32, description="[x, y, width, height] of each wheel as shares of the frame's width and height"
    )
    decimals: int = Field(default=0, ge=0, le=32, description="wheels behind the decimal point")
    min_score: float | None = Field(default=None, ge=0, le=1, description="smaller scores make it unsure; default the bundle's")

    @model_validator(mode="after")
    def _fits(self) -> Options:
        for place, (x, y, width, height) in enumerate(self.regions, 1):
            if width <= 0 or height <= 0 or x + width > 1 + 1e-9 or y + height > 1 + 1e-9:
                raise ValueError(f"region {place} reaches outside the frame or has no size; give [x, y, width, height] as shares")
        if self.decimals > len(self.regions):
            raise ValueError(f"{self.decimals} decimals of {len(self.regions)} wheels can never be; lower decimals")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Say what so many wheels can show."""
        return 0.0, (10 ** len(self.regions) - 1) / 10**self.decimals


class Reader:
    """Reads a number from a row of wheels."""

    def __init__(
        self, sight: Sight, labels: tuple[str, ...], least: float, decimals: int, watch: AbstractSet[str] | None
    ) -> None:
        """Trust wheels of at least the score `least`; `watch` names labels whose highest score is told."""
        self.labels, self._sight = labels, sight
        self._least, self._decimals = least, decimals
        self._watched = [] if watch is None else [label for label in labels if label in watch]

    def predict(self, view: View, taken_at: int) -> Prediction:
        """Read all wheels of a view.

        Raises: ModelError.
        """
        parts = tuple([self.read(view, at) for at in range(len(self._sight.regions))])
        value, spread, unsure = number(parts, self._least, self._decimals)
        scores = {label: max((score for told, score in parts if told == label), default=0.0) for label in self._watched}
        return Prediction(taken_at, scores, value, spread, unsure, parts)

    def read(self, view: View, region: int = 0) -> Part:
        """Give the best label of one region and its score.

        Raises: ModelError.
        """
        raw = self._sight.look(view, region)
        best = int(np.argmax(raw))
        return self.labels[best], share(real(raw.item(best), self._sight.network.outputs[0]), self._sight.network.where)

    @property
    def least_px(self) -> base.Size:
        """Give the size of the smallest view by which nothing is lost."""
        return self._sight.least_px

    def given(self, view: View) -> list[Pixels]:
        """Draw what the network is given of each wheel."""
        return self._sight.given(view)


def number(parts: Sequence[Part], least: float, decimals: int) -> tuple[float | None, float, str | None]:
    """Put wheels together: (value, spread, None), or (None, 0, the reason)."""
    for at, (label, score) in enumerate(parts, 1):
        if score < least:
            return None, 0.0, f'wheel {at} of {len(parts)} reads "{label}" at {score:.2f}, below {least:.2f}'
        if label == BETWEEN and at < len(parts):
            return None, 0.0, f"wheel {at} of {len(parts)} is between two digits, and only the last may be"
    rolling = parts[-1][0] == BETWEEN
    digits = "".join("0" if label == BETWEEN else label for label, _ in parts)
    unit = 10**decimals
    return int(digits) / unit, (10 if rolling else 1) / unit, None


def build(bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> Model:
    """Make the model.

    Raises: ModelError.
    """
    network = load(bundle)
    intake = intake_for(bundle, network)
    check_labels(bundle, network)
    strangers = [label for label in bundle.labels if label != BETWEEN and (label not in DIGITS or len(label) != 1)]
    if strangers:
        raise ModelError(f'{bundle.path}: a number is read from the labels 0 to 9 and "{BETWEEN}", found "{strangers[0]}"; '
                         "use the task classify")
    assert isinstance(options, Options)
    regions: Sequence[Region] = options.regions
    least = bundle.threshold if options.min_score is None else options.min_score
    return Reader(Sight(network, intake, regions), bundle.labels, least, options.decimals, watch)
