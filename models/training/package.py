"""Write a bundle: model.toml beside the network, with its hash, a golden case, its figures and its card.

Every file is replaced by rename, model.toml last: who reads the bundle meanwhile sees the old or the new one whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.judge import Figures
from training.recipe import Recipe, Trained

WIDTH = 120
CARD = """\
# {name}: {purpose}

{text}

| | |
|---|---|
{facts}

## Figures

Of data that training never saw, by the file that ships; written by `{command}` (also as `figures.json`).

| figure | |
|---|---|
{figures}

*accuracy*: share of right answers. *worst_group*: of the group with the fewest. *recall LABEL*: share of the windows or pictures
with that label that get it. *calibration_error*: how far scores are from the share of right answers, on average.{quantized}

## Limits

{limits}

## Licence

{licence}
"""
QUANTIZED = " *quantization_loss*: accuracy of the float network less that of the file."


def write(folder: Path, recipe: Recipe, trained: Trained, figures: Figures, command: str) -> None:
    """Write all files of a bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(packed, **trained.golden)
    replace(folder / recipe.file_name, trained.file)
    replace(folder / "golden.npz", packed.getvalue())
    card = trained.card(figures) if trained.card else card_text(recipe, trained, figures, command)
    replace(folder / "MODEL_CARD.md", card.encode())
    replace(folder / "figures.json", (json.dumps({"command": command, **figures}, indent=1) + "\n").encode())
    replace(folder / "model.toml", description(recipe, trained).encode())


def description(recipe: Recipe, trained: Trained) -> str:
    """Give the text of model.toml."""
    head = {"schema": 1, "name": recipe.name, "file": recipe.file_name, "sha256": hashlib.sha256(trained.file).hexdigest()}
    plain = {key: value for key, value in trained.about.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in trained.about.items() if isinstance(value, Mapping)}
    tables["golden"] = {"file": "golden.npz", "tolerance": trained.tolerance}
    lines = [_line(key, value) for key, value in {**head, **plain, "card": "MODEL_CARD.md"}.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(_line(key, value) for key, value in table.items())]
    return "\n".join(lines) + "\n"


def card_text(recipe: Recipe, trained: Trained, figures: Figures, command: str) -> str:
    """Give the common card."""
    facts = {"size": f"{len(trained.file)} bytes", **trained.facts, "made with": f"{trained.facts.get('made with', '')}Python "
             f"{platform.python_version()}, numpy {np.__version__}, {platform.machine()}, one thread"}
    return CARD.format(
        name=recipe.name, purpose=recipe.purpose, text=filled(recipe.text), command=command, licence=recipe.licence,
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        figures="\n".join(f"| {key} | {value:g} |" for key, value in figures.items()),
        limits="\n".join(filled(f"- {limit}", "  ") for limit in recipe.limits), quantized=QUANTIZED if trained.of_float else "",
    )


def filled(text: str, indent: str = "") -> str:
    """Break the lines of each paragraph anew."""
    parts = [textwrap.fill(part, WIDTH, subsequent_indent=indent, break_on_hyphens=False) for part in text.split("\n\n")]
    return "\n\n".join(parts)


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half."""
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_bytes(content)
    partial.replace(path)


def _line(key: str, value: Any) -> str:
    return f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Write a value as TOML: JSON's texts and numbers are TOML's."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
