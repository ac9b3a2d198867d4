"""Both ends of a network as its file's tables have them: shapes, names, keys of the signature, and what gave an output.

No runtime is needed, and the file may be hostile: reading outside it raises struct.error.
Source: TensorFlow Lite's schema.fbs for the numbers of fields and of types.
"""

from __future__ import annotations

from dataclasses import dataclass

from reflexd_models.flatbuffer import MOST_PARTS, Table

MOST_CUSTOM = 64     # operators; a hostile file may claim that each has a thousand outputs
FLOAT32 = 0          # TensorType
GREATEST = {9: 127, 3: 255, 7: 32_767}      # INT8, UINT8, INT16


@dataclass(frozen=True, slots=True)
class End:
    """One input or output; a shape may be empty where only running the network tells it."""

    index: int               # of the tensor, as the runtimes count
    name: str
    shape: tuple[int, ...]
    is_float: bool
    key: str = ""            # in the signature
    operator: str = ""       # the custom operator that gives it
    place: int = 0           # which of that operator's outputs it is
    greatest: float | None = None    # the largest real number of a quantized one; None where there is no such bound


@dataclass(frozen=True, slots=True)
class Ends:
    """The inputs and outputs, in the runtimes' order."""

    inputs: tuple[End, ...]
    outputs: tuple[End, ...]


def read(content: bytes) -> Ends:
    """Read the first subgraph's ends. Raises: struct.error."""
    model = Table.root(content)
    subgraph = next(model.tables(2), None)
    if subgraph is None:
        return Ends((), ())
    tensors, makers = list(subgraph.tables(0, MOST_PARTS)), _makers(model, subgraph)
    keys = _keys(model)

    def ends(field: int, side: int) -> tuple[End, ...]:
        return tuple(_end(tensors[index], index, keys[side].get(index, ""), makers.get(index, ("", 0)))
                     for index in subgraph.integers(field) if 0 <= index < len(tensors))

    return Ends(ends(1, 0), ends(2, 1))


def _end(tensor: Table, index: int, key: str, maker: tuple[str, int]) -> End:
    return End(index, tensor.text(3), tensor.integers(0), tensor.number(1, "<b") == FLOAT32, key, *maker,
               _greatest(tensor))


def _greatest(tensor: Table) -> float | None:
    """Give the real number of the last step: (raw - zero point) * scale, where one scale is for all of it."""
    largest, quantization = GREATEST.get(tensor.number(1, "<b")), tensor.table(4)
    scales = () if quantization is None else quantization.floats(2)
    if largest is None or quantization is None or len(scales) != 1 or not scales[0] > 0:
        return None
    return (largest - next(iter(quantization.longs(3)), 0)) * scales[0]


def _keys(model: Table) -> tuple[dict[int, str], dict[int, str]]:
    """Give the keys of inputs and of outputs, by tensor, of the first signature that is of the first subgraph."""
    for signature in model.tables(7):
        if signature.number(4, "<I") == 0:
            return _keys_of(signature, 0), _keys_of(signature, 1)
    return {}, {}


def _keys_of(signature: Table, side: int) -> dict[int, str]:
    return {entry.number(1, "<I"): entry.text(0) for entry in signature.tables(side)}


def _makers(model: Table, subgraph: Table) -> dict[int, tuple[str, int]]:
    """Say of each tensor that a custom operator gives which one that is, and which of its outputs."""
    codes = [code.text(1) for code in model.tables(1)]
    custom = [operator for operator in subgraph.tables(3, MOST_PARTS if any(codes) else 0)
              if operator.number(0, "<I") < len(codes) and codes[operator.number(0, "<I")]]
    return {index: (codes[operator.number(0, "<I")], place)
            for operator in custom[:MOST_CUSTOM] for place, index in enumerate(operator.integers(2))}
