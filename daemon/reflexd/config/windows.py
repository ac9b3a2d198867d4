"""What a model watches: a camera or sensors, by its task; and which windows of readings, as the bundle or the files have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reflexd.config.merge import Merged
from reflexd.config.messages import show
from reflexd.config.positions import Location
from reflexd.config.settings import ModelSettings, WindowSettings
from reflexd_drivers.base import DriverSettings, SensorSettings
from reflexd_models import tasks
from reflexd_models.bundle import Bundle

LARGEST = 4_000_000        # numbers that are kept of a window: 16 MB
GAP_SAMPLES = 4            # how long a pause between two readings may be where nothing is said of it …
GAP_MS = 20                # … and that is long enough for a computer that is busy
KINDS = {"boolean": "true or false", "text": "a text"}
ADD = {
    "camera": "add camera = … (name of the camera whose frames it is given)",
    "sensors": "add sensors = [\"…\"] (names of the sensors whose readings it is given)",
}


def resolve(merged: Merged, location: Location, model: ModelSettings, bundle: Bundle | None) -> ModelSettings | None:
    """Report where a model does not watch what its task wants; else fill in what the bundle says of the window."""
    watches = None if bundle is None else tasks.load(bundle.task).Options.watches
    trouble = list(_misplaced(location, model, watches, bundle.task if bundle else ""))
    for where, what, found, remedy in trouble:
        merged.report(where, what, found=found, remedy=remedy, absent=not found)
    if trouble or bundle is None or watches != "sensors":
        return None if trouble else model
    window = _filled(merged, location, model.window, bundle)
    return None if window is None else model.model_copy(update={"window": window})


def _misplaced(location: Location, model: ModelSettings, watches: str | None,
               task: str) -> Iterator[tuple[Location, str, str, str]]:
    camera, sensors = model.camera is not None, bool(model.sensors)
    if not camera and not sensors:
        what = watches or "camera"
        yield location, f"{what} is missing", "", ADD[what] + ("" if watches else ", or sensors for a network of readings")
    elif camera and sensors and watches is None:
        yield (*location, "sensors"), "a model watches a camera or sensors", "both", "keep one of them"
    elif sensors and watches == "camera":
        yield ((*location, "sensors"), f"the task {task} watches a camera, not sensors", show(list(model.sensors)),
               "remove it" if camera else 'write camera = "NAME" instead')
    elif camera and watches == "sensors":
        yield ((*location, "camera"), f"the task {task} watches sensors, not a camera", show(model.camera),
               "remove it" if sensors else 'write sensors = ["NAME"] instead')
    elif camera and model.window.model_fields_set:
        yield (*location, "window"), "a window goes with sensors", "a table", "remove it"
    for place, name in enumerate(model.sensors):
        if name in model.sensors[:place]:
            yield (*location, "sensors", place), f"{show(name)} is named twice", show(name), "remove it"


def _filled(merged: Merged, location: Location, said: WindowSettings, bundle: Bundle) -> WindowSettings | None:
    """Fill a window in. A bundle without [window] leaves rate and length to the files."""
    made = bundle.window
    rate = said.rate_hz or (None if made is None else made.rate_hz)
    length = said.length or (None if made is None else made.length)
    for key, value in (("rate_hz", rate), ("length", length)):
        if value is None:
            merged.report(location, f"window.{key} is missing, and the bundle {show(bundle.name)} does not say it", absent=True,
                          remedy=f"add window.{key} = … ({WindowSettings.model_fields[key].description})")
    if rate is None or length is None:
        return None
    hop = said.hop or (made.hop if made and made.length == length else None) or max(1, length // 2)
    gap_ms = said.gap_ms or max(GAP_SAMPLES * 1000 / rate, GAP_MS)
    if gap_ms * rate < 2000:
        merged.report((*location, "window", "gap_ms"), f"must be at least two samples, {2000 / rate:g} ms", found=f"{gap_ms:g}",
                      remedy="raise it")
        return None
    return WindowSettings(rate_hz=rate, length=length, hop=hop, gap_ms=gap_ms)


def judge_windows(merged: Merged, models: Mapping[str, ModelSettings], bundles: Mapping[str, Bundle],
                  sensors: Mapping[str, DriverSettings]) -> None:
    """Report where sensors do not give what the windows of a model are made of."""
    for name, model in models.items():
        found = [sensors.get(one) for one in model.sensors]
        known = [one for one in found if isinstance(one, SensorSettings)]
        for place, sensor in enumerate(found):
            if isinstance(sensor, SensorSettings):
                _judge_sensor(merged, ("model", name), place, model, sensor)
        if known and len(known) == len(found):
            _judge_width(merged, ("model", name), model, bundles[name], known)


def _judge_sensor(merged: Merged, location: Location, place: int, model: ModelSettings, sensor: SensorSettings) -> None:
    name, gap_ms = model.sensors[place], model.window.gap_ms or 0.0
    if sensor.gives in KINDS:
        merged.report((*location, "sensors", place), f"this {sensor.driver} is {KINDS[sensor.gives]}, and a window has numbers",
                      found=show(name), remedy="name a sensor of numbers")
    if gap_ms > sensor.max_age_ms:
        what = f"{show(name)} is unknown after max_age_ms = {sensor.max_age_ms}, which is less than gap_ms = {gap_ms:g}"
        merged.report((*location, "sensors", place), what, found=show(name),
                      remedy=f"raise max_age_ms of sensor.{name}, or lower window.gap_ms")
    every_ms = getattr(sensor, "every_ms", 0)
    if every_ms > gap_ms:
        merged.report((*location, "sensors", place),
                      f"{show(name)} is read each {every_ms:g} ms, and a pause over gap_ms = {gap_ms:g} begins the window anew",
                      found=show(name), remedy=f"lower every_ms of sensor.{name}, or raise window.gap_ms")


def _judge_width(merged: Merged, location: Location, model: ModelSettings, bundle: Bundle, sensors: list[SensorSettings]) -> None:
    given = [channel for sensor in sensors for channel in sensor.channels]
    wanted = bundle.window.channels if bundle.window else ()
    if wanted and len(wanted) != len(given):
        what = (f"the bundle {show(bundle.name)} wants {len(wanted)} numbers of each moment ({', '.join(wanted)}), "
                f"and the sensors give {len(given)}")
        merged.report((*location, "sensors"), what, found=", ".join(given),
                      remedy="name sensors that give as many, or let one give several (columns, json or more)")
    window = model.window
    if (window.hop or 0) > (window.length or 0):
        what = (f"windows begin {window.hop_s:g} s apart and are shorter: what happens between two is never looked at, "
                "and what is said of one counts until the next")
        merged.report(location, what, severity="warning", remedy="lower window.hop", absent=True)
    rows = (window.length or 0) + (window.hop or 0) + 2 * (window.gap_ms or 0) / 1000 * (window.rate_hz or 0)
    if rows * len(given) > LARGEST:
        merged.report(location, f"a window would keep {rows * len(given):,.0f} numbers, and {LARGEST:,} are the most",
                      remedy="lower window.length, hop, rate_hz or gap_ms", absent=True)
