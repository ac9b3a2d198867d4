"""The pins of the header: opened once per process, shared by every gpio driver.

Invariants: a pin has one user in this process; an output is claimed directly at a level and is
never turned back into an input, not even at exit; the chip is found by its label and never
replaced by something else. gpiozero's own factory, `Device.pin_factory`, stays unset: what is
registered there is closed at exit, and closing lets a pin float.

lgpio starts a thread of its own at import and writes files called .lgd-nfy* into the working
directory, so the daemon needs a working directory that it may write to.
"""

from __future__ import annotations

import fcntl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from reflexd_drivers.base import DriverError
from reflexd_drivers.gpio_edges import Edges, Pull, listen_to_kernel
from reflexd_drivers.header import BOARDS, POSITIONS

HEADER_LABELS = tuple(board.chip for board in BOARDS)
"""Label of the chip that drives the 40-pin header: Pi 0 to 3, Pi 4, Pi 5.

Source: raspberrypi/linux, drivers/pinctrl/bcm/pinctrl-bcm2835.c (gpio_chip.label) and drivers/pinctrl/pinctrl-rp1.c.
"""
MOCK_LABEL = "mock"
RESERVED = ("GPIO0", "GPIO1")
"""ID_SD and ID_SC, where the firmware reads the EEPROM of an add-on board. Source: Raspberry Pi HAT design guide."""
PINS = tuple(f"GPIO{number}" for number in range(len(POSITIONS)))
GPIO_GET_CHIPINFO = 0x8044_B401   # _IOR(0xB4, 0x01, struct gpiochip_info), linux/gpio.h
CHIP_INFO = struct.Struct("=32s32sI")

Factory: TypeAlias = Literal["auto", "lgpio", "mock"]
Listen: TypeAlias = Callable[[Any, str, Pull, float], Edges]


def check_pin(value: object) -> object:
    """Accept "GPIO2" to "GPIO27".

    Raises: ValueError that says what to write.
    """
    if value in RESERVED:
        raise ValueError(f"{value} is reserved: the Pi reads the identity of add-on boards there; use GPIO2 to GPIO27")
    if value not in PINS:
        hint = f'"GPIO{value}"' if str(value).isdigit() and int(str(value)) < len(PINS) else '"GPIO17"'
        raise ValueError(f"a pin is written by its Broadcom name, GPIO2 to GPIO27; write {hint}")
    return value


PinName = Annotated[
    str,
    BeforeValidator(check_pin),
    WithJsonSchema({"type": "string", "pattern": "^GPIO([2-9]|1[0-9]|2[0-7])$"}),
]


def names_a_pin(key: str) -> bool:
    """Say whether a key of a device names a pin: `pin`, or what ends in `_pin`. Drivers of others keep to that."""
    return key == "pin" or key.endswith("_pin")


def pins_of(part: BaseModel) -> list[str]:
    """Give the pins that the settings of a device name."""
    found = [getattr(part, key) for key in type(part).model_fields if names_a_pin(key)]
    return [pin for pin in found if pin is not None]


class HeaderKeys(BaseModel):
    """What every driver of pins takes from [gpio] where its own table does not say."""

    factory: Factory = Field(default="auto", description='library behind the pins, from [gpio]; "mock" has no hardware')
    chip: str | None = Field(default=None, description="label of the gpiochip instead of the header's, from [gpio]")


class GpioKeys(HeaderKeys):
    """What every driver of one pin takes."""

    pin: PinName = Field(description='Broadcom name of the pin, as "GPIO17"')


class InputKeys(GpioKeys):
    """What every driver takes that counts the edges of one pin."""

    pull: Pull = Field(description='resistor inside the Pi; "none" where the device drives the line')
    debounce_ms: float = Field(default=0, ge=0, le=5000, description="a level counts once it has been there that long")


@dataclass(frozen=True, slots=True)
class Chip:
    """A gpiochip as the kernel names it."""

    number: int
    label: str


class Header:
    """The pins of one chip and who uses them; any thread may call."""

    def __init__(self, factory: Any, label: str, consumer: Callable[[int], str], listen: Listen) -> None:   # noqa: ANN401  gpiozero has no types
        self.factory = factory
        self.label = label
        self._consumer = consumer
        self._listen = listen
        self._users: dict[str, str] = {}
        self._lock = threading.Lock()

    def claim(self, name: str, user: str, prepare: Callable[[Any], None]) -> Any:   # noqa: ANN401
        """Give the gpiozero pin of that name to one user, after `prepare(pin)`.

        Raises: DriverError when it is in use or the library refuses.
        """
        def make() -> Any:   # noqa: ANN401
            pin = self.factory.pin(name)
            prepare(pin)
            return pin

        try:
            return self._give(name, user, make)
        except DriverError:
            if name not in self._users:
                self._forget(name)
            raise

    def listen(self, name: str, user: str, pull: Pull, debounce_s: float = 0.0) -> Edges:
        """Give the edges of the pin of that name to one user; its close() lets another device have the pin.

        Raises: DriverError when it is in use or cannot be listened to.
        """
        edges: Edges = self._give(name, user, lambda: self._listen(self.factory, name, pull, debounce_s))
        edges.then(lambda: self.release(name))
        return edges

    def _give(self, name: str, user: str, make: Callable[[], Any]) -> Any:   # noqa: ANN401
        with self._lock:
            if name in self._users:
                raise DriverError(f"{name}: the pin is already in use by {self._users[name]}; give each device its own pin")
            with faults(name, lambda: self._consumer(line_number(name))):
                made = make()
            self._users[name] = user
        return made

    def reserve(self, name: str, user: str) -> None:
        """Keep a pin for one user who reaches it in another way. Raises: DriverError when it is in use."""
        self._give(name, user, lambda: None)

    def release(self, name: str) -> None:
        """Let another device have the pin; its level and direction stay as they are."""
        with self._lock:
            self._users.pop(name, None)

    def _forget(self, name: str) -> None:
        """Drop a pin that was only half set up, so that the next attempt starts from the beginning."""
        pins = self.factory.pins
        for info in [info for info in pins if info.name == name]:
            del pins[info]


def line_number(name: str) -> int:
    """Give the line of "GPIO17": on the header's chip they are numbered alike."""
    return int(name.removeprefix("GPIO"))


@contextmanager
def faults(where: str, consumer: Callable[[], str] = str) -> Iterator[None]:
    """Turn whatever the pin library raises into a DriverError; its classes share no base but Exception."""
    try:
        yield
    except DriverError:
        raise
    except Exception as error:
        if "busy" in str(error).lower():
            holder = consumer() or "another program"
            raise DriverError(f"{where}: the line is in use by {holder}; stop that program or choose another pin") from error
        what = str(error) or type(error).__name__
        raise DriverError(f"{where}: the pin library failed: {what}; check the wiring and dmesg") from error


_headers: dict[tuple[str, str | None], Header] = {}
_opening = threading.Lock()


def open_header(factory: Factory, chip: str | None) -> Header:
    """Give the header of this process; the first call opens it.

    Raises: DriverError when the chip or the library is missing.
    """
    key = ("mock" if factory == "mock" else "lgpio", chip)
    with _opening:
        if key not in _headers:
            _headers[key] = mock_header(chip) if factory == "mock" else lgpio_header(find_chip(list_chips(), chip))
        return _headers[key]


def mock_header(chip: str | None = None) -> Header:
    """Make pins without hardware; a test drives its inputs with `header.factory.pin("GPIO4").drive_high()`."""
    from reflexd_drivers.gpio_mock import Board, listen_to_mock

    return Header(Board(), chip or MOCK_LABEL, lambda _line: "", listen_to_mock)



def lgpio_header(chip: Chip) -> Header:
    """Open a chip of the kernel through gpiozero and lgpio.

    Raises: DriverError.
    """
    try:
        import lgpio
        from gpiozero.pins.lgpio import LGPIOFactory

        from reflexd_drivers.gpio_lgpio import DirectPin
    except ImportError as error:
        raise DriverError(f"gpio: lgpio cannot be imported ({error}); install python3-lgpio, {LAPTOP}") from error
    device = f"/dev/gpiochip{chip.number}"
    with faults(f"gpio: {device}"):
        factory = LGPIOFactory(chip=chip.number)
        factory.pin_class = DirectPin

    def listen(_factory: object, name: str, pull: Pull, debounce_s: float) -> Edges:
        with suppress(lgpio.error):      # it was an output of this process before a reload, or it was not
            lgpio.gpio_free(factory._handle, line_number(name))   # noqa: SLF001
        return listen_to_kernel(name, device, line_number(name), pull, debounce_s)

    return Header(factory, chip.label, lambda line: str(lgpio.gpio_get_line_info(factory._handle, line)[4]), listen)   # noqa: SLF001


LAPTOP = 'or on a computer without pins write factory = "mock" in [gpio]'


def find_chip(chips: list[Chip], label: str | None = None) -> Chip:
    """Choose the chip of that label, or the header's; its number differs between kernels and means nothing.

    Raises: DriverError that names the chips that are there.
    """
    wanted = HEADER_LABELS if label is None else (label,)
    for chip in chips:
        if chip.label in wanted:
            return chip
    found = ", ".join(f"gpiochip{chip.number} {chip.label}" for chip in chips) or "none"
    remedy = "name the header's chip in [gpio]" if chips else "run on a Raspberry Pi as a member of group gpio"
    raise DriverError(f"gpio: no chip is labelled {' or '.join(wanted)}; found {found}; {remedy}, {LAPTOP}")


def list_chips(folder: Path = Path("/dev")) -> list[Chip]:
    """List the gpiochips that this process may open."""
    chips = []
    for path in sorted(folder.glob("gpiochip*")):
        with suppress(OSError, ValueError), path.open("rb", buffering=0) as file:
            info = fcntl.ioctl(file, GPIO_GET_CHIPINFO, bytes(CHIP_INFO.size))
            label = CHIP_INFO.unpack(info)[1].rstrip(b"\0").decode(errors="replace")
            chips.append(Chip(int(path.name.removeprefix("gpiochip")), label))
    return chips
