"""What is explained of rules, written for a person in aligned columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from reflexd.replay.explaining import FALSE, FIRED, GOES_ON, HELD_BACK, UNKNOWN, WAITS, Explained
from reflexd.replay.misses import Misses, Near, Stopped
from reflexd.replay.moments import span
from reflexd.rules.items import CLOCK, NS, written
from reflexd.rules.rule import Held
from reflexd.rules.telling import Said

TRUTHS = {True: "true", False: "false", None: "unknown"}
LATE_S = 1.0           # a decision that is older than this is told to be so
WIDE = (36, *(60,) * 7)      # of each column: a cell that is longer has no other cell moved for it
INDENT = " " * 8             # of what is folded
Row: TypeAlias = tuple[str, ...]


def told(found: Sequence[Explained], decided_ago_s: Callable[[Explained], float | None], outputs: Callable[[str], list[str]],
         when: Callable[[int], str]) -> Iterator[Row]:
    """Give a row for each rule, then one for each condition, marked where it stopped the rule, and for each output."""
    for one in found:
        yield one.rule, one.state, "; ".join(_why(one, decided_ago_s(one), when))
        for place, said in enumerate(one.conditions):
            age = "" if said.age_s is None else f"{span(said.age_s)} old"
            yield f"  {'>' if place == one.first else ' '} {said.kind}", TRUTHS[said.truth], said.what, _seen(said), age
        for name in one.outputs:
            yield from (("    then", "", text) for text in outputs(name))


def _why(one: Explained, ago_s: float | None, when: Callable[[int], str]) -> Iterator[str]:
    if one.lapse is not None:
        since = "" if one.lapse.since is None else f", unknown since {when(one.lapse.since)}"
        yield f"{one.lapse.what}: {one.lapse.why}{since}"
    if one.state == WAITS:
        yield "was triggered, " + ("and that is void since" if one.acts_in_s is None else f"acts in {span(one.acts_in_s)}")
    elif one.state == HELD_BACK:
        yield f"kept safe by {one.forbids}" if one.held is None and one.forbids else str(one.rests or one.held or "all hold")
    elif one.first is not None:
        yield ("" if one.lapse is None else "it was: ") + short(one.conditions[one.first])
    elif one.lapse is None:
        yield "all conditions hold"
    if one.state in (FALSE, UNKNOWN):
        yield from [str(one.rests)] if one.rests else []
    if one.forbids and (one.state != HELD_BACK or one.held is not None):
        yield f"every output is kept safe by {one.forbids}"
    yield from (f"{actuator} is claimed for {span(left)} more" for actuator, left in one.claims.items())
    if ago_s is None:
        yield "not decided since what is kept begins"
    elif ago_s > LATE_S:
        yield f"decided {span(ago_s)} before"


def short(said: Said) -> str:
    """Write what a condition said in a few words: "person 0.68 < 0.70, short by 0.02; 2 of 5 hits, 3 needed"."""
    if said.truth is None or (said.margin is None and said.note):
        return f"{said.what}: {_seen(said) if said.truth is None else said.note}"
    return f"{said.about} {_seen(said)}"


def _seen(said: Said) -> str:
    if said.truth is None:
        return said.note or "not known yet"
    return "; ".join(part for part in (_observed(said), _where(said), said.note) if part)


def _observed(said: Said) -> str:
    """Write what was observed; nothing where the note says more than that."""
    if said.margin is not None and isinstance(said.observed, (int, float)) and said.threshold is not None:
        return compared(said.observed, said.threshold, said.margin, said.unit)
    if said.note and (said.margin is not None or isinstance(said.observed, bool)):
        return ""
    if said.margin is not None and said.source == CLOCK:
        return f"is {said.observed}, {'ends' if said.truth else 'begins'} in {span(abs(said.margin))}"
    return f"is {_plain(said.observed)}"


def _where(said: Said) -> str:
    """Write how many there are of those that are needed; nothing where one anywhere is enough."""
    if said.there is None or said.count is None or (said.zone is None and said.count == 1):
        return ""
    if said.count > 1:
        return f"{said.there} of {said.count}" + ("" if said.zone is None else f" in zone {said.zone}")
    if said.there:
        return f"zone {said.zone} ok"
    return f"zone {said.zone}: " + (f"none in it, {said.elsewhere:.2f} elsewhere" if said.elsewhere else "none in sight")


def _plain(value: float | bool | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else written(value)


def compared(observed: float, threshold: float, margin: float, unit: str = "") -> str:
    """Write two numbers with as many digits as it takes to tell them apart."""
    digits = next((one for one in range(2, 7) if f"{observed:.{one}f}" != f"{threshold:.{one}f}"), 2)
    sign = "<" if observed < threshold else ">" if observed > threshold else "="
    by = f", short by {-margin:.3g}" if margin < 0 else f", by {margin:.3g}" if margin > 0 else ""
    return f"{observed:.{digits}f} {sign} {threshold:.{digits}f}" + (f" {unit}" if unit else "") + by


def summed(found: Misses, asked_s: float, lasts_s: float, when: Callable[[int], str]) -> Iterator[Row]:
    """Write the near misses of a rule; the first rows tell of all of it."""
    yield (f'rule "{found.rule}": {_times(found.decisions, "decision")} in {span(lasts_s)}, since {when(found.since)}',)
    if lasts_s < asked_s - 0.5:
        yield (f"! asked for {span(asked_s)}, and what is kept begins at {when(found.since)}",)
    if found.lost:
        yield (f"! {_times(found.lost, 'item')} missing: what follows them may differ from what was decided",)
    held = ", ".join(f"{by} {times}" for by, times in found.held.most_common())
    states = [f"{state} {found.states[state]}" + (f" ({held})" if state == HELD_BACK else "")
              for state in (FIRED, GOES_ON, WAITS, HELD_BACK, FALSE, UNKNOWN) if found.states[state]]
    yield ("  " + ", ".join(states or ["nothing was decided"]),)
    if found.stopped:
        yield "stopped first by", "", "times", "closest", "at"
    for _, one in sorted(found.stopped.items()):
        yield from _stopped(one, when)


def _stopped(one: Stopped, when: Callable[[int], str]) -> Iterator[Row]:
    first = (f"  {one.kind}", one.what + (" unknown" if one.unknown else ""), str(one.times))
    rows = list(_closest(one, when)) or [(f"last: {one.note}" if one.note else "last", when(one.newest))]
    yield (*first, *rows[0])
    yield from (("", "", "", *row) for row in rows[1:])


def _closest(one: Stopped, when: Callable[[int], str]) -> Iterator[Row]:
    near: Near | None = one.closest
    if near is not None and isinstance(near.observed, (int, float)) and near.threshold is not None:
        yield compared(near.observed, near.threshold, near.by, near.unit), when(near.now)
    if one.hits is not None and one.of is not None and one.of > 1:
        yield f"{one.hits.by:.0f} of {one.of} hits, {one.needed} needed", when(one.hits.now)


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def held_data(held: Held | None) -> dict[str, Any] | None:
    """Give what holds a rule back as data."""
    return None if held is None else {"by": held.by, "left_s": held.left_ns / NS, "text": str(held)}


def aligned(rows: Sequence[Row], columns: int | None = None) -> list[str]:
    """Write rows in columns; a row of one column is a line as it is, and the last column of each is as long as it is.

    A cell that is longer than others should wait for pushes only its own row. A terminal of so many `columns` that does not
    hold the table has its rows folded instead, with what belongs to a row further in.
    """
    widths = [max((len(row[place]) for row in rows if len(row) > place + 1 and len(row[place]) <= WIDE[place]), default=0)
              for place in range(8)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
             for row in rows]
    if columns is None:
        return lines
    if any(len(line) > columns and len(row) > 3 for row, line in zip(rows, lines, strict=True)):
        return [_folded(row, columns) for row in rows]
    return [line if len(line) <= columns else _folded((line,), columns) for line in lines]


def _folded(row: Row, columns: int) -> str:
    first = row[0] or INDENT.removesuffix("  ")
    return textwrap.fill("  ".join([first, *(cell for cell in row[1:] if cell)]), max(columns, 40), subsequent_indent=INDENT,
                         break_long_words=False, break_on_hyphens=False)
