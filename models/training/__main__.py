"""Make the networks that ship: scripts/train NAME|all [--small] [--out FOLDER] [--report FILE.html].

Each is made by a process of its own (one.py), at most --jobs at once; this one shows how far it is and writes the report.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from training import one, package, report
from training.command import BUILD, MODULES, Run, arguments
from training.recipe import recipe
from training.report import Told

SLOWEST_FIRST = ("meter", "vibration-lstm", "vibration-gru", "vibration-rnn", "vibration-conv", "digits-a", "digits-b")
BAR = 24
LOCK = threading.Lock()       # lines of two networks do not mix


def make(run: Run, name: str, scratch: Path) -> Told:
    """Make one in a process of its own, and pass on what it says."""
    command = [sys.executable, "-m", "training.one", name, str(scratch), "--data", str(run.data), "--cache", str(BUILD / "cache"),
               *(["--small"] if run.small else []), *(["--only"] if run.only else []),
               *(["--windows", str(run.windows)] if run.windows else [])]
    begun, others = time.monotonic(), [""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        for line in child.stdout or ():
            if line.startswith(f"{name} "):
                with LOCK:
                    print(line, end="", flush=True)
            elif line.strip():
                others.append(line.strip())        # the converter talks much: it is heard when something went wrong
    seconds, purpose, last = time.monotonic() - begun, recipe(name).purpose, others[-1]
    if child.returncode == one.NO_DATA:
        return Told(name, purpose, {}, (), seconds, None, last, no_data=True)
    if child.returncode not in (0, one.MISSED) or not (scratch / f"{name}.result.npz").is_file():
        print("\n".join(others), file=sys.stderr)
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
    order = sorted(run.names, key=(*SLOWEST_FIRST, *MODULES).index)
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
                print(f"[{'#' * full}{'.' * (BAR - full)}] {len(told)}/{len(order)} {made.name}: {made.seconds:.0f} s",
                      flush=True)
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
    if any(made.no_data for made in told):
        return one.NO_DATA
    return int(any(made.short or made.trouble for made in told))


if __name__ == "__main__":
    sys.exit(main())
