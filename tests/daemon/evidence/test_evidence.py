"""What becomes of the evidence of an event, whatever the disk does: whole or not there, and counted; nobody waits for it."""

from __future__ import annotations

import errno
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.config.settings import EventsSettings, Settings
from reflexd.events import EVIDENCE_KEPT, EVIDENCE_LOST
from reflexd.evidence.evidence import WAITING, Evidence
from reflexd.evidence.folders import EVENT, FOLDER, PART, RECORDING, Folders, evidence_of, write_file
from reflexd.evidence.ring import Key
from reflexd.history.incident import Kind
from reflexd.history.store import FILE
from reflexd.history.writer import Writer
from reflexd.replay.replayed import replay
from reflexd.rules.stage import Stage
from reflexd.trace import Trace
from tests.daemon.disks import remount, small_disk
from tests.daemon.history.incidents import Log, incident, run_named
from tests.daemon.rules.random_runs import Day, busy
from tests.stopwatch import Stopwatch, within

PATIENCE_S = 20
NS = 1_000_000_000
JPEG = b"\xff\xd8" + bytes(29_998)
Make = Callable[..., Evidence]


def settings(durability: str = "normal", budget: float = 100_000, **evidence: Any) -> Settings:
    return Settings.model_validate({
        "schema": 1, "events": {"durability": durability, "write_budget_mb_per_day": budget},
        "evidence": {"before_s": 1, "after_s": 0, **evidence}})


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def make(tmp_path: Path, log: Log) -> Iterator[Make]:
    """Give a function that begins to keep evidence; what it began is ended."""
    made: list[tuple[Evidence, Writer]] = []

    def begin(wanted: Settings | None = None, folder: Path = tmp_path, started: bool = False, **changes: Any) -> Evidence:
        wanted = wanted or settings()
        history = Writer(run_named(), wanted.events, folder, tell=log, pause_s=0.01)
        evidence = Evidence(folder, history, **{"quiet_s": 0.0, **changes})
        made.append((evidence, history))
        if started:
            history.start()
        evidence.follow(wanted, {})
        return evidence

    yield begin
    for evidence, history in made:
        evidence.close(5)
        history.close(5)


def happen(evidence: Evidence, number: int, frames: int = 4, **changes: Any) -> None:
    """Have frames come and a rule fire after them."""
    now = time.monotonic_ns()
    for place in range(frames):
        evidence.keeper.ring.add(Key(now - (frames - place) * NS // 20, "gate"), JPEG, now)
    evidence.put(incident(number, **{"monotonic_ns": now, **changes}))


def happen_alone(evidence: Evidence, number: int, frames: int = 4) -> None:
    """Have that after all others are written, with frames that none of them had."""
    within(PATIENCE_S, lambda: evidence.waiting == 0)
    evidence.keeper.ring.forget()
    happen(evidence, number, frames)


def folders(folder: Path) -> list[str]:
    """Name what is there but for what is being written, and see that all of it is whole."""
    found = sorted(one for one in (folder / FOLDER).iterdir() if not one.name.endswith(PART))
    for one in found:
        assert json.loads((one / EVENT).read_text())["id"] == one.name
        assert (one / RECORDING).stat().st_size > 0
        assert all(file.read_bytes() == JPEG for file in one.glob("frames/*/*.jpg"))
    return [one.name for one in found]


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_an_event_has_its_frames_in_a_folder_and_no_others(make: Make, tmp_path: Path, durability: str) -> None:
    evidence = make(settings(durability))
    long_ago = time.monotonic_ns() - 1_500_000_000
    evidence.keeper.ring.wanted_since = long_ago
    evidence.keeper.ring.add(Key(long_ago, "gate"), JPEG, time.monotonic_ns())
    happen(evidence, 1)
    within(PATIENCE_S, lambda: evidence.written == 1)
    assert folders(tmp_path) == ["abc123-1"]
    assert len(list((tmp_path / FOLDER / "abc123-1" / "frames" / "gate").glob("*.jpg"))) == 4
    told = evidence.report()
    assert (told["written"], told["kept"], told["left_out"], told["waiting"], told["trouble"]) == (1, 1, 0, 0, "")
    assert evidence.keeper.ring.wanted_since is None, "it was written, and may go"
    assert 0.12 < float(str(told["used_mb"])) < 0.2
    assert evidence_of(evidence._history.path, "abc123-1") == tmp_path / FOLDER / "abc123-1"
    assert evidence_of(evidence._history.path, "abc123-2") is None


def test_its_recording_reaches_from_a_mark_before_it_to_its_end(make: Make, tmp_path: Path) -> None:
    trace, stage, day = Trace(), Stage(busy()), Day(3)
    now = time.monotonic_ns()
    items = list(day.items(3000))
    shift = now - items[-1][1]
    trace.begin(stage, items[0][1] + shift)
    trace._mark(items[0][1] + shift)
    for item, at in items:
        trace.note(item, at + shift, stage.consume(item, at + shift))
    answers = threading.get_ident()

    def fetch(number: int | None, since_s: float) -> Any:
        assert threading.get_ident() != answers
        return (trace.following(number) if number is not None else trace.since(time.monotonic_ns() - round(since_s * NS))), {}

    evidence = make(settings(before_s=60), fetch=fetch)
    end = now - 20 * NS
    evidence.put(incident(1, monotonic_ns=end))
    within(PATIENCE_S, lambda: evidence.written == 1)
    found = replay(tmp_path / FOLDER / "abc123-1" / RECORDING)
    assert found.same
    assert found.whole
    assert found.began <= end - 60 * NS
    assert found.last == max(at + shift for _, at in items if at + shift <= end)


@pytest.mark.parametrize(("wanted", "changes"), [
    (settings(rules=["another"]), {}), (settings(), {"kind": Kind.MAX_ON}), (Settings(schema=1), {}),
    (settings().model_copy(update={"events": EventsSettings(enabled=False)}), {})])
def test_of_what_is_not_wanted_there_is_none(make: Make, tmp_path: Path, wanted: Settings, changes: dict[str, Any]) -> None:
    evidence = make(wanted)
    happen(evidence, 1, **changes)
    assert evidence.waiting == 0
    evidence.close(PATIENCE_S)
    assert not (tmp_path / FOLDER).exists() or folders(tmp_path) == []


def test_a_trial_keeps_nothing(make: Make, tmp_path: Path) -> None:
    evidence = make(trial=True)
    happen(evidence, 1)
    assert evidence.close(PATIENCE_S) == ""
    assert list(tmp_path.iterdir()) == []


def test_events_that_overlap_share_their_frames_in_memory(make: Make, tmp_path: Path) -> None:
    evidence = make(settings(after_s=1, memory_mb=1))
    for number in range(1, 9):
        happen(evidence, number, frames=2)
    assert evidence.keeper.ring.bytes < 20 * 30_500, "eight events, and each frame once"
    within(PATIENCE_S, lambda: evidence.written == 8)
    assert len(folders(tmp_path)) == 8
    assert evidence.keeper.ring.bytes < 1e6
    assert len(list((tmp_path / FOLDER / "abc123-1" / "frames" / "gate").glob("*.jpg"))) >= 14, "what came after it as well"


def test_a_disk_that_does_not_answer_holds_nobody_up_and_memory_stays_bounded(make: Make, log: Log, tmp_path: Path) -> None:
    hangs, hung = threading.Event(), threading.Event()

    def write(path: Path, data: bytes) -> None:
        hung.set()
        hangs.wait(60)
        write_file(path, data)

    evidence = make(settings(memory_mb=1), write=write)
    happen(evidence, 1)
    assert hung.wait(PATIENCE_S)
    with Stopwatch() as took:
        for number in range(2, 202):
            happen(evidence, number, frames=1)
            assert evidence.keeper.ring.bytes <= 1e6
    assert took.seconds < 1
    told = evidence.report()
    assert (told["waiting"], told["left_out"]) == (WAITING, 201 - WAITING)
    hangs.set()
    within(PATIENCE_S, lambda: evidence.waiting == 0)
    assert evidence.written == WAITING == len(folders(tmp_path))
    happen(evidence, 300)
    within(PATIENCE_S, lambda: log.kinds == [EVIDENCE_LOST.name, EVIDENCE_KEPT.name])
    assert "the evidence of 16 events is under way already" in log[0][1]
    assert f"{201 - WAITING} events have none" in log[1][1]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    with small_disk(tmp_path / "disk", 1) as place:
        yield place


@pytest.mark.fault("F61", bound="half a minute", outcome="evidence is left out and counted; nothing half remains, events wait")
def test_f61_a_full_disk_of_1_mb_has_no_half_folder_and_goes_on_when_there_is_room(make: Make, log: Log, small: Path) -> None:
    evidence = make(folder=small)
    number = 0
    while not evidence.trouble:
        happen_alone(evidence, number := number + 1)
        within(PATIENCE_S, lambda: evidence.trouble != "" or evidence.waiting == 0)
        assert number < 12
    assert "no space left on device; let the daemon's user write there, and look at the disk" in evidence.trouble
    assert len(folders(small)) == evidence.written == number - 1 >= 4
    happen(evidence, number := number + 1)
    remount(small, "size=8m")
    within(PATIENCE_S, lambda: evidence.written == number)
    assert len(folders(small)) == number
    assert evidence.left_out == 0
    within(PATIENCE_S, lambda: log.kinds == [EVIDENCE_LOST.name, EVIDENCE_KEPT.name])


@pytest.mark.fault("F62", bound="half a minute", outcome="evidence is left out and counted; kept again when the disk works")
def test_f62_a_disk_that_becomes_read_only_is_tried_again(make: Make, log: Log, small: Path) -> None:
    evidence = make(folder=small)
    happen(evidence, 1)
    within(PATIENCE_S, lambda: evidence.written == 1)
    remount(small, "ro")
    happen(evidence, 2)
    within(PATIENCE_S, lambda: "read-only file system" in evidence.trouble)
    remount(small, "rw")
    within(PATIENCE_S, lambda: evidence.written == 2)
    assert folders(small) == ["abc123-1", "abc123-2"]
    within(PATIENCE_S, lambda: log.kinds == [EVIDENCE_LOST.name, EVIDENCE_KEPT.name])
    assert evidence.left_out == 0, "it was late, and is there"


def test_a_disk_that_fails_now_and_then_leaves_whole_folders_only(make: Make, tmp_path: Path) -> None:
    calls = iter(range(1, 1000))

    def write(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])
        if next(calls) % 11 == 0:
            raise OSError(errno.EIO, "Input/output error")
        path.write_bytes(data)

    evidence = make(write=write)
    for number in range(1, 4):
        happen(evidence, number, frames=2)
    within(PATIENCE_S, lambda: evidence.written == 3)
    assert folders(tmp_path) == ["abc123-1", "abc123-2", "abc123-3"]
    assert next(calls) > 17, "some of it twice"
    assert evidence.left_out == 0


def test_what_the_disk_does_not_take_in_half_a_minute_is_lost_and_counted(make: Make, log: Log) -> None:
    def write(_path: Path, _data: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    evidence = make(write=write)
    happen(evidence, 1, monotonic_ns=time.monotonic_ns() - 31 * NS)
    within(PATIENCE_S, lambda: evidence.left_out == 1)
    assert evidence.waiting == 0
    assert "input/output error" in log[0][1]


def test_beyond_the_write_budget_evidence_is_left_out_and_events_are_stored(make: Make, log: Log, tmp_path: Path) -> None:
    counted = [0]

    def wrote() -> int:
        counted[0] += 150_000
        return counted[0]

    evidence = make(settings(budget=8), wrote=wrote, started=True)      # 2 MB at once, a quarter of that for events alone
    for number in range(1, 13):
        happen_alone(evidence, number)
    within(PATIENCE_S, lambda: evidence.waiting == 0)
    assert 5 <= evidence.written < 11
    assert evidence.written + evidence.left_out == 12
    assert log.kinds == [EVIDENCE_LOST.name]
    assert re.search(r"the write budget in \[events\] has no room for 0\.\d MB, and events go first", log[0][1])
    history = evidence._history
    written_mb = float(str(history.report()["written_mb_24h"]))
    assert evidence.written * 0.15 <= written_mb < evidence.written * 0.15 + 0.5, "and the store itself"
    history.put(incident(99))
    within(PATIENCE_S, lambda: history.stored == 1)
    assert history.trouble == ""


def test_the_oldest_goes_when_there_is_too_much_and_some_stay_all_the_same(make: Make, tmp_path: Path) -> None:
    evidence = make(settings(keep_mb=1, keep_least=2))
    for number in range(1, 13):
        happen_alone(evidence, number, frames=5)
    within(PATIENCE_S, lambda: evidence.written == 12)
    within(PATIENCE_S, lambda: not list((tmp_path / FOLDER).glob(f"*{PART}")))
    found = sorted(int(name.partition("-")[2]) for name in folders(tmp_path))
    assert found[-1] == 12
    assert 2 < len(found) < 8
    assert found == list(range(13 - len(found), 13))
    evidence._folders.tidy(time.time_ns() + NS, 1 << 40, 2)
    assert sorted(folders(tmp_path)) == ["abc123-11", "abc123-12"], "too old, but the newest"


def test_what_happened_while_the_time_was_not_known_is_not_taken_for_old(tmp_path: Path) -> None:
    place = Folders(tmp_path / FOLDER)
    place.open()
    for number, known in ((1, True), (2, False), (3, False)):
        place.store({"id": f"abc123-{number}", "utc_ns": number, "synchronised": known}, lambda _folder: None, False)
    assert Folders(tmp_path / FOLDER).tidy(5, 1 << 40, 0) == 0
    again = Folders(tmp_path / FOLDER)
    again.open()
    assert again.tidy(5, 1 << 40, 0) == 1, "the one whose time is known, and what was written before"
    assert [one.name for one in again.entries] == ["abc123-2", "abc123-3"]


@pytest.mark.fault("F71", bound="the next start", outcome="what was cut off is removed; what is there is whole")
def test_f71_what_was_cut_off_is_removed_at_the_start(make: Make, tmp_path: Path) -> None:
    cut = tmp_path / FOLDER / f"abc123-7{PART}" / "frames" / "gate"
    cut.mkdir(parents=True)
    (cut / "17.jpg").write_bytes(JPEG[:100])
    evidence = make()
    within(PATIENCE_S, lambda: not any((tmp_path / FOLDER).iterdir()))
    happen(evidence, 7)
    within(PATIENCE_S, lambda: folders(tmp_path) == ["abc123-7"])


def test_evidence_goes_with_its_event_when_somebody_removes_that(make: Make, tmp_path: Path) -> None:
    evidence = make(started=True)
    history = evidence._history
    for number in (1, 2, 3):
        happen(evidence, number)
        history.put(incident(number))
    within(PATIENCE_S, lambda: history.stored == 3 and evidence.written == 3)
    assert history.prune(None, 1) == 2
    evidence.prune()
    assert folders(tmp_path) == ["abc123-3"]
    assert [one.name for one in evidence._folders.entries] == ["abc123-3"]
    (tmp_path / FILE).rename(tmp_path / "elsewhere.db")
    with pytest.raises(OSError, match="no event has been stored there"):
        evidence.prune()


def test_what_is_under_way_at_the_end_is_written_as_it_is(make: Make, tmp_path: Path) -> None:
    evidence = make(settings(after_s=60))
    happen(evidence, 1)
    within(PATIENCE_S, lambda: len(evidence._waiting) == 1)
    assert evidence.close(PATIENCE_S) == ""
    assert folders(tmp_path) == ["abc123-1"]
