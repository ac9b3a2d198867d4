"""Tables of the configuration for what was found, ready to be pasted; each passes `reflexctl check` as it stands."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reflexd_drivers.cameras.libcamera_list import FoundSensor as FoundLens
from reflexd_drivers.gpio import PINS, RESERVED
from reflexd_drivers.header import BOARDS, INPUTS, OUTPUTS, number_of
from reflexd_drivers.probe import FoundCamera, FoundChip, FoundPort
from reflexd_drivers.probe_kernel import FoundPwm, FoundSensor
from reflexd_drivers.probe_serial import Heard

CHANNELS = 4     # of a converter, each with a table of its own
FIELDS = {"GGA": "altitude", "RMC": "spd_over_grnd", "VTG": "spd_over_grnd_kmph", "MTW": "temperature", "DBT": "depth_meters",
          "MWV": "wind_speed", "HDT": "heading"}
"""A field of each NMEA 0183 sentence that many receivers send, as the driver nmea calls it."""


class Table(NamedTuple):
    """A table: its header, its keys, and what to say beside each."""

    header: str
    keys: Mapping[str, Any]
    comments: Mapping[str, str] = {}

    def __str__(self) -> str:
        return "\n".join([f"[{self.header}]", *(self._line(key, value) for key, value in self.keys.items())])

    def _line(self, key: str, value: object) -> str:
        text = f"{key} = {literal(value)}"
        return f"{text:<40} # {self.comments[key]}" if key in self.comments else text


def literal(value: object) -> str:
    """Write a value as TOML does."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")      # which JSON lets pass, and TOML does not


@dataclass(slots=True)
class Names:
    """Gives each table a name of its own."""

    used: Counter[str]

    def __init__(self) -> None:
        self.used = Counter()

    def __call__(self, section: str, word: str) -> str:
        """Give the header of the next table, as sensor.serial2."""
        self.used[word] += 1
        return f"{section}.{word}{self.used[word]}"


def usb(camera: FoundCamera, names: Names) -> Table:
    """Name a camera at USB."""
    size = camera.nearest()
    keys = {"driver": "usb", "device": camera.device, **({} if size is None else {"size_px": list(size)})}
    return Table(names("camera", "camera"), keys, {"size_px": "small is quick; a network scales it down further"})


def gpio(chip: FoundChip, names: Names) -> tuple[Table, ...]:
    """Name two free pins of a chip: one that feels and one that acts."""
    free = [pin for pin in PINS if pin not in RESERVED and int(pin[4:]) < chip.lines and int(pin[4:]) not in chip.used]
    feels = next((pin for pin in (*_free(INPUTS, free), *free)), None)
    acts = next((pin for pin in (*_free(OUTPUTS, free), *free) if pin != feels), None)
    tables = [] if chip.header else [Table("gpio", {"chip": chip.label}, {"chip": "for every pin of this configuration"})]
    if feels is not None:
        tables.append(Table(names("sensor", "pin"), {"driver": "gpio-input", "pin": feels, "pull": "up", "active": "low"},
                            {"pin": _position(feels, chip), "pull": "for a switch to ground"}))
    if acts is not None:
        tables.append(Table(names("actuator", "output"), {"driver": "gpio-output", "pin": acts, "safe": "off", "max_on_s": 60},
                            {"pin": _position(acts, chip), "safe": "what does no harm, and what a resistor of yours pulls to"}))
    return tuple(tables)


def _free(wanted: tuple[int, ...], free: list[str]) -> list[str]:
    return [pin for number in wanted if (pin := f"GPIO{number}") in free]


def _position(pin: str, chip: FoundChip) -> str:
    return f"free; pin {number_of(pin)} of the header" if chip.header else "free"


def serial(port: FoundPort, heard: Heard, names: Names) -> Table:
    """Name what speaks at a serial port."""
    keys = {"driver": "serial-lines", "port": port.port, "baud": heard.baud, **(value_in(heard.lines[-1]) if heard.lines else {})}
    if sentence := _sentence(heard.lines):
        keys = {"driver": "nmea", "port": port.port, "baud": heard.baud, "sentence": sentence, "field": FIELDS[sentence]}
    comments = {} if heard.lines else {"baud": "a guess: nothing was heard"}
    return Table(names("sensor", "serial"), keys, comments)


def _sentence(lines: tuple[str, ...]) -> str:
    """Give the newest NMEA 0183 sentence of which a field is known; none where other lines come as well."""
    found = [re.fullmatch(r"[$!][A-Z]{2}([A-Z]{3}),.*", line) for line in lines]
    types = [one[1] for one in reversed(found) if one is not None and one[1] in FIELDS]
    return types[0] if types and all(found) else ""


def value_in(line: str) -> dict[str, Any]:
    """Say which keys take a value out of lines like this one: the first number, or the whole as text."""
    number = r"-?[0-9.]+"
    if re.fullmatch(number, line):
        return {}
    with_keys = _json_key(line)
    if with_keys:
        return {"json": with_keys}
    columns = line.split(",")
    if len(columns) > 1 and (found := [at for at, one in enumerate(columns, 1) if re.fullmatch(number, one.strip())]):
        return {"column": found[0]}
    if found_after := re.search(rf"([A-Za-z_]+ ?[=:] ?){number}", line):
        return {"pattern": f"{found_after[1]}({number})"}
    return {"value": "text"}


def _json_key(line: str) -> str:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    known = said.items() if isinstance(said, dict) else ()
    return next((key for key, value in known if re.fullmatch(r"\w+", key)
                 and isinstance(value, (int, float)) and not isinstance(value, bool)), "")


def libcamera(camera: FoundLens, names: Names) -> Table:
    """Name a camera behind libcamera."""
    size = min(camera.sizes, key=lambda one: abs(one[0] - 640), default=(640, 480))
    scaled = (640, 480) if size[0] >= 640 else (size[0] // 2 * 2, size[1] // 2 * 2)
    return Table(names("camera", "camera"), {"driver": "picamera2", "id": camera.id, "size_px": list(scaled)},
                 {"size_px": "small is quick; libcamera scales to any"})


def kernel(sensor: FoundSensor, names: Names) -> tuple[Table, ...]:
    """Name what the kernel measures: each of the first channels of a converter, one value of anything else."""
    values = list(sensor.values)
    keys: list[dict[str, Any]]
    if sensor.bus == "iio":
        channels = list(dict.fromkeys(re.sub("_(raw|input)$", "", one) for one in values))[:CHANNELS]
        keys = [{"driver": "iio", "device": sensor.name or Path(sensor.path).name, "channel": one} for one in channels]
    elif sensor.bus == "hwmon":
        keys = [{"driver": "hwmon", "device": sensor.name, "file": values[0]}] if sensor.name else []
    elif sensor.bus == "one-wire":
        keys = [{"driver": "one-wire", "id": Path(sensor.path).name}]
    else:
        keys = [{"driver": "cpu-temperature", "zone": sensor.name, "max_age_ms": 2000}] if sensor.name else []
    word = {"one-wire": "probe", "thermal": "chip"}.get(sensor.bus, sensor.bus)
    return tuple(Table(names("sensor", word), one) for one in keys)


def pwm(chip: FoundPwm, names: Names) -> tuple[Table, ...]:
    """Name a pin of the header that a free channel of PWM can be led to; none for a chip of something else."""
    pins = next((board.pwm for board in BOARDS if chip.device in board.pwm_device), {})
    free = [bcm for bcm, channel in pins.items() if channel < chip.channels and channel not in chip.exported]
    if not free:
        return ()
    pin = f"GPIO{free[0]}"
    keys = {"driver": "pwm", "pin": pin, "safe": "off", "max_on_s": 60}
    return (Table(names("actuator", "pwm"), keys, {"pin": f"pin {number_of(pin)} of the header, if the overlay leads there"}),)
