"""A configuration, from its files to settings that can be trusted, or to everything that is wrong with it.

All files are read, merged, checked part by part and judged as a whole before anything is refused, so
that one pass tells every error. Nothing is opened but these files, the descriptions of bundles, and the tables of the
networks that rules ask for a score: their bytes are read, and not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reflexd.config.files import find_files, read_source
from reflexd.config.judge import judge
from reflexd.config.lint import lint
from reflexd.config.merge import Merged, merge
from reflexd.config.parts import Draft, build
from reflexd.config.problems import ConfigError, Problem
from reflexd.config.settings import Settings

__all__ = ["ConfigError", "Loaded", "Problem", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that fit together, what is doubtful about them, and where each value came from."""

    settings: Settings
    warnings: tuple[Problem, ...]
    merged: Merged


def load(path: Path | str) -> Loaded:
    """Read the main file and its drop-ins.

    Raises: ConfigError with all problems of all files.
    """
    main = Path(path)
    files, problems = find_files(main)
    read = [read_source(file) for file in files]
    problems += [problem for _, wrong in read for problem in wrong]
    merged = merge([source for source, _ in read], complete=not problems)
    draft = build(merged, main.absolute().parent)
    judge(draft)
    found = None
    if not any(one.severity == "error" for one in (*problems, *merged.problems)):
        found = _settings(draft)
        lint(found, draft.bundles, merged)
    problems += merged.problems
    order = {str(file): index for index, file in enumerate(files)}
    problems.sort(key=lambda one: (order.get(one.file, len(order)), one.line, one.column))
    if found is None:
        raise ConfigError(problems)
    return Loaded(found, tuple(problems), merged)


def _settings(draft: Draft) -> Settings:
    parts: dict[str, Any] = {
        "schema": 1, "daemon": draft.daemon, "gpio": draft.gpio, "safety": draft.safety, "events": draft.events,
        "evidence": draft.evidence, "place": draft.place,
        "camera": draft.devices["camera"], "sensor": draft.devices["sensor"], "actuator": draft.devices["actuator"],
        "model": draft.models, "rule": tuple(draft.rules[index] for index in sorted(draft.rules)),
    }
    return Settings.model_validate(parts)
