"""Doctor finds each planted fault with the right remedy, and nothing else; on a healthy system it finds nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reflexd.doctor import host
from reflexd.doctor.context import Context, Outside, clock_is_set
from reflexd.doctor.examine import examine
from reflexd.doctor.table import TABLE, WRITTEN, exit_status, finding, markdown
from reflexd.protocol import ControlError
from reflexd_drivers.gpio import Chip
from reflexd_models.bundle import zoo
from tests.conftest import ROOT
from tests.daemon.patients import NOTES, Patient, healthy


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    shutil.copytree(zoo() / "meter", tmp_path / "root" / "etc" / "reflexd" / "meter")
    return healthy(tmp_path / "root", tmp_path)


def test_on_a_healthy_system_there_are_only_notes_of_what_is_true(patient: Patient) -> None:
    found = patient.examine()
    assert {one.id for one in found} == NOTES, found
    assert exit_status(found) == 0


def flip(patient: Patient) -> None:
    path = next((patient.root / "etc/reflexd/meter").glob("*.tflite"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def throttle(bits: int) -> Callable[[Patient], None]:
    return lambda patient: void(patient.put("sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits:x}\n"))


RECORDER = '[actuator.record]\ndriver = "recorder"\npath = "record.jsonl"\nsafe = "off"\n\n'


def void(_value: object) -> None:
    return None


def own(patient: Patient, **changes: object) -> None:
    for name, value in changes.items():
        setattr(patient, name, value)


def held_by(kind: str, name: str, device: str) -> Callable[[Patient], None]:
    def plant(patient: Patient) -> None:
        patient.stop()
        patient.hold(device, 4711, "motion")
    return plant


def record(patient: Patient) -> None:
    patient.put("var/lib/reflexd/last-exit.json", json.dumps({"result": "watchdog", "ran_s": 7200, "safe_in_ms": 12}))


# what is planted → the ids that are found besides those of a healthy system, with a part of what was found and of the remedy
FAULTS: dict[str, tuple[Callable[[Patient], object], dict[str, tuple[str, str]]]] = {
    "old Python": (lambda p: own(p, python=(3, 9)), {"python-unsupported": ("Python 3.9", "python3.13")}),
    "new Python": (lambda p: own(p, python=(3, 14)), {"python-unsupported": ("Python 3.14", "python3.13")}),
    "no OpenCV": (lambda p: own(p, missing={"cv2"}), {"library-missing": ("cv2", "pip install opencv-python-headless")}),
    "no runtime": (lambda p: own(p, missing={"ai_edge_litert", "tflite_runtime"}),
                   {"runtime-missing": ("ai_edge_litert", "pip install ai-edge-litert")}),
    "the other runtime": (lambda p: own(p, missing={"ai_edge_litert"}),
        {"runtime-fallback": ("tflite_runtime", "ai-edge-litert")}),
    "weak supply": (lambda p: p.put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n"), {"under-voltage": ("0x1", "supply")}),
    "weak before": (throttle(0x1_0000), {"under-voltage-before": ("0x10000", "supply")}),
    "hot": (throttle(0x8_0008), {"throttled": ("0x80008", "heat sink"), "throttled-before": ("0x80008", "fan")}),
    "no time": (lambda p: own(p, clock=False), {"clock-not-synchronised": ("clock", "timedatectl set-ntp true")}),
    "volatile journal": (lambda p: p.put("etc/systemd/journald.conf.d/40-pi.conf", "[Journal]\nStorage=volatile\n"),
                         {"journal-volatile": ("/etc/systemd/journald.conf.d/40-pi.conf", "Storage=persistent")}),
    "no folder of the journal": (lambda p: (p.root / "var/log/journal").rmdir(),
        {"journal-volatile": ("/var/log/journal", "Storage")}),
    "no watchdog": (lambda p: (p.root / "dev/watchdog0").unlink(),
        {"hardware-watchdog-missing": ("watchdog0", "dtparam=watchdog=on")}),
    "watchdog unused": (lambda p: p.put("sys/class/watchdog/watchdog0/state", "inactive\n"),
                        {"hardware-watchdog-off": ("off", "RuntimeWatchdogSec=15s")}),
    "long watchdog": (lambda p: p.put("etc/systemd/system.conf", "[Manager]\nRuntimeWatchdogSec=1min 30s\n"),
                      {"hardware-watchdog-long": ("1min 30s", "/etc/systemd/system.conf")}),
    "full disk": (lambda p: own(p, free=0), {"state-full": ("0.0 MiB", "df -h /var/lib/reflexd")}),
    "little room": (lambda p: own(p, free=30 << 20), {"state-low": ("30.0 MiB", "df -h /var/lib/reflexd")}),
    "read-only": (lambda p: own(p, flags=os.ST_RDONLY), {"state-read-only": ("/var/lib/reflexd", "mount -o remount,rw")}),
    "worn card": (lambda p: p.put("sys/block/mmcblk0/device/life_time", "0x0a 0x02\n"), {"card-worn": ("100 %", "/dev/mmcblk0")}),
    "spare blocks used": (lambda p: p.put("sys/block/mmcblk0/device/pre_eol_info", "0x02\n"),
        {"card-worn": ("stage 2", "mmcblk0")}),
    "no memory for cameras": (lambda p: (p.root / "dev/dma_heap/linux,cma").unlink(),
        {"dma-heap-missing": ("dma_heap", "cmdline")}),
    "doubtful": (lambda p: p.change("[[rule]]", RECORDER + "[[rule]]"),
        {"configuration-doubtful": ("actuator.record", "accept_ung")}),
    "a flipped bit": (flip, {"bundle-altered": ("sha256 should be", "install the bundle")}),
    "no lgpio": (lambda p: own(p, missing={"lgpio"}), {"lgpio-missing": ("lgpio", "apt-get install python3-lgpio")}),
    "another chip": (lambda p: own(p, chips=[Chip(0, "gpio-mockup")]), {"chip-missing": ("gpiochip0 gpio-mockup", "chip = ")}),
    "simulated pins": (lambda p: p.change("[camera.gate]", '[gpio]\nfactory = "mock"\n\n[camera.gate]'),
        {"pins-mock": ("mock", "take")}),
    "strict": (lambda p: p.put("sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", "N\n"),
               {"strict-gpiod": ("pinctrl_bcm2835", "dtparam=strict_gpiod")}),
    "a line taken": (lambda p: (p.stop(), p.lines.update({17: "gpioset"})),
                     {"line-in-use": ("GPIO17 is in use by gpioset", "gpioinfo"), "service-stopped": ("", "enable --now"),
                      "daemon-missing": ("", "--config")}),
    "an input taken while it runs": (
        lambda p: (p.fail("sensor", "button", "the line is in use by gpiomon"), p.lines.update({4: "gpiomon"})),
                                     {"line-in-use": ("GPIO4 is in use by gpiomon", "gpioinfo"),
                                      "daemon-degraded": ("button: reopening: the line", "--source sensor.button")}),
    "no user": (lambda p: p.put("etc/passwd", "root:x:0:0::/:/bin/sh\n"), {"user-missing": ("reflexd", "systemd-sysusers")}),
    "not in the group": (lambda p: p.drop_in("SupplementaryGroups", ""),
                         {"user-not-in-group": ("closed to reflexd", "usermod -aG devices reflexd")}),
    "a closed chip": (lambda p: (p.root / "dev/gpiochip0").chmod(0o600),
        {"device-closed": ("/dev/gpiochip0", "udevadm trigger")}),
    "no camera": (lambda p: (p.root / "dev/video0").rename(p.root / "dev/video3"),
                  {"camera-missing": ("found /dev/video3", "v4l2-ctl --list-devices")}),
    "a busy camera": (lambda p: (p.fail("camera", "gate", "busy"), p.hold("/dev/video0", 4711, "motion")),
                      {"camera-busy": ("motion (process 4711)", "kill 4711"), "daemon-degraded": ("gate", "camera.gate")}),
    "no port": (lambda p: (p.root / "dev/ttyUSB0").unlink(), {"port-missing": ("found none", "ls /dev/serial/by-id")}),
    "a busy port": (held_by("sensor", "scale", "/dev/ttyUSB0"),
                    {"port-busy": ("motion (process 4711)", "kill 4711"), "service-stopped": ("", ""),
                     "daemon-missing": ("", "")}),
    "not installed": (lambda p: (own(p, unit={"LoadState": "not-found"}, listens=False)),
                      {"service-missing": ("reflexd.service", "install-service"), "daemon-missing": ("", "reflexd --config")}),
    "failed": (lambda p: (p.stop(), p.unit.update(ActiveState="failed", Result="exit-code", ExecMainStatus="78")),
               {"service-failed": ("exit-code with status 78", "reflexctl check"), "daemon-missing": ("", "")}),
    "not enabled": (lambda p: p.unit.update(UnitFileState="disabled"), {"service-not-enabled": ("disabled", "systemctl enable")}),
    "restarts": (lambda p: p.unit.update(NRestarts="3"), {"service-restarted": ("at boot: 3", "journalctl -u reflexd -x")}),
    "a unit not read": (lambda p: p.unit.update(NeedDaemonReload="yes"), {"unit-changed": ("old", "daemon-reload")}),
    "a bad end": (record, {"last-end": ("it hung after 2 h; outputs were set safe in 12 ms", "journalctl")}),
    "a mute daemon": (lambda p: own(p, listens=False), {"daemon-silent": ("does not run", "journalctl")}),
    "a stop switch": (lambda p: own(p, status={**p.status, "inhibited": {"stop": "the stop switch is on"}}),
                      {"daemon-safe": ("the stop switch is on", "reflexctl status")}),
    "dry run": (lambda p: own(p, status={**p.status, "dry_run": "dry run, as [daemon] dry_run = true says"}),
                {"dry-run": ("[daemon]", "take dry_run out")}),
    "disarmed": (lambda p: own(p, status={**p.status, "dry_run": "disarmed, until reflexctl arm"}),
                 {"disarmed": ("until", "reflexctl arm")}),
    "a network for the service": (lambda p: p.drop_in("PrivateNetwork", "no"),
                                  {"sandbox-weakened": ("PrivateNetwork=no in /etc", "PrivateNetwork= out of /etc/systemd")}),
    "/etc for the service": (lambda p: p.drop_in("ReadWritePaths", "-/srv /etc"),
        {"sandbox-weakened": ("ReadWritePaths=/etc", "override")}),
    "a socket opens": (lambda p: p.attempt("network", held=False, why=""),
        {"sandbox-network": ("AF_INET", "RestrictAddressFamilies=")}),
    "only permissions refuse": (lambda p: p.attempt("files", held=False, why="EACCES"),
        {"sandbox-files": ("EACCES", "ReadWritePaths=")}),
    "a device opens": (lambda p: p.attempt("devices", held=False, why="ENODEV"),
        {"sandbox-devices": ("/dev/fuse", "DevicePolicy=")}),
    "no writing at home": (lambda p: p.attempt("state", held=False, why="No space left on device"),
                           {"sandbox-state": ("No space left", "chown -R reflexd: /var/lib/reflexd")}),
    "in the foreground": (lambda p: own(p, service=False), {"sandbox-none": ("500", "systemctl enable --now reflexd")}),
    "not root": (lambda p: own(p, superuser=False), {"not-root": ("root", "sudo reflexctl doctor")}),
}
HIDDEN = {"simulated pins": {"chip-found"}, "another chip": {"chip-found"}, "strict": {"lines-keep-level"}}    # notes that go


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_its_remedy_and_nothing_else_is(patient: Patient, name: str) -> None:
    plant, wanted = FAULTS[name]
    plant(patient)
    found = {one.id: one for one in patient.examine()}
    assert set(found) == (NOTES - HIDDEN.get(name, set())) | set(wanted), found
    for id_, (what, remedy) in wanted.items():
        assert what in found[id_].found, found[id_]
        assert remedy in found[id_].remedy, found[id_]


def test_every_error_of_the_configuration_is_a_finding(patient: Patient) -> None:
    patient.change('safe = "off"', "")
    patient.change('pin = "GPIO4"', 'pin = "GPIO17"')
    wrong = [one for one in patient.examine() if one.id == "configuration"]
    assert len(wrong) == 2
    assert all(re.search(r"reflexd\.toml:\d+:\d+: ", one.found) and one.remedy for one in wrong), wrong


def test_a_bundle_that_is_gone_is_an_error_of_the_configuration(patient: Patient) -> None:
    shutil.rmtree(patient.root / "etc/reflexd/meter")
    assert "configuration" in {one.id for one in patient.examine()}


def test_a_device_that_the_running_daemon_has_is_not_busy(patient: Patient) -> None:
    patient.hold("/dev/video0", 500, "reflexd")
    patient.lines = {4: "lg", 17: "lg"}
    assert {one.id for one in patient.examine()} == NOTES


def test_a_user_who_may_not_ask_is_told(patient: Patient) -> None:
    context = patient.context
    context.__dict__["answer"] = ControlError("control.sock: this user may not ask reflexd; use sudo")
    assert "daemon-closed" in {one.id for one in examine(context)}


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(patient: Patient) -> None:
    patient.put("sys/devices/platform/soc/soc:firmware/get_throttled", "what\n")
    patient.put("sys/block/mmcblk0/device/life_time", "what\n")
    found = patient.examine()
    failed = [one.found for one in found if one.id == "check-failed"]
    assert len(failed) == 2
    assert failed[0].startswith("host.power: ValueError")
    assert failed[1].startswith("storage.card: ValueError")
    assert {one.id for one in found} == {*NOTES, "check-failed"}


def test_where_nothing_is_there_nothing_breaks(tmp_path: Path) -> None:
    def broken(*_given: object) -> None:
        raise OSError("gone")

    outside = Outside(clock_is_set=lambda: True, module=broken, unit=broken, chips=broken, line_user=broken, space=broken)
    found = {one.id for one in examine(Context(tmp_path / "none.toml", tmp_path / "none.sock", tmp_path, outside))}
    assert "check-failed" not in found
    assert {"configuration", "library-missing", "runtime-missing", "no-systemd", "daemon-missing"} <= found


def test_the_exit_status_is_that_of_the_worst() -> None:
    note, warning, fault = finding("service-missing", ""), finding("last-end", ""), finding("chip-missing", "", file="f")
    assert [exit_status(some) for some in ([], [note], [note, warning], [warning, fault, note])] == [0, 0, 3, 4]


def test_the_table_is_whole_and_every_id_of_it_is_used() -> None:
    assert len(TABLE) == WRITTEN.count("\n    "), "an entry could not be read"
    sources = "".join(path.read_text() for path in (ROOT / "daemon/reflexd/doctor").glob("*.py") if path.name != "table.py")
    made = {f"{what}-{end}" for what in ("camera", "port") for end in ("missing", "busy")} | {"sandbox-" + kind for kind in
                                                                                           ("network", "files", "devices")}
    assert [id_ for id_ in TABLE if f'"{id_}"' not in sources and id_ not in made] == []


def test_the_page_has_the_table() -> None:
    assert markdown() in (ROOT / "docs" / "doctor.md").read_text(), "print(reflexd.doctor.table.markdown()) gives it"


@pytest.mark.parametrize(("text", "seconds"), [
    ("", 0), ("off", 0), ("15", 15), ("15s", 15), ("1min 30s", 90), ("2h", 7200), ("default", 15)])
def test_spans_are_read_as_systemd_writes_them(text: str, seconds: float) -> None:
    assert host.span_s(text) == seconds


def test_a_later_file_of_systemd_counts_and_the_same_name_in_etc_hides_the_other(patient: Patient) -> None:
    patient.put("usr/lib/systemd/journald.conf.d/50-a.conf", "[Journal]\nStorage=persistent\n")
    patient.put("usr/lib/systemd/journald.conf.d/40-b.conf", "[Journal]\nStorage=volatile\n")
    assert host.setting(patient.context, "journald.conf", "Storage")[0] == "persistent"
    patient.put("etc/systemd/journald.conf.d/50-a.conf", "[Journal]\n Storage = volatile \n")
    assert host.setting(patient.context, "journald.conf", "Storage") == ("volatile", "/etc/systemd/journald.conf.d/50-a.conf")


def test_the_kernel_is_asked_for_its_clock() -> None:
    assert clock_is_set() in (True, False)
