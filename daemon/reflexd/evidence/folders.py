"""Evidence on the disk: a folder for each event, which comes into place whole or not at all.

    STATE_DIR/evidence/EVENT-ID/
        event.json                       what reflexctl events --json tells of it, but for its place in the store
        recording.jsonl.gz               items as they were consumed around it, for reflexctl replay
        frames/CAMERA/TAKEN_AT_NS.jpg

It is written under a name that ends in .part, and renamed once all is there; what has that name when the daemon starts was
cut off and is removed. With durability "full" files and names are synced before they count.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reflexd.durable import settle
from reflexd.replay.tape import TAPE

FOLDER = "evidence"
EVENT, RECORDING, FRAMES = "event.json", TAPE, "frames"
PART = ".part"
PAGE = 4096

Write = Callable[[Path, bytes], None]
Fill = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder of evidence."""

    name: str
    bytes: int
    utc_ns: int                   # when its event happened
    synchronised: bool | None     # whether the wall clock was right then
    written_ns: int               # for their order


def write_file(path: Path, data: bytes) -> None:
    """Write a file. Raises: OSError."""
    path.write_bytes(data)


class Folders:
    """The folders; one thread uses it."""

    def __init__(self, folder: Path, write: Write = write_file) -> None:
        self.folder = folder
        self.write = write
        self.entries: list[Entry] = []        # the oldest first

    @property
    def used_bytes(self) -> int:
        """How much they take, in pages."""
        return sum(one.bytes for one in self.entries)

    def open(self) -> None:
        """Make the folder, remove what was cut off and look at what is there. Raises: OSError."""
        try:
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            if os.geteuid() == 0:        # root comes first, and the daemon's user has to use it as well
                owner = self.folder.parent.stat()
                os.chown(self.folder, owner.st_uid, owner.st_gid)
        for one in self.folder.glob(f"*{PART}"):
            _remove(one)
        found = (_entry(one) for one in self.folder.iterdir() if one.is_dir() and (one / EVENT).exists())
        self.entries = sorted(found, key=lambda one: (one.written_ns, one.name))

    def store(self, event: dict[str, Any], fill: Fill, full: bool) -> int:
        """Have a folder filled and put it into place; synced where that is `full`. Gives its bytes. Raises: OSError."""
        name = str(event["id"])
        part, place = self.folder / f"{name}{PART}", self.folder / name
        _remove(part)
        try:
            part.mkdir(mode=0o700)
            self.write(part / EVENT, json.dumps(event, ensure_ascii=False, indent=1).encode() + b"\n")
            fill(part)
            if full:
                _sync(part)
            part.rename(place)
            if full:
                settle(self.folder)
        except BaseException:
            _remove(part)
            raise
        self.entries.append(_entry(place))
        return self.entries[-1].bytes

    def tidy(self, oldest_utc_ns: int | None, most_bytes: int, least: int) -> int:
        """Remove what is too old or too much, the oldest first, but the newest `least`. Gives how many went. Raises: OSError."""
        outdated = 0
        if oldest_utc_ns is not None:      # what was written before one that is too old is older, whatever its clock said
            outdated = max((place + 1 for place, one in enumerate(self.entries)
                            if one.utc_ns < oldest_utc_ns and one.synchronised is not False), default=0)
        gone, used = 0, self.used_bytes
        while len(self.entries) > least and (gone < outdated or used > most_bytes):
            used -= self.entries[0].bytes
            self._remove_first()
            gone += 1
        return gone

    def remove(self, names: Iterable[str]) -> int:
        """Remove the evidence of some events. Gives how many had any. Raises: OSError."""
        wanted = set(names)
        for one in [one for one in self.entries if one.name in wanted]:
            self._gone(one)
        return len(wanted)

    def _remove_first(self) -> None:
        self._gone(self.entries[0])

    def _gone(self, one: Entry) -> None:
        """Rename first: half of a folder is never seen under its name."""
        part = self.folder / f"{one.name}{PART}"
        with suppress(FileNotFoundError):      # somebody else removed it
            (self.folder / one.name).rename(part)
            shutil.rmtree(part)
        self.entries.remove(one)


def evidence_of(store: Path, event_id: str) -> Path | None:
    """Find the evidence of an event of that store; None where there is none, or it may not be seen."""
    place = store.parent / FOLDER / event_id
    try:
        return place if place.is_dir() else None
    except OSError:
        return None


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def _files(folder: Path) -> Iterator[Path]:
    """Give what is in a folder, and what is within that, the innermost first."""
    for one in sorted(folder.iterdir()):
        if one.is_dir():
            yield from _files(one)
        yield one


def _sync(folder: Path) -> None:
    for one in (*_files(folder), folder):
        opened = os.open(one, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _entry(path: Path) -> Entry:
    size = sum(-(-one.stat().st_size // PAGE) * PAGE for one in _files(path))
    event: Any = {}
    with suppress(OSError, ValueError):
        event = json.loads((path / EVENT).read_text())
    there = path.stat()
    known = isinstance(event, dict) and isinstance(event.get("utc_ns"), int)
    return Entry(path.name, size + PAGE, event["utc_ns"] if known else there.st_mtime_ns,
                 event.get("synchronised") if known else None, there.st_mtime_ns)
