"""Pulses at a pin: by the hardware where the pin is led to it, else by lgpio's thread; which of them is said, never guessed.

A channel of the hardware goes on when this process dies, so its pulses are set safe by one write afterwards. It is left
exported, enabled and at its safe level by close(): taking it back would stop the pulses.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Literal, Protocol, TypeAlias

from reflexd_drivers.base import DriverError, GpioLine, SysfsWrite
from reflexd_drivers.gpio import Header, faults, line_number
from reflexd_drivers.pwm_files import PwmFiles, Route, find_route

Method: TypeAlias = Literal["auto", "hardware", "software"]
NS = 1_000_000_000
EXPORT_S = 1.0      # until udev has given the files of a new channel to the group gpio
SOFTWARE_MOST_HZ = 10_000     # lgpio's own bound


class Pulses(Protocol):
    """Pulses at one pin."""

    about: str

    def give(self, share: float) -> None:
        """Be high for that share of each period, 0 to 1. Raises: DriverError."""
        ...

    def after_death(self, share: float) -> GpioLine | SysfsWrite:
        """Say what gives pulses of that share once this process is dead."""
        ...

    def close(self, share: float) -> None:
        """Leave pulses of that share. Raises: DriverError."""
        ...


class HardwarePulses:
    """A channel of the kernel."""

    def __init__(self, pin: str, route: Route, frequency_hz: float, share: float, files: PwmFiles) -> None:
        self._pin = pin
        self._route = route
        self._files = files
        self._period_ns = round(NS / frequency_hz)
        self._duty = f"{route.folder}/duty_cycle"
        self.about = f"{pin} by hardware, {route.folder.removeprefix('sys/class/pwm/')}"
        with kernel_faults(self._pin):
            self._export()
            self._held = files.hold(self._duty)
            try:
                self._begin(share)
            except OSError:
                os.close(self._held)
                raise

    def _export(self) -> None:
        """Have the kernel show the channel, and wait until its files may be written."""
        if not self._files.exists(self._route.folder):
            try:
                self._files.write(f"{self._route.chip}/export", str(self._route.channel))
            except OSError as error:
                if error.errno != errno.EBUSY or not self._files.exists(self._route.folder):
                    raise
        deadline = monotonic() + EXPORT_S
        while True:
            try:
                os.close(self._files.hold(self._duty))
                return
            except PermissionError:
                if monotonic() >= deadline:
                    raise
                sleep(0.02)

    def _begin(self, share: float) -> None:
        """Set period and pulse without a moment at another level: a pulse is never longer than the period, so says the kernel."""
        polarity = f"{self._route.folder}/polarity"
        if self._files.exists(polarity) and self._files.read(polarity).strip() != "normal":
            self._files.write(f"{self._route.folder}/enable", "0")       # as another program left it; it changes only at rest
            self._files.write(polarity, "normal")
        period, pulse = f"{self._route.folder}/period", self._pulse(share)
        if int(self._files.read(period)) <= self._period_ns:
            self._files.write(period, str(self._period_ns))
            self._files.write(self._duty, pulse)
        else:
            self._files.write(self._duty, pulse)
            self._files.write(period, str(self._period_ns))
        self._files.write(f"{self._route.folder}/enable", "1")

    def _pulse(self, share: float) -> str:
        return str(round(self._period_ns * share))

    def give(self, share: float) -> None:
        """Be high for that share of each period. Raises: DriverError."""
        with kernel_faults(self._pin):
            self._files.write(self._duty, self._pulse(share))

    def after_death(self, share: float) -> SysfsWrite:
        """Name the file and what to write."""
        return SysfsWrite(str(self._files.root / self._duty), self._pulse(share))

    def close(self, share: float) -> None:
        """Leave pulses of that share, and let another process have the channel."""
        try:
            self.give(share)
        finally:
            os.close(self._held)


class SoftwarePulses:
    """Pulses of lgpio's thread: they tremble by some ten microseconds, more when the processor is busy."""

    def __init__(self, pin: str, user: str, frequency_hz: float, share: float, header: Header) -> None:
        if frequency_hz > SOFTWARE_MOST_HZ:
            raise DriverError(f"{pin}: software makes {SOFTWARE_MOST_HZ} pulses a second at most; lower frequency_hz")
        self._name, self._header, self._frequency_hz = pin, header, frequency_hz
        self.about = f"{pin} by software"
        self._pin = header.claim(pin, user, lambda made: made.output_with_state(share >= 0.5))

    def give(self, share: float) -> None:
        """Be high for that share of each period. Raises: DriverError."""
        with faults(self._name):
            self._pin.pulse(self._frequency_hz, share)

    def after_death(self, share: float) -> GpioLine:
        """Name the line and the level nearest to that share."""
        return GpioLine(self._header.label, line_number(self._name), share >= 0.5)

    def close(self, share: float) -> None:
        """Leave the level nearest to that share, without pulses."""
        with faults(self._name):
            self._pin.still(share >= 0.5)


@contextmanager
def kernel_faults(where: str) -> Iterator[None]:
    """Turn what the kernel refuses into a DriverError."""
    try:
        yield
    except DriverError:
        raise
    except BlockingIOError as error:
        raise DriverError(f"{where}: another process gives its pulses; stop that program") from error
    except (OSError, ValueError) as error:
        number, what = getattr(error, "errno", 0), getattr(error, "strerror", None) or str(error)
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise DriverError(f"{where}: the kernel's files for pulses may not be written: {what}; "
                              "use the drop-in hardware-pwm.conf, and be in group gpio") from error
        raise DriverError(f"{where}: the kernel refused the pulses: {what}; "
                          "choose another frequency_hz, or look at dmesg") from error


def open_pulses(pin: str, user: str, method: Method, frequency_hz: float, share: float,
                header: Header, files: PwmFiles) -> Pulses:
    """Take the hardware where the pin is led to it, else software, as the method allows. Raises: DriverError."""
    why = 'since method = "software"'
    if method != "software":
        try:
            route = find_route(pin, files)
        except DriverError as error:
            if method == "hardware":
                raise
            why = f"since {str(error).partition(': ')[2].partition(';')[0]}"
        else:
            header.reserve(pin, user)
            try:
                return HardwarePulses(pin, route, frequency_hz, share, files)
            except DriverError:
                header.release(pin)
                raise
    made = SoftwarePulses(pin, user, frequency_hz, share, header)
    made.about = f"{made.about}, {why}"
    return made
