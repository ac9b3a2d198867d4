"""Frames for who records them: those that networks looked at, whole, and never at the cost of what is decided on them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from reflexd.config.settings import DaemonSettings
from reflexd.control import Parts
from reflexd.ctl.__main__ import main
from reflexd.ctl.record import FORMS as offered
from reflexd.filming import Film, frames
from reflexd.jobs import CameraJob, ModelJob
from reflexd.looking import Looking
from reflexd.protocol import PART_BYTES, ControlError, Following, line_of
from reflexd.replay.live import LiveFrames
from reflexd.replay.replayed import replay
from reflexd.replay.tape import LONGEST, Framed, Taken, Unframed, read
from reflexd.rules.items import Looked, Predicted, Rested
from reflexd.stills import FORMS, decoded
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import Camera, CameraSettings, Frame, FramePool, View
from reflexd_models.base import Prediction
from tests.daemon.disks import small_disk
from tests.daemon.test_exercise import Bench
from tests.daemon.test_faults import CONFIG, Devices, Start
from tests.daemon.test_views import Shown, TwoViews
from tests.stopwatch import within

SETTINGS = CameraSettings(driver="fake")
Pixels = NDArray[np.uint8]


class Numbered:
    """A camera that writes the number of each frame all over it."""

    lossless = False

    def __init__(self, shape: tuple[int, ...] = (8, 8)) -> None:
        self.pool = FramePool(lambda: {"main": View("rgb" if len(shape) == 3 else "grey", (np.zeros(shape, np.uint8),))})
        self.lent: list[Frame] = []
        self._chance = np.random.default_rng(1) if len(shape) == 3 else None

    def read(self, timeout_s: float) -> Frame:
        slot = self.pool.take()
        assert slot is not None
        number = len(self.lent) + 1
        plane = slot.views["main"].planes[0]
        plane[:] = number if self._chance is None else self._chance.integers(0, 256, plane.shape, np.uint8)
        self.lent.append(Frame(number, number, slot))
        return self.lent[-1]

    def close(self) -> None:
        """Nothing is open."""

    @property
    def held(self) -> int:
        return sum(slot.holders > 0 for slot in {id(frame.slot): frame.slot for frame in self.lent}.values())


class Network:
    """Says nothing of any frame."""

    labels = ()

    def predict(self, view: Any, taken_at: int) -> Prediction:
        return Prediction(taken_at, {})


class Set:
    """A camera and its networks, each of whose steps the test makes itself."""

    def __init__(self, networks: int = 1, shape: tuple[int, ...] = (8, 8)) -> None:
        self.camera = Numbered(shape)
        self._job = CameraJob("gate", SETTINGS, lambda: cast("Camera", self.camera),
                              Looking("gate", SETTINGS, Inbox[Looked](8, Wake()), Reports(Wake())))
        self._job.open()
        self.models: dict[str, Any] = {}
        for number in range(networks):
            self.add(f"net{number}")
        settings = SimpleNamespace(daemon=DaemonSettings(state_dir="/state"))
        self.observer: Any = SimpleNamespace(models=self.models, settings=settings)

    def add(self, name: str) -> ModelJob:
        self.models[name] = ModelJob(name, SETTINGS, lambda: cast("Any", Network()), frozenset(), self._job,
                                     Inbox[Predicted | Rested](8, Wake()))
        self.models[name].open()
        return cast("ModelJob", self.models[name])

    def take(self, count: int = 1) -> None:
        for _ in range(count):
            self._job.step()
            for model in self.models.values():
                assert model.step()

    def film(self) -> Parts:
        return Film(self.observer, "png").parts()


def shown(parts: Parts) -> tuple[Any, list[memoryview]]:
    """Give the next frame; between frames there are words only."""
    for said, raw in parts:
        if raw:
            return said, list(raw)
    raise AssertionError("it goes on until it is closed")


def begun(parts: Parts, scene: Set) -> tuple[Any, list[memoryview]]:
    """Give the first frame: until it looks for frames for the first time, nobody is a guest."""
    assert next(parts) == ({"state_dir": "/state"}, [])
    said: list[Any] = []
    thread = threading.Thread(target=lambda: said.append(shown(parts)))
    thread.start()
    within(5, lambda: all(model._guest is not None for model in scene.models.values()))
    scene.take()
    thread.join(10)
    return cast("tuple[Any, list[memoryview]]", said[0])


def test_a_frame_that_a_network_looked_at_is_given_once_and_whole() -> None:
    scene = Set(networks=2)
    scene.take(3)
    parts = scene.film()
    said, raw = begun(parts, scene)
    assert (said["camera"], said["taken_at"], said["sequence"], said["lost"]) == ("gate", 4, 4, 0)
    assert said["views"] == {"main": ("grey", 1)}
    assert (decoded("grey", [bytes(raw[0])]).planes[0] == 4).all()
    scene.take()
    assert shown(parts)[0]["taken_at"] == 5, "the other network looked at the same frame: that is sent once"
    parts.close()


def test_of_a_camera_with_a_small_view_that_is_recorded_which_a_network_is_given() -> None:
    scene = Set()
    camera: Any = TwoViews()
    looking = Looking("yard", SETTINGS, Inbox[Looked](8, Wake()), Reports(Wake()))
    job = CameraJob("yard", SETTINGS, lambda: cast("Camera", camera), looking)
    job.open()
    models = {name: ModelJob(name, SETTINGS, lambda size=size: cast("Any", Shown(size)), frozenset(), job,      # type: ignore[misc]
                             Inbox[Predicted | Rested](8, Wake())) for name, size in (("small", (32, 24)), ("large", (64, 48)))}
    for wanted, views in ((("small",), {"model"}), (("small", "large"), {"model", "main"}), (("large",), {"main"})):
        scene.models.clear()
        for name in wanted:
            scene.models[name] = models[name]
            models[name].open()
        film = Film(scene.observer, "png")
        film._follow()
        frame = camera.read(1)
        part = film._part("camera.yard", frame)
        assert part is not None
        said: Any = part[0]
        assert said["views"].keys() == views
        assert said["sizes"] == {"main": (64, 48), "model": (32, 24)}
        assert frame.slot.holders == 0


def test_who_is_slow_misses_frames_which_are_counted_and_holds_one_for_each_network() -> None:
    scene = Set()
    parts = scene.film()
    begun(parts, scene)
    made = scene.camera.pool.made
    scene.take(50)
    assert scene.camera.held == 1, "the newest, and nothing else"
    assert scene.camera.pool.made <= made + 1
    said, _ = shown(parts)
    assert (said["taken_at"], said["lost"]) == (51, 49)
    assert scene.camera.held == 0
    parts.close()


def test_nothing_is_left_when_the_client_leaves() -> None:
    scene = Set()
    parts = scene.film()
    begun(parts, scene)
    scene.take(3)
    parts.close()
    assert scene.camera.held == 0
    assert scene.models["net0"]._guest is None
    scene.take(3)
    assert scene.camera.held == 0


def test_after_a_reload_it_shows_what_the_new_networks_look_at() -> None:
    scene = Set()
    parts = scene.film()
    begun(parts, scene)
    old = scene.models.pop("net0")
    old.leave()
    scene.add("new")
    said: list[Any] = []
    thread = threading.Thread(target=lambda: said.append(shown(parts)))
    thread.start()
    within(5, lambda: scene.models["new"]._guest is not None)
    assert old._guest is None
    scene.take()
    thread.join(10)
    assert said[0][0]["taken_at"] == 2
    parts.close()


def test_a_frame_that_is_too_large_for_a_line_is_counted_and_not_sent() -> None:
    assert PART_BYTES * 4 / 3 < LONGEST - 100_000
    scene = Set(shape=(1200, 1700, 3))
    parts = scene.film()
    next(parts)
    said: list[Any] = []

    def listen() -> None:
        said.extend(part for part in (next(parts) for _ in range(3)) if part[0].get("large"))

    thread = threading.Thread(target=listen)
    thread.start()
    within(5, lambda: scene.models["net0"]._guest is not None)
    scene.take()
    thread.join(30)
    assert said[0] == ({"lost": 1, "large": 1}, [])
    parts.close()


def test_one_at_a_time_and_only_what_there_is() -> None:
    scene, busy = Set(), threading.Lock()
    first = frames(scene.observer, busy, {})
    next(first)
    with pytest.raises(ControlError, match="somebody records frames already"):
        next(frames(scene.observer, busy, {"form": "jpeg"}))
    first.close()
    again = frames(scene.observer, busy, {"form": "jpeg"})
    assert next(again)[0] == {"state_dir": "/state"}
    again.close()
    with pytest.raises(ControlError, match='frames takes "form", one of png, jpeg; found \'gif\''):
        next(frames(scene.observer, busy, {"form": "gif"}))
    assert not busy.locked()
    assert offered == FORMS, "reflexctl offers what there is, without loading it"


@pytest.fixture
def bench(start: Start, devices: Devices, tmp_path: Path) -> Iterator[Bench]:
    one = Bench(start, tmp_path / "control.sock", camera={"gate": {
        **CONFIG["camera"]["gate"], "masks": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}})
    yield one
    one.server.close()


def test_what_is_recorded_has_the_frame_of_each_prediction_and_nothing_that_a_mask_hides(
        bench: Bench, devices: Devices, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance, seen = np.random.default_rng(3), []

    def picture() -> Pixels:
        seen.append(chance.integers(1, 256, (8, 8), np.uint8))
        return seen[-1]

    devices["camera"].picture = picture
    file = tmp_path / "day.jsonl"
    assert main(["record", str(file), "--for", "1s", "--frames", "--socket", str(bench.socket)]) == 0
    assert " frames" in capsys.readouterr().out
    found = [line for line in read(file, frames=True) if isinstance(line, Framed)]
    predicted = [line.item[3] for line in read(file) if isinstance(line, Taken) and line.item[0] == "predicted"]
    taken = {one.taken_at for one in found}
    assert len(taken) == len(found) > 20
    assert not any(isinstance(line, Framed) for line in read(file))
    lost = sum(line.frames for line in read(file) if isinstance(line, Unframed))
    assert sum(at not in taken for at in predicted if at > min(taken)) <= lost
    drawn = {one[:, 5:].tobytes() for one in seen}
    for one in found:
        ((plane,), kind) = (decoded(*one.views["main"]).planes, one.views["main"][0])
        assert kind == "grey"
        assert (plane[:, :4] == 0).all(), "masked before anybody sees it"
        assert plane[:, 5:].tobytes() in drawn, "and else as it was, bit for bit"
    assert replay(file).whole
    assert file.stat().st_mode & 0o777 == 0o600
    within(5, lambda: all(job._guest is None for job in bench.running.daemon.parts.models.values()))


def test_a_recorder_that_is_killed_is_noticed_and_the_next_one_begins(bench: Bench, devices: Devices) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(bench.socket))
        client.sendall(line_of({"verb": "frames"}))
        assert b'"state_dir"' in client.recv(4096)
        with pytest.raises(ControlError, match="somebody records frames already"):
            LiveFrames(bench.socket, "png")
    devices["camera"].silent = True       # no frame that would be sent: it notices all the same
    within(8, lambda: begins(bench.socket))


def begins(path: Path) -> bool:
    try:
        LiveFrames(path, "jpeg").close()
    except ControlError:
        return False
    return True


def test_frames_that_end_do_not_end_the_recording(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = Following(bench.socket, "frames")
    next(held.answers(5))
    file = tmp_path / "day.jsonl"
    assert main(["record", str(file), "--for", "300ms", "--frames", "--socket", str(bench.socket)]) == 1
    assert capsys.readouterr().err == "reflexctl: somebody records frames already; wait for the end of that\n"
    assert not file.exists(), "who asks for frames and gets none is told at once"
    held.close()
    with pytest.raises(SystemExit):
        main(["record", "--frames", str(file)])
    assert "FILE comes before --frames" in capsys.readouterr().err


class Talker:
    """Answers a client with whatever bytes a test wants."""

    def __init__(self, path: Path, said: bytes) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        threading.Thread(target=self._answer, args=(said,), daemon=True).start()

    def _answer(self, said: bytes) -> None:
        with self._listener, self._listener.accept()[0] as client:
            client.recv(4096)
            client.sendall(said)


@pytest.mark.parametrize(("said", "words"), [
    (line_of({"ok": True, "result": {}, "bytes": [5]}) + b"abc", "it sends no more"), (b"x" * 5000, "longer than allowed"),
    (line_of({"ok": True, "result": {}, "bytes": [PART_BYTES, 1]}), "longer than allowed"), (b"[1]\n", "no reflexd"),
    (line_of({"ok": True, "bytes": ["a"]}), "did not answer"), (line_of({"ok": False, "error": "no"}), "no")])
def test_what_answers_otherwise_than_agreed_is_told(tmp_path: Path, said: bytes, words: str) -> None:
    Talker(tmp_path / "sock", said)
    with closing(Following(tmp_path / "sock", "frames")) as following, pytest.raises(ControlError, match=words):
        list(following.answers(5))


def test_a_full_disk_ends_a_recording_with_frames_as_one_without(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "/dev/full", "--force", "--frames", "--socket", str(bench.socket)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("reflexctl: /dev/full: no space left on device; ")
    assert said.count("\n") == 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 8 MB."""
    with small_disk(tmp_path / "disk", 8) as place:
        yield place


def test_frames_leave_room_on_a_disk_and_items_alone_do_not_ask_for_it(
        bench: Bench, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", str(small / "seen.jsonl"), "--frames", "--socket", str(bench.socket)]) == 1
    said = capsys.readouterr()
    assert f"{small / 'seen.jsonl'}: the recording ends here, for only " in said.err
    assert said.err.count("\n") == 1
    assert replay(small / "seen.jsonl").whole
    assert main(["record", str(small / "day.jsonl"), "--for", "600ms", "--socket", str(bench.socket)]) == 0


def test_who_may_only_read_gets_no_frames(bench: Bench) -> None:
    assert bench.verbs["frames"].access is bench.verbs["snapshot"].access
    assert bench.verbs["frames"].access > bench.verbs["trace"].access
