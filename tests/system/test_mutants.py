"""The tool of `./scripts/test --mutate`, as far as it is not mutmut's; a run of it takes an hour."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from scripts import mutate


def test_each_mutant_that_may_live_is_of_a_function_that_is_there_and_has_a_reason(root: Path) -> None:
    tried = {f"daemon/reflexd/{file}" for part in mutate.PARTS for file in part.files}
    found = {(file, name) for file in tried for name in functions((root / file).read_text())}
    explained = mutate.explained()
    assert {(one.file, one.function) for one in explained} <= found
    assert all(len(why) > 10 and " → " in one.change for one, why in explained.items())


def functions(source: str) -> set[str]:
    """Name what may be changed in a file, as "Rule._act"."""
    tree = ast.parse(source)
    methods = {f"{kind.name}.{one.name}" for kind in tree.body if isinstance(kind, ast.ClassDef)
               for one in kind.body if isinstance(one, ast.FunctionDef)}
    return methods | {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_files_and_tests_of_each_part_are_there(root: Path) -> None:
    for part in mutate.PARTS:
        assert all((root / "daemon/reflexd" / file).is_file() for file in part.files)
        assert all((root / "tests/daemon" / one.partition("::")[0]).exists() for one in (*part.tests, *part.without))
        for file, _, name in (one.partition("::") for one in part.without):
            assert not name or f"def {name}(" in (root / "tests/daemon" / file).read_text(), f"{name} is left out, and not there"


def test_a_property_is_written_without_a_decorator_and_stays_one() -> None:
    source = '''
class Lamp:
    """A lamp."""

    @property
    def on(self) -> bool:
        """Say it."""
        return True

    @staticmethod
    def colour() -> str:
        return "red"
'''
    written = mutate.undecorated(source)
    assert "@property" not in written
    made: dict[str, type] = {}
    exec(written, made)
    assert made["Lamp"]().on is True  # type: ignore[attr-defined]
    assert made["Lamp"]().colour() == "red"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("was", "now", "told"), [
    ("return now < until", "return now <= until", "return now < until → return now <= until"),
    ("if a and b:", "if a or b:", "if a and b: → if a or b:"),
    ("f(x, x)", "f(x)", "f(x, x) → f(x)"),
    ("return the_very_first + of_all_these_many_names + 1 + comes_here_and_then_there + are_two_more",
     "return the_very_first + of_all_these_many_names + 2 + comes_here_and_then_there + are_two_more",
     ("… the_very_first + of_all_these_many_names + 1 + comes_here_and_then_there + … → "
      "… the_very_first + of_all_these_many_names + 2 + comes_here_and_then_there + …")),
])
def test_a_change_is_told_with_what_is_around_it(was: str, now: str, told: str) -> None:
    assert mutate.shortened(was, now) == told


def test_what_mutmut_and_pytest_are_told_is_toml() -> None:
    for part in mutate.PARTS:
        tool = tomllib.loads(mutate.settings(part))["tool"]
        assert tool["mutmut"]["only_mutate"] == [f"reflexd/{file}" for file in part.files]
        assert "--import-mode=importlib" in tool["pytest"]["ini_options"]["addopts"]
