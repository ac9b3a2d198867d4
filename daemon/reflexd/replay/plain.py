"""The settings that decide, as plain values and back. What only a driver or a task needs to know stays behind."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from pydantic import ValidationError

from reflexd.config.settings import Settings
from reflexd_models.base import Options


class Kept(Options):
    """Stands for the options of a task: whether others are the same; what they were is for who asks the network again."""

    like: str = ""


class Detects(Kept):
    """Stands for those of a task that gives detections."""

    gives_detections: ClassVar[bool] = True


def plain_of(settings: Settings) -> dict[str, Any]:
    """Write them as JSON has it."""
    plain = settings.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"daemon", "gpio", "events", "evidence"})
    for name, model in settings.model.items():
        plain["model"][name]["options"] = {
            "gives_detections": type(model.options).gives_detections, "like": likeness(model.options),
            **({} if isinstance(model.options, Kept) else {"said": model.options.model_dump(mode="json")})}
    return plain


def likeness(options: Options) -> str:
    """Give what is equal where options are."""
    if isinstance(options, Kept):
        return options.like
    return hashlib.sha256(options.model_dump_json().encode()).hexdigest()[:16]


def settings_of(plain: dict[str, Any]) -> Settings:
    """Read what was written so. Raises: ValueError."""
    models = plain.get("model", {})
    try:
        found = Settings.model_validate({**plain, "model": {name: {**one, "options": {}} for name, one in models.items()}})
    except ValidationError as error:
        raise ValueError(f"settings that this version does not know: {error.errors()[0]['msg']}") from None
    return found.model_copy(update={"model": {
        name: model.model_copy(update={"options": _options(models[name]["options"])}) for name, model in found.model.items()}})


def _options(plain: dict[str, Any]) -> Kept:
    return (Detects if plain["gives_detections"] else Kept)(like=plain["like"])
