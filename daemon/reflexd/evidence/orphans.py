"""Evidence of events that are not stored any more."""

from __future__ import annotations

from pathlib import Path

from reflexd.evidence.folders import FOLDER, Folders
from reflexd.history.reading import Reader


def prune(store: Path) -> None:
    """Remove it where no daemon is at it. Raises: OSError."""
    folders = Folders(store.parent / FOLDER)
    if folders.folder.is_dir():
        folders.open()
        remove_orphans(folders, store)


def remove_orphans(folders: Folders, store: Path) -> int:
    """Remove it; gives of how many events. Raises: OSError."""
    with Reader(store) as reader:
        stored = reader.ids()
    return folders.remove(one.name for one in list(folders.entries) if one.name not in stored)
