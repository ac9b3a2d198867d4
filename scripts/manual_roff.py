"""roff for man pages: text and its markup, the options of an argparse parser, and the part of Markdown that docs/ uses.

The macros are those of man(7), in the ASCII that groff and mandoc both take without a word.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator

ESCAPES = {"\\": "\\e", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
INLINE = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|\[([^]]+)\]\([^)]+\)|(?<!\w)\*(\w[^*]*)\*")


def plain(text: str) -> str:
    """Escape what roff would take for an order."""
    text = "".join(ESCAPES.get(one, one) for one in text)
    text = "".join(one if one < "\x7f" else f"\\[u{ord(one):04X}]" for one in text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def bold(text: str) -> str:
    """Set what is typed as it stands; its hyphens are the ones that are typed."""
    return f"\\fB{plain(text).replace('-', chr(92) + '-')}\\fR"


def slanted(text: str) -> str:
    """Set what stands for something else."""
    return f"\\fI{plain(text).replace('-', chr(92) + '-')}\\fR"


def prose(text: str) -> str:
    """Set a paragraph of Markdown."""
    parts, at = [], 0
    for found in INLINE.finditer(text):
        code, strong, link, emphasis = found.groups()
        parts += [plain(text[at:found.start()]),
                  bold(code or strong) if code or strong else slanted(emphasis) if emphasis else prose(link)]
        at = found.end()
    joined = "".join([*parts, plain(text[at:])])
    return f"\\&{joined}" if joined.startswith((".", "'")) else joined


def item(term: str, text: str) -> list[str]:
    """Set a term and what is said of it; both are roff already."""
    return [".TP", term, text or "\\&"]


def usage(parser: argparse.ArgumentParser) -> str:
    """Set how a command is called."""
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=10_000)     # type: ignore[assignment]
    words = parser.format_usage().removeprefix("usage: ").replace("[-h] ", "").replace(" [-h]", "").split()
    return " ".join(re.sub(r"[A-Za-z-][\w.-]*", lambda found: _word(found[0]), word) for word in words)


def _word(word: str) -> str:
    return slanted(word) if word.split(".", maxsplit=1)[0].isupper() else bold(word)


def options(parser: argparse.ArgumentParser) -> list[str]:
    """Set the arguments and options of a command, but for its verbs and --help."""
    lines: list[str] = []
    for action in parser._actions:                                                # noqa: SLF001  argparse shows them nowhere else
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):  # noqa: SLF001
            continue
        shown = str(action.metavar or "|".join(action.choices or ()) or action.dest.upper())
        value = "" if action.nargs == 0 else slanted(shown)
        term = ", ".join(f"{bold(name)} {value}".rstrip() for name in action.option_strings) or value
        text = parser._get_formatter()._expand_help(action) if action.help else ""    # noqa: SLF001
        if action.choices:
            text += ": " + ", ".join(map(str, action.choices))
        lines += item(term, plain(text))
    return lines


def verbs(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Give every verb that does something, with the help that it has in the list of verbs."""
    for action in parser._actions:                                                # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):                        # noqa: SLF001
            helps = {one.dest: one.help or "" for one in action._choices_actions}    # noqa: SLF001
            for name, one in action.choices.items():
                deeper = list(verbs(one))
                yield from deeper or [(helps.get(name, ""), one)]


def markdown(page: str) -> list[str]:
    """Set a page of docs/: headings from the second level on, paragraphs, lists, code and tables."""
    page = re.sub(r"<!--.*?-->\n?", "", page)
    blocks: list[str] = []
    for at, part in enumerate(re.split(r"^(```.*?^```)$", page, flags=re.DOTALL | re.MULTILINE)):
        blocks += [part] if at % 2 else re.split(r"\n\s*\n", part)
    return [line for block in blocks if block.strip() for line in _block(block.strip("\n"))]


def _block(block: str) -> list[str]:
    if block.startswith("```"):
        return [".PP", ".RS 4", ".EX", *(plain(line).replace("-", "\\-") for line in block.splitlines()[1:-1]), ".EE", ".RE"]
    if block.startswith("#"):
        level, _, title = block.partition(" ")
        return heading(title, ".SH" if len(level) == 2 else ".SS") if len(level) > 1 else []
    if block.startswith("|"):
        return _rows([[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()])
    if re.match(r"[-*] |\d+\. ", block):
        parts = re.split(r"^(?:[-*]|(\d+\.)) +", block, flags=re.MULTILINE)[1:]
        return [line for number, text in zip(parts[::2], parts[1::2], strict=True)
                for line in [f".IP {number or chr(92) + '(bu'} 4", prose(" ".join(text.split()))]]
    return [".PP", prose(" ".join(block.split()))]


def heading(title: str, macro: str = ".SH") -> list[str]:
    """Begin a section."""
    text = plain(title.upper() if macro == ".SH" else title).replace('"', "\\(dq")
    return [f'{macro} "{text}"']


def _rows(table: Iterable[list[str]]) -> list[str]:
    """Set a table as terms: the first cell, the middle ones in brackets, and the last as what is said."""
    lines: list[str] = []
    for first, *middle, last in list(table)[2:]:
        told = "; ".join(cell if cell.startswith("**") or not at else f"default {cell}" for at, cell in enumerate(middle))
        lines += item(prose(first) or "\\&", prose(f"{last} ({told})" if told else last))
    return lines
