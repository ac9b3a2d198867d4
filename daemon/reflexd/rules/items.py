"""What the decision stage consumes and what it orders, one frozen value each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from reflexd_drivers.base import Reading
from reflexd_models.base import Prediction

NS = 1_000_000_000
TEST = "reflexctl test"        # claims an output for a moment, as a rule does; no rule may be called so
CLOCK = "clock"                # the source that a Clock is of
TEST_PRIORITY = -1_000_000     # below every rule's


class Predicted(NamedTuple):
    """A network said something of a frame."""

    model: str
    prediction: Prediction
    exchanges: int = 0       # how often its network was exchanged before: what another one said is void


class Rested(NamedTuple):
    """A frame came while its network rested: the camera is there, and nothing is known of what it sees."""

    model: str
    taken_at: int


class Sensed(NamedTuple):
    """A sensor said something."""

    sensor: str
    reading: Reading


class Looked(NamedTuple):
    """A camera's picture is in a state: normal, black, covered, saturated, moved or frozen."""

    camera: str
    state: str
    taken_at: int


class Clock(NamedTuple):
    """What the wall clock says, once a second while some rule asks for the time."""

    utc_ns: int | None       # since 1970; None while the clock is not known to be right
    offset_s: int            # of local time from UTC
    taken_at: int


class Armed(NamedTuple):
    """Somebody armed or disarmed: no rule acts after it on what triggered it before."""

    armed: bool
    taken_at: int


class Down(NamedTuple):
    """A source failed or fell silent. What was taken before now is void; what is taken later is
    itself the proof that the source is back, so no item says that it is up again."""

    source: str   # "camera.NAME", "model.NAME" or "sensor.NAME"
    why: str


Item: TypeAlias = Predicted | Rested | Sensed | Looked | Clock | Armed | Down


class Verdict(NamedTuple):
    """What one condition says: true, false, or None for unknown; and on what ground."""

    truth: bool | None
    what: str
    observed: float | bool | str | None
    note: str = ""
    margin: float | None = None       # by how much it holds, in the unit of what was observed; negative: what it is short of
    unit: str = ""                    # of what was observed, where that is not the source's own: "s" of a time

    def __str__(self) -> str:
        """Write it for a person: "model.gate person at least 0.7: 0.82 (3 of 5 hits)"."""
        shown = "unknown" if self.truth is None else written(self.observed) + (f" {self.unit}" if self.unit else "")
        return f"{self.what}: {shown}" + (f" ({self.note})" if self.note else "")


def written(value: float | bool | str | None) -> str:
    """Write a value for a person."""
    if isinstance(value, str):
        return value
    return f"{round(value, 3):g}" if isinstance(value, float) else str(value).lower()


class Pattern(NamedTuple):
    """An output is on and off in turn."""

    phases: tuple[int, ...]      # ns on, off, on, off …; an even number of them
    times: int = 0               # how often; 0: as long as the claim lives


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule wants a level of an actuator until a moment; sent again, it is renewed."""

    rule: str
    actuator: str
    level: float
    priority: int
    until: int
    reasons: tuple[Verdict, ...]
    pattern: Pattern | None = None
    follows: bool = False        # a value, which may change the level at each renewal


@dataclass(frozen=True, slots=True)
class Release:
    """A rule no longer wants anything of an actuator."""

    rule: str
    actuator: str


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule began to act: told once, however long it goes on."""

    rule: str
    reasons: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Triggered:
    """A rule with a delay will act at that moment, unless something ends that."""

    rule: str
    due: int
    reasons: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """Something that stands above the rules allows outputs to be active until a moment."""

    by: str
    until: int


@dataclass(frozen=True, slots=True)
class Inhibit:
    """Something that stands above the rules keeps every output safe until it permits."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Lift:
    """Something no longer stands above the rules: neither its permission nor its ban counts any more."""

    by: str


Command: TypeAlias = Claim | Release | Fired | Triggered | Permit | Inhibit | Lift
