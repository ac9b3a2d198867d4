"""reflexctl model evaluate: judge a network on a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.ctl.model.common import add_common, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELP = "how right a network is on labelled pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a name in the zoo or the state directory, or a path")
    parser.add_argument("data", metavar="DATA.npz", type=Path, help="arrays x (pictures), y (truth) and group")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Judge it, all together and group by group. Raises: ModelError."""
    import numpy as np

    from reflexd_models import accuracy, dataset
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import find_bundle
    from reflexd_models.tasks.regions import Reader

    bundle = find_bundle(args.bundle, args.state_dir)
    if bundle.task != "regions":
        raise ModelError(f"{args.bundle}: evaluate judges readers of digit wheels (task regions), found {bundle.task}")
    x, y, group = dataset.read(args.data)
    model = opened(bundle)
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
