"""The local control socket; protocol.py has what is spoken there.

A client can cost the loop one short question and nothing else. Clients are served by threads of their own, some at
a time, with bounds on size and time; what each may ask for goes by who it is.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple, TypeAlias, cast

from reflexd.access import Access, Policy, group_id, peer_of
from reflexd.config.settings import DaemonSettings
from reflexd.protocol import CLIENT_S, MAX_REQUEST, STREAM_S, VERSION, ControlError, line_of, read_line
from reflexd.workers import start_thread

CLIENTS = 8             # at a time
Part: TypeAlias = tuple[object, Sequence[memoryview]]      # of an answer that goes on: what is said, and bytes that belong to it
Parts: TypeAlias = Generator[Part, None, None]
FORM = f'a request is {{"v": {VERSION}, "verb": "…"}}'


class Verb(NamedTuple):
    """What may be asked for, and how much a client has to be allowed for it; `do` gives the answer, or Parts that go on."""

    access: Access
    do: Callable[[Mapping[str, Any]], object]


class Server:
    """Holds the address, and answers clients from serve() until close()."""

    _closing = False

    def __init__(self, path: Path, settings: DaemonSettings | None = None) -> None:
        """Take the address. Raises: ControlError when it cannot be had, FileExistsError when another daemon has it."""
        settings = settings or DaemonSettings()
        self._path = path
        self._socket = _listen(path)
        try:
            self._policy = _admit(path, settings)
        except ControlError:
            self.close()
            raise
        self._verbs: Mapping[str, Verb] = {}
        self._room = threading.Semaphore(CLIENTS)

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
            if self._room.acquire(blocking=False):
                start_thread("control client", partial(self._attend, client))
            else:
                with closing(client), suppress(OSError):
                    _send(client, {"ok": False, "error": f"{CLIENTS} clients are being answered; ask again"})

    def _attend(self, client: socket.socket) -> None:
        try:
            with closing(client), suppress(OSError):   # a client that left is its own loss
                self._answer(client)
        finally:
            self._room.release()

    def _answer(self, client: socket.socket) -> None:
        try:
            access = self._policy.access(peer_of(client))
            result = self._do(read_line(client, MAX_REQUEST, CLIENT_S), access)
            if isinstance(result, Generator):
                _send_parts(client, cast("Parts", result))
                return
            answer: dict[str, object] = {"ok": True, "result": result}
        except (ValueError, OSError) as error:   # what a client can cause, in words
            answer = {"ok": False, "error": str(error)}
        except Exception as error:    # a network or a library that failed: the next client is answered all the same
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        _send(client, answer)

    def _do(self, line: bytes, access: Access) -> object:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{FORM}, in one line of JSON and UTF-8: {error}") from None
        if not isinstance(request, dict) or request.get("v") != VERSION:
            raise ValueError(FORM)
        verb = self._verbs.get(str(request.get("verb")))
        if verb is None:
            raise ValueError(f"no verb is called {request.get('verb')!r}; there are {', '.join(sorted(self._verbs))}")
        if access < verb.access:
            raise PermissionError(f"this user may {access.name.lower()}, and {request['verb']} needs {verb.access.name.lower()}; "
                                  f"use sudo, or see {verb.access.name.lower()}_group in [daemon]")
        return verb.do(request)

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
        with _unreadable():
            listener.bind(os.fspath(path))
        listener.listen(CLIENTS)
    except (ControlError, FileExistsError):
        listener.close()
        raise
    except OSError as error:
        listener.close()
        raise ControlError(f"{path}: cannot listen there: {error.strerror or error}; set [daemon] socket") from error
    return listener


def _admit(path: Path, settings: DaemonSettings) -> Policy:
    """Let those in whom the configuration names. Raises: ControlError."""
    try:
        if settings.socket_group:
            os.chown(path, -1, group_id(settings.socket_group))
        path.chmod(int(settings.socket_mode, 8))
        operate = group_id(settings.operate_group) if settings.operate_group else path.stat().st_gid
        admin = [group_id(settings.admin_group)] if settings.admin_group else []
    except LookupError as error:
        raise ControlError(f"[daemon]: {error.args[0]}") from error
    except OSError as error:
        raise ControlError(f"{path}: cannot be given to group {settings.socket_group}: {error.strerror}; "
                           f"the daemon's user has to be a member of it") from error
    return Policy(frozenset({operate}), frozenset(admin))


@contextmanager
def _unreadable() -> Iterator[None]:
    """Make what is made now reachable for this user alone; it is opened for others once all is set."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _send_parts(client: socket.socket, parts: Parts) -> None:
    """Send until there is no more, or the client leaves. Bytes go as they are: written as text, they would hold the loop up."""
    with closing(parts):
        for said, belonging in parts:
            client.settimeout(STREAM_S)
            client.sendall(line_of({"ok": True, "result": said, "bytes": [len(one) for one in belonging]}))
            for one in belonging:
                client.sendall(one)


def _send(client: socket.socket, answer: Mapping[str, object]) -> None:
    client.settimeout(CLIENT_S)
    client.sendall(line_of(answer))


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
