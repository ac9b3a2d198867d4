"""In the guest: take cameras away from the service again and again, give them back, and tell what became of its outputs.

cameras.py TIMES PACE, TIMES a multiple of the ways; prints a line of JSON for each.
"""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

CHIP = Path("/run/lab-chip")
SEES = {"pi": 17, "usb": 27}             # an output that follows the camera's picture
LAMP, BUTTON = 22, 4                     # these two know of no camera
USB = "/dev/video10"
SET_CONTROL, FLAG_ERROR = 0xC008_561C, struct.pack("=Ii", 0x00F0_F042, 1)      # VIDIOC_S_CTRL, "Inject V4L2_BUF_FLAG_ERROR"
RUNNING, STILL = 0, 2                    # coloured bars with counters in them, and without: the same bit for bit


def level(line):
    return int((CHIP / f"sim_gpio{line}/value").read_text())


def until(seen, limit_s, pause_s=0.02):
    began = time.monotonic()
    while not seen():
        if time.monotonic() - began > limit_s:
            return None
        time.sleep(pause_s)
    return time.monotonic() - began


def sensor():
    """Find libcamera's sensor: vimc has two, and libcamera takes the one called B."""
    for name in Path("/sys/class/video4linux").glob("v4l-subdev*/name"):
        if name.read_text().strip() == "Sensor B":
            return f"/dev/{name.parent.name}"
    raise FileNotFoundError("vimc's Sensor B")


def controls(camera, **values):
    device, still = (USB, "osd_text_mode") if camera == "usb" else (sensor(), "show_information")
    words = ",".join(f"{still if name == 'text' else name}={value}" for name, value in values.items())
    subprocess.run(["v4l2-ctl", "-d", device, "-c", words], check=False, capture_output=True)


def driver(name, word):
    Path(f"/sys/bus/platform/drivers/{name}/{word}").write_text(f"{name}.0")


def children(main):
    """Give the processes that the daemon has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rpartition(")")[2].split()[1]) == main:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def child():
    """Give the process around libcamera."""
    for one in children(pid()):
        if b"libcamera_child" in Path(f"/proc/{one}/cmdline").read_bytes():
            return one
    raise ProcessLookupError("there is no process around libcamera")


def pid():
    return int(subprocess.check_output(["systemctl", "show", "--value", "-p", "MainPID", "reflexd"], text=True))


def alive(camera):
    controls(camera, text=RUNNING)


def freeze(camera):
    controls(camera, text=STILL)


def unbind(camera):
    driver("vivid" if camera == "usb" else "vimc", "unbind")


def bind(camera):
    driver("vivid" if camera == "usb" else "vimc", "bind")
    until(lambda: Path(USB).exists() if camera == "usb" else any(Path("/dev").glob("v4l-subdev*")), 30)
    subprocess.run(["udevadm", "settle"], check=False)
    alive(camera)


def damaged(camera):
    """Flag one buffer after the other as damaged, as long as it takes."""
    assert camera == "usb"
    stop = threading.Event()

    def press():
        with Path(USB).open("rb+", buffering=0) as file:
            while not stop.wait(0.02):
                fcntl.ioctl(file, SET_CONTROL, FLAG_ERROR)

    threading.Thread(target=press, daemon=True).start()
    RELEASES.append(stop.set)


RELEASES = []


def let_go(_camera):
    while RELEASES:
        RELEASES.pop()()


def nothing(_camera):
    """It comes back by itself."""


WAYS = {
    ("usb", "disconnected"): (lambda one: controls(one, disconnect=1), alive),
    ("usb", "unplugged"): (unbind, bind),
    ("usb", "frozen"): (freeze, alive),
    ("usb", "failing"): (lambda one: controls(one, inject_fatal_streaming_error=1), nothing),
    ("usb", "damaged"): (damaged, let_go),
    ("pi", "unplugged"): (unbind, bind),
    ("pi", "frozen"): (freeze, alive),
    ("pi", "hanging"): (lambda _: os.kill(child(), signal.SIGSTOP), nothing),
    ("pi", "crashing"): (lambda _: os.kill(child(), signal.SIGSEGV), nothing),
    ("pi", "unplugged again"): (unbind, bind),
}


class Button:
    """Presses and releases, over and over, and takes the time until the lamp follows."""

    def __init__(self):
        self.longest_s, self.missed, self.presses = 0.0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._press)
        self._thread.start()

    def _press(self):
        wanted = 0
        while not self._stop.wait(0.5):
            wanted = 1 - wanted
            (CHIP / f"sim_gpio{BUTTON}/pull").write_text("pull-up" if wanted else "pull-down")
            took = until(lambda now=wanted: level(LAMP) == now, 10)
            self.presses += 1
            self.missed += took is None
            self.longest_s = max(self.longest_s, took or 0.0)

    def end(self):
        self._stop.set()
        self._thread.join()


def traces(main):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{main}/status").read_text().splitlines())
    files = len(list(Path(f"/proc/{main}/fd").iterdir()))
    return {"children": len(children(main)), "fds": files, "threads": int(status["Threads"]),
            "rss_kb": int(status["VmRSS"].split()[0])}


def ran_at(camera, since):
    """Say when the camera was said to run, by the journal; monotonic seconds."""
    command = ["journalctl", "-u", "reflexd", "-o", "json", "--output-fields=MESSAGE", f"--since=@{since:.3f}"]
    entries = [json.loads(line) for line in subprocess.check_output(command, text=True).splitlines()]
    runs = [one for one in entries if str(one["MESSAGE"]).startswith(f"camera.{camera}: run")]
    return int(runs[-1]["__MONOTONIC_TIMESTAMP"]) / 1e6 if runs else None


def cycle(camera, way, pace, away_s):
    line, other = SEES[camera], SEES["usb" if camera == "pi" else "pi"]
    takes, gives = WAYS[camera, way]
    ready = until(lambda: level(line) and level(other), 12 * pace)
    main, wall, flickers = pid(), time.time(), 0
    button = Button()
    began = time.monotonic()
    takes(camera)
    safe = until(lambda: level(line) == 0, 6 * pace)
    safe_s = None if safe is None else time.monotonic() - began
    ends = time.monotonic() + away_s
    while time.monotonic() < ends:
        flickers += level(other) == 0
        time.sleep(0.05)
    back = time.monotonic()
    gives(camera)
    on_s = until(lambda: level(line) == 1, 12 * pace)
    button.end()
    until(lambda: ran_at(camera, wall) is not None, pace, 0.5)       # the log is written behind the loop's back
    ran = ran_at(camera, wall)
    # A line that reads the same as one of the last minute is only counted ("back after 9.5 s", twice); the output follows it.
    return {"camera": camera, "way": way, "ready": ready is not None, "same": pid() == main, "safe_s": safe_s,
            "run_s": on_s if ran is None else ran - back, "on_s": on_s, "lamp_s": button.longest_s, "missed": button.missed,
            "presses": button.presses, "other_off": flickers, **traces(main)}


def main(times, pace):
    alive("usb")
    alive("pi")
    both = until(lambda: all(level(line) for line in SEES.values()), 40 * pace, 0.2)
    print(json.dumps({"both_on_s": both, **traces(pid())}), flush=True)
    ways = list(WAYS)
    for number in range(times):
        camera, way = ways[number % len(ways)]
        print(json.dumps(cycle(camera, way, pace, 0.3 * pace)), flush=True)
    (CHIP / f"sim_gpio{BUTTON}/pull").write_text("pull-down")


main(int(sys.argv[1]), float(sys.argv[2]))
