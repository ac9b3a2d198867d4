"""reflexctl schema: the JSON Schema of a configuration, for editors and other programs."""

from __future__ import annotations

import argparse
import json

HELP = "print the JSON Schema of a configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    parser.add_argument("--keys", action="store_true", help="print the keys as a Markdown table instead")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from reflexd.config.schema import keys, schema  # heavy: the other verbs start without it

    print(keys() if args.keys else json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
