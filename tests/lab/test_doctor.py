"""Doctor in the guest: on a healthy one nothing but what is true of it, and each planted fault with its remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab.service import DROP_INS, Service
from tests.lab.test_reflexes import BUTTON_AND_LAMP

# A guest has no time server; which watchdog it is given and where its journal is goes by its image; tests start the service.
TRUE = {"chip-found", "clock-not-synchronised"}
MAY_BE_TRUE = {"service-not-enabled", "journal-volatile", "hardware-watchdog-missing", "hardware-watchdog-off"}
STOPPED = {"service-stopped", "daemon-missing"}
STATUS = {"fault": 4, "warning": 3, "note": 0}
CHIP = "/dev/$(basename $(readlink -f /run/lab-chip))"
HEADER = "/sys/kernel/config/gpio-sim/header"
CAMERA = """
[camera.gate]
driver = "usb"
device = "/dev/video10"
frozen_after_s = 0
"""
METER = CAMERA + """
[model.meter]
bundle = "./meter"
camera = "gate"
regions = [[0.1, 0.1, 0.2, 0.2]]
"""
PYTHON = "env PYTHONPATH=/usr/lib/reflexd python3"       # where the package has its modules
COPY_AND_FLIP = PYTHON + """ - <<'P'
import shutil
from pathlib import Path
from reflexd_models.bundle import zoo
copy = Path(shutil.copytree(zoo() / "meter", "/etc/reflexd/meter"))
network, = copy.glob("*.tflite")
data = bytearray(network.read_bytes())
data[len(data) // 2] ^= 1
network.write_bytes(data)
P"""
RUNTIME = "/usr/lib/reflexd/ai_edge_litert"
HOLD = "systemd-run --quiet --collect --unit=lab-holder"
MOUNT = "mkdir -p /var/lib/reflexd; mount -t tmpfs -o"
LINE = 1 + BUTTON_AND_LAMP.splitlines().index('pin = "GPIO17"')
# open to everybody, so that only the sandbox refuses it
FUSE = "[ -e /dev/fuse ] || mknod /dev/fuse c 10 229; chmod 666 /dev/fuse"
BACK = "for i in $(seq 300); do sleep 1; systemctl is-active --quiet reflexd && break; done"
UNPLUG = "systemctl stop lab-holder 2>/dev/null; true"


@dataclass(frozen=True)
class Fault:
    """What is planted, how it goes away, and what has to be found: id → a part of what was found, a part of the remedy."""

    plant: str
    wanted: dict[str, tuple[str, str]]
    undo: str = "true"
    more: str = ""                   # of the configuration
    drop_in: tuple[str, ...] = ()
    runs: bool = False               # the service, with that drop-in
    seldom: bool = False             # tried by --long only


FAULTS = {
    "a GPIO chip that its group may not open": Fault(
        f"chmod 600 {CHIP}", {"device-closed": ("closed to reflexd", "udevadm trigger /dev/gpiochip")}, f"chmod 660 {CHIP}",
        runs=True),
    "a camera that another program has": Fault(
        f"lab-devices camera; {HOLD} sh -c 'exec sleep 600 < /dev/video10'; sleep 1",
        {"camera-busy": ("/dev/video10 is open in sleep (process", "kill ")}, UNPLUG, more=CAMERA),
    "a line that another program has": Fault(
        f"{HOLD} gpioset -c {CHIP} 17=1; sleep 2",
        {"line-in-use": ("GPIO17 is in use by gpioset", "gpioinfo")}, UNPLUG),
    "a camera that is not there": Fault(
        "true", {"camera-missing": ("/dev/video99 is not there", "v4l2-ctl --list-devices")},
        more=CAMERA.replace("video10", "video99"), seldom=True),
    "a journal in memory": Fault(
        "mkdir -p /run/systemd/journald.conf.d; printf '[Journal]\\nStorage=volatile\\n' > /run/systemd/journald.conf.d/lab.conf",
        {"journal-volatile": ("Storage=volatile in /run/systemd/journald.conf.d/lab.conf", "Storage=persistent")},
        "rm -r /run/systemd/journald.conf.d"),
    "a full disk": Fault(
        f"{MOUNT} size=1m tmpfs /var/lib/reflexd; head -c 2m /dev/zero > /var/lib/reflexd/full || true",
        {"state-full": ("/var/lib/reflexd has 0.0 MiB left", "df -h /var/lib/reflexd")}, "umount /var/lib/reflexd"),
    "a read-only disk": Fault(
        f"{MOUNT} ro tmpfs /var/lib/reflexd",
        {"state-read-only": ("/var/lib/reflexd", "mount -o remount,rw /var/lib/reflexd")}, "umount /var/lib/reflexd",
        seldom=True),
    "a flipped bit in a network": Fault(
        f"lab-devices camera; {COPY_AND_FLIP}", {"bundle-altered": ("/etc/reflexd/meter/", "/etc/reflexd/meter again")},
        more=METER),
    "a wrong configuration": Fault(
        "sed -i s/GPIO17/GPIO99/ /etc/reflexd/reflexd.toml", {"configuration": (f"reflexd.toml:{LINE}:", 'write "GPIO17"')}),
    "a service that failed": Fault(
        "sed -i s/GPIO17/GPIO99/ /etc/reflexd/reflexd.toml; systemctl start reflexd || true",
        {"service-failed": ("exit-code with status 78", "reflexctl check"),
         "configuration": (f"reflexd.toml:{LINE}:", 'write "GPIO17"')},
        "systemctl reset-failed reflexd", seldom=True),
    "a service that died": Fault(
        f"systemctl kill --kill-whom=main --signal=KILL reflexd; sleep 3; {BACK}",
        {"service-restarted": ("at boot: 1", "journalctl -u reflexd -x")}, runs=True),
    "network sockets for the service": Fault(
        "true", {"sandbox-network": ("socket(AF_INET): it was done", "RestrictAddressFamilies="),
                 "sandbox-weakened": (f"in {DROP_INS}/lab.conf", f"RestrictAddressFamilies= out of {DROP_INS}/lab.conf")},
        drop_in=("RestrictAddressFamilies=AF_INET",), runs=True),
    "/etc for the service": Fault(
        "true", {"sandbox-files": ("a nameless file in /etc", "ReadWritePaths="),
                 "sandbox-weakened": ("ReadWritePaths=/etc in", f"ReadWritePaths= out of {DROP_INS}/lab.conf")},
        drop_in=("ReadWritePaths=/etc",), runs=True),
    "every device for the service": Fault(
        "true", {"sandbox-devices": ("open(/dev/fuse)", "DevicePolicy="),
                 "sandbox-weakened": ("DevicePolicy=auto", "DevicePolicy= out")},
        drop_in=("DeviceAllow=", "DevicePolicy=auto"), runs=True, seldom=True),
    "a user without the group": Fault(
        "gpasswd -d reflexd gpio", {"user-not-in-group": ("of group gpio, closed to reflexd", "usermod -aG gpio reflexd")},
        "usermod -aG gpio reflexd", drop_in=("SupplementaryGroups=",)),
    "a chip with another label": Fault(
        f"cd {HEADER}; echo 0 > live; echo other > bank/label; echo 1 > live; udevadm settle",
        {"chip-missing": ("other", 'write chip = "LABEL" below [gpio]')}),
    "no runtime": Fault(
        f"mv {RUNTIME} {RUNTIME}.gone",
        {"runtime-missing": ("ai_edge_litert", "ai-edge-litert")},
        f"mv {RUNTIME}.gone {RUNTIME}", seldom=True),
    "a drop-in that systemd has not read": Fault(
        f"sleep 1; mkdir -p {DROP_INS}; printf '[Service]\\nNice=1\\n' > {DROP_INS}/unread.conf",
        {"unit-changed": ("old one", "systemctl daemon-reload")}, runs=True, seldom=True),
}
NO_CHIP = ("a chip with another label", "a wrong configuration", "a service that failed")


def doctor(service: Service, options: str = "") -> dict[str, dict[str, str]]:
    """Ask it, hold its exit status to what it found, and give the findings by id; those of one id together."""
    said = service.run(f"reflexctl doctor --json {options}", 60)
    assert "Traceback" not in said.err, said.err
    found = json.loads(said.out)["findings"]
    print(*(f"{one['severity']} {one['id']}: {one['found']}; {one['remedy']}" for one in found), sep="\n")
    assert said.status == max(STATUS[one["severity"]] for one in found), said
    by_id: dict[str, dict[str, str]] = {}
    for one in found:
        before = by_id.get(one["id"], {"found": "", "remedy": ""})
        by_id[one["id"]] = {key: f"{before[key]} {one[key]}" for key in before}
    return by_id


@contextmanager
def planted(service: Service, fault: Fault) -> Iterator[None]:
    """Plant a fault, and take it away in the end, whatever happens."""
    service.devices("pull")
    if fault.drop_in:
        service.drop_in("lab", *fault.drop_in)
    if fault.runs:
        service.must(FUSE)
        service.start(BUTTON_AND_LAMP + fault.more)
    else:
        service.put("/etc/reflexd/reflexd.toml", BUTTON_AND_LAMP + fault.more)
    try:
        service.must(fault.plant, 60)
        yield
    finally:
        service.run(fault.undo)


def test_on_a_healthy_guest_there_is_nothing_but_what_is_true_of_it(service: Service) -> None:
    service.devices("pull")
    service.must(FUSE)
    service.start(BUTTON_AND_LAMP)
    assert set(doctor(service)) - MAY_BE_TRUE == TRUE
    tried = service.script("import json; from reflexd.protocol import ask; from pathlib import Path; "
                           "print(json.dumps(ask(Path('/run/reflexd/control.sock'), 'sandbox')))", python=PYTHON)[0]
    print(tried)
    assert tried["service"] is True
    assert all(one["held"] for one in tried["attempts"]), tried
    assert {one["why"] for one in tried["attempts"] if one["kind"] == "network"} == {"EAFNOSUPPORT"}
    assert any(one["why"] == "EPERM" for one in tried["attempts"]), "a device that only the sandbox refuses"
    assert_nobody_is_told_what_could_not_be_seen(service)


def assert_nobody_is_told_what_could_not_be_seen(service: Service) -> None:
    said = service.run("cd /; runuser -u nobody -- reflexctl doctor --json", 60)
    assert "Traceback" not in said.err, said.err
    found = {one["id"] for one in json.loads(said.out)["findings"]}
    assert {"not-root", "daemon-closed"} <= found
    assert "check-failed" not in found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try twelve faults, and all of them with --long."""
    if "name" in metafunc.fixturenames:
        every = metafunc.config.getoption("--long")
        metafunc.parametrize("name", [name for name, fault in FAULTS.items() if every or not fault.seldom])


def test_a_planted_fault_is_found_with_its_remedy_and_no_other(service: Service, name: str) -> None:
    fault = FAULTS[name]
    with planted(service, fault):
        found = doctor(service)
        if "camera-busy" in fault.wanted and "camera-busy" in found:
            assert_the_remedy_for_a_busy_camera_works(service, found["camera-busy"]["remedy"])
    for id_, (what, remedy) in fault.wanted.items():
        assert id_ in found, found
        assert what in found[id_]["found"], found[id_]
        assert remedy in found[id_]["remedy"], found[id_]
    stopped = set() if fault.runs else STOPPED - ({"service-stopped"} if "service-failed" in fault.wanted else set())
    true = TRUE - ({"chip-found"} if name in NO_CHIP else set()) | ({"configuration-doubtful"} if fault.more else set())
    assert set(found) - (MAY_BE_TRUE - set(fault.wanted)) == true | stopped | set(fault.wanted)


def assert_the_remedy_for_a_busy_camera_works(service: Service, remedy: str) -> None:
    service.must(remedy.strip().removeprefix("stop it: sudo "))
    service.run("sleep 1")
    assert "camera-busy" not in doctor(service)


def test_the_support_bundle_has_the_log_and_the_unit_with_its_drop_ins(service: Service) -> None:
    service.devices("pull")
    service.drop_in("lab", "Environment=BROKER_PASSWORD=hunter22")
    service.start(BUTTON_AND_LAMP)
    service.run("rm -f /run/support.tar.gz; reflexctl doctor --bundle /run/support.tar.gz", 60)
    assert service.must("stat -c %a /run/support.tar.gz").strip() == "600"
    assert "begins with /etc/reflexd/reflexd.toml" in service.must("tar -xzOf /run/support.tar.gz reflexd-support/journal.txt")
    unit = service.must("tar -xzOf /run/support.tar.gz reflexd-support/unit.txt")
    assert "lab.conf" in unit
    assert "hunter22" not in service.must("tar -xzOf /run/support.tar.gz")
