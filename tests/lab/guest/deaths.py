"""In the guest: let the service die again and again, and tell what became of its outputs, read from the chip.

deaths.py WAY TIMES SEED SAFE_S BACK_S; prints a line of JSON for each death.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

LINES, ACTIVE, SAFE = (17, 27), [1, 0], [0, 1]
CHIP = Path("/run/lab-chip")
ORDER = Path("/run/reflexd/order")
BAD_ENDS = Path("/var/lib/reflexd/bad-ends.json")
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP, "SEGV": signal.SIGSEGV}
FILES = [os.open(CHIP / f"sim_gpio{line}/value", os.O_RDONLY) for line in LINES]


def levels():
    return [int(os.pread(file, 8, 0)) for file in FILES]


def press(pull):
    (CHIP / "sim_gpio4/pull").write_text(f"pull-{pull}")


def unit():
    out = subprocess.check_output(["systemctl", "show", "-p", "MainPID", "-p", "ActiveState", "reflexd"], text=True)
    told = dict(line.split("=") for line in out.splitlines())
    return int(told["MainPID"]), told["ActiveState"]


def until(seen, limit_s, pause_s):
    began = time.monotonic()
    while not seen() and time.monotonic() - began < limit_s:
        time.sleep(pause_s)
    return time.monotonic() - began


def inflict(way, pid):
    if way in SIGNALS:
        os.kill(pid, SIGNALS[way])
    else:
        ORDER.with_suffix(".new").write_text(way)
        ORDER.with_suffix(".new").rename(ORDER)


def die(way, moment_s, safe_s, back_s):
    BAD_ENDS.unlink(missing_ok=True)        # after some deaths in a row the daemon would wait before it opens anything
    pid = unit()[0]
    press("up")
    until(lambda: levels() == ACTIVE, back_s, 0.01)
    time.sleep(moment_s)
    before, began, path, gone = levels(), time.monotonic(), [], None
    took = safe_s
    inflict(way, pid)
    while (now := time.monotonic()) - began < safe_s and (gone is None or path[-1] != SAFE):
        if path[-1:] != [seen := levels()]:
            path.append(seen)
            took = now - began
        if gone is None and not Path(f"/proc/{pid}").exists():
            gone, path = now - began, path[-1:]     # what it does while memory runs out is its own affair
            press("down")                           # what starts anew finds no reason to drive anything
        time.sleep(0.002)
    after = levels()
    successor, state = unit()
    press("down")
    back = until(lambda: unit()[1] == "active" and unit()[0] not in (0, pid), back_s, 0.1)
    return {"before": before, "after": after, "path": path, "dead_s": gone, "safe_s": took, "back_s": back,
            "successor": successor not in (0, pid), "state": state, "now": unit()[1]}


way, times, seed, safe_s, back_s = sys.argv[1], *map(float, sys.argv[2:])
moments = random.Random(seed)
for _ in range(int(times)):
    print(json.dumps(die(way, moments.uniform(0, 0.5), safe_s, back_s)), flush=True)
