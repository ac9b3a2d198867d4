"""One adapter stands before both runtimes."""

import gc
import weakref

import numpy as np
import pytest

from reflexd_models.base import ModelError
from reflexd_models.bundle import find_bundle, load, zoo
from reflexd_models.runtime import Network, runtime
from tests.models.helpers import meter_copy


@pytest.fixture(scope="module")
def content() -> bytes:
    return (zoo() / "meter" / "meter.tflite").read_bytes()


def test_the_runtime_that_was_taken_is_told_with_its_version():
    name, version = runtime().split()
    assert name in ("LiteRT", "tflite-runtime")
    assert version[0].isdigit()


def test_outputs_are_copies_that_the_next_run_of_another_network_leaves_alone(content):
    one, other = Network(content, "one"), Network(content, "other")
    (kept,) = one.run(lambda tensor: tensor.fill(90))
    before = kept.copy()
    other.run(lambda tensor: tensor.fill(-128))
    assert (kept == before).all()
    assert kept is one.raw[0]


def test_a_thousand_runs_never_hold_on_to_a_tensor(content):
    network = Network(content, "meter")
    first = network.run(lambda tensor: tensor.fill(5))[0].copy()
    for value in range(1000):
        network.run(lambda tensor, value=value: tensor.fill(value % 100))
    assert (network.run(lambda tensor: tensor.fill(5))[0] == first).all()


def test_a_network_without_recurrent_state_survives_a_reset(content):
    network = Network(content, "meter")
    first = network.run(lambda tensor: tensor.fill(5))[0].copy()
    network.reset()
    assert (network.run(lambda tensor: tensor.fill(5))[0] == first).all()


def test_a_fill_that_fails_is_told_as_the_networks_fault(content):
    with pytest.raises(ModelError, match=r"meter: .* failed while inferring"):
        Network(content, "meter").run(lambda tensor: np.copyto(tensor, np.zeros((3, 3, 3, 3), np.int8)))


@pytest.mark.parametrize("junk", [b"", b"TFL3", b"\0" * 5000, b"PK\x03\x04" + b"x" * 100])
def test_what_is_no_tflite_file_is_refused_before_a_runtime_sees_it(junk):
    with pytest.raises(ModelError, match="is not a TensorFlow Lite file"):
        Network(junk, "junk")


def test_networks_of_the_same_bytes_share_them_for_as_long_as_one_lives(content):
    one, other = Network(bytes(bytearray(content)), "one"), Network(bytes(bytearray(content)), "other")
    assert one.content.bytes is other.content.bytes
    held = weakref.ref(one.content)
    del one
    gc.collect()
    assert held() is other.content, "the other one still reads them"
    assert (other.run(lambda tensor: tensor.fill(90))[0] == Network(content, "anew").run(lambda tensor: tensor.fill(90))[0]).all()
    del other
    gc.collect()
    assert held() is None


@pytest.mark.fault("F48", bound="at once", outcome="the network that runs keeps its bytes")
def test_a_file_that_was_exchanged_is_not_taken_for_the_old_one(tmp_path):
    folder = meter_copy(tmp_path)
    one = load(find_bundle(str(folder)))
    assert load(find_bundle(str(folder))).content is one.content
    changed = bytearray((folder / "meter.tflite").read_bytes())
    changed[-1] ^= 1
    assert Network(bytes(changed), "changed").content.bytes == bytes(changed) != one.content.bytes
