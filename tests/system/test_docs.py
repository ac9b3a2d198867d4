"""What the documents say is true: their configurations are right, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reflexd.config.load import load
from tests.system.meter import ROOT

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[str]:
    """Give the whole configurations of a page."""
    found = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    return [text for text in found if "schema = 1" in text and "[actuator" in text]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_every_whole_configuration_of_a_page_is_right(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(blocks(page)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        assert [str(one) for one in load(file).warnings] == []


def test_the_configuration_of_the_readme_has_thirty_lines_at_most() -> None:
    assert len(blocks(ROOT / "README.md")[0].splitlines()) <= 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", ["reflexd.toml", "usb.toml"])
def test_the_shipped_examples_are_right(name: str) -> None:
    assert not load(ROOT / "docs" / "examples" / "meter" / name).warnings
