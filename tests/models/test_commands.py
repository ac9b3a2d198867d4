"""reflexctl model: known answers, and one line for everything that cannot be."""

import argparse
import json
import os

import numpy as np
import pytest

from reflexd.ctl import model as verb
from tests.models.helpers import meter_copy


def command(*words: object) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args([str(word) for word in words]))


def failure(capfd, *words: object) -> str:
    assert command(*words) == 1
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_the_cat_is_an_egyptian_one(shared, capfd):
    network = shared / "models" / "mobilenet_v1_0.25_224_quant_meta.tflite"
    assert command("try", network, shared / "images" / "cat.bmp", "--json") == 0
    (told,) = json.loads(capfd.readouterr().out)["pictures"]
    assert told["scores"][0]["label"] == "Egyptian cat"
    assert len(told["scores"]) == 5


def test_the_person_is_found_with_labels_from_a_file(shared, tmp_path, capfd):
    labels = tmp_path / "labels.txt"
    labels.write_bytes("\ufeffno_person\r\nperson\r\n".encode())
    network = shared / "models" / "vww96_int8.tflite"
    assert command("try", network, "--labels", labels, shared / "images" / "grace_hopper.bmp") == 0
    out, err = capfd.readouterr()
    assert "0.906  person" in out
    assert err == ""


def test_regions_of_a_picture_are_read_as_a_number(shared, capfd):
    words = ("--region", "0,0,0.5,1", "--region", "0.5,0,0.5,1", "--json")
    assert command("try", "meter", shared / "images" / "person.bmp", *words) == 0
    assert len(json.loads(capfd.readouterr().out)["pictures"][0]["parts"]) == 2


def test_the_meter_is_judged_by_kind(shared, tmp_path, capfd):
    with np.load(shared / "data" / "meter_digits.npz", allow_pickle=False) as found:
        np.savez(tmp_path / "some.npz", x=found["x"][::50], y=found["y"][::50], group=found["group"][::50])
    assert command("evaluate", "meter", tmp_path / "some.npz", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert set(told) == {"all", "groups"}
    assert set(told["all"]) == {"strict", "within_tenth", "within_tenth_covered", "coverage", "wrong_digit", "count"}
    assert told["all"]["count"] == 281 == sum(one["count"] for one in told["groups"].values())
    assert command("evaluate", "meter", tmp_path / "some.npz") == 0
    assert "held out of training" in capfd.readouterr().out


@pytest.mark.parametrize("labels", [b"\xff\xfe\xff", b"one", b"", b"a\nb\nc\n"])
def test_labels_that_do_not_fit_give_one_line(labels, shared, tmp_path, capfd):
    (tmp_path / "labels.txt").write_bytes(labels)
    network = shared / "models" / "vww96_int8.tflite"
    assert "labels" in failure(capfd, "try", network, "--labels", tmp_path / "labels.txt", shared / "images" / "cat.bmp")


def test_pictures_that_are_none_give_one_line(shared, tmp_path, capfd):
    (tmp_path / "empty.png").touch()
    (tmp_path / "junk.jpg").write_bytes(b"\xff\xd8\xff" + b"junk" * 99)
    (tmp_path / "huge.png").write_bytes(_png_header(60_000, 60_000))
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty.png", "junk.jpg", "huge.png", "pipe", "absent", "."):
        assert "reflexctl: " in failure(capfd, "try", "meter", tmp_path / name)


def _png_header(width: int, height: int) -> bytes:
    import zlib

    body = b"IHDR" + width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + body + zlib.crc32(body).to_bytes(4)


@pytest.mark.parametrize(("arrays", "said"), [
    ({}, "has no arrays x and y"),
    ({"x": np.zeros((2, 32, 20, 3), np.uint8)}, "has no arrays x and y"),
    ({"x": np.zeros((2, 32, 20, 3), np.float32), "y": np.zeros(2, int)}, "expected x uint8"),
    ({"x": np.zeros((2, 32, 20), np.uint8), "y": np.zeros(2, int)}, "expected x uint8"),
    ({"x": np.zeros((2, 32, 20, 3), np.uint8), "y": np.zeros(3, int)}, "expected x uint8"),
    ({"x": np.zeros((0, 32, 20, 3), np.uint8), "y": np.zeros(0, int)}, "expected x uint8"),
    ({"x": np.zeros((1, 32, 20, 3), np.uint8), "y": np.array([100])}, "y is 0 to 99"),
    ({"x": np.zeros((1, 32, 20, 3), np.uint8), "y": np.array(5)}, "expected x uint8"),
    ({"x": np.zeros((1, 32, 20, 3), np.uint8), "y": np.array([5]), "group": np.array([1])}, "expected x uint8"),
    ({"x": np.array([{}], object), "y": np.array([5])}, "is not a sound .npz file"),
])
def test_data_sets_that_are_none_give_one_line(arrays, said, tmp_path, capfd):
    np.savez(tmp_path / "data.npz", **arrays)
    assert said in failure(capfd, "evaluate", "meter", tmp_path / "data.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04junk", b"x" * 1000])
def test_files_that_are_no_data_set_give_one_line(content, tmp_path, capfd):
    (tmp_path / "data.npz").write_bytes(content)
    assert "is not a sound .npz file" in failure(capfd, "evaluate", "meter", tmp_path / "data.npz")


def test_a_damaged_bundle_gives_one_line(tmp_path, shared, capfd):
    folder = meter_copy(tmp_path)
    (folder / "meter.tflite").write_bytes(b"TFL3")
    assert "sha256 should be" in failure(capfd, "try", folder, shared / "images" / "cat.bmp")


def test_options_that_do_not_go_together_give_one_line(shared, capfd):
    network, cat = shared / "models" / "mobilenet_v1_0.25_224_quant_meta.tflite", shared / "images" / "cat.bmp"
    assert "they go together" in failure(capfd, "try", network, cat, "--mean", "1")
    assert "--region is for the task regions" in failure(capfd, "try", network, cat, "--region", "0,0,1,1")
    assert "region 1 reaches outside" in failure(capfd, "try", "meter", cat, "--region", "0.5,0,1,1")
    assert "is a bundle" in failure(capfd, "try", "meter", cat, "--labels", cat)
    assert "found classify" in failure(capfd, "evaluate", network, cat)
