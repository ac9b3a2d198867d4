"""reflexctl record: write down what a running daemon decides on, to decide on it once more later."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import get_terminal_size
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from reflexd.ctl.reach import add_socket
from reflexd.ctl.test import duration_ms

if TYPE_CHECKING:
    from reflexd.replay.recorder import Recorder

HELP = "record what the daemon decides on, for reflexctl replay"
ROUND_S = 0.5
LEAST_FREE = 256 << 20       # bytes that frames leave on a disk, which others write to as well
FORMS = ("png", "jpeg")      # as stills.py has them, which is not loaded for --help
PATIENCE_S = 10.0      # with a daemon that does not answer for a moment: its trace reaches much further back
DAYS_30_MS = 30 * 86_400_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="is compressed where its name ends in .gz")
    parser.add_argument("--for", dest="for_ms", type=duration_ms(100, DAYS_30_MS), metavar="TIME",
                        help="as 90s, 10m or 2h; default: until Ctrl-C")
    parser.add_argument("--last", dest="last_ms", type=duration_ms(100, DAYS_30_MS), default=0, metavar="TIME",
                        help="begin so long ago, as far as the daemon still has it")
    parser.add_argument("--frames", nargs="?", const="png", type=form, metavar="FORM",
                        help="record the frames that networks look at as well, for replay --infer: png, which loses nothing, "
                             "is the default; jpeg is smaller")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_socket(parser)


def form(text: str) -> str:
    """Read how frames are to be kept."""
    if text not in FORMS:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(FORMS)}; FILE comes before --frames")
    return text


def run(args: argparse.Namespace) -> int:
    """Record until the time is up, somebody has enough, or there is nothing more to record."""
    from reflexd.protocol import ControlError
    from reflexd.replay.live import Live, LiveFrames
    from reflexd.replay.recorder import Recorder

    if args.file.exists() and not args.force:
        return refuse(args.file)
    try:
        frames = LiveFrames(args.socket, args.frames) if args.frames else None
    except ControlError as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return 1
    recorder = Recorder(Live(args.socket, args.last_ms / 1000), args.file, args.force,
                        None if args.for_ms is None else args.for_ms * 1_000_000, frames)
    with stopped_by_signals() as stop:
        try:
            try:
                wrong = follow(recorder, stop)
            finally:
                print(end="\n" if recorder.begun and sys.stdout.isatty() else "")      # what follows has a line of its own
            if recorder.begun:
                print(summary(recorder, recorder.end()))
                wrong = wrong or (f"frames are missing in the end: {recorder.unfilmed}" if recorder.unfilmed else "")
                if recorder.reached_s < args.last_ms / 1000:
                    print(f"it reaches back {recorder.reached_s:.0f} s and not {args.last_ms / 1000:.0f} s: "
                          f"the daemon has nothing older")
        except FileExistsError:
            return refuse(args.file)
        except OSError as error:      # of the disk: what the daemon does is told by follow()
            wrong = (f"{args.file}: {(error.strerror or str(error)).lower()}; {recorder.items} items were written, and what of "
                     f"them reached the disk can be replayed" if recorder.begun else
                     f"{args.file}: {(error.strerror or str(error)).lower()}; name another file")
        finally:
            recorder.abandon()
    if wrong:
        print(f"reflexctl: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def refuse(file: Path) -> int:
    """Leave a file alone."""
    print(f"reflexctl: {file}: is there already; name another one, or say --force", file=sys.stderr)
    return 1


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """Have what asks to end set an event instead, so that the file is ended whole."""
    stop = Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def follow(recorder: Recorder, stop: Event) -> str:
    """Record; give why it ended before anybody wanted that, empty if not. Raises: OSError of the file."""
    from reflexd.protocol import ControlError, NobodyError
    from reflexd.replay.live import RestartedError

    live, answered_at = sys.stdout.isatty(), monotonic()
    while True:
        try:
            more = recorder.fetch(stop.is_set)
            answered_at = monotonic()
        except ControlError as error:
            if not recorder.begun:
                return str(error)
            if isinstance(error, RestartedError):
                return f"{error}: the recording ends where it ended; record anew"
            if isinstance(error, NobodyError) or monotonic() - answered_at > PATIENCE_S:
                return f"the recording ends here: {error}"
            more = True
        if live:
            print(f"\r\x1b[K{line(recorder)[:get_terminal_size().columns - 1]}", end="", flush=True)
        if not more or stop.is_set():
            return ""
        if recorder.films and recorder.path.is_file() and (left := free(recorder.path)) < LEAST_FREE:
            return f"{recorder.path}: the recording ends here, for only {size(left)} are free; make room, or use another disk"
        if not recorder.film(ROUND_S):
            stop.wait(ROUND_S)


def free(path: Path) -> int:
    """Say how many bytes the disk still takes of an ordinary user."""
    from shutil import disk_usage

    return disk_usage(path).free


def line(recorder: Recorder) -> str:
    """Write how far it is, in one line of a terminal."""
    rate = recorder.items / recorder.seconds if recorder.seconds else 0.0
    return ", ".join((f"{recorder.seconds:.0f} s", f"{recorder.items} items", f"{rate:.0f} a second", size(recorder.bytes),
                      *told(recorder)))


def told(recorder: Recorder) -> list[str]:
    """Write which rules fired, and what is missing."""
    from reflexd.replay.telling import times

    fired = [f'"{rule}" fired {times(count)}' for rule, count in recorder.fired.most_common(3)]
    more = [f"and {len(recorder.fired) - 3} other rules"] if len(recorder.fired) > 3 else []
    lost = [f"{recorder.lost} items are missing: they came faster than they were fetched"] if recorder.lost else []
    return [*(fired or ["no rule fired"]), *more, *lost, *framed(recorder)]


def framed(recorder: Recorder) -> list[str]:
    """Write how many frames there are, and what is missing of them."""
    if recorder.films is None:
        return []
    unframed = [f"{recorder.unframed} more were not fetched in time"] if recorder.unframed > recorder.films.large else []
    large = [f"{recorder.films.large} are too large: say --frames jpeg"] if recorder.films.large else []
    return [f"{recorder.frames} frames", *unframed, *large]


def size(count: int) -> str:
    """Write a number of bytes."""
    return f"{count / 1024:.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"


def summary(recorder: Recorder, digest: str) -> str:
    """Write what there is in the end."""
    return f"{recorder.path}: {line(recorder)}; sha256 {digest}"
