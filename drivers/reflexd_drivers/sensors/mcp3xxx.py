"""An analogue value through a converter of the MCP3xxx family on SPI, in units of the sensor behind it.

gpiozero speaks its protocol, lgpio the kernel's SPI. Where that is missing gpiozero would clock the pins by itself, with
a warning only; here it is an error. A converter that is not connected says a number too, mostly 0: write a `range`.
Source: Microchip's data sheets of the MCP3008 and MCP3304 (a code is the share of the reference in steps of 1 / 2 ** bits).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from reflexd_drivers.base import DriverError, SensorSettings
from reflexd_drivers.gpio import HeaderKeys, faults, open_header
from reflexd_drivers.kernel_files import NumberKeys
from reflexd_drivers.sensors.polled import Polled, PollKeys

CHANNELS = {"MCP3001": 1, "MCP3002": 2, "MCP3004": 4, "MCP3008": 8, "MCP3201": 1, "MCP3202": 2, "MCP3204": 4, "MCP3208": 8,
            "MCP3301": 1, "MCP3302": 4, "MCP3304": 8}
SPI_PINS = ("GPIO9", "GPIO10", "GPIO11")
SELECT_PINS = ("GPIO8", "GPIO7")
Type = Literal["MCP3001", "MCP3002", "MCP3004", "MCP3008", "MCP3201", "MCP3202", "MCP3204", "MCP3208",
               "MCP3301", "MCP3302", "MCP3304"]


class Settings(HeaderKeys, NumberKeys, PollKeys, SensorSettings):
    """What the configuration says of a mcp3xxx."""

    type: Type = Field(description="which converter it is")
    channel: int = Field(default=0, ge=0, le=7, description="its input; with differential, the pair that begins there")
    differential: bool = Field(default=False, description="measure between two inputs; those with one channel always do")
    device: Literal[0, 1] = Field(default=0, description="which select line it hangs at: 0 is CE0 (GPIO8), 1 is CE1 (GPIO7)")
    reference_v: float = Field(default=3.3, gt=0, le=7, description="voltage at its VREF; the value is in volts before scale")
    samples: int = Field(default=1, ge=1, le=64, description="the value is the mean of so many conversions")
    every_ms: int = Field(default=50, ge=2, le=3_600_000, description="pause between two questions; less than max_age_ms")

    @model_validator(mode="after")
    def _has_channel(self) -> Settings:
        if self.channel >= CHANNELS[self.type]:
            last = CHANNELS[self.type] - 1
            raise ValueError(f"a {self.type} has channels 0 to {last}; found {self.channel}; choose one of them")
        return self

    @property
    def shared_pins(self) -> tuple[str, ...]:
        """Name the pins that no other kind of device may have."""
        return (*SPI_PINS, SELECT_PINS[self.device])


class HardwareOnly:
    """A pin factory for gpiozero's converters that knows the kernel's SPI and no other way."""

    def __init__(self, factory: Any) -> None:   # noqa: ANN401
        self._factory = factory

    def spi(self, shared: bool, **where: int) -> Any:   # noqa: ANN401
        """Open the bus."""
        pins, _ = self._factory._extract_spi_args(**where)   # noqa: SLF001  its spi() falls back to clocking the pins itself,
        bus = self._factory._get_spi_class(shared, hardware=True)   # noqa: SLF001  with a factory that floats pins at exit
        return bus(pin_factory=self._factory, **pins)


class Converter:
    """One input of a converter."""

    def __init__(self, settings: Settings, dev: Path) -> None:
        self._settings = settings
        self._where = f"{settings.type} channel {settings.channel}"
        header = open_header(settings.factory, settings.chip)
        if settings.factory != "mock":
            _look_for(dev / f"spidev0.{settings.device}")
        with faults(self._where):
            self._chip = self._open(header.factory)

    def _open(self, factory: Any) -> Any:   # noqa: ANN401  gpiozero has no types
        import gpiozero

        more: dict[str, Any] = {}
        if CHANNELS[self._settings.type] > 1:
            more = {"channel": self._settings.channel, "differential": self._settings.differential}
        kind = getattr(gpiozero, self._settings.type)
        return kind(port=0, device=self._settings.device, pin_factory=HardwareOnly(factory), **more)

    def ask(self) -> float:
        """Give the value in units. Raises: DriverError, SilentError."""
        with faults(self._where):
            codes = [self._chip.raw_value for _ in range(self._settings.samples)]
            volts = sum(codes) / len(codes) / 2 ** self._chip.bits * self._settings.reference_v
        return self._settings.true_value(self._where, volts)

    def close(self) -> None:
        """Give the bus back."""
        with faults(self._where):
            self._chip.close()


def _look_for(device: Path) -> None:
    """See whether the kernel's SPI may be used. Raises: DriverError."""
    try:
        device.open("rb").close()
    except FileNotFoundError as error:
        raise DriverError(f"{device}: the kernel shows no SPI; add dtparam=spi=on to config.txt, and restart") from error
    except OSError as error:
        raise DriverError(f"{device}: it cannot be opened: {error.strerror}; "
                          "use the drop-in spi.conf, and be in group spi") from error


def connect(settings: Settings, dev: Path = Path("/dev")) -> Polled:
    """Open the bus.

    Raises: DriverError.
    """
    converter = Converter(settings, dev)
    return Polled(f"{settings.type} channel {settings.channel}", settings.every_ms, converter.ask, converter.close)
