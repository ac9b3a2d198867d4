"""Make a bundle of the task anomaly from normal windows: statistics or an autoencoder, and the limit that belongs to it."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reflexd_models import normality
from reflexd_models.about import Anomaly, Window
from reflexd_models.base import ModelError
from reflexd_models.bundle import ABOUT, Bundle, content_of
from reflexd_models.series import Samples, window_of
from reflexd_models.tasks.anomaly import distance_of

PERCENTILE, MARGIN = 99.0, 1.25      # of at least LEAST normal windows
LEAST = 300                          # a 99th percentile of fewer rests on two windows
FEWEST = 10                          # that anybody may ask for
CASES = 4
GOLDEN = "golden.npz"
TOLERANCE = {"autoencoder": 0.05}    # in limits: an int8 network may round otherwise when the runtime is renewed
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was found, and the files that say so."""

    percentile: float        # of the distances of normal windows
    limit: float
    over: float              # share of the given windows that would count as more than 1
    files: dict[str, bytes]


def of_statistics(name: str, method: str, window: Window, windows: Samples) -> Calibrated:
    """Calibrate the method rms or mahalanobis with normal windows (n, length, channels)."""
    arrays = normality.fit(method, windows)
    far = normality.distance(method, arrays, len(window.channels), name)
    content = _packed(arrays)
    limit = _limit(normality.apart(windows, method), name)
    return _calibrated(name, method, window, windows, (f"{name}.npz", content), limit, np.array([far.of(one) for one in windows]))


def of_bundle(name: str, bundle: Bundle, windows: Samples) -> Calibrated:
    """Calibrate a bundle's autoencoder with normal windows. Raises: ModelError."""
    window = window_of(bundle)
    bundle = replace(bundle, labels=(), anomaly=Anomaly(method="autoencoder"), golden=None)
    far = distance_of(bundle)
    distances = np.array([far.of(one) for one in windows])
    return _calibrated(name, "autoencoder", window, windows, (f"{name}.tflite", content_of(bundle)),
                       _limit(distances, name), distances)


def _limit(distances: Numbers, name: str) -> tuple[float, float]:
    """Give the percentile and the limit. Raises: ModelError."""
    percentile = float(np.percentile(distances, PERCENTILE))
    if not np.isfinite(percentile) or percentile <= 0:
        raise ModelError(f"{name}: the windows are all the same, {percentile:g} from normal; see whether the sensor is connected")
    return percentile, percentile * MARGIN


def _calibrated(name: str, method: str, window: Window, windows: Samples, file: tuple[str, bytes],
                found: tuple[float, float], distances: Numbers) -> Calibrated:
    percentile, limit = found
    values = distances / limit
    chosen = np.argsort(values)[:: max(1, len(values) // CASES)][:CASES]
    golden = _packed({"given": windows[chosen].astype(np.float32), "told": values[chosen, None]})
    files = {ABOUT: _about(name, method, window, limit, file).encode(), file[0]: file[1], GOLDEN: golden}
    return Calibrated(percentile, limit, float((values > 1).mean()), files)


def _about(name: str, method: str, window: Window, limit: float, file: tuple[str, bytes]) -> str:
    """Write the model.toml."""
    said = window.model_dump(exclude_defaults=True)
    lines = ["schema = 1", f"name = {_toml(name)}", f"file = {_toml(file[0])}",
             f'sha256 = "{hashlib.sha256(file[1]).hexdigest()}"', 'task = "anomaly"',
             "", "[anomaly]", f'method = "{method}"', f"limit = {limit!r}",
             "", "[window]", *[f"{key} = {_toml(value)}" for key, value in said.items()],
             "", "[golden]", f'file = "{GOLDEN}"', f"tolerance = {TOLERANCE.get(method, 1e-4)}", ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    """Write texts, numbers and lists of them; JSON's escapes are TOML's, but for one character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _packed(arrays: normality.Arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)      # type: ignore[arg-type]  # its allow_pickle is not among the arrays
    return file.getvalue()
