"""What the control socket's clients may ask of a running daemon."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from reflexd.control import ControlError, Verb
from reflexd.events import NOT_RELOADED, RELOADED
from reflexd.reload import Reloader, ReloadError
from reflexd.status import Observer
from reflexd.workers import Inbox, Wake
from reflexd_drivers.base import Frame

T = TypeVar("T")
ANSWER_S = 1.5


def verbs(observer: Observer, reloader: Reloader) -> dict[str, Verb]:
    """List the verbs of the control socket."""
    return {
        "reload": lambda _request: reload(observer, reloader),
        "status": lambda _request: between_cycles(observer, observer),
        "snapshot": lambda request: snapshot(observer, request),
    }


def between_cycles(observer: Observer, question: Callable[[], T]) -> T:
    """Have the main thread answer, between two cycles. Raises: ControlError when it does not in time."""
    answers: SimpleQueue[tuple[T | None, ReloadError | None]] = SimpleQueue()

    def put() -> None:
        try:
            answers.put((question(), None))
        except ReloadError as error:
            answers.put((None, error))

    observer.loop.ask(put)
    try:
        answer, refused = answers.get(timeout=ANSWER_S)
    except Empty:
        raise ControlError("the decision loop did not answer in time; see the log") from None
    if refused is not None:
        raise refused
    return cast("T", answer)


def reload(observer: Observer, reloader: Reloader) -> str:
    """Take the configuration over anew, and log how that went. Raises: ReloadError, ControlError."""
    loop = observer.loop
    try:
        settings = reloader.read()
        told = between_cycles(observer, lambda: reloader.apply(settings))
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
    inbox: Inbox[Frame] = Inbox(1, wake, Frame.release)
    with observer.cameras[name].showing(inbox):
        wake.wait(ANSWER_S)
    frame = inbox.take()
    if frame is None:
        why = observer.loop.monitor.states()[f"camera.{name}"]["why"]
        raise ControlError(f"camera.{name} gave no frame within {ANSWER_S:g} s{f': {why}' if why else ''}")
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
