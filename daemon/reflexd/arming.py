"""Whether outputs are driven, and who decides it: the command line, the files, or what somebody said last.

A daemon that is not armed decides and logs as always, and keeps every output at its safe level. What was said by
`reflexctl arm` and `disarm` holds over restarts: it is remembered in the state directory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, monotonic_ns, sleep

from reflexd import durable
from reflexd.config.settings import DaemonSettings
from reflexd.events import ARMED, DISARMED
from reflexd.loop import Loop
from reflexd.rules.items import NS, Armed
from reflexd.workers import start_thread

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
        self._in_s: float | None = None      # it is to be armed so long after that was said
        self._one = threading.Lock()

    @property
    def dry_run(self) -> str:
        """Say why no output is driven; empty when they are."""
        until = "reflexctl arm" if self._in_s is None else f"the {self._in_s:g} s of reflexctl arm --in are over"
        return self._above() or ("" if self.armed else f"disarmed, until {until}")

    def _above(self) -> str:
        """Say what stands above arming and keeps outputs from being driven; empty when nothing does."""
        if self._forced:
            return "dry run, as the command line says"
        return "dry run, as [daemon] dry_run = true says" if self._settings.dry_run else ""

    def take_over(self, settings: DaemonSettings) -> None:
        """Go by these files from now on; on the main thread."""
        self._settings = settings

    def say(self, armed: bool, loop: Loop) -> str:
        """Arm or disarm, remember it, and tell how that went; on any thread but the main one.

        Raises: ArmingError, TimeoutError.
        """
        before, waited = self.armed, self._in_s is not None
        if refused := self._change(armed, loop):
            raise ArmingError(refused)
        with self._one:      # after the gate: a card that does not answer keeps nobody from disarming
            told = _remember(Path(self._settings.state_dir), self.armed)
        doubts = "" if armed else _doubts(loop)
        cancelled = "; nor will it be armed in a while" if waited and not armed else ""
        text = f"{_done(armed, before == armed, doubts)}{told}{cancelled}{doubts or (_held(loop) if armed else '')}"
        loop.ask(lambda: loop.log(ARMED if armed else DISARMED, text))
        if doubts:
            raise ArmingError(text)
        return text

    def say_later(self, in_s: float, loop: Loop) -> str:
        """Arm in so many seconds, unless somebody arms or disarms before; on any thread but the main one. A restart forgets it.

        Raises: ArmingError, TimeoutError.
        """
        def plan() -> str:
            if self.armed:
                return "armed already; reflexctl disarm first"
            self._in_s = in_s
            if (why := self._forbidden()):
                self._in_s = None
                return why
            loop.later = monotonic_ns() + round(in_s * NS), partial(self._due, loop)
            loop.outputs.drive(self.dry_run, "", monotonic_ns())      # not driven as before, for another reason
            return ""

        if refused := _between(loop, plan):
            raise ArmingError(refused)
        text = f"to be armed in {in_s:g} s, unless reflexctl disarm is said before; a restart forgets it"
        loop.ask(lambda: loop.log(DISARMED, f"disarmed: {text}"))
        return text

    def _due(self, loop: Loop) -> None:
        """Arm, since the time is over; on the main thread. It is remembered on another one: a card may take its time."""
        if refused := self._set(True, loop):
            loop.log(DISARMED, refused)
            return

        def remember() -> None:
            with self._one:
                told = _remember(Path(self._settings.state_dir), self.armed)
            if told.startswith(";"):
                loop.ask(lambda: loop.log(ARMED, f"armed{told}"))

        loop.log(ARMED, f"{_done(True, False, '')}{_held(loop)}")
        start_thread("arming", remember)

    def _change(self, armed: bool, loop: Loop) -> str:
        """Bring the gate to it between two cycles; or leave all as it was, and say why."""
        return _between(loop, lambda: self._set(armed, loop))

    def _set(self, armed: bool, loop: Loop) -> str:
        """Bring the gate to it; or leave all as it was, and say why. On the main thread."""
        self._in_s = loop.later = None
        if armed and (why := self._forbidden()):
            loop.outputs.drive(self.dry_run, "", monotonic_ns())
            return why
        self.armed = armed
        changes = bool(self.dry_run) != bool(loop.outputs.dry_run)
        loop.outputs.drive(self.dry_run, "it was armed just now" if armed else "disarmed", monotonic_ns())
        if changes:       # every claim has ended at the gate, and so it has for the rules
            loop.consume(Armed(armed, now := monotonic_ns()), now)
        return ""

    def _forbidden(self) -> str:
        """Say why nothing is driven although somebody arms; empty when it is."""
        why = self._above()
        return f"not armed: {why}; take that out first, then reload or restart" if why else ""


def _between(loop: Loop, change: Callable[[], str]) -> str:
    """Have something done between two cycles; not at all where whoever asked was told that it did not work.

    Raises: TimeoutError.
    """
    given_up = threading.Event()
    try:
        return loop.between_cycles(lambda: "" if given_up.is_set() else change())
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
