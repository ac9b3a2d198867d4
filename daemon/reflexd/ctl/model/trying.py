"""reflexctl model try: what a network says of pictures, or of a recorded window of readings."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.ctl.model.common import MIB, add_common, add_reading, bundle_of, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reflexd_models.base import Prediction, SeriesModel
    from reflexd_models.image import Still

HELP = "labels, boxes or numbers that a network tells of pictures or readings"
TOP = 5
WINDOWS = 16 * MIB       # bytes of a file of readings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE|FILE.tflite", help="a name in the zoo or the state directory, or a path")
    parser.add_argument("given", metavar="PICTURE|READINGS", nargs="+", type=Path,
                        help="a picture as .png, .jpg or .bmp; for one that watches sensors .csv or .npz, a column a channel")
    add_reading(parser)
    parser.add_argument("--region", metavar="X,Y,WIDTH,HEIGHT", action="append", type=region,
                        help="a region as shares of the picture; repeat it for each wheel; default the whole picture")
    add_common(parser)


def region(text: str) -> tuple[float, ...]:
    """Read four shares, as 0.1,0.2,0.05,0.3.

    Raises: ArgumentTypeError.
    """
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != 4 or not all(0 <= share <= 1 for share in shares):
        raise argparse.ArgumentTypeError(f"{text} is not X,Y,WIDTH,HEIGHT, each 0 to 1")
    return shares


def run(args: argparse.Namespace) -> int:
    """Try it on each file. Raises: ModelError."""
    from reflexd_models import tasks
    from reflexd_models.base import SeriesModel
    from reflexd_models.runtime import runtime

    bundle = bundle_of(args)
    stills = None if tasks.load(bundle.task).Options.watches == "sensors" else [_picture(path) for path in args.given]
    model = opened(bundle, args.region)
    if isinstance(model, SeriesModel):
        told = [one for path in args.given for one in _on_windows(model, path)]
    else:
        detects = tasks.load(bundle.task).Options.gives_detections
        pairs = zip(args.given, stills or (), strict=True)
        told = [{"picture": str(path), **_told(model.predict(still, 0), detects)} for path, still in pairs]
    if args.json:
        print(json.dumps({"network": str(bundle.path), "task": bundle.task, "runtime": runtime(), "pictures": told}, indent=2))
        return 0
    print(f"{bundle.path} with {runtime()}")
    for one in told:
        print(one["picture"], *([f"from sample {one['sample']}"] if "sample" in one else []))
        print("\n".join(_lines(one)))
    return 0


def _picture(path: Path) -> Still:
    """Read a picture file as RGB."""
    import cv2
    import numpy as np

    from reflexd_models import files
    from reflexd_models.base import ModelError
    from reflexd_models.image import Still
    from reflexd_models.noise import held_back

    content = np.frombuffer(files.read(path, 64 * MIB, "the picture"), np.uint8)
    try:
        with held_back(b"[", b"libpng", b"Corrupt JPEG"):
            found = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except cv2.error:      # more pixels than OpenCV takes
        found = None
    if found is None:
        raise ModelError(f"{path}: is not a picture that OpenCV reads; give a JPEG, PNG or BMP file")
    return Still("rgb", (np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8),))


def _on_windows(model: SeriesModel, path: Path) -> list[dict[str, Any]]:
    """Say what each window of a recording is, hop by hop."""
    from reflexd_models.base import ModelError

    shape, samples = model.shape, _readings(path)
    if samples.ndim == 2 and samples.shape[1] == len(shape.channels) and len(samples) >= shape.length:
        windows = [(at, samples[at : at + shape.length]) for at in range(0, len(samples) - shape.length + 1, shape.hop)]
    elif samples.ndim == 3 and samples.shape[1:] == (shape.length, len(shape.channels)):
        windows = list(enumerate(samples))
    else:
        columns = f"{len(shape.channels)} columns ({', '.join(shape.channels)})"
        raise ModelError(f"{path}: expected {shape.length} rows or more of {columns}, {shape.rate_hz:g} a second; "
                         f"found {list(samples.shape)}; record or resample it so")
    return [{"picture": str(path), "sample": at, **_told(model.predict(window, 0), False)} for at, window in windows]


def _readings(path: Path) -> NDArray[np.float32]:
    """Read a .csv with or without a line of names, or the array x (or the only one) of an .npz."""
    import numpy as np

    from reflexd_models import files
    from reflexd_models.base import ModelError

    if path.suffix == ".npz":
        arrays = files.npz(path, WINDOWS, "the readings")
        found = arrays.get("x", next(iter(arrays.values())) if len(arrays) == 1 else None)
        if found is None or found.dtype.kind not in "fiu":
            names = ", ".join(arrays) or "none"
            raise ModelError(f"{path}: has no array x of numbers, found {names}; save the readings under that name")
    else:
        rows = files.text(path, WINDOWS, "the readings").replace(";", ",").split("\n")
        try:
            found = np.array([[float(cell) for cell in row.split(",")] for row in rows[not _is_row(rows[0]) :] if row.strip()])
        except ValueError as problem:       # also rows that are not as long as each other
            raise ModelError(f"{path}: is not a table of numbers: {files.reason(problem)}; give a .csv or an .npz") from None
    if not np.isfinite(found).all():
        raise ModelError(f"{path}: not all of it are numbers (nan or inf); leave such rows out")
    return np.ascontiguousarray(found, np.float32)


def _is_row(row: str) -> bool:
    try:
        [float(cell) for cell in row.split(",")]
    except ValueError:
        return False
    return True


def _told(prediction: Prediction, detects: bool) -> dict[str, Any]:
    if prediction.parts:
        wheels = [{"label": label, "score": round(score, 4)} for label, score in prediction.parts]
        return {"value": prediction.value, "spread": prediction.spread, "unsure": prediction.unsure, "parts": wheels}
    if detects:
        return {"detections": [{"label": label, "score": round(score, 4), "box": [round(side, 4) for side in box]}
                               for label, score, box in prediction.detections]}
    best = sorted(prediction.scores.items(), key=lambda pair: -pair[1])[:TOP]
    told: dict[str, Any] = {"scores": [{"label": label, "score": round(score, 4)} for label, score in best]}
    if prediction.value is not None or prediction.unsure is not None:
        told |= {"value": prediction.value, "spread": prediction.spread, "unsure": prediction.unsure}
    return told


def _lines(one: dict[str, Any]) -> list[str]:
    if "detections" in one:
        return [f"  {found['score']:.3f}  {found['label']}  left {found['box'][0]:.3f}, top {found['box'][1]:.3f}, "
                f"right {found['box'][2]:.3f}, bottom {found['box'][3]:.3f}" for found in one["detections"]] or ["  nothing"]
    scores = one.get("scores") or one.get("parts") or []
    lines = [f"  {score['score']:.3f}  {score['label']}" for score in scores]
    if "value" in one and one["value"] is None:
        lines.append(f"  unsure: {one['unsure']}")
    elif "value" in one:
        lines.append(f"  reads {one['value']} (within {one['spread']})" if one["spread"] else f"  value {one['value']:g}")
    return lines or ["  nothing"]
