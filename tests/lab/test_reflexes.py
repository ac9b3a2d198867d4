"""From an edge to a level, read from the chip, with the journal telling why."""

from __future__ import annotations

import json

import pytest

from tests.lab.service import Service

BUTTON_AND_LAMP = """
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

[[rule]]
name = "lamp on a button"
when = [{ sensor = "button", is = true }]
then = [{ actuator = "lamp", set = "on", follow = true }]
"""


def test_an_edge_on_one_line_leads_to_a_level_on_another(service: Service) -> None:
    service.devices("pull")
    service.start(BUTTON_AND_LAMP)
    assert service.level(17) == 0
    service.pull(4, "up")
    service.until("the lamp goes on", lambda: service.level(17) == 1)
    service.pull(4, "down")
    service.until("the lamp goes off", lambda: service.level(17) == 0)


def test_the_journal_has_fields_and_explains(service: Service) -> None:
    service.devices("pull")
    service.start(BUTTON_AND_LAMP)
    service.pull(4, "up")
    service.until("a line tells of the lamp", lambda: bool(service.entries("REFLEXD_OUTPUT=lamp")))
    entry = service.entries("REFLEXD_OUTPUT=lamp")[0]
    told = {name: entry[name] for name in ("REFLEXD_EVENT", "REFLEXD_RULE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT")}
    assert told == {"REFLEXD_EVENT": "output", "REFLEXD_RULE": "lamp on a button", "PRIORITY": "5",
                    "SYSLOG_IDENTIFIER": "reflexd", "_SYSTEMD_UNIT": "reflexd.service"}
    explained = service.must("journalctl --no-pager -x REFLEXD_OUTPUT=lamp")
    assert "Subject: An output changed" in explained
    assert "was driven to another level" in explained


def test_presses_that_are_over_before_anybody_looks_are_counted_by_the_kernel(service: Service) -> None:
    service.devices("pull")
    service.start(BUTTON_AND_LAMP)
    pull = "/run/lab-chip/sim_gpio4/pull"
    service.must(f"for n in $(seq 25); do echo pull-up > {pull}; sleep 0.01; echo pull-down > {pull}; sleep 0.01; done")

    def counted() -> dict[str, int]:
        return json.loads(service.must("reflexctl status --json"))["sensors"]["button"]

    service.until("each edge is counted", lambda: counted()["edges"] == 50)
    assert counted()["value"] is False


SENSED = BUTTON_AND_LAMP.replace("max_on_s = 300", 'max_on_s = 300\nsense_pin = "GPIO27"\nsense_within_ms = 1000')


@pytest.mark.fault("F27", bound="sense_within_ms and 50 ms", outcome="every output safe for good, told with its pins")
def test_a_lamp_that_does_not_follow_is_set_safe_for_good(service: Service) -> None:
    service.devices("pull")
    service.start(SENSED)
    service.pull(4, "up")
    service.until("the lamp goes on", lambda: service.level(17) == 1)
    service.until("it is seen that nothing follows", lambda: service.level(17) == 0)
    service.until("the log tells why", lambda: "GPIO27 has seen it off for more than 1000 ms" in service.log())
    service.pull(4, "down")
    service.pull(4, "up")
    assert service.level(17) == 0
