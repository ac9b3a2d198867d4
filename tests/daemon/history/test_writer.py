"""The writer: whatever the disk does, nobody waits for it, every event is stored or counted, and the log says so once."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reflexd.config.settings import EventsSettings
from reflexd.events import EVENTS_ASIDE, EVENTS_STORED, EVENTS_WAIT
from reflexd.history.reading import Reader, ReadError, Wanted
from reflexd.history.shape import VERSION
from reflexd.history.store import FILE, Store
from reflexd.history.writer import USUAL_FOLDER, WAITING, Writer
from tests.daemon.disks import remount, small_disk
from tests.daemon.history.incidents import NS, Disk, Log, incident, run_named
from tests.stopwatch import Stopwatch, within

PATIENCE_S = 20
SETTINGS = EventsSettings(write_budget_mb_per_day=100_000)
Make = Callable[..., Writer]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def make(tmp_path: Path, log: Log) -> Iterator[Make]:
    """Give a function that starts a writer; what it started is ended."""
    made: list[Writer] = []

    def begin(settings: EventsSettings = SETTINGS, folder: Path = tmp_path, **changes: Any) -> Writer:
        writer = Writer(run_named(), settings, folder, **{"pause_s": 0.01, "tell": log, **changes})
        made.append(writer)
        writer.start()
        return writer

    yield begin
    for writer in made:
        writer.close(5)


def ids(path: Path) -> list[int]:
    with Reader(path) as reader:
        return [int(one["id"].rpartition("-")[2]) for one in reader.find(Wanted())]


def put(writer: Writer, *numbers: int) -> None:
    for number in numbers:
        writer.put(incident(number))


def test_what_is_put_is_stored_and_told_as_stored(make: Make) -> None:
    writer = make()
    put(writer, *range(1, 301))
    within(PATIENCE_S, lambda: writer.stored == 300)
    assert ids(writer.path) == list(range(1, 301))
    told = writer.report()
    assert (told["stored"], told["stored_up_to"], told["waiting"], told["dropped"]) == (300, "abc123-300", 0, 0)
    assert (told["kept"], told["trouble"]) == (300, "")


def test_where_the_loop_did_not_know_the_clock_is_asked_when_an_event_comes(make: Make) -> None:
    said = iter([True, False])
    writer = make(synchronised=lambda: next(said))
    for number, known in ((1, None), (2, None), (3, True), (4, False)):
        writer.put(incident(number, synchronised=known))
    within(PATIENCE_S, lambda: writer.stored == 4)
    with Reader(writer.path) as reader:
        assert [one["synchronised"] for one in reader.find(Wanted())] == [True, False, True, False]


def test_what_waits_at_the_end_is_stored_before_it_ends(make: Make) -> None:
    writer = make(pause_s=60)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1 or writer.waiting == 1)
    put(writer, 2, 3)
    assert writer.close(PATIENCE_S) == ""
    assert not Path(f"{writer.path}-wal").exists(), "it was closed"
    assert ids(writer.path) == [1, 2, 3]


@pytest.mark.parametrize(("enabled", "trial"), [(False, False), (True, True)])
def test_where_events_are_not_wanted_there_is_no_file(make: Make, tmp_path: Path, enabled: bool, trial: bool) -> None:
    writer = make(EventsSettings(enabled=enabled), trial=trial)
    put(writer, 1)
    writer.take_over(EventsSettings(enabled=enabled))
    assert writer.close(1) == ""
    assert list(tmp_path.iterdir()) == []
    assert writer.waiting == 0


def test_a_reload_may_begin_to_store_and_ask_for_more_durability(make: Make) -> None:
    writer = make(EventsSettings(enabled=False))
    writer.take_over(SETTINGS)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    writer.take_over(SETTINGS.model_copy(update={"durability": "full"}))
    put(writer, 2)
    within(PATIENCE_S, lambda: writer.stored == 2)
    assert writer._store is not None
    assert writer._store.durability == "full"
    assert ids(writer.path) == [1, 2]


@pytest.mark.parametrize(("code", "remedy"), [
    (sqlite3.SQLITE_IOERR, "look at the card"), (sqlite3.SQLITE_FULL, "make room"), (sqlite3.SQLITE_READONLY, "read-only")])
@pytest.mark.fault("F62", bound="at once", outcome="events wait in memory; written when the disk works again; outputs unaffected")
def test_f62_events_wait_for_a_disk_that_fails_and_the_log_tells_it_once(make: Make, log: Log, code: int, remedy: str) -> None:
    disk = Disk()
    writer = make(opens=disk)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    disk.failing = code
    put(writer, 2)
    within(PATIENCE_S, lambda: disk.failed >= 2)       # tried again
    put(writer, 3)
    within(PATIENCE_S, lambda: writer.waiting == 2)
    assert remedy in str(writer.report()["trouble"])
    disk.failing = None
    within(PATIENCE_S, lambda: writer.stored == 3)
    within(PATIENCE_S, lambda: len(log) == 2)
    assert log.kinds == [EVENTS_WAIT.name, EVENTS_STORED.name]
    assert remedy in log[0][1]
    assert "0 were dropped" in log[1][1]
    assert ids(writer.path) == [1, 2, 3]
    assert (writer.dropped, writer.trouble) == (0, "")


def test_what_could_not_be_stored_in_the_end_is_told(make: Make) -> None:
    disk = Disk()
    disk.failing = sqlite3.SQLITE_FULL
    writer = make(opens=disk)
    put(writer, 1, 2)
    within(PATIENCE_S, lambda: writer.trouble != "")
    told = writer.close(PATIENCE_S)
    assert told.startswith(f"2 events are not stored: {writer.path}: ")
    assert told.endswith("make room on that disk")


def test_when_too_much_waits_the_oldest_is_dropped_and_counted(make: Make, log: Log) -> None:
    disk = Disk()
    disk.failing = sqlite3.SQLITE_IOERR
    writer = make(opens=disk)
    with Stopwatch() as took:
        for number in range(1, WAITING + 501):
            writer.put(incident(number))
            if number % 100 == 0:       # so that the thread takes them in as it would
                within(PATIENCE_S, lambda: len(writer._inbox) == 0)
    assert took.seconds < 5
    within(PATIENCE_S, lambda: writer.waiting == WAITING)
    assert writer.dropped == 500
    disk.failing = None
    within(PATIENCE_S, lambda: writer.stored == WAITING)
    assert ids(writer.path) == list(range(501, WAITING + 501))
    within(PATIENCE_S, lambda: len(log) == 2)
    assert "500 were dropped" in log[1][1]


def test_a_disk_that_never_answers_keeps_nobody_waiting_and_memory_is_bounded(make: Make) -> None:
    answers = Disk()
    hangs = [True]

    def opens(path: Path) -> sqlite3.Connection:
        while hangs:
            time.sleep(0.01)
        return answers(path)

    writer = make(opens=opens)
    with Stopwatch() as took:
        put(writer, *range(1, 4 * WAITING))
    assert took.seconds < 2
    assert writer.waiting <= 2 * WAITING
    assert writer.waiting + writer.dropped == 4 * WAITING - 1
    with Stopwatch() as took:
        assert "events are not stored: the disk takes too long" in writer.close(0.3)
    assert took.seconds < 1
    hangs.clear()


@pytest.mark.parametrize("content", [b"these are my notes\n" * 400, b"SQLite format 3\0" + bytes(range(256)) * 40])
def test_a_damaged_store_is_set_aside_and_a_new_one_begun(make: Make, log: Log, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    writer = make()
    put(writer, 1, 2)
    within(PATIENCE_S, lambda: writer.stored == 2)
    assert ids(writer.path) == [1, 2]
    assert (tmp_path / f"{FILE}.damaged-1").read_bytes() == content
    assert log.kinds == [EVENTS_ASIDE.name]
    assert f"{FILE}.damaged-1" in log[0][1]


def test_a_store_that_is_damaged_while_in_use_costs_what_was_stored_and_no_new_event(make: Make, log: Log) -> None:
    writer = make()
    put(writer, *range(1, 200))
    within(PATIENCE_S, lambda: writer.stored == 199)
    writer.take_over(SETTINGS.model_copy(update={"durability": "full"}))       # which opens it anew
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError), Path(f"{writer.path}{ending}").open("r+b") as file:
            file.write(os.urandom(40_000))
    put(writer, *range(200, 300))
    within(PATIENCE_S, lambda: writer.stored == 299)
    assert ids(writer.path)[-100:] == list(range(200, 300))
    assert EVENTS_ASIDE.name in log.kinds


def test_a_store_of_a_newer_version_waits_for_the_newer_reflexd(make: Make, log: Log, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    writer = make()
    put(writer, 1)
    within(PATIENCE_S, lambda: len(log) == 1)
    assert "use that one, or move the file away" in log[0][1]
    (tmp_path / FILE).unlink()
    within(PATIENCE_S, lambda: writer.stored == 1)


def test_a_folder_that_is_not_there_is_told_unless_nobody_asked_for_one(make: Make, log: Log, tmp_path: Path) -> None:
    writer = make(folder=tmp_path / "none")
    within(PATIENCE_S, lambda: len(log) == 1)
    assert "there is no such folder; make it, or set state_dir in [daemon]" in log[0][1]
    (tmp_path / "none").mkdir()
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    within(PATIENCE_S, lambda: log.kinds == [EVENTS_WAIT.name, EVENTS_STORED.name])


@pytest.mark.skipif(Path(USUAL_FOLDER).exists(), reason="reflexd is installed here")
def test_run_by_hand_without_a_service_around_it_there_is_no_line(make: Make, log: Log) -> None:
    writer = make(folder=Path(USUAL_FOLDER))
    put(writer, 1)
    within(PATIENCE_S, lambda: "there is no such folder" in str(writer.report()["trouble"]) and writer.waiting == 1)
    assert log == []
    assert writer.close(PATIENCE_S) == "", "nor at the end"


def test_beyond_the_write_budget_events_wait_and_are_written_rarely(make: Make, log: Log) -> None:
    counted = [0]

    def wrote() -> int:
        counted[0] += 100_000          # twice for each commit, so one commit costs that much
        return counted[0]

    writer = make(EventsSettings(write_budget_mb_per_day=2), wrote=wrote)     # a quarter of it at once: 0.5 MB
    for number in range(1, 40):
        put(writer, number)
        within(PATIENCE_S, lambda: not len(writer._inbox))
        time.sleep(0.02)
    within(PATIENCE_S, lambda: writer.waiting > 0 and writer.trouble != "")
    assert 3 <= writer.stored < 20
    assert "the write budget of 2 MB a day is used up" in log[0][1]
    assert log.kinds == [EVENTS_WAIT.name]
    assert writer.report()["written_mb_24h"] >= 0.5
    stored = writer.stored
    assert writer.close(PATIENCE_S) == "", "at the end once more, whatever the budget says"
    assert ids(writer.path) == list(range(1, 40))
    assert writer.stored > stored


def test_a_budget_that_was_used_up_is_so_after_a_restart(make: Make, log: Log) -> None:
    counts = iter(range(0, 1 << 40, 1_500_000))
    first = make(EventsSettings(write_budget_mb_per_day=10), wrote=lambda: next(counts))
    put(first, 1)
    within(PATIENCE_S, lambda: first.stored == 1)
    first.close(PATIENCE_S)
    log.clear()
    second = make(EventsSettings(write_budget_mb_per_day=10))
    put(second, 2)
    within(PATIENCE_S, lambda: log.kinds == [EVENTS_WAIT.name])
    assert second.stored == 0


def test_a_budget_that_a_reload_raises_counts_at_once(make: Make) -> None:
    counts = iter(range(0, 1 << 40, 400_000))
    writer = make(EventsSettings(write_budget_mb_per_day=2), wrote=lambda: next(counts))
    for number in (1, 2, 3):
        put(writer, number)
        within(PATIENCE_S, lambda number=number: writer.stored == number or "is used up" in writer.trouble)
    assert writer.waiting > 0
    writer.take_over(EventsSettings(write_budget_mb_per_day=1000))
    within(PATIENCE_S, lambda: writer.stored == 3 and writer.trouble == "")


def test_what_somebody_removes_is_counted_and_keeps_no_event_waiting(make: Make) -> None:
    counted = [0]
    writer = make(EventsSettings(write_budget_mb_per_day=2), wrote=lambda: counted[0])
    put(writer, 1, 2)
    within(PATIENCE_S, lambda: writer.stored == 2)
    counts = iter(range(0, 1 << 40, 50_000_000))
    writer._wrote = lambda: next(counts)
    assert writer.prune(None, 1) == 1
    writer._wrote = lambda: counted[0]
    assert writer.report()["written_mb_24h"] >= 50
    put(writer, 3)
    within(PATIENCE_S, lambda: writer.stored == 3)


def test_what_was_told_as_not_removed_is_not_removed_later(make: Make) -> None:
    hangs = [True]
    answers = Disk()

    def opens(path: Path) -> sqlite3.Connection:
        while hangs:
            time.sleep(0.01)
        return answers(path)

    writer = make(opens=opens)
    put(writer, 1, 2, 3)
    with pytest.raises(TimeoutError, match="the store does not answer, and nothing is removed"):
        writer.prune(None, 0, within_s=0.05)
    hangs.clear()
    within(PATIENCE_S, lambda: writer.stored == 3)
    put(writer, 4)
    within(PATIENCE_S, lambda: writer.stored == 4)
    assert ids(writer.path) == [1, 2, 3, 4]


def test_where_no_events_are_stored_none_is_removed_and_it_says_how(make: Make) -> None:
    writer = make(EventsSettings(enabled=False))
    with pytest.raises(OSError, match="this reflexd stores no events; name the file with --store"):
        writer.prune(None, 0)
    writer.take_over(SETTINGS)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    assert ids(writer.path) == [1]


@pytest.mark.parametrize("removed", [("",), ("", "-wal", "-shm"), ("-wal",)])
def test_a_store_that_somebody_removes_is_begun_anew_and_no_later_event_is_lost(
        make: Make, tmp_path: Path, removed: tuple[str, ...]) -> None:
    disk = Disk()
    writer = make(opens=disk)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    put(writer, 2)
    within(PATIENCE_S, lambda: writer.stored == 2)
    assert disk.opened == 1
    for ending in removed:
        Path(f"{writer.path}{ending}").unlink()
    put(writer, 3)
    within(PATIENCE_S, lambda: writer.stored == 3)
    assert ids(writer.path)[-1] == 3
    assert writer.report()["kept"] == len(ids(writer.path))


def test_what_a_disk_took_although_it_told_a_failure_is_stored_and_counted_once(make: Make) -> None:
    fails = [True]

    class Late(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            done = super().execute(*args)
            if args[0] == "COMMIT" and fails and int(super().execute("SELECT count(*) FROM events").fetchone()[0]):
                fails.clear()
                raise sqlite3.OperationalError("disk I/O error")
            return done

    writer = make(opens=lambda path: sqlite3.connect(path, factory=Late, isolation_level=None))
    put(writer, *range(1, 6))
    within(PATIENCE_S, lambda: writer.stored == 5)
    assert not fails
    assert ids(writer.path) == [1, 2, 3, 4, 5]
    assert writer.report()["kept"] == 5


def test_a_folder_in_the_place_of_the_store_is_told_as_that(make: Make, log: Log, tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    writer = make()
    within(PATIENCE_S, lambda: len(log) == 1)
    assert log[0][1].endswith(f"{FILE}: is a folder, and the store has to be a file; move it away")
    (tmp_path / FILE).rmdir()
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)


def test_status_names_what_events_wait_for_now(make: Make) -> None:
    disk = Disk()
    disk.failing = sqlite3.SQLITE_FULL
    counts = iter(range(0, 1 << 40, 400_000))
    writer = make(EventsSettings(write_budget_mb_per_day=2), opens=disk, wrote=lambda: next(counts))
    put(writer, 1)
    within(PATIENCE_S, lambda: "make room" in writer.trouble)
    disk.failing = None
    within(PATIENCE_S, lambda: "is used up" in writer.trouble)


def test_somebody_may_remove_events_while_it_writes(make: Make) -> None:
    writer = make()
    put(writer, *range(1, 51))
    within(PATIENCE_S, lambda: writer.stored == 50)
    assert writer.prune(None, 5) == 45
    put(writer, 51)
    within(PATIENCE_S, lambda: writer.stored == 51)
    assert ids(writer.path) == [46, 47, 48, 49, 50, 51]
    assert writer.report()["kept"] == 6


def test_what_cannot_be_removed_is_told_to_who_asked(make: Make) -> None:
    disk = Disk()
    writer = make(opens=disk)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    disk.failing = sqlite3.SQLITE_READONLY
    with pytest.raises(OSError, match="look why the disk is read-only"):
        writer.prune(None, 0)
    disk.failing = None


def test_what_need_not_be_kept_goes_while_it_writes(make: Make) -> None:
    writer = make(SETTINGS.model_copy(update={"keep_mb": 0.2, "keep_per_rule": 10}))
    for start in range(1, 3001, 250):
        put(writer, *range(start, start + 250))
        within(PATIENCE_S, lambda: not writer.waiting)
    within(PATIENCE_S, lambda: writer.report()["used_mb"] <= 0.2)
    found = ids(writer.path)
    assert found[-1] == 3000
    assert 10 <= len(found) < 1000
    assert found == list(range(3001 - len(found), 3001))


@pytest.mark.parametrize(("known", "left"), [(False, 10), (True, 0)])
def test_a_clock_that_is_not_known_to_be_right_makes_no_event_old(make: Make, tmp_path: Path, known: bool, left: int) -> None:
    store = Store(tmp_path / FILE)
    then = time.time_ns() - 3650 * 86_400 * NS           # it was right then, and the clock has been set forward since
    store.add(run_named("before"), [incident(number, utc_ns=then, synchronised=True) for number in range(1, 11)], lambda _one: "")
    store.close()
    writer = make(SETTINGS.model_copy(update={"keep_per_rule": 0}), synchronised=lambda: known)
    within(PATIENCE_S, lambda: writer._tidy_at > 0)
    put(writer, 11)
    within(PATIENCE_S, lambda: writer.stored == 1)
    assert len(ids(writer.path)) == left + 1


@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails_in_whatever_order_each_event_is_stored_or_counted(make: Make, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    disk, number = Disk(), 0
    writer = make(opens=disk)
    for _ in range(30):
        disk.failing = chance.choice([None, None, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY])
        for _ in range(chance.choice([0, 1, 30])):
            number += 1
            writer.put(incident(number))
        time.sleep(chance.choice([0.0, 0.02]))
    disk.failing = None
    within(PATIENCE_S, lambda: writer.waiting == 0 and writer.stored + writer.dropped >= number)
    assert writer.stored + writer.dropped == number
    assert ids(writer.path) == list(range(1, number + 1))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    with small_disk(tmp_path / "disk", 1) as place:
        yield place


@pytest.mark.fault("F61", bound="at once", outcome="up to 1,000 events wait in memory; written once there is room")
def test_f61_a_full_disk_of_1_mb_takes_what_it_can_and_the_rest_when_there_is_room(make: Make, log: Log, small: Path) -> None:
    writer, number = make(folder=small), 0
    while not writer.trouble:
        number += 50
        put(writer, *range(number - 49, number + 1))
        within(PATIENCE_S, lambda: writer.trouble != "" or not writer.waiting)
        assert number < 5000
    assert "database or disk is full; make room" in writer.trouble
    stored = writer.stored
    assert stored > 200
    put(writer, *range(number + 1, number + 101))
    number += 100
    remount(small, "size=8m")
    within(PATIENCE_S, lambda: writer.stored == number)
    assert ids(writer.path) == list(range(1, number + 1))
    assert writer.dropped == 0
    within(PATIENCE_S, lambda: log.kinds == [EVENTS_WAIT.name, EVENTS_STORED.name])


def test_a_disk_that_is_mounted_read_only_is_waited_for(make: Make, log: Log, small: Path) -> None:
    writer = make(folder=small)
    put(writer, 1)
    within(PATIENCE_S, lambda: writer.stored == 1)
    writer.close(PATIENCE_S)
    remount(small, "ro")
    after = make(folder=small)
    put(after, 2)
    within(PATIENCE_S, lambda: after.trouble != "" and after.waiting == 1)
    assert ids(after.path) == [1], "what is stored can be read meanwhile"
    remount(small, "rw")
    within(PATIENCE_S, lambda: after.stored == 1)
    assert ids(after.path) == [1, 2]


def test_a_card_that_is_read_elsewhere_without_being_written_tells_what_to_do(small: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / FILE)
    store.add(run_named(), [incident(1)], lambda _one: "")
    for ending in ("", "-wal"):        # as after a power cut, but for the part that is of no use then
        (small / f"{FILE}{ending}").write_bytes(Path(f"{store.path}{ending}").read_bytes())
    store.close()
    remount(small, "ro")
    with pytest.raises(ReadError, match=f"copy it and {FILE}-wal elsewhere, and see --store"):
        ids(small / FILE)
    for ending in ("", "-wal"):
        (tmp_path / f"copy{ending}").write_bytes((small / f"{FILE}{ending}").read_bytes())
    assert ids(tmp_path / "copy") == [1]
