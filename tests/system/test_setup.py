"""reflexctl setup as a whole: from nothing to a configuration that was tried, and back where that fails."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflexd.config.load import load
from reflexd.ctl import setup as verb
from reflexd.protocol import ask
from reflexd.setup import SetupError
from reflexd.setup.steps import setup
from reflexd.setup.unit import Unit
from reflexd_drivers.probe import Found, FoundCamera, FoundChip, FoundPort
from tests.system.meter import EXAMPLE

COMMAND = [sys.executable, "-m", "reflexd.ctl", "setup"]
PLAYED = ["--camera", "none", "--input", "script", "--output", "record"]
OURS = "# Written by reflexctl setup"
OLD = 'schema = 1\n\n[actuator.mine]\ndriver = "recorder"\npath = "mine.log"\nsafe = "off"\naccept_unguarded = true\n'
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "reflexd.toml"


def run(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "--config", str(config), *words], capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)


def left_over(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_command_finds_writes_tries_and_tells_the_next(config: Path) -> None:
    done = run(config, "--yes", "--camera", str(EXAMPLE / "meter.avi"), "--model", "meter", *PLAYED[2:])
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert re.search(r"camera front: RUN, \d+\.\d frames a second", done.stdout)
    assert re.search(r"network meter: RUN, .* frame to decision \d+\.\d ms", done.stdout)
    assert re.search(r"first decision \d+\.\d s after the start: lamp ", done.stdout)
    assert (config.parent / "setup-front.png").read_bytes().startswith(PNG)
    assert f"reflexd --config {config}" in done.stdout
    assert not load(config).warnings
    assert left_over(config.parent) == {"reflexd.toml", "button.csv", "lamp.log", "setup-front.png"}


def test_without_a_terminal_and_without_yes_it_says_so_and_touches_nothing(config: Path) -> None:
    done = run(config)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "--yes" in done.stderr
    assert not config.parent.exists()


def test_without_any_input_it_says_so(config: Path) -> None:
    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" <&-', *COMMAND, "--config", str(config)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_what_is_no_file_is_neither_waited_for_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")      # as /dev/null, which everything needs
    for path, says in ((pipe, "not a regular file"), (tmp_path, "not a regular file"), (tmp_path / ("a" * 300), "too long")):
        done = run(path, "--yes", "--force", *PLAYED)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
        assert says in done.stderr
    assert pipe.is_fifo()


def test_when_nobody_reads_on_it_stops_and_says_so(config: Path) -> None:
    with begun(config, "Found:") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, len(errors.splitlines()), config.exists()) == (1, 1, False), errors


def test_two_at_once_do_not_mix(config: Path) -> None:
    first = begun(config, "Self-test")
    second = run(config, "--yes", *PLAYED)
    assert (second.returncode, len(second.stderr.splitlines())) == (1, 1)
    assert "another setup is under way" in second.stderr
    first.communicate()
    assert first.returncode == 0


def test_a_library_that_cannot_be_imported_is_told_in_one_line(config: Path, tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text("raise ImportError('cannot open shared object file')\n")
    done = subprocess.run([*COMMAND, "--yes", "--config", str(config)], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": f"{tmp_path}"})
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "reflexctl doctor" in done.stderr


def test_a_configuration_with_devices_is_replaced_only_by_force_and_kept(config: Path) -> None:
    config.parent.mkdir()
    config.write_text(OLD)
    refused = run(config, "--yes", *PLAYED)
    assert (refused.returncode, refused.stdout, config.read_text()) == (1, "", OLD)
    assert "--force" in refused.stderr
    done = run(config, "--yes", "--force", *PLAYED)
    assert done.returncode == 0, done.stderr
    (kept,) = config.parent.glob("reflexd.toml.before-setup-*")
    assert kept.read_text() == OLD
    assert config.read_text().startswith(OURS)


def test_a_self_test_that_fails_leaves_the_old_in_place_and_the_new_beside_it(config: Path) -> None:
    config.parent.mkdir()
    config.write_text(OLD)
    broken = config.parent / "broken.avi"
    broken.write_bytes(b"no video")
    done = run(config, "--yes", "--force", "--camera", str(broken), *PLAYED[2:])
    assert done.returncode == 1
    assert "camera front" in done.stderr
    assert "Traceback" not in done.stderr
    assert config.read_text() == OLD
    assert config.with_name("reflexd.toml.new").read_text().startswith(OURS)


def test_a_drop_in_that_does_not_fit_is_told_with_its_place(config: Path) -> None:
    (config.parent / "conf.d").mkdir(parents=True)
    (config.parent / "conf.d" / "10-mine.toml").write_text("[camera.front]\nsize = 3\n")
    done = run(config, "--yes", *PLAYED)
    assert done.returncode == 78
    assert "10-mine.toml:" in done.stderr
    assert not config.exists()


def test_a_drop_in_that_would_drive_outputs_at_once_is_refused(config: Path) -> None:
    (config.parent / "conf.d").mkdir(parents=True)
    (config.parent / "conf.d" / "10-mine.toml").write_text('[daemon]\ninitially = "armed"\n')
    done = run(config, "--yes", *PLAYED)
    assert done.returncode == 78
    assert "take that out" in done.stderr
    assert not config.exists()


NOBODY = """
import os, sys
from reflexd.ctl.__main__ import main
import reflexd.setup.steps, reflexd.setup.unit
if os.geteuid() == 0:
    os.setuid(65534)      # whose eyes may not reach the interpreter's own files any more
sys.exit(main(["setup", "--yes", "--config", "/etc/reflexd-of-nobody/reflexd.toml"]))
"""


def test_who_may_not_write_there_is_told_to_use_sudo() -> None:
    done = subprocess.run([sys.executable, "-c", NOBODY], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "sudo reflexctl setup" in done.stderr


@pytest.mark.parametrize("said", ["Found:", "Self-test", "first decision"])
def test_killed_at_any_moment_the_old_or_the_new_is_there_and_nothing_runs_on(config: Path, said: str) -> None:
    config.parent.mkdir()
    config.write_text(OLD)
    process = begun(config, said)
    process.kill()
    process.communicate()
    assert config.read_text() == OLD or config.read_text().startswith(OURS)
    load(config)
    deadline = time.monotonic() + 5
    while trials(config) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert trials(config) == []


def begun(config: Path, said: str) -> subprocess.Popen[str]:
    """Begin a setup, and go on with it until that was said."""
    process = subprocess.Popen([*COMMAND, "--config", str(config), "--yes", "--force", *PLAYED], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while said not in process.stdout.readline():
        assert process.poll() is None
    return process


def trials(config: Path) -> list[str]:
    """Give the processes that try a configuration."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{config}.new".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_an_interrupt_puts_everything_back(config: Path) -> None:
    config.parent.mkdir()
    config.write_text(OLD)
    process = begun(config, "Self-test")
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=20)[1]
    assert (process.returncode, config.read_text()) == (130, OLD)
    assert "stopped" in errors
    assert "Traceback" not in errors
    assert trials(config) == []


class Person:
    """Somebody at a terminal, who reads questions and types answers."""

    def __init__(self, config: Path) -> None:
        process, self._terminal = pty.fork()
        if process == 0:
            os.execv(COMMAND[0], [*COMMAND, "--config", str(config)])
        self._process = process
        self.unread = self.seen = ""

    def sees(self, text: str, limit_s: float = 20) -> None:
        """Read on until that was said."""
        ends = time.monotonic() + limit_s
        while text not in self.unread:
            assert time.monotonic() < ends, f"{text} was not said:\n{self.seen}"
            assert not select.select([self._terminal], [], [], 0.1)[0] or self._read(), f"it ended:\n{self.seen}"
        self.unread = self.unread.partition(text)[2]

    def _read(self) -> bool:
        try:
            said = os.read(self._terminal, 4096).decode(errors="replace")
        except OSError:      # the other side hung up
            return False
        self.seen += said
        self.unread += said
        return True

    def answers(self, question: str, text: str) -> None:
        self.sees(question)
        self.sees("]: ")
        os.write(self._terminal, f"{text}\n".encode())

    def leaves(self) -> int:
        """Read to the end; gives the exit status."""
        while self._read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])


def test_a_person_is_asked_and_corrected(config: Path) -> None:
    config.parent.mkdir()
    config.write_text(OLD)
    person = Person(config)
    person.answers("replace it", "yes")
    person.answers("camera: a device", "nothing.avi")
    person.sees("nothing.avi is neither a camera that can be read nor a recording")
    person.answers("camera: a device", str(EXAMPLE / "meter.avi"))
    person.answers("pin of a button", "script")
    person.answers("pin of a relay or lamp", "record")
    person.answers("network: ", "meter")
    assert person.leaves() == 0, person.seen
    assert "first decision" in person.seen
    assert load(config).settings.model


def test_a_person_who_says_no_keeps_what_was(config: Path) -> None:
    config.parent.mkdir()
    config.write_text(OLD)
    person = Person(config)
    person.answers("replace it", "")
    assert (person.leaves(), config.read_text()) == (1, OLD)
    assert "stays as it is" in person.seen


SYSTEMCTL = """#!/bin/sh
# What setup needs of systemctl, for one service that is a real reflexd.
cd {folder}
[ "$1" = show ] || echo "$1" >> calls
stop() {{
    [ -e pid ] && kill $(cat pid) && while [ -S control.sock ]; do sleep 0.02; done
    rm -f pid
}}
start() {{
    if [ -e refuses ] && grep -q "Written by" etc/reflexd.toml; then echo "Job for reflexd.service failed." >&2; exit 1; fi
    {python} -m reflexd --config etc/reflexd.toml > log 2>&1 < /dev/null &
    echo $! > pid
    for _ in $(seq 200); do [ -S control.sock ] && return; sleep 0.05; done
}}
case "$1 $4" in
    "show LoadState") echo loaded ;;
    "show ActiveState") if [ -e pid ]; then echo active; else echo inactive; fi ;;
    "show MainPID") cat pid ;;
    stop*) stop ;;
    start*) start ;;
    restart*) stop; start ;;
esac
"""


class Service:
    """A service behind a systemctl of our own."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder, self.config = folder, config
        program = folder / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(SYSTEMCTL.format(folder=folder, python=sys.executable))
        program.chmod(0o755)
        (config.parent / "conf.d").mkdir(parents=True)
        (config.parent / "conf.d" / "places.toml").write_text(
            f'[daemon]\nsocket = "{folder / "control.sock"}"\nstate_dir = "{folder / "state"}"\n')
        (folder / "state").mkdir()

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().split()

    def setup(self, *words: str) -> None:
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        args = parser.parse_args(["--yes", "--config", str(self.config), *PLAYED, *words])
        setup(args, Unit(self.config, self.folder / "state", here=True))

    def runs(self) -> bool:
        return (self.folder / "pid").exists()


@pytest.fixture
def service(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    one = Service(tmp_path, config)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("reflexd.setup.steps.HIDDEN", ())      # the tests' own folder is in /tmp
    yield one
    subprocess.run(["systemctl", "stop", "reflexd.service"], check=False)


def test_the_service_is_enabled_started_and_watched(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    (service.folder / "state" / "arming").write_text("armed\n")
    service.setup()
    assert ask(service.folder / "control.sock", "status")["dry_run"] == "disarmed, until reflexctl arm"
    said = capsys.readouterr().out
    assert re.search(r"active and READY after \d+\.\d s", said)
    assert len(re.findall(r"first decision \d+\.\d s after the start", said)) == 2
    assert said.rstrip().endswith("reflexctl arm")
    assert service.calls == ["enable", "restart"]


def test_what_was_said_is_forgotten_where_a_drop_in_keeps_it(service: Service) -> None:
    places = service.config.parent / "conf.d" / "places.toml"
    places.write_text(places.read_text().replace(str(service.folder / "state"), str(service.folder / "elsewhere")))
    (service.folder / "elsewhere").mkdir()
    (service.folder / "elsewhere" / "arming").write_text("armed\n")
    service.setup()
    assert ask(service.folder / "control.sock", "status")["dry_run"] == "disarmed, until reflexctl arm"


def test_a_service_that_runs_is_stopped_for_the_self_test_and_started_after_it(service: Service) -> None:
    service.config.write_text(OLD)
    subprocess.run(["systemctl", "start", "reflexd.service"], check=True)
    (service.folder / "state" / "lamp.log").mkdir()
    with pytest.raises(SetupError, match=r"self-test ended with status 69: .*lamp.log"):
        service.setup("--force")
    assert service.calls == ["start", "stop", "start"]
    assert service.runs()
    assert service.config.read_text() == OLD


def test_what_the_running_service_holds_counts_as_free(service: Service) -> None:
    service.config.write_text(OLD)
    unit = Unit(service.config, service.folder / "state", here=True)
    subprocess.run(["systemctl", "start", "reflexd.service"], check=True)
    pid = (service.folder / "pid").read_text().strip()
    found = Found((FoundCamera("/dev/video0", "Webcam", {}, f"reflexd (process {pid})"),),
                  (FoundChip("/dev/gpiochip0", "pinctrl-rp1", 54, {4: "lg", 9: "spi0"}),),
                  (FoundPort("/dev/ttyUSB0", "minicom (process 1)"),))
    free = unit.without_its_own(found)
    assert (free.cameras[0].holder, free.chips[0].used, free.ports[0].holder) == (None, {9: "spi0"}, "minicom (process 1)")
    subprocess.run(["systemctl", "stop", "reflexd.service"], check=True)
    assert unit.without_its_own(found) == found


def test_a_service_that_does_not_start_gets_its_old_configuration_back(service: Service) -> None:
    service.config.write_text(OLD)
    subprocess.run(["systemctl", "start", "reflexd.service"], check=True)
    (service.folder / "refuses").touch()
    (service.folder / "state" / "arming").write_text("armed\n")
    with pytest.raises(SetupError, match=r"failed.* is the one before again"):
        service.setup("--force")
    assert service.calls == ["start", "stop", "enable", "restart", "start"]
    assert service.runs()
    assert service.config.read_text() == OLD
    assert (service.folder / "state" / "arming").read_text() == "armed\n"
    assert service.config.with_name("reflexd.toml.new").read_text().startswith(OURS)
