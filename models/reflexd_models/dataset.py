"""Labelled pictures of digit wheels in an .npz file: what a network is judged on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reflexd_models import files
from reflexd_models.base import ModelError

LARGEST = 1024 * files.MIB


def read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Read pictures uint8 (n, height, width, 3), truth in tenths (n,), and the group of each.

    Raises: ModelError.
    """
    found = files.npz(path, LARGEST, "the data set")
    x, y = found.get("x"), found.get("y")
    if x is None or y is None:
        raise ModelError(f"{path}: has no arrays x and y, found {', '.join(found) or 'none'}; save them under these names")
    group = found.get("group", np.full(len(y) if y.ndim else 0, "all"))
    count = x.shape[0] if x.ndim == 4 and x.shape[3] == 3 and x.dtype == np.uint8 and x.size else 0
    if not count or y.shape != (count,) or group.shape != (count,) or y.dtype.kind not in "iu" or group.dtype.kind != "U":
        shapes = f"x {x.dtype} {x.shape}, y {y.dtype} {y.shape}, group {group.dtype} {group.shape}"
        raise ModelError(f"{path}: expected x uint8 (n, height, width, 3), y whole numbers (n,), group text (n,); found {shapes}")
    if int(y.min()) < 0 or int(y.max()) > 99:
        raise ModelError(f"{path}: y is 0 to 99 tenths of a digit, found {y.min()} to {y.max()}; correct the labels")
    return x, y.astype(np.int64), group
