"""Make the networks that ship: scripts/train NAME|all [--small] [--out FOLDER] [--report FILE.html].

Each is made by a process of its own (one.py), at most --jobs at once; this one shows how far it is and writes the report.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from training import one, package, report
from training.recipe import MODULES, recipe
from training.report import Told

ZOO = Path(__file__).parents[1] / "zoo"
BUILD = Path(__file__).parents[2] / "build" / "training"
USUAL_DATA = os.environ.get("REFLEXD_TEST_DATA", "../shared")
SLOWEST_FIRST = ("meter", "vibration-lstm", "vibration-gru", "vibration-rnn", "vibration-conv", "digits-a", "digits-b")
BAR = 24
LOCK = threading.Lock()       # lines of two networks do not mix


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


def arguments(given: Sequence[str] | None = None) -> Run:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/train", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make networks that ship: train, judge on what was held out, and write the bundles.",
        epilog="names:\n" + "\n".join(f"  {name:17} {recipe(name).purpose}" for name in MODULES) +
               "\n\nexit status: 0 every bar reached, 1 something fell short and was not written, 2 a wrong command line, "
               "3 data is missing")
    parser.add_argument("names", nargs="+", metavar="NAME|all", help="which")
    parser.add_argument("--small", action="store_true", help="less data and fewer epochs, as CI does: lower bars, nothing goes into "
                                                             "models/zoo")
    parser.add_argument("--only", action="store_true", help="meter: without the cross-validation; its card then tells of one fold")
    parser.add_argument("--out", type=Path, help="where bundles go (models/zoo; with --small build/training)")
    parser.add_argument("--report", type=Path, help="the HTML page (build/training/report.html)")
    parser.add_argument("--data", type=Path, default=Path(USUAL_DATA), help=f"the folder with data/ ({USUAL_DATA})")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="networks at once (%(default)s)")
    args = parser.parse_args(given)
    names = tuple(MODULES) if "all" in args.names else tuple(dict.fromkeys(args.names))
    for name in names:
        if name not in MODULES:
            parser.error(unknown(name))
    if args.jobs < 1:
        parser.error(f"--jobs: at least 1, found {args.jobs}")
    out = args.out or (BUILD if args.small else ZOO)
    if args.small and out.resolve() == ZOO.resolve():
        parser.error("--small: what it makes does not ship, found --out models/zoo; give another folder")
    return Run(names, args.small, args.only, out, args.data, args.report or BUILD / "report.html", args.jobs)


def unknown(name: str) -> str:
    """Say that there is no such network."""
    near = difflib.get_close_matches(name, [*MODULES, "all"], 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MODULES)} and all"
    return f'there is no network called "{name}"; {hint}'


def make(run: Run, name: str, scratch: Path) -> Told:
    """Make one in a process of its own, and pass on what it says."""
    command = [sys.executable, "-m", "training.one", name, str(scratch), "--data", str(run.data), "--cache", str(BUILD / "cache"),
               *(["--small"] if run.small else []), *(["--only"] if run.only else [])]
    begun, last = time.monotonic(), ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        for line in child.stdout or ():
            last = line.strip() or last
            with LOCK:
                print(line, end="", flush=True)
    seconds, purpose = time.monotonic() - begun, recipe(name).purpose
    if child.returncode not in (0, one.MISSED) or not (scratch / f"{name}.result.npz").is_file():
        return Told(name, purpose, {}, (), seconds, None, f"ended with status {child.returncode}: {last}")
    judged, figures, short = one.load(scratch / f"{name}.result.npz")
    return Told(name, purpose, figures, short, seconds, judged)


def hand_over(made: Path, bundle: Path) -> None:
    """Put a bundle's files in their place, its description last."""
    bundle.mkdir(parents=True, exist_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == "model.toml"):
        package.replace(bundle / path.name, path.read_bytes())


def make_all(run: Run) -> list[Told]:
    """Make what was asked for, slowest first, and hand over what reached its bars."""
    order = sorted(run.names, key=lambda name: (SLOWEST_FIRST.index(name) if name in SLOWEST_FIRST else len(SLOWEST_FIRST)))
    told: dict[str, Told] = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(run.jobs) as pool:
        scratch = Path(folder)
        for done in as_completed([pool.submit(make, run, name, scratch) for name in order]):
            made = done.result()
            told[made.name] = made
            if (scratch / made.name).is_dir():
                hand_over(scratch / made.name, run.out / made.name)
            full = BAR * len(told) // len(order)
            with LOCK:
                print(f"[{'#' * full}{'.' * (BAR - full)}] {len(told)}/{len(order)} {made.name}: {made.seconds:.0f} s", flush=True)
    return [told[name] for name in run.names]


def main() -> int:
    """Make, report, and tell what fell short."""
    run = arguments()
    begun = time.monotonic()
    told = make_all(run)
    run.report.parent.mkdir(parents=True, exist_ok=True)
    run.report.write_text(report.page(told, shlex.join(["./scripts/train", *sys.argv[1:]])), encoding="utf-8")
    for made in told:
        if made.short or made.trouble:
            print(f"{made.name}: {made.trouble or '; '.join(made.short)}; not written", file=sys.stderr)
    print(f"bundles in {run.out}, report in {run.report}, {time.monotonic() - begun:.0f} s")
    if any(f"status {one.NO_DATA}" in made.trouble for made in told):
        return one.NO_DATA
    return int(any(made.short or made.trouble for made in told))


if __name__ == "__main__":
    sys.exit(main())
