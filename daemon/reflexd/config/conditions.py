"""The shape of what a rule asks for, `when` and `unless`: every key of a condition, its bounds and what it means."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from reflexd.config.scene import Table
from reflexd.config.times import MIDNIGHT, moment, never
from reflexd_drivers.base import YEAR_S


def _check_moment(text: str) -> str:
    moment(text)
    return text


MomentText = Annotated[str, AfterValidator(_check_moment)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAY_S = 86_400


class ScoreCondition(Table):
    """How sure a network is of a label, as counted over its last predictions; of a detector, also where it is and how many."""

    model: str = Field(description="name of a model")
    label: str = Field(description="one of its bundle's labels")
    at_least: float = Field(gt=0, le=1, description="score from which a prediction is a hit")
    release_below: float | None = Field(default=None, gt=0, le=1, description="score below which it no longer is; hysteresis")
    hits: int = Field(default=1, ge=1, le=1000, description="hits that are needed")
    of: int | None = Field(default=None, ge=1, le=1000, description="among that many of the last predictions")
    zone: str | None = Field(default=None, description="detectors: only what stands in this zone of the model")
    count: int = Field(default=1, ge=1, le=100, description="detectors: that many of them in one prediction")
    dwell_s: float | None = Field(
        default=None, gt=0, le=86_400, description="detectors: only what has stood there for that long")
    within_s: float | None = Field(
        default=None, gt=0, le=DAY_S, description="in unless: also while it was true in the last seconds; a suppressor")

    @model_validator(mode="after")
    def _fits(self) -> ScoreCondition:
        if self.release_below is not None and self.release_below > self.at_least:
            raise ValueError("release_below is above at_least, so it would release before it holds; make it smaller")
        if self.hits > self.window:
            raise ValueError(f"hits is more than of ({self.hits} of {self.window}), which can never be; raise of, or lower hits")
        return self

    @property
    def window(self) -> int:
        """How many predictions are looked at."""
        return self.hits if self.of is None else self.of


class CrossingCondition(Table):
    """Something that a detector follows has crossed a line; true for the one prediction that shows it."""

    model: str = Field(description="name of a model whose task gives detections")
    label: str = Field(description="one of its bundle's labels")
    crosses: str = Field(description="name of a line of the model")
    direction: Literal["forward", "backward", "either"] = Field(
        default="either", description="forward is from left to right for who looks from the line's first point to its second")
    at_least: float = Field(default=0.5, gt=0, le=1, description="score that it has reached at least once on its way")
    within_s: float | None = Field(
        default=None, gt=0, le=DAY_S, description="in unless: also while it was true in the last seconds; a suppressor")


class ValueCondition(Table):
    """What a sensor's reading, a model's number or a camera's picture does. Exactly one comparison is given."""

    model: str | None = Field(default=None, description="name of a model that reads a number; or sensor or camera")
    sensor: str | None = Field(default=None, description="name of a sensor; or model or camera")
    camera: str | None = Field(
        default=None, description="name of a camera whose picture is normal, black, covered, saturated, moved or frozen")
    is_: bool | float | str | None = Field(default=None, alias="is", description="equal to")
    above: float | None = Field(default=None, description="greater than; with release_below, until it is less than that")
    below: float | None = Field(default=None, description="less than; with release_above, until it is greater than that")
    release_below: float | None = Field(default=None, description="with above: less than it ends the condition; hysteresis")
    release_above: float | None = Field(default=None, description="with below: greater than it ends the condition; hysteresis")
    changed: Annotated[float, Field(gt=0)] | Literal[True] | None = Field(
        None, description="moved by at least that much (true: at all) since it was last true"
    )
    rising_for_s: float | None = Field(default=None, gt=0, le=YEAR_S, description="has kept rising for that long")
    pause_s: float | None = Field(
        default=None, gt=0, le=YEAR_S, description="longest pause between two rises; default rising_for_s / 2")
    edge: Literal["rise", "fall"] | None = Field(default=None, description="went on or off since the last look; sensors only")
    rate_above: float | None = Field(
        default=None, description="rises by more than that in a second, over over_s; a fall is negative")
    rate_below: float | None = Field(
        default=None, description="rises by less than that in a second, over over_s; -2: falls by more than 2")
    over_s: float | None = Field(
        default=None, ge=0.1, le=DAY_S, description="with rate_above or rate_below: the time over which it is measured")
    stuck_for_s: float | None = Field(
        default=None, gt=0, le=7 * DAY_S, description="has not changed at all for that long, while it was heard")
    silent_for_s: float | None = Field(
        default=None, gt=0, le=7 * DAY_S, description="nothing fresh was heard of it for that long")
    within_s: float | None = Field(
        default=None, gt=0, le=DAY_S, description="in unless: also while it was true in the last seconds; a suppressor")

    @model_validator(mode="after")
    def _fits(self) -> ValueCondition:
        if [self.model, self.sensor, self.camera].count(None) != 2:
            raise ValueError("a condition is about one model, one sensor or one camera; name one of them")
        given = [key for key in COMPARISONS if getattr(self, key) is not None]
        names = ", ".join(key.rstrip("_") for key in given) or "none"
        if len(given) != 1:
            raise ValueError(f"a condition has one of {_LISTED}; found {names}; keep one")
        self._check_companions()
        return self

    def _check_companions(self) -> None:
        if self.release_below is not None and (self.above is None or self.release_below > self.above):
            raise ValueError("release_below goes with above, and is not greater than it; add above, or lower release_below")
        if self.release_above is not None and (self.below is None or self.release_above < self.below):
            raise ValueError("release_above goes with below, and is not less than it; add below, or raise release_above")
        if self.pause_s is not None and self.rising_for_s is None:
            raise ValueError("pause_s goes with rising_for_s; remove it")
        rate = next((key for key in ("rate_above", "rate_below") if getattr(self, key) is not None), None)
        if rate is not None and self.over_s is None:
            raise ValueError(f"{rate} goes with over_s, the time over which it is measured; add over_s = 30")
        if rate is None and self.over_s is not None:
            raise ValueError("over_s goes with rate_above or rate_below; remove it")
        if self.model is not None and (self.edge is not None or isinstance(self.is_, (bool, str))):
            raise ValueError("a model's value is a number; use above, below, changed or rising_for_s, or label with at_least")
        if self.camera is not None and not (isinstance(self.is_, str) or self.changed is True or self.silent_for_s):
            raise ValueError('a camera\'s picture is in a state; use is = "covered", changed = true or silent_for_s')


COMPARISONS = ("is_", "above", "below", "changed", "rising_for_s", "edge",
               "rate_above", "rate_below", "stuck_for_s", "silent_for_s")
_LISTED = f"{', '.join(key.rstrip('_') for key in COMPARISONS[:-1])} and {COMPARISONS[-1]}"


class TimeCondition(Table):
    """What time it is: between two moments of a day, on some days of the week."""

    between: tuple[MomentText, MomentText] | None = Field(
        default=None, description='two moments of a day, as ["22:00", "sunrise-00:30"]; default: the whole day')
    days: Annotated[tuple[Day, ...], Field(min_length=1)] | None = Field(
        default=None, description='days of the week on which the span begins, as ["sat", "sun"]; default: every day')
    otherwise: bool | None = Field(
        default=None, description="what counts while the clock is not synchronised; default: unknown, and no rule acts on it")

    @model_validator(mode="after")
    def _fits(self) -> TimeCondition:
        if self.between is None:
            if self.days is None:
                raise ValueError('otherwise goes with between or days; add between = ["22:00", "06:30"]')
            return self
        begin, end = map(moment, self.between)
        if begin == ("", MIDNIGHT):
            raise ValueError('between begins at 24:00, which is the end of a day; write "00:00"')
        if never(begin, end):
            raise ValueError("between is empty on every day; correct it, or write days alone for whole days")
        return self

    @property
    def asks_sun(self) -> bool:
        """Say whether it depends on where the sun is."""
        return any(moment(one).word for one in self.between or ())


def _kind_of_condition(table: Any) -> str:   # noqa: ANN401  whatever stands in the file
    if isinstance(table, CrossingCondition) or (isinstance(table, dict) and ("crosses" in table or "direction" in table)):
        return "(crossing)"
    if isinstance(table, TimeCondition) or (isinstance(table, dict) and table.keys() & TimeCondition.model_fields.keys()):
        return "(time)"
    if isinstance(table, ScoreCondition) or (isinstance(table, dict) and ("label" in table or "at_least" in table)):
        return "(score)"      # no key can be spelt like that, so a location stays unambiguous
    return "(value)"


Condition: TypeAlias = Annotated[
    Annotated[ScoreCondition, Tag("(score)")] | Annotated[CrossingCondition, Tag("(crossing)")]
    | Annotated[TimeCondition, Tag("(time)")] | Annotated[ValueCondition, Tag("(value)")],
    Discriminator(_kind_of_condition),
]
