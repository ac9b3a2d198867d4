"""An hour of a drawn scene, read by a shipped network: replayed to one hash, and what another threshold would have done.

The hour is of recorded time stamps: a camera at 10 Hz and a door that is asked 20 times a second, 108,000 items.
Their moments are the test's own, for what a stage decides depends on nothing else.
"""

from __future__ import annotations

import json
import marshal
import random
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from reflexd.config.settings import Settings
from reflexd.ctl.__main__ import main
from reflexd.replay.plain import plain_of
from reflexd.replay.replayed import replay
from reflexd.replay.tape import Begin, Taken, Writer
from reflexd.replay.whatif import what_if
from reflexd.rules.items import Item, Predicted, Sensed
from reflexd.rules.stage import Stage
from reflexd.trace import Trace
from reflexd_drivers.base import Reading, View
from reflexd_models.bundle import find_bundle, open_camera_model
from reflexd_models.tasks.classify import Options
from tests.daemon.rules.story import MS, START

pytestmark = pytest.mark.once
NS = 1_000_000_000
FRAMES_HZ, DOOR_HZ = 10, 20
FOR_S, COOLDOWN_S = 5, 4
TOML = """
schema = 1
[camera.gate]
driver = "pattern"
rate_hz = {rate}
max_age_ms = 500
[model.digit]
bundle = "digits-a"
camera = "gate"
[sensor.door]
driver = "scripted"
path = "door.csv"
max_age_ms = 1000
[actuator.lamp]
driver = "recorder"
path = "lamp.jsonl"
safe = "off"
max_on_s = 600
accept_unguarded = true
[actuator.bell]
driver = "recorder"
path = "bell.jsonl"
safe = "off"
max_on_s = 600
accept_unguarded = true
[[rule]]
name = "seven"
when = [{{ model = "digit", label = "7", at_least = {enter}, release_below = {leave}, hits = 3, of = 5 }}]
then = [{{ actuator = "lamp", set = "on", for_s = {for_s} }}]
cooldown_s = {cooldown}
[[rule]]
name = "nine behind an open door"
when = [{{ model = "digit", label = "9", at_least = 0.5 }}, {{ sensor = "door", is = true }}]
then = [{{ actuator = "bell", set = "on", follow = true }}]
"""


class Scene:
    """Digits that come and go, drawn anew for every frame, and what the network says of them."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._network = open_camera_model(find_bundle("digits-a", Path("/nowhere")), Options(), frozenset({"7", "9"}))
        self._digit, self._left, self._rises = 0, 0, 0
        self._open = False

    def seen(self, taken_at: int) -> Predicted:
        if not self._left:
            self._digit, self._left = self._chance.choice((0, 1, 2, 7, 7, 9)), self._chance.randrange(5, 80)
        self._left -= 1
        picture = np.zeros((28, 28), np.uint8)
        at = (6 + self._chance.randrange(-2, 3), 22 + self._chance.randrange(-2, 3))
        cv2.putText(picture, str(self._digit), at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2, cv2.LINE_AA)
        picture = cv2.add(picture, self._noise.integers(0, 110, (28, 28), np.uint8))
        return Predicted("digit", self._network.predict(View("grey", (picture,)), taken_at))

    def felt(self, taken_at: int) -> Sensed:
        if self._chance.random() < 0.02:
            self._open = not self._open
            self._rises += self._open
        return Sensed("door", Reading(self._open, taken_at, taken_at, self._rises, self._rises - self._open))

    def items(self, seconds: int) -> Iterator[tuple[Item, int]]:
        """Give what comes in that time, the camera away for two seconds now and then."""
        away = 0
        for tick in range(seconds * DOOR_HZ):
            at = START + tick * NS // DOOR_HZ
            yield self.felt(at), at + self._chance.randrange(MS)
            away = 2 * DOOR_HZ if self._chance.random() < 0.0005 else max(away - 1, 0)
            if tick % (DOOR_HZ // FRAMES_HZ) == 0 and not away:
                taken_at = at + 5 * MS + self._chance.randrange(5 * MS)
                yield self.seen(taken_at), taken_at + self._chance.randrange(1, 20 * MS)


class Score(NamedTuple):
    """What the network said of a seven."""

    now: int
    taken_at: int
    score: float


class Hour(NamedTuple):
    """A recording, and what the test itself noted meanwhile."""

    file: Path
    items: int
    scores: list[Score]
    bytes: int           # the most that the trace held


def settings(folder: Path, enter: float = 0.6, leave: float = 0.3) -> Path:
    (folder / "door.csv").write_text("0,0\n")
    file = folder / f"{enter}.toml"
    file.write_text(TOML.format(rate=FRAMES_HZ, enter=enter, leave=leave, for_s=FOR_S, cooldown=COOLDOWN_S))
    return file


def loaded(file: Path) -> Settings:
    from reflexd.config.load import load

    return load(file).settings


def record(folder: Path, seconds: int, seed: int = 3) -> Hour:
    """Decide on the scene as the daemon does, and write down what its trace keeps."""
    decides = loaded(settings(folder))
    stage, trace = Stage(decides), Trace()
    trace.begin(stage, START)
    writer = Writer(folder / "hour.jsonl.gz", "0.1.0", "boot")
    writer.begin(Begin(START, plain_of(decides), stage.memory()))
    scores, most, number = [], 0, 0
    for item, now in Scene(seed).items(seconds):
        trace.note(item, now, stage.consume(item, now))
        if isinstance(item, Predicted):
            scores.append(Score(now, item.prediction.taken_at, item.prediction.scores["7"]))
        if len(scores) % 1000 == 0:
            number = drain(trace, writer, number)
            most = max(most, trace._bytes)
    drain(trace, writer, number)
    writer.end()
    return Hour(folder / "hour.jsonl.gz", writer.items, scores, most)


def drain(trace: Trace, writer: Writer, number: int) -> int:
    while notes := (chunk := trace.following(number)).notes:
        assert not chunk.lost
        for note in notes:
            writer.take(Taken(*marshal.loads(note)))
        number += len(notes)
    return number


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Hour:
    return record(tmp_path_factory.mktemp("hour"), 3600)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Hour:
    return record(tmp_path_factory.mktemp("part"), 300, seed=4)


class Found(NamedTuple):
    """What a rule about a score does, computed anew."""

    fired: list[int]
    times: int
    active_ns: int


def brute(scores: list[Score], enter: float, leave: float) -> Found:
    """Compute when the rule "seven" fires, and how the lamp is on, from the scores alone."""
    held, last, acted, until = False, -NS * 10, -NS * 100, 0
    window: deque[bool] = deque(maxlen=5)
    fired, spans = [], []
    for now, taken_at, score in scores:
        if taken_at - last > 500 * MS:
            held, window = False, deque(maxlen=5)
        last = taken_at
        held = score >= (leave if held else enter)
        window.append(held)
        if sum(window) < 3 or now < acted + COOLDOWN_S * NS:
            continue
        if now >= until:
            fired.append(now)
            spans.append([now, now])
        acted, until = now, now + FOR_S * NS
        spans[-1][1] = until
    return Found(fired, len(spans), sum(end - begin for begin, end in spans))


def test_a_recorded_hour_is_decided_on_alike_each_time(hour: Hour, request: pytest.FixtureRequest) -> None:
    """All of it twice, and with --long ten times; five minutes ten times, see below."""
    assert hour.items > 105_000
    found = [replay(hour.file) for _ in range(10 if request.config.getoption("--long") else 2)]
    assert len({str(one.digest) for one in found}) == 1
    assert all(one.same and one.whole for one in found)
    assert 3590 < found[0].seconds <= 3600
    assert found[0].fired["seven"] == brute(hour.scores, 0.6, 0.3).fired
    assert len(found[0].fired["nine behind an open door"]) > 20


def test_five_minutes_replayed_ten_times_have_one_hash(part: Hour, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(part.file), "--times", "10", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["identical"], told["times"], told["items"]) == (True, 10, part.items)
    assert told["rules"]["seven"]["fired"] == len(brute(part.scores, 0.6, 0.3).fired) > 5


def test_another_threshold_makes_the_difference_that_a_count_by_hand_makes(hour: Hour, tmp_path: Path) -> None:
    then, now = brute(hour.scores, 0.6, 0.3), brute(hour.scores, 0.9, 0.7)
    found = what_if(hour.file, loaded(settings(tmp_path, 0.9, 0.7)))
    rule = found.rules["seven"]
    assert (rule.then, rule.now) == (len(then.fired), len(now.fired))
    assert rule.then > rule.now > 5
    differing = sorted([*((at, False) for at in set(then.fired) - set(now.fired)),
                        *((at, True) for at in set(now.fired) - set(then.fired))])
    assert rule.differing == len(differing)
    assert [(one.at, one.now) for one in rule.moments] == differing[:100]
    lamp = [(one.times, one.active_ns) for one in found.outputs["lamp"] if one is not None]
    assert lamp == [(one.times, one.active_ns) for one in (then, now)]
    bell = found.rules["nine behind an open door"]
    assert (bell.then, bell.differing) == (bell.now, 0)
    assert found.otherwise == 0


def test_check_tells_what_would_have_been(part: Hour, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    then, now = brute(part.scores, 0.6, 0.3), brute(part.scores, 0.85, 0.6)
    file = settings(tmp_path, 0.85, 0.6)
    assert main(["check", str(file), "--against", str(part.file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("ok: 1 camera")
    assert 1 < len(now.fired) < len(then.fired)
    assert f'rule "seven": would have fired {len(now.fired)} times instead of {len(then.fired)} times' in said
    assert re.search(r'rule "nine behind an open door": would have fired \d+ times, as it did', said)
    assert main(["check", str(file), "--against", str(part.file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["against"][str(part.file)]["rules"]["seven"]["now"] == len(now.fired)


def test_the_trace_of_an_hour_stays_within_its_bound(hour: Hour) -> None:
    assert 6 << 20 < hour.bytes <= 8 << 20
