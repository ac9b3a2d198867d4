"""Where bundles live on a device, and how one takes the place of another: whole, or not at all.

STATE_DIR/bundles/NAME is a link to .NAME@HASH.RANDOM beside it, a folder in which nothing changes once the link leads there. A
new version is written and checked beside the old one; then the link is replaced, by one rename. So a kill, or a cut of the
power, leaves the old or the new, and who loads follows the link once and has all files of one version. The version before
stays until the next installation (.NAME@before leads to it): a daemon may be reading it. A NAME that is a plain folder,
copied there by hand, changes places with the link in one call (renameat2); where a file system cannot do that there is a
moment with neither. What a killed installation left is removed by the next one, under the lock that keeps two apart.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reflexd_models import about, files
from reflexd_models.base import ModelError
from reflexd_models.bundle import ABOUT, LARGEST

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")       # no "@", which separates a name from what is kept of it
CARD_LIMIT = files.MIB
RENAME_EXCHANGE = 2          # linux/fs.h
AT_FDCWD = -100              # linux/fcntl.h
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Check = Callable[[Path], None]


class Disk(Protocol):
    """Writes that outlast a power cut; the daemon's durable.py does it."""

    def put(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        """Write a file whole. Raises: OSError."""
        ...

    def move(self, new: Path, path: Path) -> None:
        """Put one thing in the place of another. Raises: OSError."""
        ...

    def settle(self, folder: Path) -> None:
        """Have the names in a folder outlast a power cut. Raises: OSError."""
        ...


def check_name(name: str) -> str:
    """Give a name back that a bundle may be installed under. Raises: ModelError."""
    if not NAME.fullmatch(name) or name.endswith(".tflite"):
        raise ModelError('the name of a bundle: letters, digits, "_", "." and "-", 64 at most and no ".tflite", '
                         f"found {name[:80]!r}; give another one with --as")
    return name


def packed(folder: Path) -> dict[str, bytes]:
    """Read the files that a bundle consists of; a link among them is refused, since it may lead anywhere. Raises: ModelError."""
    description = files.read(folder / ABOUT, files.MIB, "the bundle's description", follow=False)
    said = about.read(folder / ABOUT)
    found = {ABOUT: description, said.file: files.read(folder / said.file, LARGEST, "the network", follow=False)}
    if said.golden is not None:
        found[said.golden.file] = files.read(folder / said.golden.file, 16 * files.MIB, "the golden case", follow=False)
    if said.card is not None:
        found[said.card] = files.read(folder / said.card, CARD_LIMIT, "the card", follow=False)
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle in the store."""

    name: str
    folder: Path         # where its files are
    by_hand: bool        # a plain folder, or a link to one elsewhere


class Store:
    """The bundles of one state directory."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        """Use that folder; it is made by the first installation."""
        self.folder, self._disk = folder, disk

    def kept(self) -> list[Kept]:
        """List what is there, by name. Raises: ModelError."""
        if not self.folder.is_dir():
            return []
        with _explained(self.folder):
            names = sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        return [Kept(name, (self.folder / name).resolve(), self._version_of(name) is None) for name in names]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from changing the store meanwhile. Raises: ModelError."""
        with _explained(self.folder):
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            opened = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ModelError(f"{self.folder}: another installation is under way; wait until it has ended") from None
            yield
        finally:
            os.close(opened)

    @contextmanager
    def beside(self, name: str, content: Mapping[str, bytes]) -> Iterator[Path]:
        """Write a version beside the one in use, under the lock; it goes again unless the link leads to it in the end.

        Raises: ModelError.
        """
        sha = hashlib.sha256(b"".join(content[file] for file in sorted(content))).hexdigest()[:12]
        with _explained(self.folder):
            if self.folder.stat().st_mode & 0o555 != 0o555:      # the umask here may be a strict one
                self.folder.chmod(0o755)
            self._clean()
            version = Path(tempfile.mkdtemp(prefix=f".{name}@{sha}.", dir=self.folder))
        try:
            with _explained(self.folder):
                version.chmod(0o755)        # the service reads it as another user, whatever the umask here
                for file, data in content.items():
                    self._disk.put(version / file, data)
            yield version
        finally:
            with suppress(OSError):      # what stays is in nobody's way, and the next one tries again
                self._clean()

    def lead_to(self, name: str, version: Path) -> None:
        """Have NAME be that version from now on, and keep the one before. Raises: ModelError."""
        place, link = self.folder / name, self._free(name, "link")
        with _explained(place):
            plain = place.is_dir() and not place.is_symlink()
            if place.exists() and not plain and not place.is_symlink():
                raise ModelError(f"{place}: is no folder; move it away")
            self._remember(name, link.name if plain else str(place.readlink()) if place.is_symlink() else None)
            link.symlink_to(version.name)
            if plain:
                self._exchange(link, place)
            else:
                self._disk.move(link, place)

    def put_back(self, name: str) -> None:
        """Have NAME be the version before again, or nothing where there was none. Raises: ModelError."""
        place, before = self.folder / name, self.folder / f".{name}@before"
        with _explained(place):
            if not before.is_symlink():
                place.unlink(missing_ok=True)
                self._disk.settle(self.folder)
                return
            link = self._free(name, "link")
            link.symlink_to(str(before.readlink()))
            self._disk.move(link, place)

    def remove(self, name: str) -> None:
        """Take a bundle away with all that was kept of it, under the lock; what a link of your own leads to stays.

        Raises: ModelError.
        """
        place = self.folder / name
        if not place.is_symlink() and not place.is_dir():
            raise ModelError(f'bundle "{name}": there is none of that name in {self.folder}; '
                             "reflexctl model list shows what there is")
        with _explained(place):
            if place.is_symlink():
                place.unlink()
            else:
                place.rename(self._free(name, "gone"))
            (self.folder / f".{name}@before").unlink(missing_ok=True)
            self._disk.settle(self.folder)
            self._clean()

    def _version_of(self, name: str) -> str | None:
        """Say which version NAME leads to; None when it is no link, or leads elsewhere."""
        place = self.folder / name
        target = str(place.readlink()) if place.is_symlink() else ""
        return target if target.startswith(f".{name}@") and "/" not in target else None

    def _remember(self, name: str, target: str | None) -> None:
        before = self.folder / f".{name}@before"
        if target is None:
            before.unlink(missing_ok=True)
            return
        link = self._free(name, "link")
        link.symlink_to(target)
        self._disk.move(link, before)

    def _free(self, name: str, what: str) -> Path:
        return self.folder / f".{name}@{what}.{os.urandom(4).hex()}"

    def _exchange(self, link: Path, place: Path) -> None:
        """Let a link and a folder change places. Raises: OSError."""
        if not _changed_places(link, place):
            aside = link.with_name(f"{link.name}.folder")
            place.rename(aside)
            self._disk.move(link, place)
            aside.rename(link)
        self._disk.settle(self.folder)

    def _clean(self) -> None:
        """Remove what no link leads to: versions that are older than the last one, and what killed installations left."""
        for path in list(self.folder.iterdir()):
            name, mark, what = path.name[1:].partition("@")
            if not path.name.startswith(".") or not mark or what == "before" or not NAME.fullmatch(name):
                continue
            before = self.folder / f".{name}@before"
            wanted = {self._version_of(name), str(before.readlink()) if before.is_symlink() else None}
            if path.name in wanted:
                continue
            if path.is_symlink() or not path.is_dir():
                path.unlink()
            else:
                shutil.rmtree(path)


def _changed_places(one: Path, other: Path) -> bool:
    """Exchange two names at once; False where the system or the file system cannot. Raises: OSError."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    """Say of an error of the disk what to do. Raises: ModelError."""
    try:
        yield
    except OSError as problem:
        where = problem.filename or place
        if problem.errno in FULL:
            raise ModelError(f"{where}: the disk is full, or the file too large for it; make room there, "
                             "nothing was changed") from None
        if isinstance(problem, PermissionError) or problem.errno == errno.EROFS:
            raise ModelError(f"{where}: this user may not write there; use sudo, or name a folder of your own "
                             "with --state-dir") from None
        raise ModelError(f"{where}: cannot be used: {files.reason(problem)}; "
                         "see that it is a folder on a disk that has links") from None


def install(store: Store, name: str, content: Mapping[str, bytes], *checks: Check,
            last: Callable[[str], None] | None = None) -> Path:
    """Put a bundle in place once every check has passed; give the folder of that version.

    Should `last`, which is called with the name when all is done, raise a ModelError, the version before comes back.
    Raises: ModelError.
    """
    check_name(name)
    with store.alone(), store.beside(name, content) as version:
        try:
            for check in checks:
                check(version)
        except ModelError as problem:       # by its name, since nobody knows the folder of a version
            raise ModelError(str(problem).replace(str(version), name)) from None
        store.lead_to(name, version)
        try:
            if last is not None:
                last(name)
        except ModelError:
            store.put_back(name)
            raise
        return version
