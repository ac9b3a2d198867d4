"""Every finding that doctor can make: its id, how bad it is, what it means and what to do.

Ids are stable: programs and pages refer to them. docs/doctor.md has this table, and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, TypeAlias, cast

Severity: TypeAlias = Literal["fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")
EXIT_STATUS: dict[Severity, int] = {"fault": 4, "warning": 3, "note": 0}     # 1 and 2 mean what they do for every verb


class About(NamedTuple):
    """What an id says. A name in braces in the remedy is put in where it is found."""

    severity: Severity
    means: str
    remedy: str


WRITTEN = """
fault python-unsupported: this Python is none of 3.11, 3.12 and 3.13
    sudo apt-get install python3.13, and install reflexd with it
fault library-missing: a library that reflexd needs cannot be imported
    sudo apt-get install --reinstall reflexd; where pip installed it, pip install {package}
fault runtime-missing: no TFLite runtime can be imported, so no network runs
    sudo apt-get install --reinstall reflexd; where pip installed it, pip install ai-edge-litert
note runtime-fallback: tflite-runtime is taken, since LiteRT is not there
    sudo apt-get install --reinstall reflexd; where pip installed it, pip install ai-edge-litert
fault under-voltage: the power supply is too weak right now
    use the supply made for this board, and a short cable
warning under-voltage-before: the power supply was too weak since the boot
    use the supply made for this board, and a short cable
warning throttled: the processor is slowed down right now, by heat or want of power
    add a heat sink or a fan
note throttled-before: the processor was slowed down since the boot, by heat or want of power
    add a heat sink or a fan, if networks miss their deadlines
warning clock-not-synchronised: nobody keeps the clock right: times in the log may be wrong, and rules by the time of day wait
    sudo timedatectl set-ntp true; without a network, a clock with a battery and trust_clock = true below [daemon]
warning journal-volatile: the journal is kept in memory: why it failed is forgotten at a power cut
    write Storage=persistent below [Journal] in /etc/systemd/journald.conf.d/90-reflexd.conf; systemctl restart systemd-journald
note hardware-watchdog-missing: there is no hardware watchdog: a kernel that hangs stays hung
    dtparam=watchdog=on in /boot/firmware/config.txt, where the board has one
note hardware-watchdog-off: nobody feeds the hardware watchdog: a kernel that hangs stays hung
    write RuntimeWatchdogSec=15s below [Manager] in /etc/systemd/system.conf.d/90-reflexd.conf; sudo systemctl daemon-reexec
note hardware-watchdog-long: RuntimeWatchdogSec= is above 15 s, which some Raspberry Pi kernels refuse
    write RuntimeWatchdogSec=15s in {file}; sudo systemctl daemon-reexec
fault state-full: nothing more can be kept: the disk is full
    make room: sudo journalctl --vacuum-size=100M, df -h {path}
warning state-low: the disk is almost full
    make room: sudo journalctl --vacuum-size=100M, df -h {path}
fault state-read-only: nothing can be kept: the file system is read-only, perhaps since it failed
    look at sudo dmesg; check the card, then sudo mount -o remount,rw {path}
warning card-worn: the flash memory is near the end of its life, by its own estimate
    copy it to a new one while it can be read: sudo dd if=/dev/{device} of=FILE bs=4M
warning dma-heap-missing: the camera stack of a Raspberry Pi finds no memory for its buffers
    boot the kernel of Raspberry Pi OS, and take cma= out of /boot/firmware/cmdline.txt
fault configuration: the configuration is wrong, and reflexd will not start with it
    {remedy}
warning configuration-doubtful: the configuration can be used, but something in it is doubtful
    {remedy}
fault bundle-altered: a network's file is not what its model.toml says
    install the bundle {path} again
fault bundle-unreadable: a network's file cannot be read
    install the bundle again, readable for the user {user}
fault lgpio-missing: the library behind the pins cannot be imported
    sudo apt-get install python3-lgpio
fault chip-missing: no GPIO chip has the label that is wanted
    write chip = "LABEL" below [gpio] in {file}; gpiodetect lists the labels
note chip-found: which GPIO chip is meant by GPIO17, through which library
    nothing to do
warning pins-mock: pins are simulated: nothing is driven
    take factory = "mock" out of [gpio] in {file}
fault line-in-use: another program has a line of the chip
    stop that program, or choose another pin in {file}; gpioinfo tells who has which
warning strict-gpiod: strict_gpiod is on: once reflexd is dead a line floats as an input, and reflexd-safe cannot hold it
    take dtparam=strict_gpiod out of /boot/firmware/config.txt, unless the pull resistors alone are safe
note lines-keep-level: strict_gpiod is off: a line keeps its level when its program dies, until reflexd-safe sets it safe
    nothing to do
fault user-missing: the user of the service does not exist
    sudo systemd-sysusers
fault user-not-in-group: the daemon's user may not open a device, since it is not in the device's group
    sudo usermod -aG {group} {user}; take an empty SupplementaryGroups= out of the drop-ins; sudo systemctl restart reflexd
fault device-closed: the permissions of a device let nobody but its owner open it
    sudo udevadm control --reload; sudo udevadm trigger {device}; the rule is in /usr/lib/udev/rules.d/60-reflexd.rules
fault camera-missing: there is no such camera
    plug it in, or write another device in {file}; v4l2-ctl --list-devices
fault camera-busy: another program has the camera
    stop it: sudo kill {pid}
fault port-missing: there is no such serial port
    plug it in, or write another port in {file}; ls /dev/serial/by-id
fault port-busy: another program has the serial port
    stop it: sudo kill {pid}
note no-systemd: systemd does not answer, so nothing is known of the service
    systemctl show reflexd tells why
note service-missing: the service is not installed
    sudo reflexctl install-service
fault service-failed: the service failed and is not started again
    journalctl -u reflexd -n 50 -x; after status 78, reflexctl check; then sudo systemctl restart reflexd
warning service-stopped: the service does not run
    sudo systemctl enable --now reflexd
note service-not-enabled: the service does not start at boot
    sudo systemctl enable reflexd
warning service-restarted: the service ended badly and was started anew
    journalctl -u reflexd -x
warning unit-changed: the unit or a drop-in changed, and systemd has not read it
    sudo systemctl daemon-reload; sudo systemctl restart reflexd
warning last-end: the last run ended badly
    journalctl -u reflexd -x
note daemon-missing: no daemon listens at the control socket
    reflexd --config {file}, or see --socket
fault daemon-silent: the service runs but does not answer at the control socket
    journalctl -u reflexd -n 50 -x
note daemon-closed: this user may not ask the daemon
    sudo reflexctl doctor
warning daemon-degraded: a source is in trouble; the outputs that depend on it are safe
    reflexctl log --source {name} -x
warning daemon-safe: every output is held at its safe level
    reflexctl status tells more
note disarmed: no output is driven, since somebody disarmed the daemon
    reflexctl arm
note dry-run: dry run: no output is driven
    take dry_run out of [daemon] in {file}, then sudo systemctl restart reflexd
warning sandbox-weakened: a drop-in takes away what the unit forbids
    take {key}= out of {file}; sudo systemctl daemon-reload; sudo systemctl restart reflexd
fault sandbox-network: the daemon can open a network socket
    take RestrictAddressFamilies= and PrivateNetwork= out of the drop-ins (systemctl cat reflexd); systemctl restart reflexd
fault sandbox-files: the daemon can write where it has no business
    take ReadWritePaths= and ProtectSystem= out of the drop-ins (systemctl cat reflexd); systemctl restart reflexd
fault sandbox-devices: the daemon can open a foreign device
    take DevicePolicy= and DeviceAllow= out of the drop-ins (systemctl cat reflexd); systemctl restart reflexd
fault sandbox-state: the daemon cannot write into a folder of its own
    sudo chown -R {user}: {path}; df -h {path}
note sandbox-none: the daemon runs outside of the service, without a sandbox
    sudo systemctl enable --now reflexd
note sandbox-unknown: the daemon did not try its sandbox for this user
    sudo reflexctl doctor
note not-root: this user cannot see who has a device open, nor all of the configuration
    sudo reflexctl doctor
warning check-failed: a check could not be carried out
    report it with reflexctl doctor --bundle reflexd.tar.gz
"""
ENTRY = re.compile(r"(fault|warning|note) ([a-z-]+): (.+)\n    (.+)\n")
TABLE = {id_: About(cast("Severity", severity), means, remedy) for severity, id_, means, remedy in ENTRY.findall(WRITTEN)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, how bad it is, and what to do."""

    id: str
    severity: Severity
    found: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """Give what programs read."""
        return asdict(self)


def finding(id_: str, found: str, **names: object) -> Finding:
    """Make a finding of the table; `names` are put into its remedy."""
    about = TABLE[id_]
    return Finding(id_, about.severity, " ".join(found.split()), about.remedy.format(**names))


def exit_status(findings: Sequence[Finding]) -> int:
    """Tell the worst: 4 a fault, 3 a warning, 0 neither."""
    return max((EXIT_STATUS[one.severity] for one in findings), default=0)


def placeholders(text: str) -> str:
    """Write {device} as DEVICE, for a page."""
    return re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), text)


def markdown() -> str:
    """Write the table for docs/doctor.md."""
    rows = [f"| `{id_}` | {one.severity} | {one.means} | {placeholders(one.remedy)} |" for id_, one in TABLE.items()]
    return "\n".join(["| id | severity | what it means | remedy |", "|---|---|---|---|", *rows])
