"""Read what a .tflite file says of itself: labels, normalisation, thresholds. Standard library only.

Labels are a zip archive behind the network; the rest is a flatbuffer inside the flatbuffer, named
TFLITE_METADATA, whose own mark is M001. Ultralytics puts a metadata.json into such an archive instead.
The file may be hostile: every offset is checked against the file, every list has a limit, nothing recurses
(but json, which says so), and at most LARGEST bytes are unpacked.
Source: TensorFlow Lite's schema.fbs and metadata_schema.fbs (field numbers).
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from reflexd_models.base import ModelError
from reflexd_models.flatbuffer import MOST, Table

LARGEST = 1 << 20        # bytes of a label file
MOST_LABELS = 100_000
OF_ULTRALYTICS = "metadata.json"
NORMALIZATION, THRESHOLDING = 1, 3       # ProcessUnitOptions
AXIS_LABELS, VALUE_LABELS = 2, 3         # AssociatedFileType


@dataclass(frozen=True, slots=True)
class Metadata:
    """What was found; None for what the file does not say."""

    labels: tuple[str, ...] | None = None
    mean: float | None = None
    std: float | None = None
    threshold: float | None = None
    outputs: tuple[str, ...] = ()        # what each output is called there, in their order
    ultralytics: str | None = None       # the task of a file that Ultralytics wrote


def read(content: bytes, where: str) -> Metadata:
    """Read a whole file's metadata; `where` names it in errors.

    Raises: ModelError when there is metadata and it is damaged.
    """
    try:
        found = _metadata(content)
        names = [] if found is None else _label_files(found)
        mean, std = _normal(found)
        called = tuple(tensor.text(0) for tensor in found.tables(3)) if found else ()
        with _archive(content, names) as archive:
            if archive is not None and OF_ULTRALYTICS in archive.namelist()[:MOST]:
                return _of_ultralytics(json.loads(_text(archive, OF_ULTRALYTICS)))
            return Metadata(_labels(archive, names), mean, std, _threshold(found), called)
    except struct.error:
        raise ModelError(f"{where}: the file is cut off or damaged: its tables reach outside it; fetch it again") from None
    except (UnicodeDecodeError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError,
            NotImplementedError, RecursionError) as problem:
        raise ModelError(f"{where}: the metadata inside is damaged: {problem}; fetch the file again") from None


def _metadata(content: bytes) -> Table | None:
    """Find the first subgraph's metadata in the network's flatbuffer."""
    model = Table.root(content)
    buffers = list(model.tables(4))
    for entry in model.tables(6):
        index = entry.number(1, "<I")
        if entry.bytes(0) == b"TFLITE_METADATA" and index < len(buffers):
            inner = buffers[index].bytes(0)
            return next(Table.root(inner).tables(3), None) if inner[4:8] == b"M001" else None
    return None


def _options(tensor: Table, kind: int) -> Iterator[Table]:
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.number(0, "<B") == kind and options is not None:
            yield options


def _normal(subgraph: Table | None) -> tuple[float | None, float | None]:
    for tensor in subgraph.tables(2) if subgraph else ():
        for options in _options(tensor, NORMALIZATION):
            means, stds = set(options.floats(0)), set(options.floats(1))
            if len(means) == 1 and len(stds) == 1 and 0 not in stds:      # one for all channels; others are rare
                return means.pop(), stds.pop()
    return None, None


def _threshold(subgraph: Table | None) -> float | None:
    for tensor in subgraph.tables(3) if subgraph else ():
        for options in _options(tensor, THRESHOLDING):
            place = options.place(0)
            return 0.0 if place is None else float(struct.unpack_from("<f", options.data, place)[0])
    return None


def _label_files(subgraph: Table) -> list[str]:
    kinds = (AXIS_LABELS, VALUE_LABELS)
    files = [file for tensor in subgraph.tables(3) for file in tensor.tables(6)]
    return [file.bytes(0).decode() for file in files if file.number(2, "<b") in kinds]


def _archive(content: bytes, names: list[str]) -> AbstractContextManager[zipfile.ZipFile | None]:
    """Open the archive behind the network, where there is one."""
    if b"PK\x05\x06" in content[-66_000:]:
        return zipfile.ZipFile(io.BytesIO(content))
    if names:
        raise ValueError(f"{names[0]} is named and no archive follows the network, so the file is cut off")
    return nullcontext()


def _text(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError(f"{name} is larger than a megabyte")
    return text.decode("utf-8-sig")


def _labels(archive: zipfile.ZipFile | None, names: list[str]) -> tuple[str, ...] | None:
    """Read the named label file, or the only text file."""
    there = [] if archive is None else [entry.filename for entry in archive.infolist()[:MOST]]
    texts = [name for name in there if name.endswith(".txt")]
    chosen = next((name for name in names if name in there), texts[0] if len(texts) == 1 else None)
    if archive is None or chosen is None:
        return None
    text = _text(archive, chosen)
    return None if text.startswith("{") else lines(text)      # early Ultralytics files have a text of theirs there


def _of_ultralytics(said: Any) -> Metadata:      # noqa: ANN401
    """Take labels and task; its networks want pixels as shares, which no file of theirs says.

    Source: Ultralytics' exporter (`names`, `task`) and predictor (a picture is divided by 255).
    """
    names = said.get("names") if isinstance(said, dict) else None
    if not isinstance(names, dict) or not 0 < len(names) <= MOST_LABELS:
        raise ValueError(f"{OF_ULTRALYTICS} has no names")
    labels = tuple(str(names[key])[:200] for key in sorted(names, key=int))
    if [int(key) for key in sorted(names, key=int)] != list(range(len(names))):
        raise ValueError(f"{OF_ULTRALYTICS} does not name every class")
    return Metadata(labels, 0.0, 255.0, ultralytics=str(said.get("task")))


def lines(text: str) -> tuple[str, ...]:
    """Read labels, one a line; empty lines at the end do not count."""
    return tuple(line.strip() for line in text.rstrip().splitlines())
