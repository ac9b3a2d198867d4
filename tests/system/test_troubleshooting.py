"""What docs/troubleshooting.md quotes is what the program says, and it leaves no fault and no kind of line out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflexd.events import ALL
from tests.system.meter import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
SAYS = ("what you see", "it says")         # heads of the columns that quote
TYPED = ("reflexctl ", "systemctl ", "gpio=")   # in such a column, what is no message


def rows(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Give each row of each table, with the head of its table."""
    for table in re.findall(r"(?:^[|].*\n)+", text, re.MULTILINE):
        head, _, *body = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines())
        yield from ((head, row) for row in body)


def templates(path: Path) -> Iterator[str]:
    """Give every text of a source file; what is filled in is a NUL."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.replace("%s", "\0")


@pytest.fixture(scope="module")
def said() -> str:
    sources = [path for folder in ("daemon", "drivers", "models/reflexd_models") for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(text for path in sources for text in templates(path))


def quotes() -> list[str]:
    cells = [row[at] for head, row in rows(PAGE) for at, name in enumerate(head) if name in SAYS and at < len(row)]
    return [text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if not text.startswith(TYPED)]


@pytest.mark.parametrize("quote", quotes())
def test_a_message_that_is_quoted_is_one_of_the_program(quote: str, said: str) -> None:
    strange = [piece for piece in quote.split("…") if piece.strip(" ;:,()") not in said]
    assert strange == []


def test_every_fault_is_told_once() -> None:
    told = [int(number) for _, row in rows(PAGE.partition("## Kinds of lines")[0]) for number in re.findall(r"\bF(\d\d)", row[0])]
    assert sorted(told) == list(range(1, 73))


def test_every_kind_of_line_is_told_with_the_subject_of_the_catalog() -> None:
    catalog = (ROOT / "systemd" / "reflexd.catalog").read_text()
    subjects = dict(re.findall(r"^-- (\w+)\nSubject: (.*)$", catalog, re.MULTILINE))
    told = [row[:2] for head, row in rows(PAGE) if head[:2] == ["kind", "subject"]]
    assert told == [[f"`{event.name}`", subjects[event.message_id]] for event in ALL]
