"""Which of the known layouts a detector's outputs have. Nothing is told by position alone where shapes leave a doubt.

`tf1` and `tf2` are four outputs of a network that ends in its own suppression; which is which is told by the operator
that gives them, else by the keys of the signature, by metadata, or by names. `anchors` is Ultralytics' one output of all
anchors, `end-to-end` one of boxes that are suppressed already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reflexd_models.base import ModelError
from reflexd_models.bundle import Bundle
from reflexd_models.ends import End
from reflexd_models.identify import POST_PROCESS
from reflexd_models.metadata import Metadata
from reflexd_models.runtime import Network

ROLES = ("boxes", "classes", "scores", "count")       # also the order of TFLite_Detection_PostProcess's outputs
TF2 = ("scores", "boxes", "count", "classes")
NUMBERED = {"output_0": "count", "output_1": "scores", "output_2": "classes", "output_3": "boxes"}     # in TF2's signature
WORDS = {"boxes": "box|location", "classes": "class|category", "scores": "score", "count": "num|count"}
NOBODY = ("???", "background", "n/a", "")      # labels that stand for no class
IN_SHARES = 2.0          # no box in shares is that large, and no network has boxes in pixels that are all smaller


@dataclass(frozen=True, slots=True)
class Layout:
    """How outputs are to be read."""

    kind: Literal["ssd", "anchors", "end-to-end"]
    roles: tuple[int, ...] = (0,)       # ssd: which output has the boxes, the classes, the scores, the count
    transposed: bool = False            # anchors: an anchor a row
    pixels: bool = False                # boxes are measured in pixels of the network's picture, not in its shares
    first_class: int = 0                # place of class 0 among the labels

    @property
    def letterboxed(self) -> bool:
        """Whether such networks are usually trained on frames with a border."""
        return self.kind != "ssd"


def layout_of(bundle: Bundle, network: Network, ends: Sequence[End], inside: Metadata) -> Layout:
    """Decide, by what the bundle says, then by what the file says; `ends` are those of the outputs.

    Raises: ModelError, naming what to write, where it cannot be decided.
    """
    if not bundle.labels:
        raise ModelError(f"{network.where}: has no labels inside, and a detector needs them; name a file with --labels, "
                         "or write a bundle")
    if len(network.outputs) == 1:
        return _of_one(bundle, network, inside)
    if len(network.outputs) == 4:
        return _of_four(bundle, network, ends, inside)
    raise _undecided(network, "one or four outputs are read")


def _of_four(bundle: Bundle, network: Network, ends: Sequence[End], inside: Metadata) -> Layout:
    said = bundle.detect
    first = int(bundle.labels[0] in NOBODY) if said.first_class is None else said.first_class
    orders: dict[str, Sequence[str]] = {"tf1": ROLES, "tf2": TF2}
    told = _told_by(ends, inside) if said.layout is None else iter([orders.get(said.layout, ())])
    for roles in told:
        places = tuple(roles.index(role) for role in ROLES) if sorted(roles) == sorted(ROLES) else ()
        if places and _fits([network.outputs[place].shape for place in places]):
            return Layout("ssd", places, pixels=said.boxes == "pixels", first_class=first)
    raise _undecided(network, "which of four outputs has the scores and which the classes is not told; "
                              'write layout = "tf1" (boxes, classes, scores, count) or "tf2" (scores, boxes, count, classes)')


def _told_by(ends: Sequence[End], inside: Metadata) -> Iterator[Sequence[str]]:
    """Give what each witness says that the outputs are, the surest first."""
    if all(end.operator == POST_PROCESS and end.place < 4 for end in ends):
        yield [ROLES[end.place] for end in ends]
    yield [NUMBERED.get(end.key, _role(end.key)) for end in ends]
    yield [_role(name) for name in inside.outputs]
    yield [_role(end.name) for end in ends]


def _role(name: str) -> str:
    found = [role for role, words in WORDS.items() if re.search(words, name.lower())]
    return found[0] if len(found) == 1 else ""


def _fits(shapes: Sequence[tuple[int, ...]]) -> bool:
    boxes, classes, scores, count = shapes
    return len(boxes) == 3 and boxes[::2] == (1, 4) and classes == scores == boxes[:2] and int(np.prod(count)) == 1


def _of_one(bundle: Bundle, network: Network, inside: Metadata) -> Layout:
    said, shape, classes = bundle.detect, network.outputs[0].shape, len(bundle.labels)
    possible = {"ultralytics": (4 + classes, 1), "ultralytics-transposed": (4 + classes, 2), "end-to-end": (6, 2)}
    if len(shape) == 3:
        possible = {name: (size, axis) for name, (size, axis) in possible.items() if shape[axis] == size}
    if inside.ultralytics is not None:
        possible.pop("ultralytics-transposed", None)      # they never write it
    names = [name for name in possible if said.layout in (None, name)] if len(shape) == 3 and shape[0] == 1 else []
    if not names:
        raise _undecided(network, f"with {classes} labels it should be [1, {4 + classes}, anchors], [1, anchors, {4 + classes}] "
                                  "or [1, boxes, 6]; the labels belong to another network, or this layout is not read")
    if len(names) > 1:
        raise _undecided(network, f'with {classes} labels it may be {" or ".join(names)}; write one of these as layout = "…"')
    kind: Literal["anchors", "end-to-end"] = "end-to-end" if names == ["end-to-end"] else "anchors"
    return Layout(kind, transposed=names == ["ultralytics-transposed"], pixels=_in_pixels(bundle, network, kind, inside),
                  first_class=said.first_class or 0)


def _in_pixels(bundle: Bundle, network: Network, kind: str, inside: Metadata) -> bool:
    """Decide what boxes are measured in: by the bundle, the range of a quantized output, who wrote the file, the layout.

    Source: Ultralytics' predictor multiplies the boxes of every .tflite file by the picture's size, end-to-end ones as well.
    """
    info = network.outputs[0]
    if bundle.detect.boxes is not None:
        return bundle.detect.boxes == "pixels"
    if info.scale:
        return (np.iinfo(info.dtype).max - info.zero_point) * info.scale > IN_SHARES
    return kind == "end-to-end" and inside.ultralytics is None


def _undecided(network: Network, why: str) -> ModelError:
    found = ", ".join(str(list(info.shape)) for info in network.outputs)
    return ModelError(f"{network.where}: how detections are to be read cannot be told from the outputs {found}: {why}, "
                      "in the table [detect] of a bundle's model.toml")
