"""The worker of a model that watches sensors: takes every reading, makes windows of them, and tells what the network says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from time import monotonic_ns

from reflexd.config.settings import ModelSettings, Settings
from reflexd.jobs import SensorJob
from reflexd.networks import INFERENCE_BOUND_NS, NetworkJob
from reflexd.rules.items import Predicted, Rested
from reflexd.windows import Plan, Windows
from reflexd.workers import WAIT_S, Inbox
from reflexd_drivers.base import Reading
from reflexd_models.about import Window
from reflexd_models.base import ModelError, Prediction, SeriesModel
from reflexd_models.bundle import Bundle, open_model

AHEAD_S = 2.0                  # of readings that may wait while the network is busy …
FASTER = 4                     # … if they come at up to that many times the rate of samples
LEAST, MOST = 256, 50_000      # readings that may wait


def plan_of(model: ModelSettings, settings: Settings) -> Plan:
    """Say which windows a model is given."""
    window, widths = model.window, tuple(len(settings.sensor[name].channels) for name in model.sensors)
    assert None not in (window.rate_hz, window.length, window.hop, window.gap_ms), "load.py has filled them in"
    return Plan(widths, window.rate_hz or 0, window.length or 0, window.hop or 0, window.gap_ms or 0)


def open_series(bundle: Bundle, model: ModelSettings, plan: Plan, watch: frozenset[str]) -> SeriesModel:
    """Load a bundle for the windows that it will be given. Raises: ModelError."""
    width = sum(plan.widths)
    said = bundle.window or Window(channels=tuple(f"{number}" for number in range(1, width + 1)), rate_hz=1, length=1)
    window = said.model_copy(update={"rate_hz": plan.rate_hz, "length": plan.length, "hop": plan.hop})
    golden = bundle.golden if bundle.window and said.length == plan.length else None      # else it is of other windows
    found = open_model(replace(bundle, window=window, golden=golden), model.options, watch)
    if not isinstance(found, SeriesModel):
        raise ModelError(f"{bundle.where}: the task {bundle.task} watches a camera, not sensors; give it a camera")
    if (found.shape.length, len(found.shape.channels)) != (plan.length, width):
        raise ModelError(f"{bundle.where}: the network takes windows of {found.shape.length} samples of "
                         f"{len(found.shape.channels)} numbers, and would be given {plan.length} of {width}; correct "
                         "window.length or sensors")
    return found


class SeriesJob(NetworkJob[SeriesModel]):
    """Runs a network on the newest window."""

    def __init__(self, name: str, plan: Plan, age_ns: int, load: Callable[[], SeriesModel], watch: frozenset[str],
                 sensors: Sequence[SensorJob], out: Inbox[Predicted | Rested]) -> None:
        """`age_ns` is how long a prediction counts."""
        # a window may count for hours; a call that does not return has to be seen sooner, for meanwhile no gap is
        super().__init__(name, load, watch, min(age_ns, INFERENCE_BOUND_NS), out)
        self.windows = Windows(plan)
        self._openings = 0
        bound = min(max(ceil(AHEAD_S * FASTER * plan.rate_hz), LEAST), MOST)
        self._sensors = tuple(sensors)
        self._inboxes = tuple(sensor.add_reader(self._wake, bound) for sensor in sensors)
        self._lost = self._gaps = 0       # that were taken into account
        self._told = False                # whether the last word was that nothing is known

    @property
    def readings_dropped(self) -> int:
        """Count the readings that there was no room for while the network was busy."""
        return sum(inbox.dropped for inbox in self._inboxes)

    def open(self) -> None:
        """Load the network."""
        self._openings += 1
        super().open()

    def step(self) -> bool:
        """Take the readings that are there, and tell what the network says of a window that has become whole."""
        model = self.held.take()
        self._wake.wait(WAIT_S)
        heard = self._heard()
        if self.resting:
            self.windows.restart("the network rests")
            self._gaps = self.windows.gaps
            return True
        for place, reading in heard:
            self.windows.add(place, reading)
        self.windows.look(monotonic_ns())
        self._tell_gaps()
        found = self.windows.take()
        if found is None:
            return self._openings == 1      # one that failed has to prove itself by a prediction
        began = monotonic_ns()
        prediction = model.predict(*found)
        self._told = False
        self._tell(prediction, began)
        return True

    def _heard(self) -> list[tuple[int, Reading]]:
        """Give what the sensors said, in the order of time."""
        heard = [(place, reading) for place, inbox in enumerate(self._inboxes) for reading in inbox.drain()]
        heard.sort(key=lambda one: one[1].taken_at)
        if self.readings_dropped > self._lost:
            self._lost = self.readings_dropped
            self.windows.restart("readings came faster than the network could be asked")
        return heard

    def _tell_gaps(self) -> None:
        """Say at once that nothing is known any more: what was said of the last window would count for a while."""
        if self.windows.gaps == self._gaps:
            return
        self._gaps = self.windows.gaps
        if self.predictions and not self._told:
            self._told = True
            unknown = Prediction(monotonic_ns(), {}, unsure=self.windows.trouble)
            self._out.put(Predicted(self._model_name, unknown, self.held.exchanges))

    def leave(self) -> None:
        """Take no more readings: another job takes the place of this one."""
        for sensor, inbox in zip(self._sensors, self._inboxes, strict=True):
            sensor.remove_reader(inbox)
