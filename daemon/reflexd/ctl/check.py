"""reflexctl check: is this configuration good? It needs no hardware and no root, and opens no device."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflexd.config.load import Loaded
    from reflexd.config.problems import Problem
    from reflexd.config.settings import Settings

HELP = "check a configuration without hardware"
DEFAULT_CONFIG = "/etc/reflexd/reflexd.toml"
EX_CONFIG = 78
SUFFIXES = (".jsonl", ".jsonl.gz")      # that recordings have in a folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    parser.add_argument("file", nargs="?", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"main file, with its conf.d beside it; default {DEFAULT_CONFIG}")
    parser.add_argument("--against", nargs="+", type=Path, default=[], metavar="RECORDING",
                        help="tell what it would have decided on these, made by reflexctl record; of a folder, on what "
                             "ends in .jsonl or .jsonl.gz")
    parser.add_argument("--json", action="store_true", help='print {"ok": …, "problems": […]} for programs')
    parser.add_argument("--strict", action="store_true", help="let a warning fail as an error does")


def run(args: argparse.Namespace) -> int:
    """Check and tell. 0 it can be used; 78 it cannot, or with --strict is doubtful; 1 a recording cannot be read; 2 wrong use."""
    from reflexd.config.load import ConfigError, load  # heavy: the other verbs start without it

    if swallowed := next((one for one in args.against if one.suffix == ".toml"), None):
        print(f"reflexctl: {swallowed} is a configuration and no recording; write it before --against", file=sys.stderr)
        return 2
    try:
        loaded = load(args.file)
    except ConfigError as error:
        return told(error.problems, args.json, "")
    if args.strict and loaded.warnings:
        return told(loaded.warnings, args.json, "")
    if not args.against:
        return told(loaded.warnings, args.json, summary(loaded.settings))
    return against(args, loaded)


def told(problems: Sequence[Problem], as_json: bool, good: str, **more: object) -> int:
    """Print what there is to say, and give the exit status; `good` sums up what can be used, empty where it cannot."""
    if as_json:
        print(json.dumps({"ok": bool(good), "problems": [one.as_dict() for one in problems], **more}))
        return 0 if good else EX_CONFIG
    for one in problems:
        print(one, file=sys.stderr)
    if good:
        print(f"ok: {good}")
    return 0 if good else EX_CONFIG


def against(args: argparse.Namespace, loaded: Loaded) -> int:
    """Tell also what it would have decided on each recording; 1 where one cannot be read."""
    from reflexd.replay.tape import TapeError
    from reflexd.replay.telling import as_plain, printable, rules, span
    from reflexd.replay.whatif import what_if

    found, wrong = {}, []
    for file in recordings(args.against):
        try:
            found[file] = what_if(file, loaded.settings)
        except TapeError as error:
            wrong.append(str(error))
        except IsADirectoryError:
            wrong.append(f"{file}: has no file that ends in {' or '.join(SUFFIXES)}; name another one")
        except OSError as error:
            wrong.append(f"{file}: {(error.strerror or str(error)).lower()}; name another one")
    plain = {"against": {str(file): as_plain(one) for file, one in found.items()}} if args.json else {}
    status = told(loaded.warnings, args.json, summary(loaded.settings), **plain)
    for file, one in ({} if args.json else found).items():
        lasts = span((one.last - one.first) / 1e9)
        print(f"against {file}, {one.items} items over {lasts}:", *map(printable, rules(one)), sep="\n  ")
    for text in wrong:
        print(f"reflexctl: {text}", file=sys.stderr)
    return 1 if wrong else status


def recordings(named: Sequence[Path]) -> list[Path]:
    """Name the files that are meant; a folder without a recording stays, to be told as what cannot be read."""
    return [file for one in named
            for file in (sorted(inner for inner in one.glob("*") if inner.name.endswith(SUFFIXES)) or [one])]


def summary(settings: Settings) -> str:
    """Count the parts: 1 camera, 2 models, …"""
    counts = {kind: len(getattr(settings, kind)) for kind in ("camera", "model", "sensor", "actuator", "rule")}
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
