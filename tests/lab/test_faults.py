"""Whichever way the service dies, its outputs become safe: read from a chip that keeps levels, as a Raspberry Pi does.

The lamp is active at high and the valve at low. For each the safe level differs from the line's pull and from what was
driven, so that neither the pull nor the old level can be taken for it.
"""

from __future__ import annotations

import random

import pytest

from tests.lab.service import Service

LAMP, VALVE, BUTTON = 17, 27, 4
ACTIVE = {LAMP: 1, VALVE: 0}
SAFE = {LAMP: 0, VALVE: 1}
PULLS = {"line17": "up", "line27": "down"}
BOUND_S = 1.0               # from the death to the safe level; the watchdog's time comes before it
WATCHDOG_S = 2.5            # WatchdogSec= and TimeoutAbortSec=

TWO_OUTPUTS = """
schema = 1

[sensor.button]
driver = "gpio-input"
pin = "GPIO4"
pull = "down"

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"
max_on_s = 300

[actuator.valve]
driver = "gpio-output"
pin = "GPIO27"
active = "low"
safe = "off"
max_on_s = 300

[[rule]]
name = "both on a button"
when = [{ sensor = "button", is = true }]
then = [{ actuator = "lamp", set = "on", follow = true }, { actuator = "valve", set = "on", follow = true }]
"""

KILL = """
import json, os, signal, subprocess, sys, time
number, limit_s = int(sys.argv[1]), float(sys.argv[2])
lines = [17, 27]
files = [os.open(f"/run/lab-chip/sim_gpio{line}/value", os.O_RDONLY) for line in lines]
pid = int(subprocess.check_output(["systemctl", "show", "--value", "-p", "MainPID", "reflexd"]))
levels = lambda: [int(os.pread(file, 8, 0)) for file in files]
before = levels()
os.kill(pid, number)
# the button is let go: what starts anew finds no reason to drive anything
open("/run/lab-chip/sim_gpio4/pull", "w").write("pull-down")
killed = time.monotonic()
while levels() != [0, 1] and time.monotonic() - killed < limit_s:
    time.sleep(0.002)
took = time.monotonic() - killed
state = subprocess.check_output(["systemctl", "show", "--value", "-p", "ActiveState", "reflexd"], text=True).strip()
print(json.dumps({"before": before, "after": levels(), "took_s": took, "state": state, "pid": pid}))
"""

WAYS = {"KILL": "was killed by SIGKILL", "STOP": "was killed by the watchdog", "SEGV": "SIGSEGV"}
NUMBERS = {"KILL": 9, "STOP": 19, "SEGV": 11}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each fault as often as was asked for."""
    if "attempt" in metafunc.fixturenames:
        metafunc.parametrize("attempt", range(50 if metafunc.config.getoption("--long") else 1))


def start_and_drive(service: Service) -> None:
    service.devices("keep", **PULLS)
    service.start(TWO_OUTPUTS)
    assert {line: service.level(line) for line in SAFE} == SAFE
    service.pull(BUTTON, "up")
    service.until("both outputs are on", lambda: {line: service.level(line) for line in ACTIVE} == ACTIVE)


def kill(service: Service, way: str) -> dict:
    bound_s = (BOUND_S + (WATCHDOG_S if way == "STOP" else 0)) * service.machine.pace
    seen, = service.script(KILL, NUMBERS[way], bound_s, limit_s=10)
    assert seen["before"] == list(ACTIVE.values())
    print(f"SIG{way}: safe after {seen['took_s']:.2f} s, the service {seen['state']}")
    return seen


@pytest.mark.parametrize("way", WAYS)
def test_outputs_become_safe_and_the_service_comes_back_and_tells_why(service: Service, way: str, attempt: int) -> None:
    start_and_drive(service)
    service.run(f"sleep {random.Random(attempt).uniform(0, 0.5):.2f}")    # at another moment each time
    seen = kill(service, way)
    assert seen["after"] == list(SAFE.values()), service.log()
    assert seen["state"] != "active", "it was the program that runs after a death, not the next start"
    back_s = service.until("the service is back", lambda: service.show("ActiveState") == "active", 30)
    print(f"back after {back_s:.0f} s")
    assert int(service.show("MainPID")) != seen["pid"]
    service.until("the start tells of the end", lambda: bool(service.entries("REFLEXD_EVENT=last-end")))
    told = service.entries("REFLEXD_EVENT=last-end")[-1]["MESSAGE"]
    print(told)
    assert WAYS[way] in told
    assert "outputs were set safe in" in told


def test_without_the_program_that_runs_after_a_death_outputs_stay_as_they_were(service: Service) -> None:
    service.drop_in("control", "ExecStopPost=", "Restart=no")
    start_and_drive(service)
    seen = kill(service, "KILL")
    assert seen["after"] == list(ACTIVE.values()), "nothing else may make them safe, or the tests above prove nothing"
