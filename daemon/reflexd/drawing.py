"""What a snapshot draws for a network: its regions, zones, masks and lines, and what it has just found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reflexd.config.settings import ModelSettings
from reflexd.rules.scene import Seen
from reflexd.rules.sources import Source
from reflexd.rules.zones import Line, Point
from reflexd_models.base import Detection


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything in shares of the frame."""

    regions: Sequence[Sequence[float]] = ()      # x, y, width, height
    zones: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    masks: Sequence[Sequence[Point]] = ()
    lines: Mapping[str, Line] = field(default_factory=dict)
    seen: Sequence[Seen] = ()                    # what counts …
    ignored: Sequence[Detection] = ()            # … and what does not


def drawing_of(model: ModelSettings, source: Source, now: int) -> Drawing:
    """Collect it; of detections those of the newest prediction, while that may be used."""
    known = not source.unusable(now)
    seen = tuple(source.seen) if known else ()
    counted = {(one.label, one.score, one.box) for one in seen}
    ignored = tuple(one for one in source.detections if known and tuple(one) not in counted)
    regions = getattr(model.options, "regions", ())
    return Drawing(regions, model.zones, model.masks, model.lines, seen, ignored)
