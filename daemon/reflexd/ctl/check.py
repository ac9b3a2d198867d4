"""reflexctl check: is this configuration good? It needs no hardware and no root, and opens no device."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflexd.config.settings import Settings

HELP = "check a configuration without hardware"
DEFAULT_CONFIG = "/etc/reflexd/reflexd.toml"
EX_CONFIG = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    parser.add_argument("file", nargs="?", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"main file, with its conf.d beside it; default {DEFAULT_CONFIG}")
    parser.add_argument("--against", nargs="+", type=Path, default=[], metavar="RECORDING",
                        help="tell what it would have decided on these, made by reflexctl record")
    parser.add_argument("--json", action="store_true", help='print {"ok": …, "problems": […]} for programs')


def run(args: argparse.Namespace) -> int:
    """Check and tell. 0 it can be used; 78 it cannot; 1 it can be, and a recording cannot be read."""
    from reflexd.config.load import ConfigError, load  # heavy: the other verbs start without it

    try:
        loaded = load(args.file)
    except ConfigError as error:
        if args.json:
            print(json.dumps({"ok": False, "problems": [one.as_dict() for one in error.problems]}))
        else:
            print(error, file=sys.stderr)
        return EX_CONFIG
    if not args.json:
        for warning in loaded.warnings:
            print(warning, file=sys.stderr)
        print(f"ok: {summary(loaded.settings)}")
    told, wrong = against(args, loaded.settings)
    if args.json:
        print(json.dumps({"ok": True, "problems": [one.as_dict() for one in loaded.warnings],
                          **({"against": told} if args.against else {})}))
    for one in wrong:
        print(f"reflexctl: {one}", file=sys.stderr)
    return 1 if wrong else 0


def against(args: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """Tell what it would have decided on each recording; give that for programs, and what was wrong with recordings."""
    from reflexd.replay.tape import TapeError
    from reflexd.replay.telling import as_plain, printable, rules, span
    from reflexd.replay.whatif import what_if

    told, wrong = {}, []
    for file in args.against:
        try:
            found = what_if(file, settings)
        except TapeError as error:
            wrong.append(str(error))
            continue
        told[str(file)] = as_plain(found)
        if not args.json:
            lasts = span((found.last - found.first) / 1e9)
            print(f"against {file}, {found.items} items over {lasts}:", *map(printable, rules(found)), sep="\n  ")
    return told, wrong


def summary(settings: Settings) -> str:
    """Count the parts: 1 camera, 2 models, …"""
    counts = {kind: len(getattr(settings, kind)) for kind in ("camera", "model", "sensor", "actuator", "rule")}
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
