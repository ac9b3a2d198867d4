"""What a configuration has to know of a bundle: its task and its labels, without loading a network."""

from __future__ import annotations

from pathlib import Path

from reflexd.config.settings import ModelSettings
from reflexd_models import tasks
from reflexd_models.base import ModelError, Options
from reflexd_models.bundle import Bundle, find_bundle

ENVELOPE = tuple(name for name in ModelSettings.model_fields if name != "options")   # the other keys are the task's


def resolve_bundle(bundle: str, base: Path) -> str:
    """Take a relative path from the main file's folder; what has no slash and no ending is a name."""
    return str(base / bundle) if "/" in bundle or bundle.endswith(".tflite") else bundle


def look_up(bundle: str, state_dir: Path) -> Bundle | str:
    """Find a bundle, or say why it cannot be used."""
    try:
        return find_bundle(bundle, state_dir)
    except ModelError as error:
        return str(error)


def options_of(task: str) -> type[Options]:
    """Give what a task accepts."""
    return tasks.load(task).Options


def task_names() -> list[str]:
    """List the tasks."""
    return tasks.names()
