"""Pulse and pattern: whether an output that follows one is on at a moment, and when that changes.

The schedule is absolute: it counts from the first moment that the output was on. So an edge that was late makes no later one
late, and after a stall the output takes up the phase of that moment and makes up for none.
"""

from __future__ import annotations

from typing import NamedTuple

from reflexd.rules.items import Pattern


class Phase(NamedTuple):
    """Where a pattern is."""

    on: bool
    over: bool             # every repetition is through: what comes is rest, until the claim ends
    until: int | None      # when that changes; None for never


OVER = Phase(on=False, over=True, until=None)


def phase(pattern: Pattern, since: int, now: int) -> Phase:
    """Say where a pattern is that began at `since`, both monotonic ns. The last pause of the last repetition is rest already."""
    whole = sum(pattern.phases)
    if pattern.times and now - since >= whole * pattern.times - pattern.phases[-1]:
        return OVER
    into = (now - since) % whole
    index, end = 0, pattern.phases[0]
    while into >= end:
        index += 1
        end += pattern.phases[index]
    return Phase(on=index % 2 == 0, over=False, until=now - into + end)
