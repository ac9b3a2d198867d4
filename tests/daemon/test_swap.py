"""A network is exchanged between two frames, or the old one runs on; a kill at any moment leaves one of the two."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from reflexd import durable
from reflexd.config.settings import Settings
from reflexd.control import Server
from reflexd.ctl import model as verb
from reflexd.networks import Held
from reflexd.protocol import ControlError, ask
from reflexd.reload import ReloadError
from reflexd.rules.items import Predicted
from reflexd.rules.stage import Stage
from reflexd.swap import _open as candidate
from reflexd.swap import swap
from reflexd.verbs import verbs
from reflexd.wiring import open_network
from reflexd_models.base import ModelError, Prediction
from reflexd_models.bundle import find_bundle, open_model, zoo
from reflexd_models.managing.store import Store, install, packed
from reflexd_models.tasks import detect, features, regions
from tests.conftest import ROOT
from tests.daemon.conftest import Running
from tests.daemon.test_faults import CONFIG, within
from tests.models.helpers import meter_copy, rehash, rewrite

OPTIONS = regions.Options(regions=((0, 0, 1, 1),), min_score=0)
RULE = {"name": "read", "when": [{"model": "meter", "above": -1, "release_below": -2}],
        "then": [{"actuator": "lamp", "set": "on", "follow": True}]}
KILLS_OF_INSTALL, KILLS_OF_SWAP = 70, 30


class Bench(NamedTuple):
    """A daemon that runs a network of the store, and two versions of that network."""

    running: Running
    state: Path
    socket: Path
    versions: tuple[Path, Path]

    def shas(self) -> list[str]:
        return [find_bundle(str(folder)).sha256 or "" for folder in self.versions]

    def runs(self) -> str:
        """Say which network the daemon runs, by its hash."""
        return str(self.running.status()["models"]["meter"]["sha256"])

    def install(self, *words: object) -> int:
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        asked = [str(word) for word in ("install", *words, "--state-dir", self.state, "--socket", self.socket)]
        return verb.run(parser.parse_args(asked))

    def predicts(self) -> None:
        """Wait until the network says more than it has."""
        before = self.running.status()["models"]["meter"]["predictions"]
        within(5, lambda: self.running.status()["models"]["meter"]["predictions"] > before + 2)


def other_version(folder: Path) -> Path:
    """Make a network of the same answers and other bytes."""
    made = meter_copy(folder)
    with (made / "meter.tflite").open("ab") as file:
        file.write(bytes(16))
    rehash(made)
    return made


@pytest.fixture
def bench(start: Any, tmp_path: Path, devices: Any) -> Iterator[Bench]:
    state, socket = tmp_path / "state", tmp_path / "s"
    install(Store(state / "bundles", durable), "meter", packed(zoo() / "meter"))
    camera = {"gate": {**CONFIG["camera"]["gate"], "rate_hz": None, "max_age_ms": 2000}}     # a busy machine pauses for long
    config = {**CONFIG, "daemon": {"state_dir": str(state)}, "camera": camera, "rule": [RULE],
              "model": {"meter": {"bundle": "meter", "camera": "gate", "options": OPTIONS}}}
    running = start(config, None, open_network)
    server = Server(socket)
    server.serve(verbs(running.daemon.observer, running.reloader, running.daemon.arming, lambda: None))
    within(20, lambda: devices["lamp"].level == 1.0)
    yield Bench(running, state, socket, (zoo() / "meter", other_version(tmp_path)))
    server.close()


@pytest.mark.fault("F48", bound="between two frames", outcome="the new network takes over; outputs stay as they are")
def test_a_network_is_exchanged_while_its_output_stays_active(bench: Bench, devices: Any, capsys: Any) -> None:
    old, new = bench.shas()
    assert bench.runs() == old
    assert bench.install(bench.versions[1]) == 0
    assert f"model.meter runs it now: {old[:12]} before, {new[:12]} now" in capsys.readouterr().out
    assert bench.runs() == new == find_bundle("meter", bench.state).sha256
    bench.predicts()
    assert [level for _, level in devices["lamp"].written] == [1.0], "nothing was let go"
    assert (devices["camera"].opened, bench.running.status()["models"]["meter"]["failures"]) == (1, 0)
    bench.running.stop()
    assert f"model.meter: network exchanged between two frames: {old[:12]} before, {new[:12]} now" in bench.running.log()


def broken_golden(folder: Path) -> None:
    with np.load(folder / "golden.npz") as case:
        np.savez(folder / "golden.npz", given=case["given"], told=case["told"][::-1])


def other_labels(folder: Path) -> None:
    rewrite(folder, '"3", "4"', '"between", "4"')


def other_task(folder: Path) -> None:
    rewrite(folder, 'task = "regions"', 'task = "classify"')


@pytest.mark.parametrize(("damage", "said", "by_daemon"), [
    (broken_golden, "answers otherwise than where it was made", False),
    (other_labels, 'a rule asks for the label "3"', True),
    (other_task, "the bundle's task is classify now", True),
])
def test_what_does_not_fit_stays_out_and_the_old_network_runs_on(
        damage: Any, said: str, by_daemon: bool, bench: Bench, capsys: Any) -> None:
    rule = {"name": "three", "when": [{"model": "meter", "label": "3", "at_least": 0.5}],
            "then": [{"actuator": "fan", "set": "on", "follow": True}]}
    bench.running.reload({**bench.running.written, "rule": [RULE, rule]})
    damage(bench.versions[1])
    assert bench.install(bench.versions[1]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert bench.runs() == bench.shas()[0] == find_bundle("meter", bench.state).sha256
    assert sorted(path.name.partition("@")[0] for path in (bench.state / "bundles").iterdir()) == [".meter", "meter"]
    bench.predicts()
    bench.running.stop()
    assert (said in bench.running.log()) is by_daemon


def test_the_daemon_itself_holds_a_candidate_against_its_golden_case(bench: Bench) -> None:
    store = Store(bench.state / "bundles", durable)
    broken_golden(bench.versions[1])
    with (store.alone(), store.beside("meter", packed(bench.versions[1])) as version,
          pytest.raises(ControlError, match=r"answers otherwise.*the old network runs on")):
        ask(bench.socket, "swap", {"bundle": "meter", "version": version.name}, 20)
    for name in ("../../etc", ".meter", "meter", ".a@b/c"):
        with pytest.raises(ControlError, match="is the name of a folder in"):
            ask(bench.socket, "swap", {"bundle": "meter", "version": name})
    bench.predicts()
    assert bench.runs() == bench.shas()[0]


def test_a_reload_notices_that_a_bundle_has_other_bytes(bench: Bench, capsys: Any) -> None:
    old, new = bench.shas()
    assert bench.install(bench.versions[1], "--no-swap") == 0
    assert "left alone" in capsys.readouterr().out
    assert bench.runs() == old
    assert bench.running.reload(bench.running.written) == "model.meter: another network"
    within(5, lambda: bench.running.status()["models"]["meter"]["sha256"] == new)
    assert bench.running.reload(bench.running.written) == "nothing changed"


@pytest.mark.fault("F42", bound="at the reload", outcome="the old network works on; the reload says why")
def test_a_reload_with_a_damaged_bundle_leaves_the_old_network(bench: Bench) -> None:
    network = next((bench.state / "bundles" / "meter").glob("*.tflite"))
    (bench.state / "bundles" / "meter" / "model.toml").write_text(
        (zoo() / "meter" / "model.toml").read_text().replace(bench.shas()[0], bench.shas()[1]))
    with pytest.raises(ReloadError, match="sha256 should be"):
        bench.running.reload(bench.running.written)
    assert network.exists()
    bench.predicts()


def test_the_daemon_keeps_its_own_bundles(bench: Bench, tmp_path: Path, capsys: Any) -> None:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    words = ("install", bench.versions[1], "--state-dir", tmp_path / "elsewhere", "--socket", bench.socket, "--json")
    assert verb.run(parser.parse_args([str(word) for word in words])) == 0
    assert "keeps its bundles in" in json.loads(capsys.readouterr().out)["daemon"]["why"]
    assert bench.runs() == bench.shas()[0]


@pytest.mark.parametrize(("least", "refused"), [({"at_least": 0.3}, True), ({"at_least": 0.5, "release_below": 0.3}, True),
                                                ({"at_least": 0.5}, False)])
def test_a_detector_that_would_not_tell_of_what_a_rule_asks_for_stays_out(least: dict[str, float], refused: bool) -> None:
    file = str(ROOT / "tests" / "models" / "networks" / "efficientdet.tflite")       # whose threshold is 0.4
    labels = find_bundle(file).labels
    table = {"camera": {"gate": {"driver": "x", "max_age_ms": 500}}, "actuator": {"lamp": {"driver": "x", "safe": "off"}},
             "model": {"yard": {"bundle": "yard", "camera": "gate", "options": detect.Options()}},
             "rule": [{"name": "see", "when": [{"model": "yard", "label": labels[0], **least}],
                       "then": [{"actuator": "lamp", "set": "on", "follow": True}]}]}
    runs: Any = SimpleNamespace(wiring=SimpleNamespace(open_network=open_network), parts=SimpleNamespace(
        models={"yard": SimpleNamespace(held=Held(list), watch=frozenset(labels[:1]))}))
    with pytest.raises(ModelError, match=r"nothing below 0\.4; write min_score = 0\.3") if refused else nullcontext():
        candidate(runs, Settings.model_validate({"schema": 1, **table}), "yard", file)


def test_a_swap_and_a_reload_do_not_meet(bench: Bench) -> None:
    with bench.running.reloader.alone("swap"), pytest.raises(ReloadError, match="another swap is under way"):
        bench.running.reload(bench.running.written)


def test_a_learner_that_watches_sensors_is_exchanged_between_two_windows(start: Any, devices: Any, tmp_path: Path) -> None:
    devices["sensor"].value = 0.0
    sound = packed(zoo() / "vibration-svm")
    sha = find_bundle("vibration-svm").sha256 or ""
    other = sound["learner.npz"] + bytes(4)
    new = hashlib.sha256(other).hexdigest()
    store = Store(tmp_path / "bundles", durable)
    install(store, "shakes", sound)
    model = {"bundle": "shakes", "sensors": ["x", "y", "z"], "options": features.Options(),
             "window": {"rate_hz": 100, "length": 100, "hop": 50, "gap_ms": 1000}}
    running = start({**CONFIG, "daemon": {"state_dir": str(tmp_path)}, "model": {"motor": model}, "rule": [], "camera": {},
                     "sensor": {name: {"driver": "bad-sensor", "key": "sensor", "max_age_ms": 2000} for name in "xyz"}},
                    None, open_network)
    within(20, lambda: running.status()["models"]["motor"]["predictions"] > 0)
    about = sound["model.toml"].replace(sha.encode(), new.encode())
    install(store, "shakes", {**sound, "learner.npz": other, "model.toml": about})
    told = swap(running.reloader, {"bundle": "shakes"})
    assert told["models"] == [{"model": "motor", "before": sha, "after": new}]
    before = running.status()["models"]["motor"]
    assert (before["sha256"], before["window"]["gaps"]) == (new, 0)
    within(10, lambda: running.status()["models"]["motor"]["predictions"] > before["predictions"] + 1)


def test_what_was_counted_of_another_network_is_void() -> None:
    rule = {"name": "see", "when": [{"model": "person", "label": "person", "at_least": 0.5, "hits": 2, "of": 3}],
            "then": [{"actuator": "lamp", "set": "on", "follow": True}]}
    table = {"camera": {"gate": {"driver": "x", "rate_hz": 50, "max_age_ms": 500}}, "model": CONFIG["model"],
             "actuator": {"lamp": {"driver": "x", "safe": "off"}}, "rule": [rule]}
    acts = {}
    for exchanges in (0, 1):
        stage = Stage(Settings.model_validate({"schema": 1, **table}))
        stage.begin()
        for at, item in enumerate(((0.9, 0), (0.9, exchanges))):
            now = (at + 1) * 20_000_000
            commands = stage.consume(Predicted("person", Prediction(now, {"person": item[0]}), item[1]), now)
        acts[exchanges] = bool(commands)
    assert acts == {0: True, 1: False}


@pytest.fixture
def installer() -> Iterator[subprocess.Popen[str]]:
    paths = os.pathsep.join([str(ROOT), *[path for path in sys.path if path]])
    with subprocess.Popen([sys.executable, "-m", "tests.daemon.installer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, env={**os.environ, "PYTHONPATH": paths}, cwd=ROOT) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def killed(installer: subprocess.Popen[str], after_s: float | None, **request: object) -> int:
    """Install, have that killed after a time, and give how it ended."""
    assert installer.stdin is not None
    assert installer.stdout is not None
    installer.stdin.write(json.dumps({**request, "after_s": after_s}) + "\n")
    installer.stdin.flush()
    return int(installer.stdout.readline())


def usable(state: Path) -> str:
    """Load what is installed, golden case included, and give its hash."""
    bundle = find_bundle("meter", state)
    open_model(bundle, OPTIONS)
    return bundle.sha256 or ""


@pytest.mark.once
def test_a_hundred_kills_leave_the_old_or_the_new(bench: Bench, installer: subprocess.Popen[str], tmp_path: Path) -> None:
    random.seed(4)
    shas, state = bench.shas(), str(bench.state)
    plain = tmp_path / "plain"
    (plain / "bundles").mkdir(parents=True)
    meter_copy(plain / "bundles")            # as somebody copied it there by hand
    for place, swaps, rounds in ((plain, False, KILLS_OF_INSTALL), (Path(state), True, KILLS_OF_SWAP)):
        request = {"state_dir": str(place), "socket": str(bench.socket), "swap": swaps}
        began = time.monotonic()
        took = 0.02
        ended: list[int] = []
        for at in range(rounds):
            folder = bench.versions[(at + 1) % 2]
            if at % 10 == 5:      # one that nobody kills: what was left is no obstacle, and how long it takes is known
                began = time.monotonic()
                assert killed(installer, None, folder=str(folder), **request) == 0
                took = time.monotonic() - began
                assert usable(place) == shas[(at + 1) % 2]
            ended.append(killed(installer, random.uniform(0, took * 1.1), folder=str(folder), **request))
            assert usable(place) in shas
            if swaps:
                assert bench.runs() in shas
        assert killed(installer, None, folder=str(bench.versions[1]), **request) == 0
        assert usable(place) == shas[1]
        left = {path.name.partition("@")[0] for path in (place / "bundles").iterdir()}
        assert (left, len(list((place / "bundles").iterdir()))) == ({".meter", "meter"}, 4), "two versions and two links"
        assert sum(os.WIFSIGNALED(one) for one in ended) > rounds // 3, "most were killed before they had ended"
    assert bench.runs() == shas[1]
    bench.predicts()
