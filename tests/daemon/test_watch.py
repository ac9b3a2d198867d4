"""reflexctl watch: one source, look by look, and what was seen in the end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.access import Access
from reflexd.control import Server, Verb
from reflexd.ctl.__main__ import main
from reflexd.ctl.watch import Seen, fitted, line, sparkline
from reflexd.protocol import ControlError, ask
from tests.daemon.devices import DEVICES
from tests.daemon.test_exercise import Bench
from tests.daemon.test_faults import Devices, Start
from tests.stopwatch import within


@pytest.fixture
def bench(start: Start, devices: Devices, tmp_path: Path) -> Iterator[Bench]:
    one = Bench(start, tmp_path / "control.sock")
    yield one
    one.server.close()


def look(value: Any, **more: Any) -> dict[str, Any]:
    return {"source": "sensor.t", "state": "run", "why": "", "value": value, "unknown": "", "age_ms": 12.0,
            "rises": 0, "falls": 0, **more}


def test_a_sensor_is_told_with_its_age_and_edges(bench: Bench) -> None:
    DEVICES["sensor"].value = True
    within(3, lambda: ask(bench.socket, "watch", {"source": "button"})["value"] is True)
    found = ask(bench.socket, "watch", {"source": "sensor.button"})
    assert (found["source"], found["state"], found["unknown"]) == ("sensor.button", "run", "")
    assert found["age_ms"] >= 0
    assert {"rises", "falls", "readings"} <= found.keys()


def test_networks_and_cameras_are_told_as_well(bench: Bench) -> None:
    DEVICES["model"].value = 0.25
    within(3, lambda: ask(bench.socket, "watch", {"source": "person"}).get("scores") == {"person": 0.25})
    camera = ask(bench.socket, "watch", {"source": "camera.gate"})
    assert camera["frames"] > 0
    told = f"camera.gate  {camera['frames']} frames, 0 lost, picture "
    assert line(camera, seen(camera)).startswith(told)
    with_about = {**camera, "why": "pattern: rgb 320x240"}
    assert line(with_about, seen(with_about)).startswith(told), "what was agreed on with a camera is no trouble"
    unplugged = {**camera, "state": "reopening", "why": "gate: is gone; plug it in"}
    assert "unknown: gate: is gone; plug it in" in line(unplugged, seen(unplugged))


def test_a_wrong_name_is_answered_with_one_that_is_close(bench: Bench) -> None:
    with pytest.raises(ControlError, match=r'nothing is called "buton"; did you mean "button"\?'):
        ask(bench.socket, "watch", {"source": "buton"})
    with pytest.raises(ControlError, match=r"known here: sensor\.button, model\.person, camera\.gate"):
        ask(bench.socket, "watch", {"source": "x.yz"})


def test_without_a_terminal_there_is_a_line_per_look_and_a_summary(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "button", "--for", "600ms", "--socket", str(bench.socket)]) == 0
    *looks, summary = capsys.readouterr().out.splitlines()
    assert looks
    assert all(one.startswith("sensor.button  false") and "ms ago" in one for one in looks)
    assert summary.startswith(f"{len(looks)} looks, min 0 mean 0 max 0")


def test_json_is_an_object_per_look(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "button", "--for", "300ms", "--json", "--socket", str(bench.socket)]) == 0
    assert {json.loads(one)["source"] for one in capsys.readouterr().out.splitlines()} == {"sensor.button"}


def test_a_source_in_trouble_is_told_with_the_reason(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    DEVICES["sensor"].broken = True
    within(3, lambda: ask(bench.socket, "watch", {"source": "button"})["unknown"])
    assert main(["watch", "button", "--for", "200ms", "--socket", str(bench.socket)]) == 0
    said = capsys.readouterr().out
    assert "unknown: /dev/fake: cannot" in said
    assert "of them unknown" in said


def test_without_a_daemon_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "button", "--socket", str(tmp_path / "none.sock")]) == 1
    told = capsys.readouterr()
    assert "reflexd does not run" in told.err
    assert "reflexctl probe" in told.err
    assert told.out == ""


def test_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    server = Server(path)
    server.serve({"watch": Verb(Access.READ, lambda _request: look(21.5))})
    command = [sys.executable, "-m", "reflexd.ctl", "watch", "t", "--socket", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        rest, wrong = watching.communicate(timeout=20)
    server.close()
    assert first.startswith("sensor.t  21.5")
    assert (watching.returncode, wrong) == (0, "")
    assert "looks, min 21.5 mean 21.5 max 21.5" in rest


def test_at_a_terminal_one_line_is_drawn_again_and_again(tmp_path: Path) -> None:
    path, asked = tmp_path / "control.sock", threading.Event()
    server = Server(path)
    values = iter([1.0, 2.0, 3.0, 2.0])

    def answer(_request: Any) -> dict[str, Any]:
        value = next(values, None)
        if value is None:
            asked.set()
        return look(2.0 if value is None else value)

    server.serve({"watch": Verb(Access.READ, answer)})
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "reflexd.ctl", "watch", "t", "--socket", str(path)]
    with subprocess.Popen(command, stdout=theirs, stdin=theirs, env={**os.environ, "COLUMNS": "100"}) as watching:
        try:
            assert asked.wait(30)
            watching.send_signal(signal.SIGINT)
            assert watching.wait(20) == 0
        finally:
            watching.kill()
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    server.close()
    assert shown.count("\r\x1b[K") >= 4
    assert "▁▅█▅" in shown


def seen(*looks: dict[str, Any]) -> Seen:
    made = Seen()
    for one in looks:
        made.take(one)
    return made


def test_a_sparkline_spans_what_was_seen_and_leaves_gaps() -> None:
    made = seen(look(0.0), look(None, unknown="last heard 2.0 s ago"), look(7.0), look(3.5))
    assert sparkline(list(made.values), made) == "▁ █▅"
    assert sparkline([2.0, 2.0], seen(look(2.0))) == "▁▁"


def test_edges_count_from_the_first_look_and_not_below_nothing() -> None:
    made = seen(look(True, rises=5, falls=4), look(True, rises=7, falls=6))
    assert made.edges == "2 rises 2 falls"
    made.take(look(False, rises=0, falls=0))      # it was opened again
    assert made.edges == ""


@pytest.mark.parametrize(("given", "words"), [
    (look(21.5), "sensor.t  21.5  12 ms ago"), (look(value=True), "sensor.t  true"), (look("closed"), "sensor.t  closed"),
    (look(None, unknown="said nothing yet", age_ms=None, state="degraded"), "sensor.t  unknown: said nothing yet  degraded"),
    (look(None, scores={"person": 0.8}), "sensor.t  person 0.80"), (look(None, scores={}), "no label is watched"),
], ids=["number", "boolean", "text", "unknown", "scores", "none"])
def test_a_look_is_a_line(given: dict[str, Any], words: str) -> None:
    assert line(given, seen(given)).startswith(words) or words in line(given, seen(given))


def test_a_narrow_terminal_gets_no_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert len(fitted(look(21.5), seen(look(21.5)))) <= 29
