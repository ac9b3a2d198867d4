"""A device on a serial port that says its value in lines of text: an Arduino, a scale, a meter.

A reading is as old as its line: without a new one the last stands until max_age_ms, then the device
counts as silent. The first line after opening does not count, since its beginning may be missing. What
is no line of text, or not what was asked for, is counted and never becomes a value.
"""

from __future__ import annotations

from time import monotonic, monotonic_ns

from reflexd_drivers.base import NotYetError, Reading, SensorSettings, SilentError, Value, ValueKind
from reflexd_drivers.lines import LineKeys, Lines, NoTextError, reader
from reflexd_drivers.serial_port import Port, SerialKeys

LINES_AT_ONCE = 64      # of a chunk that holds more, the newest
MS = 1_000_000


class Settings(LineKeys, SerialKeys, SensorSettings):
    """What the configuration says of serial-lines."""

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return self.value


class SerialLines:
    """A port whose lines are read."""

    def __init__(self, settings: Settings, port: Port) -> None:
        self._settings = settings
        self._port = port
        self._understand = reader(settings)
        self._lines = Lines()
        self._max_age_ns = settings.max_age_ms * MS
        self._looked_at = monotonic_ns()
        self._begins_at = self._looked_at + round(settings.boot_delay_s * 1e9)
        self._reading: Reading | None = None
        self.garbled = 0           # lines that are no text
        self.unfit = 0             # lines of text that say no value
        self.skipped = 0           # lines of a flood that newer ones replaced
        self._noise = 0            # garbled and overlong lines since one was understood
        self._strange = ""         # the first unfit line since one was understood

    def counters(self) -> dict[str, int]:
        """Count lines that were no text, said no value, had no end, or were passed over in a flood."""
        return {"garbled": self.garbled, "unfit": self.unfit, "overlong": self.overlong, "skipped": self.skipped}

    @property
    def overlong(self) -> int:
        """Count what went on for 4 KiB without an end of line."""
        return self._lines.overlong

    def read(self, timeout_s: float) -> Reading:
        """Give what a new line says as soon as it is there; after timeout_s the last reading, as old as it is.

        Raises: NotYetError before the first line; SilentError when none came for max_age_ms; DriverError.
        """
        deadline = monotonic() + timeout_s
        if monotonic_ns() - self._looked_at > self._max_age_ns:
            self._port.forget()        # nobody read for so long that nobody knows how old it is
            self._lines.restart()
        while True:
            chunk = self._port.read(deadline - monotonic())
            self._looked_at = monotonic_ns()
            if chunk and self._looked_at >= self._begins_at and self._take(chunk):
                break
            if monotonic() >= deadline:
                break
        return self._last()

    def _take(self, chunk: bytes) -> bool:
        """Take over what a chunk says. Returns whether it said something."""
        overlong = self.overlong
        lines = self._lines.feed(chunk)
        self._noise += self.overlong - overlong
        self.skipped += max(0, len(lines) - LINES_AT_ONCE)
        values = [value for line in lines[-LINES_AT_ONCE:] if (value := self._value(line)) is not None]
        for value in values:
            self._note(value)
        return bool(values)

    def _value(self, line: bytes) -> Value | None:
        try:
            return self._understand(line)
        except NoTextError:
            self.garbled += 1
            self._noise += 1
        except ValueError:
            self.unfit += 1
            self._strange = self._strange or line.decode(errors="replace").strip()[:60]
        return None

    def _note(self, value: Value) -> None:
        self._noise, self._strange = 0, ""
        now, old = self._looked_at, self._reading
        if old is None:
            self._reading = Reading(value, now, now)
            return
        changed = value != old.value
        rises = old.rises + (changed and value is True)
        falls = old.falls + (changed and value is False)
        self._reading = Reading(value, now, now if changed else old.changed_at, rises, falls)

    def _last(self) -> Reading:
        """Give the last reading while it is fresh."""
        now = monotonic_ns()
        if self._reading is not None and now - self._reading.taken_at <= self._max_age_ns:
            return self._reading
        if self._reading is None and now - self._begins_at <= self._max_age_ns:
            raise NotYetError(f"{self._settings.port}: no whole line has come yet; wait, or check the device")
        raise SilentError(f"{self._settings.port}: {self._trouble()}")

    def _trouble(self) -> str:
        """Say why there is no value, in words that stay the same while it lasts: each change is a line of the log."""
        baud = self._settings.baud
        if self._noise:
            return f"what comes is no text; {baud} baud may be wrong: write the device's own as baud, or check its cable"
        if self._strange:
            return f'no line says a {self._settings.value}, as "{self._strange}"; correct pattern, column, json or value'
        return f"no line came within {self._settings.max_age_ms} ms; check the device and its cable, or raise max_age_ms"

    def close(self) -> None:
        """End a read that waits, and give the port back."""
        self._port.close()


def connect(settings: Settings) -> SerialLines:
    """Open the port for this process alone.

    Raises: DriverError.
    """
    return SerialLines(settings, Port(settings))
