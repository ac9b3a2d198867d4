"""What is kept: room for it, the card that it is on, and the networks' files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from reflexd.doctor.context import Context
from reflexd.doctor.table import Finding, finding

MIB = 1 << 20
FULL, LOW = MIB, 64 * MIB
WORN = 9            # of 10: 80 to 90 % of its life. Source: JESD84-B51, DEVICE_LIFE_TIME_EST and PRE_EOL_INFO
PRE_EOL_WARNING = 2
DEFAULT_STATE_DIR = "/var/lib/reflexd"


def state_dir(context: Context) -> str:
    """Give the folder where state is kept."""
    return DEFAULT_STATE_DIR if context.settings is None else context.settings.daemon.state_dir


def room(context: Context) -> Iterator[Finding]:
    """Can something more be kept?"""
    folder = state_dir(context)
    if not context.path(folder).is_dir():      # systemd makes it at the first start
        return
    told = context.outside.space(context.path(folder))
    free = told.f_bavail * told.f_frsize
    if told.f_flag & os.ST_RDONLY:
        yield finding("state-read-only", f"{folder} is on a read-only file system", path=folder)
    elif free < LOW:
        yield finding("state-full" if free < FULL else "state-low", f"{folder} has {free / MIB:.1f} MiB left", path=folder)


def card(context: Context) -> Iterator[Finding]:
    """How worn is the flash memory? eMMC tells; most SD cards do not, and then nothing is said."""
    for folder in sorted(context.root.glob("sys/block/mmcblk*/device")):
        used = [int(number, 16) for number in _text(folder / "life_time").split()]
        end = int(_text(folder / "pre_eol_info") or "0", 16)
        device = folder.parent.name
        if max(used, default=0) >= WORN or end >= PRE_EOL_WARNING:
            told = f"{device}: {max(used, default=0) * 10} % of its life are used, spare blocks are at stage {end} of 3"
            yield finding("card-worn", told, device=device)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def bundles(context: Context) -> Iterator[Finding]:
    """Are the networks' files what their model.toml says? Whether they answer rightly is tried when they are loaded."""
    if context.settings is None:
        return
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import LARGEST, find_bundle
    from reflexd_models.files import read

    for name, model in context.settings.model.items():
        try:
            bundle = find_bundle(model.bundle, Path(context.settings.daemon.state_dir))
            found = hashlib.sha256(read(bundle.path, LARGEST, "the network")).hexdigest()
            if bundle.golden is not None:
                read(bundle.path.with_name(bundle.golden.file), LARGEST, "the golden case")
        except ModelError as error:
            yield finding("bundle-unreadable", f"model {name}: {error}", user=context.unit.get("User", "reflexd"))
            continue
        if bundle.sha256 not in (None, found):
            told = f"model {name}: {bundle.path}: sha256 should be {str(bundle.sha256)[:12]}…, found {found[:12]}…"
            yield finding("bundle-altered", told, path=bundle.path.parent)
