"""The manual pages and the completion tell all that --help and the settings tell, and formatters take them without a word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reflexd import safe_state
from reflexd.__main__ import parser as daemon
from reflexd.config.schema import sections
from reflexd.ctl.__main__ import parser as control

PAGES = ("reflexd.8", "reflexctl.1", "reflexd-safe.8", "reflexd.toml.5")
ANSWER = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_${1//-/_}
printf '%s\\n' "${COMPREPLY[@]}"
"""


def write(root: Path, folder: Path, **environment: str) -> dict[str, str]:
    command = [str(root / "scripts" / "manual"), str(folder)]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHON": sys.executable, **environment})
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def manual(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    write(root, folder)
    return folder


def shown(page: Path) -> str:
    """Give a page without its markup."""
    text = re.sub(r"\\f[BIR]|\\&", "", page.read_text())
    text = re.sub(r"\\\[u([0-9A-F]{4})\]", lambda found: chr(int(found[1], 16)), text)
    for escape, sign in (("\\-", "-"), ("\\(aq", "'"), ("\\(ga", "`"), ("\\(ha", "^"), ("\\(ti", "~"), ("\\e", "\\")):
        text = text.replace(escape, sign)
    return text


def commands(parser) -> Iterator[object]:
    yield parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for one in action.choices.values():
                yield from commands(one)


@pytest.mark.parametrize(("name", "make"), [("reflexd.8", daemon), ("reflexctl.1", control)])
def test_a_page_has_every_option_and_argument_of_its_command(manual: Path, name: str, make: Callable) -> None:
    text = shown(manual / name)
    for command in commands(make()):
        verb = command.prog.partition(" ")[2]
        has_verbs = any(isinstance(action.choices, dict) for action in command._actions)
        assert has_verbs or not verb or f'.SS "{verb}"' in text
        part = text.split(f'.SS "{verb}"')[-1].split("\n.SS")[0] if verb else text
        for action in command._actions:
            if not isinstance(action.choices, dict) and action.dest != "help":
                assert all(f"{option}" in part for option in action.option_strings)
                assert action.help, f"{command.prog} {action.dest} has no help"


def test_the_page_of_the_configuration_has_every_section_and_key(manual: Path) -> None:
    text = shown(manual / "reflexd.toml.5")
    for title, keys in sections():
        part = text.split('.SS "' + title.replace('"', "\\(dq") + '"')[1].split("\n.S")[0]
        for key in keys:
            assert f"\n.TP\n{key.name}\n" in part, f"{title} {key.name}"
            assert key.meaning.replace("`", "") in part


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_what_a_reader_looks_for(manual: Path, name: str) -> None:
    wanted = {"NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "SEE ALSO"} | ({"EXIT STATUS"} if name != "reflexd.toml.5" else set())
    assert wanted <= set(re.findall(r'^\.SH "(.*)"$', (manual / name).read_text(), re.MULTILINE))


def test_every_exit_status_of_a_docstring_is_in_its_page(manual: Path) -> None:
    for name, text in (("reflexd.8", daemon().description), ("reflexctl.1", control().description),
                       ("reflexd-safe.8", safe_state.__doc__)):
        told = (text or "").split("exit status:")[1]
        part = shown(manual / name).split('.SH "EXIT STATUS"')[1].split("\n.SH")[0]
        assert re.findall(r"^\d+$", part, re.MULTILINE) == re.findall(r"\b\d+\b", told)


@pytest.mark.parametrize("name", PAGES)
def test_formatters_take_a_page_without_a_warning(manual: Path, name: str) -> None:
    found = [one for one in ("groff -man -ww -z", "mandoc -Tlint -Wwarning") if shutil.which(one.split()[0])]
    if not found:
        pytest.skip("neither groff nor mandoc is installed here; apt has both")
    for formatter in found:
        said = subprocess.run([*formatter.split(), manual / name], capture_output=True, text=True, timeout=30, check=False)
        assert said.stdout + said.stderr == ""
    assert (manual / name).read_bytes().isascii()


def test_the_same_source_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    first = write(root, tmp_path / "1", SOURCE_DATE_EPOCH="1000000000", REFLEXD_SOCKET="/tmp/other")
    assert first == write(root, tmp_path / "2", SOURCE_DATE_EPOCH="1000000000", COLUMNS="40", LC_ALL="C")
    assert '"2001-09-09"' in first["reflexd.8"]


def complete(manual: Path, *words: str, folder: Path | None = None) -> list[str]:
    """Press the tabulator after the last word."""
    command = ["bash", "-c", ANSWER, "bash", str(manual / "completions" / words[0]), *words]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, cwd=folder)
    return said.stdout.split()


@pytest.mark.parametrize(("words", "wanted"), [
    ("reflexctl st", ["status"]), ("reflexctl config s", ["show"]), ("reflexctl model ev", ["evaluate"]),
    ("reflexctl status --j", ["--json"]),
    ("reflexctl wat", ["watch"]), ("reflexctl probe --li", ["--listen"]), ("reflexctl test --le", ["--level"]),
    ("reflexctl log --event not-sa", ["not-safe"]),
    ("reflexctl model try --lab", ["--labels"]), ("reflexd --dry", ["--dry-run"]), ("reflexctl xyz", []),
])
def test_completion_knows_verbs_options_and_choices(manual: Path, words: str, wanted: list[str]) -> None:
    assert complete(manual, *words.split()) == wanted


@pytest.mark.parametrize("words", [
    "reflexctl check re", "reflexd --config re", "reflexctl model try re", "reflexctl status --socket re"])
def test_completion_gives_files_where_a_file_is_meant(manual: Path, tmp_path: Path, words: str) -> None:
    (tmp_path / "reflexd.toml").touch()
    assert complete(manual, *words.split(), folder=tmp_path) == ["reflexd.toml"]
