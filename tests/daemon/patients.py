"""A healthy Raspberry Pi as a tree of files, with a control socket that answers, for tests that plant a fault in it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reflexd.access import Access
from reflexd.control import Server, Verb
from reflexd.doctor.context import Context, Outside
from reflexd.doctor.examine import examine
from reflexd.doctor.table import Finding
from reflexd_drivers.gpio import Chip

CONFIG = """
schema = 1

[daemon]
state_dir = "/var/lib/reflexd"

[camera.gate]
driver = "usb"
device = "/dev/video0"

[model.meter]
bundle = "./meter"
camera = "gate"
regions = [[0.1, 0.1, 0.2, 0.2]]

[sensor.button]
driver = "gpio-input"
pin = "GPIO4"
pull = "up"

[sensor.scale]
driver = "serial-lines"
port = "/dev/ttyUSB0"

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"
max_on_s = 300

[[rule]]
name = "lamp on a button"
when = [{ sensor = "button", is = true }, { model = "meter", above = 3 }, { sensor = "scale", above = 1 }]
then = [{ actuator = "lamp", set = "on", follow = true }]
"""
FILES = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nreflexd:x:990:990::/var/lib/reflexd:/usr/sbin/nologin\n",
    "etc/group": f"root:x:4711:\ndevices:x:{os.getgid()}:\nreflexd:x:990:\n",
    "sys/class/watchdog/watchdog0/state": "active\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "sys/block/mmcblk0/device/life_time": "0x01 0x02\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
    "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs": "Y\n",
    "usr/lib/systemd/journald.conf": "[Journal]\n#Storage=auto\n",
    **{f"dev/{name}": "" for name in ("video0", "ttyUSB0", "gpiochip0", "watchdog0", "dma_heap/linux,cma")},
}
UNIT = {
    "LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "Result": "success", "ExecMainStatus": "0",
    "NRestarts": "0", "NeedDaemonReload": "no", "MainPID": "500", "User": "reflexd", "Group": "reflexd",
    "SupplementaryGroups": "devices", "PrivateNetwork": "yes", "RestrictAddressFamilies": "AF_UNIX", "DevicePolicy": "closed",
    "ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ReadWritePaths": "",
    "DropInPaths": "", "FragmentPath": "/usr/lib/systemd/system/reflexd.service",
}
STATUS: dict[str, Any] = {
    "pid": 500, "state": "RUN", "dry_run": "", "inhibited": {},
    "cameras": {"gate": {"state": "run", "why": ""}},
    "models": {"meter": {"state": "run", "why": ""}},
    "sensors": {"button": {"state": "run", "why": ""}, "scale": {"state": "run", "why": ""}},
    "outputs": {"lamp": {"level": "off"}},
}
HELD = [("network", "socket(AF_INET)", "EAFNOSUPPORT"), ("files", "a nameless file in /etc", "EROFS"),
        ("devices", "open(/dev/fuse)", "EPERM"), ("state", "/var/lib/reflexd", "")]
NOTES = {"chip-found", "lines-keep-level"}      # what is true of a healthy one


@dataclass
class Patient:
    """What doctor looks at; a test changes it, then asks."""

    root: Path
    sockets: Path
    config: str = CONFIG
    unit: dict[str, str] = field(default_factory=lambda: dict(UNIT))
    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    attempts: list[dict[str, Any]] = field(
        default_factory=lambda: [{"kind": kind, "what": what, "held": True, "why": why} for kind, what, why in HELD])
    service: bool = True
    listens: bool = True
    missing: set[str] = field(default_factory=set)
    free: int = 1 << 30
    flags: int = 0
    chips: list[Chip] = field(default_factory=lambda: [Chip(0, "pinctrl-bcm2711")])
    lines: dict[int, str] = field(default_factory=dict)
    python: tuple[int, int] = (3, 13)
    superuser: bool = True
    clock: bool = True

    def put(self, name: str, text: str = "", mode: int = 0o660) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def hold(self, device: str, pid: int, name: str) -> None:
        """Let a process have a device open."""
        self.put(f"proc/{pid}/comm", f"{name}\n")
        link = self.root / "proc" / str(pid) / "fd" / "7"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root / device.lstrip("/"))

    def change(self, old: str, new: str) -> None:
        assert old in self.config
        self.config = self.config.replace(old, new)

    def drop_in(self, key: str, value: str) -> None:
        """Let a drop-in change a property of the unit."""
        path = "/etc/systemd/system/reflexd.service.d/override.conf"
        self.put(path, f"[Service]\n{key}={value}\n")
        self.unit |= {key: value, "DropInPaths": path}

    def fail(self, kind: str, name: str, why: str) -> None:
        self.status = {**self.status, f"{kind}s": {**self.status[f"{kind}s"], name: {"state": "reopening", "why": why}}}

    def space(self, path: Path) -> os.statvfs_result:
        told = list(os.statvfs(path))
        told[1], told[4], told[8] = 4096, self.free // 4096, self.flags      # f_frsize, f_bavail, f_flag
        return os.statvfs_result(told)

    def load(self, module: str) -> object:
        if module.partition(".")[0] in self.missing:
            raise ModuleNotFoundError(f"No module named {module!r}")
        return object()

    @property
    def context(self) -> Context:
        config = self.put("etc/reflexd/reflexd.toml", self.config)
        outside = Outside(
            python=self.python, superuser=self.superuser, clock_is_set=lambda: self.clock, space=self.space, module=self.load,
            unit=lambda: self.unit, chips=lambda _folder: self.chips, line_user=lambda _chip, line: self.lines.get(line))
        return Context(config, self.sockets / "control.sock", self.root, outside)

    def examine(self) -> list[Finding]:
        """Ask doctor, while the daemon answers."""
        if not self.listens:
            return examine(self.context)
        server = Server(self.sockets / "control.sock")
        server.serve({"status": Verb(Access.READ, lambda _request: self.status),
                      "sandbox": Verb(Access.ADMIN, lambda _request: {"service": self.service, "attempts": self.attempts})})
        try:
            return examine(self.context)
        finally:
            server.close()

    def stop(self) -> None:
        """The daemon does not run."""
        self.listens = False
        self.unit |= {"ActiveState": "inactive", "MainPID": "0"}

    def attempt(self, kind: str, **said: object) -> None:
        """What the sandbox did with one attempt."""
        self.attempts = [{**one, **said} if one["kind"] == kind else one for one in self.attempts]


def healthy(root: Path, sockets: Path) -> Patient:
    """Make one."""
    patient = Patient(root, sockets)
    for name, text in FILES.items():
        patient.put(name, text)
    for folder in ("var/log/journal", "var/lib/reflexd"):
        (root / folder).mkdir(parents=True)
    return patient


