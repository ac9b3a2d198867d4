"""A folder with a bundle that gives scores; only its description is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest

KIND = """\
schema = 1
name = "kind"
file = "kind.tflite"
sha256 = "%s"
task = "classify"
labels = ["person", "cat"]
""" % ("0" * 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundles" / "kind"
    bundle.mkdir(parents=True)
    (bundle / "model.toml").write_text(KIND)
    return tmp_path
