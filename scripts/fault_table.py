"""The page of faults, from the marks of the tests.

A test that injects a fault says so by @pytest.mark.fault("F01", bound="1 s", outcome="degraded"): the id, how soon it is
noticed, and how it ends. The tests are read and not run, those of the lab included.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TITLES = {"camera": "Cameras", "output": "Pins and outputs", "serial": "Serial devices", "model": "Networks",
          "configuration": "Configuration", "host": "The computer"}
HEAD = """# Faults that are injected

What may go wrong, how soon it is noticed, how it ends, and the test that shows it. `scripts/docs` writes this
page from the tests. What you see of each fault, and what to do, is told in [troubleshooting](troubleshooting.md). *Degraded*
means that outputs which depend on the source are safe, that the others work on, and that it is
[opened again](operating.md#what-comes-back) for ever.
"""


@dataclass(frozen=True)
class Shown:
    """A fault that a test injects."""

    id: str
    bound: str
    outcome: str
    file: Path
    test: str


def is_mark(node: ast.AST) -> bool:
    """Say whether a call is pytest.mark.fault(…)."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"


def read_mark(node: ast.Call, file: Path, test: str) -> Shown:
    """Take the mark's words. Raises: ValueError where one is missing."""
    try:
        (identity,) = (ast.literal_eval(one) for one in node.args)
        words = {one.arg: ast.literal_eval(one.value) for one in node.keywords}
        return Shown(identity, words.pop("bound"), words.pop("outcome"), file, test)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}:{node.lineno}: a mark is fault(id, bound=…, outcome=…); {error!r} is wrong") from error


def marks(file: Path) -> Iterator[Shown]:
    """Give the faults that the tests of a file inject."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                yield from (read_mark(one, file, node.name) for one in ast.walk(decorator)
                            if isinstance(one, ast.Call) and is_mark(one))


def shown(folder: Path) -> list[Shown]:
    """Give every fault that is injected below a folder, by id and by place."""
    found = [one for file in folder.rglob("test_*.py") for one in marks(file)]
    return sorted(found, key=lambda one: (one.id, one.file, one.test))


def listed() -> dict[str, dict[str, str]]:
    """Give the title of each fault by what has it, and under "not_here" why some cannot be injected."""
    return tomllib.loads((ROOT / "tests" / "faults.toml").read_text())


def page(tests: list[Shown], told: dict[str, dict[str, str]]) -> str:
    """Write the page. Raises: ValueError for an id that is none, and for faults that are left out without a reason."""
    known = {identity for group in TITLES for identity in told[group]}
    unknown = sorted({one.id for one in tests} - known)
    if unknown:
        raise ValueError(f"marked, and in no list of tests/faults.toml: {', '.join(unknown)}")
    left_out = sorted(known - {one.id for one in tests} - told["not_here"].keys())
    if left_out:
        raise ValueError(f"neither shown by a test nor with a reason in tests/faults.toml: {', '.join(left_out)}")
    return HEAD + "".join(section(group, tests, told) for group in TITLES)


def section(group: str, tests: list[Shown], told: dict[str, dict[str, str]]) -> str:
    """Write the table of what has them, and behind it why faults are missing."""
    rows = [f"| {one.id} {told[group][one.id]} | {one.bound} | {one.outcome} | {link(one)} |"
            for one in tests if one.id in told[group]]
    reasons = [f"* **{identity} {title}** cannot be injected here: {told['not_here'][identity].strip()}.\n"
               for identity, title in told[group].items() if identity in told["not_here"]]
    head = f"\n## {TITLES[group]}\n\n| fault | noticed within | outcome | test |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n" + ("\n" + "".join(reasons) if reasons else "")


def link(one: Shown) -> str:
    """Lead to the test."""
    return f"[{one.test.removeprefix('test_').replace('_', ' ')}](../{one.file.relative_to(ROOT)})"
