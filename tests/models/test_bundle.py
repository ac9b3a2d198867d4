"""A bundle is what it says, or it is refused with one line that says where, what and what to do."""

import os
import zipfile

import numpy as np
import pytest

from reflexd_models.base import ModelError
from reflexd_models.bundle import find_bundle, load, of_folder, open_model, shipped
from reflexd_models.managing.checking import usual_options
from reflexd_models.tasks import regions
from tests.models.helpers import meter_copy, rehash, rewrite


def refusal(folder) -> str:
    with pytest.raises(ModelError) as caught:
        load(of_folder(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_shipped_bundle_is_verified_and_opens_without_a_trial():
    for name in shipped():
        bundle = find_bundle(name)
        options = usual_options(bundle.task)
        assert bundle.golden is not None
        assert options is not None
        assert open_model(bundle, options).labels == bundle.labels


def test_a_name_is_looked_up_in_the_state_directory_first(tmp_path):
    (tmp_path / "bundles").mkdir()
    folder = meter_copy(tmp_path / "bundles")
    assert find_bundle("meter", tmp_path).path.parent == folder
    assert find_bundle("meter", tmp_path / "absent").path.parent != folder


def test_a_path_is_a_path(tmp_path):
    folder = meter_copy(tmp_path)
    assert find_bundle(str(folder)).path == folder / "meter.tflite"
    assert find_bundle(str(folder / "meter.tflite")).sha256 is None


@pytest.mark.fault("F40", bound="at start", outcome="refused with one line that names it")
@pytest.mark.parametrize("name", [
    "", ".", "..", "nosuch", "a\0b", "../x", "/dev/null", "x" * 5000, "nosuch.tflite", "/dev/zero.tflite"])
def test_a_bundle_that_is_not_there_gives_one_clear_error(name, tmp_path):
    with pytest.raises(ModelError):
        find_bundle(name, tmp_path)


@pytest.mark.parametrize(("old", "new", "said"), [
    ("schema = 1", "schema = 2", "schema"),
    ('task = "regions"', 'task = "dance"', 'there is none called "dance"; there are classify, detect, '),
    ("sha256 = ", "sha512 = ", "sha256: Field required"),
    ('file = "meter.tflite"', 'file = "../../etc/passwd"', "file:"),
    ('"0", "1"', '"0", 1', "labels.1"),
    ("threshold = ", "threshold = 7 #", "less than or equal to 1"),
    ("width = 20", "width = 20\nmean = 1", "mean and std go together"),
    ("[golden]", "[golden", "is not TOML"),
])
def test_a_description_that_is_wrong_is_refused(old, new, said, tmp_path):
    folder = meter_copy(tmp_path)
    rewrite(folder, old, new)
    assert said in refusal(folder)


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"a = " + b"[" * 100_000, b"", b"#" * (2 << 20)])
def test_a_description_that_is_garbage_is_refused(content, tmp_path):
    folder = meter_copy(tmp_path)
    (folder / "model.toml").write_bytes(content)
    assert "model.toml" in refusal(folder)


@pytest.mark.fault("F41", bound="at start", outcome="refused: its hash is another")
@pytest.mark.fault("F42", bound="at start", outcome="refused: its hash is another")
def test_a_cut_or_changed_network_is_found_by_its_hash(tmp_path):
    folder = meter_copy(tmp_path)
    content = (folder / "meter.tflite").read_bytes()
    for other in (content[:-1], content[:5000], b"", content[:-9] + b"x" + content[-8:]):
        (folder / "meter.tflite").write_bytes(other)
        assert "sha256 should be" in refusal(folder)


def test_a_network_that_answers_otherwise_is_found_by_the_golden_case(tmp_path):
    folder = meter_copy(tmp_path)
    with np.load(folder / "golden.npz") as case:
        given, told = case["given"], case["told"]
    np.savez(folder / "golden.npz", given=given, told=np.roll(told, 1, axis=-1))
    assert "answers otherwise than where it was made" in refusal(folder)
    np.savez(folder / "golden.npz", given=given[:, :5], told=told)
    assert "does not fit the network" in refusal(folder)
    np.savez(folder / "golden.npz", given=given[:0], told=told[:0])
    assert "does not fit the network" in refusal(folder)


def test_a_bundle_without_a_golden_case_is_tried_in_a_child(tmp_path):
    folder = meter_copy(tmp_path)
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text[: text.index("[golden]")])
    (folder / "meter.tflite").write_bytes((folder / "meter.tflite").read_bytes()[:60_000])
    rehash(folder)
    assert "cut off or damaged" in refusal(folder)


def test_a_golden_case_that_unpacks_without_end_is_refused(tmp_path):
    folder = meter_copy(tmp_path)
    with zipfile.ZipFile(folder / "golden.npz", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("given.npy", b"\0" * (64 << 20))
    assert "unpacks to more than 16 MiB" in refusal(folder)


def test_a_pickle_is_never_read(tmp_path):
    folder = meter_copy(tmp_path)
    np.savez(folder / "golden.npz", given=np.array([{}], object), told=np.array([1]))
    assert "is not a sound .npz file" in refusal(folder)


@pytest.mark.fault("F47", bound="at start", outcome="refused before it is read")
@pytest.mark.parametrize("name", ["model.toml", "meter.tflite", "golden.npz"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(name, tmp_path):
    folder = meter_copy(tmp_path)
    path = folder / name
    path.unlink()
    assert "cannot be opened" in refusal(folder)
    path.mkdir()
    assert "found a folder" in refusal(folder)
    path.rmdir()
    os.mkfifo(path)
    assert "found a device or a pipe" in refusal(folder)
    path.unlink()
    path.symlink_to(path)
    assert "cannot be opened" in refusal(folder)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert "is larger than" in refusal(folder)


@pytest.mark.fault("F44", bound="at start", outcome="refused: says what the bundle has and what the network gives")
@pytest.mark.parametrize(("old", "new", "said"), [
    ('"9", "between"]', '"9"]', "there are 10 labels, and the network gives 11 scores"),
    ('"9", "between"]', '"ten", "between"]', 'found "ten"'),
    ("width = 20", "width = 21", "[input] of the bundle does not fit"),
    ('layout = "rgb"', 'layout = "grey"', "[input] of the bundle does not fit"),
])
def test_a_description_that_contradicts_the_network_is_refused(old, new, said, tmp_path):
    folder = meter_copy(tmp_path)
    rewrite(folder, old, new)
    with pytest.raises(ModelError) as caught:
        open_model(of_folder(folder), regions.Options(regions=((0, 0, 1, 1),)))
    assert said in str(caught.value)
