"""In the guest: tell each change of some lines' levels, read from the chip once a millisecond, until SIGTERM.

levels.py LINE...; a line of JSON for each change: {"at_s" monotonic, "levels"}; at the end {"samples", "longest_gap_ms"}.
"""

import json
import os
import signal
import sys
import time

PERIOD_S = 0.001

files = [os.open(f"/run/lab-chip/sim_gpio{line}/value", os.O_RDONLY) for line in sys.argv[1:]]
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))

last, samples, longest, seen = time.monotonic(), 0, 0.0, None
while not ended:
    levels = [int(os.pread(file, 8, 0)) for file in files]
    now = time.monotonic()
    samples, longest, last = samples + 1, max(longest, now - last), now
    if levels != seen:
        seen = levels
        print(json.dumps({"at_s": now, "levels": levels}), flush=True)
    time.sleep(max(0.0, PERIOD_S - (time.monotonic() - now)))
print(json.dumps({"samples": samples, "longest_gap_ms": round(longest * 1000, 1)}), flush=True)
