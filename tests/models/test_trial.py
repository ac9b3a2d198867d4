"""A file that nobody vouches for is tried in a child: nothing that it does reaches this process."""

import os
import sys
import time

import pytest

from reflexd_models import trial
from reflexd_models.base import ModelError
from reflexd_models.bundle import load, of_file
from tests.models.helpers import MODELS, error_of


def refused(path) -> str:
    began = time.monotonic()
    with pytest.raises(ModelError) as caught:
        load(of_file(path))
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_network_passes(shared):
    trial.try_out((shared / "models" / "vww96_int8.tflite").read_bytes(), "vww")


@pytest.mark.fault("F46", bound="one trial in a child", outcome="refused with one line that names the runtime and its reason")
def test_a_public_network_that_no_runtime_loads_gives_a_clear_line(shared):
    assert "refuses the network" in refused(shared / "models" / "person_detect_refused.tflite")


@pytest.mark.fault("F41", bound="one trial in a child", outcome="refused with one line; nothing of it reaches the process")
@pytest.mark.parametrize("name", MODELS)
def test_cut_copies_of_every_network_give_one_line(name, shared, tmp_path):
    content = (shared / "models" / f"{name}.tflite").read_bytes()
    for cut in (0, 7, len(content) // 100, len(content) // 3, len(content) // 2, len(content) * 9 // 10, len(content) - 4):
        path = tmp_path / "cut.tflite"
        path.write_bytes(content[:cut])
        assert str(path) in refused(path)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.97])
def test_the_child_alone_survives_what_the_first_look_would_catch(share, shared):
    content = (shared / "models" / "vww96_int8.tflite").read_bytes()
    with pytest.raises(ModelError, match=r"refuses the network|crashed the runtime|given up"):
        trial.try_out(content[: int(len(content) * share)], "cut")


@pytest.mark.fault("F43", bound="one trial in a child", outcome="refused with one line; nothing of it reaches the process")
def test_overwritten_weights_and_tables_never_reach_this_process(shared, tmp_path):
    content = bytearray((shared / "models" / "vww96_int8.tflite").read_bytes())
    for place in range(1000, 9000, 2000):
        content[-place : -place + 8] = b"\xff" * 8
        path = tmp_path / "bad.tflite"
        path.write_bytes(content)
        error_of(lambda path=path: load(of_file(path)))


def test_a_child_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(trial, "WALL_S", 0.01)
    with pytest.raises(ModelError, match="given up: no answer within"):
        trial.try_out(b"", "slow")


@pytest.mark.parametrize(("status", "said"), [
    (-9, "given up: more than 7 s of processor time"), (-24, "given up"), (-11, "crashed the runtime in a trial (SIGSEGV)"),
    (-34, "crashed the runtime in a trial"), (1, "the trial of the network failed (status 1)")])
def test_how_a_child_ended_is_told(status, said):
    done = trial.subprocess.CompletedProcess([], status, b"", b"")
    assert said in error_of(lambda: trial._judge(done, "x"))


def test_a_child_has_limits():
    import resource

    code = ("import resource, reflexd_models.trial as t; t._limit(); "
            "print(*[resource.getrlimit(k)[0] for k in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_CORE)])")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = trial.subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True).stdout.split()
    assert [int(limit) for limit in told] == [trial.CPU_S, trial.ADDRESSES, 0]
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] != trial.CPU_S


def test_a_child_that_says_nothing_is_not_believed():
    done = trial.subprocess.CompletedProcess([], 0, b"chat\n[]\n", b"")
    with pytest.raises(ModelError, match="the trial of the network failed"):
        trial._judge(done, "silent")
