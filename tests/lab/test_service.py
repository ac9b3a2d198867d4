"""The unit: a wrong configuration, a clean stop."""

from __future__ import annotations

from tests.lab.service import DROP_INS, Service
from tests.lab.test_faults import BUTTON, TWO_OUTPUTS
from tests.lab.test_reflexes import BUTTON_AND_LAMP


def test_a_wrong_configuration_ends_with_78_and_is_not_tried_again(service: Service) -> None:
    service.devices("pull")
    service.put("/etc/reflexd/reflexd.toml", BUTTON_AND_LAMP.replace('pin = "GPIO17"', 'pin = "GPIO99"'))
    assert service.run("systemctl start reflexd", 60).status != 0
    service.run("sleep 3")          # longer than RestartSec=
    assert service.show("ActiveState") == "failed", service.log()
    assert service.show("ExecMainStatus") == "78"
    assert service.show("NRestarts") == "0"
    status = service.run("systemctl status --no-pager -l reflexd").out
    line = 1 + BUTTON_AND_LAMP.splitlines().index('pin = "GPIO17"')
    assert f"reflexd.toml:{line}:" in status, status


STOP = """
import json, os, subprocess, time
files = [os.open(f"/run/lab-chip/sim_gpio{line}/value", os.O_RDONLY) for line in (17, 27)]
pid = int(subprocess.check_output(["systemctl", "show", "--value", "-p", "MainPID", "reflexd"]))
def held():                  # a process that ends gives its descriptors back all at once
    try:
        return bool(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False
stop = subprocess.Popen(["systemctl", "stop", "reflexd"])
seen, samples, began, last, gap = [], 0, time.monotonic(), time.monotonic(), 0
while True:
    levels = [int(os.pread(file, 8, 0)) for file in files]
    if not held():
        break
    now = time.monotonic()
    gap, last, samples = max(gap, now - last), now, samples + 1
    if not seen or seen[-1] != levels:
        seen.append(levels)
stop.wait()
print(json.dumps({"seen": seen, "samples": samples, "took_s": last - began, "longest_gap_ms": gap * 1000}))
"""


def test_a_clean_stop_keeps_the_lines_safe_until_the_process_is_gone(service: Service) -> None:
    service.devices("pull", line17="up", line27="down")      # a line that is given back falls to the level that is not safe
    service.start(TWO_OUTPUTS)
    service.pull(BUTTON, "up")
    service.until("both outputs are on", lambda: (service.level(17), service.level(27)) == (1, 0))
    seen, = service.script(STOP)
    print(seen)
    assert seen["seen"][-1] == [0, 1], "the last that was seen while the process had the lines is safe"
    assert len(seen["seen"]) <= 3, "from active to safe, one line after the other, and never back"
    assert seen["seen"] in ([[1, 0], [0, 1]], [[1, 0], [0, 0], [0, 1]], [[1, 0], [1, 1], [0, 1]])
    assert seen["took_s"] < service.machine.pace
    assert service.show("Result") == "success"


def test_every_drop_in_is_understood_and_the_service_works_with_them(service: Service) -> None:
    service.devices("pull")
    service.must(f"mkdir -p {DROP_INS}; cp /usr/share/reflexd/drop-ins/*.conf {DROP_INS}/; systemctl daemon-reload")
    service.start(BUTTON_AND_LAMP)
    service.pull(4, "up")
    service.until("the lamp goes on", lambda: service.level(17) == 1)
    shown = service.must("systemctl show -p PrivateTmpEx -p ProtectControlGroupsEx -p Nice -p StartLimitAction reflexd")
    assert sorted(shown.splitlines()) == [
        "Nice=-10", "PrivateTmpEx=disconnected", "ProtectControlGroupsEx=strict", "StartLimitAction=reboot"]
    refused = [entry["MESSAGE"] for entry in service.entries("_PID=1") if "ignoring" in entry["MESSAGE"].lower()]
    assert refused == []
