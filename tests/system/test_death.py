"""Natively: from the death of the daemon to safe outputs, and what a hung one leaves in its log.

The levels are seen from outside: a terminal of the kernel, whose bytes are stamped as they arrive, and a file.
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import statistics
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import relays
from tests.system.manager import ABORT_S, WATCHDOG_S, Manager, run_safe

WANTED_S = 1.0      # from a death to safe
KILLS = 8
HEAD = """\
schema = 1

[daemon]
socket = "control.sock"

[sensor.always]
driver = "scripted"
path = "always.csv"

[[rule]]
name = "act"
when = [ { sensor = "always", is = true } ]
then = [ OUTPUTS ]

"""
ACTION = '{ actuator = "%s", set = "on", follow = true }'


class Outputs:
    """A terminal and a file, and when the terminal was told what."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "level"
        self._device, self._line = os.openpty()
        tty.setraw(self._line)
        self.port = os.ttyname(self._line)
        self._told: list[tuple[float, bytes]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                chunk = os.read(self._device, 4096)
            except OSError:
                return
            now = time.monotonic()
            self._told += [(now, line) for line in chunk.splitlines(keepends=True)]

    def told(self, line: bytes, after: float, within_s: float = 20) -> float:
        """Wait until the terminal was told that, and give when."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = [at for at, one in list(self._told) if one == line and at >= after]
            if found:
                return found[0]
            time.sleep(0.001)
        raise AssertionError(f"the terminal was not told {line!r}, but {self._told[-5:]}")

    def close(self) -> None:
        os.close(self._line)
        os.close(self._device)


@pytest.fixture
def outputs(tmp_path: Path) -> Iterator[Outputs]:
    made = Outputs(tmp_path)
    yield made
    made.close()


@pytest.fixture
def service(tmp_path: Path, outputs: Outputs) -> Iterator[Callable[[str], Manager]]:
    """Give a function that makes a service with two outputs, or a third one that hangs once it is active."""
    made: list[Manager] = []

    def make(hangs: str = "") -> Manager:
        tables = {"lamp": f'driver = "file-relay"\npath = "{outputs.file}"',
                  "relay": f'driver = "terminal-relay"\nport = "{outputs.port}"'}
        if hangs:
            tables["stuck"] = f'driver = "hanging-relay"\npath = "{tmp_path / "stuck"}"\nway = "{hangs}"'
        (tmp_path / "always.csv").write_text("0,true\n")
        text = HEAD.replace("OUTPUTS", ", ".join(ACTION % name for name in tables))
        text += "".join(f'[actuator.{name}]\nsafe = "off"\n{table}\n\n' for name, table in tables.items())
        (tmp_path / "reflexd.toml").write_text(text)
        made.append(Manager(tmp_path, tmp_path / "reflexd.toml", relays.install(tmp_path / "third-party")))
        return made[-1]

    yield make
    for one in made:
        one.close()


def active(manager: Manager, outputs: Outputs) -> None:
    """Start, and wait until both outputs are on."""
    began = time.monotonic()
    manager.start()
    outputs.told(b"on\n", began)
    while outputs.file.read_text() != "1":
        time.sleep(0.001)


@pytest.mark.fault("F28", bound="1 s", outcome="outputs safe by the program that runs after a death")
def test_f28_from_a_kill_to_safe_outputs_takes_a_second_at_most(
        service: Callable[..., Manager], outputs: Outputs, capsys: pytest.CaptureFixture[str]) -> None:
    manager, lot, spans = service(), random.Random(28), []
    for number in [signal.SIGKILL] * KILLS + [signal.SIGSEGV] * 2:
        active(manager, outputs)
        if spans:
            assert re.search(r"the last run was killed by SIG\w+ after \d+ s; outputs were set safe in \d+ ms", manager.log)
        time.sleep(lot.uniform(0, 0.3))
        killed_at = time.monotonic()
        manager.send(number)
        said = manager.bury("signal")
        spans.append(outputs.told(relays.AFTER_DEATH, killed_at) - killed_at)    # the last of the two
        assert outputs.file.read_text() == "0"
        assert "relay: " in said
        assert "MAY NOT BE SAFE" not in said
    with capsys.disabled():
        print(f"\ndeath to safe, {len(spans)} times: median {statistics.median(spans) * 1000:.0f} ms, "
              f"longest {max(spans) * 1000:.0f} ms")
    assert max(spans) <= WANTED_S


@pytest.mark.fault("F28", bound="1 s", outcome="neither the old output nor the new one stays on")
def test_f28_killed_in_the_middle_of_a_reload_neither_the_old_output_nor_the_new_one_stays_on(
        service: Callable[..., Manager], outputs: Outputs, tmp_path: Path) -> None:
    manager, lot = service(), random.Random(59)
    config, other = tmp_path / "reflexd.toml", tmp_path / "elsewhere"
    first = config.read_text()
    for _ in range(KILLS):
        config.write_text(first)
        active(manager, outputs)
        config.write_text(first.replace(str(outputs.file), str(other)))
        manager.send(signal.SIGHUP)
        time.sleep(lot.uniform(0.05, 0.5))      # before it, in it, or after it
        killed_at = time.monotonic()
        manager.send(signal.SIGKILL)
        assert "MAY NOT BE SAFE" not in manager.bury("signal")
        outputs.told(relays.AFTER_DEATH, killed_at)
        assert outputs.file.read_text() == "0"
        assert not other.exists() or other.read_text() == "0"
    assert other.exists(), "some came after the new output was opened, or the test proves nothing"


def test_without_what_runs_after_a_death_an_output_stays_active(service: Callable[..., Manager], outputs: Outputs) -> None:
    manager = service()
    active(manager, outputs)
    killed_at = time.monotonic()
    manager.send(signal.SIGKILL)
    manager.bury("signal", safe=False)
    time.sleep(0.5)
    assert outputs.file.read_text() == "1"
    with pytest.raises(AssertionError, match="was not told"):
        outputs.told(relays.AFTER_DEATH, killed_at, within_s=0.1)


@pytest.mark.parametrize("hangs", ["sleep", "lock"])
@pytest.mark.fault("F29", bound="3.5 s", outcome="killed by the watchdog, outputs safe; the log has where it hung")
def test_f29_a_daemon_that_hangs_leaves_the_stacks_of_all_threads_and_its_outputs_become_safe(
        hangs: str, service: Callable[..., Manager], outputs: Outputs, capsys: pytest.CaptureFixture[str]) -> None:
    """In its main thread, with the interpreter's lock given up or held."""
    manager = service(hangs)
    began = time.monotonic()
    active(manager, outputs)
    manager.watch()
    manager.bury("watchdog")
    spent = outputs.told(relays.AFTER_DEATH, began) - outputs.told(b"on\n", began)
    assert outputs.file.read_text() == "0"
    with capsys.disabled():
        print(f"\nhang ({hangs}) to safe: {spent:.2f} s, of which the watchdog takes up to {WATCHDOG_S:.1f} s")
    assert spent <= WATCHDOG_S + ABORT_S + WANTED_S
    assert "Fatal Python error: Aborted" in manager.log
    stacks = re.split(r"^(?=Thread 0x|Current thread 0x)", manager.log, flags=re.MULTILINE)[1:]
    assert any("relays.py" in stack and " in hang" in stack and "lifecycle.py" in stack for stack in stacks), "where it hangs"
    assert any("workers.py" in stack for stack in stacks)
    assert any("journal.py" in stack for stack in stacks)
    assert len(stacks) >= 4


@pytest.mark.fault("F29", bound="3.5 s", outcome="killed by the watchdog, outputs safe")
def test_f29_a_daemon_that_was_stopped_is_killed_and_its_outputs_become_safe(
        service: Callable[..., Manager], outputs: Outputs) -> None:
    manager = service()
    active(manager, outputs)
    stopped_at = time.monotonic()
    manager.send(signal.SIGSTOP)
    manager.watch()
    manager.bury("watchdog")
    assert outputs.told(relays.AFTER_DEATH, stopped_at) - stopped_at <= WATCHDOG_S + ABORT_S + WANTED_S
    assert outputs.file.read_text() == "0"
    active(manager, outputs)
    assert "the last run was killed by the watchdog: it hung" in manager.log


def test_reflexd_safe_is_ready_in_far_less_than_a_tenth_of_a_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the time that it works, since a busy machine lets it wait as long as it likes."""
    spans, works = [], []
    for _ in range(15):
        began, used = time.monotonic(), worked_s()
        assert "nothing to do" in run_safe({**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)})
        spans.append(time.monotonic() - began)
        works.append(worked_s() - used)
    with capsys.disabled():
        print(f"\nreflexd-safe, from exec to its end with nothing to do: median {statistics.median(spans) * 1000:.0f} ms, "
              f"of which it works {statistics.median(works) * 1000:.0f} ms")
    assert statistics.median(works) < 0.1


def worked_s() -> float:
    """Give the processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
