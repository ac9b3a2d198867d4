"""The cameras that libcamera knows: how its Python library is loaded, which cameras there are, and whose they are.

`found_cameras()` asks in a process of its own: libcamera starts threads and may hang, and neither is wanted in a
program that only looks. It opens no camera, so one that is in use elsewhere is listed as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reflexd_drivers.base import DriverError
from reflexd_drivers.holders import holders

ANSWER_S = 20.0        # to load libcamera on a Pi Zero, and for it to look at each media device
INSTALL = "sudo apt install python3-picamera2 (Raspberry Pi OS has it, Debian does not)"


@dataclass(frozen=True, slots=True)
class FoundSensor:
    """A camera behind libcamera. `id` stays the same as long as it is plugged into the same connector."""

    id: str
    index: int                              # in the order in which picamera2 counts
    model: str
    sizes: tuple[tuple[int, int], ...]      # what the sensor itself gives; libcamera scales to any smaller one
    holder: str | None = None               # libcamera does not tell

    @property
    def device(self) -> str:
        """Name it as other cameras are named."""
        return self.id

    @property
    def card(self) -> str:
        """Say what it is, as other cameras do."""
        return self.model


def picamera2_library() -> tuple[Any, Any]:
    """Load picamera2 and libcamera; gives both modules.

    Raises: DriverError.
    """
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")     # else it tells its version at each opening
    try:
        import libcamera  # type: ignore[import-not-found,unused-ignore]
        import picamera2  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        missing = error.name in ("picamera2", "libcamera")
        found = "picamera2 is not installed" if missing else f"picamera2 cannot be loaded ({error})"
        raise DriverError(f"picamera2: {found}; {INSTALL}") from error
    except Exception as error:     # it looks at devices while it is loaded, and fails as they do
        raise DriverError(f"picamera2: it failed while it was loaded ({error!r}); {INSTALL}") from error
    return picamera2, libcamera


def installed() -> bool:
    """Say whether picamera2 is there; loads nothing."""
    return find_spec("picamera2") is not None and find_spec("libcamera") is not None


def found_cameras(command: tuple[str, ...] = (sys.executable, "-m", __name__)) -> tuple[FoundSensor, ...]:
    """List the cameras behind libcamera; none where picamera2 is not installed, fails or does not answer in time.

    Those at USB are left out: the driver `usb` reads them by itself, and finds more in them.
    """
    if not installed():
        return ()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LIBCAMERA_LOG_LEVELS": "*:FATAL"}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=ANSWER_S, check=True)
        told = json.loads(done.stdout)
        return tuple(FoundSensor(one["id"], index, one["model"], tuple((w, h) for w, h in one["sizes"]))
                     for index, one in enumerate(told) if "/usb" not in one["id"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return ()


def in_order(cameras: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort as Picamera2.global_camera_info() does: by id, those at USB last.

    Source: picamera2 0.3.38, picamera2.py.
    """
    return sorted(cameras, key=lambda one: ("/usb" not in one["id"], one["id"]), reverse=True)


def describe(manager: Any) -> Iterator[dict[str, Any]]:     # noqa: ANN401  libcamera has no types
    """Tell of each camera what can be known without opening it."""
    import libcamera  # type: ignore[import-not-found,unused-ignore]

    for camera in manager.cameras:
        told = {control.name: value for control, value in camera.properties.items()}
        raw = camera.generate_configuration([libcamera.StreamRole.Raw])
        sizes = raw_sizes(raw.at(0).formats) if raw is not None and raw.size else []       # a simulated camera gives nothing raw
        yield {"id": camera.id, "model": str(told.get("Model", "camera")), "sizes": sizes}


def raw_sizes(formats: Any) -> list[tuple[int, int]]:        # noqa: ANN401
    """List the sizes of what the sensor itself gives."""
    return sorted({(size.width, size.height) for code in formats.pixel_formats for size in formats.sizes(code)})


def busy_with(folder: Path = Path("/dev"), processes: Path = Path("/proc")) -> str:
    """Name a program that has a media device open, as far as this process may see it."""
    for node in sorted(folder.glob("media[0-9]*")):
        for one in holders(str(node), processes):
            if one.pid != os.getpid():
                return str(one)
    return "another program"


if __name__ == "__main__":
    import libcamera  # type: ignore[import-not-found,unused-ignore]

    sys.stdout.write(json.dumps(in_order(list(describe(libcamera.CameraManager.singleton())))))
    sys.stdout.flush()
    os._exit(0)      # libcamera's own end may hang, and everything has been said
