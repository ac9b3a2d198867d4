"""What each part allows and nobody can mean: rules that never act, thresholds out of reach, outputs without a bound.

Looked for once a configuration has no error. Everything here is a warning: a configuration that has run goes on running.
Nothing is said that is not certain of the settings and of the files of the networks; what a look does not know it leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from reflexd.config.lint import bounds, never, pace, quiet, reach, times
from reflexd.config.lint.facts import Facts, Look
from reflexd.config.merge import Merged
from reflexd.config.settings import Settings
from reflexd_models.bundle import Bundle

LOOKS: tuple[Look, ...] = (
    never.contradictions, never.suppressed_by_itself, never.two_moments, never.labels_never_told,
    times.times_that_never_come, times.polar_days, quiet.silent_and_heard, quiet.stuck_and_moving, quiet.rates_out_of_reach,
    reach.scores_out_of_reach, reach.numbers_out_of_reach, reach.never_released,
    pace.nothing_counted, pace.pauses_too_short, pace.nothing_remembered,
    bounds.unbounded, bounds.follows_a_moment, bounds.ends_on_the_way,
)


def lint(settings: Settings, bundles: Mapping[str, Bundle], merged: Merged) -> None:
    """Report what is found; `bundles` by the name of their model."""
    facts = Facts(settings, bundles, merged.line_of)
    for look in LOOKS:
        for one in look(facts):
            merged.report(one.location, one.what, found=one.found, remedy=one.remedy, severity="warning")
