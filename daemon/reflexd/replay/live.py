"""What a running daemon decides on, fetched from it as the lines of a recording."""

from __future__ import annotations

import base64
import marshal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reflexd.protocol import CLIENT_S, ControlError, Following, ask
from reflexd.replay.tape import Begin, Framed, Line, Lost, Taken, Unframed


class RestartedError(ControlError):
    """Another process answers than before: its items are numbered anew, and do not follow on what was fetched."""


class Live:
    """Fetches what came since the last time; the first time, from a mark on."""

    def __init__(self, socket: Path, since_s: float = 0.0) -> None:
        """Begin so many seconds ago, or as near to that as the trace reaches; a little more than asked for is given."""
        self.now = 0                         # of the daemon, when it was asked last; monotonic ns
        self.version = self.boot = ""        # of the daemon, and of the machine; known once it has been asked
        self._run = ""                       # which process it was
        self._socket = socket
        self._request: dict[str, Any] = {"since_s": since_s}

    def lines(self) -> Iterator[Line]:
        """Give all that is there by now. Raises: RestartedError, ControlError."""
        while True:
            told = ask(self._socket, "trace", self._request)
            self._recognise(told)
            self.now = told["now"]
            self._request = {"number": told["number"] + told["count"]}
            if told["lost"]:
                yield Lost(told["lost"])
            if told["mark"] is not None:
                yield Begin(**told["mark"])
            notes = marshal.loads(base64.b64decode(told["notes"]))      # noqa: S302  of our own daemon, at a socket of ours
            if not notes:
                return
            for note in notes:
                yield Taken(*marshal.loads(note))      # noqa: S302

    def _recognise(self, told: dict[str, Any]) -> None:
        """See that it is the same process as before."""
        self.version, self.boot = told["version"], told["boot"]
        if self._run not in ("", told["run"]):
            raise RestartedError("reflexd was started anew")
        self._run = told["run"]


class LiveFrames:
    """Fetches the frames that its networks look at, from now on."""

    def __init__(self, socket: Path, form: str) -> None:
        """Ask for them. Raises: ControlError."""
        self.state_dir = ""          # of the daemon
        self.large = 0               # frames that do not fit into a line
        self._socket = socket
        self._form = form
        self._lost = 0               # that were told of
        self._following: Following | None = self._begin()

    def lines(self, for_s: float) -> Iterator[Framed | Unframed]:
        """Give what comes in that time; asked again after an error, it begins anew. Raises: ControlError."""
        following = self._following = self._following or self._begin()
        try:
            for said, planes in following.answers(for_s):
                yield from self._told(said, planes)
        except ControlError:
            self.close()
            raise

    def close(self) -> None:
        """Want no more."""
        if self._following is not None:
            self._following.close()
            self._following = None

    def _begin(self) -> Following:
        following = Following(self._socket, "frames", {"form": self._form})
        try:
            for said, _ in following.answers(CLIENT_S):
                self.state_dir, self._lost = said["state_dir"], 0
                return following
            raise ControlError(f"{self._socket}: reflexd did not answer in time; see its log")
        except ControlError:
            following.close()
            raise

    def _told(self, said: dict[str, Any], planes: list[bytes]) -> Iterator[Framed | Unframed]:
        self.large = said["large"]
        if said["lost"] > self._lost:
            yield Unframed(said["lost"] - self._lost)
            self._lost = said["lost"]
        if "camera" in said:
            views, rest = {}, iter(planes)
            for name, (kind, count) in said["views"].items():
                views[name] = kind, [next(rest) for _ in range(count)]
            yield Framed(said["camera"], said["taken_at"], said["sequence"], said["form"], views, said["sizes"])
