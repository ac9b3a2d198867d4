"""What the documents say is true: commands run as they are written, configurations are right, links lead somewhere."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reflexd.__main__ import parser as daemon
from reflexd.config.load import load
from reflexd.ctl.__main__ import parser as control
from tests import pages
from tests.pages import PAGES, ROOT, Block

NOT_THERE = {     # what .ci/run does not say itself, and where it is run
    "./scripts/test --lab --long": "an hour: the same tests, each fault fifty times",
    "./scripts/test --lab tests/lab/test_camera.py": "a part of ./scripts/test --lab",
    "scripts/lab up": "by tests/lab/conftest.py",
    "scripts/lab run 'systemctl status reflexd'": "as tests/lab/machine.py does, for each command",
    "scripts/lab down": "by tests/lab/conftest.py",
    "scripts/arm64 up": "by tests/arm64/test_parity.py",
    "scripts/arm64 run reflexd --version": "by tests/arm64/test_parity.py",
    "./scripts/package trixie-arm64": "by tests/package/conftest.py, with the three others",
    "sudo apt-get install ./reflexd_*.deb": "by tests/lab/test_package.py, first and as an upgrade",
    "sudo reflexctl setup --yes": "by tests/lab/test_package.py",
    "sudo reflexctl arm": "by tests/lab/test_package.py",
    "pip install ./docs/examples/driver": "by tests/system/test_foreign_driver.py, from a copy and into a folder of its own",
    "pytest docs/examples/driver/tests": "by tests/system/test_foreign_driver.py",
    "reflexctl check docs/examples/driver/reflexd.toml": "by tests/system/test_foreign_driver.py",
    "sudo apt-get remove reflexd": "by tests/lab/test_package.py and tests/package",
    "sudo apt-get purge reflexd": "by tests/lab/test_package.py and tests/package",
    "sudo python3 -m venv --system-site-packages /opt/reflexd": "by tests/package/test_package.py, in another folder",
    "sudo /opt/reflexd/bin/pip install '.[pi,journal]'": "by tests/package/test_package.py, without the extras",
    "sudo /opt/reflexd/bin/reflexctl install-service": "by tests/package/test_package.py, for another root",
}

def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def all_blocks() -> list[Block]:
    return [one for page in PAGES for one in pages.blocks(page)]


def whole(block: Block) -> bool:
    """Say whether a block is a configuration that is complete."""
    return block.language == "toml" and "schema = 1" in block.text and "[actuator" in block.text


def test_every_block_says_what_it_is() -> None:
    assert [block.wrong for block in all_blocks() if block.wrong] == []


@pytest.mark.parametrize("block", [one for one in all_blocks() if whole(one)], ids=str)
def test_every_whole_configuration_of_a_page_is_right(block: Block, tmp_path: Path) -> None:
    (tmp_path / "reflexd.toml").write_text(block.text)
    assert [str(one) for one in load(tmp_path / "reflexd.toml").warnings] == []


BUNDLE = 'schema = 1\nname = "x"\nfile = "x.tflite"\nsha256 = "%s"\ntask = "detect"\nlabels = ["person", "dog"]\n' % ("0" * 64)
STANDING = {      # what a piece of a page leaves to the reader
    "camera": 'driver = "replay"\npath = "x.npz"\nrate_hz = 10\nmax_age_ms = 500',
    "sensor": 'driver = "scripted"\npath = "x.csv"',
    "actuator": 'driver = "recorder"\npath = "x.jsonl"\nsafe = "off"\naccept_unguarded = true\nmax_on_s = 3600',
    "model": 'bundle = "x"\ncamera = "gate"',
}


def completed(text: str) -> str:
    """Add the devices and models that a piece of a configuration names and does not have."""
    given = tomllib.loads(text)
    named = {kind: set(re.findall(rf'(?<!\w){kind} = "(\w+)"', text)) - given.get(kind, {}).keys() for kind in STANDING}
    if named["model"] or given.get("model"):
        named["camera"].add("gate")
    text = re.sub('bundle = "[a-z]+"', 'bundle = "x"', text)
    tables = [f"[{kind}.{name}]\n{STANDING[kind]}" for kind, names in named.items() for name in sorted(names)]
    return "\n\n".join(["schema = 1", *tables, text]).replace('bundle = "x"', 'bundle = "bundles/x"')


PIECES = [one for one in pages.blocks(ROOT / "docs" / "rules.md") if one.language == "toml"]


@pytest.mark.parametrize("block", PIECES, ids=str)
def test_every_piece_of_the_page_on_rules_is_right_in_a_configuration_that_is_whole(block: Block, tmp_path: Path) -> None:
    (tmp_path / "bundles" / "x").mkdir(parents=True)
    (tmp_path / "bundles" / "x" / "model.toml").write_text(BUNDLE)
    (tmp_path / "reflexd.toml").write_text(completed(block.text))
    load(tmp_path / "reflexd.toml")


def test_the_files_that_a_page_has_written_are_right_after_each_step(tmp_path: Path) -> None:
    for page in PAGES:
        folder = tmp_path / named(page)
        for block in pages.run_in(page, "device"):
            if "file" in block.options:
                file = folder / Path(block.options["file"]).relative_to("/etc/reflexd")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
                assert [str(one) for one in load(folder / "reflexd.toml").warnings] == [], str(block)


def test_the_configuration_of_the_readme_has_thirty_lines_at_most() -> None:
    first = next(one for one in pages.blocks(ROOT / "README.md") if whole(one))
    assert len(first.text.splitlines()) <= 30


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target, part in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name} links to {target}"
        if part:
            heads = re.findall(r"^#+ (.*)$", file.read_text().lower(), re.MULTILINE)
            assert part in [re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads], f"{page.name}: {target}#{part}"


@pytest.mark.parametrize("name", ["meter/reflexd.toml", "meter/usb.toml", "person/reflexd.toml", "vibration/reflexd.toml",
                                  "vibration/serial.toml"])
def test_the_shipped_examples_are_right(name: str) -> None:
    assert not load(ROOT / "docs" / "examples" / name).warnings


def test_every_piece_of_a_program_is_part_of_an_example() -> None:
    sources = [file.read_text() for file in (ROOT / "docs" / "examples").rglob("*.py")]
    pieces = [block for block in all_blocks() if block.language == "python"]
    assert pieces
    assert [str(block) for block in pieces if not any(block.text in source for source in sources)] == []


def test_every_page_can_be_reached_from_the_first_one() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page.suffix == ".md" and page not in seen:
            seen.add(page)
            todo += [page.parent / target for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())]
    assert [named(page) for page in PAGES if page not in seen and page.parent.name != "drivers"] == []


@pytest.mark.parametrize("page", [page for page in PAGES if pages.run_in(page, "checkout")], ids=named)
def test_the_commands_for_a_checkout_run_as_they_are_written(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = state()
    for block in pages.run_in(page, "checkout"):
        needed = block.text + block.options.get("with", "")
        shared = request.getfixturevalue("shared") if "REFLEXD_TEST_DATA" in needed or "with" in block.options else ROOT
        folder = supplied(tmp_path, block, shared) if "with" in block.options else ROOT
        said = run(block, folder, shared)
        assert said.returncode == 0, f"{block}\n{block.text}\n{said.stdout}{said.stderr}"
    assert state() == before, "a command of a document changed the checkout"


def run(block: Block, folder: Path, shared: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of a block, the first that fails ending it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, capture_output=True, text=True, timeout=900,
                          check=False, env={**os.environ, "PATH": path, "REFLEXD_TEST_DATA": str(shared.resolve())})


def supplied(folder: Path, block: Block, shared: Path) -> Path:
    """Give a folder with the files that a block is said to have."""
    for name in block.options["with"].split(","):
        if name == "labels.txt":
            (folder / name).write_text("no_person\nperson\n")
        elif name == "digits.npz":
            with np.load(shared / "data" / "meter_digits.npz") as found:
                np.savez(folder / name, **{key: found[key][::50] for key in ("x", "y", "group")})
        elif name == "normal.csv":
            at = np.arange(16_300) / 100
            noise = np.random.default_rng(1).normal(0, 0.1, (len(at), 3))
            rows = np.column_stack((at, np.sin(2 * np.pi * 24 * at)[:, None] * (0.3, 0.2, 0.1) + noise))
            np.savetxt(folder / name, rows, "%.4f", ",", header="time_s,x,y,z", comments="")
        else:
            source = {"photo.jpg": "images/cat_720p.jpg", "person.tflite": "models/vww96_int8.tflite"}[name]
            shutil.copy(shared / source, folder / name)
    return folder


def state() -> str:
    """Say what git finds changed in the checkout; in an unpacked archive there is nobody to ask."""
    command = ["git", "-C", str(ROOT), "status", "--porcelain"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_what_takes_too_long_for_a_test_is_run_by_ci_or_elsewhere_for_a_reason() -> None:
    run = (ROOT / ".ci" / "run").read_text().splitlines()
    lines = [set(shlex.split(line, comments=True)) for line in run if "scripts/" in line]
    told = [command for block in all_blocks() if block.place == "ci" for command in block.commands]
    assert [command for command in told
            if command not in NOT_THERE and not any(set(shlex.split(command)) <= words for words in lines)] == []
    assert sorted(NOT_THERE.keys() - told) == [], "no document says these any more"


def commands(page: Path) -> Iterator[str]:
    """Give what a page says is typed, in blocks and in the text."""
    for code in [*pages.inline(page), *(one for block in pages.blocks(page) if block.place for one in block.commands)]:
        command = re.split(r" [|>&]| && ", code)[0]
        command = re.sub(r"^(sudo (-E )?|/opt/reflexd/bin/)+", "", command)
        if re.match(r"(reflexctl|reflexd|(\./)?scripts/\S+)( |$)", command):
            yield command


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    assert [command for command in commands(page) if not understood(command)] == []


def understood(command: str) -> bool:
    program, *words = shlex.split(command)
    if program in ("reflexctl", "reflexd"):
        return accepts(control() if program == "reflexctl" else daemon(), words)
    script = ROOT / program
    if not script.is_file():
        return script.is_dir() and not words
    text = "".join(one.read_text() for one in [script, *(ROOT / "scripts").glob("*.py")])
    return all(word.split("=")[0] in text for word in words if word.startswith("--") and "run" not in words)


def accepts(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    """Say whether a parser takes these words, where a name in capitals may stand for anything; names of verbs alone will do."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return not words or (words[0] in action.choices and accepts(action.choices[words[0]], words[1:]))
        action.type, action.choices = None, None
    try:
        return not words or bool(parser.parse_args(words))
    except SystemExit as ended:
        return ended.code == 0      # --help and --version


@pytest.mark.parametrize(("command", "good"), [
    ("reflexctl status --json", True), ("reflexctl status --jsn", False), ("reflexctl stats", False),
    ("reflexd --seconds N", True), ("reflexctl model try BUNDLE PICTURE", True), ("reflexctl model", True),
    ("reflexctl snapshot FILE.png more", False),
    ("./scripts/test --lab", True), ("./scripts/test --labs", False), ("./scripts/nothing", False),
])
def test_a_command_that_does_not_exist_is_found(command: str, good: bool) -> None:
    assert understood(command) is good


@pytest.mark.parametrize("text", ["```\nls\n```\n", "```sh\nls\n```\n", "```sh somewhere\nls\n```\n", "```toml place=x\n```\n"])
def test_a_block_that_does_not_say_what_it_is_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    assert [block.wrong.partition(": ")[0] for block in pages.blocks(tmp_path / "page.md")] == ["page.md:1"]
