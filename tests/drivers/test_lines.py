"""How a line is found, and what it says: text of a device that may be noisy, cut or wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers.lines import LONGEST, LineKeys, Lines, NoTextError, reader


def said(line: bytes, **keys: Any) -> Any:
    return reader(LineKeys.model_validate(keys))(line)


@pytest.mark.parametrize(("line", "keys", "value"), [
    (b"21.5", {}, 21.5), (b" -3e2 ", {}, -300.0),
    (b"T=21.5C H=40%", {"pattern": r"T=([\d.]+)C"}, 21.5),
    (b"a,b, 7 ,d", {"column": 3}, 7.0), (b"a;7", {"column": 2, "separator": ";"}, 7.0),
    (b"a   7", {"column": 2, "separator": " "}, 7.0),
    (b'{"sensor": {"temp": 21.5}}', {"json": "sensor.temp"}, 21.5), (b'{"all": [1, "2.5"]}', {"json": "all.1"}, 2.5),
    (b"215", {"scale": 0.1, "offset": -1, "range": [0, 30]}, 20.5),
    (b"on", {"value": "boolean"}, True), (b"FALSE", {"value": "boolean"}, False),
    (b"door 0", {"value": "boolean", "pattern": r"door (\d)"}, False),
    (b'{"open": true}', {"value": "boolean", "json": "open"}, True),
    ("prêt ".encode(), {"value": "text"}, "prêt"), (b"\x1b[32mready\x1b[0m", {"value": "text", "pattern": "(ready)"}, "ready"),
])
def test_a_line_says_its_value(line: bytes, keys: dict[str, Any], value: object) -> None:
    assert said(line, **keys) == value
    assert type(said(line, **keys)) is type(value)


@pytest.mark.parametrize(("line", "keys", "values", "channels"), [
    (b"0.1, 0.2,-3", {"columns": ["x", "y", "z"]}, (0.1, 0.2, -3.0), ("x", "y", "z")),
    (b"9;1;2", {"columns": [3, 2], "separator": ";"}, (2.0, 1.0), ("column 3", "column 2")),
    (b"7", {"columns": ["value"]}, (7.0,), ("value",)),
    (b"x=1 y=2", {"pattern": r"x=(?P<x>\d) y=(?P<y>\d)", "scale": 10}, (10.0, 20.0), ("x", "y")),
    (b'{"a": {"x": 1, "y": [2]}}', {"json": ["a.x", "a.y.0"]}, (1.0, 2.0), ("a.x", "a.y.0")),
])
def test_a_line_may_say_several_numbers(line: bytes, keys: dict[str, Any], values: tuple[float, ...], channels: object) -> None:
    assert said(line, **keys) == values
    assert LineKeys.model_validate(keys).channels == channels


@pytest.mark.parametrize(("line", "keys"), [
    (b"1,2", {"columns": ["x", "y", "z"]}), (b"1,2,3,4", {"columns": ["x", "y", "z"]}), (b"1,nan", {"columns": ["x", "y"]}),
    (b"1,,3", {"columns": [1, 2]}), (b"1", {"columns": [1, 2]}), (b"1,99", {"columns": [1, 2], "range": [0, 9]}),
    (b"x=1 y=", {"pattern": r"x=(?P<x>\d) y=(?P<y>\d)?"}), (b'{"x": 1}', {"json": ["x", "y"]}),
])
def test_f37_of_several_numbers_all_have_to_be_right(line: bytes, keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        said(line, **keys)


@pytest.mark.parametrize(("line", "keys"), [
    (b"nan", {}), (b"inf", {}), (b"-Infinity", {}), (b"1e999", {}), (b"1e308", {"scale": 10}), (b"31", {"range": [0, 30]}),
    (b'{"t": NaN}', {"json": "t"}), (b'{"t": 1e999}', {"json": "t"}), (b'{"t": ' + b"9" * 4000 + b"}", {"json": "t"}),
])
def test_f37_what_is_not_finite_or_out_of_range_is_no_number(line: bytes, keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        said(line, **keys)


@pytest.mark.parametrize(("line", "keys"), [
    (b"ready", {}), (b"1,2", {"column": 3}), (b"T=x", {"pattern": r"T=(\d+)"}), (b"a", {"pattern": "a|(b)"}),
    (b'{"a": 1}', {"json": "b"}), (b'{"a": 1}', {"json": "a.b"}), (b"[1]", {"json": "7"}), (b"[1]", {"json": "a"}),
    (b"[" * 4096, {"json": "a"}),
    (b'{"a": true}', {"json": "a"}), (b'{"a": null}', {"json": "a"}), (b'{"a": [1]}', {"json": "a"}),
    (b"2", {"value": "boolean"}), (b'{"a": 3}', {"value": "text", "json": "a"}), (b'{"a": " "}', {"value": "text", "json": "a"}),
])
def test_a_text_that_says_no_value_is_refused_and_is_not_called_noise(line: bytes, keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:   # noqa: PT011  its kind is looked at
        said(line, **keys)
    assert not isinstance(caught.value, NoTextError)


@pytest.mark.parametrize("line", [b"21.\xff", b"2\x001.5", b"\x0521.5", b"\xc3"])
def test_f36_bytes_that_are_no_text_are_noise(line: bytes) -> None:
    with pytest.raises(NoTextError):
        said(line)


@pytest.mark.parametrize(("keys", "words"), [
    ({"pattern": "[0-9"}, "no regular expression"), ({"pattern": r"\d+"}, "found 0"), ({"pattern": "(a)(b)"}, "found 2"),
    ({"pattern": "(a)", "json": "b"}, "pattern and json"), ({"column": 0}, "greater than or equal to 1"),
    ({"columns": [0]}, "from 1 to 1000"), ({"columns": [1, 1]}, "different"), ({"columns": [1, "x"]}, "write"),
    ({"columns": ["x", " "]}, "different names"), ({"columns": [1, 2], "column": 3}, "column and columns"),
    ({"columns": ["x", "y"], "value": "boolean"}, "several of a line are numbers"), ({"json": ["a", ""]}, "none is empty"),
    ({"columns": list(range(1, 66))}, "at most 64"),
    ({"separator": ";"}, "separator goes with column"), ({"value": "text", "scale": 2}, 'go with value = "number"'),
    ({"range": [3, 1]}, "exchange the two"), ({"offset": float("nan")}, "finite"),
])
def test_keys_that_make_no_sense_say_what_does(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LineKeys.model_validate(keys)


def test_the_first_line_is_taken_for_cut_and_the_others_come_whole_however_they_are_split() -> None:
    lines = Lines()
    assert lines.feed(b"1.5\n2") == []
    assert lines.feed(b"2.5\r") == [b"22.5"]
    assert lines.feed(b"\n\n3\r\n4") == [b"3"]
    assert lines.feed(b"\n") == [b"4"]
    lines.restart()
    assert lines.feed(b"5\n6\n") == [b"6"]


@pytest.mark.fault("F34", bound="4 KiB", outcome="counted; the next whole line counts")
def test_f34_without_an_end_of_line_for_4_kib_it_resynchronises_and_counts() -> None:
    lines = Lines()
    lines.feed(b"\n")
    for _ in range(1000):
        assert lines.feed(b"x" * 1000) == []
        assert len(lines._rest) <= LONGEST
    assert lines.feed(b"xyz\n21.5\n") == [b"21.5"]
    assert lines.overlong == 1
    assert lines.feed(b"y" * (LONGEST + 1) + b"\n1\n") == [b"1"]
    assert lines.overlong == 2
