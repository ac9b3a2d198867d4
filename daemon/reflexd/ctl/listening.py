"""Windows of a running daemon's sensors, look by look: for what is slow, as temperature or current."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reflexd.ctl.watch import LOOK_S, number
from reflexd.windows import Plan, Windows
from reflexd_drivers.base import Reading

FASTEST_HZ = 3.0         # half as often as somebody looks: of what is faster readings would be missed
GAP_SAMPLES = 4
NS = 1_000_000_000
Look = Mapping[str, Any]
Ask = Callable[[str], Look]


class Clock:
    """Time, and waiting for it; a test has its own."""

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self.now, self.sleep = now, sleep


def listen(ask: Ask, sensors: Sequence[str], plan: tuple[float, int, int], seconds: float,
           clock: Clock) -> Iterator[NDArray[np.float32]]:
    """Look at sensors until the time is up, and give each window of the plan (rate_hz, length, hop) as it becomes whole.

    What the daemon heard between two looks is missed but for its newest; a sensor that is unknown begins the window anew.
    """
    rate_hz, length, hop = plan
    cutter = Windows(Plan((1,) * len(sensors), rate_hz, length, hop, GAP_SAMPLES * 1000 / rate_hz))
    heard = [-1] * len(sensors)
    until = clock.now() + seconds
    while clock.now() < until:
        for place, name in enumerate(sensors):
            look = ask(name)
            value = number(look)
            if value is None or isinstance(look["value"], bool):
                cutter.restart(f"{name} is unknown")
            elif look["readings"] != heard[place]:
                at = round((clock.now() - look["age_ms"] / 1000) * NS)
                cutter.add(place, Reading(value, at, at))
            heard[place] = look.get("readings", -1)
        taken = cutter.take()
        if taken is not None:
            yield taken[0].copy()
        clock.sleep(LOOK_S)
