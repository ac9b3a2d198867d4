"""An RS-485 port that several Modbus devices share: opened once in this process, used by one at a time.

minimalmodbus builds and checks what is sent; it is given a `Line` in place of pyserial's port, whose waits
are bounded and end when the sensor that waits is closed. A port that failed is given back by all and opened anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from reflexd_drivers.base import DriverError
from reflexd_drivers.serial_port import Port, SerialKeys

SLICE_S = 0.05            # a wait looks that often whether it has to end
LONGEST_WAIT_S = 1.5      # for the bus, while others use it
LATE_S = 0.5              # for so long after a question without an answer, one to it may still come
EXCEPTION_BYTES = 5       # of an answer that refuses: unit, function with its highest bit set, code, CRC


class Line:
    """What minimalmodbus takes for a serial port."""

    is_open = True

    def __init__(self, port: Port, settings: SerialKeys) -> None:
        self.port = settings.port
        self.baudrate = settings.baud
        self.timeout_s = 0.2
        self.cancelled: Callable[[], bool] = lambda: False
        self._port = port
        self._asked = b""
        self._owed: dict[int, tuple[bytes, float]] = {}    # by unit: what it did not answer in time, and until when it may

    def open(self) -> None:
        """Nothing: it was opened before."""

    def close(self) -> None:
        """Nothing: the bus is closed by the last who leaves it."""

    def reset_input_buffer(self) -> None:
        """Forget what came too late for the question before."""
        self._port.forget()

    def reset_output_buffer(self) -> None:
        """Nothing: write() hands over all or fails."""

    def flush(self) -> None:
        """Nothing: broadcasts, which alone need it, are not used."""

    def write(self, data: bytes) -> None:
        """Send a question. Raises: DriverError.

        An answer of Modbus RTU does not say to which register it belongs, so none to the question before may still come.
        """
        owed, until = self._owed.get(data[0], (data, 0.0))
        while owed != data and (left := until - monotonic()) > 0 and not self.cancelled():
            self._port.read(min(left, SLICE_S))
        self._asked = data
        self._port.write(data, self.timeout_s)

    def read(self, size: int) -> bytes:
        """Give an answer as soon as it is whole, or what came of it in time. Raises: DriverError."""
        deadline, data = monotonic() + self.timeout_s, b""
        while len(data) < size and monotonic() < deadline and not self.cancelled():
            data += self._port.read(min(deadline - monotonic(), SLICE_S))
            if len(data) >= EXCEPTION_BYTES and data[1] & 0x80:
                break             # shorter than what was asked for: nothing more comes
        late = self._owed.get(self._asked[0], (b"", 0.0))[1] > monotonic()       # then this may be the one before it
        if late or len(data) < EXCEPTION_BYTES:
            self._owed[self._asked[0]] = self._asked, monotonic() + LATE_S
        return data[:size]


class Bus:
    """A port and who uses it."""

    def __init__(self, key: Path, settings: SerialKeys) -> None:
        """Open it. Raises: DriverError."""
        self.key = key
        self.set_as = settings.line
        self.users = 0
        self._port = Port(settings)
        self.line = Line(self._port, settings)
        self._lock = threading.Lock()       # held for one transaction, which is bounded

    @contextmanager
    def turn(self, timeout_s: float, cancelled: Callable[[], bool]) -> Iterator[Line | None]:
        """Have the line for one transaction; None where others did not let go of it in time, or `cancelled` says so."""
        deadline = monotonic() + LONGEST_WAIT_S
        while not self._lock.acquire(timeout=SLICE_S):
            if cancelled() or monotonic() > deadline:
                yield None
                return
        try:
            self.line.timeout_s, self.line.cancelled = timeout_s, cancelled
            yield self.line
        except DriverError:
            _drop(self)       # for everybody: the next who joins opens it anew
            raise
        finally:
            self._lock.release()

    def leave(self) -> None:
        """Give the port back with the last user."""
        with _LOCK:
            self.users -= 1
            if self.users == 0:
                _forget(self)
                self._port.close()

    def close(self) -> None:
        """End everybody's waits."""
        self._port.close()


_BUSES: dict[Path, Bus] = {}
_LOCK = threading.Lock()      # around the table above


def join(settings: SerialKeys) -> Bus:
    """Open the port, or use it with those who have it open. Raises: DriverError."""
    key = Path(settings.port).resolve()
    with _LOCK:
        bus = _BUSES.get(key) or Bus(key, settings)
        if bus.set_as != settings.line:
            raise DriverError(f"{settings.port}: another sensor uses this port with other settings; give both the same baud, "
                              "data_bits, parity, stop_bits and dtr")
        _BUSES[key] = bus
        bus.users += 1
        return bus


def _forget(bus: Bus) -> None:
    if _BUSES.get(bus.key) is bus:
        del _BUSES[bus.key]


def _drop(bus: Bus) -> None:
    with _LOCK:
        _forget(bus)
        bus.close()
