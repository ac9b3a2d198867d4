"""Drive one output for a moment because somebody at the control socket asked for it.

The gate knows it as a claim like any other, of the lowest priority and with its end in it: what bounds a rule bounds a
test, it lapses by itself whoever is gone meanwhile, and a rule that claims the output takes over for good.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, monotonic_ns, sleep
from typing import Any, TypeAlias

from reflexd.config.messages import suggest
from reflexd.loop import Loop
from reflexd.output import Output, level_text
from reflexd.protocol import ControlError
from reflexd.rules.items import NS, TEST, TEST_PRIORITY, Claim, Release, Verdict
from reflexd_drivers.base import parse_level

SHORTEST_MS, LONGEST_MS = 10, 10_000
USUAL_MS = 200
LOOK_S = 0.05
SETTLE_S = 1.0          # for an actuator that blocks or moves, before it is told that it may not be safe
AT = ("pin", "port", "device", "chip", "path")      # the keys by which settings tell where an output is

Report: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for."""

    output: str
    level: float | None      # None: away from the safe level
    lasts_ms: int

    def level_of(self, output: Output) -> float:
        """Give the level that is meant."""
        return (0.0 if output.settings.safe == 1 else 1.0) if self.level is None else self.level


def exercise(loop: Loop, request: Mapping[str, Any]) -> Report:
    """Do what a client asks for, which takes as long as it shall last. Raises: ControlError, TimeoutError."""
    wish = read(request)
    if request.get("end") is True:
        return {"ended": loop.between_cycles(lambda: _end(loop, wish.output))}
    if request.get("look") is True:
        return _look(loop, wish)
    output, until = _begin(loop, wish)
    while loop.between_cycles(lambda: TEST in output.claims):
        sleep(min(LOOK_S, max(until - monotonic_ns(), 0) / NS + 0.001))
    waited = monotonic() + SETTLE_S
    while loop.between_cycles(lambda: _doubtful(output)) and monotonic() < waited:
        sleep(LOOK_S)
    return loop.between_cycles(lambda: _outcome(loop, output, wish, until))


def read(request: Mapping[str, Any]) -> Wish:
    """Understand a request. Raises: ControlError."""
    lasts, level = request.get("for_ms", USUAL_MS), request.get("level")
    if isinstance(lasts, bool) or not isinstance(lasts, int) or not SHORTEST_MS <= lasts <= LONGEST_MS:
        raise ControlError(f"a test lasts {SHORTEST_MS} to {LONGEST_MS} ms, found {lasts!r}; say --for within these")
    try:
        return Wish(str(request.get("output")), None if level is None else parse_level(level), lasts)
    except ValueError as error:
        raise ControlError(f"{error}, found {level!r}; say --level with one") from None


def _found(loop: Loop, name: str) -> Output | str:
    known = loop.outputs.outputs
    if name in known:
        return known[name]
    return f'no output is called "{name}"; {suggest(name, known, "the configuration has none")}'


def refused(loop: Loop, output: Output, wish: Wish, now: int) -> str:
    """Say why the output cannot be tested now, and what to do; empty when it can. On the main thread."""
    settings, level = output.settings, wish.level_of(output)
    if level == settings.safe:
        return f"{level_text(level)} is the safe level of {output.name}, so nothing would move; say --level with another"
    if settings.on_off and level not in (0, 1):
        return f"{output.name} is on or off, found {level:g}; say --level on or --level off"
    if settings.max_on_s is not None and wish.lasts_ms > settings.max_on_s * 1000:
        return f"{output.name} may be active for max_on_s = {settings.max_on_s:g}; say --for {settings.max_on_s:g}s or less"
    if TEST in output.claims:
        return f"a test of {output.name} is under way; ask again when it has ended"
    if output.claims:
        rules = ", ".join(f'"{name}"' for name in sorted(output.claims))
        return f"{output.name} is claimed by rule {rules}, which goes before a test; ask again when the rule has let go of it"
    why = loop.outputs.hindrance(output, now)
    return f"{output.name} was not tested: {why}; {_remedy(loop)}" if why else ""


def _remedy(loop: Loop) -> str:
    if loop.outputs.dry_run:
        return "reflexctl arm, or take dry_run out of [daemon] or the command line"
    return "see reflexctl status, and ask again when that has ended"


def _look(loop: Loop, wish: Wish) -> Report:
    """Say what a test would move, and move nothing. Raises: ControlError."""
    def look() -> Report | str:
        output = _found(loop, wish.output)
        if isinstance(output, str):
            return output
        return refused(loop, output, wish, monotonic_ns()) or {
            "output": output.name, "driver": output.settings.driver, "at": _at(output),
            "level": level_text(wish.level_of(output)), "for_ms": wish.lasts_ms, "safe": level_text(output.settings.safe)}

    found = loop.between_cycles(look)
    if isinstance(found, str):
        raise ControlError(found)
    return found


def _at(output: Output) -> str:
    """Say where an output is, as far as its driver's settings tell."""
    return next((str(value) for key in AT if (value := getattr(output.settings, key, None)) is not None), "")


def _begin(loop: Loop, wish: Wish) -> tuple[Output, int]:
    """Claim the output. Raises: ControlError when something forbids it, TimeoutError."""
    given_up = threading.Event()

    def begin() -> tuple[Output, int] | str:
        now = monotonic_ns()
        output = _found(loop, wish.output)
        if given_up.is_set() or isinstance(output, str):      # whoever asked was told that it did not work
            return str(output)
        if why := refused(loop, output, wish, now):
            return why
        until = now + wish.lasts_ms * 1_000_000
        reasons = (Verdict(True, "asked for", f"{wish.lasts_ms} ms"),)
        loop.act([Claim(TEST, output.name, wish.level_of(output), TEST_PRIORITY, until, reasons)], now)
        if output.active:
            return output, until
        why = output.why      # a write that failed made every output safe; anything else refused() should have found
        _end(loop, output.name)
        return f"{output.name} was not tested: {next(iter(loop.outputs.inhibited.values()), why)}; {_remedy(loop)}"

    try:
        begun = loop.between_cycles(begin)
    except TimeoutError:
        given_up.set()
        raise
    if isinstance(begun, str):
        raise ControlError(begun)
    return begun


def _end(loop: Loop, name: str) -> bool:
    """End a test that is under way; says whether there was one."""
    output = loop.outputs.outputs.get(name)
    if output is None or TEST not in output.claims:
        return False
    loop.act([Release(TEST, name)], monotonic_ns())
    return True


def _doubtful(output: Output) -> bool:
    """Say whether an output that should stand at its safe level is not known to."""
    return not output.active and (output.failed or not output.channel.settled)


def _outcome(loop: Loop, output: Output, wish: Wish, until: int) -> Report:
    """Tell what was driven and for how long, and why it ended where that is not what was asked for. On the main thread."""
    over = output.rested_since if not output.active else monotonic_ns()
    why = "" if not output.active and output.rested_since >= until else output.why
    if output.failed or _doubtful(output):
        unsure = "its last command has not been carried out, or it still moves"
        why = f"{output.name} may not be safe yet: {loop.outputs.inhibited.get('latched', unsure)}"
    return {"output": output.name, "level": level_text(wish.level_of(output)), "asked_ms": wish.lasts_ms,
            "driven_ms": round((over - output.active_since) / 1e6), "now": level_text(output.level), "why": why}
