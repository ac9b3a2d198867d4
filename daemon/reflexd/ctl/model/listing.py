"""reflexctl model list: the bundles that are here, shipped or added."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from reflexd.ctl.model.common import add_common, store_of, tell
from reflexd.ctl.model.use import add_config, users
from reflexd.ctl.reach import add_socket

HELP = "the bundles that are here, shipped and added, and who uses them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    add_common(parser)
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """List them. Raises: ModelError."""
    from reflexd_models.bundle import shipped, zoo

    using = users(args)
    added = {one.name: one.folder for one in store_of(args).kept()}
    rows = [_row(name, folder, "added", using) for name, folder in added.items()]
    rows += [_row(name, zoo() / name, "shipped", {} if name in added else using) for name in shipped()]
    table = [("NAME", "TASK", "LABELS", "SIZE", "FROM", "USED BY"), *[_cells(row) for row in rows]]
    wide = [max(len(cells[at]) for cells in table) for at in range(6)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, wide, strict=True)).rstrip() for cells in table]
    return tell(args, {"bundles": rows}, *lines)


def _row(name: str, folder: Path, origin: str, using: dict[str, list[str]]) -> dict[str, Any]:
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import of_folder

    row: dict[str, Any] = {"name": name, "from": origin, "folder": str(folder), "used_by": using.get(name, [])}
    try:
        bundle = of_folder(folder)
        return {**row, "task": bundle.task, "labels": len(bundle.labels), "sha256": bundle.sha256,
                "bytes": bundle.path.stat().st_size, "golden": bundle.golden is not None}
    except (ModelError, OSError) as problem:
        return {**row, "wrong": str(problem)}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    using = ", ".join(row["used_by"]) or "-"
    if "wrong" in row:
        return row["name"], "?", "?", "?", row["from"], f"{using}; cannot be used: {row['wrong']}"
    return row["name"], row["task"], str(row["labels"]), f"{row['bytes'] / 1000:.0f} KB", row["from"], using
