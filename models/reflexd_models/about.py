"""The shape of model.toml: every key of a bundle's description, and what it means.

A name of a file is only a name: nothing leads out of the bundle's folder.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reflexd_models import files
from reflexd_models.base import ModelError

# tomllib takes time with the square of a dotted key's parts: 12 s for 20,000 of them
DEEPEST = 100
NO_KEY = re.compile(r"""[^\w \t"'.-]+""")
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]      # no way out of the folder
Label = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Input(_Part):
    """[input]: how the network wants its pictures."""

    layout: Literal["rgb", "bgr", "grey"] | None = Field(default=None, description="order of channels; by their number if absent")
    width: int | None = Field(default=None, ge=1, le=8192, description="in pixels; must be the network's own")
    height: int | None = Field(default=None, ge=1, le=8192, description="in pixels; must be the network's own")
    mean: float | None = Field(default=None, description="real input = (pixel - mean) / std")
    std: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Input:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together")
        return self


class Window(_Part):
    """[window]: which windows of sensor readings the network was made for."""

    channels: tuple[Label, ...] = Field(min_length=1, max_length=256, description="what each column is, in its order")
    rate_hz: float = Field(gt=0, le=100_000, description="samples a second, evenly spaced")
    length: int = Field(ge=1, le=100_000, description="samples")
    hop: int | None = Field(default=None, ge=1, le=100_000, description="samples to the next window; half a window if absent")
    mean: tuple[float, ...] = Field(default=(), description="of each channel: real input = (value - mean) / std")
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(), description="of each channel")
    state: dict[Label, Label] = Field(
        default_factory=dict, description="a one-step recurrent network's state: input = output, by the names of its signature")

    @model_validator(mode="after")
    def _fits(self) -> Window:
        if {len(self.mean), len(self.std)} not in ({0}, {len(self.channels)}):
            raise ValueError("mean and std have a number for each channel, or are absent")
        return self


class Anomaly(_Part):
    """[anomaly]: how far a window is from normal ones, and how far is too far."""

    method: Literal["rms", "mahalanobis", "autoencoder"] = Field(description="what the file holds")
    limit: float | None = Field(default=None, gt=0, description="the distance that counts as 1; reflexctl calibrate finds it")


class Detect(_Part):
    """[detect]: how a detector's outputs are to be read, where the file does not tell."""

    layout: Literal["tf1", "tf2", "ultralytics", "ultralytics-transposed", "end-to-end"] | None = Field(
        default=None, description="tf1: boxes, classes, scores, count; tf2: scores, boxes, count, classes; "
                                  "ultralytics: [1, 4 + classes, anchors]; end-to-end: [1, boxes, 6]")
    boxes: Literal["shares", "pixels"] | None = Field(default=None, description="what boxes are told in, of the picture")
    letterbox: bool | None = Field(
        default=None, description="a frame keeps its shape, with a grey border, or is stretched; if absent, it is stretched for "
                                  "tf1 and tf2 only")
    first_class: int | None = Field(default=None, ge=0, le=1000, description="place among the labels of class 0's")
    iou: float | None = Field(default=None, gt=0, le=1, description="overlap from which two boxes of a label are one thing")


class Golden(_Part):
    """[golden]: an input with the output that belongs to it."""

    file: FileName = Field(
        description=".npz with `given` (n, *input) and `told` (n, *output), as raw as the tensors; of a task that watches "
                    "sensors float32 windows (n, length, channels) in their units, and scores (n, labels) or values (n, 1)")
    tolerance: float = Field(default=0, ge=0, description="largest difference of an output, in raw steps or of a score or value")


class About(_Part):
    """model.toml: what a bundle says of its network."""

    schema_: Literal[1] = Field(alias="schema", description="version of this format")
    name: str = Field(min_length=1, max_length=64)
    file: FileName
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    task: str
    labels: tuple[Label, ...] = Field(default=(), max_length=100_000)
    threshold: float = Field(default=0.0, ge=0, le=1, description="scores below it are not trusted")
    input: Input = Input()
    window: Window | None = None
    anomaly: Anomaly | None = None
    detect: Detect = Detect()
    golden: Golden | None = None
    card: FileName | None = None
    held_out: tuple[str, ...] = Field(default=(), description="groups of the data set that training never saw")


def read(path: Path) -> About:
    """Read a model.toml.

    Raises: ModelError.
    """
    text = files.text(path, files.MIB, "the bundle's description")
    if any(part.count(".") > DEEPEST for part in NO_KEY.split(text)):
        raise ModelError(f"{path}: a key has more than {DEEPEST} parts; correct it")
    try:
        return About.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise ModelError(f"{path}: is not TOML: {files.reason(problem)}; correct it") from None
    except ValidationError as problem:
        raise ModelError(f"{path}: {_first(problem)}") from None


def _first(problem: ValidationError) -> str:
    error = problem.errors()[0]
    where = ".".join(str(part) for part in error["loc"]) or "file"
    more = f" (and {problem.error_count() - 1} more)" if problem.error_count() > 1 else ""
    found = "" if error["type"] in ("missing", "extra_forbidden") else f", found {files.reason(ValueError(repr(error['input'])))}"
    return f"{where}: {files.reason(ValueError(error['msg']))}{found}; correct it{more}"
