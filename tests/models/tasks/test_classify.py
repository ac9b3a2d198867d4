"""A network that classifies sees what is in a picture, and tells only what is asked."""

import threading
import tracemalloc
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reflexd_models.base import ModelError
from reflexd_models.bundle import Bundle, of_file, open_model
from reflexd_models.runtime import TensorInfo
from reflexd_models.series import told
from reflexd_models.tasks.classify import Classifier, Options, check_labels, share
from tests.models.helpers import noise, picture, rgb


@pytest.fixture(scope="module")
def vww(shared):
    bundle = of_file(shared / "models" / "vww96_int8.tflite", ("no_person", "person"))
    return lambda watch=None: open_model(bundle, Options(), watch)


@pytest.mark.parametrize(("name", "least", "most"), [
    ("grace_hopper.bmp", 0.85, 0.93), ("bird.bmp", 0.58, 0.70), ("person.bmp", 0.32, 0.34)])
def test_the_person_detector_sees_what_an_antialiased_picture_lets_it_see(name, least, most, vww, shared):
    assert least <= vww().predict(picture(shared / "images" / name), 0).scores["person"] <= most


def test_only_watched_labels_are_told_as_plain_floats_with_the_frames_time(vww):
    told = vww({"person", "unicorn"}).predict(rgb(noise(96, 96)), 12345)
    assert list(told.scores) == ["person"]
    assert type(told.scores["person"]) is float
    assert told.taken_at == 12345


def test_a_label_that_stands_twice_counts_with_its_higher_score(shared):
    bundle = of_file(shared / "models" / "vww96_int8.tflite", ("same", "same"))
    scores = open_model(bundle, Options(), None).predict(picture(shared / "images" / "grace_hopper.bmp"), 0).scores
    assert scores["same"] > 0.8


def test_what_the_network_is_given_can_be_drawn(vww, shared):
    view = picture(shared / "images" / "grace_hopper.bmp")
    (given,) = vww().given(view)
    assert (given.shape, given.dtype) == ((96, 96, 3), np.uint8)
    assert not np.shares_memory(given, view.planes[0])


def test_a_prediction_takes_no_memory_of_a_frames_size(vww):
    model, view = vww({"person"}), rgb(noise(480, 640))
    model.predict(view, 0)
    tracemalloc.start()
    for _ in range(20):
        model.predict(view, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8192


def test_drawing_what_is_given_does_not_disturb_a_prediction_in_another_thread(vww):
    model, one, other = vww({"person"}), rgb(noise(480, 640)), rgb(noise(300, 200, seed=9))
    wanted, stop = model.predict(one, 0).scores, threading.Event()

    def draw():
        while not stop.is_set():
            model.given(other)

    thread = threading.Thread(target=draw)
    thread.start()
    found = [model.predict(one, 0).scores for _ in range(300)]
    stop.set()
    thread.join()
    assert all(scores == wanted for scores in found)


@pytest.mark.fault("F44", bound="at start", outcome="refused: says what the task takes")
@pytest.mark.parametrize(("name", "labels", "said"), [
    ("vww96_int8", None, "has no labels inside, and gives 2 scores"),
    ("vww96_int8", ("a", "b", "c"), "there are 3 labels, and the network gives 2 scores"),
    ("ad01_int8", ("a",), r"takes \[1, height, width, 1 or 3\] or .*, found \[1, 640\]"),
    ("coco_ssd_mobilenet_v1_quant_meta", None, "in 4 outputs"),
])
def test_a_network_that_does_not_fit_the_task_is_refused(name, labels, said, shared):
    with pytest.raises(ModelError, match=said):
        open_model(of_file(shared / "models" / f"{name}.tflite", labels, "classify"), Options())


@pytest.mark.fault("F50", bound="one prediction", outcome="an error of the network: unknown, outputs that depend on it safe")
def test_a_score_that_is_no_number_is_an_error_and_one_just_outside_is_held():
    assert (share(1.002, "x"), share(-0.01, "x")) == (1.0, 0.0)
    with pytest.raises(ModelError, match="nan"):
        share(float("nan"), "x")


@pytest.mark.parametrize("logit", [7.5, -3.0, 100, float("inf")])
def test_what_is_no_share_is_an_error_rather_than_sure(logit):
    with pytest.raises(ModelError, match=r"x: the network gave the score .*, and scores are 0 to 1; convert it with its softmax"):
        share(logit, "x")
    with pytest.raises(ModelError, match="scores are 0 to 1"):
        told(("a",), [logit], "x")


@pytest.mark.fault("F45", bound="at start", outcome="refused: whole numbers need a scale")
@pytest.mark.parametrize(("kind", "scale", "fits"), [("int8", 0.0, False), ("int8", 0.004, True), ("float32", 0.0, True)])
def test_whole_numbers_have_to_say_which_real_numbers_they_are(kind, scale, fits):
    network: Any = SimpleNamespace(where="x", outputs=(TensorInfo(0, "out", (1, 2), np.dtype(kind), scale, 0),))
    with nullcontext() if fits else pytest.raises(ModelError, match="without a scale"):
        check_labels(Bundle("x", Path("x"), "classify", ("a", "b")), network)


def test_the_classifier_is_a_model(vww):
    assert isinstance(vww(), Classifier)
    assert vww().labels == ("no_person", "person")
