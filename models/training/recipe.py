"""What every network that ships is made by: a recipe, the same shape for all of them.

A recipe trains, and gives its file with what that file says of data that it never saw; the frame (one.py) judges, asserts the
bars and writes the bundle. A recipe's module has `recipe(name) -> Recipe` and imports TensorFlow or scikit-learn only inside
train(), so that names, purposes and bars can be read without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training.command import MODULES
from training.judge import Figures, Judged


class DataError(ValueError):
    """Data that is needed is not there, or is not what it should be: one line that says what to do."""


@dataclass(frozen=True, slots=True)
class How:
    """How a run is done."""

    small: bool                        # fewer epochs and less data, for CI; bars of its own
    data: Path                         # the folder with data/
    cache: Path                        # generated recordings, to be used again
    say: Callable[[str], None]         # told a line for each epoch
    only: bool = False                 # meter: without the cross-validation
    windows: Path | None = None        # vibration: a file of one's own to train on


@dataclass(frozen=True, slots=True)
class Trained:
    """A network's file, with what it says of data that training never saw."""

    file: bytes
    about: Mapping[str, Any]           # of model.toml, beside name, file, sha256, golden and card; tables as mappings
    golden: Mapping[str, np.ndarray]   # given and told
    tolerance: float                   # of the golden case
    judged: Judged                     # by the file that ships
    of_float: Judged | None = None     # before quantization, where that is another network
    figures: Figures = field(default_factory=dict)      # what this recipe measures beside accuracy
    facts: Mapping[str, str] = field(default_factory=dict)          # rows of the card's table
    card: Callable[[Figures], str] | None = None        # a card of its own; None: the common one


class Bar(Protocol):
    """What a figure has to reach."""

    def short(self, figures: Figures) -> str | None:
        """Say what falls short, or None."""
        ...


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A figure of at least so much."""

    name: str
    least: float

    def short(self, figures: Figures) -> str | None:
        """Say what falls short, or None."""
        found = figures.get(self.name)
        return None if found is not None and found >= self.least else f"{self.name} {found} < {self.least:g}"


@dataclass(frozen=True, slots=True)
class AtMost:
    """A figure of at most so much."""

    name: str
    most: float

    def short(self, figures: Figures) -> str | None:
        """Say what is too much, or None."""
        found = figures.get(self.name)
        return None if found is not None and found <= self.most else f"{self.name} {found} > {self.most:g}"


class Recipe(Protocol):
    """How one network that ships is made."""

    name: str
    file_name: str                     # of the network inside its bundle
    purpose: str                       # what it is for, in a line
    text: str                          # of the card: what it is given, how it was made, Markdown
    limits: tuple[str, ...]
    licence: str                       # of the data, and of what comes out

    def bars(self, small: bool) -> tuple[Bar, ...]:
        """Tell what has to be reached."""
        ...

    def train(self, how: How) -> Trained:
        """Train, convert, and ask the file about what it never saw. Raises: DataError."""
        ...


def recipe(name: str) -> Recipe:
    """Give the recipe of that name."""
    found: Recipe = import_module(MODULES[name]).recipe(name)
    return found
