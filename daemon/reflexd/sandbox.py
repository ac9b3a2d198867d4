"""What to do when the service's own sandbox is what refuses a device, and whether the sandbox refuses what it has to.

A sandbox is known from inside only: what a unit says and what the kernel does may differ.
"""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

FAMILIES = ("AF_INET", "AF_INET6", "AF_NETLINK")
CLOSED_FOLDER = "/etc"
# To open one does nothing. The first three are open to everybody on Debian, so that nothing but the sandbox refuses them; a
# watchdog or a tape would not be harmless.
FOREIGN = ("/dev/fuse", "/dev/net/tun", "/dev/rfkill", "/dev/gpiomem", "/dev/fb0", "/dev/kmsg", "/dev/mem")
OWN_FOLDERS = ("STATE_DIRECTORY", "RUNTIME_DIRECTORY")
Attempt = dict[str, object]


def explained(error: BaseException) -> str:
    """Write an error; where permission was refused to the service, with the drop-in that would give it."""
    refused = next((one for one in (error, error.__cause__) if isinstance(one, PermissionError)), None)
    if refused is None or "INVOCATION_ID" not in os.environ:      # set by systemd, see systemd.exec(5)
        return str(error)
    device = refused.filename if isinstance(refused.filename, str) else "/dev/NAME"
    return f"{error}; the service's sandbox may refuse it: systemctl edit reflexd, then [Service] DeviceAllow={device} rw"


def probe(foreign: tuple[str, ...] = FOREIGN) -> dict[str, object]:
    """Try what has to fail and what has to work. `held` means that the sandbox did as it should, not the file permissions."""
    attempts = [_refused("network", f"socket({name})", partial(_connect, name), errno.EAFNOSUPPORT) for name in FAMILIES]
    attempts.append(_refused("files", f"a nameless file in {CLOSED_FOLDER}", _make_nameless, errno.EROFS))
    # EACCES is of the file's own permissions, which were asked first: it says nothing about the sandbox.
    attempts += [_refused("devices", f"open({device})", partial(_open, device), errno.EPERM, errno.EACCES)
                 for device in foreign if Path(device).exists()]
    own = [folder for name in OWN_FOLDERS for folder in os.environ.get(name, "").split(":") if folder]
    attempts += [_works(folder) for folder in own]
    return {"service": bool(own) and "INVOCATION_ID" in os.environ, "attempts": attempts}


def _refused(kind: str, what: str, attempt: Callable[[], None], *expected: int) -> Attempt:
    try:
        attempt()
    except OSError as error:
        why = errno.errorcode.get(error.errno or 0, str(error))
        return {"kind": kind, "what": what, "held": error.errno in expected, "why": why}
    return {"kind": kind, "what": what, "held": False, "why": ""}


def _connect(family: str) -> None:
    kind = socket.SOCK_RAW if family == "AF_NETLINK" else socket.SOCK_DGRAM
    socket.socket(getattr(socket, family), kind).close()


def _make_nameless() -> None:
    """Make a file that never has a name: nothing is left behind, and a read-only mount refuses it before its permissions do."""
    os.close(os.open(CLOSED_FOLDER, os.O_TMPFILE | os.O_WRONLY, 0o600))


def _open(device: str) -> None:
    os.close(os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))


def _works(folder: str) -> Attempt:
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return {"kind": "state", "what": folder, "held": False, "why": error.strerror or str(error)}
    return {"kind": "state", "what": folder, "held": True, "why": ""}
