"""The table of the networks that ship, from their bundles: figures are never typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from reflexd_models.about import read
from reflexd_models.bundle import ABOUT

HEAD = ("network", "task", "for", "size", "accuracy", "made and judged by")


def rows(zoo: Path) -> Iterator[tuple[str, ...]]:
    """Give a row for each bundle."""
    for folder in sorted(path.parent for path in zoo.glob(f"*/{ABOUT}")):
        about, card = read(folder / ABOUT), (folder / str(read(folder / ABOUT).card)).read_text()
        purpose = card.partition("\n")[0].partition(": ")[2]
        size = (folder / about.file).stat().st_size
        name = f"[`{about.name}`](../models/zoo/{folder.name}/MODEL_CARD.md)"
        made = f"`./scripts/train {about.name}`"
        yield name, f"`{about.task}`", purpose, f"{size / 1000:.1f} kB", accuracy(folder, card), made


def accuracy(folder: Path, card: str) -> str:
    """Give the share of right answers on what training never saw."""
    if (folder / "figures.json").is_file():
        return f"{json.loads((folder / 'figures.json').read_text())['accuracy']:.3f}"
    found = re.search(r"^\| all held out, int8 \| ([\d.]+) \| ([\d.]+) \|", card, re.M)      # the meter's own form
    if found is None:
        raise ValueError(f"{folder}: neither figures.json nor a card with figures")
    return f"{found[1]}; within a tenth {found[2]}"
