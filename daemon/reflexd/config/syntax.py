"""What tomllib says of a text that is not TOML, in plain words and at the place where it went wrong."""

from __future__ import annotations

import re
import sys

from reflexd.config.positions import Positions, Span

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TOKEN = re.compile(r"[^\s,\]}#]+")

# What tomllib's message begins with → what, remedy.
_WORDS = (
    ("Expected '='", "a key needs = and a value", "write it as key = value"),
    ("Expected ']'", "the name of a table needs a closing ]", "write it as [camera.NAME]"),
    ("Expected ']]'", "the name of a list of tables needs a closing ]]", "write it as [[rule]]"),
    ("Expected newline", "the line goes on after its value", "keep one key and value to a line, and put text in quotes"),
    ("Expected \"'\"", "a text needs its closing '", "close it on the same line"),
    ("Unterminated string", "a text is never closed", "close it with the quotes it began with"),
    ("Illegal character '\\n'", "a text needs its closing \"", "close it on the same line"),
    ("Illegal character", "a control character cannot stand here", "remove it, or write it as \\uXXXX in a text"),
    ("Unescaped '\\'", "a backslash begins no known escape here", "write \\\\ for one backslash, or quote the text with '"),
    ("Invalid hex value", "\\u needs 4 and \\U needs 8 hexadecimal digits", "write all of them"),
    ("Escaped character", "no character has that number", "write another one"),
    ("Unclosed array", "a list is never closed, or lacks a comma here", "separate its items by commas and close it with ]"),
    ("Unclosed inline table", "{ has no } on its line, or lacks a comma", "write { key = value, key = value } on one line"),
    ("Invalid initial character", "a key is missing here", "write a key of letters, digits, _ and -, or one in quotes"),
    ("Invalid date", "there is no such date or time", "correct it, or put it in quotes if it is a text"),
    ("Invalid statement", "this begins neither a key nor a table", "write key = value, [table] or a # comment"),
)
_TWICE = ("Cannot overwrite", "Cannot declare", "Duplicate inline", "Cannot mutate")


def explain(error: ValueError, lines: list[str], found: Positions) -> tuple[Span, str, str, str]:
    """Give the place, what, found and remedy of a syntax error."""
    message = str(error)
    span = _span(message, lines)
    if message.startswith(_TWICE):
        return _explain_twice(span, found)
    if message.startswith("Exceeds the limit"):     # from int(), which knows no place
        return _longest_number(lines), "a number has too many digits", "", "write a shorter one"
    if message.startswith("Invalid value"):
        return _explain_value(span, lines)
    for beginning, what, remedy in _WORDS:
        if message.startswith(beginning):
            return span, what, "", remedy
    return span, _PLACE.sub("", message).lower(), "", "correct the syntax"


def too_deep(lines: list[str]) -> tuple[Span, str, str, str]:
    """Point at the line with the most brackets of a text that is nested beyond reading."""
    number = max(range(len(lines)), key=lambda row: lines[row].count("[") + lines[row].count("{"))
    return Span(number + 1, 1, 1), "lists and tables are nested too deeply", "", "close the brackets that were opened"


def _span(message: str, lines: list[str]) -> Span:
    match = _PLACE.search(message)
    if match and match[1]:
        line, column = int(match[1]), int(match[2])
        return Span(line, column, 1)
    last = max((row for row, text in enumerate(lines) if text.strip()), default=0)
    return Span(last + 1, len(lines[last].rstrip()) + 1, 1)


def _explain_twice(span: Span, found: Positions) -> tuple[Span, str, str, str]:
    """Say where the same key stood before; tomllib points behind the second value."""
    for location, here, first in found.again:
        if here.line <= span.line:
            name = ".".join(str(part) for part in location)
            return here, f"{name} is given a second time", "", f"keep this one or the one on line {first.line}"
    return span, "this is given a second time, or once as a value and once as a table", "", "keep one of them"


def _explain_value(span: Span, lines: list[str]) -> tuple[Span, str, str, str]:
    match = _TOKEN.match(lines[span.line - 1], span.column - 1)
    if match is None:
        return span, "a value is missing here", "", "write one, or remove the key"
    word = match[0]
    if word.lower() in ("true", "false", "yes", "no"):
        remedy = "write true or false"
    elif re.fullmatch(r"[\w.:/-]+", word):
        remedy = f'put a text in quotes, as "{word}"'
    else:
        remedy = 'write a number, true, false, a text in "quotes", a [list] or a { table }'
    return Span(span.line, span.column, len(word)), "this is not a value", word, remedy


def _longest_number(lines: list[str]) -> Span:
    digits = re.compile(rf"[\d_]{{{sys.get_int_max_str_digits()},}}")
    for number, text in enumerate(lines, 1):
        if match := digits.search(text):
            return Span(number, match.start() + 1, len(match[0]))
    return Span(1, 1, 1)
