"""A device that is told its level by a command on a serial port: a relay board, a dimmer, a motor driver, an Arduino.

A command counts as taken once the expected answer came, or, where none is configured, once the kernel took it.
The device may be absent: its worker opens it, and opens it again, and nothing is active meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import monotonic, sleep
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reflexd_drivers.base import ActuatorSettings, DriverError, SerialBytes
from reflexd_drivers.frames import as_bytes
from reflexd_drivers.patterns import compiled
from reflexd_drivers.serial_port import CHUNK, Port, SerialKeys

LONGEST_MS = 800           # of all tries of one command: a worker that takes two of them is not yet stuck
PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
PLACEHOLDERS: dict[str, Callable[[float], str]] = {
    "level": lambda level: f"{level:g}",
    "percent": lambda level: str(round(level * 100)),
    "byte": lambda level: str(round(level * 255)),
}
HEX_PLACEHOLDERS: dict[str, Callable[[float], str]] = {
    "percent": lambda level: f"{round(level * 100):02x}",
    "byte": lambda level: f"{round(level * 255):02x}",
}


class OnOff(BaseModel):
    """A command for each of two levels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: str = Field(min_length=1, max_length=1000, description="what is sent for on")
    off: str = Field(min_length=1, max_length=1000, description="what is sent for off")


class Settings(SerialKeys, ActuatorSettings):
    """What the configuration says of serial-command."""

    commands: OnOff | None = Field(default=None, description='{ on = "…", off = "…" }: what is sent; or command')
    command: str | None = Field(
        default=None, min_length=1, max_length=1000, description="what is sent for any level, with {percent}, {byte} or {level}"
    )
    format: Literal["text", "hex"] = Field(default="text", description='how commands and answer are written; "hex" as "ff 01"')
    answer: str | None = Field(
        default=None, min_length=1, max_length=1000, description="what has to come back: a regular expression, or bytes"
    )
    timeout_ms: int = Field(default=300, ge=10, le=LONGEST_MS, description="how long an answer may take")
    retries: int = Field(default=1, ge=0, le=10, description="how often a command is sent again that was not answered")
    boot_delay_s: float = Field(default=0, ge=0, le=8, description="how long after opening the first command is sent")

    @property
    def on_off(self) -> bool:   # type: ignore[override]
        """Say whether there is no level between on and off."""
        return self.commands is not None

    @field_validator("answer")
    @classmethod
    def _is_pattern(cls, answer: str | None) -> str | None:
        compiled(answer or "")
        return answer

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if (self.commands is None) == (self.command is None):
            raise ValueError("an actuator has commands = { on, off }, or one command for any level; write one of the two")
        if self.commands is not None and self.safe not in (0.0, 1.0):
            raise ValueError(f'safe is "on" or "off" where there are commands for these; found {self.safe:g}; write safe = "off"')
        if self.command is not None and not PLACEHOLDER.search(self.command):
            raise ValueError("command is the same for every level; put {percent}, {byte} or {level} into it, or write commands")
        if (self.retries + 1) * self.timeout_ms > LONGEST_MS:
            raise ValueError(f"retries and timeout_ms make up to {(self.retries + 1) * self.timeout_ms} ms, "
                             f"more than {LONGEST_MS}; lower one of them")
        for level in (0.0, 1.0):
            self.data(level)
        if self.format == "hex" and self.answer is not None:
            as_bytes(self.answer)
        if self.format == "text" and self.answer is not None and re.search(self.answer, ""):
            raise ValueError("answer fits no answer at all, so every command would count as taken; write what has to come back")
        return self

    def data(self, level: float) -> bytes:
        """Give what is sent for a level. Raises: ValueError."""
        if self.commands is not None:
            text = self.commands.on if level else self.commands.off
        else:
            text = self._filled(str(self.command), level)
        return bytes.fromhex(as_bytes(text)) if self.format == "hex" else text.encode()

    def _filled(self, text: str, level: float) -> str:
        known = HEX_PLACEHOLDERS if self.format == "hex" else PLACEHOLDERS
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                raise ValueError(f"command has no placeholder {{{name}}}; known: {', '.join(f'{{{one}}}' for one in known)}")
        return PLACEHOLDER.sub(lambda found: known[found[1]](level), text)

    def after_death(self) -> SerialBytes:
        """Give what sets the safe level, also while the device is absent."""
        return SerialBytes(self.port, self.baud, self.data(self.safe), self.data_bits, self.parity, self.stop_bits)


class SerialCommand:
    """An open device; one thread drives it."""

    blocking = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._port = Port(settings)
        self._closed = False
        try:
            sleep(settings.boot_delay_s)
            self.safe()
        except DriverError:
            self._port.close()
            raise

    def set(self, level: float) -> None:
        """Send the command for a level, and wait for the answer where one is expected.

        Raises: DriverError when the device did not take it.
        """
        if self._closed:
            raise DriverError(f"{self._settings.port}: the actuator was closed; open it again")
        if self._settings.on_off and level not in (0.0, 1.0):
            raise DriverError(f"{self._settings.port}: this actuator is on (1) or off (0); found {level:g}; change set")
        data, came = self._settings.data(level), b""
        for _ in range(self._settings.retries + 1):
            deadline = monotonic() + self._settings.timeout_ms / 1000       # of sending and listening together
            self._port.forget()        # an answer that came too late answers nothing
            self._port.write(data, self._settings.timeout_ms / 1000)
            if self._settings.answer is None:
                return
            came = self._listen(deadline)
            if self._answers(came):
                return
        found = self._shown(came[:40]) or "none"
        raise DriverError(f"{self._settings.port}: no right answer to {self._shown(data)}, found {found}; "
                          "check the device, its power and baud, or correct answer")

    def _listen(self, deadline: float) -> bytes:
        """Give what comes back, until it answers or the time is up."""
        came = b""
        while (left := deadline - monotonic()) > 0 and not self._answers(came):
            came = (came + self._port.read(left))[-CHUNK:]
        return came

    def _answers(self, came: bytes) -> bool:
        answer = str(self._settings.answer)
        if self._settings.format == "hex":
            return bytes.fromhex(answer) in came
        return re.search(answer, came.decode(errors="replace")) is not None

    def _shown(self, data: bytes) -> str:
        """Write bytes for a message, on one line."""
        return data.hex(" ") if self._settings.format == "hex" else repr(data.decode(errors="replace"))[1:-1] if data else ""

    def safe(self) -> None:
        """Send the command for the safe level.

        Raises: DriverError when the device did not take it.
        """
        self.set(self._settings.safe)

    def check(self, _now: int) -> None:
        """Look whether the device is still plugged in; what it says unasked is not looked at.

        Raises: DriverError when it is gone.
        """
        self._port.read(0)

    def close(self) -> None:
        """Send the command for the safe level, and give the port back.

        Raises: DriverError when the device did not take it; the port is given back all the same.
        """
        if self._closed:
            return
        try:
            self.safe()
        finally:
            self._closed = True
            self._port.close()

    def after_death(self) -> SerialBytes:
        """Give what sets the safe level."""
        return self._settings.after_death()


def connect(settings: Settings) -> SerialCommand:
    """Open the port, wait for the device to boot, and set the safe level.

    Raises: DriverError.
    """
    return SerialCommand(settings)
