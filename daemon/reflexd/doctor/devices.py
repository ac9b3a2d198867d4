"""Cameras and serial ports that the configuration names: are they there, and free?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from reflexd.doctor.context import Context
from reflexd.doctor.table import Finding, finding
from reflexd_drivers.holders import holders

KINDS = ("camera", "sensor", "actuator")


class Device(NamedTuple):
    """A device node that a part of the configuration names."""

    kind: str
    name: str
    path: str

    @property
    def what(self) -> str:
        """Say what it is, as ids do."""
        return "camera" if self.kind == "camera" else "port"


def named(context: Context) -> Iterator[Device]:
    """List the device nodes of the configuration; drivers name theirs `device` or `port`."""
    for kind in KINDS:
        for name, part in getattr(context.settings, kind, {}).items():
            path = getattr(part, "device", getattr(part, "port", None))
            if isinstance(path, str) and path.startswith("/dev/"):
                yield Device(kind, name, path)


def nodes(context: Context) -> Iterator[Finding]:
    """Is each device there, and free?"""
    for device in named(context):
        where = f"{device.kind} {device.name}: {device.path}"
        if not context.path(device.path).exists():
            kind = "dev/video*" if device.what == "camera" else "dev/tty[UA]*"
            found = ", ".join(f"/{one.relative_to(context.root)}" for one in sorted(context.root.glob(kind))) or "none"
            yield finding(f"{device.what}-missing", f"{where} is not there, found {found}", file=context.config)
        elif not context.works(device.kind, device.name):
            for holder in holders(str(context.path(device.path)), context.path("/proc")):
                if holder.pid not in (context.pid, os.getpid()):
                    yield finding(f"{device.what}-busy", f"{where} is open in {holder}", pid=holder.pid)


def dma_heap(context: Context) -> Iterator[Finding]:
    """Does the camera stack of a Raspberry Pi find memory?"""
    if context.is_pi and getattr(context.settings, "camera", None) and not any(context.path("/dev/dma_heap").glob("*")):
        yield finding("dma-heap-missing", "there is nothing in /dev/dma_heap")
