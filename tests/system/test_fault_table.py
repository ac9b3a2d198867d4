"""The table of faults leaves out no fault; that docs/faults.md is up to date is held by test_driver_pages."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT

TABLE: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "fault_table.py"))
TOLD = TABLE["listed"]()
KINDS = ("camera", "output", "serial", "model", "configuration", "host")
LATER = {"F66", "F67", "F68", "F69"}      # of a long run under load, which no test of this folder is


def test_every_fault_is_in_the_table() -> None:
    assert {identity for kind in KINDS for identity in TOLD[kind]} == {f"F{number:02}" for number in range(1, 73)} - LATER


def test_what_has_a_reason_is_shown_by_no_test() -> None:
    assert TOLD["not_here"].keys() & {one.id for one in TABLE["shown"](ROOT / "tests")} == set()


@pytest.mark.parametrize(("mark", "found"), [
    ('fault("F03", bound="1 s", outcome="safe")', ["F03"]), ('other("F03")', []),
    ('parametrize("x", [pytest.param(1, marks=pytest.mark.fault("F07", bound="1 s", outcome="safe"))])', ["F07"]),
])
def test_a_mark_is_found_where_it_stands(tmp_path: Path, mark: str, found: list[str]) -> None:
    (tmp_path / "test_it.py").write_text(f"class TestIt:\n    @pytest.mark.{mark}\n    def test_it(self): ...\n")
    assert [one.id for one in TABLE["shown"](tmp_path)] == found


@pytest.mark.parametrize("mark", [
    'fault("F03")', 'fault("F03", bound="1 s")', 'fault(bound="1 s", outcome="safe")', 'fault(NAME, bound="", outcome="")',
])
def test_a_mark_that_says_too_little_is_an_error(tmp_path: Path, mark: str) -> None:
    (tmp_path / "test_it.py").write_text(f"@pytest.mark.{mark}\ndef test_it(): ...\n")
    with pytest.raises(ValueError, match="a mark is fault"):
        TABLE["shown"](tmp_path)


def test_a_fault_that_nobody_knows_or_shows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text('@pytest.mark.fault("F1", bound="1 s", outcome="safe")\ndef test_it(): ...\n')
    with pytest.raises(ValueError, match="F1"):
        TABLE["page"](TABLE["shown"](tmp_path), TOLD)
    with pytest.raises(ValueError, match=r"neither shown by a test nor with a reason in .*: F01, F02, "):
        TABLE["page"]([], TOLD)
