"""reflexctl check: is this configuration good? It needs no hardware and no root, and opens no device."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflexd.config.settings import Settings

HELP = "check a configuration without hardware"
DEFAULT_CONFIG = "/etc/reflexd/reflexd.toml"
EX_CONFIG = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    parser.add_argument("file", nargs="?", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"main file, with its conf.d beside it; default {DEFAULT_CONFIG}")
    parser.add_argument("--json", action="store_true", help='print {"ok": …, "problems": […]} for programs')


def run(args: argparse.Namespace) -> int:
    """Check and tell. 0 it can be used; 78 it cannot."""
    from reflexd.config.load import ConfigError, load  # heavy: the other verbs start without it

    try:
        loaded = load(args.file)
    except ConfigError as error:
        if args.json:
            print(json.dumps({"ok": False, "problems": [one.as_dict() for one in error.problems]}))
        else:
            print(error, file=sys.stderr)
        return EX_CONFIG
    if args.json:
        print(json.dumps({"ok": True, "problems": [one.as_dict() for one in loaded.warnings]}))
        return 0
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    print(f"ok: {summary(loaded.settings)}")
    return 0


def summary(settings: Settings) -> str:
    """Count the parts: 1 camera, 2 models, …"""
    counts = {kind: len(getattr(settings, kind)) for kind in ("camera", "model", "sensor", "actuator", "rule")}
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
