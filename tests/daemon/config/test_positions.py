"""Every value that tomllib gives has a place, and a random mutation of a good file never gives a traceback."""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reflexd.config.load import ConfigError, Problem, load
from reflexd.config.positions import positions
from tests.daemon.config.broken import BASE

EXAMPLES = int(os.environ.get("REFLEXD_TEST_EXAMPLES", "100"))

KEYS = st.one_of(st.sampled_from(["a", "b-c", "1", "ключ", "a.b", 'q"', "", "x y"]), st.text(max_size=4))
TREES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def quote(text: str) -> str:
    return '"' + "".join(f"\\U{ord(one):08X}" if not one.isalnum() or ord(one) > 0x1000 else one for one in text) + '"'


def inline(value: Any, gap: str) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(str(key))} = {inline(item, '')}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + gap + f",{gap}".join(inline(item, gap) for item in value) + gap + "]"
    return quote(value) if isinstance(value, str) else json.dumps(value)


def write(table: dict[str, Any], path: str, gap: str) -> str:
    """Write a tree as tables, arrays of tables and dotted keys where TOML has them."""
    text, later = "", ""
    for key, value in table.items():
        name = f"{path}.{quote(key)}" if path else quote(key)
        if isinstance(value, dict):
            later += f"[{name}]\n{write(value, name, gap)}"
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            later += "".join(f"[[{name}]]  # é\n{write(one, name, gap)}" for one in value)
        else:
            text += f"{quote(key)} = {inline(value, gap)}\n"
    return text + later


def leaves(value: Any, location=()):
    yield location
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*location, key))


@given(st.dictionaries(KEYS, TREES, max_size=5), st.sampled_from(["", "\n  # größe\n  "]))
def test_every_value_of_a_document_has_a_place_where_it_stands(tree, gap):
    text = write(tree, "", gap)
    data, places, lines = tomllib.loads(text), positions(text).places, text.split("\n")
    for location in leaves(data):
        if location:
            span = places[location].value
            shown = lines[span.line - 1][span.column - 1 : span.column - 1 + span.length]
            value = data
            for part in location:
                value = value[part]
            if isinstance(value, (bool, int)):
                assert shown == json.dumps(value)
            elif isinstance(value, str):
                assert tomllib.loads(f"x = {shown}")["x"] == value
            else:
                assert shown.startswith(("[", "{"))


def test_dotted_and_quoted_keys_and_headers_have_their_own_places():
    text = 'a."b c".d = 1\n[x.y]\nz = {p.q = "é", r = [1,\n  2]}\n[[x.l]]\n[[x.l]]\n[x.l.m]\nn = 1\n'
    places = positions(text).places
    where = {location: ((at := place.value).line, at.column, place.key.column) for location, place in places.items()}
    assert where["a", "b c", "d"] == (1, 13, 9)
    assert where["a", "b c"][1:] == (3, 3)
    assert where["x", "y"] == (2, 1, 4)
    assert where["x", "y", "z", "p", "q"] == (3, 12, 8)
    assert where["x", "y", "z", "r", 1] == (4, 3, 3)
    assert where["x", "l", 1] == (6, 1, 5)
    assert where["x", "l", 1, "m", "n"] == (8, 5, 1)


PIECES = st.sampled_from(
    ["", "=", '"', "[", "]]", "{", "}", "\n", "\r", ",", ".", "#", "0", "-1", "1e999", "nan", "true", '"on"', "[[rule]]\n",
     "[x]\n", "schema = 1\n", "1979-05-27", "'''", "\\", "\x00", "é", "\ud7ff", "sensor", "model",
     "label", "is", "[]", "{}", "9" * 5000]
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(BASE)), st.integers(0, 40), PIECES), min_size=1, max_size=4), st.booleans())
def test_a_mutated_file_gives_settings_or_problems_inside_its_files(folder, edits, in_dropin):
    text = BASE
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    broken = folder / ("conf.d/a.toml" if in_dropin else "reflexd.toml")
    (folder / "conf.d").mkdir(exist_ok=True)
    (folder / "conf.d" / "a.toml").unlink(missing_ok=True)
    (folder / "reflexd.toml").write_text(BASE)
    broken.write_bytes(text.encode())
    check_problems(folder)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(BASE) - 1), st.binary(max_size=4))
def test_mutated_bytes_give_settings_or_problems_inside_their_file(folder, start, piece):
    raw = BASE.encode()
    (folder / "reflexd.toml").write_bytes(raw[:start] + piece + raw[start + len(piece) :])
    check_problems(folder)


VALUES = st.one_of(TREES, st.sampled_from([10**40, 1.5, "GPIO4", "pir", "gate", "replay", "meter"]))
LEAVES = [location for location in leaves(tomllib.loads(BASE)) if location]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(LEAVES), VALUES), min_size=1, max_size=4))
@example([(("model",), 10**40)])
def test_a_value_replaced_by_any_other_gives_settings_or_problems(folder, edits):
    data = tomllib.loads(BASE)
    for location, value in edits:
        with suppress(KeyError, IndexError, TypeError):     # an earlier edit took the table away
            into: Any = data
            for part in location[:-1]:
                into = into[part]
            into[location[-1]] = value
    (folder / "reflexd.toml").write_text("".join(f"{quote(key)} = {inline(value, '')}\n" for key, value in data.items()))
    check_problems(folder)


def check_problems(folder):
    for problem in problems_of(folder / "reflexd.toml"):
        lines = Path(problem.file).read_bytes().decode(errors="replace").split("\n")
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.what in str(problem) or not problem.what.isprintable()


def problems_of(path: Path) -> tuple[Problem, ...]:
    try:
        return load(path).warnings
    except ConfigError as error:
        return error.problems
