"""From a device's number to SI units, and what can be true: the keys of every driver that reads a number."""

from __future__ import annotations

from math import isfinite
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]


class NumberKeys(BaseModel):
    """What is made of a number that was read."""

    scale: Finite = Field(default=1, description="a number is multiplied by it, to come to SI units")
    offset: Finite = Field(default=0, description="added to a number after scale")
    range: tuple[Finite, Finite] | None = Field(default=None, description="least and greatest number that can be true")

    @model_validator(mode="after")
    def _in_order(self) -> NumberKeys:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("range is the least, then the greatest; exchange the two")
        return self

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Say between which two numbers every reading lies: what is outside of range never becomes one."""
        return self.range


def number(found: object, keys: NumberKeys) -> float:
    """Read a finite number in range. Raises: ValueError, OverflowError."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise ValueError("no number")
    value = float(found) * keys.scale + keys.offset
    least, greatest = keys.range or (-float("inf"), float("inf"))
    if not isfinite(value) or not least <= value <= greatest:
        raise ValueError("out of range")
    return value
