"""Check a bundle before it is installed: here what is cheap and cannot hurt, the rest in a child process.

The parent holds the file against its hash, looks through the network's tables and reads the golden case; most of what is
damaged ends there, within milliseconds. What reaches a runtime does so in a child with limits (trial.py): it opens the
bundle as the daemon will, golden case included.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

from reflexd_models import files, tasks
from reflexd_models.base import ModelError, Options
from reflexd_models.bundle import ABOUT, Bundle, content_of, load, of_folder, open_model
from reflexd_models.flatbuffer import check_whole
from reflexd_models.trial import answer, ask_child

GOLDEN_LIMIT = 16 * files.MIB


def check(folder: Path) -> None:
    """Return when a bundle is whole, loads, and answers as it did where it was made. Raises: ModelError."""
    look_through(of_folder(folder))
    ask_child("reflexd_models.checking", [str(folder)], b"", str(folder))


def look_through(bundle: Bundle) -> None:
    """Look for what is wrong without a runtime. Raises: ModelError."""
    content = content_of(bundle)
    if bundle.path.suffix == ".tflite" or content[4:8] == b"TFL3":
        try:
            check_whole(content)
        except struct.error:
            raise ModelError(f"{bundle.where}: the file is cut off or damaged: its tables reach outside it; "
                             "fetch it again") from None
    if bundle.golden is None:
        raise ModelError(f"{bundle.path.with_name(ABOUT)}: there is no golden case, so nothing proves that the network answers "
                         "as it should; reflexctl model add FILE makes a bundle that has one")
    files.npz(bundle.path.with_name(bundle.golden.file), GOLDEN_LIMIT, "the golden case")


def usual_options(task: str) -> Options | None:
    """Give options with which any bundle of a task can be opened; None when only a configuration can tell them."""
    wanted = tasks.load(task).Options
    table: dict[str, Any] = {"regions": [(0.0, 0.0, 1.0, 1.0)], "min_score": 0.0} if task == "regions" else {}
    try:
        return wanted.model_validate(table)
    except ValueError:        # pydantic's own is one
        return None


def _check(_content: bytes) -> dict[str, Any]:
    bundle = of_folder(Path(sys.argv[1]))
    options = usual_options(bundle.task)
    if options is None:
        load(bundle)
    else:
        open_model(bundle, options)
    return {}


if __name__ == "__main__":
    answer(sys.argv[1], _check)
