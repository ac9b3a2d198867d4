"""What all conditions have in common: unknown while their source is, forgetful over a gap.

A condition is shown each new item of its source by observe() and asked by judge(). It says None,
unknown, whenever its source may not be used, and forgets what it remembered over a gap.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from reflexd.rules.items import NS, Verdict
from reflexd.rules.sources import Source


class Test(Protocol):
    """What every kind of condition does."""

    REMEMBERS: ClassVar[tuple[str, ...]]
    source: Source

    @property
    def parts(self) -> tuple[Test, ...]:
        """Give itself, and the conditions in it that remember something of their own."""
        ...

    def void(self) -> None:
        """Forget what would outlast a gap, because of a stop."""
        ...

    def observe(self) -> None:
        """Look at the item that the source has just taken over."""
        ...

    def judge(self, now: int, moved: Source | None) -> Verdict:
        """Say what holds now; `moved` is the source whose item is being decided on."""
        ...

    def threshold(self) -> float | None:
        """Give the number that counts by now; None where there is none."""
        ...


class Remembering:
    """The part that all conditions share: unknown while the source is, forgetful over a gap."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_epoch",)

    def __init__(self, source: Source, what: str) -> None:
        self.source = source
        self.what = what
        self.unwanted = False      # in `unless`: what was not seen may hide that it is true, and false lets the rule act
        self._epoch = -1

    @property
    def parts(self) -> tuple[Test, ...]:
        """There is no other in it."""
        return (self,)

    def void(self) -> None:
        """Nothing outlasts a gap."""

    def forget(self) -> None:
        """Drop what was remembered."""

    def see(self) -> None:
        """Take the source's newest item into account."""

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Give the truth and a note, the source being usable."""
        raise TypeError(f"{type(self).__name__} says nothing")

    def observe(self) -> None:
        """Look at the newest item, after forgetting what lies behind a gap."""
        if self._epoch != self.source.epoch:
            self.forget()
            self._epoch = self.source.epoch
        self.see()

    def judge(self, now: int, moved: Source | None) -> Verdict:
        """Say what holds now."""
        trouble = self.source.unusable(now)
        if trouble or self._epoch != self.source.epoch:
            return Verdict(None, self.what, None, trouble or "starts anew")
        truth, note = self.says(now, moved is self.source)
        return Verdict(truth, self.what, self.observed(), note, self.margin(), self.unit())

    def observed(self) -> float | bool | str | None:
        """Give the number behind the verdict."""
        return self.source.value

    def unit(self) -> str:
        """Name the unit of that number, where it is not the one of the source's value."""
        return ""

    def threshold(self) -> float | None:
        """Give the threshold that counts: to begin, or to go on. None where there is none."""
        return None

    def margin(self) -> float | None:
        """Say by how much what was observed holds, in its unit; negative: what it is short of. None where that is no number."""
        return None


class Valued(Remembering):
    """A condition on a value, which is unknown while the source is unsure of it."""

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Pass on what the value says."""
        if self.source.value is None:
            return None, self.source.trouble or "no value"
        return self.holds(now, moved)

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Give the truth and a note, the value being known."""
        raise TypeError(f"{type(self).__name__} holds nothing")


class Timed(Valued):
    """One that compares a time, in seconds."""

    def unit(self) -> str:
        """What is observed is a time."""
        return "s"


def new(count: int, last: int, now: int) -> str:
    """Say how often something came with the newest item, and where it did not, how long ago it last did."""
    return f"{count} new" + (f", the last {(now - last) / NS:.1f} s before" if not count and last >= 0 else "")


def number(value: object) -> float | None:
    """Give a value as a number; a text is none."""
    return float(value) if isinstance(value, (int, float)) else None
