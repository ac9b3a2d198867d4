"""Networks and views for the tests of the models."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reflexd_models.base import ModelError
from reflexd_models.bundle import zoo
from reflexd_models.image import Still

MODELS = ("ad01_int8", "coco_ssd_mobilenet_v1_quant_meta", "mobilenet_v1_0.25_128_quant",
          "mobilenet_v1_0.25_224_quant_meta", "person_detect_refused", "vww96_int8")


def rgb(pixels: np.ndarray) -> Still:
    """Make a view of uint8 (height, width, 3) pixels."""
    return Still("rgb", (pixels,))


def noise(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Give random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def picture(path: Path) -> Still:
    """Read a picture file."""
    import cv2

    return rgb(np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)))


def meter_copy(folder: Path) -> Path:
    """Copy the shipped meter, to be damaged."""
    return Path(shutil.copytree(zoo() / "meter", folder / "meter"))


def rewrite(folder: Path, old: str, new: str) -> None:
    """Change a bundle's model.toml."""
    path = folder / "model.toml"
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new, 1))


def rehash(folder: Path) -> None:
    """Let a bundle's model.toml vouch for whatever its network is now."""
    path = folder / "model.toml"
    found = hashlib.sha256((folder / "meter.tflite").read_bytes()).hexdigest()
    lines = [f'sha256 = "{found}"' if line.startswith("sha256") else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def error_of(action: Callable[[], object]) -> str:
    """Do something that may be refused; give the one line of the refusal, or nothing."""
    line = ""
    try:
        action()
    except ModelError as problem:
        line = str(problem)
    assert "\n" not in line
    return line


SERIES = Path(__file__).parent / "networks" / "series"


def series_bundle(folder: Path, content: bytes, task: str, more: str, suffix: str = "tflite") -> Path:
    """Write a bundle that watches sensors; `more` is what its model.toml has beside the common keys."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"it.{suffix}").write_bytes(content)
    (folder / "model.toml").write_text(f'schema = 1\nname = "it"\nfile = "it.{suffix}"\n'
                                       f'sha256 = "{hashlib.sha256(content).hexdigest()}"\ntask = "{task}"\n{more}')
    return folder


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Give the bytes of an .npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()
