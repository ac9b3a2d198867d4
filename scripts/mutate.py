"""Mutation testing of the rules and the gate: mutmut in folders of its own, judged against tests/mutants.toml.

./scripts/test --mutate tries every mutant that was not tried yet, and those that lived before a test was changed;
./scripts/test --mutate rules/rule.py tries those of some files. What was tried is kept in .mutation/, which may be deleted.

A mutant that lives fails the run, unless tests/mutants.toml says why it may. mutmut leaves alone what stands outside of
functions, and functions with a decorator; properties are written without one for it.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".mutation"
EXPLAINED = ROOT / "tests/mutants.toml"
COPIED = {"reflexd": ROOT / "daemon/reflexd", "tests": ROOT / "tests"}
PROCESSES = 2
CONTEXT = 30           # characters of a line that are told on either side of a change
# exit statuses of pytest, or mutmut's own; with all others a test failed, or ran into its bound of time
LIVED = {0, 5, 33}     # the tests passed, or there is none
UNTRIED = {None, 2}

# mutmut's own first step, alone: what is to be tried depends on what it finds there
MAKE_MUTANTS = f"""
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, set_mutant_under_test
set_mutant_under_test("mutant_generation")
copy_src_dir()
copy_also_copy_files()
create_mutants({PROCESSES})
"""

# a plugin of pytest: what dies soon is not kept waiting by what takes long
QUICKEST_FIRST = """
import json
from pathlib import Path

def pytest_collection_modifyitems(items):
    stats = Path("mutmut-stats.json")
    seconds = json.loads(stats.read_text())["duration_by_test"] if stats.is_file() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0))
"""


class Part(NamedTuple):
    """Files that the same tests judge. How a decision is kept and told is left out: rules/memory, packing and telling."""

    name: str
    files: tuple[str, ...]      # in daemon/reflexd
    tests: tuple[str, ...]      # in tests/daemon: those that judge decisions, and quickly
    without: tuple[str, ...] = ()


PARTS = (
    Part("decisions", tuple(f"rules/{name}.py" for name in (
        "rule", "stage", "asked", "conditions", "sources", "remembering", "levels", "silence", "plausible", "items")),
        ("rules", "test_levels.py"),
        # what runs for seconds, and judges the files of the next part
        ("rules/test_memory.py", "rules/test_schedule.py", "rules/test_tracks.py", "rules/test_zones.py",
         "rules/test_detections.py::test_dwell_is_what_looking_back_over_the_whole_story_says",
         "rules/test_detections.py::test_crossings_are_what_the_equations_of_each_step_say",
         "rules/test_trends.py::test_what_is_remembered_does_not_grow_with_the_rate",
         "test_levels.py::test_a_fan_and_a_flap_follow_the_temperature")),
    Part("looks", tuple(f"rules/{name}.py" for name in ("scores", "scene", "tracks", "zones", "trends", "schedule", "sun")),
         ("rules",), ("rules/test_memory.py",)),
    # the machine of test_machine.py takes 18 s: what it alone would find is shown by a test that says what it is
    Part("gate", ("outputs.py", "output.py", "patterns.py"),
         ("test_outputs.py", "test_gate.py", "test_patterns.py", "test_levels.py", "rules/test_delays.py"),
         ("test_patterns.py::test_edges_in_a_daemon_are_where_they_should_be_and_do_not_drift",)),     # takes seconds
    Part("arming", ("arming.py",), ("test_arming.py",)),
)


class Mutant(NamedTuple):
    """One change of one function."""

    file: str            # from the top of the checkout
    function: str        # "Rule._act"
    change: str          # the lines that differ: "was → is"


class Tried(NamedTuple):
    """What came of the mutants of a file."""

    killed: int
    lived: list[Mutant]
    untried: int | None     # None: nobody has looked yet how many there are


def main() -> int:
    """Try what is wanted, and tell what lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="of daemon/reflexd; all of them by default")
    parser.add_argument("--told", action="store_true", help="try nothing, tell what is known")
    args = parser.parse_args()
    began = time.monotonic()
    wanted = {file.removeprefix("daemon/reflexd/") for file in args.files} or {file for part in PARTS for file in part.files}
    if unknown := wanted - {file for part in PARTS for file in part.files}:
        parser.error(f"no file whose mutants are tried: {', '.join(sorted(unknown))}")
    results: dict[str, Tried] = {}
    for part in PARTS:
        if files := [file for file in part.files if file in wanted]:
            if not args.told:
                _try(part, files)
            results |= {f"daemon/reflexd/{file}": _result(part, file) for file in files}
    return _tell(results, time.monotonic() - began)


def _try(part: Part, files: list[str]) -> None:
    """Have mutmut try what was not tried yet."""
    folder = WORK / part.name
    _set_up(part, folder)
    python = sys.executable
    environment = {**os.environ, "REFLEXD_TEST_DATA": str(ROOT.parent / "shared"), "PYTHONHASHSEED": "0"}
    subprocess.run([python, "-c", MAKE_MUTANTS], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    _forget_if_tests_changed(part, folder)
    untried = {file: [name for name, status in _statuses(folder, file).items() if status in UNTRIED] for file in part.files}
    names = [name for file in files for name in untried[file]]
    if not names:
        return
    print(f"{part.name}: {len(names)} mutants to try", flush=True)
    if len(names) == sum(map(len, untried.values())):
        names = []      # which means all, and mutmut is slow in looking for names
    command = [str(Path(python).with_name("mutmut")), "run", "--max-children", str(PROCESSES), *names]
    subprocess.run(command, cwd=folder, env=environment, check=True)


def _set_up(part: Part, folder: Path) -> None:
    """Bring the part's copy of the source and of the tests up to date; what is the same keeps its time of change."""
    for name, source in COPIED.items():
        found = {one.relative_to(source) for one in source.rglob("*") if one.is_file() and one.suffix != ".pyc"}
        for one in found:
            text = (source / one).read_bytes()
            if name == "reflexd" and one.as_posix() in part.files:
                text = undecorated(text.decode()).encode()
            _put(folder / name / one, text)
        for place in (folder / name, folder / "mutants" / name):
            for one in [one for one in place.rglob("*.py") if one.relative_to(place) not in found]:
                one.unlink()
    _put(folder / "pyproject.toml", settings(part).encode())
    _put(folder / "quickest_first.py", QUICKEST_FIRST.encode())


def _put(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def settings(part: Part) -> str:
    """Write the part's settings of mutmut and pytest; a list of texts looks the same in JSON and in TOML."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    left_out = [f"--{'deselect' if '::' in one else 'ignore'}=tests/daemon/{one}" for one in part.without]
    pytest = {"pythonpath": ["."], **{key: ours[key] for key in ("addopts", "markers", "filterwarnings")}}
    mutmut = {
        "source_paths": ["reflexd"],
        "only_mutate": [f"reflexd/{file}" for file in part.files],
        "pytest_add_cli_args_test_selection": [*(f"tests/daemon/{one}" for one in part.tests), *left_out],
        # what is random is the same each time, and every failure is one
        "pytest_add_cli_args": ["--hypothesis-profile=ci", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "quickest_first"],
        "also_copy": ["quickest_first.py"],
        "timeout_multiplier": 10.0,        # a machine that is busy kills no mutant
        "timeout_constant": 6.0,
        "use_git_change_detection": False,
    }
    tables = {"tool.pytest.ini_options": pytest, "tool.mutmut": mutmut}
    return "\n".join([f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
                      for table, keys in tables.items()])


def undecorated(source: str) -> str:
    """Write each property as a method that is made a property after it, which mutmut changes as it does any other."""
    lines = source.splitlines()
    for node in sorted((one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)),
                       key=lambda one: -one.lineno):
        if [ast.unparse(one) for one in node.decorator_list] == ["property"]:
            assert node.end_lineno is not None
            lines.insert(node.end_lineno, f"{' ' * node.col_offset}{node.name} = property({node.name})")
            del lines[node.decorator_list[0].lineno - 1]
    return "\n".join(lines) + "\n"


def _forget_if_tests_changed(part: Part, folder: Path) -> None:
    """Try again what lived, once the tests are others; and find out anew which tests reach what."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    state = hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest()
    kept = folder / "tests.sha256"
    if kept.is_file() and kept.read_text() == state:
        return
    for file in part.files:
        path = _meta(folder, file)
        if path.is_file():
            meta = json.loads(path.read_text())
            statuses = meta["exit_code_by_key"]
            statuses.update({name: None for name, status in statuses.items() if status in LIVED})
            path.write_text(json.dumps(meta))
    (folder / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    kept.write_text(state)


def _meta(folder: Path, file: str) -> Path:
    return folder / "mutants/reflexd" / f"{file}.meta"


def _statuses(folder: Path, file: str) -> dict[str, int | None]:
    """Give what mutmut knows of each mutant of a file: pytest's exit status, or its own."""
    path = _meta(folder, file)
    return json.loads(path.read_text())["exit_code_by_key"] if path.is_file() else {}


def _result(part: Part, file: str) -> Tried:
    folder = WORK / part.name
    statuses = _statuses(folder, file)
    lived = [name for name, status in statuses.items() if status in LIVED]
    untried = sum(status in UNTRIED for status in statuses.values()) if statuses else None
    return Tried(len(statuses) - len(lived) - (untried or 0), list(_described(folder, file, lived)), untried)


def _described(folder: Path, file: str, names: list[str]) -> Iterator[Mutant]:
    """Find the lines that differ in each of these mutants of a file."""
    functions: dict[str, Any] = {}
    if names:
        tree = ast.parse((folder / "mutants/reflexd" / file).read_text())
        functions = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
    for name in names:
        short = name.rpartition(".")[2]
        mangled = short.partition("__mutmut_")[0]
        was, now = (_lines(functions[one]) for one in (f"{mangled}__mutmut_orig", short))
        differing = [line for line in difflib.ndiff(was, now) if line[0] in "-+"]
        change = shortened(*("; ".join(line[2:].strip() for line in differing if line[0] == sign) for sign in "-+"))
        yield Mutant(f"daemon/reflexd/{file}", mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", "."), change)


def shortened(was: str, now: str) -> str:
    """Write a change with so much of its surroundings that one knows it again."""
    before = _same(was, now)
    after = min(_same(was[::-1], now[::-1]), min(len(was), len(now)) - before)
    begin = 0 if before <= CONTEXT else was.rfind(" ", 0, before - CONTEXT) + 1
    end = was.find(" ", len(was) - after + CONTEXT) if after > CONTEXT else -1
    cut = 0 if end < 0 else len(was) - end
    return " → ".join(f"{'… ' if begin else ''}{text[begin:len(text) - cut]}{' …' if cut else ''}" for text in (was, now))


def _same(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _lines(function: ast.FunctionDef) -> list[str]:
    """Write a function in one manner, without its name."""
    return ast.unparse(ast.FunctionDef(**{**dict(ast.iter_fields(function)), "name": "it", "decorator_list": []},
                                       lineno=0, col_offset=0)).splitlines()


def explained() -> dict[Mutant, str]:
    """Read why some may live."""
    tables = tomllib.loads(EXPLAINED.read_text()).get("may_live", []) if EXPLAINED.is_file() else []
    return {Mutant(one["file"], one["function"], change): one["why"] for one in tables for change in one["changes"]}


def _tell(results: dict[str, Tried], seconds: float) -> int:
    """Tell what came of it, by file; then what lives without a reason, as tests/mutants.toml would have it."""
    reasons = explained()
    print(f"{'file':42} mutants killed explained  lives untried")
    unexplained: list[Mutant] = []
    for file, one in results.items():
        new = [mutant for mutant in one.lived if mutant not in reasons]
        unexplained += new
        count = one.killed + len(one.lived) + (one.untried or 0)
        untried = "all" if one.untried is None else str(one.untried)
        print(f"{file:42} {count:7} {one.killed:6} {len(one.lived) - len(new):9} {len(new):6} {untried:>7}")
    print(f"{seconds:.0f} s")
    for mutant in sorted(set(unexplained)):
        print("\n[[may_live]]", *(f"{key} = {_quoted(getattr(mutant, key))}" for key in ("file", "function")), sep="\n")
        print(f"changes = [{_quoted(mutant.change)}]")
    whole = {file for file, one in results.items() if one.untried == 0}
    gone = [one for one in reasons if one.file in whole and one not in results[one.file].lived]
    for mutant in gone:
        print(f"\nno such mutant lives, take it out of tests/mutants.toml: {mutant.file}, {mutant.function}: {mutant.change}")
    partly = len(results) - len(whole)
    print(f"\n{len(unexplained)} mutants live without a reason, {len(gone)} explanations are of none, "
          f"{partly} files were not tried to the end.")
    return 1 if unexplained or gone or partly else 0


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
