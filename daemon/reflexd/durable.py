"""Files that come into place whole and outlast a power cut: at every moment the old or the new one is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def writing(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Give a file to write into, which takes the place of `path` when all went well. Raises: OSError, of `path`.

    What is no file, as /dev/null or a pipe, is written to as it is: nothing may take its place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as there:
            yield there
        return
    made = None
    try:
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(descriptor)
        move(Path(made), path)
    except BaseException as error:
        if made is not None:
            Path(made).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:      # a full disk does not say where
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise


def put(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole. Raises: OSError."""
    with writing(path, mode) as file:
        file.write(data)


def move(new: Path, path: Path) -> None:
    """Put a file that is written in the place of another. Raises: OSError."""
    new.replace(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """Have the names in a folder outlast a power cut, too. Raises: OSError."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
