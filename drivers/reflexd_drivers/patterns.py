"""Regular expressions that a configuration brings, judged before a device can choose the text.

Python's matching holds the interpreter's lock, so the decision loop waits for it. A repetition of what is a repetition itself
and nothing else, as in (a+)+, takes twice as long for each further character that does not fit: thirty of them are minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

MANY = 16       # a repetition that may go on for that long counts as one without an end


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern. Raises: ValueError for what is none, and for one that a text could keep busy for minutes."""
    try:
        made = re.compile(pattern)
        endless = _endless(import_module("re._parser").parse(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"this is no regular expression ({error}); write one as in Python") from error
    if endless:
        raise ValueError("a repetition within a repetition, as (a+)+, can take minutes; write one of the two, or put something "
                         "fixed between them, as (a+,)+")
    return made


def _endless(items: Iterable[Any]) -> bool:
    """Say whether a part is repeated that may itself be cut in many ways. Source of the tree's shape: Lib/re/_parser.py."""
    for name, arguments in ((str(op), arguments) for op, arguments in items):
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            fixed, many = _kind(arguments[2])
            if arguments[1] >= MANY and many and not fixed:
                return True
        if any(_endless(body) for body in _bodies(name, arguments)):
            return True
    return False


def _bodies(name: str, arguments: Any) -> list[Any]:   # noqa: ANN401
    """Give the parts within a part."""
    if name == "BRANCH":
        return list(arguments[1])
    where = {"MAX_REPEAT": 2, "MIN_REPEAT": 2, "SUBPATTERN": 3, "ASSERT": 1, "ASSERT_NOT": 1}.get(name)
    return [] if where is None else [arguments[where]]


def _kind(items: Iterable[Any]) -> tuple[bool, bool]:
    """Say whether something in it has to be there just so, and whether something is repeated many times."""
    fixed = many = False
    for name, arguments in ((str(op), arguments) for op, arguments in items):
        kinds = [_kind(body) for body in _bodies(name, arguments)]
        within = bool(kinds) and all(one for one, _ in kinds)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            fixed = fixed or (within and arguments[0] == arguments[1])
            many = many or arguments[1] >= MANY
        elif name not in ("AT", "ASSERT", "ASSERT_NOT"):
            fixed = fixed or (within if kinds else True)
        many = many or any(one for _, one in kinds)
    return fixed, many
