"""In the small guest, as its first process: have events stored, and tell of each that counts as stored.

WHOLE says whether it is the whole service that stores them, with rules that fire forty times a second, or only its writer, which
needs less of an emulated processor and gets fifty a second to write as soon as it can. What is told, a line each, until the end:
    evidence ID …     whose evidence is there whole and came before another's, once some events were added to the store
    broken ID …       whose evidence is there and not whole
    kept FILE …       all that is in the state directory, but for evidence that is being written
    whole OK ID …     what SQLite's integrity_check says then, and all that is in the store
    stored N ID       what reflexctl status counts
    shown ID …        what reflexctl events shows anew
    failed TEXT       this went wrong
"""

import ctypes
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path

DURABILITY, WHOLE = "full", True      # power.py puts something else here
PORT = os.open(next(Path("/dev").glob("vport*")), os.O_WRONLY)
DISK = Path("/mnt")
STATE = DISK / "reflexd"
STORE = STATE / "events.db"
RUN = Path("/run/reflexd")
LOG = Path("/run/reflexd.log")       # not the console, each byte of which costs an emulated processor dear
AGAIN = 32            # of events of one cycle the later one may be stored first, so a few are looked at again
ASK_S = 0.2           # the service needs the processor for itself
RULES = 8             # which all act five times a second
A_SECOND = 50
PAUSE_S = 0.01        # of the writer alone, between two commits

CONFIG = f"""
schema = 1
[daemon]
state_dir = "{STATE}"
[events]
durability = "{DURABILITY}"
write_budget_mb_per_day = 100000
[evidence]
before_s = 1
after_s = 0.2
rules = ["rule 0"]
[camera.scene]
driver = "pattern"
size_px = [64, 48]
rate_hz = 5
[sensor.contact]
driver = "scripted"
path = "contact.csv"
loop = true
[actuator.lamp]
driver = "recorder"
path = "/dev/null"
safe = "off"
accept_unguarded = true
max_on_s = 10
""" + "".join(f"""
[[rule]]
name = "rule {number}"
when = [{{ sensor = "contact", is = true }}]
then = [{{ actuator = "lamp", set = "on", follow = true }}]
""" for number in range(RULES))


def say(*words):
    told = (" ".join(map(str, words)) + "\n").encode()
    while told:
        told = told[os.write(PORT, told):]


def mount(kind, source, where, options=""):
    """Mount a file system; a process for it would take a second."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(str(source).encode(), str(where).encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(where))


def mount_all():
    """Have what a service needs, and the disk."""
    for kind, where in ("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run"), ("tmpfs", "/tmp"):
        mount(kind, kind, where)
    subprocess.run(["/usr/sbin/modprobe", "-a", "virtio_blk", "ext4"], check=True)
    while not Path("/dev/vda").exists():
        time.sleep(0.02)
    mount("ext4", "/dev/vda", DISK, "errors=panic")
    for folder in STATE, RUN:
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, "reflexd", "reflexd")


def is_whole(folder):
    """Say whether all of an event's evidence can be read."""
    try:
        gzip.decompress((folder / "recording.jsonl.gz").read_bytes())
        return (json.loads((folder / "event.json").read_text())["id"] == folder.name
                and all(one.read_bytes().endswith(b"\xff\xd9") for one in folder.glob("frames/*/*.jpg")))
    except (OSError, ValueError, EOFError):
        return False


def evidence():
    """Give the folders of evidence, in the order in which they were written."""
    folders = [one for one in (STATE / "evidence").glob("*") if one.suffix != ".part"]
    return sorted(folders, key=lambda one: (one / "event.json").stat().st_mtime_ns)


class Service:
    """The whole service, as its own user, with folders as systemd makes them."""

    def __init__(self):
        self.cut_off = list((STATE / "evidence").glob("*.part"))
        (RUN / "reflexd.toml").write_text(CONFIG)
        (RUN / "contact.csv").write_text("0,false\n0.1,true\n0.2,false\n")
        with LOG.open("wb") as log:
            self.process = subprocess.Popen(["/usr/bin/reflexd", "--config", RUN / "reflexd.toml"], stdout=log, stderr=log,
                                            user="reflexd", group="reflexd", extra_groups=[], umask=0o077, cwd=RUN)

    def is_ready(self):
        """Say whether it has removed what was cut off, and has kept evidence."""
        return not any(one.exists() for one in self.cut_off) and len(evidence()) > 1

    def status(self):
        """Ask it as reflexctl does."""
        from reflexd.protocol import ControlError, ask

        assert self.process.poll() is None, f"the service ended with {self.process.returncode}: {LOG.read_text()}"
        time.sleep(ASK_S)
        try:
            return ask(RUN / "control.sock", "status", timeout_s=30)["events"]
        except ControlError:
            return {"stored": 0}


class Writer:
    """What writes events in the service, in this process."""

    def __init__(self):
        from reflexd.config.settings import EventsSettings, Settings
        from reflexd.history.incident import Incident, Kind, Run
        from reflexd.history.writer import Writer as Real
        from reflexd.rules.items import Verdict

        self.make, self.run, self.kind = Incident, Run.begin(), Kind.FIRED
        self.reasons, self.settings = (Verdict(True, "sensor.contact is true", True),), Settings(schema=1)
        asked = EventsSettings(durability=DURABILITY, write_budget_mb_per_day=100_000)
        self.real = Real(self.run, asked, STATE, pause_s=PAUSE_S)
        self.real.start()
        self.began, self.number = time.monotonic(), 0

    def is_ready(self):
        """It keeps no evidence."""
        return True

    def status(self):
        """Give it the events that are due, and ask it."""
        while self.number < (time.monotonic() - self.began) * A_SECOND:
            self.number += 1
            name, rule = f"{self.run.name}-{self.number}", f"rule {self.number % RULES}"
            self.real.put(self.make(name, self.number, self.kind, rule, self.reasons, "", (("lamp", 1.0),), "", self.settings, {},
                                    None, None, time.time_ns(), time.monotonic_ns(), None))
        time.sleep(0.005)
        return self.real.report()


def rows(db, after):
    return db.execute("SELECT seq, id FROM history WHERE seq > ?", (after,)).fetchall()


def follow(one):
    """Tell what is stored, again and again."""
    while not one.status()["stored"] or not one.is_ready():
        pass
    db = sqlite3.connect(f"{STORE.as_uri()}?mode=ro", uri=True, timeout=30)
    there = rows(db, 0)
    say("evidence", *(one.name for one in evidence()[:-1]))      # the newest may not be synced yet
    say("broken", *(one.name for one in evidence() if not is_whole(one)))
    say("kept", *(one.relative_to(STATE) for one in STATE.rglob("*") if "evidence" not in one.parts))
    say("whole", db.execute("PRAGMA integrity_check").fetchone()[0], *(name for _, name in there))
    newest, told, seen = max(there)[0], 0, set()
    while True:
        events = one.status()
        if events["stored"] > told:
            told = events["stored"]
            say("stored", told, events["stored_up_to"])
        new = dict(rows(db, newest - AGAIN)).items() - seen
        if new:
            seen = set(sorted(seen | new)[-2 * AGAIN:])
            newest = max(newest, *(seq for seq, _ in new))
            say("shown", *(name for _, name in sorted(new)))


try:
    sys.path[:0] = ["/usr/lib/reflexd", "/usr/lib/python3/dist-packages"]
    mount_all()
    follow(Service() if WHOLE else Writer())
except BaseException:
    say("failed", json.dumps(traceback.format_exc()))
    raise
# END
