"""Networks asked again about recorded frames: the same ones say the same, and what others say is told as it is."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reflexd.config.load import load
from reflexd.config.settings import Settings
from reflexd.ctl.__main__ import main
from reflexd.replay.differing import Differences, overlap, unmatched
from reflexd.replay.inferring import infer
from reflexd.replay.plain import plain_of
from reflexd.replay.replayed import replay
from reflexd.replay.tape import Begin, Framed, Taken, Writer
from reflexd.replay.whatif import what_if
from reflexd.rules.asked import labels_of
from reflexd.rules.items import Predicted
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage
from reflexd.stills import Form, decoded, encoded
from reflexd_drivers.base import View
from reflexd_models.base import Detection, Prediction
from reflexd_models.bundle import find_bundle, open_camera_model
from tests.daemon.rules.story import MS, START

TOML = """
schema = 1
[camera.gate]
driver = "pattern"
rate_hz = 10
max_age_ms = 500
[model.digit]
bundle = "{bundle}"
camera = "gate"
[actuator.lamp]
driver = "recorder"
path = "lamp.jsonl"
safe = "off"
max_on_s = 600
accept_unguarded = true
[[rule]]
name = "seven"
when = [{{ model = "digit", label = "{label}", at_least = {enter}, hits = 2, of = 3 }}]
then = [{{ actuator = "lamp", set = "on", for_s = 0.2 }}]
"""
LATER = b'{"frame":'
NOWHERE = Path("/nowhere")
Pixels = NDArray[np.uint8]


def pictures(count: int = 60, seed: int = 1) -> list[Pixels]:
    """Draw digits, noisily, each for some frames."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(count):
        picture = np.zeros((28, 28), np.uint8)
        cv2.putText(picture, str((7, 1, 7, 9)[number // 6 % 4]), (6 + int(chance.integers(-2, 3)), 22), cv2.FONT_HERSHEY_SIMPLEX,
                    0.7, 255, 2, cv2.LINE_AA)
        found.append(cv2.add(picture, chance.integers(0, 110, (28, 28), np.uint8)))
    return found


def configured(folder: Path, bundle: str = "digits-a", label: str = "7", enter: float = 0.6) -> Path:
    file = folder / f"{bundle.replace('/', '-')}-{label}-{enter}.toml"
    file.write_text(TOML.format(bundle=bundle, label=label, enter=enter))
    return file


@dataclass
class Recorded:
    """A recording, and the frames that it has."""

    file: Path
    config: Path
    settings: Settings
    frames: list[tuple[int, Pixels]]
    said: list[Prediction]


Make = Callable[..., Recorded]


@pytest.fixture
def record(tmp_path: Path) -> Make:
    return partial(recorded, tmp_path)


def recorded(folder: Path, form: Form = "png", without: Callable[[int], bool] = lambda _number: False, late: bool = False,
             alter: Callable[[Pixels], Pixels] = lambda picture: picture, count: int = 60) -> Recorded:
    """Write a recording as a daemon would have, of which some frames may be missing or come late."""
    config = configured(folder)
    settings = load(config).settings
    bundle = find_bundle("digits-a")
    network = open_camera_model(bundle, settings.model["digit"].options, labels_of(settings, "digit"))
    stage, file = Stage(settings), folder / "day.jsonl"
    writer = Writer(file, "0.1.0", "boot", force=True, state_dir="/nowhere")
    writer.begin(Begin(START, plain_of(settings), stage.memory(), 1.7e9, {"digit": str(bundle.sha256)}))
    found = Recorded(file, config, settings, [], [])
    for number, picture in enumerate(pictures(count)):
        taken_at = START + number * 100 * MS
        said = network.predict(View("grey", (picture,)), taken_at)
        item = Predicted("digit", said)
        orders = [ordered(one) for one in stage.consume(item, taken_at + 7 * MS)]
        writer.take(Taken(taken_at + 7 * MS, packed(item), orders))
        found.said.append(said)
        if not without(number):
            found.frames.append((taken_at, alter(picture)))
            if not late:
                write(writer, *found.frames[-1], form)
    for taken_at, picture in reversed(found.frames) if late else ():
        write(writer, taken_at, picture, form)
    writer.end()
    return found


def write(writer: Writer, taken_at: int, picture: Pixels, form: Form) -> None:
    view = View("grey", (picture,))
    writer.frame(Framed("gate", taken_at, 1, form, {"main": ("grey", [bytes(one) for one in encoded(view, form)])}))


@pytest.mark.parametrize("late", [False, True])
def test_the_same_network_says_the_same_of_frames_that_lost_nothing(record: Make, late: bool,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    one = record(late=late)
    found = infer(one.file)
    assert (found.frames, found.models["digit"].identical, found.identical) == (60, 60, True)
    assert not found.otherwise
    assert main(["replay", str(one.file), "--infer"]) == 0
    said = capsys.readouterr().out
    assert "model digit: 60 predictions, the frame of each: all identical\n" in said
    assert main(["replay", str(one.file)]) == 0, "a recording with frames is decided on as one without"


def test_altered_frames_are_told_with_the_differences_that_a_computation_by_hand_gives(
        record: Make, capsys: pytest.CaptureFixture[str]) -> None:
    one = record(alter=lambda picture: cv2.add(picture, np.full_like(picture, 40)))
    network = open_camera_model(find_bundle("digits-a"), one.settings.model["digit"].options, frozenset({"7"}))
    again = [network.predict(View("grey", (picture,)), at).scores["7"] for at, picture in one.frames]
    then = [said.scores["7"] for said in one.said]
    differing = [number for number in range(60) if again[number] != then[number]]
    found = infer(one.file).models["digit"]
    assert 10 < found.differing == len(differing)
    assert found.scores["7"].by == max(abs(again[number] - then[number]) for number in differing)
    assert found.crossed.get(("7", 0.6), 0) == sum((again[number] >= 0.6) is not (then[number] >= 0.6) for number in range(60))
    assert [at for at, _ in found.moments] == [START + number * 100 * MS + 7 * MS for number in differing]
    assert main(["replay", str(one.file), "--infer", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["inferred"]["models"]["digit"]
    assert (told["differing"], told["scores"]["7"]["apart"]) == (len(differing), found.scores["7"].by)


def fires(scores: list[float], enter: float) -> list[int]:
    """Work out by hand when the rule fires: two of the last three, and a claim of 0.2 s that each renews."""
    found, until = [], -1
    for number in range(len(scores)):
        if sum(score >= enter for score in scores[max(number - 2, 0):number + 1]) >= 2:
            if number * 100 >= until:
                found.append(number)
            until = number * 100 + 200
    return found


@pytest.mark.parametrize(("bundle", "label", "enter"), [("digits-b", "7", 0.6), ("digits-a", "1", 0.5), ("digits-a", "7", 0.99)])
def test_what_another_network_or_another_rule_would_have_decided(
        record: Make, tmp_path: Path, bundle: str, label: str, enter: float) -> None:
    one = record()
    other = load(configured(tmp_path, bundle, label, enter)).settings
    network = open_camera_model(find_bundle(bundle), other.model["digit"].options, frozenset({label}))
    now = fires([network.predict(View("grey", (picture,)), at).scores[label] for at, picture in one.frames], enter)
    then = fires([said.scores["7"] for said in one.said], 0.6)
    inferred = infer(one.file, other)
    rule = what_if(one.file, other, inferred).rules["seven"]
    assert not rule.unknown_ns, "every prediction has its frame, so all of it is known"
    assert (rule.then, rule.now) == (len(then), len(now))
    assert sorted(moment.at for moment in rule.moments) == [START + n * 100 * MS + 7 * MS for n in sorted({*then} ^ {*now})]
    if bundle == "digits-b":
        assert len(inferred.networks["digit"][0] | inferred.networks["digit"][1]) == 2
        assert what_if(one.file, other).rules["seven"].unknown_ns, "without --infer nobody knows"


FINDS = """
schema = 1
[camera.gate]
driver = "pattern"
rate_hz = 10
[model.pets]
bundle = "{bundle}"
camera = "gate"
min_score = {least}
region = [0.1, 0.0, 0.9, 1.0]
[actuator.lamp]
driver = "recorder"
path = "lamp.jsonl"
safe = "off"
max_on_s = 600
accept_unguarded = true
[[rule]]
name = "pets"
when = [{{ model = "pets", label = "cat", at_least = 0.6 }}]
unless = [{{ model = "pets", label = "dog", at_least = 0.6 }}]
then = [{{ actuator = "lamp", set = "on", follow = true }}]
"""


def test_a_detector_is_asked_with_the_options_that_it_had_and_with_others(tmp_path: Path, shared: Path) -> None:
    bundle = shared / "models" / "coco_ssd_mobilenet_v1_quant_meta.tflite"
    for least in (0.3, 0.58):
        (tmp_path / f"{least}.toml").write_text(FINDS.format(bundle=bundle, least=least))
    settings = load(tmp_path / "0.3.toml").settings
    watch = labels_of(settings, "pets")
    network = open_camera_model(find_bundle(str(bundle)), settings.model["pets"].options, watch)
    stage, writer = Stage(settings), Writer(tmp_path / "it", "0.1.0", "boot", state_dir="/nowhere")
    sha256 = hashlib.sha256(bundle.read_bytes()).hexdigest()
    writer.begin(Begin(START, plain_of(settings), stage.memory(), None, {"pets": sha256}))
    said = []
    for number, name in enumerate(("cats_and_dogs.jpg", "cat.bmp", "bird.bmp")):
        picture = cv2.cvtColor(cv2.imread(str(shared / "images" / name)), cv2.COLOR_BGR2RGB)
        view, now = View("rgb", (picture,)), START + number * 100 * MS
        said.append(network.predict(view, now))
        item = Predicted("pets", said[-1])
        orders = [ordered(one) for one in stage.consume(item, now)]
        writer.take(Taken(now, packed(item), orders))
        writer.frame(Framed("gate", now, number, "png", {"main": ("rgb", [bytes(one) for one in encoded(view, "png")])}))
    writer.end()
    assert any(one.detections for one in said)
    found = infer(tmp_path / "it")
    assert (found.models["pets"].framed, found.identical) == (3, True)
    other = infer(tmp_path / "it", load(tmp_path / "0.58.toml").settings).models["pets"]
    assert other.missing == sum(thing.score < 0.58 for one in said for thing in one.detections) > 0
    assert other.added == 0


def test_predictions_without_a_frame_stand_for_the_same_network_and_are_unknown_for_another(
        record: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = record(without=lambda number: 20 <= number < 40)
    assert main(["replay", str(one.file), "--infer"]) == 0
    assert "60 predictions, 40 with a frame: all identical" in capsys.readouterr().out
    file = configured(tmp_path, "digits-b")
    assert main(["replay", str(one.file), "--infer", "--config", str(file)]) == 0
    said = capsys.readouterr().out
    assert "another network: sha256" in said
    assert "not known for 2.0 s: model digit says something else now, and not all of its frames were recorded" in said
    assert "would have fired at least" in said


def test_small_files_lose_something_and_that_is_said(record: Make, capsys: pytest.CaptureFixture[str]) -> None:
    one = record(form="jpeg")
    main(["replay", str(one.file), "--infer"])
    assert "frames were kept as JPEG, which loses something" in capsys.readouterr().out
    found = infer(one.file).models["digit"]
    assert found.framed == 60
    assert found.scores["7"].by < 0.5, "small differences"


def test_the_pictures_of_an_event_are_looked_at_as_well(record: Make, tmp_path: Path) -> None:
    one = record(without=lambda _number: True)
    event = tmp_path / "evidence" / "20261122-1"
    (event / "frames" / "gate").mkdir(parents=True)
    (event / "recording.jsonl.gz").write_bytes(gzip.compress(one.file.read_bytes()))
    for (at, picture) in ((said.taken_at, picture) for said, picture in zip(one.said, pictures(), strict=True)):
        cv2.imwrite(str(event / "frames" / "gate" / f"{at}.jpg"), picture)
    (event / "frames" / "gate" / "notes.jpg").write_text("no frame")
    assert (main(["replay", str(event)]), main(["replay", str(event), "--infer"])) in ((0, 0), (0, 1))
    found = infer(event)
    assert (found.models["digit"].framed, found.lossy, found.unused) == (60, True, 0)


@pytest.mark.parametrize(("small_px", "others"), [([28, 28], 0), ([20, 20], 1), ([5, 5], 1)])
def test_of_a_view_that_was_not_kept_another_stands_in_and_that_is_said(
        record: Make, small_px: list[int], others: int, capsys: pytest.CaptureFixture[str]) -> None:
    file = spoilt(record(), lambda frame: frame.update(
        views={"small": frame["views"]["main"]}, sizes={"main": [280, 280], "small": small_px}))
    assert main(["replay", str(file), "--infer"]) == 0
    told = capsys.readouterr().out
    assert ("the view that it would be given was not kept, so it was given another: 1" in told) is bool(others)


@pytest.mark.parametrize("form", ["rgb", "grey", "yuv420"])
def test_a_view_comes_back_as_it_was(form: Any) -> None:
    chance = np.random.default_rng(2)
    shapes = {"rgb": [(48, 64, 3)], "grey": [(48, 64)], "yuv420": [(48, 64), (24, 32), (24, 32)]}
    view = View(form, tuple(chance.integers(0, 256, shape, np.uint8) for shape in shapes[form]))
    again = decoded(form, [bytes(one) for one in encoded(view, "png")])
    assert again.format == view.format
    assert all((one == other).all() for one, other in zip(view.planes, again.planes, strict=True))
    lossy = decoded(form, [bytes(one) for one in encoded(view, "jpeg")])
    assert [plane.shape for plane in lossy.planes] == [plane.shape for plane in view.planes]


HUGE = b"\xff\xd8" + b"\xff\xe0\x00\x02" * 3 + b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff" + bytes(30)     # a JPEG, by its head


def png(width: int, height: int) -> bytes:
    """Give the beginning of a picture that says it is so large."""
    raw = bytearray(bytes(encoded(View("grey", (np.zeros((8, 8), np.uint8),)), "png")[0]))
    raw[16:24] = width.to_bytes(4) + height.to_bytes(4)
    return bytes(raw)


@pytest.mark.parametrize(("kind", "planes", "words"), [
    ("grey", [b""], "neither a PNG nor a JPEG"), ("grey", [b"\xff\xd8\xff"], "neither"), ("rgb", [], "no view of rgb with 0"),
    ("grey", [png(60_000, 60_000)], "60000x60000 is too large"), ("grey", [png(0, 8)], "too large"),
    ("odd", [png(8, 8)], "no view of odd"), ("grey", [png(8, 9)[:60]], "a picture is damaged"), ("grey", [HUGE], "is too large"),
    ("yuv420", [png(8, 8)] * 3, "not half as large"), ("rgb", [b"\xff\xd8\xff\xe0\x00\x00" * 9], "neither")])
def test_a_damaged_frame_is_refused_before_memory_is_taken_for_it(kind: str, planes: list[bytes], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decoded(kind, planes)


def spoilt(one: Recorded, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the frame that comes first."""
    lines = one.file.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.startswith(LATER))
    what = json.loads(lines[place])
    change(what["frame"])
    lines[place] = json.dumps(what, separators=(",", ":")).encode() + b"\n"
    one.file.write_bytes(b"".join(lines))
    return one.file


def test_a_damaged_frame_is_one_line_and_spoils_no_other_use_of_the_recording(
        record: Make, capsys: pytest.CaptureFixture[str]) -> None:
    file = spoilt(record(), lambda frame: frame.update(views={"main": ["grey", "AAAA"]}))
    assert main(["replay", str(file), "--infer"]) == 1
    said = capsys.readouterr().err
    assert "the frame of camera gate at 1000.000 s is damaged: neither a PNG nor a JPEG; record anew" in said
    assert said.count("\n") == 1
    assert replay(file).whole


def test_frames_of_an_unknown_camera_are_counted(record: Make, capsys: pytest.CaptureFixture[str]) -> None:
    file = spoilt(record(), lambda frame: frame.update(camera="\x1b[2Jyard"))
    assert main(["replay", str(file), "--infer"]) == 0
    said = capsys.readouterr().out
    assert "59 with a frame" in said
    assert "frames that belong to no prediction in it: 1" in said


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["replay", *map(str, words)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("reflexctl: ")
    assert said.count("\n") == 1
    return said


def test_what_cannot_be_asked_is_told_in_one_line(record: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = record(without=lambda _number: True)
    assert "has no frames that networks looked at; record with --frames" in refused(capsys, bare.file, "--infer")
    assert main(["replay", str(bare.file), "--infer", "--times", "2"]) == 2
    capsys.readouterr()
    gone = record().file
    gone.write_text(gone.read_text().replace('"bundle":"digits-a"', '"bundle":"gone"'))
    assert 'model digit: bundle "gone": there is none of that name, looked in /nowhere/' in refused(capsys, gone, "--infer")
    old = record().file
    old.write_text(old.read_text().replace(',"said":{}', ""))
    assert "does not tell the options of model digit; name the configuration by --config" in refused(capsys, old, "--infer")
    other = record().file
    other.write_text(other.read_text().replace('"bundle":"digits-a"', '"bundle":"meter"'))
    assert "takes other options than are recorded" in refused(capsys, other, "--infer")
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(find_bundle("digits-a").path.read_bytes()[:3000])
    broken = record().file
    broken.write_text(broken.read_text().replace('"bundle":"digits-a"', f'"bundle":"{cut}"'))
    assert "model digit: " in refused(capsys, broken, "--infer")
    assert infer(record().file).identical


def test_what_only_one_side_found_is_what_overlaps_nothing_of_its_label() -> None:
    left, right = (0.0, 0.0, 0.4, 0.4), (0.5, 0.5, 0.9, 0.9)
    near = (0.02, 0.0, 0.42, 0.4)
    assert overlap(left, right) == 0
    assert overlap(left, near) == pytest.approx(0.38 / 0.42)
    before = [Detection("cat", 0.9, left), Detection("dog", 0.8, right)]
    after = [Detection("cat", 0.7, near), Detection("cat", 0.6, right)]
    assert unmatched(before, after) == ([before[1]], [after[1]])
    found = Differences()
    then = Prediction(0, {"cat": 0.9, "dog": 0.8}, detections=tuple(before))
    again = replace(then, scores={"cat": 0.7, "dog": 0.0}, detections=tuple(after))
    assert not found.add(5, then, again, [("dog", 0.5), ("cat", 0.5)])
    assert (found.missing, found.added, found.crossed) == (1, 1, {("dog", 0.5): 1})
    assert found.scores["dog"] == (0.8, 5, 0.8, 0.0)
    assert found.add(6, then, then, [])
    assert not found.add(7, then, replace(then, detections=(before[0], replace_score(before[1]))), [])
    assert "boxes or scores of what was found" in found.moments[-1][1]


def replace_score(one: Detection) -> Detection:
    return one._replace(score=one.score - 0.1)


def test_a_number_that_is_read_otherwise_is_told() -> None:
    found = Differences()
    then = Prediction(0, {}, 41.5, 0.1, None, (("4", 0.9),))
    assert not found.add(1, then, replace(then, value=None, spread=0.0, unsure="wheel 1 reads"), [])
    assert not found.add(2, then, replace(then, parts=(("4", 0.8),)), [])
    assert (found.values, [words for _, words in found.moments]) == (1, [
        "value 41.5 then, unsure (wheel 1 reads) now", "parts with other labels or scores"])


