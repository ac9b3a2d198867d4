"""The command line of scripts/train: only the standard library, so that a mistake is told before an environment is made.

python -m training.command [WORD...] says what is wrong with the words (exit status 2), or prints the help.
"""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODULES = {
    "digits-a": "training.digits", "digits-b": "training.digits", "meter": "training.meter",
    "vibration-conv": "training.vibration_networks", "vibration-lstm": "training.vibration_networks",
    "vibration-gru": "training.vibration_networks", "vibration-rnn": "training.vibration_networks",
    "vibration-svm": "training.vibration_learners", "vibration-tree": "training.vibration_learners",
    "vibration-forest": "training.vibration_learners",
}
ZOO = Path(__file__).parents[1] / "zoo"
BUILD = Path(__file__).parents[2] / "build" / "training"
USUAL_DATA = os.environ.get("REFLEXD_TEST_DATA", "../shared")


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for."""

    names: tuple[str, ...]
    small: bool
    only: bool
    out: Path
    data: Path
    report: Path
    jobs: int
    windows: Path | None = None


def arguments(given: Sequence[str] | None = None) -> Run:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/train", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make networks that ship: train, judge on what was held out, and write the bundles.",
        epilog=f"names: {', '.join(MODULES)}\n\nexit status: 0 every bar reached, 1 something fell short and was not written,\n"
               "2 a wrong command line, 3 data is missing")
    parser.add_argument("names", nargs="+", metavar="NAME|all", help="which")
    parser.add_argument("--small", action="store_true", help="less data, fewer epochs and lower bars, as in CI; never models/zoo")
    parser.add_argument("--only", action="store_true", help="meter: without the cross-validation; its card tells of one fold")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where bundles go (models/zoo; with --small build/training)")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="the page with the plots (build/training/report.html)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", default=Path(USUAL_DATA), help=f"has data/ in it ({USUAL_DATA})")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="networks at once (%(default)s)")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="vibration networks: windows of your own instead")
    args = parser.parse_args(given)
    names = tuple(MODULES) if "all" in args.names else tuple(dict.fromkeys(args.names))
    wrong = trouble(names, args)
    if wrong:
        parser.error(wrong)
    out = args.out or (BUILD if args.small else ZOO)
    return Run(names, args.small, args.only, out, args.data, args.report or BUILD / "report.html", args.jobs,
               args.windows)


def trouble(names: Sequence[str], args: argparse.Namespace) -> str | None:
    """Say what is wrong with the words, or None."""
    for name in names:
        if name not in MODULES:
            near = difflib.get_close_matches(name, [*MODULES, "all"], 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MODULES)}, and all"
            return f'name: there is no network called "{name}"; {hint}'
    if args.jobs < 1:
        return f"--jobs: at least 1, found {args.jobs}; leave it out"
    if args.windows is not None and (args.out is None or not all(name.startswith("vibration-") for name in names)):
        return "--windows: goes with vibration networks and with --out FOLDER; say both"
    if args.small and args.out is not None and args.out.resolve() == ZOO.resolve():
        return "--small: what it makes does not ship, found --out models/zoo; give another folder"
    return None


if __name__ == "__main__":
    arguments()
