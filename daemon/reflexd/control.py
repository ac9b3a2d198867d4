"""The local control socket: newline-delimited JSON over AF_UNIX, one request per connection.

request   {"v": 1, "verb": "status"}
answer    {"v": 1, "ok": true, "result": …}  or  {"v": 1, "ok": false, "error": "…"}

A client can cost the loop one short question and nothing else: it is served by a thread of its own,
one at a time, with bounds on size and time.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from reflexd.workers import start_thread

VERSION = 1
MAX_REQUEST = 4096
CLIENT_S = 2.0
Verb = Callable[[Mapping[str, Any]], object]


class ControlError(OSError):
    """The daemon cannot be reached or did not do what was asked; the text says what to do."""


class Server:
    """Holds the address, and answers clients from serve() until close()."""

    def __init__(self, path: Path) -> None:
        """Take the address. Raises: ControlError when it cannot be had, FileExistsError when another daemon has it."""
        self._path = path
        self._socket = _listen(path)
        self._verbs: Mapping[str, Verb] = {}
        self._closing = False

    def serve(self, verbs: Mapping[str, Verb]) -> None:
        """Begin to answer."""
        self._verbs = verbs
        start_thread("control", self._serve)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                if self._closing:
                    return
                sleep(0.1)            # out of descriptors for the moment
                continue
            with closing(client), suppress(OSError):   # a client that left is its own loss
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        try:
            result = self._do(_read_line(client, MAX_REQUEST, CLIENT_S))
            answer: dict[str, object] = {"v": VERSION, "ok": True, "result": result}
        except (ValueError, LookupError, OSError, RecursionError) as error:   # what a client can cause
            answer = {"v": VERSION, "ok": False, "error": str(error.args[0] if error.args else error)}
        except Exception as error:    # a network or a library that failed: the next client is answered all the same
            answer = {"v": VERSION, "ok": False, "error": f"{type(error).__name__}: {error}"}
        client.settimeout(CLIENT_S)
        client.sendall(json.dumps(answer).encode() + b"\n")

    def _do(self, line: bytes) -> object:
        request = json.loads(line)
        if not isinstance(request, dict) or request.get("v") != VERSION:
            raise ValueError(f'a request is {{"v": {VERSION}, "verb": "…"}}')
        verb = self._verbs.get(str(request.get("verb")))
        if verb is None:
            raise LookupError(f"no verb is called {request.get('verb')!r}; there are {', '.join(sorted(self._verbs))}")
        return verb(request)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._closing = True
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _listen(path: Path) -> socket.socket:
    """Bind, after making sure that no other daemon listens there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if _somebody_listens(path):
            raise FileExistsError(f"{path}: another reflexd is running; stop it first, or give this one its own [daemon] socket")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_socket():
            raise ControlError(f"{path}: there is something else than a socket; set [daemon] socket")
        path.unlink(missing_ok=True)
        listener.bind(os.fspath(path))
        path.chmod(0o660)
        listener.listen(4)
    except (ControlError, FileExistsError):
        listener.close()
        raise
    except OSError as error:
        listener.close()
        raise ControlError(f"{path}: cannot listen there: {error.strerror or error}; set [daemon] socket") from error
    return listener


def _somebody_listens(path: Path) -> bool:
    """Say whether a process has the address; one that hangs has it too."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(CLIENT_S)
        try:
            probe.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:
            return True
        return True


def ask(path: Path, verb: str, request: Mapping[str, str] | None = None, timeout_s: float = CLIENT_S) -> Any:   # noqa: ANN401
    """Ask a running daemon. Raises: ControlError."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(os.fspath(path))
            client.sendall(json.dumps({**(request or {}), "v": VERSION, "verb": verb}).encode() + b"\n")
            answer = json.loads(_read_line(client, 64 << 20, timeout_s))
        except (FileNotFoundError, ConnectionRefusedError):      # refused: left by a killed daemon, or no socket
            raise ControlError(f"{path}: reflexd does not run, or listens elsewhere; see --socket") from None
        except PermissionError:
            raise ControlError(f"{path}: this user may not ask reflexd; use sudo, or join the group of the socket") from None
        except (OSError, ValueError) as error:
            raise ControlError(f"{path}: reflexd did not answer: {error}") from None
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error")))
    return answer["result"]


def _read_line(peer: socket.socket, limit: int, timeout_s: float) -> bytes:
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
