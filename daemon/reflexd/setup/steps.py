"""The steps from what is plugged in to a service that decides in dry run.

The configuration comes into place only after it was checked and tried; until then the old one stays, and the service that
ran before runs again however this ends.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from reflexd.config.load import ConfigError, Loaded, load
from reflexd.ctl.check import EX_CONFIG, summary
from reflexd.ctl.install_service import HIDDEN
from reflexd.protocol import ControlError
from reflexd.setup import SetupError, files
from reflexd.setup.choices import RECORD, SCRIPT, Choices, asked, choose
from reflexd.setup.trial import LOOK_S, Report, Trial, decided, status, trying, working
from reflexd.setup.unit import Unit
from reflexd.setup.writing import SOCKET, TIMELINE, text_of
from reflexd.setup.writing import summary as told
from reflexd_drivers.probe import probe

PRESS_S = 20.0         # for a person who was asked to press
WATCH_S = 10.0         # where nobody was asked
RATE_S = 1.0           # a rate is counted over that long


def setup(args: argparse.Namespace, unit: Unit) -> None:
    """Go through all steps. Raises: SetupError."""
    interactive = not args.yes and sys.stdin is not None and sys.stdin.isatty()
    permit(args, interactive)
    config = args.config.absolute()
    standard = config == unit.config
    ours = standard and unit.installed
    state = unit.state if standard else config.parent
    choices = chosen(args, unit, state, interactive)
    if ours:
        refuse_hidden(choices, state)
    with files.alone(config.parent):
        new = written(config, choices, state, own_state=not standard)
        loaded = checked(new)
        with unit.stopped():
            with trying(new) as trial:
                watched(trial, state, choices.input if interactive else "")
                trial.stop()
            daemon = loaded.settings.daemon
            remembers = Path(daemon.state_dir)       # a drop-in may name another than ours
            said, kept = disarmed(new, config, remembers)
            if ours and not args.no_start:
                started(unit, kept, said, remembers, Path(daemon.socket))
    print(following(config, ours, args.no_start, None if standard else state / SOCKET))


def permit(args: argparse.Namespace, interactive: bool) -> None:
    """Refuse what cannot end well before anything is touched. Raises: SetupError."""
    if not args.yes and not interactive:
        raise SetupError("there is no terminal to ask at; take the defaults with --yes, and give other answers by options", 2)
    if args.config.exists() and not args.config.is_file():      # a pipe would be waited for, and /dev/null be replaced
        raise SetupError(f"{args.config}: is not a regular file; name another one with --config")
    folder = next(one for one in args.config.absolute().parents if one.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        how = f"{folder} is read-only; make it writable" if os.geteuid() == 0 else "run it as root: sudo reflexctl setup"
        raise SetupError(f"{args.config}: cannot be written: {how}, or name another file with --config")
    if files.is_precious(args.config) and not args.force:
        question = f"{args.config} has a configuration already; replace it, and keep it beside? yes or no"
        if not interactive or asked(question, "no", str).lower() not in ("y", "yes"):
            raise SetupError(f"{args.config} has a configuration already and stays as it is; "
                             "--force replaces it and keeps it beside, --config FILE writes another")


def chosen(args: argparse.Namespace, unit: Unit, state: Path, interactive: bool) -> Choices:
    """Look for devices, tell of them, and choose. Raises: SetupError."""
    found = unit.without_its_own(probe())
    print("Found:", *(list(told(found)) or ["nothing that can be used"]), sep="\n  ", flush=True)
    choices = choose(args, found, state, interactive)
    if found.header is None:
        print("  no GPIO chip of a Raspberry Pi's header, or none that this user may open")
    if choices.input == SCRIPT:
        print("  instead of a button, one is played that presses itself: button.csv")
    if choices.output == RECORD:
        print("  instead of a relay, what it would do is written down: lamp.log")
    return choices


def refuse_hidden(choices: Choices, state: Path) -> None:
    """Refuse what this user can read and the service cannot. Raises: SetupError."""
    for path in (choices.camera, choices.network and choices.network.bundle):
        if isinstance(path, (str, Path)) and str(path).startswith(tuple(f"{one}/" for one in HIDDEN)):
            raise SetupError(f"{path}: the service sees nothing of {', '.join(HIDDEN)}; copy it to {state}/bundles or /srv", 2)


def written(config: Path, choices: Choices, state: Path, own_state: bool) -> Path:
    """Write the new configuration beside the old one. Raises: SetupError."""
    files.own(state)
    if choices.input == SCRIPT:
        files.put(state / "button.csv", TIMELINE.encode())
    new = config.with_name(f"{config.name}.new")
    text = text_of(choices, state, f"{datetime.now(UTC).astimezone():%Y-%m-%d}", own_state)
    files.put(new, text.encode(errors="replace"), like=config)
    return new


def checked(new: Path) -> Loaded:
    """Load what was written as the daemon will. Raises: SetupError after everything that is wrong with it was printed."""
    try:
        loaded = load(new)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise SetupError(f"{new} is wrong, see above; the old configuration stays in place", EX_CONFIG) from None
    for warning in loaded.warnings:
        print(str(warning).splitlines()[0], file=sys.stderr)
    if loaded.settings.daemon.initially != "disarmed":
        raise SetupError(f"a file in {new.parent / 'conf.d'} says initially = \"armed\", so outputs would be driven at once; "
                         "take that out", EX_CONFIG)
    print(f"Wrote {new}, checked: {summary(loaded.settings)}")
    return loaded


def watched(trial: Trial, state: Path, button: str) -> None:
    """Say how each source works, save what cameras see, and wait for a first decision. Raises: SetupError.

    `button` is the pin of one that a person can be asked to press.
    """
    print("Self-test in dry run, which drives nothing:", flush=True)
    before = trial.settle()
    if before["cameras"]:
        sleep(RATE_S)
    report = trial.settle()
    print(*(f"  {line}" for line in working(report, before)), sep="\n", flush=True)
    for name in report["cameras"]:
        picture = state / f"setup-{name}.png"
        try:
            files.put(picture, trial.picture(name))
            print(f"  what camera {name} sees: {picture}", flush=True)
        except ControlError as error:
            print(f"  no picture: {error}", flush=True)
    asks = button.startswith("GPIO")
    if asks:
        print(f"  press the button at {button} now, within {PRESS_S:g} s", flush=True)
    wait_for_decision(trial.status, trial.began, PRESS_S if asks else WATCH_S)


def wait_for_decision(status: Callable[[], Report | None], began: float, longest_s: float) -> None:
    """Say how long after a start the first decision came, that would move an output."""
    ends = monotonic() + longest_s
    while monotonic() < ends:
        report = status()
        if report is not None and (first := decided(report)):
            print(f"  first decision {monotonic() - began:.1f} s after the start: {first}", flush=True)
            return
        sleep(LOOK_S)
    print(f"  no decision within {longest_s:g} s: press the button, or show the camera what it waits for; then: reflexctl status")


def disarmed(new: Path, config: Path, state: Path) -> tuple[bytes | None, Path | None]:
    """Put the new configuration in place, so that neither is ever armed by what was said of the other. Raises: SetupError.

    Gives what was said last, and the old configuration where it was worth keeping.
    """
    said = files.disarm(state)
    try:
        kept = replaced(new, config)
    except BaseException:
        if new.exists():         # else it is in place, and what was said was not said of it
            files.say(state, said)
        raise
    files.say(state, None)       # what it says initially counts
    return said, kept


def replaced(new: Path, config: Path) -> Path | None:
    """Put the new configuration in place; give the old one, where it was worth keeping. Raises: SetupError."""
    kept = None
    if files.is_precious(config):
        kept = config.with_name(f"{config.name}.before-setup-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}")
        files.put(kept, config.read_bytes(), like=config)
    files.move(new, config)
    print(f"{config} is in place" + (f"; the one before is {kept}" if kept else ""), flush=True)
    return kept


def started(unit: Unit, kept: Path | None, said: bytes | None, remembers: Path, socket: Path) -> None:
    """Start the service, wait until it is ready and has decided. Raises: SetupError, after the old one was put back.

    `said` is what was said last of the old one, which is remembered in that folder.
    """
    began = monotonic()
    try:
        took = unit.enable()
    except SetupError as error:
        if kept is None:
            raise
        new = unit.config.with_name(f"{unit.config.name}.new")
        files.put(new, unit.config.read_bytes(), like=kept)
        files.disarm(remembers)
        files.move(kept, unit.config)
        files.say(remembers, said)
        raise SetupError(f"{error}; {unit.config} is the one before again, the new one is {new}") from None
    print(f"reflexd.service: active and READY after {took:.1f} s, and started at every boot", flush=True)
    wait_for_decision(partial(status, socket), began, WATCH_S)


def following(config: Path, ours: bool, no_start: bool, socket: Path | None) -> str:
    """Give the next command."""
    begin = "sudo systemctl enable --now reflexd" if ours else f"reflexd --config {shlex.quote(str(config))}"
    first = f"run it:\n  {begin}\nThen" if no_start or not ours else "look at it (reflexctl status, reflexctl log -f), then"
    arm = "sudo reflexctl arm" if socket is None else f"reflexctl arm --socket {shlex.quote(str(socket))}"
    return f"\nEvery output stays safe until you arm it. Next, {first}, when it decides as you want:\n  {arm}"
