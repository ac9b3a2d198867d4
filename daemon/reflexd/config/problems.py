"""What is wrong with a configuration, and how that is written.

A problem always has a place in a file, and every text that a file brought along is escaped before
it reaches a terminal or the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from reflexd.config.positions import Span  # its parser may be what is broken, and doctor uses escape() to say so

Severity: TypeAlias = Literal["error", "warning"]

WIDEST = 160   # characters of a source line that are shown


def escape(text: str) -> str:
    """Make control characters and their like visible, so that a file cannot write to the terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """Where, what, what was found there, and what to do about it."""

    file: str
    line: int
    column: int
    where: str
    what: str
    found: str = ""
    remedy: str = ""
    severity: Severity = "error"
    source: str | None = None    # the line of the file, for the excerpt
    length: int = 1

    @property
    def headline(self) -> str:
        """Say it in one line: file:line:column: where: what, found; remedy."""
        place = f"{self.file}:{self.line}:{self.column}: "
        warning = "warning: " if self.severity == "warning" else ""
        where = f"{self.where}: " if self.where else ""
        said = self.found.startswith('"') and self.found in self.what
        found = f", found {self.found}" if self.found and not said else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return escape(f"{place}{warning}{where}{self.what}{found}{remedy}")

    def __str__(self) -> str:
        if self.source is None:
            return self.headline
        return f"{self.headline}\n{self._excerpt(self.source)}"

    def _excerpt(self, source: str) -> str:
        """Show the line and a caret under the place, which stays right when characters are escaped."""
        first = max(0, self.column - 1 - WIDEST // 2) if len(source) > WIDEST else 0
        before = escape(source[first:self.column - 1].replace("\t", " "))
        marked = escape(source[self.column - 1:self.column - 1 + self.length][:WIDEST].replace("\t", " "))
        after = escape(source[self.column - 1 + self.length:first + WIDEST].replace("\t", " "))
        number = f"{self.line:>4} | "
        carets = " " * len(before) + "^" * max(1, len(marked))
        return f"{number}{before}{marked}{after}".rstrip() + f"\n     | {carets}"

    def as_dict(self) -> dict[str, str | int]:
        """Give the fields that programs read."""
        fields = asdict(self)
        for key in ("source", "length"):
            del fields[key]
        return fields


def at(file: str, span: Span, where: str, what: str, *, found: str = "", remedy: str = "",
       severity: Severity = "error", lines: Sequence[str] = ()) -> Problem:
    """Make a problem of a place in a file whose lines are known."""
    source = lines[span.line - 1] if 0 < span.line <= len(lines) else None
    return Problem(file, span.line, span.column, where, what, found, remedy, severity, source, span.length)


class ConfigError(ValueError):
    """A configuration cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
