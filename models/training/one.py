"""Make one network, in a process of its own: python -m training.one NAME OUT [--small] [--only] [--windows FILE].

A process each keeps one network's chance, threads and crashes out of another's: the same machine gives the same bytes,
whether it is made alone or with all others. What it tells goes to OUT/NAME.result.npz, for the report. The bundle is written
to OUT/NAME, but not when a bar is missed; then the exit status is 1. It is 3 when data is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

# before TensorFlow: its oneDNN kernels round in another order, so the setting belongs to the result
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"      # sums in another order give other bytes

import numpy as np

from training import package
from training.judge import Figures, Judged, figures
from training.recipe import DataError, How, Recipe, recipe

MISSED, NO_DATA = 1, 3


def make(one: Recipe, out: Path, how: How) -> tuple[Judged, Figures, tuple[str, ...]]:
    """Train, judge, and write the bundle if every bar is reached; give the figures and what fell short. Raises: DataError."""
    trained = one.train(how)
    told = {**figures(trained.judged, trained.of_float, len(trained.file)), **trained.figures}
    bars = () if how.windows else one.bars(how.small)      # nobody knows what can be reached on windows of one's own
    short = tuple(text for bar in bars if (text := bar.short(told)))
    if not short:
        command = f"./scripts/train {one.name}{' --small' if how.small else ''}{' --only' if how.only else ''}"
        package.write(out / one.name, one, trained, told, command)
    return trained.judged, told, short


def save(path: Path, judged: Judged, told: Figures, short: tuple[str, ...]) -> None:
    """Keep what the report needs."""
    text = json.dumps({"figures": told, "short": short, "labels": judged.labels})
    np.savez_compressed(path, truth=judged.truth, scores=judged.scores, group=judged.group, told=np.array(text))


def load(path: Path) -> tuple[Judged, Figures, tuple[str, ...]]:
    """Read what save() wrote."""
    with np.load(path, allow_pickle=False) as found:
        told = json.loads(str(found["told"]))
        judged = Judged(found["truth"], found["scores"], found["group"], tuple(told["labels"]))
    return judged, told["figures"], tuple(told["short"])


def main() -> int:
    """Make the network that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m training.one")
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", action="store_true")
    parser.add_argument("--windows", type=Path)
    args = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{args.name} {time.monotonic() - begun:4.0f} s: {line}", flush=True)

    try:
        how = How(args.small, args.data, args.cache, say, args.only, args.windows)
        judged, told, short = make(recipe(args.name), args.out, how)
    except DataError as problem:
        print(problem, file=sys.stderr)
        return NO_DATA
    save(args.out / f"{args.name}.result.npz", judged, told, short)
    say(", ".join(f"{key} {told[key]:g}" for key in ("accuracy", "worst_group", "size_bytes") if key in told))
    for line in short:
        say(f"falls short: {line}; not written")
    return MISSED if short else 0


if __name__ == "__main__":
    sys.exit(main())
