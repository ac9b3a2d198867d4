"""A support bundle: what somebody needs to help, and nothing that is a secret or a picture.

Only texts that are made here go in, so no file of the system is copied unseen; each is cleared of secrets first.
Left out besides: the host's name, its machine id, and the serial number of the board. Names below /dev/serial/by-id are kept,
since a wrong one is what is looked for.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from reflexd import __version__, durable
from reflexd.doctor.context import SERVICE, Context

FOLDER = "reflexd-support"
JOURNAL = ("journalctl", "--no-pager", "--no-hostname", "-o", "short-iso", "-n", "2000")
LARGEST = 1 << 20       # of a file of the configuration
PARTS = ("camera", "model", "sensor", "actuator")      # what is called "key" there is a name: of a key switch
LEFT_OUT = "(left out)"
SHORTEST = 4            # a secret of fewer characters is found by its key alone: as a text it is everywhere
DEVICES = ("gpiochip*", "video*", "media*", "v4l/by-*/*", "tty[UAS]*[0-9]", "serial*", "serial/by-*/*", "dma_heap/*", "watchdog*")
WORD = (r"[\w.-]*(?:(?:passwor[dt]|passwd|passphrase|passcode|token|secret|credential|authorization|cookie|psk)[\w.-]*"
        r"|environment|(?:key|pass|pwd?|auth|pin[_-]?code)s?(?:[_.-][\w.-]*)?)")
KEY = re.compile(rf".*\s{WORD}|{WORD}|{WORD}\s.*", re.IGNORECASE)
STRING = r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
# To the end of the line, and further where a string, a list or a table goes on, or a unit's line after a backslash.
ASSIGNED = re.compile(rf'(?<![\w.-])({WORD}["\']?[ \t]*(?:[+:]?=>?|:|->))[ \t]*(?=\S)'
                      rf'(?:{STRING}|\[(?:{STRING}|[^\]"\'])*\]|\{{[^}}]*\}})?(?:\\\n|[^\n])*', re.IGNORECASE)
OPTION = re.compile(rf'(?<![\w-])(--?{WORD}[ \t]+)(?:{STRING}|[^\s-]\S*)', re.IGNORECASE)
IN_URL = re.compile(r"(\w://)[^\s\"'<>]{1,200}@")
BARE = re.compile(r"(?<=bearer )\S+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
                  r"|-----BEGIN[^-]*PRIVATE KEY-----[\s\S]*?(?:-----END[^-]*-----|\Z)", re.IGNORECASE)
SECTION = re.compile(r"^([ \t]*\[+([^\]\n]*)\]+)[^\n]*\n(?:(?![ \t]*\[)[^\n]*\n?)*", re.MULTILINE)


def collect(context: Context, findings: str) -> dict[str, str]:
    """Give the text of each file of the bundle by its name."""
    files = {f"configuration/{number:02}-{ascii(path.name)[1:-1]}": _content(path)
             for number, path in enumerate(_files(context.config))}
    secrets = {secret for text in files.values() for secret in _secrets(text)}
    made: dict[str, Callable[[], str]] = {
        "doctor.json": lambda: findings,
        "status.json": lambda: json.dumps(context.status or {"error": str(context.answer)}, indent=2, ensure_ascii=False),
        "platform.txt": lambda: _platform(context),
        **{name: partial(SECTION.sub, _section, text) for name, text in files.items()},
        "configuration-effective.txt": lambda: _effective(context),
        "unit.txt": lambda: _output("systemctl", "cat", "--no-pager", SERVICE),
        "journal.txt": lambda: _output(*JOURNAL, "-u", SERVICE),
        "devices.txt": lambda: "\n".join(_devices(context)),
    }
    return {name: (cleared_json if name.endswith(".json") else cleared)(_whatever(make), secrets) for name, make in made.items()}


def _whatever(make: Callable[[], str]) -> str:
    """Make a text, or say why it could not be made: the rest still helps."""
    try:
        return make()
    except Exception as error:    # where half of the system is broken
        return f"could not be collected: {type(error).__name__}: {error}"


def cleared(text: str, secrets: set[str]) -> str:
    """Take secrets out of a text: what stands behind a key like password, and the known ones wherever they stand."""
    text = ASSIGNED.sub(rf'\1 "{LEFT_OUT}"', BARE.sub(LEFT_OUT, IN_URL.sub(rf"\1{LEFT_OUT}@", text)))
    text = OPTION.sub(rf"\1{LEFT_OUT}", text)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, LEFT_OUT).replace(json.dumps(secret)[1:-1], LEFT_OUT)
    return text


def cleared_json(text: str, secrets: set[str]) -> str:
    """Take secrets out of JSON, which stays JSON."""
    def clear(value: Any, key: str = "") -> Any:   # noqa: ANN401  whatever JSON holds
        if isinstance(value, dict):
            return {cleared(name, secrets): clear(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [clear(item, key) for item in value]
        if KEY.fullmatch(key) and value is not None and not isinstance(value, bool):
            return LEFT_OUT
        return cleared(value, secrets) if isinstance(value, str) else value

    try:
        return json.dumps(clear(json.loads(text)), indent=2, ensure_ascii=False)
    except ValueError:      # the reason why there is none
        return cleared(text, secrets)


def _section(found: re.Match[str]) -> str:
    """Leave out what stands below a heading like [broker.credentials]: as written it may look unlike its value."""
    return f"{found[1]}\n# {LEFT_OUT}\n" if _is_secret(found) else found[0]


def _is_secret(section: re.Match[str]) -> bool:
    names = section[2].split(".")
    return any(KEY.fullmatch(name.strip(" \"'")) for name in (names[2:] if names[0].strip() in PARTS else names))


def _secrets(text: str) -> Iterator[str]:
    """Give the values of a file of the configuration that stand below a key like password."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        yield from _words(text)
        return
    for section, value in tables.items():
        parts = value.values() if section in PARTS and isinstance(value, dict) else [{section: value}]
        for part in parts:
            yield from (leaf for leaf in _leaves(part, secret=False) if len(leaf) >= SHORTEST)


def _words(text: str) -> Iterator[str]:
    """Give the words of what may be a secret in a file that is wrong: what is said of it cites them."""
    values = [found[0].removeprefix(found[1]) for found in ASSIGNED.finditer(text)]
    values += [line.partition("=")[2] for found in SECTION.finditer(text) if _is_secret(found) for line in found[0].splitlines()]
    for value in values:
        yield from re.findall(rf"[^\s\"'=,[\]{{}}]{{{SHORTEST},}}", value)


def _leaves(value: Any, secret: bool) -> Iterator[str]:   # noqa: ANN401  whatever TOML holds
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, secret or KEY.fullmatch(key) is not None)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, secret)
    elif secret and not isinstance(value, bool):
        yield str(value)


def _files(main: Path) -> list[Path]:
    """List the files of the configuration, without what reads it, which may be broken."""
    try:
        return [main, *sorted((main.parent / "conf.d").glob("*.toml"))]
    except OSError:      # closed to this user, which a finding tells
        return [main]


def _content(path: Path) -> str:
    """Read a file; a pipe would be waited for."""
    try:
        if path.exists() and not path.is_file():
            return "not a regular file"
        with path.open("rb") as file:
            data = file.read(LARGEST)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "not a text" if b"\0" in data else data.decode(errors="replace")     # a picture or a network by mistake


def _effective(context: Context) -> str:
    from reflexd.config.effective import effective
    from reflexd.config.load import ConfigError, load
    from reflexd.ctl.config import line

    try:
        loaded = load(context.config)
    except ConfigError as error:      # without the lines of the files: those are beside it, cleared
        return "\n".join(one.headline for one in error.problems)
    return "\n".join(line(loaded.merged.write(one.location), one, origin=True) for one in effective(loaded))


def _platform(context: Context) -> str:
    from importlib.metadata import distributions

    packages = sorted({f"{one.metadata['Name']} {one.version}" for one in distributions()})
    kernel = f"{platform.system()} {platform.release()} {platform.version()} {platform.machine()}"
    board = context.read("/proc/device-tree/model") or "no device tree"
    system = context.read("/etc/os-release") or "no /etc/os-release"
    return "\n".join([f"reflexd {__version__}", f"Python {platform.python_version()}", kernel, board, system, *packages])


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{' '.join(command)}: {error}"
    return done.stdout + done.stderr


def _devices(context: Context) -> Iterator[str]:
    for pattern in DEVICES:
        for path in sorted(context.path("/dev").glob(pattern)):
            with suppress(OSError):
                told = path.lstat()
                target = f" -> {path.readlink()}" if path.is_symlink() else ""
                numbers = f"{os.major(told.st_rdev)}:{os.minor(told.st_rdev)}"
                yield f"{told.st_mode:06o} {told.st_uid}:{told.st_gid} {numbers} /{path.relative_to(context.root)}{target}"


def write(path: Path, members: Mapping[str, str], force: bool) -> None:
    """Write the bundle, whole or not at all, for this user alone. Raises: OSError."""
    if path.exists() and not path.is_file():
        raise FileExistsError("there is something else than a file; name another one")
    if path.exists() and not force:
        raise FileExistsError(f"there is such a file already ({path.stat().st_size} bytes); name another one, or say --force")
    with durable.writing(path.absolute(), 0o600) as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, text in members.items():
            data = text.encode(errors="backslashreplace")
            told = tarfile.TarInfo(f"{FOLDER}/{name}")
            told.size, told.mode = len(data), 0o600
            tar.addfile(told, io.BytesIO(data))
