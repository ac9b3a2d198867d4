"""reflexctl top: what is on the screen, as text and at a terminal, and how it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ
from typing import Any, TypeAlias

import pytest

from reflexd.control import Server
from reflexd.ctl.__main__ import main
from reflexd.ctl.top import Look, fit, head, outputs, rules, sources
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


class Terminal:
    """reflexctl top at a terminal."""

    def __init__(self, socket: Path, size: tuple[int, int] = (30, 120), **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        ioctl(self._ours, TIOCSWINSZ, pack("HHHH", *size, 0, 0))
        usual = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.drawing = subprocess.Popen([sys.executable, "-m", "reflexd.ctl", "top", "--socket", str(socket)], stdout=theirs,
                                        stdin=theirs, stderr=theirs, env={**usual, "TERM": "xterm-256color", **environment})
        os.close(theirs)

    def see(self, text: str, times: int = 1) -> None:
        """Wait until that was drawn so often."""
        while self.shown.count(text) < times:
            assert select.select([self._ours], [], [], 30)[0], self.shown
            try:
                self.shown += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended: {self.shown[-3000:]}") from None

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def close(self) -> None:
        self.drawing.kill()
        self.drawing.wait()
        os.close(self._ours)

    def end(self) -> int:
        """Wait until it ended, and read what it left."""
        status = self.drawing.wait(20)
        with suppress(OSError):          # the other side is closed
            while more := os.read(self._ours, 65536):
                self.shown += more.decode(errors="replace")
        return status


AtTerminal: TypeAlias = Callable[..., Terminal]


@pytest.fixture
def at_terminal() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def make(*where: Any, **environment: str) -> Terminal:
        made.append(Terminal(*where, **environment))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("ends", ["q", "ctrl-c"])
def test_at_a_terminal_it_draws_until_it_is_ended(bench: Bench, at_terminal: AtTerminal, ends: str) -> None:
    one = at_terminal(bench.socket)
    one.see("model.person", 3)       # drawn anew
    if ends == "q":
        one.press("q")
    else:
        one.drawing.send_signal(signal.SIGINT)
    assert one.end() == 0
    assert "press" in one.shown
    assert "\x1b[?1049h" in one.shown, "on a screen of its own, so that what was there before comes back"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(bench: Bench, at_terminal: AtTerminal, number: signal.Signals) -> None:
    one = at_terminal(bench.socket)
    one.see("model.person", 2)
    one.drawing.send_signal(number)
    assert one.end() == 128 + number
    assert "\x1b[?1049l" in one.shown, "the screen that was there before"
    assert "\x1b[?25h" in one.shown, "the cursor"


def test_a_terminal_that_cannot_be_drawn_on_has_it_once(bench: Bench, at_terminal: AtTerminal) -> None:
    one = at_terminal(bench.socket, TERM="dumb")
    assert one.end() == 0
    assert "model.person" in one.shown
    assert "\x1b" not in one.shown


def test_without_utf8_no_line_is_longer_than_the_terminal(bench: Bench, at_terminal: AtTerminal) -> None:
    one = at_terminal(bench.socket, (30, 50), LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    one.see("model.person", 2)
    assert "model.person person" in one.shown
    assert "\\u2026" not in one.shown


def test_a_daemon_that_is_started_anew_is_waited_for(bench: Bench, at_terminal: AtTerminal) -> None:
    one = at_terminal(bench.socket)
    one.see("model.person", 2)
    bench.server.close()
    one.see("reflexd does not run")
    bench.server = Server(bench.socket)
    bench.server.serve(bench.verbs)
    one.shown = ""
    one.see("model.person", 5)
    assert "reflexd does not run" not in one.shown.split("\x1b[H")[-1]
    one.press("q")
    assert one.end() == 0


@pytest.mark.parametrize("room", [20, 30, 200])
def test_what_does_not_fit_the_screen_is_counted_and_every_table_is_there(room: int) -> None:
    tables: list[list[tuple[str, ...]]] = [
        [("source", "run")] * 5, [(f"rule {number}", "false") for number in range(50)], [("lamp", "off")]]
    fit(tables, room)
    lines = sum(len(rows) + 2 for rows in tables)
    assert lines == min(room, 62)
    assert tables[2] == [("lamp", "off")]
    assert (tables[1][-1] == (f"and {51 - len(tables[1])} more",)) is (room < 62)


def test_without_rich_it_says_where_to_get_it(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)       # as where it is not installed
    assert main(["top"]) == 1
    assert "apt-get install python3-rich" in capsys.readouterr().err


def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: Said) -> None:
    assert main(["top", "--socket", str(tmp_path / "none")]) == 1
    assert "reflexd does not run" in capsys.readouterr().err
