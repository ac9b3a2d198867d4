"""What a rule has to tell of its last decision: each condition with its numbers, and the first that stopped it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

from reflexd.config.conditions import ScoreCondition
from reflexd.config.settings import RuleSettings
from reflexd.rules.items import NS, Verdict
from reflexd.rules.remembering import Test
from reflexd.rules.rule import Rule
from reflexd.rules.scores import Score
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
    hits: int | None
    needed: int | None
    of: int | None
    zone: str | None
    elsewhere: float | None                    # the best score of the label at all, where a zone is asked for
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
    counts = isinstance(test, Score) and verdict.truth is not None
    return Said(
        kind_of(rule.settings, place), verdict.what, test.source.name,
        score.label if score else test.source.name.partition(".")[2] or test.source.name,
        verdict.truth, verdict.observed, threshold_of(test, verdict), verdict.margin,
        hits_of(test, decided_at) if counts else None, score.hits if score else None, score.window if score else None,
        score.zone if score else None, test.source.scores.get(score.label) if score and score.zone else None,
        score.dwell_s if score else None, verdict.note,
        None if test.source.taken_at == NEVER else (now - test.source.taken_at) / NS,
        verdict.truth is None or contrary(rule.settings, place, verdict.truth))


def hits_of(test: Test, now: int) -> int | None:
    """Count the hits that a score has had; None for what has none."""
    return test.hits(now) if isinstance(test, Score) else None


def threshold_of(test: Test, verdict: Verdict) -> float | None:
    """Give the threshold that a verdict's margin was taken from; None where what was observed has none.

    What was true a while ago is told in seconds, and not in the unit of the test that it is about.
    """
    threshold, seen = test.threshold(), verdict.observed
    if threshold is None or verdict.margin is None or isinstance(seen, (bool, str)) or seen is None:
        return None
    return threshold if isclose(abs(seen - threshold), abs(verdict.margin), abs_tol=1e-6) else None
