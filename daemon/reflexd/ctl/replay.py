"""reflexctl replay: decide once more on what was recorded; by the same rules, or by others."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflexd.replay.again import Step
    from reflexd.replay.replayed import Replayed
    from reflexd.replay.telling import Clockwork

HELP = "decide once more on what was recorded: the same, or by another configuration"
EX_CONFIG = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("file", type=Path, metavar="FILE|EVENT",
                        help="made by reflexctl record; or the evidence of an event, by its id or as a folder")
    parser.add_argument("--config", type=Path, metavar="FILE", help="what would this configuration have decided?")
    parser.add_argument("--infer", action="store_true",
                        help="run the networks again over recorded frames, or those of --config; tell where predictions differ")
    parser.add_argument("--times", type=often, default=1, metavar="N", help="do it N times over, which has to give one hash")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--store", type=Path, metavar="PATH", help="the store of events, for an id; default: that of the daemon")


def often(text: str) -> int:
    """Read how often."""
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to 1000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Replay and tell. 0 it is the same, or the difference was told; 1 it is not the same; 78 the configuration is wrong."""
    from reflexd.config.load import ConfigError
    from reflexd.ctl.stored import recording_of
    from reflexd.replay.tape import TapeError
    from reflexd_models.base import ModelError

    if (args.config is not None or args.infer) and args.times > 1:
        print("reflexctl: --times goes without --config and --infer; leave one of them out", file=sys.stderr)
        return 2
    try:
        args.file = recording_of(args.file, args.store)
        if args.infer:
            return asked(args)
        return same(args) if args.config is None else other(args)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
    except (TapeError, ModelError) as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return 1


def asked(args: argparse.Namespace) -> int:
    """Tell what networks say of the frames now, and what would have been decided.

    Raises: ConfigError, TapeError, ModelError, OSError.
    """
    from reflexd.config.load import load
    from reflexd.replay import reporting
    from reflexd.replay.inferring import infer
    from reflexd.replay.tape import tape_of
    from reflexd.replay.telling import Clockwork, as_plain, changes, printable, span
    from reflexd.replay.whatif import what_if

    loaded = load(args.config) if args.config else None
    settings = loaded.settings if loaded else None
    found = infer(args.file, settings)
    decided = what_if(tape_of(args.file), settings, found)
    clock = Clockwork(decided.first, decided.utc_s)
    status = 0 if found.identical or loaded else 1
    if args.json:
        print(json.dumps({**as_plain(decided), "inferred": reporting.as_plain(found, clock)}))
        return status
    for warning in loaded.warnings if loaded else ():
        print(warning, file=sys.stderr)
    print(f"{args.file}: {decided.items} items over {span((decided.last - decided.first) / 1e9)}, {found.frames} frames")
    for line in (*reporting.asked(found, clock), *(changes(decided) if status or loaded else ())):
        print(printable(line))
    return status


def other(args: argparse.Namespace) -> int:
    """Tell what another configuration would have decided. Raises: ConfigError, TapeError, OSError."""
    from reflexd.config.load import load
    from reflexd.replay.tape import tape_of
    from reflexd.replay.telling import as_plain, changes, printable, span
    from reflexd.replay.whatif import what_if

    loaded = load(args.config)
    found = what_if(tape_of(args.file), loaded.settings)
    if args.json:
        print(json.dumps(as_plain(found)))
        return 0
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    print(f"{args.file}: {found.items} items over {span((found.last - found.first) / 1e9)}")
    for line in changes(found):
        print(printable(line))
    return 0


def same(args: argparse.Namespace) -> int:
    """Tell whether the same is decided. Raises: TapeError, OSError."""
    from reflexd.replay.replayed import replay
    from reflexd.replay.tape import tape_of
    from reflexd.replay.telling import printable

    file = tape_of(args.file)
    found = replay(file)
    hashes = {str(found.digest), *(str(replay(file).digest) for _ in range(args.times - 1))}
    if args.json:
        print(json.dumps(as_plain(found, args.times, len(hashes))))
    else:
        for line in (*told(args.file, found), ending(found, args.times, len(hashes))):
            print(printable(line))
    return 0 if found.same and len(hashes) == 1 else 1


def told(file: Path, found: Replayed) -> list[str]:
    """Tell what is in a recording, and what is wrong with it."""
    from reflexd.replay.telling import span, times

    clock = found.clock
    begun = f", from {clock.wall(found.began)}" if found.utc_s is not None else ""
    lines = [f"{file}: {found.items} items over {span(found.seconds)}{begun}"]
    lines += [f'rule "{name}" fired {times(len(moments))}: ' +
              (f"at {clock(moments[0])}" if len(moments) == 1 else f"first at {clock(moments[0])}, last at {clock(moments[-1])}")
              for name, moments in sorted(found.fired.items())]
    return [*lines, *found.remarks]


def ending(found: Replayed, often: int, hashes: int) -> str:
    """Say whether it is the same, or where the first difference is."""
    if found.first is not None:
        return f"differs first {difference(found.first, found.number, found.clock)}"
    if not found.same:
        return "differs: its end tells of other items, or of other decisions; the file was changed, so record anew"
    if hashes > 1:
        return f"differs: {often} replays gave {hashes} hashes; please report that"
    return f"identical{f' {often} times' if often > 1 else ''}: sha256 {found.digest}"


def difference(step: Step, number: int, clock: Clockwork) -> str:
    """Say what was recorded of an item, and what is decided now."""
    return (f"at item {number}, {clock(step.taken.now)}: {json.dumps(step.taken.item)[:200]}: "
            f"recorded {orders(step.taken.orders)}; now {orders(step.orders)}")


def orders(decided: list[Any]) -> str:
    """Write what was decided."""
    return "; ".join(" ".join(str(part) for part in order) for order in decided[:10]) or "nothing"


def as_plain(found: Replayed, often: int, hashes: int) -> dict[str, Any]:
    """Give it to programs."""
    step = found.first
    return {
        "items": found.items, "lost": found.lost, "cut_off": found.end is None, "version": found.version,
        "seconds": round(found.seconds, 6), "utc_s": found.utc_s,
        "times": often, "identical": found.same and hashes == 1, "sha256": str(found.digest),
        "rules": {name: {"fired": len(moments), "first_s": found.clock.seconds(moments[0]),
                         "last_s": found.clock.seconds(moments[-1])} for name, moments in sorted(found.fired.items())},
        "first_difference": None if step is None else {
            "item": found.number, "at_s": found.clock.seconds(step.taken.now), "recorded": step.taken.orders,
            "now": step.orders},
    }
