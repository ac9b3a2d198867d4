"""Which bundles are in use: by the daemon that runs, and by the configuration that the next one will read."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

DEFAULT_CONFIG = "/etc/reflexd/reflexd.toml"
LARGEST = 1 << 20


def add_config(parser: argparse.ArgumentParser) -> None:
    """Accept --config."""
    parser.add_argument("-c", "--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"the configuration that is looked at, default {DEFAULT_CONFIG}")


def running(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Give what a running daemon tells of each of its models; nothing when none answers."""
    from reflexd.protocol import ControlError, ask

    try:
        told: dict[str, dict[str, Any]] = ask(args.socket, "status")["models"]
    except ControlError:
        return {}
    return told


def configured(config: Path) -> dict[str, str]:
    """Give the bundle of each [model.NAME] as the files have it, later ones after earlier ones; wrong files count for nothing."""
    found: dict[str, str] = {}
    for file in (config, *sorted((config.parent / "conf.d").glob("*.toml"))):
        try:
            with file.open("rb") as opened:
                models = tomllib.loads(opened.read(LARGEST).decode()).get("model", {})
        except (OSError, ValueError, RecursionError):
            continue
        tables = models.items() if isinstance(models, dict) else ()
        named = {name: table.get("bundle") for name, table in tables if isinstance(table, dict)}
        found |= {name: bundle for name, bundle in named.items() if isinstance(bundle, str)}
    return found


def users(args: argparse.Namespace) -> dict[str, list[str]]:
    """Give for each bundle who names it, in words."""
    found: dict[str, list[str]] = {}
    for model, told in running(args).items():
        found.setdefault(str(told.get("bundle")), []).append(f"model.{model} of the running daemon")
    for model, bundle in configured(args.config).items():
        found.setdefault(bundle, []).append(f"model.{model} in {args.config.parent}")
    return found
