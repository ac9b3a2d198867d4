"""Whichever way the service dies, its outputs become safe: read from a chip that keeps levels, as a Raspberry Pi does.

The lamp is active at high and the valve at low. For each the safe level differs from the line's pull and from what was
driven, so that neither the pull nor the old level can be taken for it. One service dies again and again, at another
moment each time, and has to come back by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.conftest import watched
from tests.lab.machine import Machine
from tests.lab.service import Service

LAMP, VALVE, BUTTON = 17, 27, 4
ACTIVE, SAFE = [1, 0], [0, 1]
PULLS = {"line17": "up", "line27": "down"}
GUEST = Path(__file__).parent / "guest"
BACK_S = 12                  # until it runs again; a second of it is RestartSec=

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
WITH_CULPRIT = TWO_OUTPUTS + """
[sensor.culprit]
driver = "lab-culprit"
"""


@dataclass(frozen=True)
class Way:
    """How it dies, within what time the outputs are safe, and what the next start has to say of it."""

    bound_s: float
    told: str


WAYS = {
    "KILL": Way(1.0, "was killed by SIGKILL"),
    "SEGV": Way(1.0, "SIGSEGV"),
    "STOP": Way(3.5, "was killed by the watchdog"),          # WatchdogSec=, TimeoutAbortSec= and a second
    "GIL": Way(3.5, "was killed by the watchdog"),
    "MEMORY": Way(3.5, "was killed for want of memory"),     # it takes its time to fill
}


@pytest.fixture(scope="module")
def doomed(machine: Machine) -> Iterator[Service]:
    """Give a service with both outputs, and with a driver that obeys orders to do harm."""
    one = Service(machine)
    one.forget()
    one.devices("keep", **PULLS)
    one.install_driver("lab_faults", (GUEST / "lab_faults.py").read_text(), "reflexd.sensors", "lab-culprit")
    one.drop_in("little-memory", "MemoryMax=300M")
    one.start(WITH_CULPRIT)
    yield one
    one.forget()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.fault("F28", bound="1 s", outcome="outputs safe; the service starts again and tells why it ended")
@pytest.mark.fault("F29", bound="3.5 s", outcome="outputs safe; the service starts again and tells why it ended")
def test_outputs_become_safe_and_the_service_comes_back_and_tells_why(
        doomed: Service, way: str, request: pytest.FixtureRequest) -> None:
    times = 50 if request.config.getoption("--long") else 2
    with watched(doomed, request):
        deaths = die(doomed, way, times)
        for death in deaths:
            print(f"{way}: {death}")
            assert death["before"] == ACTIVE
            assert death["after"] == SAFE, doomed.log()
            assert not death["successor"], "it was the program that runs after a death, not the next start"
            assert len(death["path"]) <= 3, "from active to safe, one line after the other, and never back"
            assert death["now"] == "active", doomed.log()
        ends = [entry["MESSAGE"] for entry in doomed.entries("REFLEXD_EVENT=last-end")]
        print(f"{way}: {ends[-1:]}")
        assert len(ends) == times
        assert all(WAYS[way].told in end and "outputs were set safe in" in end for end in ends), ends
        if way == "GIL":
            assert_the_log_names_the_call(doomed, times)


def assert_the_log_names_the_call(service: Service, times: int) -> None:
    """What hangs can still say where when the watchdog aborts it: faulthandler needs no lock of the interpreter's."""
    log = service.log()
    assert log.count("Fatal Python error: Aborted") == times, log
    assert log.count("in obey") == times, log


def test_without_the_program_that_runs_after_a_death_outputs_stay_as_they_were(service: Service) -> None:
    service.devices("keep", **PULLS)
    service.drop_in("control", "ExecStopPost=", "Restart=no")
    service.start(TWO_OUTPUTS)
    seen, = die(service, "KILL", 1, back_s=0)
    assert seen["before"] == ACTIVE
    assert seen["after"] == ACTIVE, "nothing else may make them safe, or the tests above prove nothing"
    assert seen["state"] == "failed"


def die(service: Service, way: str, times: int, back_s: float = BACK_S) -> list[dict]:
    pace = service.machine.pace
    bound_s = WAYS[way].bound_s
    return service.script((GUEST / "deaths.py").read_text(), way, times, len(way), bound_s * pace, back_s * pace,
                          limit_s=times * (bound_s + 2 * BACK_S))
