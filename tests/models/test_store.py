"""A bundle is installed whole or not at all, whatever stands in its place and whatever goes wrong."""

import errno
import os
import resource
import subprocess
import sys
import threading

import pytest

from reflexd import durable
from reflexd_models import store as stores
from reflexd_models.base import ModelError
from reflexd_models.bundle import find_bundle, of_folder, zoo
from reflexd_models.store import Store, check_name, install, packed
from tests.models.helpers import error_of, meter_copy, rewrite

METER = zoo() / "meter"


class FullDisk:
    """Takes a number of bytes, as a disk does."""

    def __init__(self, left: int, number: int = errno.ENOSPC) -> None:
        self.left, self.number = left, number

    def put(self, path, data, mode=0o644):
        self.left -= len(data)
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number), str(path))
        durable.put(path, data, mode)

    def move(self, new, path):
        durable.move(new, path)

    def settle(self, folder):
        durable.settle(folder)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "bundles", durable)


def content(threshold: float = 0.6) -> dict[str, bytes]:
    made = packed(METER)
    return {**made, "model.toml": made["model.toml"].replace(b"threshold = 0.6", f"threshold = {threshold}".encode())}


def found(store) -> float:
    return find_bundle("meter", store.folder.parent).threshold


def test_an_installed_bundle_is_found_and_everybody_may_read_it(store):
    old = os.umask(0o077)
    try:
        version = install(store, "meter", content(0.5))
    finally:
        os.umask(old)
    assert found(store) == 0.5
    bundle = find_bundle("meter", store.folder.parent)
    assert bundle.path == version / "meter.tflite", "the link is followed once: all files are of one version"
    assert {oct(path.stat().st_mode & 0o777) for path in (store.folder, version)} == {"0o755"}
    assert {oct(path.stat().st_mode & 0o777) for path in version.iterdir()} == {"0o644"}


def test_the_version_before_stays_until_the_next_installation(store):
    versions = [install(store, "meter", content(threshold)) for threshold in (0.1, 0.2, 0.3)]
    assert found(store) == 0.3
    assert [version.is_dir() for version in versions] == [False, True, True]
    store.put_back("meter")
    assert found(store) == 0.2
    with store.alone():
        store.remove("meter")
    assert list(store.folder.iterdir()) == []
    assert "there is none of that name" in error_of(lambda: store.remove("meter"))


def test_the_same_bytes_again_repair_a_version_that_was_damaged(store):
    first = install(store, "meter", content())
    (first / "meter.tflite").write_bytes(b"")
    assert install(store, "meter", content()) != first
    assert find_bundle("meter", store.folder.parent).path.stat().st_size > 0


def test_what_a_check_refuses_leaves_nothing(store):
    install(store, "meter", content(0.1))
    before = sorted(path.name for path in store.folder.iterdir())

    def refuse(version):
        raise ModelError(f"{version}/meter.tflite: is not to my taste; fetch another")

    said = error_of(lambda: install(store, "meter", content(0.2), refuse))
    assert said == "meter/meter.tflite: is not to my taste; fetch another"
    assert (found(store), sorted(path.name for path in store.folder.iterdir())) == (0.1, before)


@pytest.mark.parametrize("there", [True, False])
def test_what_fails_at_the_very_end_is_put_back(store, there):
    if there:
        install(store, "meter", content(0.1))

    def refuse(name):
        assert found(store) == 0.2
        raise ModelError("the daemon does not want it")

    assert "does not want it" in error_of(lambda: install(store, "meter", content(0.2), last=refuse))
    assert [one.name for one in store.kept()] == ["meter"][:there]
    assert not there or found(store) == 0.1


@pytest.mark.parametrize("at_once", [True, False])
def test_a_plain_folder_changes_places_with_the_link(store, at_once, monkeypatch):
    store.folder.mkdir()
    rewrite(meter_copy(store.folder), "threshold = 0.6", "threshold = 0.9")
    if not at_once:
        monkeypatch.setattr(stores, "_changed_places", lambda one, other: False)      # as a file system that cannot
    assert [one.by_hand for one in store.kept()] == [True]
    install(store, "meter", content(0.2))
    assert (found(store), store.kept()[0].by_hand) == (0.2, False)
    store.put_back("meter")
    assert found(store) == 0.9
    for threshold in (0.3, 0.4):
        install(store, "meter", content(threshold))
    assert len(list(store.folder.iterdir())) == 4, "two links and two versions"


def test_a_link_of_your_own_is_replaced_and_what_it_leads_to_stays(store, tmp_path):
    mine = meter_copy(tmp_path / "mine")
    store.folder.mkdir()
    (store.folder / "meter").symlink_to(mine)
    install(store, "meter", content(0.2))
    assert found(store) == 0.2
    with store.alone():
        store.remove("meter")
    assert of_folder(mine).threshold == 0.6


def test_a_file_in_the_place_is_not_touched(store):
    store.folder.mkdir()
    (store.folder / "meter").write_text("mine")
    assert "is no folder" in error_of(lambda: install(store, "meter", content()))
    assert [path.name for path in store.folder.iterdir()] == ["meter"]


def test_two_at_once_are_kept_apart(store):
    held, go = threading.Event(), threading.Event()

    def slow(version):
        held.set()
        assert go.wait(20)

    thread = threading.Thread(target=install, args=(store, "meter", content(0.1), slow))
    thread.start()
    assert held.wait(20)
    assert "another installation is under way" in error_of(lambda: install(store, "meter", content(0.2)))
    go.set()
    thread.join()
    assert found(store) == 0.1


@pytest.mark.parametrize("left", [0, 300, 1000, 70_000, 78_000])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_gives_one_line_and_loses_nothing(store, tmp_path, left, number):
    install(store, "meter", content(0.1))
    full = Store(store.folder, FullDisk(left, number))
    assert "the disk is full" in error_of(lambda: install(full, "meter", content(0.2)))
    assert (found(store), len(list(store.folder.iterdir()))) == (0.1, 2)


def test_a_limit_of_file_sizes_gives_one_line(store, tmp_path):
    code = f"""
import resource
from pathlib import Path
from reflexd import durable
from reflexd_models.base import ModelError
from reflexd_models.store import Store, install, packed
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))
try:
    install(Store(Path({str(store.folder)!r}), durable), "meter", packed(Path({str(METER)!r})))
except ModelError as problem:
    print(problem)
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert "the disk is full, or the file too large" in done.stdout
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(("number", "said"), [
    (errno.EACCES, "use sudo"), (errno.EROFS, "use sudo"), (errno.EIO, "cannot be used: Input/output error")])
def test_who_may_not_write_is_told_how(store, number, said):
    class Refuses(FullDisk):
        def put(self, path, data, mode=0o644):
            raise OSError(number, os.strerror(number), str(path))

    assert said in error_of(lambda: install(Store(store.folder, Refuses(0)), "meter", content()))
    assert list(store.folder.iterdir()) == []


def test_what_killed_installations_left_is_removed_by_the_next_of_any_name(store):
    install(store, "other", content(0.1))
    for name in (".meter@abc.x1", ".gone@abc.x2"):
        (store.folder / name).mkdir()
        (store.folder / name / "half").write_bytes(b"x")
    (store.folder / ".meter@link.0").symlink_to("nowhere")
    (store.folder / ".of-somebody-else").mkdir()
    install(store, "meter", content(0.2))
    assert sorted(path.name.partition("@")[0] for path in store.folder.iterdir()) == [
        ".meter", ".of-somebody-else", ".other", "meter", "other"]
    assert (found(store), find_bundle("other", store.folder.parent).threshold) == (0.2, 0.1)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "a@b", "x" * 65, "net.tflite", "a b", "ä", "a\n"])
def test_names_that_would_lead_elsewhere_are_refused(name):
    assert "the name of a bundle" in error_of(lambda: check_name(name))


@pytest.mark.parametrize("file", ["meter.tflite", "golden.npz", "model.toml", "MODEL_CARD.md"])
def test_a_link_in_a_bundle_is_not_followed(tmp_path, file):
    folder = meter_copy(tmp_path)
    (folder / file).rename(tmp_path / "secret")
    (folder / file).symlink_to(tmp_path / "secret")
    assert "is a link" in error_of(lambda: packed(folder))
