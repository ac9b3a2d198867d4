"""What needs several readings or predictions, from a source that gives them too far apart.

Over a gap longer than max_age_ms everything that was counted is forgotten; where every gap is that long, nothing is ever counted.
"""

from __future__ import annotations

from collections.abc import Iterator

from reflexd.config.conditions import CrossingCondition, ScoreCondition
from reflexd.config.lint.facts import Facts, Finding, Term, Understood, is_moment, shown
from reflexd_drivers.base import CameraSettings

JITTER = 1.05        # frames come a little earlier and later than their rate says


def nothing_counted(facts: Facts) -> Iterator[Finding]:
    """Find hits, stays, steps, climbs and changes that need two items, where each one begins anew."""
    for term in facts.terms():
        needs, found = _needs_two(term.condition), _camera_of(facts, term.source)
        if needs is None or found is None:
            continue
        key, words = needs
        name, camera = found
        if camera.rate_hz is None or 1000 / camera.rate_hz <= camera.max_age_ms * JITTER:
            continue
        what = (f"{term.so}: {words}, and frames of camera.{name} come {1000 / camera.rate_hz:g} ms apart and count for "
                f"{camera.max_age_ms} ms, so what was counted is forgotten with each one")
        yield Finding((*term.location, key), what, shown(getattr(term.condition, key)),
                      f"raise max_age_ms of camera.{name} over {1000 / camera.rate_hz:g}, or raise its rate_hz")


def _needs_two(condition: Understood) -> tuple[str, str] | None:
    """Name the key that needs more than one item, and say so."""
    if isinstance(condition, CrossingCondition):
        return "crosses", "a step has two predictions"
    if isinstance(condition, ScoreCondition):
        if condition.hits > 1:
            return "hits", f"it needs {condition.hits} hits"
        return ("dwell_s", "a stay has several predictions") if condition.dwell_s is not None else None
    if condition.changed is not None:
        return "changed", "a change has two ends"
    several = {"rising_for_s": "a climb has several numbers", "over_s": "a rate has several numbers",
               "stuck_for_s": "what is stuck is heard more than once"}
    return next(((key, words) for key, words in several.items() if getattr(condition, key) is not None), None)


def _camera_of(facts: Facts, source: str) -> tuple[str, CameraSettings] | None:
    """Find the camera whose frames a source looks at."""
    kind, _, name = source.partition(".")
    camera = name if kind == "camera" else facts.settings.model[name].camera if kind == "model" else None
    return None if camera is None else (camera, facts.settings.camera[camera])


def pauses_too_short(facts: Facts) -> Iterator[Finding]:
    """Find climbs whose rises come farther apart than pause_s allows: each would begin anew."""
    for term in facts.terms():
        for_s, pause_s = getattr(term.condition, "rising_for_s", None), getattr(term.condition, "pause_s", None)
        if for_s is None:
            continue
        pause, apart = for_s / 2 if pause_s is None else pause_s, _apart_s(facts, term)
        # one reading may come late and the next one in time: two of three are at least half a period apart
        if apart is not None and apart > 2 * pause and pause < for_s:
            what = f"{term.so}: {term.source} says something each {apart:g} s, and a pause over {pause:g} s begins the climb anew"
            yield Finding((*term.location, "rising_for_s" if pause_s is None else "pause_s"), what, shown(pause_s or for_s),
                          f"write pause_s = {3 * apart:g} or more")


def nothing_remembered(facts: Facts) -> Iterator[Finding]:
    """Find a within_s that is over before the next item comes; until then a condition stays what it was."""
    for term in facts.terms():
        within_s, apart = term.condition.within_s, _apart_s(facts, term)
        if within_s is None or apart is None or is_moment(term.condition) or within_s >= apart / 2:
            continue      # of three readings in a row two are at least half a period apart
        what = f"it is over too soon: {term.source} says something each {apart:g} s, and until then a condition stays what it was"
        yield Finding((*term.location, "within_s"), what, shown(within_s), f"write {2 * apart:g} or more, or remove it")


def _apart_s(facts: Facts, term: Term) -> float | None:
    """Say how far apart the items of a source are, where the configuration knows."""
    kind, _, name = term.source.partition(".")
    if kind == "sensor":
        every_ms = getattr(facts.settings.sensor[name], "every_ms", None)
        return None if every_ms is None else float(every_ms) / 1000
    if kind == "camera":
        return None
    model = facts.settings.model[name]
    if model.camera is None:
        return model.window.hop_s
    rate_hz = facts.settings.camera[model.camera].rate_hz
    if rate_hz is None:
        return None
    return max(1 / rate_hz, 1 / model.rate_hz - 1 / rate_hz if model.rate_hz else 0)
