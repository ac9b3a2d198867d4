"""What a .tflite file consists of, read without a runtime: tensors, operators and their versions.

So a file that no runtime loads can be looked at too. It may be hostile: flatbuffer.py checks every offset, and lists are bounded.
Source: TensorFlow Lite's schema.fbs for the numbers of fields.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass

from reflexd_models.base import ModelError
from reflexd_models.flatbuffer import MOST_PARTS, Table
from reflexd_models.operators import CUSTOM, NAMES

TYPES = ("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64", "complex128",
         "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16")
SHOWN = 64          # inputs and outputs, and dimensions of a shape


@dataclass(frozen=True, slots=True)
class TensorAnatomy:
    """One tensor; real = (raw - zero_point) * scale, and a scale of 0 means that raw is real."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    channels: int            # scales, where each channel has its own; else 1, or 0


@dataclass(frozen=True, slots=True)
class OperatorAnatomy:
    """One kind of operator."""

    name: str
    version: int
    count: int


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The first subgraph of a network, and how many there are."""

    inputs: tuple[TensorAnatomy, ...]
    outputs: tuple[TensorAnatomy, ...]
    operators: tuple[OperatorAnatomy, ...]
    tensors: int
    subgraphs: int


def read(content: bytes, where: str) -> Anatomy:
    """Read a whole file; `where` names it in errors. Raises: ModelError."""
    if content[4:8] != b"TFL3":
        raise ModelError(f"{where}: is not a TensorFlow Lite file: no TFL3 mark in it; give a .tflite file")
    try:
        return _read(Table.root(content))
    except struct.error:
        raise ModelError(f"{where}: the file is cut off or damaged: its tables reach outside it; fetch it again") from None


def _read(model: Table) -> Anatomy:
    graphs = list(model.tables(2))
    if not graphs:
        return Anatomy((), (), (), 0, 0)
    tensors = list(graphs[0].tables(0, MOST_PARTS))
    codes = [_operator(code) for code in model.tables(1)]
    used = Counter(operator.number(0, "<I") for graph in graphs for operator in graph.tables(3, MOST_PARTS))
    operators = tuple(OperatorAnatomy(*codes[index], count) for index, count in sorted(used.items()) if index < len(codes))
    return Anatomy(_chosen(graphs[0], 1, tensors), _chosen(graphs[0], 2, tensors), operators, len(tensors), len(graphs))


def _chosen(graph: Table, field: int, tensors: list[Table]) -> tuple[TensorAnatomy, ...]:
    return tuple(_tensor(tensors[index]) for index in _numbers(graph, field, "i", 4)[:SHOWN] if 0 <= index < len(tensors))


def _tensor(table: Table) -> TensorAnatomy:
    kind = table.number(1, "<b")
    quantization = table.table(4)
    scales = quantization.floats(2) if quantization else ()
    zeros = _numbers(quantization, 3, "q", 8) if quantization else ()
    scale = scales[0] if scales and math.isfinite(scales[0]) else 0.0
    called = TYPES[kind] if 0 <= kind < len(TYPES) else f"type {kind}"
    shape = _numbers(table, 0, "i", 4)[:SHOWN]
    return TensorAnatomy(_text(table.bytes(3)), shape, called, scale, zeros[0] if zeros else 0, len(scales))


def _operator(code: Table) -> tuple[str, int]:
    """Name an operator: its number was a byte in older files, and is the larger of the two fields."""
    number = max(code.number(0, "<b"), code.number(3, "<i"))
    name = NAMES[number] if 0 <= number < len(NAMES) else f"operator {number}"
    version = code.number(2, "<i") if code.place(2) is not None else 1
    return (_text(code.bytes(1)) or name if number == CUSTOM else name), version


def _numbers(table: Table, field: int, kind: str, size: int) -> tuple[int, ...]:
    place = table.place(field)
    if place is None:
        return ()
    start = place + struct.unpack_from("<I", table.data, place)[0]
    count = min(struct.unpack_from("<I", table.data, start)[0], MOST_PARTS)
    return struct.unpack_from(f"<{count}{kind}", table.data, start + 4) if count * size <= len(table.data) else ()


def _text(found: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in found[:200].decode("utf-8", "replace"))
