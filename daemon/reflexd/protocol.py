"""What is spoken at the control socket: newline-delimited JSON over AF_UNIX, one request per connection.

request   {"v": 1, "verb": "status"}
answer    {"v": 1, "ok": true, "result": …}  or  {"v": 1, "ok": false, "error": "…"}

Both sides use this file, so it imports nothing of the daemon: reflexctl has to start fast.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic
from typing import Any

VERSION = 1
MAX_REQUEST = 4096      # bytes
CLIENT_S = 2.0          # for a client to write its request, and to take its answer


class ControlError(OSError):
    """The daemon cannot be reached or did not do what was asked; the text says what to do."""


class NobodyError(ControlError):
    """No daemon listens there."""


def line_of(message: Mapping[str, object]) -> bytes:
    """Write a request or an answer."""
    return json.dumps({"v": VERSION, **message}).encode() + b"\n"


def ask(path: Path, verb: str, request: Mapping[str, object] | None = None, timeout_s: float = CLIENT_S) -> Any:   # noqa: ANN401
    """Ask a running daemon. Raises: ControlError."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(os.fspath(path))
            with suppress(BrokenPipeError):      # it answered already, that it is busy
                client.sendall(line_of({**(request or {}), "verb": verb}))
            answer = json.loads(read_line(client, 64 << 20, timeout_s))
        except (FileNotFoundError, ConnectionRefusedError):      # refused: left by a killed daemon, or no socket
            raise NobodyError(f"{path}: reflexd does not run, or listens elsewhere; see --socket") from None
        except PermissionError:
            raise ControlError(f"{path}: this user may not ask reflexd; use sudo, or join the group of the socket") from None
        except BlockingIOError:
            raise ControlError(f"{path}: too many clients wait; ask again") from None
        except (OSError, ValueError, RecursionError) as error:
            raise ControlError(f"{path}: reflexd did not answer: {error}; see its log") from None
    if not isinstance(answer, dict) or answer.get("v") != VERSION:
        raise ControlError(f"{path}: what answers there is no reflexd, or one of another version; see --socket")
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error")))
    return answer.get("result")


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
