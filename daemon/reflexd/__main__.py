"""reflexd: read cameras and sensors, run a network, decide by rules, drive outputs, until it is told to stop.

exit status: 0 stopped as told; 69 an output cannot be claimed or another reflexd runs; 70 a part of
the program failed or hung (outputs were set safe first); 78 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from reflexd import __version__, aftermath
from reflexd.config.load import ConfigError, Loaded, load
from reflexd.config.settings import DaemonSettings, Settings
from reflexd.control import Server
from reflexd.events import BEGIN, CONFIG_WARNING, FATAL, LAST_END, PAUSED, REFUSED, STATE, UNREACHABLE
from reflexd.journal import Journal
from reflexd.lifecycle import EX_SOFTWARE, Daemon
from reflexd.notify import Notifier
from reflexd.protocol import ControlError
from reflexd.reload import Reloader, ReloadError
from reflexd.report import lines
from reflexd.sandbox import explained
from reflexd.verbs import reload, verbs
from reflexd.wiring import build
from reflexd.workers import start_thread
from reflexd_drivers.base import DriverError

DEFAULT_CONFIG = "/etc/reflexd/reflexd.toml"
EX_UNAVAILABLE = 69
EX_CONFIG = 78
FLUSH_S = 0.3


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    one = argparse.ArgumentParser(prog="reflexd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one.add_argument("-c", "--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE", help=f"default {DEFAULT_CONFIG}")
    one.add_argument("--dry-run", action="store_true", help="decide and log, but keep every output safe")
    one.add_argument("--frames", type=positive(int), metavar="N", help="stop after N predictions were decided")
    one.add_argument("--seconds", type=positive(float), metavar="N", help="stop after that time")
    one.add_argument("--socket", type=Path, metavar="PATH", help="where reflexctl finds this daemon, instead of [daemon] socket")
    one.add_argument("--version", action="version", version=f"reflexd {__version__}", help="print the version")
    return one


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Make a type for argparse that takes numbers above zero."""
    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < 1e9:
            raise ValueError(text)
        return value
    read.__name__ = "number above 0"
    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the end; does not return once the loop ran, because a library's exit hook may float a pin."""
    args = parser().parse_args(arguments)
    expect_no_signals()
    try:
        loaded = load(args.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
    faulthandler.enable()
    status = operate(loaded, args)
    sys.stdout.flush()
    os._exit(status)


def pause(seconds: float, journal: Journal) -> None:
    """Wait before another try; a signal ends the process meanwhile."""
    if seconds:
        journal.say(PAUSED, f"it ended badly again and again: waiting {seconds:.0f} s before it begins anew")
        sleep(seconds)


def listen(path: Path, settings: DaemonSettings, journal: Journal) -> Server | None:
    """Take the control socket. A daemon that nobody can ask still works. Raises: FileExistsError."""
    try:
        return Server(path, settings)
    except ControlError as error:
        journal.say(UNREACHABLE, f"{error}; reflexctl cannot reach this daemon")
        return None


def expect_no_signals() -> None:
    """Until the loop runs, end at once when told: no output is active yet, and no exit hook may float a pin.

    A reload or a report that is asked for too early is not heard; by default either would kill.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def listen_to_signals(daemon: Daemon, reloader: Reloader) -> None:
    """SIGTERM and SIGINT end it, SIGHUP reloads, SIGUSR1 puts the state into the log.

    A handler only sets flags and wakes the loop; the loop has the work done between two cycles.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: daemon.loop.stop(signal.Signals(got).name))
    again, tell = partial(start_reload, daemon, reloader), partial(dump, daemon)
    signal.signal(signal.SIGHUP, lambda *_: daemon.loop.ask(again))
    signal.signal(signal.SIGUSR1, lambda *_: daemon.loop.ask(tell))


def read_anew(path: Path, daemon: Daemon) -> Settings:
    """Load the configuration for a reload, and put what is doubtful about it into the log. Raises: ConfigError."""
    loaded = load(path)
    for warning in loaded.warnings:
        daemon.loop.ask(partial(daemon.loop.log, CONFIG_WARNING, str(warning)))
    return loaded.settings


def start_reload(daemon: Daemon, reloader: Reloader) -> None:
    """Read the configuration on a thread of its own: judging it takes longer than a lease may wait."""
    def work() -> None:
        with suppress(ReloadError):    # the log has it
            reload(daemon.observer, reloader)
    start_thread("reload", work)


def dump(daemon: Daemon) -> None:
    """Put into the log what reflexctl status would say."""
    daemon.loop.log(STATE, "\n".join(lines(daemon.observer())))


def operate(loaded: Loaded, args: argparse.Namespace) -> int:
    """Wire the daemon, listen to signals and clients, run, and flush the log."""
    journal = Journal()
    server = None
    try:
        if ended := aftermath.last_end():
            journal.say(LAST_END, ended)
            pause(aftermath.pause_s(monotonic()), journal)
        for warning in loaded.warnings:
            journal.say(CONFIG_WARNING, str(warning))
        server = listen(args.socket or Path(loaded.settings.daemon.socket), loaded.settings.daemon, journal)
        daemon = build(loaded.settings, journal, args.dry_run, notifier=Notifier.from_environment())
        aftermath.leave(aftermath.actions(daemon.parts.actuators))
        reloader = Reloader(partial(read_anew, args.config, daemon), loaded.settings, daemon)
        if server is not None:
            server.serve(verbs(daemon.observer, reloader, daemon.arming, partial(dump, daemon)))
        listen_to_signals(daemon, reloader)
        dry = f"; no output is driven: {daemon.arming.dry_run}" if daemon.arming.dry_run else ""
        journal.say(BEGIN, f"reflexd {__version__} begins with {args.config}{dry}")
        return daemon.run(args.seconds, args.frames)
    except (DriverError, FileExistsError) as error:
        journal.say(REFUSED, explained(error))
        return EX_UNAVAILABLE
    except Exception as error:    # a mistake in a driver, or of ours: outputs stand where connect() left them, safe
        journal.say(FATAL, f"programming error: {error!r}\n{traceback.format_exc()}")
        return EX_SOFTWARE
    finally:
        if server is not None:
            server.close()
        journal.close(FLUSH_S)


if __name__ == "__main__":
    sys.exit(main())
