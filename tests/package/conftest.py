"""The packages of this checkout, and a Debian of each release to install them into. Nothing here is ever skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RELEASES = {"trixie": "deb13", "bookworm": "deb12"}
OLD = "0.0.9"
BOOKKEEPING = ("proc", "sys", "dev", "run", "tmp", "var/cache", "var/log", "var/lib/apt", "var/lib/dpkg")


def bash(command: str) -> str:
    """Run a command with what the project's scripts share; a failure is shown with all that it said."""
    shared = "set -o pipefail; . scripts/env.sh; again='scripts/test --package'; . scripts/lab.d/debian.sh"
    done = subprocess.run(["bash", "-euc", f"{shared}\n{command}"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the four packages of this checkout, and in one named by it earlier ones of version OLD."""
    folder = tmp_path_factory.mktemp("packages")
    os.environ["REFLEXD_PACKAGE_LEVEL"] = "0"
    bash(f"scripts/package --out {folder} --again {OLD}")
    return folder


class Debian:
    """A Debian in a folder of its own, in which commands run as root."""

    def __init__(self, root: Path, release: str) -> None:
        self.root = root
        self.release = release

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command, whatever its status."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return subprocess.run(["chroot", self.root, "sh", "-ec", command], env=environment,
                              capture_output=True, text=True, check=False)

    def must(self, command: str) -> str:
        """Run a command that has to succeed; give its output."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def install(self, package: Path) -> str:
        """Have apt install a package from a file, as a user would."""
        shutil.copy(package, self.root / "var/cache")
        return self.must(f"apt-get install -qq -y /var/cache/{package.name}")

    def files(self) -> set[str]:
        """List what there is, but for what apt and dpkg note for themselves."""
        found = set()
        for folder, folders, files in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            folders[:] = [name for name in folders if str(here / name) not in BOOKKEEPING]
            found |= {str(here / name) for name in (*folders, *files)}
        return found

    def bootstrap(self) -> None:
        """Make it: what every Debian has, and at hand what the package is going to ask apt for."""
        depends = ROOT / "scripts/package.d" / f"depends.{self.release}"
        bash(f"SUITE={self.release}; "
             f"bootstrap {self.root} minbase amd64 systemd-sysv,udev \"$(paste -sd' ' {depends})\"")
        with suppress(FileNotFoundError):
            (self.root / "etc/dpkg/dpkg.cfg.d/99mmdebstrap").unlink()      # from now on with documentation


@pytest.fixture(scope="session", params=RELEASES)
def fresh(request: pytest.FixtureRequest) -> Debian:
    """Give a fresh Debian, made once and kept in the lab's folder."""
    inputs = f"scripts/package.d/depends.{request.param} tests/package/conftest.py"
    name = bash(f"SUITE={request.param}; named_by package-{request.param} {inputs}").strip()
    lab = Path(bash("echo $lab").strip())
    one = Debian(lab / name, request.param)
    if not one.root.exists():
        lab.mkdir(parents=True, exist_ok=True)
        one.bootstrap()
    return one


@contextmanager
def copied(fresh: Debian, folder: Path) -> Iterator[Debian]:
    root = folder / fresh.release
    subprocess.run(["cp", "-a", "--reflink=auto", fresh.root, root], check=True)
    yield Debian(root, fresh.release)
    shutil.rmtree(root)


@pytest.fixture
def debian(fresh: Debian, tmp_path: Path) -> Iterator[Debian]:
    """Give a copy of a fresh Debian."""
    with copied(fresh, tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def installed(fresh: Debian, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """Give a Debian with the package, for tests that leave it as it is."""
    with copied(fresh, tmp_path_factory.mktemp("installed")) as one:
        one.install(package)
        yield one


@pytest.fixture(scope="session")
def package(packages: Path, fresh: Debian) -> Path:
    """Give the package for that Debian."""
    return next(packages.glob(f"*~{RELEASES[fresh.release]}_amd64.deb"))


@pytest.fixture(scope="session")
def old_package(packages: Path, fresh: Debian) -> Path:
    """Give an earlier build of it."""
    return next(packages.glob(f"{OLD}/*~{RELEASES[fresh.release]}_amd64.deb"))
