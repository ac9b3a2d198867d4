"""Files that come into place whole, and the folder of the service: at every moment the old or the new one is there."""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reflexd import durable
from reflexd.arming import FILE as ARMING
from reflexd.setup import SetupError
from reflexd.setup.trial import as_service


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep another setup from the same files. Raises: SetupError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"{folder}: another setup is under way; wait until it has ended") from None
        yield
    finally:
        os.close(opened)


def is_precious(config: Path) -> bool:
    """Say whether a file has more in it than what the package puts there, or cannot be understood. Raises: SetupError."""
    try:
        tables = tomllib.loads(config.read_text())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    except OSError as error:
        raise SetupError(f"{config}: cannot be read: {error.strerror}; use sudo, or name another file with --config") from None
    daemon = tables.pop("daemon", {})
    return bool(tables.keys() - {"schema"} or not isinstance(daemon, dict) or daemon.keys() - {"dry_run", "initially"})


def own(state: Path) -> None:
    """Make the folder of the service, should it never have run: systemd makes it at the first start only."""
    who = as_service()
    if who is not None and not state.exists():
        state.mkdir(mode=0o750, parents=True)
        os.chown(state, who.user, who.group)


def disarm(state: Path) -> bytes | None:
    """Have nothing driven while one configuration takes the place of another; give what was said last. Raises: SetupError."""
    path = state / ARMING
    if not state.is_dir():      # nobody can have said anything, and to make it is up to the service
        return None
    try:
        said = path.read_bytes()
    except FileNotFoundError:
        said = None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}; say reflexctl disarm, then setup again") from None
    say(state, b"disarmed\n")
    return said


def say(state: Path, said: bytes | None) -> None:
    """Have that count as what was said last; None has what the configuration says initially count. Raises: SetupError."""
    path = state / ARMING
    if said is None:
        path.unlink(missing_ok=True)
    else:
        put(path, said, like=path)


def put(path: Path, data: bytes, like: Path | None = None) -> None:
    """Write a file so that at every moment the old or the new is there, whole. Raises: SetupError.

    It gets the owner and mode of the file `like`; without that everybody may read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        old = like.stat() if like is not None and like.exists() else None
        with durable.writing(path, 0o644 if old is None else old.st_mode & 0o7777) as file:
            file.write(data)
            if old is not None and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
    except OSError as error:
        how = "use sudo, or --config" if isinstance(error, PermissionError) else "make room there, or make it writable"
        raise SetupError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}; {how}") from None


def move(new: Path, path: Path) -> None:
    """Put a file that is written in the place of another. Raises: SetupError."""
    try:
        durable.move(new, path)
    except OSError as error:
        raise SetupError(f"{path}: cannot be replaced: {error.strerror}; the new one is {new}") from None
