"""reflexctl model: try a network on pictures, or judge it on a data set, without a camera or a daemon."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:       # numpy, OpenCV and a TFLite runtime take half a second: only where they are used
    import numpy as np
    from numpy.typing import NDArray

    from reflexd_models.base import Model, Prediction
    from reflexd_models.bundle import Bundle
    from reflexd_models.image import Still

HELP = "try a network on pictures, or judge it on a data set"
STATE_DIR = "/var/lib/reflexd"
TOP = 5
MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    attempt = verbs.add_parser("try", help="labels and scores of pictures")
    attempt.add_argument("bundle", metavar="BUNDLE|FILE.tflite", help="a name in the zoo or the state directory, or a path")
    attempt.add_argument("pictures", metavar="PICTURE", nargs="+", type=Path, help="as .png, .jpg or .bmp")
    attempt.add_argument("--labels", metavar="FILE", type=Path, help="labels, one a line, for a file that has none inside")
    attempt.add_argument("--mean", type=float, help="for a file that takes floats: (pixel - MEAN) / STD")
    attempt.add_argument("--std", type=float, help="needed with --mean")
    attempt.add_argument("--region", metavar="X,Y,WIDTH,HEIGHT", action="append", type=region,
                         help="a region as shares of the picture; repeat it for each wheel; default the whole picture")
    judge = verbs.add_parser("evaluate", help="how right a network is on labelled pictures")
    judge.add_argument("bundle", metavar="BUNDLE", help="a name in the zoo or the state directory, or a path")
    judge.add_argument("data", metavar="DATA.npz", type=Path, help="arrays x (pictures), y (truth) and group")
    for one in (attempt, judge):
        one.add_argument("--json", action="store_true", help="for programs")
        one.add_argument("--state-dir", metavar="FOLDER", type=Path, default=Path(STATE_DIR),
                         help=f"where bundles that were added are, default {STATE_DIR}")


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
    """Do it; 1 with one line on stderr when it fails."""
    from reflexd_models.base import ModelError

    try:
        return _try(args) if args.what == "try" else _evaluate(args)
    except ModelError as problem:
        print("reflexctl:", " ".join(str(problem).split()), file=sys.stderr)      # a path may have a line break in it
        return 1


def _try(args: argparse.Namespace) -> int:
    from reflexd_models.runtime import runtime

    bundle = _bundle(args)
    stills = [_picture(path) for path in args.pictures]
    model = _open(bundle, args.region)
    told = [{"picture": str(path), **_told(model.predict(still, 0))} for path, still in zip(args.pictures, stills, strict=True)]
    if args.json:
        print(json.dumps({"network": str(bundle.path), "runtime": runtime(), "pictures": told}, indent=2))
        return 0
    print(f"{bundle.path} with {runtime()}")
    for one in told:
        print(one["picture"])
        print("\n".join(_lines(one)))
    return 0


def _bundle(args: argparse.Namespace) -> Bundle:
    from dataclasses import replace

    from reflexd_models import files, metadata
    from reflexd_models.about import Input
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import find_bundle, of_file

    if (args.mean is None) != (args.std is None) or args.std == 0:
        raise ModelError("--mean and --std: they go together, and std is not 0; give both")
    if not args.bundle.endswith(".tflite"):
        if args.labels is not None or args.mean is not None:
            raise ModelError(f"{args.bundle}: is a bundle and says its labels and input itself; leave --labels, --mean and --std")
        return find_bundle(args.bundle, args.state_dir)
    labels = None if args.labels is None else metadata.lines(files.text(args.labels, MIB, "the label file"))
    bundle = of_file(Path(args.bundle), labels)
    return bundle if args.mean is None else replace(bundle, input=Input(mean=args.mean, std=args.std))


def _open(bundle: Bundle, regions: list[tuple[float, ...]] | None) -> Model:
    from pydantic import ValidationError

    from reflexd_models import tasks
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import open_camera_model
    from reflexd_models.noise import CHATTER, held_back

    table: dict[str, Any] = {}
    if bundle.task == "regions":
        table = {"regions": regions or [(0.0, 0.0, 1.0, 1.0)], "min_score": 0.0}
    elif regions:
        raise ModelError(f"{bundle.path}: --region is for the task regions, found {bundle.task}; leave it out")
    try:
        with held_back(CHATTER):
            return open_camera_model(bundle, tasks.load(bundle.task).Options.model_validate(table))
    except ValidationError as problem:
        raise ModelError(f"--region: {problem.errors()[0]['msg']}") from None


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


def _told(prediction: Prediction) -> dict[str, Any]:
    if prediction.parts:
        wheels = [{"label": label, "score": round(score, 4)} for label, score in prediction.parts]
        return {"value": prediction.value, "spread": prediction.spread, "unsure": prediction.unsure, "parts": wheels}
    best = sorted(prediction.scores.items(), key=lambda pair: -pair[1])[:TOP]
    return {"scores": [{"label": label, "score": round(score, 4)} for label, score in best]}


def _lines(one: dict[str, Any]) -> list[str]:
    scores = one.get("scores") or one["parts"]
    lines = [f"  {score['score']:.3f}  {score['label']}" for score in scores]
    if "value" in one:
        lines.append(f"  unsure: {one['unsure']}" if one["value"] is None else f"  reads {one['value']} (within {one['spread']})")
    return lines


def _evaluate(args: argparse.Namespace) -> int:
    import numpy as np

    from reflexd_models import accuracy, dataset
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import find_bundle
    from reflexd_models.tasks.regions import Reader

    bundle = find_bundle(args.bundle, args.state_dir)
    if bundle.task != "regions":
        raise ModelError(f"{args.bundle}: evaluate judges readers of digit wheels (task regions), found {bundle.task}")
    x, y, group = dataset.read(args.data)
    model = _open(bundle, None)
    assert isinstance(model, Reader)
    answers, scores = _ask(model, x)
    whole, groups = accuracy.figures(y, answers, scores), accuracy.by_group(y, answers, scores, group)
    if args.json:
        print(json.dumps({"all": whole, "groups": groups}, indent=2))
        return 0
    held = np.isin(group, bundle.held_out)
    rows = {"all": whole, **groups}
    if held.any():
        rows["held out of training"] = accuracy.figures(y[held], answers[held], scores[held])
    _print_table(rows)
    return 0


def _ask(model: Any, x: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:   # noqa: ANN401
    import numpy as np

    from reflexd_models import accuracy
    from reflexd_models.image import Still

    classes = {label: accuracy.BETWEEN if label == "between" else int(label) for label in model.labels}
    told = [model.read(Still("rgb", (picture,))) for picture in x]
    return np.array([classes[label] for label, _ in told]), np.array([score for _, score in told])


def _print_table(rows: dict[str, Any]) -> None:
    wide = max(len(name) for name in rows)
    keys = list(rows["all"])
    print(" " * wide, *[key.replace("_", " ") for key in keys], sep="  ")
    for name, figures in rows.items():
        cells = ["-" if figures[key] is None else f"{figures[key]:.3f}" if key != "count" else str(figures[key]) for key in keys]
        print(name.ljust(wide), *[cell.rjust(len(key)) for cell, key in zip(cells, keys, strict=True)], sep="  ")
