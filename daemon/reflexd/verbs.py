"""What the control socket's clients may ask of a running daemon."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any

from reflexd.access import Access
from reflexd.control import Verb
from reflexd.events import NOT_RELOADED, RELOADED
from reflexd.protocol import ControlError
from reflexd.reload import Reloader, ReloadError
from reflexd.status import Observer
from reflexd.workers import Wake

FRAME_S = 1.5


def verbs(observer: Observer, reloader: Reloader, dump: Callable[[], None]) -> dict[str, Verb]:
    """List the verbs of the control socket."""
    one_picture = threading.Lock()     # each holds a frame of the camera's pool, which the networks need

    def picture(request: Mapping[str, Any]) -> dict[str, str]:
        with one_picture:
            return snapshot(observer, request)

    return {
        "status": Verb(Access.READ, lambda _request: observer.loop.between_cycles(observer)),
        "snapshot": Verb(Access.OPERATE, picture),
        "dump": Verb(Access.OPERATE, lambda _request: told(observer, dump)),
        "reload": Verb(Access.ADMIN, lambda _request: reload(observer, reloader)),
    }


def told(observer: Observer, dump: Callable[[], None]) -> str:
    """Put the state into the log."""
    observer.loop.between_cycles(dump)
    return "the state is in the log"


def reload(observer: Observer, reloader: Reloader) -> str:
    """Take the configuration over anew, and log how that went. Raises: ReloadError."""
    loop = observer.loop
    try:
        told = reloader.reload()
    except ReloadError as error:
        failure = str(error)
        loop.ask(lambda: loop.log(NOT_RELOADED, failure))
        raise
    loop.ask(lambda: loop.log(RELOADED, f"the configuration was taken over: {told}"))
    return told


def snapshot(observer: Observer, request: Mapping[str, Any]) -> dict[str, str]:
    """Draw the next frame of a camera with what its networks are given. Raises: ControlError."""
    from reflexd.picture import png_of  # OpenCV is loaded when somebody wants to look, not before

    name = _camera_name(observer, request.get("camera"))
    wake = Wake()
    with observer.cameras[name].showing(wake) as inbox:
        wake.wait(FRAME_S)
        frame = inbox.take()
    if frame is None:
        why = observer.loop.monitor.states()[f"camera.{name}"]["why"]
        raise ControlError(f"camera.{name} gave no frame within {FRAME_S:g} s{f': {why}' if why else ''}")
    try:
        jobs = {model: job for model, job in observer.models.items() if observer.settings.model[model].camera == name}
        regions = {model: getattr(observer.settings.model[model].options, "regions", ()) for model in jobs}
        open_now = {model: network for model, job in jobs.items() if (network := job.model) is not None}   # a worker may close it
        given = {model: network.given(frame.views["main"]) for model, network in open_now.items()}
        picture = png_of(frame.views["main"], regions, given)
    finally:
        frame.release()
    return {"camera": name, "png": base64.b64encode(picture).decode()}


def _camera_name(observer: Observer, wanted: object) -> str:
    names = list(observer.cameras)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    found = f"no camera is called {wanted!r}" if wanted is not None else f"there are {len(names)} cameras"
    raise ControlError(f"{found}; say --camera with one of {', '.join(names) or 'none'}")
