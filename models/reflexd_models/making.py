"""Make a bundle of a bare .tflite file: its description, and a golden case of what the network says here.

The network is run in a child process with limits (trial.py), on pixels that are drawn from a fixed seed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
from typing import Any

import numpy as np

from reflexd_models import files, tasks
from reflexd_models.base import ModelError, Tensor
from reflexd_models.bundle import ABOUT, LARGEST, Bundle
from reflexd_models.trial import answer, ask_child

SEED, CASES = 6, 2
STEPS = 26.0       # in which runtimes and processors differ at most on quantized networks (20 of 256 were seen)
SHARE = 0.1        # the same of what a network of floats gives, of its range
GOLDEN = "golden.npz"


def made(bundle: Bundle, name: str) -> dict[str, bytes]:
    """Give the files of a bundle for the network that a Bundle without a hash is about. Raises: ModelError."""
    return made_of(bundle, name, files.read(bundle.path, LARGEST, "the network"))


def made_of(bundle: Bundle, name: str, content: bytes) -> dict[str, bytes]:
    """Do so for bytes that are there already. Raises: ModelError."""
    if tasks.load(bundle.task).Options.watches == "sensors":
        raise ModelError(f"{bundle.path}: the task {bundle.task} has to know which sensors, at what rate and for how long; "
                         "write a folder with a model.toml that has a [window], and install that")
    normal = "" if bundle.input.mean is None else f"{bundle.input.mean!r},{bundle.input.std!r}"
    told = ask_child("reflexd_models.making", [bundle.where, normal], content, bundle.where)
    about = _described(bundle, name, hashlib.sha256(content).hexdigest(), told["tolerance"])
    return {ABOUT: about.encode(), f"{name}.tflite": content, GOLDEN: base64.b64decode(told["golden"])}


def _described(bundle: Bundle, name: str, sha256: str, tolerance: float) -> str:
    """Write the model.toml."""
    said = bundle.input.model_dump(exclude_none=True)
    lines = ["schema = 1", f"name = {_text(name)}", f"file = {_text(f'{name}.tflite')}", f'sha256 = "{sha256}"',
             f"task = {_text(bundle.task)}", f"labels = [{', '.join(_text(label) for label in bundle.labels)}]"]
    if bundle.threshold:
        lines.append(f"threshold = {bundle.threshold!r}")
    if said:
        values = {key: _text(value) if isinstance(value, str) else repr(value) for key, value in said.items()}
        lines += ["", "[input]", *[f"{key} = {value}" for key, value in values.items()]]
    return "\n".join([*lines, "", "[golden]", f'file = "{GOLDEN}"', f"tolerance = {tolerance!r}", ""])


def _text(text: str) -> str:
    """Write a TOML string; the escapes of JSON are TOML's too, but for one control character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _answers(content: bytes) -> dict[str, Any]:
    from reflexd_models.runtime import Network

    network = Network(content, sys.argv[1])
    if len(network.inputs) != 1 or not network.outputs:
        raise ModelError(f"{sys.argv[1]}: has {len(network.inputs)} inputs and {len(network.outputs)} outputs, and a golden case "
                         "is of one input; write a folder with a model.toml, and install that")
    takes = network.inputs[0]
    normal = tuple(float(one) for one in sys.argv[2].split(",")) if sys.argv[2] else None
    given = np.stack([_drawn(np.random.default_rng(SEED + case), takes.shape, takes.dtype, normal) for case in range(CASES)])
    told = np.stack([network.run(lambda tensor, one=one: np.copyto(tensor, one))[0].copy() for one in given])   # type: ignore[misc]
    if not np.isfinite(told.astype(np.float64)).all():
        raise ModelError(f"{sys.argv[1]}: the network gives no numbers (nan) for plain noise; "
                         "see that --mean and --std are what it was made with")
    packed = io.BytesIO()
    np.savez_compressed(packed, given=given, told=told)
    spread = float(np.ptp(told.astype(np.float64)))
    return {"golden": base64.b64encode(packed.getvalue()).decode(),
            "tolerance": STEPS if told.dtype.kind in "iu" else round(max(SHARE * spread, 1e-6), 9)}


def _drawn(random: np.random.Generator, shape: tuple[int, ...], kind: np.dtype[Any], normal: tuple[float, ...] | None) -> Tensor:
    """Draw what looks like pixels to that input."""
    pixels = random.integers(0, 256, shape)
    if kind.kind == "f":
        mean, std = normal or (127.5, 127.5)
        return ((pixels - mean) / std).astype(kind)
    bounds = np.iinfo(kind) if kind.kind in "iu" else np.iinfo(np.uint8)
    return (pixels + max(bounds.min, -128)).astype(kind)


if __name__ == "__main__":
    answer(sys.argv[1], _answers)
