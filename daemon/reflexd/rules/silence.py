"""Conditions that go by the time that passes: nothing is heard any more, or something was true a while ago."""

from __future__ import annotations

from typing import ClassVar

from reflexd.rules.items import NS, Verdict
from reflexd.rules.remembering import Remembering, Test
from reflexd.rules.sources import Source


class Silent(Remembering):
    """Nothing fresh has been heard of a source for a time, whatever the reason.

    Its own source is the clock, so that it is asked while the other one is silent. That the other one fails does not end what
    it began, for that is what it tells. It goes by monotonic time: what the wall clock says does not matter.
    """

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_since",)

    def __init__(self, clock: Source, subject: Source, for_s: float) -> None:
        super().__init__(clock, f"{subject.name} silent for {for_s:g} s")
        self._subject = subject
        self._for_ns = round(for_s * NS)
        self.forget()

    def forget(self) -> None:
        """Listen from now on."""
        self._since = -1       # since when it could have been heard: from the first look on, and while its gates let it speak

    def see(self) -> None:
        """Begin to listen, or begin anew while it may not speak."""
        now = self.source.taken_at
        if self._since < 0 or self._subject.gated(now):
            self._since = now

    def _silent_ns(self) -> int:
        return self.source.taken_at - max(self._since, self._subject.heard_at)

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say for how long, up to the newest Clock; what was not heard yet is unknown until the time is over."""
        if self._subject.gated(now):
            return None, "gated by only_while"
        if self._silent_ns() >= self._for_ns:
            return True, self._subject.trouble
        return (False if self._subject.heard_at >= self._since else None), ""

    def unit(self) -> str:
        """What is observed is a time."""
        return "s"

    def observed(self) -> float:
        """Give the seconds for which nothing was heard."""
        return max(self._silent_ns(), 0) / NS

    def threshold(self) -> float:
        """Give the seconds that it takes."""
        return self._for_ns / NS

    def margin(self) -> float:
        """Give the seconds beyond."""
        return (max(self._silent_ns(), 0) - self._for_ns) / NS


class Within:
    """Another condition was seen to be true at any moment of the last seconds.

    That is remembered while its source is silent, fails or rests, but not over a stop. Else it says what the other one
    says: false is that it is false now and was not seen to be true, and not that it cannot have been.
    """

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_true_at",)

    def __init__(self, inner: Test, within_s: float) -> None:
        self.source = inner.source
        self.parts: tuple[Test, ...] = (self, *inner.parts)
        self._inner = inner
        self._within_ns = round(within_s * NS)
        self._words = f" within {within_s:g} s"
        self.void()

    def observe(self) -> None:
        """Look at the newest item, and whether it makes the condition true."""
        self._inner.observe()
        if self._inner.judge(self.source.taken_at, self.source).truth:
            self._true_at = self.source.taken_at

    def threshold(self) -> float:
        """Give the seconds for which it counts."""
        return self._within_ns / NS

    def void(self) -> None:
        """Forget: what was seen before a stop does not count after it."""
        self._true_at = -1       # when the newest item was taken at which it was true

    def judge(self, now: int, moved: Source | None) -> Verdict:
        """Say what holds now, or held a while ago."""
        verdict = self._inner.judge(now, moved)
        verdict = verdict._replace(what=verdict.what + self._words)
        if verdict.truth or self._true_at < 0 or now - self._true_at > self._within_ns:
            return verdict
        ago = (now - self._true_at) / NS
        return Verdict(True, verdict.what, ago, "since it was true", self.threshold() - ago, "s")
