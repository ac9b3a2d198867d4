"""Reloading through systemd: what is wrong is refused, and the old configuration acts on."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.lab.broken import BROKEN, GOOD, Broken
from tests.lab.service import CONFIG, Service
from tests.lab.test_faults import ACTIVE, BUTTON, LAMP, PULLS, SAFE, VALVE

GUEST = Path(__file__).parent / "guest"
PRESSES = {4: "down", 9: "up", 14: "down", 19: "up", 24: "down"}      # after which reload the button moves
LEVELS = {"up": ACTIVE, "down": SAFE}


def test_each_of_thirty_broken_configurations_is_refused_with_its_place_and_the_old_one_acts_on(service: Service) -> None:
    assert len(BROKEN) >= 30
    service.devices("keep", **PULLS)
    service.start(GOOD)
    service.pull(BUTTON, "up")
    service.until("both outputs are on", lambda: [service.level(LAMP), service.level(VALVE)] == ACTIVE)
    process = service.show("MainPID")
    with service.recording(LAMP, VALVE) as changes:
        answers = reload_each(service)
    expected = ACTIVE
    for number, (broken, answer) in enumerate(zip(BROKEN, answers, strict=True)):
        expected = LEVELS[PRESSES[number]] if number in PRESSES else expected
        assert answer["failed"], f"{broken} was taken"
        assert_located(broken, answer["status"].rpartition("Reloading")[2])
        assert answer["levels"] == expected, f"after {broken}"
    print(f"each took up to {max(answer['took_s'] for answer in answers):.1f} s; {changes[-1]}")
    passed = [change["levels"] for change in changes[:-1] if change["levels"] in (ACTIVE, SAFE)]
    assert passed == [ACTIVE, *(LEVELS[pull] for pull in PRESSES.values())], "no output changed but by the button"
    assert (service.show("MainPID"), service.show("NRestarts")) == (process, "0")


def reload_each(service: Service) -> list[dict]:
    """Reload each, and move the button in between."""
    orders = [{"data": None if broken.data is None else base64.b64encode(broken.data).decode(), "press": PRESSES.get(number)}
              for number, broken in enumerate(BROKEN)]
    return service.script((GUEST / "reloads.py").read_text(), CONFIG, stdin="\n".join(map(json.dumps, orders)), limit_s=90)


def assert_located(broken: Broken, status: str) -> None:
    where = f"reflexd.toml:{broken.line}:" if broken.line else "reflexd.toml:"
    lines = [line for line in status.splitlines() if where in line and broken.words.lower() in line.lower()]
    assert lines, f"{broken}\n{status}"
