"""A level that follows a value: on the straight line between two points, level beyond them, and not for each small change."""

from __future__ import annotations

from typing import ClassVar

from reflexd.config.settings import LevelOf
from reflexd.rules.remembering import Valued, number
from reflexd.rules.sources import Source


class Following(Valued):
    """What a rule drives an output to. It is judged like a condition: without a number that is known the rule does not act."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("level",)

    def __init__(self, source: Source, settings: LevelOf) -> None:
        super().__init__(source, f"{source.name} gives the level")
        self._values, self._levels = settings.from_, settings.to
        self._step = settings.step * abs(settings.to[1] - settings.to[0])
        self.forget()

    def forget(self) -> None:
        """Take the next value as it is."""
        self.level: float | None = None

    def see(self) -> None:
        """Follow the value where it moved the level by a step, or to an end."""
        value = number(self.source.value)
        if value is None:
            self.level = None
            return
        level = self._line(value)
        if self.level is None or abs(level - self.level) >= self._step or level in self._levels:
            self.level = level

    def _line(self, value: float) -> float:
        """Give the level of a value; exactly that of an end from there on."""
        (first, last), (low, high) = self._values, self._levels
        share = (value - first) / (last - first)
        if share <= 0:
            return low
        return high if share >= 1 else round(low + (high - low) * share, 6)

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say whether there is a level."""
        return (None, "no number") if self.level is None else (True, f"level {self.level:g}")


def source_of_level(settings: LevelOf) -> str:
    """Name what a level follows, as "sensor.temp"."""
    return f"model.{settings.model}" if settings.sensor is None else f"sensor.{settings.sensor}"
