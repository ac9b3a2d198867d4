"""The configuration as text, with a comment for whatever a person may want to change, and how it comes into place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from reflexd.setup.choices import NONE, RECORD, SCRIPT, Choices
from reflexd_drivers.cameras.libcamera_list import FoundSensor
from reflexd_drivers.header import number_of
from reflexd_drivers.probe import Found, FoundCamera

SOCKET = "control.sock"
DISARMED = ('initially = "disarmed"', "decide and log, but drive nothing, until `reflexctl arm`; that is remembered")
TIMELINE = "# at_s,value of a button that is played: a second down, two up\n0,false\n0.5,true\n1.5,false\n3,false\n"
WHEELS = """regions = [                            # each wheel: left, top, width, height as shares of the picture;
  [0.1133, 0.25, 0.1328, 0.4219],      # aim them with: reflexctl snapshot seen.png
  [0.2734, 0.25, 0.1328, 0.4219],
  [0.4336, 0.25, 0.1328, 0.4219],
  [0.5938, 0.25, 0.1328, 0.4219],
  [0.7539, 0.25, 0.1328, 0.4219],
]
"""


def text_of(choices: Choices, state: Path, date: str, own_state: bool = False) -> str:
    """Write a configuration; what is played or recorded instead of a pin is in the folder `state`.

    With `own_state` the daemon that it is for keeps everything there, away from the service.
    """
    apart = [_line(f"socket = {_text(state / SOCKET)}", "where reflexctl finds this daemon, with --socket"),
             _line(f"state_dir = {_text(state)}", "what it remembers, and bundles that were added")] if own_state else []
    return "\n".join([
        f"# Written by reflexctl setup on {date}. Every key: man reflexd.toml, docs/configuration.md; rules: docs/rules.md",
        "# After a change: `reflexctl check` tells what is wrong with it, `reflexctl reload` takes it over.",
        "schema = 1\n\n[daemon]", _line(*DISARMED), *apart, *_camera(choices.camera), *_model(choices),
        *_button(choices.input, state), *_lamp(choices.output, state), *_rules(choices), *_unused(choices), "",
    ])


def _line(setting: str, comment: str) -> str:
    gap = "\n" if setting.startswith(("[", "# [")) else ""
    return f"{gap}{setting:<38} # {''.join(one if one.isprintable() else '?' for one in comment)}"


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")      # which JSON lets pass, and TOML does not


def _camera(camera: FoundCamera | FoundSensor | Path | None) -> Iterator[str]:
    if isinstance(camera, Path):
        yield _line("[camera.front]", "what sees: a recording, over and over")
        yield f'driver = "replay"\npath = {_text(camera)}\nloop = true'
    elif isinstance(camera, FoundSensor):
        yield _line("[camera.front]", f"what sees: {camera.card}")
        yield f'driver = "picamera2"\nid = {_text(camera.device)}'
        yield _line("size_px = [640, 480]", "of what is kept and shown")
        yield _line("# model_px = [224, 224]", "for networks, scaled by the camera itself; docs/drivers/picamera2.md")
    elif camera is not None:
        yield _line("[camera.front]", f"what sees: {camera.card}")
        yield f'driver = "usb"\ndevice = {_text(camera.device)}'
        if (size := camera.nearest()) is not None:
            yield _line(f"size_px = {list(size)}", "small is quick; a network scales it down further")
        yield _line("# rate_hz = 15", "a camera that is slower than usual says nothing for so long; docs/drivers/usb.md")


def _model(choices: Choices) -> Iterator[str]:
    if (network := choices.network) is None:
        return
    yield _line(f"[model.{network.name}]", f"what judges: a network on each new frame, {network.task}")
    yield f"bundle = {_text(network.bundle)}\ncamera = \"front\""
    if network.task == "regions":
        yield WHEELS + _line("plausible.max_rise_per_min = 600", "a number that rises faster, or falls, is not believed")


def _button(pin: str, state: Path) -> Iterator[str]:
    if pin == SCRIPT:
        yield _line("[sensor.button]", "what feels: a stand-in for a button, which presses itself")
        yield f'driver = "scripted"\npath = {_text(state / "button.csv")}\nloop = true'
    elif pin != NONE:
        yield _line("[sensor.button]", f"what feels: a button between pin {number_of(pin)} of the header and ground")
        yield f'driver = "gpio-input"\npin = "{pin}"'
        yield _line('pull = "up"', "a resistor in the Pi holds the line high while nobody presses")
        yield _line('active = "low"', "pressed, the line is low, and the value true")
        yield _line("debounce_ms = 5", "a level counts once it has been there that long")


def _lamp(pin: str, state: Path) -> Iterator[str]:
    if pin == RECORD:
        yield _line("[actuator.lamp]", "what acts: a stand-in, which writes down what it is told")
        yield f'driver = "recorder"\npath = {_text(state / "lamp.log")}'
        yield _line("accept_unguarded = true", "a file needs nobody to set it safe")
    else:
        yield _line("[actuator.lamp]", f"what acts: a relay or a transistor at pin {number_of(pin)} of the header")
        yield f'driver = "gpio-output"\npin = "{pin}"'
        yield _line('# active = "low"', "for a relay board that pulls in at a low level")
    yield _line('safe = "off"', "where it stands whenever nothing asks for it, and in every fault")
    yield _line("max_on_s = 300", "no longer than that at a time")


def _rules(choices: Choices) -> Iterator[str]:
    if choices.input != NONE:
        yield '\n[[rule]]\nname = "lamp follows the button"\nwhen = [{ sensor = "button", is = true }]'
        yield 'then = [{ actuator = "lamp", set = "on", follow = true }]'
    if (network := choices.network) is not None and network.task == "classify":
        yield f"\n[[rule]]\nname = {_text(f'lamp for {choices.label}')}\nwhen = ["
        yield (f'  {{ model = "{network.name}", label = {_text(choices.label)}, at_least = 0.7, release_below = 0.5, '
               "hits = 3, of = 5 },")
        yield ']\nthen = [{ actuator = "lamp", set = "on", for_s = 30 }]'
    elif network is not None:
        yield f'\n[[rule]]\nname = "lamp while the number rises"\nwhen = [{{ model = "{network.name}", rising_for_s = 60 }}]'
        yield 'then = [{ actuator = "lamp", set = "on", for_s = 30 }]'


def _unused(choices: Choices) -> Iterator[str]:
    """Write what was found besides, to be taken into use by removing the signs."""
    for number, camera in enumerate((one for one in choices.found.cameras if one is not choices.camera), 2):
        yield _line(f"# [camera.number{number}]", f"found as well: {camera.card}")
        driver, key = ("picamera2", "id") if isinstance(camera, FoundSensor) else ("usb", "device")
        yield f'# driver = "{driver}"\n# {key} = {_text(camera.device)}'
    for number, port in enumerate((one for one in choices.found.ports if one.holder is None), 1):
        yield _line(f"# [sensor.port{number}]", "found as well; how lines are read: docs/drivers/serial-lines.md")
        yield f'# driver = "serial-lines"\n# port = {_text(port.port)}\n# baud = 9600'


def summary(found: Found) -> Iterator[str]:
    """Tell what was found, a line for each thing."""
    for camera in found.cameras:
        if isinstance(camera, FoundSensor):
            yield f"camera   {camera.device}: {camera.card}, by libcamera"
            continue
        size = camera.nearest()
        yield (f"camera   {camera.device}: {camera.card}, {'/'.join(camera.formats)}"
               f"{f', {size[0]}x{size[1]}' if size else ''}{_held(camera.holder)}")
    for chip in [found.header] if found.header else found.chips:      # a Pi 5 has half a dozen besides
        used = ", ".join(f"{line} by {who}" for line, who in chip.used.items() if line < 28) or "none"
        of_header = f", the header's; in use: {used}" if chip.header else ""
        yield f"GPIO     {chip.device}: {chip.label}, {chip.lines} lines{of_header}"
    for port in found.ports:
        yield f"serial   {port.port}{_held(port.holder)}"


def _held(holder: str | None) -> str:
    return "" if holder is None else f", in use by {holder}"
