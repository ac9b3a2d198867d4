"""Put a bundle in place, and have a daemon that runs take it: what get, add and install end with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reflexd.ctl.model.common import store_of, tell

SWAP_S = 60.0       # a large network takes its time to load on a small Pi


def place(args: argparse.Namespace, name: str, content: Mapping[str, bytes], **more: object) -> int:
    """Check a bundle in a child, put it in place, exchange it on the daemon; say so. Raises: ModelError."""
    from reflexd.setup.files import own
    from reflexd_models import store
    from reflexd_models.checking import check

    own(args.state_dir)
    kept, done = store_of(args), {}

    def swapped(name: str) -> None:
        done.update(ask_daemon(args, name))

    def would_fit(version: Path) -> None:
        ask_daemon(args, name, version=version.name)       # the daemon loads it as well, before it is in place

    version = store.install(kept, name, content, check, would_fit, last=swapped)
    place = str(kept.folder / name)
    told = {"name": name, "folder": place, "version": version.name, "files": sorted(content), **more, "daemon": done}
    return tell(args, told, f"{name} is installed in {place}", *_lines(done))


def ask_daemon(args: argparse.Namespace, name: str, **more: str) -> dict[str, Any]:
    """Ask the daemon, should one run. Raises: ModelError."""
    from reflexd.protocol import ControlError, NobodyError, ask
    from reflexd_models.base import ModelError

    if args.no_swap:
        return {"models": [], "why": "the daemon was left alone (--no-swap); it takes the network at its next start or reload"}
    request = {"bundle": name, "state_dir": str(args.state_dir.resolve()), **more}
    try:
        told: dict[str, Any] = ask(args.socket, "swap", request, SWAP_S)
    except NobodyError:
        return {"models": [], "why": "no daemon runs; the next one takes it"}
    except ControlError as problem:
        raise ModelError(f"{problem}; nothing was installed") from None
    return told


def _lines(done: Mapping[str, Any]) -> list[str]:
    lines = [f"model.{one['model']} runs it now: {one['before'][:12]} before, {one['after'][:12]} now" for one in done["models"]]
    return lines or [str(done["why"])]
