"""A device on a Modbus RTU line: an energy meter, a thermostat, a weather station.

It is asked every every_ms for one value. An answer that is missing, damaged or refused is counted and the
question asked again; without a good one for max_age_ms the device counts as silent, and why is said.
"""

from __future__ import annotations

import threading
from time import monotonic_ns
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reflexd_drivers import modbus_bus
from reflexd_drivers.base import DriverError, SensorSettings, SilentError, Value, ValueKind
from reflexd_drivers.scaling import NumberKeys, number
from reflexd_drivers.sensors.polled import Polled, PollKeys
from reflexd_drivers.serial_port import SerialKeys

FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
BITS = ("coil", "discrete")
BIG, LITTLE_SWAP = 0, 3         # minimalmodbus' byte orders ABCD and CDAB


class Settings(PollKeys, NumberKeys, SerialKeys, SensorSettings):
    """What the configuration says of modbus."""

    read_bound_s: ClassVar[float] = 3.5      # the turns of the others, what comes late, a pause, and timeout_ms at its most
    shares_port: ClassVar[bool] = True

    baud: int = Field(default=19200, ge=50, le=4_000_000, description="bits a second; many devices use 9600")
    parity: Literal["none", "even", "odd"] = Field(default="even", description='parity bit of each byte; many devices use "none"')
    unit: int = Field(ge=1, le=247, description="address of the device on the line")
    function: Literal["holding", "input", "coil", "discrete"] = Field(default="holding", description="kind of register or bit")
    register_: int = Field(alias="register", ge=0, le=65_535, description="its number as sent, from 0: 40001 of a manual is 0")
    type: Literal["u16", "i16", "u32", "i32", "f32"] = Field(default="u16", description="how the number is written; not for bits")
    words: Literal["high-first", "low-first"] = Field(default="high-first", description="order of the two registers of 32 bits")
    timeout_ms: int = Field(default=200, ge=10, le=1000, description="how long an answer may take")

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "boolean" if self.function in BITS else "number"

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.function in BITS and (self.scale, self.offset, self.range, self.type) != (1, 0, None, "u16"):
            raise ValueError(f"type, scale, offset and range go with a number, and a {self.function} is a bit; remove them")
        if self.register_ == 65_535 and self.type in ("u32", "i32", "f32"):
            raise ValueError("register 65535 has no next one, which 32 bits need; lower it, or choose u16")
        return self


class Modbus(Polled):
    """A device that is asked over a bus which it may share."""

    def __init__(self, settings: Settings, bus: modbus_bus.Bus) -> None:
        import minimalmodbus

        super().__init__(settings.port, settings.every_ms, self._ask_device, bus.leave)
        self._settings = settings
        self._bus = bus
        self._library: Any = minimalmodbus
        self._device = self._library.Instrument(bus.line, settings.unit)
        self._leaving = threading.Event()
        self._begins_at = monotonic_ns() + round(settings.boot_delay_s * 1e9)
        self._good_at = self._begins_at
        self._counts = {"unanswered": 0, "damaged": 0, "refused": 0, "unfit": 0}
        self._why = ""                # what went wrong last

    def counters(self) -> dict[str, int]:
        """Count questions without an answer, with a damaged one, refused ones, and values that cannot be true."""
        return dict(self._counts)

    def _ask_device(self) -> Value | None:
        """Ask once. Raises: SilentError when there was no good answer for max_age_ms; DriverError when the port is gone."""
        if monotonic_ns() < self._begins_at:
            return None
        with self._bus.turn(self._settings.timeout_ms / 1000, self._leaving.is_set) as line:
            value = None if line is None else self._try()
        if value is not None:
            self._good_at = monotonic_ns()
        elif monotonic_ns() - self._good_at > self._settings.max_age_ms * 1_000_000:
            raise SilentError(f"{self._settings.port}: {self._why or 'the line is busy with others; raise every_ms of each'}")
        return value

    def _try(self) -> Value | None:
        library, unit, register = self._library, self._settings.unit, self._settings.register_
        try:
            return self._value(self._transact())
        except DriverError:
            raise
        except library.NoResponseError:
            self._note("unanswered", f"unit {unit} does not answer; check unit, baud and parity, its power, "
                                     "and whether A and B are swapped")
        except library.SlaveReportedException as error:
            reason = str(error).lower().removeprefix("slave reported ")
            self._note("refused", f"unit {unit} refuses register {register}: {reason}; correct register, function or type")
        except library.ModbusException:
            self._note("damaged", f"what unit {unit} answers is damaged; check baud and parity, the cable and its ends, "
                                  "and that no other device has that address")
        except (ValueError, OverflowError):
            self._note("unfit", f"register {register} of unit {unit} says what cannot be true; "
                                "correct register, type, words or range")
        return None

    def _note(self, what: str, why: str) -> None:
        self._counts[what] += 1
        self._why = why

    def _transact(self) -> float:
        one, device = self._settings, self._device
        code, order = FUNCTIONS[one.function], BIG if one.words == "high-first" else LITTLE_SWAP
        if one.function in BITS:
            return float(device.read_bit(one.register_, code))
        if one.type == "f32":
            return float(device.read_float(one.register_, code, 2, order))
        if one.type in ("u32", "i32"):
            return float(device.read_long(one.register_, code, one.type == "i32", order))
        return float(device.read_register(one.register_, 0, code, one.type == "i16"))

    def _value(self, found: float) -> Value:
        return bool(found) if self._settings.function in BITS else number(found, self._settings)

    def close(self) -> None:
        """End a read that waits, and give the port back with the last who uses it."""
        self._leaving.set()
        super().close()


def connect(settings: Settings) -> Modbus:
    """Open the port, or use it with the other modbus sensors on it.

    Raises: DriverError.
    """
    return Modbus(settings, modbus_bus.join(settings))
