"""reflexctl install-service: put the service in place where no package did, on any distribution with systemd."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from reflexd import durable

HELP = "put the service in place: unit, user, udev rules, message catalog, a first configuration"
PROGRAMS = ("reflexd", "reflexctl", "reflexd-safe")
UNIT = "usr/lib/systemd/system/reflexd.service"
FILES = {
    "reflexd.service": UNIT,
    "reflexd.sysusers": "usr/lib/sysusers.d/reflexd.conf",
    "reflexd.tmpfiles": "usr/lib/tmpfiles.d/reflexd.conf",
    "reflexd.modules": "usr/lib/modules-load.d/reflexd.conf",
    "60-reflexd.rules": "usr/lib/udev/rules.d/60-reflexd.rules",
    "reflexd.catalog": "usr/lib/systemd/catalog/reflexd.catalog",
    "reflexd.toml": "usr/share/reflexd/reflexd.toml",
}
DROP_INS = "usr/share/reflexd/drop-ins"
CONFIG = "etc/reflexd/reflexd.toml"
OF_A_PACKAGE = "var/lib/dpkg/info/reflexd.list"
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")    # noqa: S108  by ProtectHome= and PrivateTmp= of the unit
TOLD = (
    ("systemd-sysusers", "reflexd.conf"),
    ("systemd-tmpfiles", "--create", "reflexd.conf"),
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--subsystem-match=gpio", "--subsystem-match=pwm", "--subsystem-match=spidev",
     "--subsystem-match=dma_heap"),
    ("journalctl", "--update-catalog"),
    ("systemctl", "daemon-reload"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    beside = Path(sys.argv[0]).resolve().parent
    parser.add_argument("--bindir", type=Path, default=beside, metavar="DIR",
                        help="where reflexd, reflexctl and reflexd-safe are; default: where this reflexctl is")
    parser.add_argument("--root", type=Path, metavar="DIR", help="of another system, for images and packages")
    parser.add_argument("--no-config", action="store_true", help="without a first configuration")
    parser.add_argument("--remove", action="store_true", help="take the service away; configuration and state stay")


def run(args: argparse.Namespace) -> int:
    """Do it, or say in one line why not."""
    try:
        if args.remove:
            remove(args.root)
        else:
            install(args.root or Path("/"), Path(os.path.normpath(args.bindir.absolute())), config=not args.no_config)
            if args.root is None:
                tell_systemd()
                print("Installed. Next:  sudo reflexctl setup")
    except PermissionError as error:
        print(f"reflexctl: {error.filename}: permission denied; run it as root:  sudo reflexctl install-service", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return 1
    return 0


def install(root: Path, bindir: Path, config: bool = True) -> None:
    """Write every file below `root`. Raises: ValueError, OSError."""
    _refuse(root, bindir)
    for source, target in FILES.items():
        text = (_shipped() / source).read_text().replace("@bindir@", str(bindir))
        _write(root / target, text)
    for one in (_shipped() / "drop-ins").iterdir():
        _write(root / DROP_INS / one.name, one.read_text())
    if config and not (root / CONFIG).exists():
        _write(root / CONFIG, (_shipped() / "reflexd.toml").read_text())


def _refuse(root: Path, bindir: Path) -> None:
    """Raises: ValueError when what would be installed could not run, or a package has installed it."""
    if not re.fullmatch(r"/[\w./+-]*", str(bindir)):
        raise ValueError(f"{str(bindir)!r}: systemd reads such a path otherwise; use letters, digits and ._+- only")
    inside = root / bindir.relative_to("/")
    for program in PROGRAMS:
        if not (inside / program).exists():
            raise ValueError(f"{inside / program} is not there; install reflexd first, or say --bindir")
    if any(bindir.is_relative_to(folder) for folder in HIDDEN):
        raise ValueError(f"{bindir}: the service's sandbox does not see that folder; install reflexd below /opt or /usr/local:  "
                         "python3 -m venv --system-site-packages /opt/reflexd && /opt/reflexd/bin/pip install .")
    if (root / OF_A_PACKAGE).exists():
        raise ValueError("the Debian package has put the service in place; keep that, or remove it first:  "
                         "apt-get remove reflexd")


def _shipped() -> Traversable:
    """Give the folder of what systemd is told; a checkout has it at its top."""
    try:
        return resources.files("reflexd.systemd")
    except ModuleNotFoundError:
        return Path(__file__).parents[3] / "systemd"


def _write(path: Path, text: str) -> None:
    """Put a file in place whole, for everybody to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.put(path, text.encode())


def tell_systemd() -> None:
    """Have users, devices and units taken over; what does not work is said, and the rest is done."""
    for command in TOLD:
        _tell(*command)


def _tell(*command: str) -> None:
    program = shutil.which(command[0])
    done = subprocess.run(command, check=False, capture_output=True, text=True) if program else None
    if done is None or done.returncode:
        why = done.stderr.strip() if done else "not found"
        print(f"reflexctl: {' '.join(command)}: {why}; do it by hand, or restart the computer", file=sys.stderr)


def remove(root: Path | None) -> None:
    """Take away what install() wrote but for the configuration. Raises: OSError."""
    top = root or Path("/")
    if (top / OF_A_PACKAGE).exists():
        raise ValueError("the Debian package has put the service in place:  apt-get remove reflexd")
    if root is None and (top / UNIT).exists():
        _tell("systemctl", "disable", "--now", "reflexd.service")
    for target in FILES.values():
        (top / target).unlink(missing_ok=True)
    shutil.rmtree(top / DROP_INS, ignore_errors=True)
    with suppress(OSError):          # not there, or not empty
        (top / DROP_INS).parent.rmdir()
    if root is None:
        _tell("systemctl", "daemon-reload")
        print("Removed. /etc/reflexd and /var/lib/reflexd are still there.")
