"""All checks, one after the other; one that fails is a finding itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from reflexd.doctor import devices, host, permissions, pins, service, storage
from reflexd.doctor.context import Context
from reflexd.doctor.table import SEVERITIES, Finding, finding

Check = Callable[[Context], Iterable[Finding]]


def rights(context: Context) -> Iterator[Finding]:
    """May this user see everything?"""
    if not context.outside.superuser:
        yield finding("not-root", "not run as root")


def configuration(context: Context) -> Iterator[Finding]:
    """Is the configuration right?"""
    from reflexd.config.load import ConfigError, load

    try:
        problems = load(context.config).warnings
    except ConfigError as error:
        problems = error.problems
    for one in problems:
        id_ = "configuration" if one.severity == "error" else "configuration-doubtful"
        remedy = one.remedy or f"reflexctl check {context.config} shows the place"
        yield finding(id_, replace(one, remedy="").headline, remedy=remedy)


CHECKS: tuple[Check, ...] = (
    rights, host.python, host.libraries, host.power, host.clock, host.journal, host.hardware_watchdog,
    storage.room, storage.card, configuration, storage.bundles,
    devices.nodes, devices.dma_heap, permissions.permissions, pins.header, pins.strict_gpiod,
    service.unit, service.last_end, service.drop_ins, service.daemon, service.sandbox,
)


def examine(context: Context, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """Carry out every check; the worst comes first."""
    found = [one for check in checks for one in _carried_out(check, context)]
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def _carried_out(check: Check, context: Context) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check(context))
    except Exception as error:    # half of the system may be broken: that is when somebody asks
        name = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
        found.append(finding("check-failed", f"{name}: {type(error).__name__}: {error}"))
    return found
