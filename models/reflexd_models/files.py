"""Read files that may be anything: a pipe, a folder, a gigabyte, a loop of links.

Every reader gives the whole content at once, so what was checked is what is used: nobody can change
it in between.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np

from reflexd_models.base import ModelError, Tensor

MIB = 1 << 20


def read(path: Path, limit: int, what: str, follow: bool = True) -> bytes:
    """Read a regular file of at most `limit` bytes; `what` names it in errors. Unless `follow`, it may be no link.

    Raises: ModelError.
    """
    try:
        # without O_NONBLOCK opening a pipe would wait for a writer for ever
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    except (OSError, ValueError) as problem:
        if not follow and isinstance(problem, OSError) and problem.errno == errno.ELOOP:
            raise ModelError(f"{path}: {what} is a link, which may lead anywhere; put the file itself there") from None
        raise ModelError(f"{path}: {what} cannot be opened: {reason(problem)}; check the path and its permissions") from None
    try:
        _check(os.fstat(fd), path, limit, what)
        with os.fdopen(fd, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError as problem:
        raise ModelError(f"{path}: {what} cannot be read: {reason(problem)}; check the disk") from None
    finally:
        os.close(fd)
    if len(content) > limit:
        raise ModelError(_too_large(path, limit, what))
    return content


def text(path: Path, limit: int, what: str) -> str:
    """Read a UTF-8 file of at most `limit` bytes.

    Raises: ModelError.
    """
    content = read(path, limit, what)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ModelError(f"{path}: {what} is not UTF-8 text: byte {problem.start} is not; save it as UTF-8") from None


def npz(path: Path, limit: int, what: str) -> dict[str, Tensor]:
    """Read an .npz file of at most `limit` bytes, packed and unpacked; no pickles.

    Raises: ModelError.
    """
    return arrays(read(path, limit, what), str(path), limit, what)


def arrays(content: bytes, where: str, limit: int, what: str) -> dict[str, Tensor]:
    """Unpack an .npz file that was read, of at most `limit` bytes unpacked; no pickles.

    Raises: ModelError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > limit:
                raise ValueError(f"unpacks to more than {limit // MIB} MiB")
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return {str(name): np.asarray(found[name]) for name in found.files}
    except Exception as problem:     # zip, zlib, the .npy header and its dtype: each raises its own kinds
        raise ModelError(f"{where}: {what} is not a sound .npz file: {reason(problem)}; write it with numpy.savez") from None


def reason(problem: BaseException) -> str:
    """Give an exception's text as one short line."""
    said = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem) or type(problem).__name__
    line = " ".join(said.split())
    return line if len(line) <= 160 else f"{line[:157]}..."


def _check(found: os.stat_result, path: Path, limit: int, what: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise ModelError(f"{path}: {what} is expected to be a file, found a folder; name the file inside it")
    if not stat.S_ISREG(found.st_mode):
        raise ModelError(f"{path}: {what} is expected to be a regular file, found a device or a pipe; copy it to a file")
    if found.st_size > limit:
        raise ModelError(_too_large(path, limit, what))


def _too_large(path: Path, limit: int, what: str) -> str:
    return f"{path}: {what} is larger than {limit // MIB or 1} MiB; this is not a file for a small device"
