"""Stores events and says which are stored, until it is killed: begun anew by fork, for each line on stdin that names a store.

    python storing.py          "PATH DURABILITY\\n" → "began PID\\n", "stored RUN NUMBER\\n" …, and when it is dead "dead\\n"
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from reflexd.config.settings import EventsSettings
from reflexd.history.incident import Run
from reflexd.history.writer import Writer
from tests.daemon.history.incidents import incident

A_SECOND = 50


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())     # one write: whole or not at all


def store(path: Path, durability: str) -> None:
    """Put fifty events a second, and tell of each once it counts as stored."""
    run = Run.begin()
    settings = EventsSettings.model_validate({"durability": durability, "write_budget_mb_per_day": 100_000})
    writer = Writer(run, settings, path.parent, pause_s=0.01)
    writer.start()
    told, number, due = "", 0, time.monotonic()
    while True:
        if time.monotonic() >= due:
            number += 1
            due += 1 / A_SECOND
            writer.put(incident(number, run=run.name, rule=f"rule {number % 7}"))
        if writer.stored_up_to != told:
            told = writer.stored_up_to
            say("stored", *told.rsplit("-", 1))
        time.sleep(0.001)


def main() -> None:
    for line in sys.stdin:
        path, durability = line.rsplit(maxsplit=1)
        child = os.fork()
        if child == 0:
            say("began", os.getpid())
            store(Path(path), durability)
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    main()
