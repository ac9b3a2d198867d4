"""Every error of fifty broken configurations is told at its right line and column, by load() and by the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reflexd.config.load import ConfigError, load
from tests.daemon.config.broken import BASE, CASES, Case

LIBRARY = re.compile(r"pydantic|input should|value error|valid |extra_|https?:|\(score\)|\(value\)|float|traceback")


def write(folder: Path, case: Case) -> list[tuple[str, int, int]]:
    """Write the files of a case and give the places that it marks."""
    marks = []
    for name, text in case.files.items():
        clean = ""
        for piece in text.split("@@")[:-1]:
            clean += piece
            marks.append((str(folder / name), clean.count("\n") + 1, len(clean) - clean.rfind("\n")))
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.replace("@@", "").encode())
    return marks


def test_there_are_at_least_fifty_and_ten_of_them_have_several_errors():
    assert len({case.name for case in CASES}) == len(CASES) >= 50
    assert sum(len(case.expected) > 1 or len(case.files) > 1 for case in CASES) >= 10


def test_the_configuration_that_they_break_is_good(folder):
    (folder / "reflexd.toml").write_text(BASE)
    loaded = load(folder / "reflexd.toml")
    assert loaded.warnings == ()


@pytest.mark.fault("F52", bound="at check, start and reload", outcome="all errors at once, each with line, column and remedy")
@pytest.mark.fault("F53", bound="at check, start and reload", outcome="all errors at once, each with line, column and remedy")
@pytest.mark.fault("F54", bound="at check, start and reload", outcome="all errors at once, each with line, column and remedy")
@pytest.mark.fault("F55", bound="at check, start and reload", outcome="all errors at once, each with line, column and remedy")
@pytest.mark.fault("F56", bound="at check, start and reload", outcome="all errors at once, each with line, column and remedy")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_error_is_told_at_its_line_and_column(folder, case):
    marks = write(folder, case)
    assert len(marks) == len(case.expected), "the case marks each of its errors"
    with pytest.raises(ConfigError) as caught:
        load(folder / "reflexd.toml")
    errors = [one for one in caught.value.problems if one.severity == "error"]
    assert [(one.file, one.line, one.column) for one in errors] == marks, str(caught.value)
    assert [one.where for one in errors] == [where for where, _ in case.expected]
    for error, (_, words) in zip(errors, case.expected, strict=True):
        assert words in error.headline


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_word_of_a_library_gets_out(folder, case):
    write(folder, case)
    with pytest.raises(ConfigError) as caught:
        load(folder / "reflexd.toml")
    for problem in caught.value.problems:
        words = f"{problem.what} {problem.remedy} {problem.where}".lower()
        assert not LIBRARY.search(words)
        assert problem.remedy


@pytest.mark.once
@pytest.mark.parametrize("case", CASES[::9], ids=lambda case: case.name)
def test_the_command_tells_the_same_to_people_and_programs(folder, case):
    marks = write(folder, case)
    told = run("check", str(folder / "reflexd.toml"))
    assert told.returncode == 78
    places = re.findall(r"^(.+?):(\d+):(\d+): (?!warning)", told.stderr, flags=re.M)
    assert [(file, int(line), int(column)) for file, line, column in places] == marks
    assert "Traceback" not in told.stderr

    as_json = json.loads(run("check", str(folder / "reflexd.toml"), "--json").stdout)
    assert as_json["ok"] is False
    errors = [one for one in as_json["problems"] if one["severity"] == "error"]
    assert [(one["file"], one["line"], one["column"]) for one in errors] == marks
    assert set(errors[0]) == {"file", "line", "column", "where", "what", "found", "remedy", "severity"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reflexd.ctl", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_a_message_shows_the_line_and_a_caret_under_the_value(folder):
    (folder / "reflexd.toml").write_text(BASE.replace('driver = "replay"', 'driver = "repaly"'))
    with pytest.raises(ConfigError) as caught:
        load(folder / "reflexd.toml")
    assert str(caught.value) == (
        f'{folder}/reflexd.toml:7:10: camera.gate.driver: no camera driver is called "repaly"; did you mean "replay"?\n'
        '   7 | driver = "repaly"\n'
        "     |          ^^^^^^^^"
    )


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder):
    (folder / "reflexd.toml").write_text(BASE + '\n["\\u001b[31m"]\n[gpio.\x85]\n')
    with pytest.raises(ConfigError) as caught:
        load(folder / "reflexd.toml")
    assert all(one.isprintable() or one == "\n" for one in str(caught.value))
