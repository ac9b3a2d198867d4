"""Whether outputs are driven, and who decides it: the command line, the files, or what somebody said last.

A daemon that is not armed decides and logs as always, and keeps every output at its safe level. What was said by
`reflexctl arm` and `disarm` holds over restarts: it is remembered in the state directory.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from time import monotonic, monotonic_ns, sleep

from reflexd import durable
from reflexd.config.settings import DaemonSettings
from reflexd.events import ARMED, DISARMED
from reflexd.loop import Loop

FILE = "arming"
SETTLE_S = 0.5      # for actuators that block, before it is told that they may not be safe


class ArmingError(ValueError):
    """What was asked for does not hold; the text says why."""


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
        before = self.armed
        if refused := self._change(armed, loop):
            raise ArmingError(refused)
        with self._one:      # after the gate: a card that does not answer keeps nobody from disarming
            told = _remember(Path(self._settings.state_dir), self.armed)
        doubts = "" if armed else _doubts(loop)
        text = f"{_done(armed, before == armed, doubts)}{told}{doubts or (_held(loop) if armed else '')}"
        loop.ask(lambda: loop.log(ARMED if armed else DISARMED, text))
        if doubts:
            raise ArmingError(text)
        return text

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


def _done(armed: bool, already: bool, doubts: str) -> str:
    if already:
        return "armed already" if armed else "disarmed already"
    if armed:
        return "armed: outputs are driven from now on"
    return "disarmed: no output is driven" if doubts else "disarmed: every output is safe, and none is driven"


def _held(loop: Loop) -> str:
    why = next(iter(loop.outputs.inhibited.values()), "")
    return f"; every output is kept safe all the same: {why}" if why else ""


def _doubts(loop: Loop) -> str:
    """Name the outputs that nobody saw taking their safe level; those that block are waited for, a moment."""
    until = monotonic() + SETTLE_S
    while (names := loop.between_cycles(loop.outputs.unsettled)) and monotonic() < until:
        sleep(0.01)
    why = loop.outputs.inhibited.get("latched", "the last command has not been carried out")
    return f"; {', '.join(names)} may not be safe: {why}" if names else ""


def recall(folder: Path, initially: str) -> bool:
    """Read what was said last; `initially` where nothing was. What cannot be understood is no leave to drive anything."""
    try:
        said = _read(folder / FILE)
    except (FileNotFoundError, NotADirectoryError):
        said = initially
    except PermissionError:      # a folder that is closed is somebody else's; a file in one of ours is not to be passed over
        said = "unreadable" if os.access(folder, os.X_OK, effective_ids=True) else initially
    except (OSError, ValueError):
        said = "unreadable"
    return said == "armed"


def _read(path: Path) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as file:      # a pipe would be waited for
        return file.read(100).strip()


def _remember(folder: Path, armed: bool) -> str:
    """Write down what was said, so that it is there after a power cut; give what is to be told of it."""
    try:
        durable.put(folder / FILE, b"armed\n" if armed else b"disarmed\n", 0o600)
    except OSError as error:
        if armed or not _emptied(folder / FILE):
            return f"; only until a restart: {folder / FILE} cannot be written: {error.strerror}"
    return ", also after a restart"


def _emptied(path: Path) -> bool:
    """Leave a file that arms nothing where there is no room for a word."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o600))
    except OSError:
        return False
    return True
