"""Stores events with their evidence and says which are stored, until it is killed: begun anew by fork, for each line on stdin.

A line names a store.

    python storing.py          "PATH DURABILITY\\n" → "began PID\\n", "stored RUN NUMBER\\n" …, and when it is dead "dead\\n"
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from reflexd.config.settings import Settings
from reflexd.evidence.evidence import Evidence
from reflexd.evidence.ring import Key
from reflexd.history.incident import Run
from reflexd.history.writer import Writer
from tests.daemon.history.incidents import incident

A_SECOND = 50
AGO_NS = 500_000_000      # what is put happened so long ago, so that its evidence is due at once
JPEG = b"\xff\xd8" + bytes(range(256)) * 20


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())     # one write: whole or not at all


def store(path: Path, durability: str) -> None:
    """Put fifty events a second, and tell of each once it counts as stored."""
    run = Run.begin()
    settings = Settings.model_validate({
        "schema": 1, "events": {"durability": durability, "write_budget_mb_per_day": 100_000},
        "evidence": {"before_s": 0.1, "after_s": 0, "keep_mb": 1, "keep_least": 3}})
    writer = Writer(run, settings.events, path.parent, pause_s=0.01)
    evidence = Evidence(path.parent, writer)
    evidence.follow(settings, {})
    writer.start()
    told, number, due = "", 0, time.monotonic()
    while True:
        if time.monotonic() >= due:
            number += 1
            due += 1 / A_SECOND
            happened = time.monotonic_ns() - AGO_NS
            evidence.keeper.ring.add(Key(happened, "gate"), JPEG, time.monotonic_ns())
            one = incident(number, run=run.name, rule=f"rule {number % 7}", monotonic_ns=happened)
            writer.put(one)
            evidence.put(one)
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
