"""What check says of [evidence] that has too little room."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflexd.config.load import load
from tests.daemon.config.broken import BASE


@pytest.mark.parametrize(("text", "words"), [
    ("[evidence]\n", []),
    ("[evidence]\nrate_hz = 30\nmemory_mb = 8\n", ["an event may take about 18 MB, and 3.8 MB may be written at once",
                                                   "memory_mb: frames of 10 s may take about 18 MB, and the oldest make room"]),
    ("[evidence]\nrate_hz = 30\nmemory_mb = 20\n[events]\nwrite_budget_mb_per_day = 1000\n", []),
    ("[evidence]\n[events]\nwrite_budget_mb_per_day = 2\n",
     ["and 0.4 MB may be written at once: evidence may be left out; write_budget_mb_per_day = 69 in [events]"]),
])
def test_room_that_one_event_may_well_exceed_is_a_warning(folder: Path, text: str, words: list[str]) -> None:
    (folder / "reflexd.toml").write_text(f"{BASE}\n{text}")
    said = [one.headline for one in load(folder / "reflexd.toml").warnings]
    assert len(said) == len(words), said
    for one, wanted in zip(said, words, strict=True):
        assert wanted in one


def test_a_camera_that_only_evidence_looks_at_is_used(folder: Path) -> None:
    yard = '[camera.yard]\ndriver = "replay"\npath = "yard.npz"\n'
    (folder / "reflexd.toml").write_text(f"{BASE}\n{yard}")
    assert "camera.yard: no model or rule uses this camera" in load(folder / "reflexd.toml").warnings[0].headline
    for evidence in ("[evidence]", '[evidence]\ncameras = ["yard"]'):
        (folder / "reflexd.toml").write_text(f"{BASE}\n{yard}\n{evidence}\n")
        assert load(folder / "reflexd.toml").warnings == ()
