"""Patterns that a text could keep busy for minutes are refused before a device can send that text."""

from __future__ import annotations

import pytest

from reflexd_drivers.patterns import compiled


@pytest.mark.parametrize("pattern", [
    "(a+)+$", "(a*)*", r"(\d+\.?)+x", "((?:a|b+)+)c", "(?:[A-Z]+ ?)+=(\\d+)", "(?:(?:a+)?)*b", "(?=(a+)+b)", "(?:x{2,}){16}y",
])
def test_a_repetition_of_nothing_but_a_repetition_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="can take minutes"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", [
    r"T=([\d.]+)", r"(?:\d+,)*(\d+)", r"^(?:\w+;){3}(\d+)", r"([-+]?\d+(?:\.\d+)?)", "", "OK|READY", r"(?:\s*\w+\s*=)+(\d+)",
])
def test_what_makers_write_is_taken(pattern: str) -> None:
    assert compiled(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_what_is_no_pattern_is_said_without_a_traceback(pattern: str) -> None:
    with pytest.raises(ValueError, match="this is no regular expression"):
        compiled(pattern)
