"""Files that are wrong as files are one clear problem, and none of them makes the check wait."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reflexd.config.load import ConfigError, load
from tests.daemon.config.broken import BASE


def complaint(path):
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    return problem


def test_a_missing_file_is_one_problem(tmp_path):
    assert "there is no such file" in complaint(tmp_path / "none.toml").headline


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error that says what is missing")
def test_an_empty_file_says_what_is_missing(tmp_path):
    path = tmp_path / "reflexd.toml"
    path.write_text("")
    assert "schema" in complaint(path).headline


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error; status 78")
def test_a_directory_is_one_problem(tmp_path):
    assert "is a directory" in complaint(tmp_path).headline


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error, and nothing is waited for")
def test_a_fifo_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "reflexd.toml")
    assert "is a pipe" in complaint(tmp_path / "reflexd.toml").headline


def test_a_socket_is_one_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)      # the path of a socket has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("reflexd.toml")
        assert "is a socket" in complaint("reflexd.toml").headline


def test_a_device_is_refused_before_it_is_opened():
    assert "is a device" in complaint("/dev/zero").headline


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error; status 78")
def test_a_symlink_loop_is_one_problem(tmp_path):
    (tmp_path / "reflexd.toml").symlink_to("reflexd.toml")
    assert "symbolic links" in complaint(tmp_path / "reflexd.toml").headline


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error, and it is not read")
def test_more_than_a_megabyte_is_refused(tmp_path):
    with (tmp_path / "reflexd.toml").open("wb") as file:
        file.truncate(100 << 20)
    assert "larger than 1 MB" in complaint(tmp_path / "reflexd.toml").headline


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error at their place")
def test_bytes_that_are_not_utf8_are_shown_at_their_place(tmp_path):
    (tmp_path / "reflexd.toml").write_bytes('schema = 1\n# ä'.encode() + b"\xe4\n")
    problem = complaint(tmp_path / "reflexd.toml")
    assert (problem.line, problem.column) == (2, 4)
    assert "0xe4" in problem.what


@pytest.mark.fault("F57", bound="at check, start and reload", outcome="one error that names it")
def test_a_byte_order_mark_is_one_problem(tmp_path):
    (tmp_path / "reflexd.toml").write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert "byte-order mark" in complaint(tmp_path / "reflexd.toml").headline


@contextmanager
def an_ordinary_user():
    """Give up root for a while: root may read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.mark.fault("F58", bound="at check, start and reload", outcome="one error; status 78")
def test_a_file_that_may_not_be_read_is_one_problem():
    with TemporaryDirectory() as folder:      # tmp_path is in a folder that only root may enter
        path = Path(folder, "reflexd.toml")
        path.write_text(BASE)
        path.parent.chmod(0o755)
        path.chmod(0)
        with an_ordinary_user():
            problem = complaint(path)
    assert "may not be read" in problem.headline


@pytest.mark.fault("F60", bound="at check", outcome="told beside the errors of the others")
def test_drop_ins_that_are_wrong_as_files_are_told_beside_the_rest(folder):
    (folder / "reflexd.toml").write_text(BASE.replace("max_on_s = 300", "max_on_s = -1"))
    (folder / "conf.d").mkdir()
    os.mkfifo(folder / "conf.d" / "10.toml")
    (folder / "conf.d" / "20.toml").mkdir()
    (folder / "conf.d" / ".30.toml").write_text("an editor's leftover")
    with pytest.raises(ConfigError) as caught:
        load(folder / "reflexd.toml")
    texts = [problem.what for problem in caught.value.problems]
    assert texts == ["must be greater than 0", "is a pipe, not a regular file", "is a directory"]


def test_a_folder_of_drop_ins_that_is_a_file_is_one_problem(folder):
    (folder / "reflexd.toml").write_text(BASE)
    (folder / "conf.d").write_text("")
    assert "cannot be listed" in complaint(folder / "reflexd.toml").headline
