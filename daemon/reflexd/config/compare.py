"""What is different between two configurations, by section: a reload touches only that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reflexd.config.settings import Settings

SECTIONS = ("camera", "model", "sensor", "actuator")
TABLES = ("daemon", "gpio", "safety", "events", "evidence", "place")


@dataclass(frozen=True, slots=True)
class Change:
    """Names of one section; a table that has no names of its own goes by its section's."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changed_sections(old: Settings, new: Settings) -> dict[str, Change]:
    """Give what was added, removed or changed in each section that is not the same.

    Drivers take a copy of [gpio], so that a change there changes each gpio device as well. The order
    of rules is not compared.
    """
    changes = {one: _compare(getattr(old, one), getattr(new, one)) for one in SECTIONS}
    changes["rule"] = _compare({rule.name: rule for rule in old.rule}, {rule.name: rule for rule in new.rule})
    for one in TABLES:
        changes[one] = _compare({one: getattr(old, one)}, {one: getattr(new, one)})
    return {section: change for section, change in changes.items() if change}


def _compare(old: Mapping[str, object], new: Mapping[str, object]) -> Change:
    both = old.keys() & new.keys()
    return Change(
        frozenset(new.keys() - old.keys()), frozenset(old.keys() - new.keys()),
        frozenset(name for name in both if old[name] != new[name]),
    )
