"""What the verbs of `reflexctl model` share. Nothing heavy is imported before it is used."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.ctl.reach import add_socket

if TYPE_CHECKING:       # numpy, OpenCV and a TFLite runtime take half a second: only where they are used
    from reflexd_models.base import Model, SeriesModel
    from reflexd_models.bundle import Bundle
    from reflexd_models.store import Store

STATE_DIR = "/var/lib/reflexd"
MIB = 1 << 20


def add_common(parser: argparse.ArgumentParser) -> None:
    """Accept --json and --state-dir."""
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--state-dir", metavar="FOLDER", type=Path, default=Path(STATE_DIR),
                        help=f"where bundles that were added are, default {STATE_DIR}")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Accept what a bare file does not say of itself."""
    parser.add_argument("--labels", metavar="FILE", type=Path, help="labels, one a line, for a file that has none inside")
    parser.add_argument("--mean", type=float, help="for a file that takes floats: (pixel - MEAN) / STD")
    parser.add_argument("--std", type=float, help="needed with --mean")


def add_swapping(parser: argparse.ArgumentParser) -> None:
    """Accept what has to do with a daemon that runs."""
    add_socket(parser)
    parser.add_argument("--no-swap", action="store_true",
                        help="leave the running daemon alone: it takes the network at its next start or reload")


def bundle_of(args: argparse.Namespace) -> Bundle:
    """Find the bundle or the bare file that is meant. Raises: ModelError."""
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import find_bundle

    if args.bundle.endswith(".tflite"):
        return bare(Path(args.bundle), args)
    if args.labels is not None or args.mean is not None:
        raise ModelError(f"{args.bundle}: is a bundle and says its labels and input itself; leave --labels, --mean and --std")
    return find_bundle(args.bundle, args.state_dir)


def bare(path: Path, args: argparse.Namespace, task: str | None = None) -> Bundle:
    """Take a bare file, with what was said of it. Raises: ModelError."""
    from dataclasses import replace

    from reflexd_models import files, metadata
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import of_file

    if (args.mean is None) != (args.std is None) or args.std == 0:
        raise ModelError("--mean and --std: they go together, and std is not 0; give both")
    labels = None if args.labels is None else metadata.lines(files.text(args.labels, MIB, "the label file"))
    bundle = of_file(path, labels, task)
    if args.mean is None:
        return bundle
    return replace(bundle, input=bundle.input.model_copy(update={"mean": args.mean, "std": args.std}))


def opened(bundle: Bundle, regions: list[tuple[float, ...]] | None = None) -> Model | SeriesModel:
    """Load a bundle with usual options. Raises: ModelError."""
    from pydantic import ValidationError

    from reflexd_models import tasks
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import open_model
    from reflexd_models.noise import CHATTER, held_back

    table: dict[str, Any] = {}
    if bundle.task == "regions":
        table = {"regions": regions or [(0.0, 0.0, 1.0, 1.0)], "min_score": 0.0}
    elif regions:
        raise ModelError(f"{bundle.path}: --region is for the task regions, found {bundle.task}; leave it out")
    try:
        with held_back(CHATTER):
            return open_model(bundle, tasks.load(bundle.task).Options.model_validate(table))
    except ValidationError as problem:
        where = "--region" if bundle.task == "regions" else f"{bundle.path}: the task {bundle.task} needs options"
        raise ModelError(f"{where}: {problem.errors()[0]['msg']}") from None


def store_of(args: argparse.Namespace) -> Store:
    """Give the store of the state directory."""
    from reflexd import durable
    from reflexd_models.store import Store

    return Store(args.state_dir / "bundles", durable)


def tell(args: argparse.Namespace, told: dict[str, Any], *lines: str) -> int:
    """Print the one or the other, and give the exit status of what went well."""
    print(json.dumps(told, indent=2) if args.json else "\n".join(lines))
    return 0
