"""The names by which a network's file calls its inputs and outputs: converters reorder them, their names stay.

Source: TensorFlow Lite's schema.fbs for the numbers of fields.
"""

from __future__ import annotations

import struct

from reflexd_models.flatbuffer import Table


def names(content: bytes) -> tuple[dict[int, str], dict[int, str]]:
    """Give the names of inputs and of outputs by the number of their tensor; none where the file says none, or is damaged."""
    try:
        for one in Table.root(content).tables(7):
            if one.number(4, "<I") == 0:       # of the first subgraph, which is what the runtimes run
                return _side(one, 0), _side(one, 1)
    except struct.error:
        pass
    return {}, {}


def _side(signature: Table, field: int) -> dict[int, str]:
    return {entry.number(1, "<I"): entry.bytes(0).decode(errors="replace") for entry in signature.tables(field)}
