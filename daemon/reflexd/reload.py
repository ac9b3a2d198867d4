"""Take another configuration over while running: validate, compare by section, and change what can be changed.

Rules are exchanged between two cycles: those that did not change keep their state, the others begin
with none, and the claims of what went are released. What concerns devices, networks or the daemon
itself needs a restart, and is refused whole: a configuration is never taken over in part.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic_ns

from reflexd.config.compare import changed_sections
from reflexd.config.load import ConfigError, load
from reflexd.config.settings import Settings
from reflexd.loop import Loop
from reflexd.rules.stage import labels_of


class ReloadError(ValueError):
    """The old configuration runs on; the text says why."""


class Reloader:
    """Knows the file and the configuration that runs."""

    def __init__(self, path: Path, settings: Settings, loop: Loop) -> None:
        self.settings = settings
        self._path = path
        self._loop = loop

    def read(self) -> Settings:
        """Read and judge the file; this takes its time, so not on the main thread. Raises: ReloadError."""
        try:
            return load(self._path).settings
        except ConfigError as error:
            raise ReloadError(f"the configuration is wrong, the old one runs on\n{error}") from None

    def apply(self, settings: Settings) -> str:
        """Take it over, on the main thread between two cycles; say what changed. Raises: ReloadError."""
        changes = changed_sections(self.settings, settings)
        others = sorted(section for section in changes if section != "rule")
        if others or not self._watched(settings):
            what = ", ".join(others) or "labels that no network watches yet"
            raise ReloadError(f"changed: {what}; that needs a restart (systemctl restart reflexd), the old configuration runs on")
        self._loop.outputs.apply(self._loop.stage.replace_rules(settings.rule), monotonic_ns())
        self.settings = settings
        change = changes.get("rule")
        if change is None:
            return "nothing changed"
        return f"rules: {len(change.added)} added, {len(change.removed)} removed, {len(change.changed)} changed"

    def _watched(self, settings: Settings) -> bool:
        """Say whether the networks that run compute the score of every label that a rule now asks for."""
        return all(labels_of(settings, model) <= labels_of(self._loop.stage.settings, model) for model in settings.model)
