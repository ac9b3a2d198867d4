"""What a camera's worker finds out about the picture itself, and whom it tells.

A change of state is told to the main thread, which logs it. Where a rule asks, the state goes to the decision
stage again and again, so that it stays fresh. A frozen picture is trouble of the camera: its frames are held
back, and the camera is opened again until they change.
"""

from __future__ import annotations

from reflexd.rules.items import NS, Looked
from reflexd.workers import Inbox, Reports
from reflexd_drivers.base import CameraSettings, DriverError, Frame
from reflexd_drivers.cameras.picture_state import PictureJudge, PictureState

MEANS: dict[PictureState, str] = {
    "normal": "the picture is normal again",
    "black": "the picture is black; is there light, and is the cap off?",
    "covered": "the picture is covered: no detail is seen; look at the lens",
    "saturated": "the picture is saturated: most of it is white; a lamp or the sun shines in, or the exposure is too long",
    "moved": "the picture is moved: the scene is no longer the one that was learned; aim the camera again, or restart reflexd",
}


class Looking:
    """Judges the frames of one camera; used by its worker alone, but for `watched` and `state`."""

    def __init__(self, name: str, settings: CameraSettings, out: Inbox[Looked], reports: Reports) -> None:
        self.watched = False          # set by the decision loop while some rule asks for the state
        self._name = name
        self._settings = settings
        self._out = out
        self._reports = reports
        self._judge = PictureJudge(settings.frozen_s, settings.masks)
        self._told: PictureState = "normal"
        self._put: PictureState | None = None
        self._put_at = 0
        self._again_ns = min(settings.max_age_ms * NS // 4000, NS // 10)     # fresh also where the frame after next is the one

    @property
    def state(self) -> PictureState | None:
        """Say what the picture is; None while that is not known."""
        return self._judge.state

    def reopened(self) -> None:
        """Let the picture settle anew."""
        self._judge.reopened()

    def passes(self, frame: Frame) -> bool:
        """Say whether readers may have a frame: of a camera whose picture is frozen none, until it proves alive.

        Raises: DriverError as look() does.
        """
        if self._judge.state != "frozen":
            return True
        self.look(frame)
        return self._judge.state != "frozen"

    def look(self, frame: Frame) -> None:
        """Judge a frame, if it is time for a look; readers have it already, because a look takes a tenth of a millisecond.

        Raises: DriverError when the picture has been frozen for too long since the camera was opened.
        """
        if self._judge.due(frame.taken_at):
            self._judge.look(frame.views["main"], frame.taken_at)
        elif not self.watched:
            return
        state = self._judge.state
        if state == "frozen":
            self._give_up(frame.taken_at)      # told before any rule hears of it: the trouble would end what that rule began
        elif state is not None:
            self._tell(state)
        if self.watched and state is not None and self._is_time(state, frame.taken_at):
            self._put, self._put_at = state, frame.taken_at
            self._out.put(Looked(self._name, state, frame.taken_at))

    def _is_time(self, state: PictureState, now: int) -> bool:
        return state != self._put or now - self._put_at >= self._again_ns

    def _give_up(self, now: int) -> None:
        if self._judge.stands(now):
            settings = self._settings
            raise DriverError(f"{settings.driver}: the picture is frozen, the same bit for bit for {settings.frozen_s:g} s; "
                              "check the camera, or set frozen_after_s = 0 if its scene never changes")

    def _tell(self, state: PictureState) -> None:
        """Say once that the state changed."""
        if state != self._told:
            self._told = state
            self._reports.tell_picture(f"camera.{self._name}", MEANS[state], state == "normal")
