"""What keeps events from being stored: since when, when it is tried again, and the two lines that the log has of it."""

from __future__ import annotations

from reflexd.workers import BACKOFF_S


class Hindrance:
    """Why events wait; times are seconds of a clock that never steps."""

    def __init__(self) -> None:
        self.why = ""              # empty while nothing hinders
        self.not_before = 0.0      # when it is tried again
        self.told = False
        self._since = 0.0
        self._lost_before = 0      # events that were dropped before it began
        self._attempt = 0

    def begin(self, why: str, dropped: int, now_s: float, quietly: bool = False) -> str:
        """Note why events wait. Gives what the log has to say of it: once, and of what is not to be told nothing."""
        if not self.why:
            self._since, self._lost_before = now_s, dropped
        self.why = why
        if self.told or quietly:
            return ""
        self.told = True
        return f"events wait in memory: {why}"

    def end(self, dropped: int, now_s: float) -> str:
        """Note that events are stored again. Gives what the log has to say of it; nothing where it did not say that they wait."""
        line = (f"events are stored again after {now_s - self._since:.1f} s; {dropped - self._lost_before} were dropped meanwhile"
                if self.told else "")
        self.why, self.told = "", False
        return line

    def put_off(self, now_s: float) -> None:
        """Try again later, and each time in a row later than before."""
        self.not_before = now_s + BACKOFF_S[min(self._attempt, len(BACKOFF_S) - 1)]
        self._attempt += 1

    def go_on(self, at_s: float) -> None:
        """It went well: go on at that moment."""
        self._attempt, self.not_before = 0, at_s

    def lasts_s(self, now_s: float) -> float:
        """Say for how long events have been waiting."""
        return now_s - self._since if self.why else 0.0
