"""The pages of the documentation: their fenced blocks, and what each is for, as the words behind the fence say.

A block of commands is `sh` and where it is run: `checkout` in a checkout, by tests/system/test_docs.py; `device` as root on a
device that has the package, by tests/lab/test_docs.py; `ci` by .ci/run or by what NOT_THERE names. Behind that may stand
`timeout=5` (seconds, after which a command that waits for ever is ended) and `with=FILE,FILE` (run in a folder of its own
that has these). `toml file=PATH` is the content of a file on the device, `python` a part of a
file of docs/examples. Nothing stands in a block without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if ".pytest_cache" not in page.parts]     # where the tests of the example were run
PLACES = ("checkout", "device", "ci")
TEXTS = ("toml", "json", "csv", "text", "python")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    place: str                                  # where commands are run; "" for texts
    text: str
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        name = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page.name
        return f"{name}:{self.line}"

    @property
    def wrong(self) -> str:
        """Say what is wrong with the words behind its fence; empty when nothing is."""
        if self.language == "sh":
            good = self.place in PLACES and not self.options.keys() - {"timeout", "with"}
        else:
            good = self.language in TEXTS and not self.place and not self.options.keys() - {"file"}
        return "" if good else f"{self}: say sh and one of {', '.join(PLACES)}, or one of {', '.join(TEXTS)}; see tests/pages.py"

    @property
    def commands(self) -> list[str]:
        """Give its commands, without their comments."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [one for line in joined if (one := re.sub(r"(^| {2,})#.*", "", line).strip())]


def blocks(page: Path) -> Iterator[Block]:
    """Give the blocks of a page in their order."""
    whole = page.read_text()
    for found in FENCE.finditer(whole):
        line = whole.count("\n", 0, found.start()) + 1
        language, *words = found[1].split() or [""]
        place = words.pop(0) if words and "=" not in words[0] else ""
        options = dict(word.partition("=")[::2] for word in words)
        yield Block(page, line, language, place, found[2], options)


def run_in(page: Path, place: str) -> list[Block]:
    """Give what is run there of a page, in order, with the files that a device needs for it."""
    return [one for one in blocks(page) if one.place == place or (place == "device" and "file" in one.options)]


def inline(page: Path) -> list[str]:
    """Give the code within the text of a page."""
    return CODE.findall(FENCE.sub("", page.read_text()))
