"""What the configuration wants of a camera's controls, brightness and the like: found by name, in range, set in order."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Protocol

from reflexd_drivers.base import DriverError
from reflexd_drivers.cameras.v4l2 import Control

LISTED = 12      # names that a message lists


class Controlled(Protocol):
    """The part of a device that has controls."""

    def controls(self) -> list[Control]: ...
    def set_control(self, control: Control, value: int) -> None: ...


def set_controls(device: Controlled, where: str, wanted: Mapping[str, bool | int | str]) -> None:
    """Set each control, in the order of the configuration: what is automatic has to be switched off before it takes a value.

    Raises: DriverError that says what there is.
    """
    known = {control.name: control for control in device.controls()} if wanted else {}
    for name, value in wanted.items():
        if name not in known:
            raise DriverError(f"{where}: the camera has no control {name}; {what_is_meant(name, list(known))}")
        control = known[name]
        number = number_for(where, control, value)
        try:
            device.set_control(control, number)
        except OSError as error:
            raise DriverError(f"{where}: the camera refuses {name} = {value} ({error.strerror or error}); "
                              "set what rules it first, as an auto_… = … before it") from error


def what_is_meant(name: str, known: list[str]) -> str:
    """Name a control that is close, or those that there are."""
    by_words = {" ".join(sorted(one.split("_"))): one for one in known}      # kernels have turned exposure_auto round
    close = difflib.get_close_matches(" ".join(sorted(name.split("_"))), by_words, n=1, cutoff=0.6)
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f'did you mean "{by_words[close[0]]}"?' if close else f"it has {', '.join(known[:LISTED]) or 'none'}{more}"


def number_for(where: str, control: Control, value: bool | int | str) -> int:
    """Give the number that stands for a value. Raises: DriverError when there is none."""
    number = None if isinstance(value, str) else int(value)
    if isinstance(value, str):
        number = next((index for index, item in control.items.items() if item.lower() == value.lower()), None)
    there = control.items if control.kind == "menu" else range(control.least, control.greatest + 1)
    if number is None or number not in there:
        raise DriverError(f"{where}: {control.name} = {value} cannot be; write {choices(control)}")
    return number


def choices(control: Control) -> str:
    """Say what a control takes."""
    if control.kind == "boolean":
        return "true or false"
    if control.kind == "menu":
        return " or ".join(f'{index} ("{item}")' for index, item in control.items.items())
    return f"a whole number from {control.least} to {control.greatest} (it comes with {control.default})"
