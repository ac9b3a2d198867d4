"""What was decided on around an event, as a recording for reflexctl replay: from a mark before it until some seconds after it."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic_ns, time
from typing import TypeAlias

from reflexd import __version__
from reflexd.replay.plain import plain_of
from reflexd.replay.tape import Begin, Taken, Writer
from reflexd.rules.items import NS
from reflexd.trace import Chunk, Mark

Fetch: TypeAlias = Callable[[int | None, float], tuple[Chunk, Mapping[str, str]]]
"""Gives notes from a number on, or else from so many seconds ago, and the hash of each network."""


def write_recording(path: Path, fetch: Fetch, begin: int, end: int, boot: str) -> None:
    """Write all items from a mark by `begin` until `end`, monotonic ns, a part at a time. Raises: OSError."""
    writer = Writer(path, __version__, boot)
    try:
        number, on = None, True
        while on:
            chunk, bundles = fetch(number, (monotonic_ns() - begin) / NS)
            on = _write(writer, chunk, bundles, end)
            number = chunk.number + len(chunk.notes)
        writer.end()
    except BaseException:
        writer.abandon()
        raise


def _write(writer: Writer, chunk: Chunk, bundles: Mapping[str, str], end: int) -> bool:
    """Write a part; false when it was the last one."""
    if chunk.mark is not None and chunk.mark.now > end:
        return False
    if chunk.lost:
        writer.lose(chunk.lost)
    if chunk.mark is not None:
        writer.begin(_begin(chunk.mark, bundles))
    for note in chunk.notes:
        taken = Taken(*marshal.loads(note))      # noqa: S302  made by this process
        if taken.now > end:
            return False
        writer.take(taken)
    return bool(chunk.notes)


def _begin(mark: Mark, bundles: Mapping[str, str]) -> Begin:
    return Begin(mark.now, plain_of(mark.settings), mark.memory, time() - (monotonic_ns() - mark.now) / NS, bundles)
