"""Ways to read a network's outputs: task name → module, imported on use. To add a task is to add its file and one line here.

Tasks of third parties are found by entry points of the same shape: group `reflexd.tasks`, name = module.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

from reflexd_models import base

if TYPE_CHECKING:
    from reflexd_models.bundle import Bundle

TASKS = {
    "classify": "reflexd_models.tasks.classify",
    "detect": "reflexd_models.tasks.detect",
    "regions": "reflexd_models.tasks.regions",
    "sequence": "reflexd_models.tasks.sequence",
    "anomaly": "reflexd_models.tasks.anomaly",
    "features": "reflexd_models.tasks.features",
}


class TaskModule(Protocol):
    """What a task's module has."""

    Options: type[base.Options]

    def build(self, bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> base.Model | base.SeriesModel:
        """Load what the bundle is about and make the model: a SeriesModel where Options.watches is "sensors".

        `watch` names the labels whose scores are wanted, None all of them; a SeriesModel gives all scores in any case.

        Raises: ModelError.
        """
        ...


def names() -> list[str]:
    """List the tasks, ours first."""
    return list(modules())


def modules() -> dict[str, str]:
    """Give the module of each task; a third party cannot replace one of ours."""
    foreign = {point.name: point.value for point in entry_points(group="reflexd.tasks")}
    return {**TASKS, **{name: module for name, module in foreign.items() if name not in TASKS}}


def load(name: str) -> TaskModule:
    """Import the task of that name.

    Raises: LookupError when there is none.
    """
    found = TASKS if name in TASKS else modules()      # to ask every package for its entry points takes 26 ms
    if name not in found:
        raise LookupError(f'no task is called "{name}"; there are {", ".join(found)}')
    return cast("TaskModule", import_module(found[name]))
