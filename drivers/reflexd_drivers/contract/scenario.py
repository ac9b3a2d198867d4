"""How a driver is opened without hardware, and what makes its device speak, fall silent and go away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from reflexd_drivers import registry
from reflexd_drivers.base import DriverModule


class Scenario:
    """Settings that work, settings of a device that is absent, and how to look at the device.

    A scenario is made anew for each test, with a folder of its own. Override what the device can do.
    """

    threads: ClassVar[tuple[str, ...]] = ()     # how the names of the library's threads begin that run while it is open
    exclusive: ClassVar[bool | None] = None     # True: a second opening is refused; False: it works; None: either
    connect_s: ClassVar[float] = 10.0           # connect() never takes longer, with or without the device
    close_s: ClassVar[float] = 2.0              # nor does close()
    repeats_s: ClassVar[float] = 0.05           # how long a read of a sensor may have to wait for a reading that is new

    def __init__(self, table: dict[str, Any], absent: dict[str, Any] | None, level: Callable[[], float] = float) -> None:
        """`table` is the driver's table of a configuration; `absent` has what differs where the device is not there,
        None for a driver that needs no device.

        `level` says what an actuator's device really does, from 0 to 1, also once the driver is closed.
        """
        self.table = table
        self.absent = None if absent is None else {**table, **absent}
        self.level = level

    def driver(self, kind: registry.Kind) -> DriverModule:
        """Import the driver, as the daemon does."""
        return registry.load(kind, self.table["driver"])

    def connect(self, kind: registry.Kind, table: dict[str, Any]) -> Any:   # noqa: ANN401  the kind says what
        """Open the driver with these settings; a driver on a fake is opened by overriding this."""
        module = self.driver(kind)
        return module.connect(module.Settings.model_validate(table))

    def open(self, kind: registry.Kind) -> Any:   # noqa: ANN401
        """Open the driver with the settings that work."""
        return self.connect(kind, self.table)

    def go_quiet(self) -> None:
        """Let nothing arrive any more, so that a read has to wait."""

    def vanish(self) -> None:
        """Take the device away while it is open, as a cable that is pulled. Override it where that can be done."""
        self.go_quiet()

    @property
    def can_vanish(self) -> bool:
        """Say whether vanish() takes the device away."""
        return type(self).vanish is not Scenario.vanish

    def end(self) -> None:
        """Give everything back that the scenario made."""
