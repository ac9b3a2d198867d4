"""Thresholds beyond what a network or a sensor can say."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import floor

from reflexd.config.conditions import ValueCondition
from reflexd.config.lint.demands import bounds_of, of_term, possible, what_is_given
from reflexd.config.lint.facts import Facts, Finding, shown
from reflexd_models.reach import largest_score

ROUNDING = 1e-6      # of scores: a network's are float32


def scores_out_of_reach(facts: Facts) -> Iterator[Finding]:
    """Find an at_least that the steps of a quantized output do not come up to, as 1.0 where the last step is 255 / 256."""
    largest = cache(lambda model: largest_score(facts.bundles[model]))      # its file is read once
    for term in facts.terms():
        condition = term.condition
        if isinstance(condition, ValueCondition) or condition.model not in facts.bundles:
            continue
        greatest = largest(condition.model)
        if condition.at_least > greatest + ROUNDING:
            what = f"{term.so}: the network of {term.source} is quantized, and no score of it is more than {greatest:.4f}"
            yield Finding((*term.location, "at_least"), what, f"{condition.at_least:g}",
                          f"lower it to {floor(greatest * 100) / 100:g} or less")


def numbers_out_of_reach(facts: Facts) -> Iterator[Finding]:
    """Find an `unless` that no value of its source makes true; contradictions() has those in `when`."""
    for term in facts.terms():
        demand = of_term(term._replace(unless=False))
        given = what_is_given(facts, term.source)
        if term.unless and demand is not None and demand.location and given is not None and not possible([given, demand]):
            yield Finding(demand.location, f"{term.so}: {given.words}", shown(demand.points[0]), "correct it, or remove it")


def never_released(facts: Facts) -> Iterator[Finding]:
    """Find a release that no value of the source reaches: what was true once stays so."""
    for term in facts.terms():
        condition, bounds = term.condition, bounds_of(facts, term.source)
        if not isinstance(condition, ValueCondition) or bounds is None:
            continue
        below, above = condition.release_below, condition.release_above
        for key, leave, never in (("release_below", below, below is not None and below <= bounds[0]),
                                  ("release_above", above, above is not None and above >= bounds[1])):
            if never:
                what = f"once {term.words} was true it stays so: {term.source} says {bounds[0]:g} to {bounds[1]:g}"
                yield Finding((*term.location, key), what, f"{leave:g}", "move it towards the threshold")
