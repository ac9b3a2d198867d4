"""What was found in a recording, written for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from reflexd.replay.driven import Activity
from reflexd.replay.whatif import Moment, RuleChange, WhatIf
from reflexd.rules.items import NS

SHOWN = 5        # moments of a rule


class Clockwork:
    """Writes moments as the time since the recording begins, and by the wall clock where that is known."""

    def __init__(self, first: int, utc_s: float | None) -> None:
        self._first = first
        self._utc_s = utc_s

    def seconds(self, at: int) -> float:
        """Give the time since it begins."""
        return round((at - self._first) / NS, 6)

    def __call__(self, at: int) -> str:
        """Write both."""
        text = f"{self.seconds(at):.3f} s"
        return text if self._utc_s is None else f"{text} ({self.wall(at)})"

    def wall(self, at: int) -> str:
        """Write it as a clock on the wall would."""
        when = datetime.fromtimestamp((self._utc_s or 0.0) + (at - self._first) / NS, UTC).astimezone()
        return f"{when:%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """Write how long something lasts."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def printable(text: str) -> str:
    """Write no sign that moves a terminal's cursor: a recording may come from somebody else."""
    return "".join(one if one.isprintable() else "?" for one in text)


def times(count: int) -> str:
    """Write how often."""
    return "once" if count == 1 else f"{count} times"


def changes(found: WhatIf) -> Iterator[str]:
    """Tell of each rule and output what differs, a line each, with moments below."""
    clock = Clockwork(found.first, found.utc_s)
    if found.otherwise:
        yield f"this version decides on {found.otherwise} items otherwise than is recorded, with the recorded configuration too"
    for name, one in sorted(found.rules.items()):
        yield f'rule "{name}": {of_rule(one, found)}'
        yield from (f"  {reason}" for reason in lacking(one, found))
        if one.now is not None and not one.unknown(found.last - found.first):      # of one that is gone, each moment differs
            yield from (f"  {of_moment(moment, clock)}" for moment in one.moments[:SHOWN])
            if one.differing > SHOWN:
                yield f"  and {times(one.differing - SHOWN)} more"
    for name, (then, now) in sorted(found.outputs.items()):
        yield f"output {name}: {_so_far_as_known(name, then, now, found)}"


def rules(found: WhatIf) -> Iterator[str]:
    """Tell of each rule in one line how often it would have fired."""
    for name, one in sorted(found.rules.items()):
        yield f'rule "{name}": {"; ".join((of_rule(one, found), *lacking(one, found)))}'


def of_rule(one: RuleChange, found: WhatIf) -> str:
    """Say how often it would have fired, and how often it did."""
    then = "never" if one.then == 0 else times(one.then or 0)
    if one.now is None:
        return f"is no longer there; it fired {then}"
    if one.unknown(found.last - found.first):
        return "not known" + ("" if one.then is None else f" how often; it fired {then}")
    return f"{_now(one)}{_then(one, then)}"


def _now(one: RuleChange) -> str:
    if not one.now:
        return "would not have fired" + (" where that can be told" if one.unknown_ns else "")
    return f"would have fired {'at least ' if one.unknown_ns else ''}{times(one.now)}"


def _then(one: RuleChange, then: str) -> str:
    if one.then is None:
        return "; there was no such rule"
    if one.now != one.then:
        return f" instead of {then}" if one.now else f"; it fired {then}"
    return ", at other moments" if one.differing else ", as it did" if one.now else ", as it did not"


def lacking(one: RuleChange, found: WhatIf) -> list[str]:
    """Say what the recording does not tell, and for how long."""
    whole = found.last - found.first
    return [f"not known{'' if ns >= whole else f' for {span(ns / NS)}'}: {reason}" for reason, ns in one.unknown_ns.items()]


def of_moment(moment: Moment, clock: Clockwork) -> str:
    """Say when only one of both configurations has it fire, and what kept the other from it."""
    other, this = ("then", "now") if moment.now else ("now", "then")
    return f"{clock(moment.at)}: only {this}; {other} {moment.why}"


def _so_far_as_known(name: str, then: Activity | None, now: Activity | None, found: WhatIf) -> str:
    """Say what can be told of an output: nothing where a rule that drives it is not known."""
    if now is not None and (dark := unknown_rules(name, found)):
        rules = " and ".join(f'"{rule}"' for rule in dark)
        return f"not known, as rule {rules} is not" + ("" if then is None else f"; it was {active(then)}")
    return of_output(then, now) + (", where that can be told" if now is not None and found.doubts(name) else "")


def unknown_rules(output: str, found: WhatIf) -> list[str]:
    """Name the rules of an output of which nothing is known."""
    return [rule for rule in found.doubts(output) if found.rules[rule].unknown(found.last - found.first)]


def of_output(then: Activity | None, now: Activity | None) -> str:
    """Say how often and for how long it would have been active."""
    if now is None:
        return f"is no longer there; it was {active(then)}"
    would = f"would have been {active(now)}" if now.times else "would not have been active"
    if then is None:
        return f"{would}; there was no such output"
    if (then.times, then.active_ns) == (now.times, now.active_ns):
        return f"{would}, as it was{'' if now.times else ' not'}"
    if now.times and then.times:
        return f"{would} instead of {active(then).removeprefix('active ')}"
    return f"{would}; it was {active(then)}"


def active(one: Activity | None) -> str:
    """Write how often, and for how long in all."""
    return "never active" if one is None or not one.times else f"active {times(one.times)} for {span(one.active_ns / NS)}"


def as_plain(found: WhatIf) -> dict[str, Any]:
    """Give all of it to programs; what is not known is null."""
    clock, whole = Clockwork(found.first, found.utc_s), found.last - found.first
    return {
        "items": found.items, "seconds": round(whole / NS, 6), "utc_s": found.utc_s, "decided_otherwise": found.otherwise,
        "rules": {name: {
            "then": one.then, "now": None if one.unknown(whole) else one.now,
            "unknown": [{"why": why, "seconds": round(ns / NS, 6)} for why, ns in one.unknown_ns.items()],
            "differing": one.differing,
            "moments": [{"at_s": clock.seconds(at), "only": "now" if now else "then", "why": why}
                        for at, now, why in one.moments],
        } for name, one in sorted(found.rules.items())},
        "outputs": {name: {"then": _plain(then), "now": None if unknown_rules(name, found) else _plain(now),
                           "doubts": found.doubts(name)} for name, (then, now) in sorted(found.outputs.items())},
    }


def _plain(one: Activity | None) -> dict[str, float] | None:
    return None if one is None else {"times": one.times, "active_s": round(one.active_ns / NS, 6)}
