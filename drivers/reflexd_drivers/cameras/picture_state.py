"""Whether a camera's picture can be true: frozen, black, covered, saturated, moved, or normal.

Looked at on a subsample: every few pixels of the main view, averaged to 32 x 24 values of grey, and 24 whole
rows for the question whether anything changed at all. No clock: the time is that of the frame. Thresholds
have hysteresis, and a new state counts only once it has lasted, so that a passer-by or a flash is none.

What the thresholds rest on: a sensor's noise of 8 of 255 is 2 after 16 points were averaged, so neighbours of
an even surface differ by more than EDGE in less than 1 % of all cases; scenes with anything in them have
20 to 60 %.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import Plane, Point, View

PictureState: TypeAlias = Literal["normal", "black", "covered", "saturated", "moved", "frozen"]
STATES: tuple[PictureState, ...] = get_args(PictureState)

NS = 1_000_000_000
WIDE, HIGH = 32, 24
POINTS = 4                    # along each side, that are averaged into one value
LOOK_NS = NS // 10
SETTLE_NS = 2 * NS            # exposure and white balance find their place in the first second or two
HOLD_NS = NS
HOLD_MOVED_NS = 5 * NS        # who walks through the picture is gone by then
LEARN = 1 / 600               # share of a new look in the reference: at ten looks a second it follows the sun in a minute
LEARN_FIRST = 20              # looks, over which the reference is a plain average
DARK = 32                     # cameras that give grey in the video range have black at 16, and noise comes on top
BRIGHT = 250
EDGE = 8
ALIKE = 0.6                   # so far the reference goes on learning
TRUST = 3                     # changes, until a picture that was frozen counts as alive
STANDS = 5                    # looks, at least, that have to be the same: a slow camera says little in frozen_after_s

# share of the picture from which a state begins, and under which it ends; of edges and likeness the other way round
ENTER = {"black": 0.98, "saturated": 0.60, "covered": 0.01, "moved": 0.30}
LEAVE = {"black": 0.95, "saturated": 0.45, "covered": 0.025, "moved": 0.50}


class PictureJudge:
    """Follows the picture of one camera, over every time that it is opened: the scene that it learned stays."""

    def __init__(self, frozen_s: float, masks: Sequence[Sequence[Point]] = ()) -> None:
        """Judge what `masks` leave to be seen; frozen_s = 0 never calls a picture frozen."""
        import cv2

        self._cv2: Any = cv2
        self.state: PictureState | None = None      # None: it is not known yet
        self._frozen_ns = round(frozen_s * NS)
        self._small = np.zeros((HIGH, WIDE), np.uint8)
        self._points: Plane = np.zeros((0, 0), np.uint8)
        self._seen, self._across, self._down = what_is_seen(masks)
        self._reference: NDArray[np.float32] | None = None
        self._learned = 0
        self._crc = -1
        self.reopened()

    def reopened(self) -> None:
        """Let the picture settle anew. One that was frozen counts as that until it changes."""
        self.state = "frozen" if self.state == "frozen" else None
        self._opened_at = self._looked_at = self._same_since = -1
        self._candidate: PictureState | None = None
        self._candidate_since = 0
        self._same_looks = 0
        self._crc = self._crc if self.state == "frozen" else -1
        self._changes = 0

    def due(self, now: int) -> bool:
        """Say whether it is time for a look; a frozen picture is looked at each time, because one that changes is good news."""
        return now - self._looked_at >= LOOK_NS or self._looked_at < 0 or self.state == "frozen"

    def stands(self, now: int) -> bool:
        """Say whether the picture has been the same for too long since the camera was opened."""
        return 0 < self._frozen_ns <= now - self._same_since and self._same_since >= 0 and self._same_looks >= STANDS

    def look(self, view: View, now: int) -> PictureState | None:
        """Judge a frame that was taken at `now`; gives the state that counts."""
        if self._opened_at < 0:
            self._opened_at = now
        self._looked_at = now
        self._compare(view.planes[0], now)
        if self.state == "frozen":
            self._thaw()
        elif now - self._opened_at >= SETTLE_NS:
            self._judge(view, now)
        return self.state

    def _judge(self, view: View, now: int) -> None:
        if not self._seen.any():
            self.state = "normal"      # masks cover everything: there is nothing to judge
            return
        self._sample(view.planes[0])
        self._follow(self._classify(), now)

    def _compare(self, plane: Plane, now: int) -> None:
        """See whether any byte of 24 whole rows differs from the last look."""
        height, crc = plane.shape[0], 0
        for row in range(height // (2 * HIGH), height, max(height // HIGH, 1)):
            crc = zlib.crc32(np.ascontiguousarray(plane[row]).data, crc)
        if crc == self._crc and self._same_since >= 0:
            self._same_looks += 1
            return
        self._changes += crc != self._crc
        self._crc, self._same_since, self._same_looks = crc, now, 1

    def _thaw(self) -> None:
        if self._changes >= TRUST:
            self.state = None

    def _sample(self, plane: Plane) -> None:
        """Average some points of each field into the small picture; of colours green, which has most of the brightness."""
        flat = plane if plane.ndim == 2 else plane[:, :, 1]
        rows, columns = max(flat.shape[0] // (HIGH * POINTS), 1), max(flat.shape[1] // (WIDE * POINTS), 1)
        some = flat[rows // 2::rows, columns // 2::columns]
        if self._points.shape != some.shape:
            self._points = np.empty(some.shape, np.uint8)
        np.copyto(self._points, some)
        self._cv2.resize(self._points, (WIDE, HIGH), dst=self._small, interpolation=self._cv2.INTER_AREA)

    def _classify(self) -> PictureState:
        """Say what the small picture is by itself; thresholds depend on the state that counts."""
        values = self._small[self._seen]
        steps = self._gradients()
        if np.count_nonzero(values < DARK) >= self._threshold("black") * values.size:
            return "black"
        if np.count_nonzero(values >= BRIGHT) >= self._threshold("saturated") * values.size:
            return "saturated"
        if np.count_nonzero(np.abs(steps) > EDGE) < self._threshold("covered") * steps.size:
            return "covered"
        return "moved" if self._likeness(steps) < self._threshold("moved") else "normal"

    def _threshold(self, state: str) -> float:
        return (LEAVE if self.state == state else ENTER)[state]

    def _gradients(self) -> NDArray[np.float32]:
        """Give the differences of neighbours: what stays when the light changes as a whole."""
        small = self._small.astype(np.float32)
        return np.concatenate([np.diff(small, axis=1)[self._across], np.diff(small, axis=0)[self._down]])

    def _likeness(self, steps: NDArray[np.float32]) -> float:
        """Correlate with the scene that was learned, from -1 to 1, and learn while it is still that scene."""
        if self._reference is None:
            self._reference = steps.copy()
        both = float(np.linalg.norm(steps) * np.linalg.norm(self._reference))
        alike = float(steps @ self._reference) / both if both else 1.0
        if self._learned < LEARN_FIRST or (alike >= ALIKE and self.state == "normal"):
            self._learned += 1
            self._reference += (steps - self._reference) * np.float32(max(1 / (self._learned + 1), LEARN))
        return alike if self._learned >= LEARN_FIRST else 1.0

    def _follow(self, found: PictureState, now: int) -> None:
        """Let what was found count once it has lasted; a picture that stands still is frozen where it has any detail."""
        if found in ("normal", "moved") and self.stands(now):
            self.state, self._candidate, self._changes = "frozen", None, 0
            return
        if found != self._candidate:
            self._candidate, self._candidate_since = found, now
        lasted = now - self._candidate_since
        if found != self.state and lasted >= (HOLD_MOVED_NS if found == "moved" else HOLD_NS if self.state else 0):
            self.state = found


def what_is_seen(masks: Sequence[Sequence[Point]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which values of the small picture masks leave, and which pairs of neighbours: across, down."""
    import cv2

    covered: Any = np.zeros((HIGH, WIDE), np.uint8)
    for mask in masks:
        cv2.fillPoly(covered, [np.round(np.array(mask) * (WIDE, HIGH) - 0.5).astype(np.int32)], 1)
        cv2.polylines(covered, [np.round(np.array(mask) * (WIDE, HIGH) - 0.5).astype(np.int32)], True, 1, 2)   # fields it cuts
    seen = covered == 0
    return seen, seen[:, 1:] & seen[:, :-1], seen[1:] & seen[:-1]
