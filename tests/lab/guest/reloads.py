"""In the guest: put one configuration after the other in place and reload the service; tell how each went.

reloads.py CONFIGURATION reads a line of JSON for each from standard input: {"data" in base64 or null for a directory,
"press" "up", "down" or null}; prints a line of JSON for each. The button is moved after the reload, and the levels read then.
"""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

LINES = (17, 27)
CHIP = Path("/run/lab-chip")


def levels():
    return [int((CHIP / f"sim_gpio{line}/value").read_text()) for line in LINES]


def put(path, data):
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(base64.b64decode(data))


def press(pull, expected_s=20):
    (CHIP / "sim_gpio4/pull").write_text(f"pull-{pull}")
    wanted, began = ([1, 0] if pull == "up" else [0, 1]), time.monotonic()
    while levels() != wanted and time.monotonic() - began < expected_s:
        time.sleep(0.005)


def reload(path, order):
    put(path, order["data"])
    began = time.monotonic()
    done = subprocess.run(["systemctl", "reload", "reflexd"], check=False, capture_output=True, text=True)
    took = time.monotonic() - began
    status = subprocess.run(["systemctl", "status", "--no-pager", "-l", "reflexd"], check=False, capture_output=True, text=True)
    if order.get("press"):
        press(order["press"])
    return {"failed": done.returncode != 0, "status": status.stdout, "levels": levels(), "took_s": took}


path = Path(sys.argv[1])
good = path.read_bytes()
for line in sys.stdin:
    print(json.dumps(reload(path, json.loads(line))), flush=True)
put(path, base64.b64encode(good))
