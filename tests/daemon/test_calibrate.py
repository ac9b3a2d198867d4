"""reflexctl calibrate: a recording of normal running becomes a bundle that says what is too far, or one line says why not."""

from __future__ import annotations

import argparse
import csv
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from reflexd import recording
from reflexd.access import Access
from reflexd.control import Server, Verb
from reflexd.ctl import calibrate as verb
from reflexd.ctl.listening import Clock, listen
from reflexd_models.base import ModelError
from reflexd_models.bundle import find_bundle, open_model
from reflexd_models.tasks.anomaly import Options

RNG = np.random.default_rng(8)


def command(*words: object) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args([str(word) for word in words]))


def failure(capfd, *words: object) -> str:
    assert command(*words) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("reflexctl: ")
    return line


def shaken(samples: int, strength: float = 1.0) -> np.ndarray:
    """Give vibration of two channels at 100 Hz."""
    at = np.arange(samples)[:, None] / 100
    return np.sin(2 * np.pi * np.array([9, 18]) * at) * strength + RNG.normal(0, 0.2, (samples, 2))


def write_csv(path, rows, times=None, names=("x", "y")):
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*(["time_s"] if times is not None else []), *names])
        for at, row in enumerate(rows):
            out.writerow([*([f"{times[at]:.6f}"] if times is not None else []), *row])
    return path


def uneven(seconds: int) -> np.ndarray:
    """Give the times of readings that come 100 times a second, more or less."""
    return np.arange(seconds * 100) / 100 + RNG.uniform(-0.003, 0.003, seconds * 100)


@pytest.fixture(scope="module")
def pump(tmp_path_factory):
    """Calibrate once; give the state directory and what was said."""
    folder = tmp_path_factory.mktemp("pump")
    times = uneven(160)
    times[8000:] += 5                      # a gap
    write_csv(folder / "normal.csv", shaken(16_000), times)
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    words = [folder / "normal.csv", "--as", "pump", "--rate-hz", 100, "--length", 100, "--state-dir", folder / "state"]
    assert verb.run(parser.parse_args([str(word) for word in words])) == 0
    return folder


def model_of(state, name="pump"):
    return open_model(find_bundle(name, state), Options())


def test_a_recording_becomes_a_bundle_whose_limit_normal_windows_keep(pump):
    model = model_of(pump / "state")
    assert model.shape == (("x", "y"), 100.0, 100, 50)
    write_csv(pump / "fresh.csv", shaken(6000), uneven(60))
    fresh = recording.windows(recording.read(pump / "fresh.csv"), *model.shape[1:])
    values = np.array([model.predict(window, 0).value for window in fresh])
    assert (values > 1).mean() <= 0.02
    assert all(model.predict(1.5 * window, 0).value > 1 for window in fresh)
    assert all(model.predict(0.5 * window, 0).value > 1 for window in fresh)


def test_it_says_how_many_windows_the_percentile_the_limit_and_what_would_alarm(pump, capfd):
    words = (pump / "normal.csv", "--as", "again", "--bundle", "pump", "--state-dir", pump / "state")
    assert command(*words) == 0
    out = capfd.readouterr().out
    assert "again: rms of x, y" in out
    assert "317 windows of 100 samples at 100 Hz" in out         # 319 less those over the gap
    assert "99th percentile" in out
    assert "times 1.25: limit" in out
    assert "% of these windows would be above 1" in out


def test_a_bundle_is_calibrated_anew_in_its_place(pump, capfd, tmp_path):
    words = ("--as", "pump2", "--length", 100, "--rate-hz", 100, "--state-dir", tmp_path, "--json")
    assert command(pump / "normal.csv", *words, "--method", "mahalanobis") == 0
    before = json.loads(capfd.readouterr().out)
    write_csv(tmp_path / "moved.csv", shaken(16_000, 3))
    moved = shaken(100, 3).astype(np.float32)
    assert model_of(tmp_path, "pump2").predict(moved, 0).value > 1
    assert command(tmp_path / "moved.csv", "--as", "pump2", "--bundle", "pump2", "--state-dir", tmp_path, "--json") == 0
    after = json.loads(capfd.readouterr().out)
    assert before["method"] == after["method"] == "mahalanobis"
    assert after["limit"] == pytest.approx(1.25 * after["percentile"])
    assert after["over"] <= 0.02
    assert model_of(tmp_path, "pump2").predict(moved, 0).value < 1


def test_an_autoencoder_of_somebody_else_gets_a_limit(shared, tmp_path, capfd):
    np.savez(tmp_path / "hum.npz", x=RNG.normal(-10, 3, (900, 128)).astype(np.float32))
    words = ("--bundle", shared / "models" / "ad01_int8.tflite", "--rate-hz", 31.25, "--length", 5)
    assert command(tmp_path / "hum.npz", "--as", "hum", *words, "--state-dir", tmp_path, "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["method"], told["windows"]) == ("autoencoder", 448)
    model = model_of(tmp_path, "hum")
    assert model.predict(RNG.normal(-10, 3, (5, 128)).astype(np.float32), 0).value < 1
    assert model.predict(RNG.normal(30, 3, (5, 128)).astype(np.float32), 0).value > 1


def test_a_machines_temperature_is_told_from_its_failures(shared, tmp_path, capfd):
    """Learn from what nobody labelled in the first six weeks of Numenta's recording; find its failures."""
    path = shared / "data" / "nab" / "machine_temperature_system_failure.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    with path.with_name("combined_windows.json").open() as file:
        told = json.load(file)["realKnownCause/machine_temperature_system_failure.csv"]
    failures = [[datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp() for end in pair] for pair in told]
    times = np.array([datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp() for row in rows])
    degrees = np.array([float(row["value"]) for row in rows])
    odd = np.any([(times >= begin) & (times <= end) for begin, end in failures], axis=0)
    normal = ~odd & (times < times[0] + 45 * 86_400)
    write_csv(tmp_path / "normal.csv", degrees[normal, None], times[normal], ("temperature",))
    words = ("--as", "machine", "--method", "mahalanobis", "--length", 24, "--hop", 6, "--state-dir", tmp_path, "--json")
    assert command(tmp_path / "normal.csv", *words) == 0
    assert json.loads(capfd.readouterr().out)["windows"] > 1500
    model = model_of(tmp_path, "machine")
    ends = np.arange(24, len(times), 6)
    values = np.array([model.predict(degrees[end - 24:end, None].astype(np.float32), 0).value for end in ends])
    late = ~odd[ends - 1] & ~odd[ends - 24] & (times[ends - 1] > times[0] + 45 * 86_400)
    assert (values[late] > 1).mean() <= 0.02
    found = [((values > 1) & (times[ends - 1] >= begin) & (times[ends - 1] <= end)).any() for begin, end in failures]
    assert found == [False, True, True, True]       # before the first, a planned one, the temperature is as always


def test_too_few_windows_are_refused_unless_asked_for(tmp_path, capfd):
    write_csv(tmp_path / "short.csv", shaken(2000))
    words = (tmp_path / "short.csv", "--as", "it", "--rate-hz", 100, "--length", 100, "--state-dir", tmp_path)
    line = failure(capfd, *words)
    assert "39 whole windows of 100 samples at 100 Hz, and a limit needs 300" in line
    assert "--windows-at-least 39" in line
    assert not (tmp_path / "bundles").exists()
    assert command(*words, "--windows-at-least", 39) == 0
    assert model_of(tmp_path, "it").shape.length == 100


@pytest.mark.parametrize(("text", "words", "said"), [
    ("", (), "is empty"),
    ("1,2\n3,4\n", (), "has numbers where the names"),
    ("x,y\n1,2\n", (), "nothing says --rate-hz"),
    ("x,y\n1,2\n", ("--rate-hz", 100), "nothing says --length"),
    ("x,y\n1,2\n", ("--channels", "x,z"), 'has no column "z", found x, y'),
    ("time_s,x\nnow,2\n", (), "line 2: a time is seconds or as 2026-11-21 22:04:59"),
    ("time_s,x\nnan,2\n", (), "line 2: a time is"),
    ("time_s,x\ninf,2\n", (), "line 2: a time is"),
    ("time_s\n1\n", (), "name columns with --channels"),
    ("x,y\n1,2\n", ("--method", "autoencoder"), "name its bundle with --bundle"),
    ("x,y\n1,2\n", ("--bundle", "nobody"), "there is none of that name"),
    ("x,y\n1,2\n", ("--as", "../it"), "the name of a bundle"),
    ("x,y\nno,numbers\n" * 4000, ("--rate-hz", 100, "--length", 10), "0 whole windows"),
    ("x,y\n" + "5,5\n" * 4000, ("--rate-hz", 100, "--length", 10), "see whether the sensor is connected"),
])
def test_a_recording_that_teaches_nothing_is_refused_in_a_line(text, words, said, tmp_path, capfd):
    (tmp_path / "it.csv").write_text(text)
    assert said in failure(capfd, tmp_path / "it.csv", "--as", "it", "--state-dir", tmp_path / "state", *words)
    assert not (tmp_path / "state" / "bundles" / "it").exists()


@pytest.mark.parametrize("arrays", [
    {}, {"x": np.array(["a"])}, {"x": np.zeros(4)}, {"y": np.zeros((4, 2))}, {"x": np.zeros((0, 2))}])
def test_an_npz_without_readings_is_refused(arrays, tmp_path):
    np.savez(tmp_path / "it.npz", **arrays)
    with pytest.raises(ModelError, match="needs an array x of numbers"):
        recording.read(tmp_path / "it.npz")


def test_no_window_lies_over_a_gap_a_hole_or_a_clock_that_was_set(tmp_path):
    times = np.concatenate((np.arange(100), np.arange(200, 300), np.arange(50, 150))) / 10
    rows = np.arange(300.0)[:, None]
    write_csv(tmp_path / "it.csv", rows, times, ("x",))
    found = recording.windows(recording.read(tmp_path / "it.csv"), 10, 20, 10)
    assert len(found) == 3 * 9
    assert (np.diff(found[:, :, 0]) == pytest.approx(1, abs=1e-3))
    rows[150] = np.nan
    write_csv(tmp_path / "rows.csv", rows, names=("x",))
    found = recording.windows(recording.read(tmp_path / "rows.csv"), 10, 20, 10)
    assert len(found) == 29 - 2
    assert np.isfinite(found).all()


def test_uneven_readings_are_resampled_to_the_rate(tmp_path):
    times = np.cumsum(RNG.uniform(0.005, 0.035, 4000))
    write_csv(tmp_path / "it.csv", np.sin(2 * np.pi * 0.5 * times)[:, None], times, ("x",))
    found = recording.windows(recording.read(tmp_path / "it.csv"), 25, 50, 50)[:, :, 0]
    assert len(found) > 30
    spectrum = np.abs(np.fft.rfft(found, axis=1))
    assert (spectrum.argmax(1) == 1).all()        # one turn in each window of two seconds
    assert (spectrum[:, 3:].max(1) < 0.1 * spectrum[:, 1]).all()


def test_columns_are_chosen_by_name_and_in_that_order(tmp_path):
    (tmp_path / "it.csv").write_text("a,timestamp,b\n1,2026-11-21 10:00:00,2\n3,2026-11-21 10:00:01,4\n")
    found = recording.read(tmp_path / "it.csv", ("b", "a"))
    assert found.channels == ("b", "a")
    assert found.rows.tolist() == [[2, 1], [4, 3]]
    assert found.rate_hz == 1


class Daemon:
    """A daemon that is asked about sensors, whose time goes on only while somebody waits."""

    def __init__(self, value, every_s=0.5):
        self.time, self._value, self._every = 100.0, value, every_s
        self.clock = Clock(lambda: self.time, self._wait)

    def _wait(self, seconds):
        self.time += seconds

    def ask(self, name):
        """Say what a sensor said last; a reading lies between two looks."""
        count = int(self.time / self._every)
        at = count * self._every
        value = self._value(name, at)
        return {"source": f"sensor.{name}", "state": "run", "why": "", "value": value, "readings": count,
                "unknown": "" if value is not None else "stale", "age_ms": (self.time - at) * 1000}


def test_a_slow_sensor_of_the_running_daemon_is_listened_to():
    daemon = Daemon(lambda name, at: 3 * at if name == "a" else at)
    found = np.stack(list(listen(daemon.ask, ["a", "b"], (2.0, 10, 5), 60, daemon.clock)))
    assert found.shape == (23, 10, 2)
    assert np.diff(found[:, :, 0], axis=1) == pytest.approx(1.5, abs=1e-3)
    assert np.diff(found[:, :, 1], axis=1) == pytest.approx(0.5, abs=1e-3)


def test_what_is_unknown_or_no_number_begins_the_window_anew():
    holed = Daemon(lambda _name, at: None if 120 < at < 121 else at)
    assert len(list(listen(holed.ask, ["a"], (2.0, 10, 5), 60, holed.clock))) < 23
    switch = Daemon(lambda _name, _at: True)
    assert list(listen(switch.ask, ["a"], (2.0, 10, 5), 60, switch.clock)) == []


def test_a_sensor_is_asked_at_the_socket(tmp_path, capfd):
    server, count = Server(tmp_path / "control.sock"), iter(range(1_000_000))

    def answer(_request):
        at = next(count)
        return {"source": "sensor.t", "state": "run", "why": "", "value": 20 + (at * 7 % 5), "unknown": "", "age_ms": 1.0,
                "readings": at}

    server.serve({"watch": Verb(Access.READ, answer)})
    words = ("--sensor", "t", "--as", "it", "--socket", tmp_path / "control.sock", "--state-dir", tmp_path)
    try:
        assert "too seldom for windows at 100 Hz" in failure(capfd, *words, "--for", "2s", "--rate-hz", 100, "--length", 10)
        assert command(*words, "--for", "4s", "--rate-hz", 3, "--length", 3, "--hop", 1, "--windows-at-least", 10) == 0
    finally:
        server.close()
    assert model_of(tmp_path, "it").shape == (("t",), 3.0, 3, 1)
    assert "reflexd does not run" in failure(capfd, *words, "--for", "2s", "--rate-hz", 1, "--length", 3)


@pytest.mark.parametrize("words", [(), ("it.csv", "--sensor", "t", "--for", "2s"), ("--sensor", "t"), ("it.csv", "--for", "2s")])
def test_a_recording_and_a_sensor_do_not_go_together(words, capfd):
    assert command(*words, "--as", "it") == 2
    assert "give recordings, or --sensor with --for" in capfd.readouterr().err
