"""What a rule has to tell of its last decision: each condition with its numbers, and the first that stopped it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

from reflexd.config.conditions import Condition, CrossingCondition, ScoreCondition
from reflexd.config.settings import RuleSettings
from reflexd.rules.asked import subject_of
from reflexd.rules.items import NS, Verdict
from reflexd.rules.remembering import Test
from reflexd.rules.rule import Rule
from reflexd.rules.scores import Score, Standing
from reflexd.rules.sources import NEVER


@dataclass(frozen=True, slots=True)
class Said:
    """What one condition said; the numbers are None where it has none."""

    kind: str                                  # "when", "unless", or "level" of what an action follows
    what: str
    source: str
    about: str                                 # the label or the source, for short
    truth: bool | None
    observed: float | bool | str | None
    threshold: float | None                    # that counted: to begin, or to go on
    margin: float | None                       # negative: what it is short of
    unit: str                                  # of these three, where it is not that of the source
    hits: int | None
    needed: int | None
    of: int | None
    zone: str | None
    elsewhere: float | None                    # the best score of the label at all, where a zone is asked for
    there: int | None                          # of a detector: how many there are where they are asked for
    count: int | None                          # and how many it takes
    dwell_s: float | None
    note: str
    age_s: float | None                        # of the item that it was said of, at the moment of asking
    stops: bool                                # as it was, the rule could not act


def kind_of(settings: RuleSettings, place: int) -> str:
    """Say what a test of a rule is: its conditions come first, then the levels that its actions follow."""
    if place < len(settings.when):
        return "when"
    return "unless" if place < len(settings.when) + len(settings.unless) else "level"


def contrary(settings: RuleSettings, place: int, truth: bool | None) -> bool:
    """Say whether a test makes its rule false by this; a level never does."""
    return truth is {"when": False, "unless": True}.get(kind_of(settings, place), ...)


def stopper(verdicts: Sequence[Verdict], settings: RuleSettings) -> int | None:
    """Find what stopped a rule first: the first that makes it false, and where none does, the first that is unknown."""
    false = (place for place, one in enumerate(verdicts) if contrary(settings, place, one.truth))
    unknown = (place for place, one in enumerate(verdicts) if one.truth is None)
    return next(false, next(unknown, None))


def told(rule: Rule, verdicts: Sequence[Verdict], decided_at: int, now: int) -> tuple[Said, ...]:
    """Tell what each condition said in the rule's last decision, which gave these verdicts; seen from now."""
    return tuple(_said(rule, place, verdict, decided_at, now) for place, verdict in enumerate(verdicts))


def _said(rule: Rule, place: int, verdict: Verdict, decided_at: int, now: int) -> Said:
    conditions = (*rule.settings.when, *rule.settings.unless)
    test, condition = rule.tests[place], conditions[place] if place < len(conditions) else None
    score = condition if isinstance(condition, ScoreCondition) else None
    core, known = test.parts[-1], verdict.truth is not None      # what within_s is about
    standing = core if known and isinstance(core, Standing) else None
    return Said(
        kind=kind_of(rule.settings, place), what=verdict.what, source=test.source.name, about=_about(test, condition),
        truth=verdict.truth, observed=verdict.observed, threshold=threshold_of(test, verdict), margin=verdict.margin,
        unit=verdict.unit, note=verdict.note,
        hits=hits_of(test, decided_at) if known else None,
        needed=score.hits if score else None, of=score.window if score else None,
        zone=score.zone if score else None, elsewhere=test.source.scores.get(score.label) if score and score.zone else None,
        there=standing.there if standing else None, count=standing.count if standing else None,
        dwell_s=score.dwell_s if score else None,
        age_s=None if test.source.taken_at == NEVER else (now - test.source.taken_at) / NS,
        stops=not known or contrary(rule.settings, place, verdict.truth))


def _about(test: Test, condition: Condition | None) -> str:
    """Name the label, or else the source, without what kind of source it is."""
    if isinstance(condition, (ScoreCondition, CrossingCondition)):
        return condition.label
    name = test.source.name if condition is None else subject_of(condition)
    return name.partition(".")[2] or name


def hits_of(test: Test, now: int) -> int | None:
    """Count the hits that a score has had; None for what has none."""
    core = test.parts[-1]      # what within_s is about
    return core.hits(now) if isinstance(core, Score) else None


def threshold_of(test: Test, verdict: Verdict) -> float | None:
    """Give the threshold that a verdict's margin was taken from; None where what was observed has none.

    What was true a while ago is told in seconds, and not in the unit of the test that it is about.
    """
    seen, margin = verdict.observed, verdict.margin
    if margin is None or isinstance(seen, (bool, str)) or seen is None:
        return None
    thresholds = (part.threshold() for part in reversed(test.parts))
    return next((one for one in thresholds if one is not None and isclose(abs(seen - one), abs(margin), abs_tol=1e-6)), None)
