"""What a person chooses among what was found, with a default for each question."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from reflexd.setup import SetupError
from reflexd_drivers.cameras.libcamera_list import FoundSensor
from reflexd_drivers.gpio import check_pin
from reflexd_drivers.header import INPUTS, OUTPUTS
from reflexd_drivers.probe import Found, FoundCamera, FoundChip
from reflexd_models import tasks
from reflexd_models.base import ModelError
from reflexd_models.bundle import find_bundle

NONE, RECORD, SCRIPT = "none", "record", "script"

T = TypeVar("T")
FoundAny: TypeAlias = FoundCamera | FoundSensor


@dataclass(frozen=True, slots=True)
class Network:
    """A network as the configuration names it, and what its bundle says of it."""

    bundle: str
    task: str
    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the configuration is made of; an output that is no pin is written down, an input that is none is played."""

    found: Found
    camera: FoundAny | Path | None      # a path is a recording
    input: str
    output: str
    network: Network | None = None
    label: str = ""


def asked(question: str, default: str, read: Callable[[str], T]) -> T:
    """Ask a person until the answer can be used; Enter takes the default. Raises: EOFError."""
    while True:
        try:
            return read(input(f"{question} [{default}]: ").strip() or default)
        except ValueError as problem:
            print(f"  {problem}")


def choose(args: argparse.Namespace, found: Found, state_dir: Path, interactive: bool) -> Choices:
    """Take what the options say, ask for the rest, and take the default where nobody can be asked. Raises: SetupError."""
    def pick(given: str | None, option: str, question: str, default: str, read: Callable[[str], T]) -> T:
        if given is None and interactive:
            return asked(question, default, read)
        try:
            return read(default if given is None else given)
        except ValueError as problem:
            raise SetupError(f"{option}: {problem}", 2) from None

    cameras = found.cameras
    usual = next((one.device for one in cameras if one.holder is None), NONE)
    camera = pick(args.camera, "--camera", f"camera: a device, a recording, or {NONE}", usual,
                  lambda text: _camera(text, cameras))
    button = pick(args.input, "--input", f"pin of a button to ground, {SCRIPT} to play one, or {NONE}",
                  free(found.header, INPUTS) or SCRIPT, lambda text: _pin(text, found.header, (SCRIPT, NONE)))
    lamp = pick(args.output, "--output", f"pin of a relay or lamp, or {RECORD} to write down what it would do",
                free(found.header, OUTPUTS, button) or RECORD, lambda text: _pin(text, found.header, (RECORD,), button))
    if camera is None and args.model is None:
        network = None
    else:
        network = pick(args.model, "--model", f"network: meter, a bundle's path, or {NONE}", NONE,
                       lambda text: _network(text, state_dir, camera is not None))
    if network is None and button == NONE:
        raise SetupError("--input: with neither a button nor a network nothing would ever be decided; give one of them", 2)
    label = ""
    if network is not None and network.task == "classify":
        only = network.labels[0] if len(network.labels) == 1 or interactive else ""
        label = pick(args.label, "--label", "label that the lamp goes on for", only, lambda text: _label(text, network.labels))
    return Choices(found, camera, button, lamp, network, label)


def free(chip: FoundChip | None, pins: tuple[int, ...], taken: str = "") -> str | None:
    """Give the first of some pins that nobody uses; None where there is no header, or no such pin."""
    return next((f"GPIO{pin}" for pin in pins if chip and pin not in chip.used and f"GPIO{pin}" != taken), None)


def _camera(text: str, found: tuple[FoundAny, ...]) -> FoundAny | Path | None:
    if text == NONE:
        return None
    path = Path(text).absolute()
    for camera in found:
        if text == camera.device or os.path.realpath(path) == os.path.realpath(camera.device):
            return camera
    if os.path.isfile(path) or os.path.isdir(path):      # noqa: PTH112, PTH113  Path's own raise where a name is too long
        return _sayable(path)
    there = ", ".join(camera.device for camera in found) or NONE
    raise ValueError(f"{text} is neither a camera that can be read nor a recording; found {there}; plug it in or name another")


def _pin(text: str, chip: FoundChip | None, words: tuple[str, ...], taken: str = "") -> str:
    if text in words:
        return text
    pin = str(check_pin(text))
    if chip is None:
        raise ValueError(f"{pin}: no GPIO chip of a Raspberry Pi's header can be opened here; write {words[0]}")
    if pin == taken:
        raise ValueError(f"{pin} is the button's already; choose another pin")
    if (user := chip.used.get(int(pin[4:]))) is not None:
        raise ValueError(f"{pin} is in use by {user}; stop that program or choose another pin")
    return pin


def _network(text: str, state_dir: Path, seen: bool) -> Network | None:
    if text == NONE:
        return None
    path = str(_sayable(Path(text).absolute())) if "/" in text or text.endswith(".tflite") else text
    try:
        bundle = find_bundle(path, state_dir)
    except ModelError as problem:
        raise ValueError(str(problem)) from None
    if tasks.load(bundle.task).Options.watches == "sensors":
        raise ValueError(f"{text}: its task {bundle.task} watches sensors, whose section depends on your device; "
                         "begin with docs/examples/vibration/serial.toml")
    if not seen:
        raise ValueError(f"{text}: a network needs a camera, and there is none; give --camera")
    if bundle.task not in ("classify", "regions"):
        raise ValueError(f"{text}: setup writes no rule for the task {bundle.task}; write its section by hand")
    name = "".join(one if one.isascii() and one.isalnum() else "_" for one in bundle.name).strip("_")[:60] or "network"
    return Network(path, bundle.task, name, bundle.labels)


def _sayable(path: Path) -> Path:
    if os.fsencode(path) != str(path).encode(errors="replace"):
        raise ValueError(f"{str(path)!a} is not UTF-8, which a configuration has to be; rename it")
    return path


def _label(text: str, labels: tuple[str, ...]) -> str:
    if text not in labels:
        some = ", ".join(labels[:12]) + (" …" if len(labels) > 12 else "")
        raise ValueError(f"{text!r} is no label of the network; choose one of {some}")
    return text
