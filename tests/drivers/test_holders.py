"""Who has a device open."""

from __future__ import annotations

from pathlib import Path

from reflexd_drivers.holders import holder, holders


def test_the_holder_of_a_device_is_named(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    (tmp_path / "by-id").symlink_to(device)
    process = tmp_path / "proc" / "4711"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("motion\n")
    (process / "fd" / "5").symlink_to(device)
    assert holder(str(tmp_path / "by-id"), tmp_path / "proc") == "motion (process 4711)"
    assert holder(str(device), tmp_path / "nothing") == "another program"


def test_every_program_that_has_a_device_is_listed_once(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    for pid, name in ((1, "motion"), (2, "vlc")):
        folder = tmp_path / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        for number in "345":
            (folder / "fd" / number).symlink_to(device if number != "4" else tmp_path / "other")
    assert sorted(holders(str(device), tmp_path / "proc")) == [(1, "motion"), (2, "vlc")]
