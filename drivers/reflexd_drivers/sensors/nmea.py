"""A device that speaks NMEA 0183: a GNSS receiver, an echo sounder, a wind vane, a compass.

pynmea2 knows the sentences and their fields. It is lenient where a daemon may not be, so what is checked here before:
the whole form, a checksum in every sentence, numbers that are numbers, and a position that is there at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from reflexd_drivers.base import ValueKind
from reflexd_drivers.lines import SUSPICIOUS, Lines
from reflexd_drivers.scaling import NumberKeys, number
from reflexd_drivers.serial_port import Port
from reflexd_drivers.stream import Said, Stream, StreamSettings, wrong_baud

SENTENCE = re.compile(rb"\$([A-Z]{2})([A-Z]{3}),([\x20-\x7e]*)\*[0-9A-Fa-f]{2}")     # "$" and "*" once each, see below
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
PLACES = {"latitude": ("lat", r"\d\d[0-5]\d\.\d+", "NS", 90), "longitude": ("lon", r"\d{3}[0-5]\d\.\d+", "EW", 180)}
NO_FIX = {"status": "V", "gps_qual": "0", "mode_indicator": "N", "faa_mode": "N"}     # field → what it says without a fix


class Settings(NumberKeys, StreamSettings):
    """What the configuration says of nmea."""

    baud: int = Field(default=4800, ge=50, le=4_000_000, description="bits a second; most receivers on USB use 9600")
    sentence: str = Field(pattern="^[A-Z]{3}$", description='type of the sentence, as "GGA", "RMC", "MTW", "DBT" or "HDT"')
    field: str = Field(min_length=1, max_length=40, description='field with the value; "latitude" and "longitude" are degrees')
    talker: str | None = Field(default=None, pattern="^[A-Z]{2}$", description='who has to say it, as "GP"; default: anybody')
    valid_only: bool = Field(default=True, description="count a sentence that says of itself that there is no fix as no value")

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "number"

    @field_validator("sentence")
    @classmethod
    def _known_sentence(cls, sentence: str) -> str:
        if (known := sentences()) and sentence not in known:
            raise ValueError(f'there is no sentence "{sentence}"; write one of NMEA 0183, as GGA, RMC, MTW, DBT or HDT')
        return sentence

    @field_validator("field")
    @classmethod
    def _known_field(cls, field: str, info: ValidationInfo) -> str:
        sentence = sentences().get(info.data.get("sentence", ""))
        if sentence is not None and field not in (known := fields(sentence)):
            raise ValueError(f'{info.data["sentence"]} has no field "{field}" with a number; known: {", ".join(known)}')
        return field


def sentences() -> dict[str, Any]:
    """Give the sentences that pynmea2 knows, by type; none where it is not installed, as on a laptop that only checks."""
    try:
        from pynmea2.nmea import TalkerSentence
    except ImportError:
        return {}
    import pynmea2.types.talker  # noqa: F401  which registers them

    return dict(TalkerSentence.sentence_types)


def fields(sentence: Any) -> list[str]:   # noqa: ANN401  pynmea2 has no types
    """List the fields of a sentence that may be a number. A position is one as degrees only."""
    names = [field[1] for field in sentence.fields]
    letters = ("timestamp", "datestamp", "lat", "lat_dir", "lon", "lon_dir")
    return [*(name for name in PLACES if PLACES[name][0] in names), *(name for name in names if name not in letters)]


class NmeaDecoder:
    """Cuts lines and takes the value out of the sentences that were asked for."""

    unit = "sentence"

    def __init__(self, settings: Settings) -> None:
        from pynmea2 import NMEASentence

        self._settings = settings
        self._parse: Callable[..., Any] = NMEASentence.parse
        self._wanted = settings.sentence.encode()
        self._talker = None if settings.talker is None else settings.talker.encode()
        self._lines = Lines()
        self._bad = 0             # lines that are no sentence, or whose checksum is wrong or missing
        self._unfit = 0           # sentences whose field says no number that can be true
        self._others = 0          # sentences of another type or talker
        self._told = ""           # what the last sentence that was asked for said instead of a value
        self._noise = self._sentences = 0     # since the last value

    def counters(self) -> dict[str, int]:
        """Count lines without a right checksum, numbers that cannot be true, and sentences that were not asked for."""
        return {"bad": self._bad + self._lines.overlong, "unfit": self._unfit, "other": self._others}

    def restart(self) -> None:
        """Take the next line for cut."""
        self._lines.restart()

    def feed(self, chunk: bytes) -> list[Said | None]:
        """Give what the sentences say that a chunk completes; None where one says that there is no fix."""
        overlong = self._lines.overlong
        found: list[Said | None] = []
        for line in self._lines.feed(chunk):
            sentence = self._sentence(line.strip())
            if sentence is not None:
                self._value(sentence, found)
        self._noise += self._lines.overlong - overlong
        return found

    def _sentence(self, line: bytes) -> Any:   # noqa: ANN401
        """Give a sentence that was asked for; whatever else comes is counted."""
        form = SENTENCE.fullmatch(line)
        # The beginning of one and the end of another look like one; an exclusive or of 8 bits may even agree.
        if form is None or line.count(b"$") > 1 or b"*" in form[3] or b"!" in form[3]:
            return self._count_bad(line)
        try:
            sentence = self._parse(line.decode("ascii"), check=True) if form[2] == self._wanted else None
        except ValueError:         # pynmea2's own errors are of that kind
            return self._count_bad(line)
        self._sentences += 1
        if sentence is None or self._talker not in (None, form[1]):
            self._others += 1
            return None
        return sentence

    def _count_bad(self, line: bytes) -> None:
        if not line.startswith(b"!"):      # AIS, which is well formed
            self._bad += 1
            self._noise += 1

    def _value(self, sentence: Any, found: list[Said | None]) -> None:   # noqa: ANN401
        empty = not raw(sentence, PLACES.get(self._settings.field, (self._settings.field,))[0])
        if self._settings.valid_only and any(raw(sentence, field) == says for field, says in NO_FIX.items()):
            self._told = "the device has no fix; wait, give its antenna a view of the sky, or set valid_only = false"
            found.append(None)
        elif empty:
            self._told = f"the device leaves {self._settings.field} empty; wait, or choose another field"
            found.append(None)
        else:
            try:
                found.append(number(as_number(sentence, self._settings.field), self._settings))
                self._noise = self._sentences = 0
                self._told = ""
            except ValueError:
                self._unfit += 1
                self._told = f"{self._settings.field} is no number that can be true; correct field, scale, offset or range"

    def trouble(self) -> str:
        """Say why there is no value."""
        if self._told:
            return self._told
        if self._sentences:
            wanted = f"{self._settings.talker or ''}{self._settings.sentence}"
            return f"sentences come, and none is a {wanted}; correct sentence or talker"
        noise = self._noise or self._lines.endless >= SUSPICIOUS
        return wrong_baud(self._settings, "NMEA sentence with a checksum") if noise else ""


def raw(sentence: Any, field: str) -> str:   # noqa: ANN401
    """Give what a sentence says in a field, as it was sent; nothing for one that it does not have."""
    at = type(sentence).name_to_idx.get(field, len(sentence.data))
    return str(sentence.data[at]).strip() if at < len(sentence.data) else ""


def as_number(sentence: Any, field: str) -> float:   # noqa: ANN401
    """Read a field, where pynmea2 gives text for what is no number and 0 degrees for what is no position. Raises: ValueError."""
    if field not in PLACES:
        text = raw(sentence, field)
        if not NUMBER.fullmatch(text):
            raise ValueError("no number")
        return float(text)
    name, form, directions, most = PLACES[field]
    degrees = float(getattr(sentence, field)) if re.fullmatch(form, raw(sentence, name)) else most + 1
    if raw(sentence, f"{name}_dir") not in tuple(directions) or abs(degrees) > most:
        raise ValueError("no position")
    return degrees


def connect(settings: Settings) -> Stream:
    """Open the port for this process alone.

    Raises: DriverError.
    """
    return Stream(settings, Port(settings), NmeaDecoder(settings))
