"""Measure what a journal or a service manager that does not read costs the loop, in turn, in one run.

A daemon decides as fast as it can and says a line with every fourth prediction, two thousand a second: to a socket such as
journald's, which is read as journald would, or is not read, or is gone; and with one such as systemd's that is full. A
block undisturbed and a block disturbed make a pair, in changing order; shown is the median of the ratios of the pairs.
The first row disturbs nothing: its quartiles say how much this machine varies.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.system.talkative import Talkative

WANTED = 0.95
SETTLE_S = 0.05      # the queue fills or empties meanwhile
WARM_S = 1.0


def measure(daemon: Talkative, disturb: Callable[[], None], repair: Callable[[], None],
            pairs: int, block_s: float) -> list[float]:
    """Give the ratio of each pair: the rate disturbed by the rate undisturbed."""
    def disturbed() -> float:
        disturb()
        time.sleep(SETTLE_S)
        rate = daemon.rate(block_s)
        repair()
        time.sleep(SETTLE_S)
        return rate

    ratios = []
    for number in range(pairs):
        if number % 2:
            before, after = daemon.rate(block_s), disturbed()
        else:
            after, before = disturbed(), daemon.rate(block_s)
        ratios.append(after / before)
    return ratios


def show(name: str, ratios: list[float], judged: bool) -> bool:
    """Print a row. Returns whether it is good enough."""
    low, median, high = statistics.quantiles(ratios, n=4)
    wanted = f"{WANTED:9.2f}" if judged else f"{'-':>9}"
    print(f"{name:34}{median:10.3f}{wanted}{low:12.3f} to {high:.3f}", flush=True)
    return median >= WANTED or not judged


def main() -> int:
    parser = argparse.ArgumentParser("scripts/bench journal", description="Measure what sockets that nobody reads cost the loop.")
    parser.add_argument("--pairs", type=int, default=60, metavar="N", help="pairs of blocks of each row, default 60")
    parser.add_argument("--block", type=float, default=0.2, metavar="SECONDS", help="length of a block, default 0.2")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        daemon = Talkative(Path(folder))
        journal, manager = daemon.journal, daemon.manager
        rows: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
            ("nothing disturbed", lambda: None, lambda: None),
            ("journal not read", journal.stall, journal.come_back),
            ("journal gone", journal.go, journal.come_back),
            ("service manager's socket full", manager.fill, manager.come_back),
        ]
        try:
            daemon.rate(WARM_S)
            print(f"{'rate of the loop, undisturbed = 1':34}{'median':>10}{'wanted':>9}{'quartiles':>20}")
            good = [show(name, measure(daemon, disturb, repair, args.pairs, args.block), bool(index))
                    for index, (name, disturb, repair) in enumerate(rows)]
            last = daemon.end()
        finally:
            daemon.close()
    print(f"{last['decided']} predictions, {last['moved']} moves of the pin, {journal.count} lines read, "
          f"{last['dropped']} dropped and {journal.told_dropped} of them told, "
          f"{last['refused']} messages refused by the manager's socket")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
