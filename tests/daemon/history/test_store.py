"""The store: what add() returned from is there, whatever version it was begun with and however often it is told."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reflexd.history.budget import thread_wrote
from reflexd.history.reading import Reader, ReadError, Wanted, this_boot
from reflexd.history.shape import STEPS, VERSION, NewerError, migrate, version_of
from reflexd.history.store import ASIDE, Bounds, DamagedError, Store, set_aside
from reflexd.history.wording import config_hash
from reflexd.rules.items import Verdict
from tests.daemon.history.incidents import NS, SETTINGS, incident, run_named

RUN = run_named()
HASH = config_hash(SETTINGS)
DAY = 86_400 * NS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def config(_one: Any) -> str:
    return HASH


def told(path: Path, **wanted: Any) -> list[dict[str, Any]]:
    with Reader(path) as reader:
        return reader.find(Wanted(**wanted))


def filled(path: Path, *incidents: Any) -> Store:
    store = Store(path)
    store.add(RUN, incidents, config)
    return store


def test_an_event_comes_back_with_all_that_was_known(path: Path) -> None:
    store = filled(path, incident(17, utc_ns=1_700_000_000 * NS, monotonic_ns=5, synchronised=True))
    store.close()
    assert told(path) == [{
        "id": "abc123-17", "seq": 1 << 32 | 17, "kind": "fired", "rule": "light the path",
        "why": "model.gate person at least 0.7: 0.82 (3 of 5 hits); sensor.away is true: false",
        "verdicts": [
            {"what": "model.gate person at least 0.7", "truth": True, "observed": 0.82, "note": "3 of 5 hits", "margin": 0.12},
            {"what": "sensor.away is true", "truth": False, "observed": False}],
        "outputs": {"lamp": "on"}, "held": "", "config": HASH, "models": {"gate": "f" * 64}, "frame_age_ms": 40.0,
        "latency_ms": 41.5, "utc_ns": 1_700_000_000 * NS, "monotonic_ns": 5, "synchronised": True, "boot": "this boot",
        "version": "0.1.0", "time": "2023-11-14T22:13:20.000+00:00"}]


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_the_disk_is_waited_for_as_the_configuration_says(path: Path, durability: str) -> None:
    store = Store(path, durability)
    assert store._one("PRAGMA synchronous") == {"normal": 1, "full": 2}[durability]
    assert store._one("PRAGMA journal_mode") == "wal"
    store.close()


def test_what_is_told_twice_is_stored_once(path: Path) -> None:
    store = filled(path, incident(1), incident(2))
    store.add(RUN, [incident(2, rule="another"), incident(3)], config)
    assert [(one["id"], one["rule"]) for one in told(path)] == [
        ("abc123-1", "light the path"), ("abc123-2", "light the path"), ("abc123-3", "light the path")]
    store.close()


def test_two_runs_that_share_a_name_lose_nothing(path: Path) -> None:
    store = filled(path, incident(1))
    store.add(run_named(began_ns=2), [incident(1, rule="of the other run")], config)
    assert [one["rule"] for one in told(path)] == ["light the path", "of the other run"]
    store.close()


def test_a_batch_is_stored_whole_or_not_at_all(path: Path) -> None:
    store = Store(path)
    with pytest.raises(sqlite3.IntegrityError):
        store.add(RUN, [incident(1), incident(2, rule=None)], config)
    store.add(RUN, [incident(3)], config)
    assert [one["id"] for one in told(path)] == ["abc123-3"]
    store.close()


@pytest.mark.parametrize("have", range(VERSION))
def test_a_store_of_an_older_version_is_brought_up_to_date_and_keeps_its_events(path: Path, have: int) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    migrate(db, STEPS[:have])
    assert version_of(db) == have
    if have:
        db.execute("INSERT INTO runs VALUES (1, 'old', 'boot', 1, 1, '0.0.9')")
        old = "(?, 'fired', 'a', 'why', '[]', '{}', '', 'c', '{}', 1, 2, 3, 4, NULL)"
        db.execute(f"INSERT INTO events VALUES {old}", (1 << 32 | 7,))
    db.close()
    store = Store(path)
    store.add(RUN, [incident(1)], config)
    store.close()
    assert [one["id"] for one in told(path)] == [*(["old-7"] if have else []), "abc123-1"]


def test_a_step_that_fails_leaves_the_store_as_it_was(path: Path) -> None:
    filled(path, incident(1)).close()
    db = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (*STEPS, ("ALTER TABLE events ADD COLUMN more TEXT", "DROP TABLE none_of_that_name")))
    db.close()
    assert [one["id"] for one in told(path)] == ["abc123-1"]


def test_a_store_of_a_newer_version_is_left_alone(path: Path) -> None:
    filled(path, incident(1)).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(NewerError, match=rf"of version {VERSION + 1}, and this reflexd knows {VERSION}; use that one"):
        Store(path)
    assert path.read_bytes() == before
    with pytest.raises(ReadError, match="is of a newer reflexd; use its reflexctl"):
        told(path)


@pytest.mark.parametrize("damage", ["header", "tree", "text", "fifo"])
def test_a_damaged_file_is_told_apart_from_a_disk_that_fails(path: Path, damage: str) -> None:
    filled(path, *(incident(number) for number in range(1, 60))).close()
    whole = bytearray(path.read_bytes())
    if damage == "header":
        whole[:100] = os.urandom(100)
    elif damage == "tree":
        whole[2 * 4096:] = os.urandom(len(whole) - 2 * 4096)
    elif damage == "text":
        whole = bytearray(b"these are my notes\n" * 500)
    path.write_bytes(whole)
    if damage == "fifo":
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(DamagedError):
        Store(path)


def test_what_is_damaged_is_set_aside_under_a_name_of_its_own_and_not_for_ever(path: Path) -> None:
    for number in range(1, ASIDE + 3):
        path.write_text(f"damaged {number}")
        Path(f"{path}-wal").write_text(f"log {number}")
        assert set_aside(path).name == f"events.db.damaged-{number}"
    kept = sorted(one.name for one in path.parent.iterdir())
    last = range(3, ASIDE + 3)
    assert kept == sorted([*(f"events.db.damaged-{one}" for one in last), *(f"events.db.damaged-{one}-wal" for one in last)])
    assert (path.parent / f"events.db.damaged-{ASIDE + 2}-wal").read_text() == f"log {ASIDE + 2}"


def test_the_file_is_for_the_daemons_user_even_when_root_was_there_first(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(path.parent, 1234, 2345)
    filled(path, incident(1)).close()
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 2345, 0o600)


def many(path: Path, count: int, **changes: Any) -> Store:
    store = Store(path)
    store.add(RUN, [incident(number, rule=f"rule {number % 3}", **changes) for number in range(1, count + 1)], config)
    return store


def tidied(store: Store, bounds: Bounds) -> int:
    gone = 0
    while step := store.tidy(bounds, most=10):
        assert step <= 10, "in small steps, so that new events are stored between them"
        gone += step
    return gone


def test_what_is_too_old_goes_but_for_the_newest_of_each_rule(path: Path) -> None:
    now = time.time_ns()
    store = many(path, 30, utc_ns=now - 40 * DAY)
    store.add(RUN, [incident(31, rule="rule 0", utc_ns=now)], config)
    assert tidied(store, Bounds(now - 30 * DAY, 1 << 30, per_rule=2)) == 30 - 5
    assert [one["id"] for one in told(path)] == [f"abc123-{number}" for number in (25, 26, 28, 29, 30, 31)]
    store.close()


def test_a_clock_that_was_not_set_makes_nothing_old(path: Path) -> None:
    store = many(path, 10, utc_ns=5, synchronised=False)
    assert tidied(store, Bounds(time.time_ns() - DAY, 1 << 30, 0)) == 0
    assert tidied(store, Bounds(None, 1 << 30, 0)) == 0
    store.add(RUN, [incident(11, utc_ns=time.time_ns() - 2 * DAY, synchronised=True)], config)
    assert tidied(store, Bounds(time.time_ns() - DAY, 1 << 30, 0)) == 11, "what was stored before is older still"
    store.close()


def test_a_store_that_is_too_large_loses_its_oldest(path: Path) -> None:
    store = many(path, 900)
    bound = 200_000
    assert store.used_bytes > bound
    tidied(store, Bounds(None, bound, per_rule=5))
    assert bound / 2 < store.used_bytes <= bound
    kept = [int(one["id"].rpartition("-")[2]) for one in told(path)]
    assert kept == list(range(901 - len(kept), 901))
    store.close()


def test_the_newest_of_each_rule_stay_even_where_they_are_too_large(path: Path) -> None:
    store = many(path, 300)
    tidied(store, Bounds(time.time_ns() + DAY, 0, per_rule=7))
    assert len(told(path)) == 21
    store.close()


def test_prune_removes_what_was_asked_for_and_gives_the_room_back(path: Path) -> None:
    store = many(path, 2000)
    before = path.stat().st_size + Path(f"{path}-wal").stat().st_size
    assert store.prune(None, keep=5) == 1995
    store.close()
    assert [one["id"] for one in told(path)] == [f"abc123-{number}" for number in range(1996, 2001)]
    assert path.stat().st_size < before / 4


def test_what_is_removed_costs_the_card_little(path: Path) -> None:
    store = many(path, 8000)
    before, size = thread_wrote(), store.used_bytes
    if before is None:
        pytest.skip("this kernel does not count what a thread writes")
    store.tidy(Bounds(None, 0, 0))
    after = thread_wrote()
    assert after is not None
    assert after - before < 220_000, "of 500 events that take 256 kB"
    store.prune(None, keep=10)
    last = thread_wrote()
    assert last is not None
    assert last - after < 1.5 * size
    store.close()
    assert path.stat().st_size < 100_000


def test_a_store_whose_file_was_removed_says_so(path: Path) -> None:
    store = filled(path, incident(1))
    assert not store.gone
    Path(f"{path}-wal").unlink()
    assert store.gone, "its log alone holds what was stored last"
    store.close()
    store = filled(path, incident(2))
    assert not store.gone
    path.rename(path.parent / "elsewhere")
    assert store.gone
    path.write_bytes(b"")
    assert store.gone, "another one"
    store.close()


def test_what_no_encoding_can_say_is_stored_all_the_same(path: Path) -> None:
    odd = incident(1, text="no file \udce9.csv", held="\udce9", reasons=(Verdict(True, "sensor.a is \udce9", "\udce9"),))
    filled(path, odd, incident(2)).close()
    first, _ = told(path)
    assert (first["why"], first["held"]) == ("no file \\udce9.csv", "\\udce9")
    assert first["verdicts"][0]["truth"] is True


def test_of_many_events_only_some_are_in_memory_and_the_log_of_the_store_is_not_held(path: Path) -> None:
    store = many(path, 1800)
    with Reader(path) as reader:
        coming = reader.each(Wanted())
        first = next(coming)
        store.add(RUN, [incident(1801)], config)
        assert store._one("PRAGMA wal_checkpoint(TRUNCATE)") == 0, "not busy"
        assert [one["seq"] & 0xFFFF for one in (first, *coming)] == list(range(1, 1801)), "those that were there when it began"
        assert [one["id"] for one in reader.each(Wanted(newest=2))] == ["abc123-1800", "abc123-1801"]
        assert [one["id"] for one in reader.each(Wanted(rule="rule 1", newest=1))] == ["abc123-1798"]
        assert len(reader.find(Wanted(rule="rule 0"))) == 600
        assert reader.find(Wanted(rule="none")) == []
        assert reader.rules() == ["light the path", "rule 0", "rule 1", "rule 2"]
    store.close()


def test_prune_by_age_takes_what_is_older_and_keeps_the_rest(path: Path) -> None:
    now = time.time_ns()
    store = Store(path)
    store.add(RUN, [incident(number, utc_ns=now - (10 - number) * DAY) for number in range(1, 10)], config)
    assert store.prune(now - 4 * DAY - 1, None) == 5
    assert store.prune(now - 4 * DAY - 1, None) == 0
    store.close()
    assert [one["id"] for one in told(path)] == [f"abc123-{number}" for number in (6, 7, 8, 9)]


def test_readers_choose_by_rule_time_and_number(path: Path) -> None:
    now = time.time_ns()
    first = incident(1, rule="a", utc_ns=now - 3600 * NS)
    filled(path, first, incident(2, rule="b"), incident(3, rule="a"), incident(4, rule="a")).close()
    assert [one["id"] for one in told(path, rule="a")] == ["abc123-1", "abc123-3", "abc123-4"]
    assert [one["id"] for one in told(path, since_s=60)] == ["abc123-2", "abc123-3", "abc123-4"]
    assert [one["id"] for one in told(path, newest=2)] == ["abc123-3", "abc123-4"]
    assert [one["id"] for one in told(path, after=1 << 32 | 3)] == ["abc123-4"]
    with Reader(path) as reader:
        found = reader.one("abc123-2")
        assert found is not None
        assert found["rule"] == "b"
        assert reader.one("zzz") is None


def test_within_this_boot_ages_go_by_the_clock_that_never_steps(path: Path) -> None:
    store = Store(path)
    wrong = time.time_ns() - 3650 * DAY          # the wall clock was wrong by ten years then
    earlier = incident(2, monotonic_ns=time.monotonic_ns() - 3600 * NS)
    store.add(replace(RUN, boot=this_boot()), [incident(1, utc_ns=wrong), earlier], config)
    store.close()
    assert [one["id"] for one in told(path, since_s=60)] == ["abc123-1"]


def test_a_store_is_read_while_it_is_written_and_where_nothing_can_be_written(path: Path) -> None:
    store = filled(path, incident(1))
    assert len(told(path)) == 1
    store.add(RUN, [incident(2)], config)
    assert len(told(path)) == 2
    store.close()
    assert not Path(f"{path}-wal").exists()
    assert len(told(path)) == 2


@pytest.mark.parametrize(("make", "why"), [
    (lambda path: None, "no event has been stored there; see --store, and state_dir"),
    (lambda path: path.write_text("my notes\n" * 1000), "file is not a database; see --store"),
    (lambda path: path.touch(), "is no store; see --store"),
    (lambda path: path.mkdir(), "use sudo|look at the file"),
])
def test_a_store_that_cannot_be_read_is_one_clear_line(path: Path, make: Any, why: str) -> None:
    make(path)
    with pytest.raises(ReadError, match=why) as told_of:
        told(path)
    assert str(told_of.value).startswith(str(path))
