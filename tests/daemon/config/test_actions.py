"""Actions that work, and are hardly meant so."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflexd.config.load import load
from tests.daemon.config.broken import BASE

RULE = '\n[[rule]]\nname = "new"\npriority = 1\nwhen = [ { sensor = "pir", edge = "rise" } ]\n'
BELL = '\n[actuator.chime]\ndriver = "gpio-output"\npin = "GPIO23"\nsafe = "off"\n'


def told(folder: Path, bell: str, action: str) -> list[tuple[str, str]]:
    """Give where and what is said of a rule on a bell."""
    (folder / "reflexd.toml").write_text(f'{BASE}{BELL}{bell}\n{RULE}cooldown_s = 60\n'
                                         f'then = [ {{ actuator = "chime", set = "on", {action} }} ]\n')
    return [(one.where, one.headline) for one in load(folder / "reflexd.toml").warnings]


@pytest.mark.parametrize(("bell", "action"), [
    ("max_on_s = 5", "pattern = [0.2, 0.8], times = 3, for_s = 3"),
    ("min_off_s = 0.5\nmax_on_s = 9", "pattern = [1, 0.5], for_s = 8"),
    ("max_on_s = 2.2", "pattern = [0.2, 0.8], times = 3, for_s = 2.2")])
def test_nothing_is_said_of_a_pattern_that_fits(folder: Path, bell: str, action: str) -> None:
    assert told(folder, bell, action) == []


@pytest.mark.parametrize(("bell", "action", "where", "words"), [
    ("max_on_s = 5", "pattern = [0.2, 0.8], times = 3, for_s = 2", "times", "it takes 2.2 s, and for_s = 2 ends it before"),
    ("max_on_s = 2", "pattern = [0.2, 0.8], times = 3, for_s = 2.2", "times", "it takes 2.2 s, and max_on_s = 2 ends it before"),
    ("min_off_s = 2\nmax_on_s = 5", "pattern = [3, 1, 1, 4], for_s = 4", "pattern",
     "min_off_s = 2 of chime counts from the end of a pattern, and its pauses are shorter, found 1"),
])
def test_a_pattern_that_is_cut_off_or_wears_its_output_out_is_told(
        folder: Path, bell: str, action: str, where: str, words: str) -> None:
    found = [(place, line) for place, line in told(folder, bell, action) if where in place]
    assert len(found) == 1
    assert found[0][0] == f"rule.new.then[0].{where}"
    assert words in found[0][1]
