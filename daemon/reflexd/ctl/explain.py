"""reflexctl explain: why each rule acted, or what stopped it first, now or at a moment; and how near it came.

It is computed here, by deciding once more on what the daemon's trace or a recording has.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.ctl.reach import add_socket
from reflexd.ctl.stored import add_store
from reflexd.ctl.test import duration_ms

if TYPE_CHECKING:
    from reflexd.replay.explaining import Explained
    from reflexd.replay.misses import Misses, Near, Stopped
    from reflexd.replay.moments import Recorded

HELP = "why each rule acts, or what stops it first: now, at a moment, or summed up"
SINCE_MS = 600_000
NS = 1_000_000_000
DAY_MS = 86_400_000
GATE = "what outputs did is not part of a recording: told is what rules claimed, without max_on_s, min_off_s and interlocks"
COLOURS = {"fired": 32, "goes on": 32, "waits": 33, "held back": 33, "unknown": 33, "false": 31}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument("event", nargs="?", metavar="EVENT", help="id of a stored event, as reflexctl events tells it")
    when.add_argument("--at", type=moment, metavar="MOMENT", help="local time, as 14:03:05 or 2026-11-22T14:03:05; default: now")
    when.add_argument("--ago", dest="ago_ms", type=duration_ms(1, 30 * DAY_MS), metavar="TIME",
                      help="so long before now, as 90s or 5m; with --file, before its end")
    when.add_argument("--not", dest="missed", metavar="RULE", help="sum up what kept this rule from acting, and how near it came")
    parser.add_argument("--since", dest="since_ms", type=duration_ms(1, 30 * DAY_MS), metavar="TIME",
                        help="with --not: so far back, default 10m")
    parser.add_argument("--rule", metavar="NAME", help="of this rule only")
    parser.add_argument("--file", type=Path, metavar="RECORDING", help="of a recording, not of the running daemon")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    add_socket(parser)
    add_store(parser)


def moment(text: str) -> datetime | time:
    """Read a time of day, or a date with one. A whole second is meant to its end, so that what the log has of it lies before."""
    for kind in (time, datetime):
        try:
            found = kind.fromisoformat(text)
        except ValueError:
            continue
        if isinstance(found, datetime) and not 1970 <= found.year < 9999:       # near its bounds no time zone can be added
            raise argparse.ArgumentTypeError(f"{text!r} is no moment of our days; name a year from 1970 on")
        return found if "." in text or "," in text else found.replace(microsecond=999_999)
    raise argparse.ArgumentTypeError(f"{text!r} is no moment; write it as 14:03:05 or 2026-11-22T14:03:05")


def run(args: argparse.Namespace) -> int:
    """Explain, and give the exit status."""
    from reflexd.protocol import ControlError
    from reflexd.replay.moments import Filed, MomentError, Running
    from reflexd.replay.tape import TapeError

    if wrong := _misused(args):
        print(f"reflexctl: {wrong}; leave one of them out", file=sys.stderr)
        return 2
    try:
        if args.event is not None:
            from reflexd.ctl.happened import of_event
            lines = of_event(args)
        else:
            recorded = Running(args.socket) if args.file is None else Filed(args.file)
            lines = (summed if args.missed else told)(recorded, args)
        for line in lines:
            print(line)
    except (ControlError, MomentError, TapeError) as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return 1
    return 0


def _misused(args: argparse.Namespace) -> str:
    """Say which options do not go together; empty where all do."""
    if args.since_ms is not None and args.missed is None:
        return "--since goes with --not, and --ago names a moment"
    return "--not names its rule already, and goes without --rule" if args.missed is not None and args.rule is not None else ""


def told(recorded: Recorded, args: argparse.Namespace) -> Iterable[str]:
    """Explain every rule at the moment that was asked for. Raises: MomentError, TapeError, ControlError."""
    from reflexd.replay.moments import moment_of, shown, span

    at = recorded.end
    if args.at is not None:
        at = moment_of(recorded, args.at)
    elif args.ago_ms is not None:
        at -= args.ago_ms * 1_000_000
    found, outputs = at_moment(recorded, args, at)
    if args.json:
        return [json.dumps(data(recorded, at, found, None if args.file else outputs), indent=2, ensure_ascii=False)]
    end = "the end" if args.file else "now"
    above = [GATE] if args.file else outputs.get("", [])
    ago = (recorded.end - at) / NS
    return [f"{shown(recorded, at)}, {f'{span(ago)} before ' if ago else ''}{end}", *above,
            *table(recorded, at, found, outputs)]


def at_moment(recorded: Recorded, args: argparse.Namespace, at: int) -> tuple[list[Explained], dict[str, list[str]]]:
    """Explain rules at a moment, and tell what outputs did then. Raises: MomentError, TapeError, ControlError."""
    from reflexd.replay.explaining import explain

    outputs = {} if args.file is not None else _now(args) if at == recorded.end else _then(args, recorded, at)
    found = explain(recorded.lines(at), at)
    if args.file is None and any(one.decided_at is None for one in found):
        found = explain(recorded.all_lines(), at)
    return _of_rule(found, args.rule), outputs


def _of_rule(found: list[Explained], wanted: str | None) -> list[Explained]:
    """Keep one rule. Raises: MomentError where there is none of that name."""
    from reflexd.config.messages import suggest
    from reflexd.replay.moments import MomentError

    kept = [one for one in found if wanted in (None, one.rule)]
    if kept or wanted is None:
        return kept
    raise MomentError(f'no rule is called "{wanted}"; {suggest(wanted, [one.rule for one in found], "there was none then")}')


def _now(args: argparse.Namespace) -> dict[str, list[str]]:
    """Ask the daemon what each output does, why, and what would keep it from moving. Raises: ControlError."""
    from reflexd.protocol import ask
    from reflexd.replay.moments import span

    told = ask(args.socket, "status")
    dry = f"no output is driven: {told['dry_run']}" if told["dry_run"] else ""
    found = {name: [f"{name} {one['why']}" + (f", for {span(one['since_s'])}" if one["since_s"] is not None else "") +
                    (" (dry run: not driven)" if dry and one["active"] else ""),
                    *([f"{name} could not be active now: {one['hindrance']}"]
                      if one["hindrance"] not in ("", dry) and not one["active"] else [])]
             for name, one in told["outputs"].items()}
    return {**found, "": [dry]} if dry else found


def _then(args: argparse.Namespace, recorded: Recorded, at: int) -> dict[str, list[str]]:
    """Ask the daemon what each output did around a moment; "" stands for all of them. Raises: ControlError."""
    from reflexd.protocol import ask
    from reflexd.replay.moments import shown

    found: dict[str, list[str]] = {}
    for now, output, text in ask(args.socket, "trace", {"at": at})["changes"]:
        found.setdefault(output, []).append(f"{shown(recorded, now)} {text}")
    return found


def table(recorded: Recorded, at: int, found: Sequence[Explained], outputs: Mapping[str, list[str]]) -> Iterable[str]:
    """Write what was explained in columns, in colours at a terminal."""
    from reflexd.replay.moments import shown
    from reflexd.replay.wording import aligned
    from reflexd.replay.wording import told as rows

    if not found:
        yield "no rule was configured"
    drawn = list(rows(found, lambda one: None if one.decided_at is None else (at - one.decided_at) / NS,
                      lambda name: outputs.get(name, []), lambda now: shown(recorded, now)))
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for row, line in zip(drawn, aligned(drawn, columns()), strict=True):
        yield _coloured(line, row[1]) if colours and row[1] in COLOURS else line


def columns() -> int | None:
    """Give the width that a table has to fit; None where nobody looks at it."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _coloured(line: str, state: str) -> str:
    return line.replace(f"  {state}", f"  \x1b[{COLOURS[state]}m{state}\x1b[0m", 1)


def data(recorded: Recorded, at: int, found: Sequence[Explained], outputs: Mapping[str, list[str]] | None) -> dict[str, Any]:
    """Give what was explained as JSON has it; null for outputs of which nothing is known."""
    from reflexd.replay.moments import local

    when = local(recorded, at)
    return {"at": None if when is None else when.isoformat(), "ago_s": (recorded.end - at) / NS,
            "rules": [_rule(one, at) for one in found], "outputs": outputs}


def _rule(one: Explained, at: int) -> dict[str, Any]:
    from reflexd.replay.wording import held_data

    plain = asdict(one)
    for name in ("held", "rests"):
        plain[name] = held_data(getattr(one, name))
    if one.lapse is not None:
        plain["lapse"] = {"source": one.lapse.what, "why": one.lapse.why,
                          "ago_s": None if one.lapse.since is None else (at - one.lapse.since) / NS}
    plain["decided_ago_s"] = None if one.decided_at is None else (at - one.decided_at) / NS
    del plain["decided_at"]
    return plain


def summed(recorded: Recorded, args: argparse.Namespace) -> Iterable[str]:
    """Sum up what a rule missed. Raises: MomentError, TapeError, ControlError."""
    from reflexd.replay.misses import misses
    from reflexd.replay.moments import MomentError, shown
    from reflexd.replay.wording import aligned
    from reflexd.replay.wording import summed as rows

    asked_s = (args.since_ms or SINCE_MS) / 1000
    since = recorded.end - round(asked_s * NS)
    found = misses(recorded.since(since), args.missed, since, recorded.end)
    if isinstance(found, list):
        from reflexd.config.messages import suggest
        raise MomentError(f'no rule is called "{args.missed}"; {suggest(args.missed, found, "there is none")}')
    lasts_s = (recorded.end - found.since) / NS
    if args.json:
        return [json.dumps(_sums(found, recorded.end, asked_s, lasts_s), indent=2, ensure_ascii=False)]
    return aligned(list(rows(found, asked_s, lasts_s, lambda now: shown(recorded, now))), columns())


def _sums(found: Misses, end: int, asked_s: float, lasts_s: float) -> dict[str, Any]:
    def near(one: Near | None) -> dict[str, Any] | None:
        if one is None:
            return None
        plain = one._asdict()
        ago_s = (end - plain.pop("now")) / NS
        return {**plain, "ago_s": ago_s}

    def stopped(place: int, one: Stopped) -> dict[str, Any]:
        plain = {"place": place, **asdict(one), "closest": near(one.closest), "hits": near(one.hits)}
        newest_ago_s = (end - plain.pop("newest")) / NS
        return {**plain, "newest_ago_s": newest_ago_s}

    return {"rule": found.rule, "asked_s": asked_s, "covered_s": lasts_s, "lost": found.lost, "decisions": found.decisions,
            "states": dict(found.states), "held_back_by": dict(found.held),
            "stopped_first_by": [stopped(place, one) for (place, _), one in sorted(found.stopped.items())]}
