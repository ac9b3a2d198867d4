"""Whether conditions on the time fit: the place for the sun, silence that is meant, and what may be remembered."""

from __future__ import annotations

from reflexd.config.conditions import CrossingCondition, ScoreCondition, TimeCondition, ValueCondition
from reflexd.config.messages import show
from reflexd.config.parts import Draft
from reflexd.config.positions import Location
from reflexd.config.times import moment
from reflexd_drivers.base import CameraSettings, SensorSettings

SUN = "where the sun rises and sets depends on the place, and there is no [place]"


def judge_time(draft: Draft, location: Location, condition: TimeCondition) -> None:
    """Refuse words of the sun without a place, or without what computes them."""
    words = [index for index, one in enumerate(condition.between or ()) if moment(one).word]
    if not words or condition.between is None:
        return
    here: Location = (*location, "between", words[0])
    found = show(condition.between[words[0]])
    if "place" not in draft.merged.data:
        draft.merged.report(here, SUN, found=found, absent=True,
                            remedy="add [place] with latitude and longitude, in degrees")
    try:
        import astral.sun  # noqa: F401  here, so that the decision loop has it at hand
    except ImportError as error:
        draft.merged.report(here, f"the sun cannot be computed ({error})", found=found, remedy="pip install astral")


def judge_place(draft: Draft) -> None:
    """Warn of a place that nobody asks for."""
    asked = any(isinstance(one, TimeCondition) and one.asks_sun
                for rule in draft.rules.values() for one in (*rule.when, *rule.unless))
    if draft.place is not None and not asked and len(draft.rules) == len(draft.merged.data.get("rule", [])):
        draft.merged.report(("place",), "no condition asks when the sun rises or sets", absent=True, severity="warning",
                            remedy='write it into one, as between = ["sunset", "sunrise"], or remove this')


def judge_within(draft: Draft, location: Location, condition: ScoreCondition | CrossingCondition | ValueCondition) -> None:
    """Refuse to act on what is over."""
    if condition.within_s is not None and "when" in location:
        draft.merged.report((*location, "within_s"), "a rule does not act on what was true a while ago",
                            found=f"{condition.within_s:g}", remedy="move the condition to unless, or remove within_s")


def judge_silence(draft: Draft, location: Location, condition: ValueCondition, silent_for_s: float) -> None:
    """Refuse a silence that is none: within its max_age_ms a source need not speak."""
    camera = condition.camera
    if condition.model in draft.models:
        camera = draft.models[condition.model].camera
    device = draft.devices["camera"].get(camera or "") or draft.devices["sensor"].get(condition.sensor or "")
    if isinstance(device, (CameraSettings, SensorSettings)) and silent_for_s * 1000 < device.max_age_ms:
        whose = f"camera {camera}" if isinstance(device, CameraSettings) else f"sensor {condition.sensor}"
        what = f"{whose} may take up to its max_age_ms = {device.max_age_ms} from one item to the next"
        draft.merged.report((*location, "silent_for_s"), what, found=f"{silent_for_s:g}",
                            remedy=f"write {device.max_age_ms / 1000:g} at least, or lower max_age_ms")
