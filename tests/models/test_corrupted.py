"""Thousands of damaged bundles: none is installed, each is refused with one line, and nothing reaches this process."""

import hashlib
import io
import os
import random
import resource
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reflexd_models.bundle import of_file, zoo
from reflexd_models.managing.anatomy import read as anatomy
from reflexd_models.managing.checking import check
from reflexd_models.managing.store import packed
from tests.models.helpers import error_of, rehash

CASES, MANY = 2000, 10_000
IN_A_CHILD = 50          # one in so many is damaged with care, its hash put right, and reaches a runtime
BOUND_S = 5.0            # of processor time, this process and its children together: it does not depend on who else works here
METER, SVM = packed(zoo() / "meter"), packed(zoo() / "vibration-svm")
NETWORK, LEARNER = METER["meter.tflite"], SVM["learner.npz"]
SHAPE = struct.pack("<4i", 1, 32, 20, 3)


def cut(data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def flipped(data: bytes, least: int = 1) -> bytes:
    made = bytearray(data)
    for _ in range(least):
        made[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(made)


def zeroed(data: bytes, share: float = 0.0) -> bytes:
    """Zero a part that was not all zeros."""
    length = max(64, int(len(data) * share))
    at = random.randrange(len(data) // 8, len(data) * 7 // 8 - length)
    assert any(data[at : at + length])
    return data[:at] + bytes(length) + data[at + length :]


def bomb(size: int, told: int | None = None) -> bytes:
    """Make an .npz that unpacks to a lot; or says that it is small."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("given.npy", bytes(size))
    data = bytearray(made.getvalue())
    if told is not None:
        at = data.rindex(b"PK\x01\x02") + 24
        data[at : at + 4] = struct.pack("<I", told)
    return bytes(data)


def large_array(shape: tuple[int, ...]) -> bytes:
    """Make an .npz whose array is said to be huge."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("given.npy", header.getvalue() + bytes(64))
        archive.writestr("told.npy", header.getvalue() + bytes(64))
    return made.getvalue()


def pickled() -> bytes:
    made = io.BytesIO()
    np.savez(made, given=np.array([{}], object), told=np.array([{}], object))
    return made.getvalue()


def of_toml(about: bytes) -> bytes:
    """Damage a description in a way that leaves no doubt: a flipped label is one that nobody can see."""
    at = random.randrange(about.index(b'"golden.npz"'))
    network = b"meter.tflite" if b"meter.tflite" in about else b"learner.npz"
    return random.choice([
        lambda: about[:at], lambda: about[:at] + bytes([about[at] | 0x80]) + about[at + 1 :],
        lambda: about[:at] + b"\0" + about[at:],
        lambda: b"#" * (2 << 20), lambda: about + b"x = " + b"[" * random.randrange(500, 100_000),
        lambda: about + b"x" + b".y" * random.randrange(500, 50_000) + b" = 1",
        lambda: about.replace(b'sha256 = "', b'sha256 = "0'),
        lambda: about.replace(network, random.choice([b"../" + network, b"/etc/passwd", b".", b"a/b", b"absent"])),
        lambda: about.replace(b"golden.npz", random.choice([b"../golden.npz", b"/dev/zero", b"", b"absent"])),
        lambda: about + b"labels = [" + b'"x", ' * 100_001 + b"]",
        lambda: about.replace(b"tolerance = ", b"tolerance = nan #"),
    ])()


def cheap(folder: Path, sound: dict[str, bytes]) -> None:
    """Damage a bundle in a way that is seen without a runtime."""
    kind = random.randrange(10)
    network = "meter.tflite" if "meter.tflite" in sound else "learner.npz"
    if kind < 3:
        file, made = network, random.choice([cut, flipped, zeroed])(sound[network])
    elif kind < 5:
        file, made = "model.toml", of_toml(sound["model.toml"])
    elif kind < 7:
        file, made = "golden.npz", random.choice([cut, zeroed, lambda _: random.choice(BOMBS)])(sound["golden.npz"])
    else:
        file, made = random.choice(list(sound)), None
        (folder / file).unlink()
        if kind == 7:
            (folder / file).symlink_to(random.choice(["/etc/passwd", "../secret", file, "/dev/zero", "/proc/self/mem"]))
        elif kind == 8:
            random.choice([os.mkfifo, os.mkdir])(folder / file)
        elif file == "MODEL_CARD.md" or random.random() < 0.5:
            (folder / file).write_bytes(b"")
            os.truncate(folder / file, 1 << 40)       # of holes
    if made is not None:
        (folder / file).write_bytes(made)


def with_care(folder: Path, sound: dict[str, bytes]) -> None:
    """Damage a network or a learner thoroughly, and let model.toml vouch for it."""
    if "learner.npz" in sound:
        made = random.choice([
            lambda: cut(LEARNER), lambda: zeroed(LEARNER), other_numbers, other_shapes, lambda: random.choice(BOMBS)])()
        (folder / "learner.npz").write_bytes(made)
        before, after = (hashlib.sha256(one).hexdigest().encode() for one in (LEARNER, made))
        (folder / "model.toml").write_bytes(sound["model.toml"].replace(before, after))
        return
    wide = struct.pack("<4i", 1, random.choice([1 << 20, 1 << 30, -5, 0]), 1 << 20, 3)
    made = random.choice([
        lambda: cut(NETWORK), lambda: flipped(NETWORK, 3000), lambda: zeroed(NETWORK, 0.4), lambda: NETWORK.replace(SHAPE, wide),
        lambda: NETWORK[:8] + os.urandom(len(NETWORK) - 8), lambda: b"TFL3" * 20_000,
        lambda: NETWORK[: len(NETWORK) // 2] + os.urandom(len(NETWORK) // 4) + NETWORK[len(NETWORK) * 3 // 4 :],
    ])()
    (folder / "meter.tflite").write_bytes(made)
    rehash(folder)


def other_numbers() -> bytes:
    """Give a learner of the same shapes that has learnt something else."""
    with np.load(io.BytesIO(LEARNER)) as found:
        arrays = {name: found[name] for name in found.files}
    largest = max((name for name in arrays if arrays[name].dtype.kind == "f"), key=lambda name: arrays[name].size)
    return saved({**arrays, largest: -7 * arrays[largest][::-1] - 3})


def other_shapes() -> bytes:
    """Give a learner of which an array is too long, or missing."""
    with np.load(io.BytesIO(LEARNER)) as found:
        arrays = {name: found[name] for name in found.files}
    name = random.choice(list(arrays))
    longer = {**arrays, name: np.concatenate([np.atleast_1d(arrays[name])] * 3)}
    return saved(random.choice([longer, {other: array for other, array in arrays.items() if other != name}]))


def saved(arrays: dict[str, np.ndarray]) -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()


BOMBS = (bomb(17 << 20), bomb(64 << 20), bomb(17 << 20, 100), large_array((1 << 40,)), large_array((1 << 28,)), large_array((0,)),
         pickled(), b"", b"PK\x05\x06" + bytes(18))


def spent_s() -> float:
    return sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def refusal(folder: Path) -> str:
    """Do what an installation does before anything is in place."""
    return error_of(lambda: (packed(folder), check(folder)))


def test_what_is_damaged_here_is_sound_before(tmp_path):
    for name in ("meter", "vibration-svm"):
        assert refusal(Path(shutil.copytree(zoo() / name, tmp_path / name))) == ""
    assert NETWORK.count(SHAPE) > 0


@pytest.mark.fault("F42", bound="5 s of processor time", outcome="none is installed, each is refused with one line")
@pytest.mark.fault("F43", bound="5 s of processor time", outcome="none is installed, each is refused with one line")
@pytest.mark.once
def test_thousands_of_damaged_bundles_are_refused(tmp_path, request):
    random.seed(6)
    folder = tmp_path / "meter"
    (tmp_path / "secret").write_bytes(NETWORK)
    accepted, slow, words = [], [], set()
    for case in range(MANY if request.config.getoption("--long") else CASES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        sound = (METER, SVM)[case % 3 == 0]
        for file, data in sound.items():
            (folder / file).write_bytes(data)
        damage = with_care if case % IN_A_CHILD == 0 else cheap
        damage(folder, sound)
        began = spent_s()
        said = refusal(folder)
        words.add(said.replace(str(tmp_path), "")[:30])
        if not said:
            accepted.append(case)
        if spent_s() - began > BOUND_S:
            slow.append((case, said))
        assert "Traceback" not in said
    assert (accepted, slow) == ([], [])
    assert len(words) > 12, "they were damaged in many ways"


def labels(name: str, data: bytes) -> bytes:
    """Append an archive of labels to a network, as TFLite metadata does."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return NETWORK + made.getvalue()


@pytest.mark.parametrize("content", [
    labels("labels.txt", bytes(64 << 20)), labels("labels.txt", b"\xff\xfe"),
])
def test_bombs_in_the_metadata_of_a_bare_file_are_refused(content, tmp_path):
    (tmp_path / "net.tflite").write_bytes(content)
    began = spent_s()
    assert "the metadata inside is damaged" in error_of(lambda: of_file(tmp_path / "net.tflite"))
    assert spent_s() - began < BOUND_S


def test_the_anatomy_of_damaged_networks_is_read_or_refused():
    random.seed(7)
    for _ in range(300):
        damaged = random.choice([cut, flipped, zeroed, lambda data: flipped(data, 200)])(NETWORK)
        said = error_of(lambda: anatomy(damaged, "net"))     # noqa: B023  called at once
        assert said == "" or said.startswith("net: ")
