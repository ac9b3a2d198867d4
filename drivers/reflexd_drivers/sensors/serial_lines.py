"""A device on a serial port that says its value in lines of text: an Arduino, a scale, a meter.

The first line after opening does not count, since its beginning may be missing. What is no line of
text, or not what was asked for, is counted and never becomes a value.
"""

from __future__ import annotations

from reflexd_drivers.base import ValueKind
from reflexd_drivers.lines import SUSPICIOUS, LineKeys, Lines, NoTextError, reader
from reflexd_drivers.serial_port import Port
from reflexd_drivers.stream import AT_ONCE, Said, Stream, StreamSettings, wrong_baud


class Settings(LineKeys, StreamSettings):
    """What the configuration says of serial-lines."""

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return self.value


class LineDecoder:
    """Cuts lines and understands each; of a chunk that holds many, the newest."""

    unit = "line"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._understand = reader(settings)
        self._lines = Lines()
        self._garbled = 0          # lines that are no text
        self._unfit = 0            # lines of text that say no value
        self._skipped = 0          # lines of a flood that newer ones replaced
        self._noise = 0            # garbled and overlong lines since one was understood
        self._strange = ""         # the first unfit line since one was understood

    def counters(self) -> dict[str, int]:
        """Count lines that were no text, said no value, had no end, or were passed over in a flood."""
        return {"garbled": self._garbled, "unfit": self._unfit, "overlong": self._lines.overlong, "skipped": self._skipped}

    def restart(self) -> None:
        """Take the next line for cut."""
        self._lines.restart()

    def feed(self, chunk: bytes) -> list[Said | None]:
        """Give what the lines say that a chunk completes."""
        overlong = self._lines.overlong
        lines = self._lines.feed(chunk)
        self._noise += self._lines.overlong - overlong
        self._skipped += max(0, len(lines) - AT_ONCE)
        return [value for line in lines[-AT_ONCE:] if (value := self._value(line)) is not None]

    def _value(self, line: bytes) -> Said | None:
        try:
            value = self._understand(line)
        except NoTextError:
            self._garbled += 1
            self._noise += 1
        except ValueError:
            self._unfit += 1
            self._strange = self._strange or line.decode(errors="replace").strip()[:60]
        else:
            self._noise, self._strange = 0, ""
            return value
        return None

    def trouble(self) -> str:
        """Say why there is no value."""
        if self._noise:
            return wrong_baud(self._settings, "text")
        if self._strange:
            return f'no line says a {self._settings.value}, as "{self._strange}"; correct pattern, column, json or value'
        return wrong_baud(self._settings, "whole line") if self._lines.endless >= SUSPICIOUS else ""


def connect(settings: Settings) -> Stream:
    """Open the port for this process alone.

    Raises: DriverError.
    """
    return Stream(settings, Port(settings), LineDecoder(settings))
