"""reflexctl record: what a running daemon decides on, whole at every end."""

from __future__ import annotations

import os
import pty
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ
from time import monotonic_ns
from typing import Any

import pytest

from reflexd.access import Access
from reflexd.control import Server, Verb
from reflexd.ctl.__main__ import main
from reflexd.protocol import ControlError
from reflexd.replay.live import Live
from reflexd.replay.recorder import Recorder
from reflexd.replay.replayed import replay
from reflexd.replay.tape import Begin, Lost, read
from reflexd.rules.items import NS
from reflexd.rules.stage import Stage
from reflexd.trace import Trace
from reflexd.verbs import trace as answer
from tests.daemon.devices import DEVICES
from tests.daemon.rules.random_runs import Day, busy
from tests.daemon.rules.story import START
from tests.daemon.test_exercise import Bench
from tests.daemon.test_faults import Devices, Start
from tests.stopwatch import within


class Desk:
    """A trace behind a control socket, of a daemon that decides only when a test says so."""

    def __init__(self, socket: Path, limit: int = 1 << 20, run: str = "1-1") -> None:
        self.kept, self.stage, self.day = Trace(limit), Stage(busy()), Day(5)
        self.kept.begin(self.stage, START)
        self.boot, self.run, self.loop = "a boot", run, self
        self.down = False
        self.server = Server(socket)
        self.server.serve({"trace": Verb(Access.READ, self._answer)})

    def _answer(self, request: Any) -> Any:
        if self.down:
            raise ControlError("the decision loop did not answer in time; see the log")
        return answer(self, request)      # type: ignore[arg-type]

    def between_cycles(self, question: Callable[[], Any]) -> Any:
        return question()

    def trace(self, number: int | None, since_s: float) -> Any:
        moment = self.day.now - round(since_s * NS)
        return (self.kept.since(moment) if number is None else self.kept.following(number)), {"gate": "ab12"}

    def decide(self, count: int) -> None:
        for item, now in self.day.items(count):
            self.kept.note(item, now, self.stage.consume(item, now))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path / "control.sock")
    one.decide(500)
    yield one
    one.server.close()


@pytest.fixture
def bench(start: Start, devices: Devices, tmp_path: Path) -> Iterator[Bench]:
    one = Bench(start, tmp_path / "control.sock")
    yield one
    one.server.close()


def recorder(tmp_path: Path, name: str = "day.jsonl", since_s: float = 1e6) -> Recorder:
    return Recorder(Live(tmp_path / "control.sock", since_s), tmp_path / name)


def written(folder: Path) -> int:
    """Count the lines: a head, a mark, and items."""
    file = folder / "day.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def test_what_a_daemon_decides_is_recorded_and_decided_on_alike(bench: Bench, tmp_path: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "day.jsonl.gz"
    DEVICES["model"].value = 0.9
    assert main(["record", str(file), "--for", "1500ms", "--last", "1m", "--socket", str(bench.socket)]) == 0
    said = capsys.readouterr().out
    found = replay(file)
    assert found.same
    assert found.whole
    assert found.items > 30
    assert 'fired once' in said
    assert str(found.digest) in said
    assert main(["replay", str(file), "--times", "3"]) == 0
    assert f"identical 3 times: sha256 {found.digest}" in capsys.readouterr().out


def test_a_reload_and_another_network_begin_a_part_of_their_own(bench: Bench, tmp_path: Path) -> None:
    one = recorder(tmp_path, since_s=60)
    one.fetch()
    bench.running.reload({**bench.config, "sensor": {"button": {**bench.config["sensor"]["button"], "max_age_ms": 400}}})
    within(5, lambda: bench.running.status()["state"] == "RUN")
    one.fetch()
    before = one.items
    within(5, lambda: one.fetch() and one.items > before + 20)
    one.end()
    found = replay(one.path)
    assert (found.same, found.lost) == (True, 0)
    begins = [line for line in read(one.path) if isinstance(line, Begin)]
    assert [begins[at].settings["sensor"]["button"]["max_age_ms"] for at in (0, -1)] == [300, 400]


def test_a_recorder_that_was_stopped_for_too_long_tells_what_is_missing(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "control.sock", limit=100_000)
    one = recorder(tmp_path)
    desk.decide(300)
    one.fetch()
    desk.decide(5000)
    one.fetch()
    one.end()
    desk.server.close()
    found = replay(one.path)
    lost = [line.items for line in read(one.path) if isinstance(line, Lost)]
    assert (found.lost, one.lost) == (lost[0], lost[0])
    assert found.items + found.lost == 5300
    assert found.same
    assert "items are missing" in found.remarks[0]


def test_another_process_ends_the_recording_where_the_first_ended(desk: Desk, tmp_path: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    def restart() -> None:
        within(10, lambda: written(tmp_path) >= 502)
        desk.run = "2-2"

    thread = threading.Thread(target=restart)
    thread.start()
    assert main(["record", str(tmp_path / "day.jsonl"), "--last", "1h", "--socket", str(tmp_path / "control.sock")]) == 1
    thread.join()
    said = capsys.readouterr()
    assert said.err == "reflexctl: reflexd was started anew: the recording ends where it ended; record anew\n"
    assert "500 items" in said.out
    assert replay(tmp_path / "day.jsonl").whole


def test_a_daemon_that_goes_away_leaves_a_whole_recording(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        within(10, lambda: written(tmp_path) >= 502)
        desk.server.close()

    thread = threading.Thread(target=stop)
    thread.start()
    assert main(["record", str(tmp_path / "day.jsonl"), "--last", "1h", "--socket", str(tmp_path / "control.sock")]) == 1
    thread.join()
    assert "the recording ends here" in capsys.readouterr().err
    assert replay(tmp_path / "day.jsonl").whole


def test_a_daemon_that_does_not_answer_for_a_moment_is_asked_again(desk: Desk, tmp_path: Path) -> None:
    def hesitate() -> None:
        within(10, lambda: written(tmp_path) >= 502)
        desk.down = True
        desk.decide(200)
        within(10, lambda: seen.count("down") >= 1)
        desk.down = False
        within(10, lambda: written(tmp_path) >= 702)
        os.kill(os.getpid(), signal.SIGTERM)

    seen: list[str] = []
    plain = desk._answer
    desk.server.serve({"trace": Verb(Access.READ, lambda asked: (seen.append("down" if desk.down else "up"), plain(asked))[1])})
    thread = threading.Thread(target=hesitate)
    thread.start()
    assert main(["record", str(tmp_path / "day.jsonl"), "--last", "1h", "--socket", str(tmp_path / "control.sock")]) == 0
    thread.join()
    assert (replay(tmp_path / "day.jsonl").items, replay(tmp_path / "day.jsonl").whole) == (700, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_whole(desk: Desk, tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "day.jsonl.gz"

    def send() -> None:
        within(10, lambda: file.exists() and file.stat().st_size > 5000)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    before = signal.getsignal(number)
    assert main(["record", str(file), "--last", "1h", "--socket", str(tmp_path / "control.sock")]) == 0
    thread.join()
    assert signal.getsignal(number) is before
    assert replay(file).whole


def test_at_a_terminal_it_stays_in_one_line_however_narrow(desk: Desk, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    ioctl(ours, TIOCSWINSZ, pack("HHHH", 24, 40, 0, 0))
    usual = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "reflexd.ctl", "record", "day.jsonl", "--last", "1h", "--socket", "control.sock"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=tmp_path, env=usual) as recording:
        shown = ""
        while shown.count("\r\x1b[K") < 3:
            assert select.select([ours], [], [], 30)[0], shown
            shown += os.read(ours, 65536).decode()
        recording.send_signal(signal.SIGINT)
        assert recording.wait(20) == 0
    shown += os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)
    *drawn, last = shown.split("\r\x1b[K")[1:]
    live, summary, *_ = last.split("\r\n")
    assert all("500 items" in one and len(one) == 39 for one in (*drawn, live))
    assert summary.startswith("day.jsonl: ")


def test_it_ends_when_the_time_of_the_daemon_is_up(desk: Desk, tmp_path: Path) -> None:
    one = Recorder(Live(tmp_path / "control.sock", 1e6), tmp_path / "day.jsonl", for_ns=NS)
    assert one.fetch()
    desk.day.now = monotonic_ns() + 60 * NS      # an item from after the time that it was given
    desk.decide(3)
    assert not one.fetch()
    one.end()
    assert one.items == 500


def test_a_file_that_is_there_is_left_alone_until_the_daemon_answered(desk: Desk, tmp_path: Path,
                                                                      capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "day.jsonl"
    file.write_text("precious")
    assert main(["record", str(file), "--socket", str(tmp_path / "control.sock")]) == 1
    assert capsys.readouterr().err == f"reflexctl: {file}: is there already; name another one, or say --force\n"
    assert main(["record", str(file), "--force", "--socket", str(tmp_path / "nobody.sock")]) == 1
    assert "reflexd does not run" in capsys.readouterr().err
    assert file.read_text() == "precious"
    asked = ["--force", "--for", "100ms", "--last", "1h", "--socket", str(tmp_path / "control.sock")]
    assert main(["record", str(file), *asked]) == 0
    assert replay(file).items == 500


def test_who_asks_for_more_than_the_daemon_has_is_told(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--for", "100ms", "--socket", str(tmp_path / "control.sock")]
    assert main(["record", str(tmp_path / "1"), "--last", "720h", *asked]) == 0
    assert " s and not 2592000 s: the daemon has nothing older" in capsys.readouterr().out
    assert main(["record", str(tmp_path / "2"), *asked]) == 0
    assert "nothing older" not in capsys.readouterr().out
    assert main(["record", str(tmp_path / "no" / "3"), *asked]) == 1
    assert capsys.readouterr().err == f"reflexctl: {tmp_path / 'no' / '3'}: no such file or directory; name another file\n"


def test_without_a_daemon_there_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", str(tmp_path / "day.jsonl"), "--socket", str(tmp_path / "nobody.sock")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "day.jsonl").exists()


@contextmanager
def limited(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_a_full_disk_is_told_in_one_line_and_what_was_written_can_be_replayed(
        desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    desk.decide(3000)
    with limited(20_000):
        assert main(["record", str(tmp_path / name), "--last", "1h", "--socket", str(tmp_path / "control.sock")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / name}: file too large; " in said
    assert said.count("\n") == 1
    found = replay(tmp_path / name)
    assert (found.same, found.end) == (True, None)
    assert found.items > 30


def test_a_device_without_room_is_told_in_one_line(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "/dev/full", "--force", "--last", "1h", "--socket", str(tmp_path / "control.sock")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("reflexctl: /dev/full: no space left on device; ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("options", "words"), [
    (["--for", "10"], "write a number and its unit"), (["--for", "9999h"], "too long; from 100ms to 720h"),
    (["--last", "1ms"], "too short"), (["--for", "nans"], "is no time")])
def test_times_that_are_none_are_refused(tmp_path: Path, options: list[str], words: str,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["record", str(tmp_path / "x"), *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
