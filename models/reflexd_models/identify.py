"""Tell which task a bare file is for: by the metadata inside, then its signature and operators, then its shapes.

What is not decidable is refused with what to write, since a guess would act on numbers that mean something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod
from typing import NamedTuple

from reflexd_models.base import ModelError
from reflexd_models.ends import End, Ends
from reflexd_models.metadata import Metadata
from reflexd_models.sight import picture

POST_PROCESS = "TFLite_Detection_PostProcess"
ULTRALYTICS = {"detect": "detect", "classify": "classify"}       # its task → ours
CALLED = ({"location", "category", "score"}, {"boxes", "classes", "scores"})     # outputs of a detector, in metadata
KEYS = {"detection_boxes", "detection_classes", "detection_scores"}              # and in a signature
STRIDES = (8, 16, 32)        # of the grids of anchors of Ultralytics' networks


class Told(NamedTuple):
    """A task, and what decided it."""

    task: str
    why: str


def identify(ends: Ends, inside: Metadata, labels: int, where: str) -> Told:
    """Find the task of a file with so many labels, given or inside.

    Raises: ModelError.
    """
    if inside.ultralytics not in (None, *ULTRALYTICS):
        raise ModelError(f'{where}: is made by Ultralytics for the task "{inside.ultralytics}", which is not read here; '
                         f"export a network for {' or '.join(ULTRALYTICS)}")
    for look in (_by_metadata, _by_signature, _by_shapes):
        told = look(ends, inside, labels)
        if told is not None:
            return told
    raise ModelError(f"{where}: which task this network is for cannot be told: it takes {_shapes(ends.inputs)} and gives "
                     f"{_shapes(ends.outputs)}; name it with --task, or write task = \"…\" into a model.toml beside it")


def _by_metadata(ends: Ends, inside: Metadata, labels: int) -> Told | None:
    if inside.ultralytics is not None:
        return Told(ULTRALYTICS[inside.ultralytics], f'by the task "{inside.ultralytics}" in its metadata.json')
    called = {name.lower() for name in inside.outputs}
    if any(names <= called for names in CALLED):
        return Told("detect", f"by the outputs {', '.join(inside.outputs)} in its metadata")
    if inside.labels and len(ends.outputs) == 1 and _takes_picture(ends) and prod(ends.outputs[0].shape) == labels:
        return Told("classify", f"by the one output {_shapes(ends.outputs)} and {labels} labels inside")
    return None


def _by_signature(ends: Ends, inside: Metadata, labels: int) -> Told | None:
    del inside, labels
    if {POST_PROCESS} & {end.operator for end in ends.outputs}:
        return Told("detect", f"by its operator {POST_PROCESS}")
    if {end.key for end in ends.outputs} >= KEYS:
        return Told("detect", f"by the outputs {', '.join(sorted(KEYS))} of its signature")
    return None


def _by_shapes(ends: Ends, inside: Metadata, labels: int) -> Told | None:
    del inside
    shapes: Callable[[Ends, int], Told | None] = _of_pictures if _takes_picture(ends) else _of_readings
    return shapes(ends, labels)


def _of_pictures(ends: Ends, labels: int) -> Told | None:
    given = [end.shape for end in ends.outputs]
    why = f"by its shapes, a picture {_shapes(ends.inputs)} to {_shapes(ends.outputs)}"
    if len(given) == 1 and len(given[0]) in (2, 4) and prod(given[0]) == given[0][-1] > 1:
        return Told("classify", why)
    if len(given) == 1 and len(given[0]) == 3 and (_detects(given[0], labels) or _anchors(ends.inputs[0].shape) in given[0]):
        return Told("detect", why)
    many = max((shape[1] for shape in given if len(shape) == 3), default=0)
    if sorted(given) == sorted([(1, many, 4), (1, many), (1, many), (1,)]):
        return Told("detect", why)
    return None


def _detects(shape: tuple[int, ...], labels: int) -> bool:
    """Tell whether an output is one of anchors or boxes for so many labels."""
    return labels > 0 and (4 + labels in shape[1:] or shape[2] == 6)


def _anchors(shape: tuple[int, ...]) -> int:
    """Count the anchors of an Ultralytics network for a picture of that shape."""
    taken = picture(shape)
    return sum((taken[0] // stride) * (taken[1] // stride) for stride in STRIDES) if taken else 0


def _of_readings(ends: Ends, labels: int) -> Told | None:
    del labels
    takes, gives = [end.shape for end in ends.inputs], [end.shape for end in ends.outputs]
    why = f"by its shapes, {_shapes(ends.inputs)} to {_shapes(ends.outputs)}"
    if len(takes) == len(gives) == 1:
        if takes == gives and len(takes[0]) in (2, 3):
            return Told("anomaly", f"{why}: it gives what it takes")
        if len(takes[0]) == 3 and len(gives[0]) == 2:
            return Told("sequence", f"{why}: a window of samples")
    elif len(takes) > 1 and len(gives) == len(takes) and (Counter(gives) - Counter(takes)).total() == 1:
        return Told("sequence", f"{why}: one sample and the state from the one before")
    return None


def _takes_picture(ends: Ends) -> bool:
    return len(ends.inputs) == 1 and picture(ends.inputs[0].shape) is not None


def _shapes(ends: tuple[End, ...]) -> str:
    return ", ".join(str(list(end.shape)) for end in ends) or "nothing"
