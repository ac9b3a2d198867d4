"""From an edge to a level, read from the chip, with the journal telling why."""

from __future__ import annotations

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
