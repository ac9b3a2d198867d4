"""What the control socket's clients may ask of a running daemon."""

from __future__ import annotations

import base64
import marshal
import threading
import traceback
from collections.abc import Callable, Mapping
from time import monotonic_ns, time, time_ns
from typing import Any

from reflexd import __version__
from reflexd.access import Access
from reflexd.arming import Arming
from reflexd.control import Parts, Verb
from reflexd.drawing import Drawing, drawing_of
from reflexd.events import NOT_RELOADED, RELOADED
from reflexd.exercise import exercise
from reflexd.jobs import CameraJob, ModelJob
from reflexd.loop import Loop
from reflexd.protocol import ControlError
from reflexd.reload import Reloader, ReloadError
from reflexd.replay.plain import plain_of
from reflexd.rules.items import NS
from reflexd.sandbox import probe
from reflexd.status import Observer, Report
from reflexd.swap import swap
from reflexd.workers import Wake
from reflexd_drivers.base import Frame
from reflexd_models.base import Model, view_for

FRAME_S = 1.5
LONGEST_IN_S = 3600


def verbs(observer: Observer, reloader: Reloader, arming: Arming, dump: Callable[[], None]) -> dict[str, Verb]:
    """List the verbs of the control socket."""
    one_picture = threading.Lock()     # each holds a frame of the camera's pool, which the networks need
    one_film = threading.Lock()        # the same

    def picture(request: Mapping[str, Any]) -> dict[str, str]:
        with one_picture:
            return snapshot(observer, request)

    def film(request: Mapping[str, Any]) -> Parts:
        from reflexd.filming import frames  # OpenCV, as above

        return frames(observer, one_film, request)

    return {
        "status": Verb(Access.READ, lambda _request: observer.loop.between_cycles(observer)),
        "snapshot": Verb(Access.OPERATE, picture),
        "frames": Verb(Access.OPERATE, film),
        "dump": Verb(Access.OPERATE, lambda _request: told(observer, dump)),
        "arm": Verb(Access.OPERATE, lambda request: arm(arming, observer.loop, request)),
        "disarm": Verb(Access.OPERATE, lambda _request: arming.say(False, observer.loop)),
        "reload": Verb(Access.ADMIN, lambda _request: reload(observer, reloader)),
        "swap": Verb(Access.ADMIN, lambda request: swap(reloader, request)),
        "test": Verb(Access.ADMIN, lambda request: exercise(observer.loop, request)),
        "watch": Verb(Access.READ, lambda request: look(observer, request)),
        "prune": Verb(Access.ADMIN, lambda request: prune(observer, request)),
        "trace": Verb(Access.READ, lambda request: trace(observer, request)),
        "sandbox": Verb(Access.ADMIN, lambda _request: probe()),
    }


def look(observer: Observer, request: Mapping[str, Any]) -> Report:
    """Tell of one source how it is doing. Raises: ControlError."""
    found = observer.loop.between_cycles(lambda: observer.one(str(request.get("source"))))
    if isinstance(found, str):
        raise ControlError(found)
    return found


def trace(observer: Observer, request: Mapping[str, Any]) -> Report:
    """Give some of what was decided on: from item `number` on, or from `since_s` seconds ago. Raises: ControlError.

    A part at a time, and as bytes: to write all of it as text would hold the loop up. With `at`, monotonic ns, it gives what
    outputs did around that moment.
    """
    number, since_s, at = request.get("number"), request.get("since_s", 0), request.get("at")
    if (not isinstance(number, int | None) or not isinstance(since_s, (int, float)) or not 0 <= since_s < 1e9
            or not isinstance(at, int | None)):
        raise ControlError('trace takes "number", of an item, or "since_s", seconds, and "at", monotonic ns; correct them')
    chunk, bundles, now, utc_s = observer.loop.between_cycles(lambda: (*observer.trace(number, since_s), monotonic_ns(), time()))
    changes = [] if at is None else observer.loop.between_cycles(lambda: observer.loop.trace.near(at))
    mark = None if chunk.mark is None else {
        "now": chunk.mark.now, "settings": plain_of(chunk.mark.settings), "memory": chunk.mark.memory, "bundles": bundles,
        "utc_s": utc_s - (now - chunk.mark.now) / NS}
    return {"version": __version__, "boot": observer.boot, "run": observer.run,
            "number": chunk.number, "count": len(chunk.notes), "lost": chunk.lost, "mark": mark, "now": now, "changes": changes,
            "notes": base64.b64encode(marshal.dumps(chunk.notes)).decode()}


def prune(observer: Observer, request: Mapping[str, Any]) -> dict[str, int]:
    """Remove stored events: those older than `older_than_s`, or all but the newest `keep`. Raises: ControlError, OSError."""
    older_than_s, keep = request.get("older_than_s"), request.get("keep")
    given = [one for one in (older_than_s, keep) if one is not None]
    if len(given) != 1 or not isinstance(older_than_s, int | float | None) or not isinstance(keep, int | None) or not (
            0 <= given[0] < 1e10):
        raise ControlError('prune takes "older_than_s", in seconds, or "keep", a number of events; give one of them')
    before = None if older_than_s is None else time_ns() - round(older_than_s * NS)
    removed = observer.history.prune(before, keep)
    observer.evidence.prune()
    return {"removed": removed}


def arm(arming: Arming, loop: Loop, request: Mapping[str, Any]) -> str:
    """Arm now, or in `in_s` seconds. Raises: ControlError, ArmingError."""
    in_s = request.get("in_s")
    if in_s is None:
        return arming.say(True, loop)
    if isinstance(in_s, bool) or not isinstance(in_s, (int, float)) or not 1 <= in_s <= LONGEST_IN_S:
        raise ControlError(f"arm takes in_s from 1 to {LONGEST_IN_S}, found {in_s!r}; correct it")
    return arming.say_later(in_s, loop)


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
    except Exception as error:       # of a library that loads a network, or ours; nothing has been touched yet
        failure = f"programming error: {error!r}; the old configuration runs on\n{traceback.format_exc()}"
        loop.ask(lambda: loop.log(NOT_RELOADED, failure))
        raise ReloadError(f"programming error: {error!r}; the old configuration runs on, see the log") from None
    loop.ask(lambda: loop.log(RELOADED, f"the configuration was taken over: {told}"))
    return told


def snapshot(observer: Observer, request: Mapping[str, Any]) -> dict[str, str]:
    """Draw the next frame of a camera with what its networks are given. Raises: ControlError."""
    from reflexd.picture import png_of  # OpenCV is loaded when somebody wants to look, not before

    name, camera = _camera(observer, request.get("camera"))
    frame = _next_frame(observer, name, camera)
    try:
        drawings, networks = observer.loop.between_cycles(lambda: _looking_at(name, observer))
        given = {model: network.given(view_for(network, frame.views)) for model, network in networks.items()}
        picture = png_of(frame.views["main"], drawings, given)
    finally:
        frame.release()
    return {"camera": name, "png": base64.b64encode(picture).decode()}


def _camera(observer: Observer, wanted: object) -> tuple[str, CameraJob]:
    cameras = dict(observer.cameras)     # a reload may exchange them meanwhile
    names = list(cameras)
    if wanted is None and len(names) == 1:
        return names[0], cameras[names[0]]
    if wanted in names:
        return str(wanted), cameras[str(wanted)]
    found = f"no camera is called {wanted!r}" if wanted is not None else f"there are {len(names)} cameras"
    raise ControlError(f"{found}; say --camera with one of {', '.join(names) or 'none'}")


def _next_frame(observer: Observer, name: str, camera: CameraJob) -> Frame:
    """Wait for a frame, which the caller releases. Raises: ControlError."""
    wake = Wake()
    with camera.showing(wake) as inbox:
        wake.wait(FRAME_S)
        frame = inbox.take()
    if frame is None:
        stays = observer.cameras.get(name) is camera
        told = observer.loop.monitor.states(monotonic_ns()).get(camera.name, {})
        why = told.get("why") if stays else "a reload closed it; ask again"
        raise ControlError(f"{camera.name} gave no frame within {FRAME_S:g} s{f': {why}' if why else ''}")
    return frame


def _looking_at(camera: str, observer: Observer) -> tuple[dict[str, Drawing], dict[str, Model]]:
    """Give what is drawn for each network on a camera, and those that are open; on the main thread."""
    tables, now = observer.settings.model, monotonic_ns()
    jobs = {name: job for name, job in observer.models.items() if isinstance(job, ModelJob) and tables[name].camera == camera}
    drawings = {name: drawing_of(tables[name], observer.loop.stage.sources[f"model.{name}"], now) for name in jobs}
    return drawings, {name: network for name, job in jobs.items() if (network := job.model) is not None}   # a worker may close it
