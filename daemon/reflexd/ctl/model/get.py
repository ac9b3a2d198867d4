"""reflexctl model get: fetch a well-known public network, verify it, make it a bundle, install it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from reflexd.ctl.model.common import add_common, add_swapping
from reflexd.ctl.model.placing import place

if TYPE_CHECKING:
    from reflexd_models.bundle import Bundle
    from reflexd_models.catalogue import Entry

HELP = "fetch a well-known public network, verify it, and install it as a bundle"
WIDE = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="one of the catalogue; without it the catalogue is shown")
    parser.add_argument("--from", dest="file", metavar="FILE", type=Path, help="the file, brought by hand: nothing is fetched")
    parser.add_argument("--as", dest="alias", metavar="NAME", help="the name to install it under; default the catalogue's")
    parser.add_argument("--catalogue", metavar="FILE", type=Path, help="another catalogue than the one that comes with reflexd")
    add_common(parser)
    add_swapping(parser)


def run(args: argparse.Namespace) -> int:
    """Fetch and install it. Raises: ModelError."""
    from reflexd_models import catalogue, making, store
    from reflexd_models.base import ModelError

    entries = catalogue.read(args.catalogue or catalogue.SHIPPED)
    if args.name is None:
        return _show(args, entries)
    if args.name not in entries:
        raise ModelError(f'"{args.name}": the catalogue has none of that name; it has {", ".join(sorted(entries))}; '
                         "any other file goes with reflexctl model add FILE")
    entry, name = entries[args.name], store.check_name(args.alias or args.name)
    content = _brought(entry, args.file) if args.file is not None else _fetched(args, entry)
    bundle = making.made_of(_bundle(args.name, entry, content), name, content)
    return place(args, name, bundle, licence=entry.licence, address=entry.address)


def _brought(entry: Entry, file: Path) -> bytes:
    from reflexd_models import catalogue, files
    from reflexd_models.bundle import LARGEST

    content = files.read(file, LARGEST, "the network")
    catalogue.verify(entry, content, str(file))
    return content


def _fetched(args: argparse.Namespace, entry: Entry) -> bytes:
    from reflexd_models.download import fetch

    progress = Progress(entry.size, sys.stderr)
    if not args.json:
        print(f"{entry.address} ({entry.size / 1e6:.1f} MB, {entry.licence})", file=sys.stderr)
    try:
        return fetch(entry, progress.tell)
    finally:
        progress.end()


def _bundle(name: str, entry: Entry, content: bytes) -> Bundle:
    """Say how the file is read: as the catalogue has it, and labels from inside where that has none. Raises: ModelError."""
    from reflexd_models import metadata, tasks
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import Bundle

    if entry.task not in tasks.names():
        raise ModelError(f'network.{name}: the catalogue names a task "{entry.task}"; there are {", ".join(tasks.names())}')
    labels = entry.labels or metadata.read(content, entry.address).labels or ()
    return replace(Bundle(name, Path(f"{name}.tflite"), entry.task, labels), input=entry.input)


def _show(args: argparse.Namespace, entries: dict[str, Entry]) -> int:
    import json

    if args.json:
        print(json.dumps({name: entry.model_dump(exclude_none=True) for name, entry in entries.items()}, indent=2))
        return 0
    for name, entry in entries.items():
        print(f"{name}  {entry.size / 1e6:.1f} MB, {entry.licence}, {entry.task}\n    {entry.what}")
    return 0


class Progress:
    """A bar on a terminal; elsewhere a line at each quarter."""

    def __init__(self, size: int, out: TextIO) -> None:
        self._size, self._out, self._bar, self._told = size, out, out.isatty(), -1

    def tell(self, got: int) -> None:
        """Show how much is there."""
        share = got / self._size
        step = int(share * (100 if self._bar else 4))
        if step == self._told:
            return
        self._told = step
        if self._bar:
            self._out.write(f"\r[{'#' * int(share * WIDE):<{WIDE}}] {share:4.0%}")
        else:
            self._out.write(f"{got} of {self._size} bytes\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._bar and self._told >= 0:
            self._out.write("\n")
