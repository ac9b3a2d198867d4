"""Windows of one's own machine to train a vibration network on: an .npz file, checked before anything is trained.

    x      float32 (n, length, 3): windows of an accelerometer, in g
    y      text (n,): what each window is
    group  text (n,): what may only be held out whole, such as a machine, or a day; windows that overlap share one
    rate_hz   samples a second
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.judge import Figures
from training.recipe import DataError
from training.vibration import CHANNELS, Windows

HELD_OUT = 4         # every fourth group of each label is held out
LEAST = 2            # groups of each label
CARD = """\
# {name}: trained on {file}

Made by `./scripts/train {name} --windows {file}`. Every fourth group of each label was held out, and the figures are of
these alone.

| | |
|---|---|
{rows}

| figure | |
|---|---|
{told}
"""
SHORTEST = 40        # samples: what three convolutions of stride 2 need


def read(path: Path) -> tuple[Windows, tuple[str, ...], float]:
    """Read such a file: windows whose truth is a place in the labels, the labels in order, the rate. Raises: DataError."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path}: cannot be read as .npz: {problem}; write it with numpy.savez") from None
    missing = {"x", "y", "group", "rate_hz"} - arrays.keys()
    if missing:
        raise DataError(f"{path}: has no {', '.join(sorted(missing))}; save x, y, group and rate_hz")
    x, y, group, rate = (arrays[name] for name in ("x", "y", "group", "rate_hz"))
    count = len(x) if x.ndim == 3 and x.shape[2] == len(CHANNELS) and x.shape[1] >= SHORTEST and x.dtype.kind == "f" else 0
    if not count or not np.isfinite(x).all():
        raise DataError(f"{path}: x has to be finite floats (n, {SHORTEST} or more, {len(CHANNELS)}) in g, "
                        f"found {x.dtype} {list(x.shape)}")
    if y.shape != (count,) or group.shape != (count,) or y.dtype.kind != "U" or group.dtype.kind != "U":
        raise DataError(f"{path}: y and group have to be text, one for each of {count} windows, "
                        f"found {y.dtype} and {group.dtype}")
    if rate.shape or not 0 < float(rate) <= 100_000:
        raise DataError(f"{path}: rate_hz has to be one number of 0 to 100000 samples a second")
    labels, truth = np.unique(y, return_inverse=True)
    if len(labels) < 2:
        raise DataError(f"{path}: y has to have two labels at least, found {len(labels)}")
    return Windows(x.astype(np.float32), truth.astype(np.int64), group), tuple(labels.tolist()), float(rate)


def split(windows: Windows, labels: tuple[str, ...]) -> tuple[Windows, Windows]:
    """Hold out every fourth group of each label, at least one; give what is for training and the rest. Raises: DataError."""
    held: set[str] = set()
    for place, label in enumerate(labels):
        groups = np.unique(windows.group[windows.y == place]).tolist()
        if len(groups) < LEAST:
            raise DataError(f'y "{label}": has {len(groups)} group; give each label {LEAST}, to train on and to judge by')
        held |= set(groups[::HELD_OUT])
    chosen = np.isin(windows.group, sorted(held))
    for place, label in enumerate(labels):
        if not (windows.y[~chosen] == place).any():
            raise DataError(f'y "{label}": all its groups are held out for other labels; give each label groups of its own')
    return Windows(*(part[~chosen] for part in windows)), Windows(*(part[chosen] for part in windows))


def card(name: str, path: Path, facts: Mapping[str, str], figures: Figures) -> str:
    """Give the card of a network that was trained on such a file: only what was measured."""
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    told = "\n".join(f"| {key} | {value:g} |" for key, value in figures.items())
    return CARD.format(name=name, file=path.name, rows=rows.replace(", |", " |"), told=told)
