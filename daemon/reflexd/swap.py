"""Exchange a network on the running daemon: the new one is loaded beside the old one, which works until the next frame.

`reflexctl model install` asks twice: with the folder of a version that is not in place yet, to hear whether it would fit; and
once it is in place, to have it exchanged. Whatever is wrong, the old network runs on, and the answer says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from reflexd.config.settings import ModelSettings, Settings
from reflexd.events import NOT_SWAPPED, SWAPPED
from reflexd.jobs import ModelJob
from reflexd.lifecycle import Daemon
from reflexd.protocol import ControlError
from reflexd.reload import Reloader, ReloadError
from reflexd.rules.asked import labels_of, least_asked
from reflexd.series import SeriesJob
from reflexd_models import tasks
from reflexd_models.base import ModelError
from reflexd_models.bundle import Bundle, find_bundle

TAKEN_S = 10.0       # within which a worker comes to its next frame, or is in trouble of its own
VERSION = re.compile(r"\.[A-Za-z0-9_.-]+@[A-Za-z0-9_.]+")       # as store.py names them
Report = dict[str, object]


def swap(reloader: Reloader, request: Mapping[str, Any]) -> Report:
    """Exchange the networks of every [model.NAME] with that bundle, or try whether that would go.

    Raises: ControlError, ReloadError.
    """
    bundle, version, daemon = str(request.get("bundle")), request.get("version"), reloader.daemon
    with reloader.alone("swap"):
        settings = reloader.settings
        state_dir = Path(settings.daemon.state_dir)
        if version is not None and not VERSION.fullmatch(str(version)):
            raise ControlError(f"version: is the name of a folder in {state_dir}/bundles, found {str(version)[:80]!r}")
        if (asked := request.get("state_dir")) is not None and Path(str(asked)) != state_dir.resolve():
            return {"models": [], "why": f"the daemon that runs keeps its bundles in {state_dir}, so nothing changes for it"}
        models = {name: one for name, one in settings.model.items() if one.bundle == bundle}
        try:
            found = str(state_dir / "bundles" / str(version)) if version is not None else bundle
            networks = {name: _open(daemon, settings, name, found) for name in models}
            told = [] if version is not None else _exchange(daemon, networks)
        except (ModelError, ReloadError) as problem:
            daemon.loop.ask(partial(daemon.loop.log, NOT_SWAPPED, f"{bundle}: {problem}"))
            raise ReloadError(f"{problem}; the old network runs on") from None
        why = "" if models else "no [model] of the running configuration names it"
        return {"models": told or [{"model": name} for name in models], "why": why}


def _open(daemon: Daemon, settings: Settings, name: str, bundle: str) -> Any:   # noqa: ANN401  a Model or a SeriesModel
    """Load a network that fits where the old one is. Raises: ModelError."""
    model = settings.model[name]
    found = find_bundle(bundle, Path(settings.daemon.state_dir))
    if tasks.load(found.task).Options is not type(model.options):
        raise ModelError(f"model.{name}: the bundle's task is {found.task} now, and its table is written for another; "
                         "change the table, and say reflexctl reload")
    origin = daemon.parts.models[name].held.origin
    if model.sensors and origin is not None and origin.described.window != found.window:
        raise ModelError(f"model.{name}: the bundle's [window] is another now, and windows are made for the old one; "
                         "say reflexctl reload")
    _check_scores(settings, name, found)
    network = daemon.wiring.open_network(_with_bundle(model, bundle), settings, daemon.parts.models[name].watch)
    missing = sorted(labels_of(settings, name) - set(network.labels))
    if missing:
        raise ModelError(f'model.{name}: a rule asks for the label "{missing[0]}", and the network has '
                         f"{', '.join(network.labels[:12]) or 'none'}; change the rule first")
    return network


def _check_scores(settings: Settings, name: str, found: Bundle) -> None:
    """Refuse a detector that would not tell of what a rule asks for: it would count as absent. Raises: ModelError."""
    tells = getattr(settings.model[name].options, "least", None)
    asked = least_asked(settings, name)
    if tells is not None and (least := tells(found.threshold)) > asked:
        raise ModelError(f"model.{name}: a rule asks for scores from {asked:g} on, and the bundle tells of nothing below "
                         f"{least:g}; write min_score = {asked:g} into [model.{name}], and say reflexctl reload")


def _with_bundle(model: ModelSettings, bundle: str) -> ModelSettings:
    return model.model_copy(update={"bundle": bundle})


def _exchange(daemon: Daemon, networks: Mapping[str, Any]) -> list[Report]:
    """Leave each network to its worker, wait until all are taken, and log it. Raises: ReloadError."""
    jobs = {name: daemon.parts.models[name] for name in networks}
    before = {name: sha(job.held.origin) for name, job in jobs.items()}
    old = {name: job.model for name, job in jobs.items()}      # None: it is not open, and will open the new one
    for name, network in networks.items():
        jobs[name].exchange(network)
    deadline = monotonic() + TAKEN_S
    while waiting := [name for name, job in jobs.items() if job.held.waits and old[name] is not None]:
        if monotonic() > deadline:
            _go_back(jobs, old)
            raise ReloadError(f"model.{waiting[0]} did not come to its next frame within {TAKEN_S:g} s; see reflexctl status")
        sleep(0.002)
    told: list[Report] = []
    for name, network in networks.items():
        after = sha(getattr(network, "origin", None))
        daemon.loop.ask(partial(daemon.loop.log, SWAPPED, f"model.{name}: network exchanged between two frames: "
                                f"{before[name][:12]} before, {after[:12]} now"))
        told.append({"model": name, "before": before[name], "after": after})
    return told


def _go_back(jobs: Mapping[str, ModelJob | SeriesJob], old: Mapping[str, Any]) -> None:
    for name, job in jobs.items():
        if not job.held.withdraw() and old[name] is not None:
            job.exchange(old[name])


def sha(origin: object) -> str:
    """Give the hash of what a network was made of; "unknown" for one that was not loaded from a file."""
    return str(getattr(origin, "sha256", "unknown"))
