"""Whether outputs are driven, and who decides it: the command line, the files, or what somebody said last.

A daemon that is not armed decides and logs as always, and keeps every output at its safe level. What was said by
`reflexctl arm` and `disarm` holds over restarts: it is remembered in the state directory.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns

from reflexd.config.settings import DaemonSettings
from reflexd.events import ARMED, DISARMED
from reflexd.loop import Loop

FILE = "arming"


class ArmingError(ValueError):
    """Nothing was changed; the text says why."""


class Arming:
    """What holds at the moment. Changed on the main thread only."""

    def __init__(self, settings: DaemonSettings, forced: bool = False) -> None:
        """Recall what was said last. `forced` was asked for on the command line, and holds whatever is said."""
        self.armed = recall(Path(settings.state_dir), settings.initially)
        self._forced = forced
        self._settings = settings
        self._one = threading.Lock()

    @property
    def dry_run(self) -> str:
        """Say why no output is driven; empty when they are."""
        if self._forced:
            return "dry run, as the command line says"
        if self._settings.dry_run:
            return "dry run, as [daemon] dry_run = true says"
        return "" if self.armed else "disarmed, until reflexctl arm"

    def take_over(self, settings: DaemonSettings) -> None:
        """Go by these files from now on; on the main thread."""
        self._settings = settings

    def say(self, armed: bool, loop: Loop) -> str:
        """Arm or disarm, remember it, and tell how that went; on any thread but the main one.

        Raises: ArmingError, TimeoutError.
        """
        with self._one:
            before = self.armed
            if refused := self._change(armed, loop):
                raise ArmingError(refused)
            told = f"{_remember(Path(self._settings.state_dir), armed)}{_held(loop)}"
        done = "armed: outputs are driven from now on" if armed else "disarmed: every output is safe, and none is driven"
        if before == armed:
            done = f"{done.partition(':')[0]} already"
        loop.ask(lambda: loop.log(ARMED if armed else DISARMED, f"{done}{told}"))
        return f"{done}{told}"

    def _change(self, armed: bool, loop: Loop) -> str:
        """Bring the gate to it between two cycles; or leave all as it was, and say why."""
        given_up = threading.Event()

        def change() -> str:
            if given_up.is_set():        # whoever asked was told that it did not work
                return ""
            before, self.armed = self.armed, armed
            if armed and self.dry_run:
                self.armed = before
                return f"not armed: {self.dry_run}; take that out first, then reload or restart"
            loop.outputs.drive(self.dry_run, "it was armed just now" if armed else "disarmed", monotonic_ns())
            return ""

        try:
            return loop.between_cycles(change)
        except TimeoutError:
            given_up.set()
            raise


def _held(loop: Loop) -> str:
    why = next(iter(loop.outputs.inhibited.values()), "")
    return f"; every output is kept safe all the same: {why}" if why else ""


def recall(folder: Path, initially: str) -> bool:
    """Read what was said last; `initially` where nothing was. What cannot be understood is no leave to drive anything."""
    try:
        said = (folder / FILE).read_text().strip()
    except (FileNotFoundError, NotADirectoryError, PermissionError):    # the last: somebody else's, not this daemon's
        said = initially
    except (OSError, ValueError):
        said = "unreadable"
    return said == "armed"


def _remember(folder: Path, armed: bool) -> str:
    """Write down what was said, so that it is there after a power cut; give what is to be told of it."""
    new = folder / f"{FILE}.new"
    try:
        with new.open("w") as file:
            file.write("armed\n" if armed else "disarmed\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / FILE)
        _sync(folder)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        return f"; only until a restart: {folder / FILE} cannot be written: {error.strerror}"
    return ", also after a restart"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
