"""What is spoken at the control socket: newline-delimited JSON over AF_UNIX, one request per connection.

request   {"v": 1, "verb": "status"}
answer    {"v": 1, "ok": true, "result": …}  or  {"v": 1, "ok": false, "error": "…"}

One verb, "frames", gives answers until the client leaves; after the line of each come as many bytes as its "bytes" add up to.
Both sides use this file, so it imports nothing of the daemon: reflexctl has to start fast.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

VERSION = 1
MAX_REQUEST = 4096      # bytes
CLIENT_S = 5.0          # for a client to write its request, and to take its answer: longer than the loop may take for one
STREAM_S = 10.0         # for a client to take one answer of many
PART_BYTES = 5_500_000      # that follow a line at most: as text, they are a line of a recording


class ControlError(OSError):
    """The daemon cannot be reached or did not do what was asked; the text says what to do."""


class NobodyError(ControlError):
    """No daemon listens there."""


def line_of(message: Mapping[str, object]) -> bytes:
    """Write a request or an answer."""
    return json.dumps({"v": VERSION, **message}).encode() + b"\n"


def ask(path: Path, verb: str, request: Mapping[str, object] | None = None, timeout_s: float = CLIENT_S) -> Any:   # noqa: ANN401
    """Ask a running daemon. Raises: ControlError."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client, _in_words(path):
        _send(client, path, verb, request, timeout_s)
        answer = json.loads(read_line(client, 64 << 20, timeout_s))
    return _result(answer, path)


def _send(client: socket.socket, path: Path, verb: str, request: Mapping[str, object] | None, timeout_s: float) -> None:
    client.settimeout(timeout_s)
    client.connect(os.fspath(path))
    with suppress(BrokenPipeError):      # it answered already, that it is busy
        client.sendall(line_of({**(request or {}), "verb": verb}))


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Say what went wrong with a daemon. Raises: ControlError."""
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError):      # refused: left by a killed daemon, or no socket
        raise NobodyError(f"{path}: reflexd does not run, or listens elsewhere; see --socket") from None
    except PermissionError:
        raise ControlError(f"{path}: this user may not ask reflexd; use sudo, or join the group of the socket") from None
    except BlockingIOError:
        raise ControlError(f"{path}: too many clients wait; ask again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ControlError(f"{path}: reflexd did not answer: {error}; see its log") from None


def _result(answer: Any, path: Path) -> Any:   # noqa: ANN401  what JSON gives
    if not isinstance(answer, dict) or answer.get("v") != VERSION:
        raise ControlError(f"{path}: what answers there is no reflexd, or one of another version; see --socket")
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error")))
    return answer.get("result")


class Following:
    """Answers that come until this side closes, each with the bytes that belong to it."""

    def __init__(self, path: Path, verb: str, request: Mapping[str, object] | None = None) -> None:
        """Ask a running daemon. Raises: ControlError."""
        self._path, self._got = path, bytearray()
        self._client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _in_words(path):
                _send(self._client, path, verb, request, CLIENT_S)
        except ControlError:
            self._client.close()
            raise

    def answers(self, for_s: float) -> Iterator[tuple[Any, list[bytes]]]:
        """Give what comes in that time. Raises: ControlError, also when nothing will ever come again."""
        deadline = monotonic() + for_s
        while True:
            with _in_words(self._path):
                found = self._whole()
                if found is None and not self._receive(deadline - monotonic()):
                    return
            if found is not None:
                yield _result(found[0], self._path), found[1]
                if monotonic() > deadline:
                    return

    def _receive(self, for_s: float) -> bool:
        """Wait for more; False when the time is up."""
        if for_s <= 0:
            return False
        self._client.settimeout(for_s)
        try:
            piece = self._client.recv(1 << 18)
        except TimeoutError:
            return False
        if not piece:
            raise ValueError("it sends no more")
        self._got += piece
        return True

    def _whole(self) -> tuple[Any, list[bytes]] | None:
        """Take out an answer that has come whole. Raises: ValueError for what is longer than agreed."""
        end = self._got.find(b"\n") + 1
        if not end:
            if len(self._got) > MAX_REQUEST:
                raise ValueError("the line is longer than allowed")
            return None
        answer = json.loads(self._got[:end])
        sizes = answer.get("bytes", []) if isinstance(answer, dict) else []
        if not isinstance(sizes, list) or not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise ValueError("the line does not tell what belongs to it")
        if sum(sizes) > PART_BYTES:
            raise ValueError("what belongs to the line is longer than allowed")
        if len(self._got) < end + sum(sizes):
            return None
        parts = []
        for size in sizes:
            parts.append(bytes(self._got[end:end + size]))
            end += size
        del self._got[:end]
        return answer, parts

    def close(self) -> None:
        """Leave."""
        self._client.close()


def read_line(peer: socket.socket, limit: int, timeout_s: float) -> bytes:
    """Read up to a newline. Raises: TimeoutError, ValueError when it is too long or cut off."""
    deadline = monotonic() + timeout_s
    got = bytearray()
    while not got.endswith(b"\n"):
        peer.settimeout(max(deadline - monotonic(), 0.001))
        piece = peer.recv(65536)
        got += piece
        if not piece or len(got) > limit:
            raise ValueError("the line is longer than allowed" if piece else "the line ended early")
    return bytes(got)
