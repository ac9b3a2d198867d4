"""The contracts that every driver fulfils, and the values that pass through them.

A driver is a module with `Settings` (a refinement of CameraSettings, SensorSettings or
ActuatorSettings: its fields are its documentation and its schema) and `connect(settings)`, which
opens the device and gives a Camera, a Sensor or an Actuator. Vendor libraries are imported inside
`connect`, so that a configuration can be checked without hardware. A driver starts no thread.
Time is integer monotonic nanoseconds; the names of other units end in _s, _ms, _hz or _px.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

Plane: TypeAlias = NDArray[np.uint8]
Value: TypeAlias = float | bool | str
Format: TypeAlias = Literal["rgb", "grey", "yuv420"]
ValueKind: TypeAlias = Literal["number", "boolean", "text"]

YEAR_S = 31_536_000
LEVELS = {"on": 1.0, "off": 0.0}


class DriverError(OSError):
    """A device is missing, refused or failed; the text says where, what and what to do."""


class SilentError(DriverError, TimeoutError):
    """Nothing arrived within the bound of a read; the device may still come back."""


class NotYetError(SilentError):
    """Nothing arrived because its time has not come; a recording that is opened again would begin anew."""


class SourceEndedError(DriverError, EOFError):
    """A recording came to its end; nothing will ever arrive again."""


def parse_level(value: object) -> float:
    """Read "on", "off" or a share from 0 to 1 as a level.

    Raises: ValueError for anything else, numbers written as booleans included.
    """
    if isinstance(value, str) and value in LEVELS:
        return LEVELS[value]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError('a level is "on", "off" or a number from 0 to 1')


Level = Annotated[
    float,
    BeforeValidator(parse_level),
    WithJsonSchema({"anyOf": [{"enum": ["on", "off"]}, {"type": "number", "minimum": 0, "maximum": 1}]}),
]


def resolve_by_context(path: Path, info: ValidationInfo) -> Path:
    """Take a relative path from the folder of the main configuration file, which the context names `base`."""
    base = (info.context or {}).get("base")
    return path if base is None else Path(base) / path


ConfigPath = Annotated[Path, AfterValidator(resolve_by_context)]


class DriverSettings(BaseModel):
    """What the configuration says of every device."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    driver: str = Field(description="name of the driver")

    def seen(self) -> object:
        """Say what can be seen of the device without opening it; a change of that ends the pause before the next opening."""
        return None


ROUNDED_ONE = 1.000001       # 0.7 + 0.3 may be a little more than 1
Share = Annotated[float, Field(ge=0, le=1)]
Point: TypeAlias = tuple[Share, Share]


def check_crop(crop: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
    """Refuse a crop that is empty or reaches out of the picture. Raises: ValueError."""
    if crop is not None:
        x, y, width, height = crop
        if not width or not height or max(x + width, y + height) > ROUNDED_ONE:
            raise ValueError("crop is empty or reaches out of the picture; write [x, y, width, height], as [0.25, 0, 0.5, 1]")
    return crop


def check_polygon(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Refuse a polygon whose sides cross or touch, which would leave a part of what it means uncovered.

    A corner that is written twice in a row counts once, and so does a last one that is the first again.
    Raises: ValueError.
    """
    corners = tuple(one for one, before in zip(points, (*points[-1:], *points[:-1]), strict=True) if one != before)
    if len(corners) < 3:
        raise ValueError("a polygon has at least three different corners; write them as [x, y]")
    sides = list(enumerate(zip(corners, (*corners[1:], *corners[:1]), strict=True)))
    for (i, one), (j, other) in combinations(sides, 2):
        if j - i not in (1, len(sides) - 1) and _meet(*one, *other):
            raise ValueError("the sides of this polygon cross; write its corners in the order in which one walks around it")
    return corners


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Say whether the ways from a to b and from c to d have a point in common."""
    if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(_turn(p, q, r) == 0 and all(min(p[k], q[k]) <= r[k] <= max(p[k], q[k]) for k in (0, 1)) for p, q, r in ends)


def _turn(a: Point, b: Point, c: Point) -> float:
    """Say on which side of the way from a to b the point c lies: positive, negative, or 0 for on it."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


Crop = Annotated[tuple[Share, Share, Share, Share] | None, AfterValidator(check_crop)]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=100), AfterValidator(check_polygon)]


def node(path: str | Path) -> object:
    """Say which device a path leads to, for seen(); None where there is none."""
    try:
        found = os.stat(path)     # noqa: PTH116  a pathname of the configuration, not always one that Path can say
    except (OSError, ValueError):
        return None
    return found.st_rdev, found.st_ino, found.st_mode, found.st_gid


class CameraSettings(DriverSettings):
    """What the configuration says of every camera."""

    frozen_default_s: ClassVar[float] = 5.0    # 0 where a scene may stay the same bit for bit: a recording, a drawing

    max_age_ms: int = Field(default=500, gt=0, le=60_000, description="older frames are counted and dropped")
    rate_hz: float | None = Field(default=None, gt=0, le=1000, description="frames a second that are expected")
    required: bool = Field(default=False, description="keep every output safe while this camera is absent")
    rotate: Literal[0, 90, 180, 270] = Field(default=0, description="degrees clockwise by which the picture is turned")
    flip: Literal["none", "horizontal", "vertical", "both"] = Field(default="none", description="mirrored, after it was turned")
    crop: Crop = Field(
        default=None, description="[x, y, width, height] that is kept, as shares of the picture after it was turned and mirrored")
    masks: tuple[Polygon, ...] = Field(
        default=(), max_length=32, description="polygons [[x, y], …], as shares of the picture that is kept; painted black "
                                               "before anything looks at it")
    frozen_after_s: float | None = Field(
        default=None, ge=0, le=3600, description="the same picture bit for bit for that long is trouble; 0 is never; "
                                                 "default: 5, and 0 for replay and pattern")

    @property
    def frozen_s(self) -> float:
        """After how long the same picture is trouble; 0 for never."""
        return self.frozen_default_s if self.frozen_after_s is None else self.frozen_after_s


class SensorSettings(DriverSettings):
    """What the configuration says of every sensor."""

    read_bound_s: ClassVar[float] = 0.2   # how long a read may take beyond its timeout, until the sensor is in trouble

    max_age_ms: int = Field(default=1000, gt=0, le=86_400_000, description="an older reading counts as unknown")
    required: bool = Field(default=False, description="keep every output safe while this sensor is absent")

    @property
    def gives(self) -> ValueKind | None:
        """Say what every reading is; None where only the device knows."""
        return None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Say between which two numbers every reading that is a number lies, in its unit; None where that is not certain."""
        return None

    @property
    def channels(self) -> tuple[str, ...]:
        """Name the numbers that a reading gives of one moment, for networks that watch windows; the first is its value."""
        return ("value",)


class ActuatorSettings(DriverSettings):
    """What the configuration says of every actuator."""

    on_off: ClassVar[bool] = False   # True: no level between on and off
    guarded: ClassVar[bool] = True   # False: after_death() gives None, so a killed process leaves the last level

    safe: Level = Field(description='level that does no harm, "on" or "off": set at start, at stop and in every fault')
    max_on_s: float | None = Field(default=None, gt=0, le=YEAR_S, description="longest time away from the safe level")
    min_off_s: float = Field(default=0, ge=0, le=YEAR_S, description="shortest rest at the safe level between two activations")
    interlock: str | None = Field(default=None, min_length=1, description="of the actuators that share this name one is active")
    accept_unguarded: bool = Field(default=False, description="accept that a killed process leaves this actuator as it was")

    def way_s(self, level: float) -> float:
        """Say how long it takes from the safe level to another, s."""
        return 0.0


@dataclass(frozen=True, slots=True)
class View:
    """One rendering of a frame.

    rgb: one plane uint8 (height, width, 3); grey: one plane uint8 (height, width);
    yuv420: planes Y (height, width), U and V (height/2, width/2), in full range (BT.601, Y from 0 to 255,
    no colour at 128), as in JPEG and libcamera's sYCC. A driver whose camera gives the video range (16 to 235) converts.
    Source: JFIF 1.02; ITU-T T.871.
    """

    format: Format
    planes: tuple[Plane, ...]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.planes[0].shape[:2]
        return width, height


@dataclass(slots=True, eq=False)
class Slot:
    """The buffers of one frame, lent to its holders and returned to the pool by the last of them."""

    views: Mapping[str, View]
    give_back: Callable[[Slot], None]
    holders: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)   # held for one addition, never across I/O

    def retain(self) -> None:
        """Add a holder."""
        with self.lock:
            self.holders += 1

    def release(self) -> None:
        """Take a holder away; the last one returns the buffers.

        Raises: RuntimeError when there is no holder: the buffers may already hold another frame.
        """
        with self.lock:
            if self.holders == 0:
                raise RuntimeError("a frame was released more often than it was held")
            self.holders -= 1
            last = self.holders == 0
        if last:
            self.give_back(self)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture and when it was taken. Its pixels are valid until the holder's release()."""

    taken_at: int
    sequence: int
    slot: Slot

    @property
    def views(self) -> Mapping[str, View]:
        """The renderings by name; "main" is always there."""
        return self.slot.views

    def retain(self) -> Frame:
        """Hold the pixels for one more reader, who then calls release()."""
        self.slot.retain()
        return self

    def release(self) -> None:
        """Say that this reader is done with the pixels."""
        self.slot.release()


class FramePool:
    """Slots that are used over and over, so that no frame is ever allocated once the loop is warm.

    It grows to what its readers hold at once (slots + readers + 1) and never past `limit`.
    """

    def __init__(self, make_views: Callable[[], Mapping[str, View]], limit: int = 16) -> None:
        self._make_views = make_views
        self._free: list[Slot] = []          # append and pop are atomic under the interpreter's lock
        self._limit = limit
        self.made = 0

    def take(self) -> Slot | None:
        """Give a slot with one holder, or None while every slot up to the limit is held."""
        try:
            slot = self._free.pop()
        except IndexError:
            if self.made >= self._limit:
                return None
            self.made += 1
            slot = Slot(self._make_views(), self._free.append)
        slot.retain()
        return slot


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sensor said, in SI units.

    `changed_at` is when the value last changed, `taken_at` when it was last confirmed. `rises` and
    `falls` count since the sensor was opened, so that a press between two wakes is never lost.
    `values` are all numbers of that moment, for networks that watch windows; `value` is the first of them.
    """

    value: Value
    taken_at: int
    changed_at: int
    rises: int = 0
    falls: int = 0
    values: tuple[float, ...] = ()     # empty where there is no number but `value`


@dataclass(frozen=True, slots=True)
class GpioLine:
    """A line that the program which runs after a death drives: its chip by label, and the level to set."""

    chip_label: str
    line: int
    high: bool


@dataclass(frozen=True, slots=True)
class SysfsWrite:
    """A file of the kernel and what to write to it after a death."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class SerialBytes:
    """A serial port and what to send to it after a death."""

    port: str
    baud: int
    data: bytes
    data_bits: int = 8
    parity: str = "none"
    stop_bits: int = 1


AfterDeath: TypeAlias = GpioLine | SysfsWrite | SerialBytes | None


class Camera(Protocol):
    """Gives frames. read() and close() may come from two threads."""

    lossless: bool
    """True: the next frame waits until each reader took the last one (a recording read as fast as
    possible); False: a new frame replaces one that was not taken, and is counted. A camera that turns
    or mirrors its pictures itself says so by `arranged`, a frozenset of "rotate" and "flip"."""

    def read(self, timeout_s: float) -> Frame:
        """Give the next frame, which the caller holds.

        Raises: SilentError when none came in time; SourceEndedError; DriverError when the camera is gone.
        """
        ...

    def close(self) -> None:
        """Give the device back; a second call does nothing."""
        ...


class Sensor(Protocol):
    """Gives readings. read() and close() may come from two threads."""

    def read(self, timeout_s: float) -> Reading:
        """Give a reading as soon as the value changes, and the confirmed old value after timeout_s.

        Raises: SilentError when the device said nothing; SourceEndedError; DriverError when it is gone.
        """
        ...

    def close(self) -> None:
        """Give the device back; a second call does nothing."""
        ...


class Actuator(Protocol):
    """Acts on the world. connect() leaves it at its safe level, and so does close()."""

    blocking: bool
    """True: set() may take longer than some microseconds, so it gets a worker of its own."""

    def set(self, level: float) -> None:
        """Drive a level from 0 (off) to 1 (on).

        Raises: DriverError when the device did not take it.
        """
        ...

    def safe(self) -> None:
        """Drive the safe level.

        Raises: DriverError when the device did not take it.
        """
        ...

    def close(self) -> None:
        """Drive the safe level and leave it driven; a second call does nothing."""
        ...

    def after_death(self) -> AfterDeath:
        """Say what sets the safe level once this process is dead; None when nothing can."""
        ...


@runtime_checkable
class PassesOver(Protocol):
    """A sensor that may hear several readings between two reads: rules want the newest, windows of readings want them all."""

    def passed_over(self) -> list[Reading]:
        """Give, oldest first, what came before the reading that read() gave last and was given by no read(); bounded.

        Only the thread that reads calls it. A text says that something between was lost, and why.
        """
        ...


@runtime_checkable
class Counts(Protocol):
    """A device that counts what went wrong inside it; the daemon adds that up over every opening and shows it in status."""

    def counters(self) -> Mapping[str, int]:
        """Give each count since this opening, always under the same names; any thread may call."""
        ...


@runtime_checkable
class Replugs(Protocol):
    """Settings of an actuator that may be absent: a worker opens it, and opens it again after it failed; it is `blocking`."""

    def seen(self) -> object:
        """Say what can be seen of the device without opening it, as all settings do."""
        ...

    def after_death(self) -> AfterDeath:
        """Say what sets the safe level, which nobody can ask an absent device."""
        ...


@runtime_checkable
class Moves(Protocol):
    """An actuator whose set() begins a movement that takes time; it is `blocking`, and its worker brings it forward."""

    def advance(self) -> float | None:
        """Make the next step of what set() or safe() began; says in how many seconds the one after is due, None at the end.

        Raises: DriverError when the device did not take it.
        """
        ...


@runtime_checkable
class ReadsBack(Protocol):
    """An actuator with a sense pin or another way to see whether the world followed."""

    def check(self, now: int) -> None:
        """Compare what was driven with what is seen; called ten times a second and more, so it never waits.

        Raises: DriverError when the two have differed for too long.
        """
        ...


class DriverModule(Protocol):
    """What a driver's file has."""

    Settings: type[Any]

    def connect(self, settings: Any) -> Any:   # noqa: ANN401  the registry knows the kind
        """Open the device.

        Raises: DriverError.
        """
        ...
