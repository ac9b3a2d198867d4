"""Whether zones, lines and rates fit their models, and conditions on them what the model has."""

from __future__ import annotations

from typing import Any

from reflexd.config.messages import show, show_key, suggest
from reflexd.config.parts import Draft
from reflexd.config.positions import Location
from reflexd.config.references import select
from reflexd.config.scene import SCENE_KEYS
from reflexd_drivers.base import CameraSettings
from reflexd_models import tasks

WHERE = {"zone": ("zones", "[[x, y], …]"), "crosses": ("lines", "[[x, y], [x, y]]")}    # key of a condition → of its model
OF_DETECTIONS = ("zone", "count", "dwell_s", "crosses")


def judge_zones(draft: Draft) -> None:
    """Report what a model or a condition asks for and does not get. Conditions are read as the files have them."""
    used: set[tuple[str, str, object]] = set()
    for group in ("when", "unless"):
        for location, condition in select(draft.merged.data, ("rule", "*", group, "*")):
            if isinstance(condition, dict) and isinstance(condition.get("model"), str):
                _judge_condition(draft, location, condition)
                used |= {(condition["model"], table, condition.get(key)) for key, (table, _) in WHERE.items()}
    for name in draft.models:
        _judge_scene(draft, name, used)
        _judge_rate(draft, name)


def _detects(draft: Draft, model: str) -> bool | None:
    bundle = draft.bundles.get(model)
    return None if bundle is None else tasks.load(bundle.task).Options.gives_detections


def _judge_condition(draft: Draft, location: Location, condition: dict[str, Any]) -> None:
    name = condition["model"]
    if _detects(draft, name) is False:
        for key in OF_DETECTIONS:
            if key in condition:
                what = f"the task {draft.bundles[name].task} of this model tells no place, and nothing that could be counted"
                draft.merged.report((*location, key), what, found=show_key(key), of_key=True,
                                    remedy="remove it, or give the model the bundle of a detector")
        return
    _judge_scores(draft, location, condition)
    count, most = condition.get("count"), _most(draft, name)
    if isinstance(count, int) and most is not None and count > most:
        draft.merged.report((*location, "count"), f"model.{name} tells of at most {most} things in a frame", found=str(count),
                            remedy="lower it, or raise max_detections of the model")
    models = draft.merged.data.get("model")
    model = models.get(name) if isinstance(models, dict) else None
    for key, (table, form) in WHERE.items():
        wanted, known = condition.get(key), model.get(table, {}) if isinstance(model, dict) else None
        if isinstance(wanted, str) and isinstance(known, dict) and wanted not in known:
            draft.merged.report((*location, key), f"model.{name} has no {table[:-1]} called {show(wanted)}", found=show(wanted),
                                absent=True, remedy=suggest(wanted, known, f"add {table}.{wanted} = {form} to [model.{name}]"))


def _judge_scores(draft: Draft, location: Location, condition: dict[str, Any]) -> None:
    """Refuse a score that is less than what the model tells of: below that, what is there would count as absent."""
    name = condition["model"]
    made, bundle = draft.models.get(name), draft.bundles.get(name)
    tells = None if made is None else getattr(made.options, "least", None)
    if tells is None or bundle is None:
        return
    least = tells(bundle.threshold)
    for key in ("at_least", "release_below"):
        score = condition.get(key)
        if isinstance(score, (int, float)) and 0 < score < least:
            draft.merged.report((*location, key), f"model.{name} tells of nothing that has a score below {least:g}",
                                found=f"{score:g}", remedy=f"raise it, or write min_score = {score:g} into [model.{name}]")


def _most(draft: Draft, model: str) -> int | None:
    """Say how many things of a frame a model tells of at most, where its task has a bound."""
    made = draft.models.get(model)
    return None if made is None else getattr(made.options, "max_detections", None)


def _judge_scene(draft: Draft, name: str, used: set[tuple[str, str, object]]) -> None:
    model, table = draft.models[name], draft.merged.data["model"][name]
    if _detects(draft, name) is False:
        what = f"the task {draft.bundles[name].task} of this model gives no detections"
        for key in SCENE_KEYS:
            if key in table:
                draft.merged.report(("model", name, key), what, found=show_key(key), of_key=True,
                                    remedy="remove it, or name the bundle of a detector")
        return
    for kind, known in (("zones", model.zones), ("lines", model.lines)):
        for one in known:
            if (name, kind, one) not in used:
                draft.merged.report(("model", name, kind, one), f"no rule uses this {kind[:-1]}", absent=True, severity="warning",
                                    remedy="use it, or remove it")


def _judge_rate(draft: Draft, name: str) -> None:
    """Refuse predictions so far apart that nothing is known between two, and no hits could ever be counted."""
    model = draft.models[name]
    if model.rate_hz is not None and model.sensors:
        draft.merged.report(("model", name, "rate_hz"), "goes with a camera; windows of readings have hop",
                            found=f"{model.rate_hz:g}", remedy="remove it, or write window.hop")
    camera = draft.devices["camera"].get(model.camera or "")
    if model.rate_hz is None or not isinstance(camera, CameraSettings):
        return
    apart_ms = 1000 / model.rate_hz + (1000 / camera.rate_hz if camera.rate_hz else 0)
    if camera.rate_hz and model.rate_hz >= camera.rate_hz:
        draft.merged.report(("model", name, "rate_hz"), f"its camera gives {camera.rate_hz:g} frames a second",
                            found=f"{model.rate_hz:g}", severity="warning", remedy="remove it, or lower it")
    elif apart_ms > camera.max_age_ms:
        what = f"predictions come up to {apart_ms:.0f} ms apart, and frames of its camera count for {camera.max_age_ms} ms"
        draft.merged.report(("model", name, "rate_hz"), what, found=f"{model.rate_hz:g}",
                            remedy=f"raise max_age_ms of camera.{model.camera}, or raise rate_hz")
