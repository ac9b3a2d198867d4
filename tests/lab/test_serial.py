"""A serial line of the kernel's, from bytes to a level, within the sandbox."""

from __future__ import annotations

import json

from tests.lab.service import Service

BOILER = """
schema = 1

[sensor.boiler]
driver = "serial-lines"
port = "/dev/ttyS1"
baud = 115200
pattern = "^T=([0-9.]+)$"
max_age_ms = 20000               # an emulated computer is slow, and nobody writes here but the test

[actuator.pump]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"

[[rule]]
name = "circulate"
when = [{ sensor = "boiler", above = 70, release_below = 65 }]
then = [{ actuator = "pump", set = "on", follow = true }]
"""


def test_lines_on_a_serial_port_lead_to_a_level(service: Service) -> None:
    service.devices("pull")
    service.start(BOILER)
    assert service.level(17) == 0
    service.until("it is warm", lambda: says(service, 60.5))
    service.send_serial(b"T=71.5\n")
    service.until("the pump starts", lambda: service.level(17) == 1)
    service.send_serial(b"T=66.0\n\xff\xfe\x00garbage\nT=nan\n")
    service.run("sleep 0.5")
    assert service.level(17) == 1, "66 does not release it, and garbage is no value"
    service.send_serial(b"T=64.9\n")
    service.until("the pump stops", lambda: service.level(17) == 0)
    entries = service.entries("REFLEXD_OUTPUT=pump")
    assert [entry.get("REFLEXD_RULE", "") for entry in entries] == ["circulate", ""]
    assert "sensor.boiler above 70: 71.5" in entries[0]["MESSAGE"]


def says(service: Service, value: float) -> bool:
    """Send a line until it is heard: the first after opening does not count."""
    service.send_serial(f"T={value}\n".encode())
    told = json.loads(service.must("reflexctl status --json"))
    return bool(told["sensors"]["boiler"]["value"] == value)


def test_the_log_is_read_back_with_systemd_python(service: Service) -> None:
    service.devices("pull")
    service.start(BOILER)
    service.until("it is warm", lambda: says(service, 60.5))
    service.send_serial(b"T=80\n")
    service.until("the pump starts", lambda: service.level(17) == 1)
    read = service.must("reflexctl log --output pump -x -n 1").splitlines()
    assert 'pump on: rule "circulate"' in read[0]
    assert "    Subject: An output changed" in read
    newest, = service.must("reflexctl log --rule circulate --json -n 1").splitlines()
    assert json.loads(newest)["REFLEXD_OUTPUT"] == "pump"
