"""From the configuration to a camera of picamera2 that is configured, and what its errors mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reflexd_drivers.base import DriverError
from reflexd_drivers.cameras.libcamera_list import busy_with

if TYPE_CHECKING:
    from reflexd_drivers.cameras.picamera2 import Settings

BUFFERS = 4      # one waits in picamera2, one is copied, two are with the camera; each takes memory that has to be contiguous
CODES = {"rgb": "BGR888", "yuv420": "YUV420"}
AUTOFOCUS = {"off": 0, "once": 1, "continuous": 2}                  # libcamera's AfMode
AF_START = 0
WHITE_BALANCE = {"auto": 0, "incandescent": 1, "tungsten": 2, "fluorescent": 3, "indoor": 4, "daylight": 5, "cloudy": 6}
FAILURES = (RuntimeError, OSError, ValueError, LookupError, AttributeError, TypeError)      # all of them come out of picamera2


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Say what an error of picamera2 means. Raises: DriverError."""
    try:
        yield
    except DriverError:
        raise
    except FAILURES as error:
        raise DriverError(f"{where}: {meaning(error)}") from error


def meaning(error: BaseException) -> str:
    """Give what was found and the remedy: picamera2 hides why it failed behind two or three other errors."""
    chain = [error]
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) is not None and len(chain) < 10:
        chain.append(earlier)
    texts = " / ".join(str(one).strip().rstrip(".") or type(one).__name__ for one in reversed(chain)).replace("\n", " ")
    lower = texts.lower()
    if "busy" in lower:
        return f"the camera is in use by {busy_with()}; stop that program"
    if "permission denied" in lower:
        return "permission denied; add the user to group video"
    if "dmaheap" in lower or "cannot allocate memory" in lower:
        return f"there is no memory for pictures ({texts}); choose a smaller size_px, or give it more with dtoverlay=cma"
    return f"the camera failed ({texts}); check its cable, then restart the computer"


def find(kind: Any, settings: Settings) -> int:      # noqa: ANN401  picamera2 has no types
    """Give the number under which picamera2 knows the camera; `kind` is the class Picamera2. Raises: DriverError."""
    cameras = kind.global_camera_info()
    wanted = [number for number, one in enumerate(cameras) if settings.id in (None, one["Id"])]
    if settings.id is None:
        wanted = wanted[settings.index :]
    if not wanted:
        found = ", ".join(str(one["Id"]) for one in cameras) or "none"
        raise DriverError(f"{settings.where}: there is no such camera; found {found}; check its cable, or name another id")
    return wanted[0]


def configure(camera: Any, libcamera: Any, settings: Settings) -> frozenset[str]:      # noqa: ANN401
    """Configure the camera; gives the keys of the configuration that it carries out itself. Raises: DriverError."""
    turned = turn(settings)
    hflip, vflip = turned or (False, False)
    lores = None if settings.model_px is None else {"size": settings.model_px, "format": "YUV420"}
    camera.configure(camera.create_video_configuration(
        main={"size": settings.size_px, "format": CODES[settings.format]}, lores=lores, raw=None,
        transform=libcamera.Transform(hflip=int(hflip), vflip=int(vflip)),
        colour_space=libcamera.ColorSpace.Sycc(),       # full range, as networks and JPEG have it
        buffer_count=BUFFERS, controls=controls(settings, camera.camera_controls), display=None, encode=None))
    got = camera.camera_configuration()["transform"]
    done = bool(got.hflip), bool(got.vflip)
    if turned is not None and done == turned:
        return frozenset({"rotate", "flip"})
    if any(done):
        raise DriverError(f"{settings.where}: the camera turns its picture in another way than rotate and flip say; remove them")
    return frozenset()


def turn(settings: Settings) -> tuple[bool, bool] | None:
    """Say how to flip (left and right, up and down) for `rotate` and `flip`; None where no camera of a Pi can: 90 and 270."""
    rotate, flip = getattr(settings, "rotate", 0), getattr(settings, "flip", None)
    if rotate not in (0, 180):
        return None
    half = rotate == 180
    return half != (flip in ("horizontal", "both")), half != (flip in ("vertical", "both"))


def controls(settings: Settings, offered: Collection[str]) -> dict[str, Any]:
    """Give what libcamera is told of rate, exposure and focus. Raises: DriverError for what this camera does not have."""
    wanted: dict[str, tuple[str, Any]] = {
        "exposure_us": ("ExposureTime", settings.exposure_us),
        "gain": ("AnalogueGain", settings.gain),
        "white_balance": ("AwbMode", WHITE_BALANCE.get(settings.white_balance or "")),
        "autofocus": ("AfMode", AUTOFOCUS.get(settings.autofocus or "")),
        "focus_dioptres": ("LensPosition", settings.focus_dioptres),
    }
    told: dict[str, Any] = {}
    for key, (control, value) in wanted.items():
        if value is None:
            continue
        if control not in offered:
            raise DriverError(f"{settings.where}: this camera has no {control}; remove {key}")
        told[control] = value
    if settings.autofocus == "once":
        told["AfTrigger"] = AF_START
    if "FrameDurationLimits" in offered:       # simulated cameras and some others keep a rate of their own
        period_us = round(1e6 / settings.hz)
        told["FrameDurationLimits"] = (period_us, period_us)
    return told
