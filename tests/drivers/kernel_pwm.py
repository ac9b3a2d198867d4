"""The kernel's files for pulses, with its rules: a channel shows when it is exported, and a pulse fits into its period."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from reflexd_drivers.pwm_files import PwmFiles


class KernelPwm(PwmFiles):
    """A chip with some channels below a root."""

    def __init__(self, root: Path, device: str = "fe20c000.pwm", channels: int = 2, pins: tuple[int, ...] = ()) -> None:
        super().__init__(root)
        self._channels = channels
        self.log: list[str] = []
        self.refuses = 0            # how often a new channel is not for us yet, until udev has been there
        chip = root / "sys/class/pwm/pwmchip3"
        device_folder = root / "sys/devices/platform" / device
        for folder in (chip, device_folder / "of_node"):
            folder.mkdir(parents=True)
        (chip / "device").symlink_to(device_folder)
        (chip / "export").write_text("")
        if pins:
            (device_folder / "of_node/pinctrl-0").write_bytes(struct.pack(">I", 77))
            self._lead("soc/gpio@7e200000/pwm_pins", 77, pins)
            self._lead("soc/gpio@7e200000/i2c1", 78, (2, 3))

    def _lead(self, node: str, phandle: int, pins: tuple[int, ...]) -> None:
        folder = self.root / "sys/firmware/devicetree/base" / node
        folder.mkdir(parents=True)
        (folder / "phandle").write_bytes(struct.pack(">I", phandle))
        (folder / "brcm,pins").write_bytes(struct.pack(f">{len(pins)}I", *pins))

    def write(self, path: str, text: str) -> None:
        """Write as the kernel takes it."""
        folder, _, name = path.rpartition("/")
        self.log.append(f"{name} {text}")
        if name == "export":
            self._export(folder, int(text))
            return
        if not self.exists(path):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if name == "polarity":
            if int(self.read(f"{folder}/enable")):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            (self.root / path).write_text(text)
            return
        period, duty = (int(self.read(f"{folder}/{one}")) for one in ("period", "duty_cycle"))
        wrong = {"period": int(text) < duty, "duty_cycle": int(text) > period, "enable": period == 0}
        if wrong[name]:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        super().write(path, text)
        (self.root / path).write_text(text)

    def _export(self, chip: str, channel: int) -> None:
        if channel >= self._channels:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        folder = self.root / chip / f"pwm{channel}"
        if folder.exists():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        folder.mkdir()
        for name in ("period", "duty_cycle", "enable"):
            (folder / name).write_text("0")
        (folder / "polarity").write_text("normal\n")

    def hold(self, path: str) -> int:
        """Open a file for one process, once it is for us."""
        if self.refuses > 0:
            self.refuses -= 1
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return super().hold(path)

    def share(self, channel: int) -> float:
        """Say for which share of each period the channel is high."""
        folder = f"sys/class/pwm/pwmchip3/pwm{channel}"
        period, duty, enabled = (int(self.read(f"{folder}/{name}")) for name in ("period", "duty_cycle", "enable"))
        inversed = self.read(f"{folder}/polarity").strip() == "inversed"
        share = duty / period if enabled else 0.0
        return 1 - share if inversed else share
