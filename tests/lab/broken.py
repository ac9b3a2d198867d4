"""Thirty ways to break a good configuration, and what has to be said of each: the line, and some words of why."""

from __future__ import annotations

from dataclasses import dataclass

GOOD = """
schema = 1

[sensor.button]
driver = "gpio-input"
pin = "GPIO4"
pull = "down"
max_age_ms = 10000

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"
max_on_s = 3600

[actuator.valve]
driver = "gpio-output"
pin = "GPIO27"
active = "low"
safe = "off"
max_on_s = 3600

[[rule]]
name = "both on a button"
when = [{ sensor = "button", is = true }]
then = [{ actuator = "lamp", set = "on", follow = true }, { actuator = "valve", set = "on", follow = true }]
"""


@dataclass(frozen=True)
class Broken:
    """A configuration that is wrong; `words` are in its message, after `line` where there is one."""

    words: str
    data: bytes | None = None       # None: there is a directory in place of the file
    line: int = 0


def edit(words: str, old: str, new: str, at: str = "") -> Broken:
    """Replace the first `old`; the error is in the first line that has `at`, or else in the one that was edited."""
    begin = GOOD.index(old)
    text = GOOD[:begin] + new + GOOD[begin + len(old):]
    return Broken(words, text.encode(), 1 + text[:text.index(at) if at else begin].count("\n"))


def add(words: str, text: str, at: str) -> Broken:
    """Append a table; the error is in the first line of it that has `at`."""
    whole = GOOD + text
    return Broken(words, whole.encode(), 1 + whole[:whole.index(at, len(GOOD))].count("\n"))


BROKEN = [
    edit("no such key", "max_on_s = 3600", "max_on_seconds = 3600"),
    edit("no such table or key", "schema = 1", "schema = 1\ncolour = 2", at="colour"),
    edit("schema", "schema = 1", "schema = 99"),
    edit("max_on_s", "max_on_s = 3600", 'max_on_s = "long"'),
    edit("max_on_s", "max_on_s = 3600", "max_on_s = -1"),
    edit("max_age_ms", "max_age_ms = 10000", "max_age_ms = 1e99"),
    edit("GPIO99", '"GPIO17"', '"GPIO99"'),
    edit("GPIO17", '"GPIO27"', '"GPIO17"'),
    edit("GPIO4", '"GPIO17"', '"GPIO4"'),
    edit("pin", 'pin = "GPIO17"\n', "", at="[actuator.lamp]"),
    edit("safe", 'safe = "off"\n', "", at="[actuator.lamp]"),
    edit("level", 'safe = "off"', 'safe = "perhaps"'),
    edit("level", 'set = "on"', "set = 7", at="set"),
    edit("pull", 'pull = "down"', 'pull = "sideways"'),
    edit("pull", 'pull = "down"\n', "", at="[sensor.button]"),
    edit("gpio-input", '"gpio-input"', '"gpio-inptu"'),
    edit("gpio-output", '"gpio-output"', '"gpio-input"'),
    edit("driver", 'driver = "gpio-output"\n', "", at="[actuator.lamp]"),
    edit("lamp", 'actuator = "lamp"', 'actuator = "lmap"', at="lmap"),
    edit("button", 'sensor = "button"', 'sensor = "buton"', at="buton"),
    edit("is", "is = true", "at_least = true", at="at_least"),
    edit("then", "then = [{", "than = [{"),
    edit("syntax", "[actuator.valve]", "[actuator.valve"),
    edit("syntax", 'name = "both', "name = both"),
    edit("syntax", "[actuator.valve]", "[actuator.lamp]"),
    add("a rule with this name", GOOD[GOOD.index("[[rule]]"):], at="name"),
    add("nothing", '[model.one]\nbundle = "nothing"\ncamera = "none"\n', at="nothing"),
    Broken("UTF-8", GOOD.encode() + b"# \xff\xfe\n", 1 + GOOD.count("\n")),
    Broken("says nothing", b""),
    Broken("directory"),
]
