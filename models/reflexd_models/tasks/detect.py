"""Things in a frame: label, score and box of each, and for each label the highest score.

Only labels that are watched become Python objects. Boxes are shares of the frame, whatever the network was
given: a region, with a border or stretched.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from reflexd_models import base, ends, metadata
from reflexd_models.base import Detection, Model, ModelError, Prediction, View
from reflexd_models.bundle import Bundle, content_of, load
from reflexd_models.image import WHOLE
from reflexd_models.placing import Placed
from reflexd_models.quantize import share
from reflexd_models.resample import Pixels, Region
from reflexd_models.runtime import Network
from reflexd_models.sight import Sight, intake_for
from reflexd_models.tasks.detect_decode import Decoder, Wish, decoder
from reflexd_models.tasks.detect_layouts import NOBODY, Layout, layout_of

LEAST = 0.25        # where neither bundle nor options say more: what Ultralytics' own predictor shows; rules ask for more
IOU = 0.5

Share = Annotated[float, Field(ge=0, le=1)]


class Options(base.Options):
    """What is told of a frame."""

    gives_detections: ClassVar[bool] = True
    nobody: ClassVar[tuple[str, ...]] = NOBODY

    min_score: float | None = Field(
        default=None, gt=0, le=1,
        description="what has a smaller score is not told; default the bundle's threshold, else 0.25")
    max_detections: int = Field(default=20, ge=1, le=300, description="things that are told of a frame, the best first")
    iou: float | None = Field(
        default=None, gt=0, le=1,
        description="overlap (share of the union) from which two boxes of a label are one thing, where the network "
                    "leaves that to us; default the bundle's, else 0.5")
    region: tuple[Share, Share, Share, Share] | None = Field(
        default=None, description="[x, y, width, height] of the part that is looked at, as shares of the frame's width and "
                                  "height")

    @model_validator(mode="after")
    def _fits(self) -> Options:
        x, y, width, height = self.region or WHOLE
        if width <= 0 or height <= 0 or x + width > 1 + 1e-9 or y + height > 1 + 1e-9:
            raise ValueError("region reaches outside the frame or has no size; give [x, y, width, height] as shares")
        return self

    def least(self, threshold: float) -> float:
        """Say from which score on things are told, with a bundle of that threshold."""
        return self.min_score or threshold or LEAST


class Detector:
    """A network that finds things."""

    def __init__(self, sight: Sight, decode: Decoder, labels: tuple[str, ...], watch: AbstractSet[str] | None) -> None:
        """Watch some labels; one that stands twice counts with its higher score."""
        self.labels, self._sight, self._decode = labels, sight, decode
        self._none = {label: 0.0 for label in labels if label not in NOBODY and (watch is None or label in watch)}

    def predict(self, view: View, taken_at: int) -> Prediction:
        """Find the watched things in a view.

        Raises: ModelError.
        """
        found = self._decode(self._sight.see(view))
        placed, scores, detections = self._sight.placed, self._none.copy(), []
        for place, score, box in zip(found.labels, found.scores, found.boxes, strict=True):
            label, where, held = self.labels[place], in_frame(box, placed), share(score, self._sight.network.where)
            if where[0] < where[2] and where[1] < where[3]:       # else it lies in the border
                detections.append(Detection(label, held, where))
                scores[label] = max(scores[label], held)
        if found.cut:
            scores = {label: score for label, score in scores.items() if score > 0}
        return Prediction(taken_at, scores, detections=tuple(detections), cut=found.cut)

    @property
    def least_px(self) -> base.Size:
        """Give the size of the smallest view by which nothing is lost."""
        return self._sight.least_px

    def given(self, view: View) -> list[Pixels]:
        """Draw what the network is given, its border included."""
        return self._sight.given(view)


def in_frame(box: list[float], placed: Placed) -> tuple[float, float, float, float]:
    """Turn shares of the network's picture into shares of the frame, held inside it."""
    left, top, right, bottom = box
    return (_held(placed.left + left * placed.width), _held(placed.top + top * placed.height),
            _held(placed.left + right * placed.width), _held(placed.top + bottom * placed.height))


def _held(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def build(bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> Model:
    """Make the model.

    Raises: ModelError.
    """
    content = content_of(bundle)
    return detector(bundle, content, load(bundle, content), options, watch)


def detector(bundle: Bundle, content: bytes, network: Network, options: base.Options, watch: AbstractSet[str] | None) -> Model:
    """Make the model of a network that was loaded from that content.

    Raises: ModelError.
    """
    assert isinstance(options, Options)
    layout = layout_of(bundle, network, ends.read(content).outputs, metadata.read(content, network.where))
    boxed = layout.letterboxed if bundle.detect.letterbox is None else bundle.detect.letterbox
    intake = intake_for(bundle, network, boxed)
    region: Region = options.region or WHOLE
    decode = decoder(layout, network, (intake.width, intake.height), _wish(bundle, options, layout, watch))
    return Detector(Sight(network, intake, (region,)), decode, bundle.labels, watch)


def _wish(bundle: Bundle, options: Options, layout: Layout, watch: AbstractSet[str] | None) -> Wish:
    if options.iou is not None and layout.kind != "anchors":
        raise ModelError(f"{bundle.where}: iou is for networks that leave overlapping boxes to us, and this one does not; "
                         "leave it out")
    wanted = np.array([label not in NOBODY and (watch is None or label in watch) for label in bundle.labels])
    return Wish(wanted, options.least(bundle.threshold), options.max_detections, options.iou or bundle.detect.iou or IOU)
