"""reflexctl top: what is on the screen, as text and at a terminal, and how it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ
from typing import Any

import pytest

from reflexd.ctl.__main__ import main
from reflexd.ctl.top import Look, head, outputs, rules, sources
from reflexd.protocol import ask
from tests.daemon.devices import DEVICES
from tests.daemon.test_exercise import Bench
from tests.daemon.test_explain import RULES
from tests.daemon.test_faults import Devices, Start
from tests.stopwatch import within

Said = pytest.CaptureFixture[str]


@pytest.fixture
def bench(start: Start, devices: Devices, tmp_path: Path) -> Iterator[Bench]:
    devices["model"].value = 0.68
    one = Bench(start, tmp_path / "control.sock", rule=RULES)
    within(5, lambda: one.running.status()["rules"]["see"]["truth"] is False)
    yield one
    one.server.close()


def status(bench: Bench) -> Any:
    return ask(bench.socket, "status")


def test_once_it_is_plain_text_with_everything_on_it(bench: Bench, capsys: Said) -> None:
    assert main(["top", "--once", "--socket", str(bench.socket)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    lines = {line.split(" ")[0]: line for line in said.splitlines()}
    assert "frame to pin p50 " in lines["reflexd"]
    assert "0 log lines dropped" in lines["reflexd"]
    assert float(lines["camera.gate"].split()[2]) > 0, "frames a second"
    assert "false" in lines["sensor.button"]
    assert "person 0.68" in lines["model.person"]
    assert "ms" in lines["model.person"]
    assert lines["see"].split()[1:4] == ["false", "0/2", "-0.02"]
    assert "model.person person at least 0.7: 0.68" in lines["see"]
    assert lines["lamp"].split()[1] == "off"
    assert all(line == line.rstrip() for line in said.splitlines())


def test_rules_are_told_as_data(bench: Bench) -> None:
    told = status(bench)["rules"]["see"]
    assert (told["truth"], told["first"], told["acts"], told["rests"]) == (False, 0, False, "")
    score, button = told["conditions"]
    assert (score["observed"], score["hits"], score["needed"], score["margin"]) == (0.68, 0, 2, pytest.approx(-0.02))
    assert (button["observed"], button["hits"], button["margin"]) == (False, None, None)
    DEVICES["model"].value = 0.9
    within(5, lambda: next(row[:3] for row in rules(status(bench))) == ("see", "held back", "3/2"))
    found = status(bench)
    assert "cooldown, 59" in rules(found)[0][-1]
    name, level, since, why = outputs(found)[0]
    assert (name, level, why) == ("lamp", "off", "off, safe: no rule claims it")
    assert since.endswith(" s")


def test_what_is_in_trouble_is_told(bench: Bench) -> None:
    DEVICES["sensor"].broken = True
    within(5, lambda: status(bench)["rules"]["press"]["truth"] is None)
    now = Look(2.0, status(bench))
    row = next(row for row in sources(now, now) if row[0] == "sensor.button")
    assert "unknown: " in row[-1]
    assert row[3] == "", "no rate of a moment"
    inhibited = {**now.report, "inhibited": {"stop": "stop: sensor halt says true"}, "dry_run": "disarmed"}
    assert list(head(inhibited))[1:] == ["! no output is driven: disarmed", "! stop: sensor halt says true"]


def test_a_source_that_began_anew_has_no_rate(bench: Bench) -> None:
    report = status(bench)
    button = report["sensors"]["button"]
    more = {**report, "sensors": {"button": {**button, "readings": button["readings"] + 5}}}
    rates = [next(row[3] for row in sources(Look(2.5, one), Look(2.0, two)) if row[0] == "sensor.button")
             for one, two in ((more, report), (report, more))]
    assert rates == ["10.0", ""]


@pytest.mark.parametrize("ends", ["q", "ctrl-c"])
def test_at_a_terminal_it_draws_until_it_is_ended(bench: Bench, ends: str) -> None:
    ours, theirs = pty.openpty()
    ioctl(ours, TIOCSWINSZ, pack("HHHH", 30, 120, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = [sys.executable, "-m", "reflexd.ctl", "top", "--socket", str(bench.socket)]
    with subprocess.Popen(command, stdout=theirs, stdin=theirs, env={**environment, "TERM": "xterm-256color"}) as drawing:
        try:
            shown = ""
            while shown.count("model.person") < 3:       # drawn anew
                assert select.select([ours], [], [], 30)[0], shown
                shown += os.read(ours, 65536).decode(errors="replace")
            if ends == "q":
                os.write(ours, b"q")
            else:
                drawing.send_signal(signal.SIGINT)
            assert drawing.wait(20) == 0
        finally:
            drawing.kill()
    os.close(theirs)
    os.close(ours)
    assert "press" in shown
    assert "\x1b[?1049h" in shown, "on a screen of its own, so that what was there before comes back"


def test_without_rich_it_says_where_to_get_it(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)       # as where it is not installed
    assert main(["top"]) == 1
    assert "apt-get install python3-rich" in capsys.readouterr().err


def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: Said) -> None:
    assert main(["top", "--socket", str(tmp_path / "none")]) == 1
    assert "reflexd does not run" in capsys.readouterr().err
