"""Lets `import picamera2` and `import libcamera` find the stand-ins of libcamera_stack, as long as a test runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STACK = str(Path(__file__).parent / "libcamera_stack")
MODULES = ("picamera2", "libcamera")


@contextmanager
def stack() -> Iterator[Any]:
    """Give the stand-in of libcamera, without any sensor."""
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
