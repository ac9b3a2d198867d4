"""reflexctl log puts journal entries into words; the lab reads a real journal (tests/lab/test_service.py)."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reflexd.ctl.__main__ import parser
from reflexd.ctl.log import told

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
ENTRIES = [
    {"__REALTIME_TIMESTAMP": WHEN, "MESSAGE": "reflexd 0.1.0 begins", "_SYSTEMD_UNIT": "reflexd.service"},
    {"__REALTIME_TIMESTAMP": WHEN, "MESSAGE": "sshd: hello", "_SYSTEMD_UNIT": "ssh.service"},
    {"__REALTIME_TIMESTAMP": WHEN, "MESSAGE": 'lamp on: rule "night"', "_SYSTEMD_UNIT": "reflexd.service",
     "REFLEXD_EVENT": "output", "REFLEXD_OUTPUT": "lamp", "REFLEXD_RULE": "night", "MESSAGE_ID": "x",
     "REFLEXD_EVENT_ID": "k3m9xa-17"},
    {"__REALTIME_TIMESTAMP": WHEN, "MESSAGE": b"from a library: \xff", "_SYSTEMD_UNIT": "reflexd.service"},
]


class Journal:
    """A journal in memory, read as systemd.journal.Reader reads one."""

    def __init__(self) -> None:
        self._matches: dict[str, str] = {}
        self._at = 0

    def add_match(self, *matches: str) -> None:
        self._matches.update(one.split("=", 1) for one in matches)

    def _kept(self) -> list[dict[str, Any]]:
        return [one for one in ENTRIES if self._matches.items() <= one.items()]

    def seek_tail(self) -> None:
        self._at = len(self._kept())

    def get_previous(self, skip: int) -> dict[str, Any]:
        self._at = max(self._at - skip, 0)
        return next(iter(self._kept()[self._at:]), {})

    def get_next(self) -> dict[str, Any]:
        self._at += 1
        return next(iter(self._kept()[self._at:]), {})

    def get_catalog(self) -> str:
        return "Subject: An output changed\n\nLook at the reasons."

    def wait(self, timeout: float | None = None) -> int:
        return 0


def asked(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(["log", *arguments])


def read(*arguments: str) -> list[str]:
    return list(told(Journal(), asked(*arguments)))


def test_the_service_s_lines_come_oldest_first_and_nobody_else_s() -> None:
    assert read() == ["2026-05-04 03:02:01 reflexd 0.1.0 begins", '2026-05-04 03:02:01 [k3m9xa-17] lamp on: rule "night"',
                      "2026-05-04 03:02:01 from a library: \ufffd"]
    assert len(read("-n", "1")) == 1


def test_fields_select() -> None:
    found = read("--output", "lamp", "--rule", "night", "--event", "output")
    assert found == ['2026-05-04 03:02:01 [k3m9xa-17] lamp on: rule "night"']
    assert read("--rule", "day") == []


def test_explained_and_as_json() -> None:
    assert read("--event", "output", "-x")[0].splitlines()[1:] == ["    Subject: An output changed", "    Look at the reasons."]
    assert json.loads(read("--event", "output", "--json")[0]) == {
        "time": "2026-05-04T03:02:01+00:00", "MESSAGE": 'lamp on: rule "night"', "REFLEXD_EVENT": "output",
        "REFLEXD_OUTPUT": "lamp", "REFLEXD_RULE": "night", "REFLEXD_EVENT_ID": "k3m9xa-17"}


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked("--event", "outptu")
    assert "outptu" in capsys.readouterr().err
