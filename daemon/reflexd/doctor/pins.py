"""The lines that the configuration names: their chip, their library, who else has them, what becomes of them after a death."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reflexd.doctor.context import Context
from reflexd.doctor.devices import KINDS
from reflexd.doctor.table import Finding, finding

PERSISTENT = ("/sys/module/pinctrl_bcm2835/parameters", "/sys/module/pinctrl_rp1/parameters")
WITHOUT_HARDWARE = "mock"


class Pin(NamedTuple):
    """A line that a part of the configuration takes."""

    kind: str
    name: str
    pin: str
    factory: str
    chip: str | None


def pins(context: Context, mock: bool = False) -> list[Pin]:
    """List the lines of the configuration, on hardware or not."""
    if context.settings is None:
        return []
    from reflexd_drivers.gpio import HeaderKeys, pins_of

    parts = [(kind, name, part) for kind in KINDS for name, part in getattr(context.settings, kind, {}).items()]
    found = [Pin(kind, name, pin, part.factory, part.chip)
             for kind, name, part in parts if isinstance(part, HeaderKeys) for pin in pins_of(part)]
    return [one for one in found if (one.factory == WITHOUT_HARDWARE) is mock]


def header(context: Context) -> Iterator[Finding]:
    """Which chip drives the pins, through which library, and who has its lines?"""
    if pins(context, mock=True):
        yield finding("pins-mock", 'factory = "mock" in [gpio]', file=context.config)
    wanted = pins(context)
    if not wanted:
        return
    try:
        context.outside.module("lgpio")
    except Exception as error:    # a library for another Python fails in ways of its own
        yield finding("lgpio-missing", f"lgpio: {error}")
    from reflexd_drivers.base import DriverError
    from reflexd_drivers.gpio import find_chip

    seen = context.outside.chips(context.path("/dev"))
    if not seen and not context.outside.superuser and any(context.path("/dev").glob("gpiochip*")):
        return      # closed to this user; whether it is to the daemon's is a matter of permissions()
    for label in dict.fromkeys(pin.chip for pin in wanted):
        try:
            chip = find_chip(seen, label)
        except DriverError as error:
            yield finding("chip-missing", str(error), file=context.config)
            continue
        yield finding("chip-found", f"gpiochip{chip.number}, labelled {chip.label}, through lgpio")
        yield from _lines(context, context.path(f"/dev/gpiochip{chip.number}"), [pin for pin in wanted if pin.chip == label])


def _lines(context: Context, chip: Path, wanted: list[Pin]) -> Iterator[Finding]:
    """Name lines that somebody else has. Without its answer, a daemon that runs is taken to have its own."""
    for one in wanted:
        ours = context.works(one.kind, one.name) if context.status else bool(context.pid)
        user = None if ours else context.outside.line_user(chip, int(one.pin.removeprefix("GPIO")))
        if user is not None:
            yield finding("line-in-use", f"{one.kind} {one.name}: {one.pin} is in use by {user or 'a program without a name'}",
                          file=context.config)


def strict_gpiod(context: Context) -> Iterator[Finding]:
    """Does a line keep its level when its program dies?

    Assumption, cannot be tried without the board: kernels of Raspberry Pi have the parameter persist_gpio_outputs, the first of
    them strict_gpiod. Source: github.com/raspberrypi/linux pull requests 6117 and 6150.
    """
    for folder in PERSISTENT:
        keeps, strict = context.read(f"{folder}/persist_gpio_outputs"), context.read(f"{folder}/strict_gpiod")
        if keeps is None and strict is None:
            continue
        if keeps == "N" or strict == "Y":
            yield finding("strict-gpiod", f"{folder} says so")
        else:
            yield finding("lines-keep-level", f"{folder} says so")
