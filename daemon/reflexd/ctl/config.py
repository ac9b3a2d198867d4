"""reflexctl config show: the values that count after all files were merged, and who set them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reflexd.ctl.check import DEFAULT_CONFIG, EX_CONFIG

if TYPE_CHECKING:
    from reflexd.config.effective import Effective

HELP = "show the configuration that results from all files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    show = what.add_parser("show", help="print each value that counts")
    show.add_argument("file", nargs="?", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                      help=f"main file, with its conf.d beside it; default {DEFAULT_CONFIG}")
    show.add_argument("--origin", action="store_true", help="with the file and line that set it")
    show.add_argument("--json", action="store_true", help="as a list of {key, value, origin}")


def run(args: argparse.Namespace) -> int:
    """Print the values. 0 done; 78 the configuration is wrong."""
    from reflexd.config.effective import effective  # heavy: the other verbs start without it
    from reflexd.config.load import ConfigError, load

    try:
        loaded = load(args.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
    named = [(loaded.merged.write(one.location), one) for one in effective(loaded)]
    if args.json:
        print(json.dumps([{"key": key, "value": one.value, "origin": one.origin} for key, one in named]))
    else:
        for key, one in named:
            print(line(key, one, args.origin))
    return 0


def line(key: str, one: Effective, origin: bool) -> str:
    """Write key = value as in a file, with the origin as a comment."""
    text = f"{key} = {toml(one.value)}"
    return f"{text:<60}  # {one.origin}" if origin else text


def toml(value: object) -> str:
    """Write a value as TOML does."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
