"""A configuration tried for some seconds: a reflexd of its own that drives nothing, asked over its control socket."""

from __future__ import annotations

import base64
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from reflexd.protocol import ControlError, ask
from reflexd.setup import SetupError

USER = "reflexd"
LONGEST_S = 600         # then it ends by itself
PR_SET_PDEATHSIG = 1    # linux/prctl.h
START_S = 120.0         # a small computer loads for long
TROUBLE_S = 4.0         # a device is opened anew after 0.5, 1 and 2 s
SETTLE_S = 60.0
LOOK_S = 0.1
PICTURE_S = 20.0
STOP_S = 10.0

Report = dict[str, Any]


class Trial:
    """A running one. `began` is when it was started, monotonic seconds."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.began = monotonic()
        self._process = process
        self._folder = folder

    def status(self) -> Report | None:
        """Ask how it is; None while it does not answer. Raises: SetupError when it ended."""
        if self._process.poll() is not None:
            raise SetupError(f"the self-test ended with status {self._process.returncode}: {self._last_words()}")
        return status(self._folder / "control.sock")

    def _last_words(self) -> str:
        lines = (self._folder / "log").read_text(errors="replace").splitlines()
        errors = [line for line in lines if "error: " in line] or lines
        return " ".join(errors[-1:]) or "it said nothing"

    def settle(self) -> Report:
        """Wait until every source works. Raises: SetupError that says what does not."""
        answered = None
        while True:
            report, now = self.status(), monotonic()
            if report is not None:
                answered = answered or now
                bad = list(troubles(report))
                if not bad:
                    return report
                opening = any(why == "opening" for _, why in bad)
                if now - answered > (SETTLE_S if opening else TROUBLE_S):
                    raise SetupError("the self-test failed: " + "; ".join(f"{name}: {why}" for name, why in bad))
            elif now - self.began > START_S:
                raise SetupError(f"the self-test did not answer within {START_S:g} s: {self._last_words()}")
            sleep(LOOK_S)

    def picture(self, camera: str) -> bytes:
        """Give what a camera sees, as PNG. Raises: ControlError."""
        answer = ask(self._folder / "control.sock", "snapshot", {"camera": camera}, PICTURE_S)
        return base64.b64decode(answer["png"])

    def stop(self) -> None:
        """End it as systemd would. Raises: SetupError when it did not end well."""
        self._process.terminate()
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise SetupError(f"the self-test did not stop as told (status {code}): {self._last_words()}")

    def kill(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextmanager
def trying(config: Path) -> Iterator[Trial]:
    """Start it, as the service's own user where there is one; it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="reflexd-setup-"))
    trial = None
    try:
        who = as_service()
        if who is not None:
            os.chown(folder, who.user, who.group)
        command = [*program(), "--config", str(config.absolute()), "--dry-run", "--seconds", str(LONGEST_S),
                   "--socket", str(folder / "control.sock")]
        with (folder / "log").open("wb") as log:
            # A session of its own: Ctrl-C is for setup, which then stops it. lgpio writes into the working directory.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                       start_new_session=True, preexec_fn=end_with_parent,    # noqa: PLW1509  no lock is held
                                       user=who and who.user, group=who and who.group, extra_groups=who and who.extra_groups)
        trial = Trial(process, folder)
        yield trial
    finally:
        if trial is not None:
            trial.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Who(NamedTuple):
    """Whom a child runs as, in the words of subprocess."""

    user: int
    group: int
    extra_groups: list[int]


def as_service() -> Who | None:
    """Give the service's own user; None where there is none, or where a child cannot be run as another."""
    with suppress(KeyError):
        user = pwd.getpwnam(USER)
        return Who(user.pw_uid, user.pw_gid, os.getgrouplist(USER, user.pw_gid)) if os.geteuid() == 0 else None
    return None


def end_with_parent() -> None:
    """Have the kernel end the child when setup is killed, so that no device stays held."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def program() -> list[str]:
    """Give the reflexd that belongs to this reflexctl."""
    beside = Path(sys.argv[0]).absolute().with_name("reflexd")
    if Path(sys.argv[0]).name == "reflexctl" and os.access(beside, os.X_OK):
        return [str(beside)]
    return [sys.executable, "-P", "-m", "reflexd"]


def status(socket: Path) -> Report | None:
    """Ask a daemon how it is; None while it does not answer."""
    try:
        return dict(ask(socket, "status"))
    except ControlError:
        return None


def troubles(report: Report) -> Iterator[tuple[str, str]]:
    """Name each source that does not work (yet), and why: "opening" for what may only need time."""
    for kind, counted in (("camera", "frames"), ("model", "predictions"), ("sensor", "readings")):
        for name, one in report[f"{kind}s"].items():
            if one["state"] != "run" or not (one[counted] or one.get("resting")):
                yield f"{kind} {name}", one["why"] or "opening"


def decided(report: Report) -> str | None:
    """Say what the first decision on an output was; None when there was none."""
    for name, one in report["outputs"].items():
        if one["changes"]:
            return f"{name} {one['why']}" if one["active"] else f"{name} went on and off again"
    return None


def working(report: Report, before: Report) -> Iterator[str]:
    """Tell how each source works, with rates since an earlier look."""
    span = report["uptime_s"] - before["uptime_s"]
    for name, one in report["cameras"].items():
        yield f"camera {name}: RUN, {_rate(one, before['cameras'][name], 'frames', span)} frames a second"
    for name, one in report["models"].items():
        spans: Mapping[str, float] | None = report["latency_ms"]["frame_to_decision"]
        took = f", frame to decision {spans['p50']:.1f} ms (p99 {spans['p99']:.1f})" if spans else ""
        yield f"network {name}: RUN, {_rate(one, before['models'][name], 'predictions', span)} predictions a second{took}"
    for name, one in report["sensors"].items():
        yield f"sensor {name}: RUN, now {str(one['value']).lower()}"


def _rate(now: Report, before: Report, key: str, span_s: float) -> str:
    return f"{(now[key] - before[key]) / max(span_s, 0.001):.1f}"
