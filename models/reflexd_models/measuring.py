"""How long a network takes, with each runtime that is installed, at 1 to 4 threads: measured in child processes."""

from __future__ import annotations

import sys
from statistics import median
from time import monotonic
from typing import Any

from reflexd_models.trial import answer, ask_child

THREADS = (1, 2, 3, 4)
SPENT_S = 0.25           # on each number of threads
RUNS = 50                # at most


def measure(content: bytes, where: str, runtime: str) -> dict[str, Any]:
    """Give {"runtime": name and version, "ms": median of a call by number of threads}.

    Raises: ModelError when it does not load.
    """
    told = ask_child("reflexd_models.measuring", [where, runtime], content, where)
    return {"runtime": told["runtime"], "ms": {int(threads): ms for threads, ms in told["ms"].items()}}


def _measure(content: bytes) -> dict[str, Any]:
    from reflexd_models import runtime

    runtime.only(sys.argv[2])
    return {"runtime": runtime.runtime(), "ms": {threads: _median_ms(content, threads) for threads in THREADS}}


def _median_ms(content: bytes, threads: int) -> float:
    from reflexd_models.runtime import Network

    network = Network(content, sys.argv[1], threads)
    zeros = [lambda tensor: tensor.fill(0) for _ in network.inputs]
    network.run(*zeros)        # the first call takes longer
    taken: list[float] = []
    until = monotonic() + SPENT_S
    while not taken or (len(taken) < RUNS and monotonic() < until):
        began = monotonic()
        network.run(*zeros)
        taken.append((monotonic() - began) * 1000)
    return round(median(taken), 3)


if __name__ == "__main__":
    answer(sys.argv[1], _measure)
