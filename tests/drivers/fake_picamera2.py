"""Lets `import picamera2` and `import libcamera` find the stand-ins of libcamera_stack, here and in the driver's own process."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STACK = str(Path(__file__).parent / "libcamera_stack")
MODULES = ("picamera2", "libcamera")
WORLD = "REFLEXD_FAKE_SENSORS"


@contextmanager
def stack() -> Iterator[Any]:
    """Give the stand-in of libcamera in this process, without any sensor."""
    sys.path.insert(0, STACK)
    try:
        libcamera = importlib.import_module("libcamera")
        yield libcamera
        for sensor in libcamera.SENSORS.values():
            sensor.let_go.set()
    finally:
        sys.path.remove(STACK)
        for name in MODULES:
            sys.modules.pop(name, None)


class World:
    """The cameras that the driver's own process finds; what is set here holds there at its next frame."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sensors.json"
        self.sensors: dict[str, dict[str, Any]] = {}
        self.tell()
        os.environ[WORLD] = str(self._file)
        sys.path.insert(0, STACK)

    def plug(self, name: str, **state: Any) -> None:
        self.sensors[name] = {**self.sensors.get(name, {}), **state}
        self.tell()

    def unplug(self, name: str) -> None:
        del self.sensors[name]
        self.tell()

    def tell(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self.sensors))
        new.rename(self._file)

    def end(self) -> None:
        sys.path.remove(STACK)
        os.environ.pop(WORLD, None)
