"""Draw how a part is wired to the header of a Pi, from a description in scripts/wiring.d/NAME.toml.

A description has a title, parts with their terminals (`left` and `right`, from top to bottom), wires from a pin of the
header ("GPIO4", "3.3 V", "5 V", "GND") or a terminal ("board.A") to a terminal, perhaps `through` a resistor, what is
`across` two terminals of one side, short wires with a `label`, and notes. Numbers of pins come from the one table of the header.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from reflexd_drivers.header import POSITIONS, SUPPLIES

ROW, TOP, GAP = 40, 96, 44           # px: between two terminals, above the first one, between two parts
PI_LEFT, PI_WIDTH = 24, 168
COLUMNS = (430, 770)                 # left edges of the parts beside the Pi, and of those beyond
PART_WIDTH = 190
WIDTH = 1000
STYLE = """
    svg { color: #222; background: #fff }
    text { fill: currentColor }
    .paper { fill: #fff }
    .box { fill: #f6f6f4; stroke: currentColor; stroke-width: 2 }
    .wire { fill: none; stroke-width: 2.5 }
    .signal { stroke: #1f6fb2 } .plus { stroke: #b3392f } .ground { stroke: #555 }
    .part { fill: #fff; stroke: #0a7d33; stroke-width: 2.5 }
    .green { fill: #0a7d33; font-size: 13px }
    .head { font-size: 17px; font-weight: bold }
    .small { font-size: 12px; opacity: .75 }
    @media (prefers-color-scheme: dark) {
      svg { color: #e6e6e3; background: #1b1d1f }
      .paper, .part { fill: #1b1d1f }
      .box { fill: #26292c }
      .signal { stroke: #6db3f2 } .plus { stroke: #f0857c } .ground { stroke: #a9a9a5 }
      .part { stroke: #5fc98a } .green { fill: #5fc98a }
    }
"""


@dataclass
class Point:
    """Where a wire ends, and on which side of what."""

    x: float
    y: float
    right: bool                # a wire leaves to the right


@dataclass
class Drawing:
    """What was drawn so far."""

    about: dict[str, Any]
    points: dict[str, Point] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    bottom: float = 0

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write words."""
        named = f' class="{kind}"' if kind else ""
        self.shapes.append(f'<text x="{x:g}" y="{y:g}"{named} text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box", round_: int = 6) -> None:
        """Draw a rectangle."""
        self.shapes.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_}" class="{kind}"/>')

    def line(self, steps: str, kind: str) -> None:
        """Draw a wire."""
        self.shapes.append(f'<path d="{steps}" class="wire {kind}"/>')

    def dot(self, x: float, y: float) -> None:
        """Show that two wires are joined."""
        self.shapes.append(f'<circle cx="{x:g}" cy="{y:g}" r="4.5" fill="currentColor"/>')


def drawn(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the name and the picture of each description."""
    for path in sorted(folder.glob("*.toml")):
        yield path.stem, draw(tomllib.loads(path.read_text()))


def draw(about: dict[str, Any]) -> str:
    """Draw one description."""
    made = Drawing(about)
    _parts(made)
    _header(made)
    wires = Drawing(about, made.points)      # below the boxes
    _wires(wires)
    _across(wires)
    _labels(wires)
    bottom = max(made.bottom, wires.bottom) + 12
    for number, note in enumerate(about.get("notes", [])):
        made.text(PI_LEFT, bottom + 22 + 20 * number, f"• {note}", "green")
    height = bottom + 22 + 20 * len(about.get("notes", []))
    shapes = "\n  ".join([*wires.shapes, *made.shapes])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" font-family="sans-serif" font-size="14">\n'
            f"  <title>{escape(about['title'])}</title>\n  <style>{STYLE}  </style>\n"
            f'  <rect width="{WIDTH}" height="{height:g}" class="paper"/>\n'
            f'  <text x="{PI_LEFT}" y="36" class="head">{escape(about["title"])}</text>\n  {shapes}\n</svg>\n')


def _parts(made: Drawing) -> None:
    """Draw the parts, one below the other in their column."""
    tops = [float(TOP)] * len(COLUMNS)
    for part in made.about["part"]:
        column = part.get("column", 0)
        left, right = part.get("left", []), part.get("right", [])
        x, y = COLUMNS[column], tops[column] + part.get("lower", 0) * ROW
        height = ROW * max(len(left), len(right), 1)
        made.box(x, y - ROW / 2, PART_WIDTH, height)
        made.text(x + PART_WIDTH / 2, y - ROW / 2 - 8, part["name"], anchor="middle")
        for side, names in ((False, left), (True, right)):
            for number, name in enumerate(names):
                _terminal(made, part["name"], name, x + PART_WIDTH * side, y + number * ROW, side)
        tops[column] = y + height + GAP
        made.bottom = max(made.bottom, y + height - ROW / 2)


def _terminal(made: Drawing, part: str, name: str, x: float, y: float, right: bool) -> None:
    made.points[f"{part}.{name}"] = Point(x, y, right)
    made.text(x - 10 if right else x + 10, y + 5, name, anchor="end" if right else "start")


def _header(made: Drawing) -> None:
    """Draw the pins of the header that are used, each as high as the first terminal that it is wired to."""
    used = dict.fromkeys(wire["from"] for wire in made.about["wire"] if wire["from"] not in made.points)
    taken: list[float] = []
    for pin in used:
        ends = [made.points[wire["to"]].y for wire in made.about["wire"] if wire["from"] == pin]
        free = (ends[0] + step * ROW / 2 for step in range(99))
        y = next(one for one in free if all(abs(one - other) >= ROW - 1 for other in taken))
        taken.append(y)
        made.points[pin] = Point(PI_LEFT + PI_WIDTH, y, right=True)
        name, _, where = pin.partition("@")
        made.text(PI_LEFT + PI_WIDTH - 10, y + 5, name, anchor="end")
        if number := _number(name, where):
            made.text(PI_LEFT + 12, y + 5, f"pin {number}", "small")
    top, low = min(taken) - ROW / 2 - 4, max(taken) + ROW / 2
    made.shapes.insert(0, f'<rect x="{PI_LEFT}" y="{top:g}" width="{PI_WIDTH}" height="{low - top:g}" rx="6" class="box"/>')
    made.text(PI_LEFT + PI_WIDTH / 2, top - 8, made.about.get("host", "Raspberry Pi"), anchor="middle")
    made.bottom = max(made.bottom, low)


def _number(name: str, where: str) -> str:
    """Give the number of a pin on the header; of supplies the first, unless one is named."""
    if where:
        return where
    if name.startswith("GPIO"):
        return str(POSITIONS[int(name[4:])])
    return next((str(number) for number, what in sorted(SUPPLIES.items()) if what == name), "")


def _kind(name: str) -> str:
    pin = name.rpartition(".")[2].partition("@")[0]
    if pin in ("GND", "\u2212") or pin.startswith("GND"):
        return "ground"
    return "plus" if pin in ("+", "VCC", "VDD") or pin.endswith(" V") or pin.startswith("V") else "signal"


def _wires(made: Drawing) -> None:
    """Draw each wire: out of its pin, up or down in a lane of its own, into its terminal."""
    ends = [(made.points[wire["from"]], made.points[wire["to"]]) for wire in made.about["wire"]]
    bends = {far: sum(start.y != end.y or end.right for start, end in ends if (start.x > COLUMNS[0]) == far)
             for far in (False, True)}
    lanes = {False: 0, True: 0}
    for wire in made.about["wire"]:
        start, end = made.points[wire["from"]], made.points[wire["to"]]
        kind = wire.get("kind") or _kind(wire["from"])
        far = start.x > COLUMNS[0]
        lane = start.x + 26 + 14 * (bends[far] - 1 - lanes[far] if end.y > start.y else lanes[far])    # so that they do not cross
        into = end.x + (18 if end.right else 0)       # to a terminal on the right of a part it comes from the right
        if start.y == end.y and not end.right:
            made.line(f"M{start.x:g} {start.y:g}H{end.x:g}", kind)
        else:
            lanes[far] += 1
            lane = max(lane, into) if end.right else lane
            made.line(f"M{start.x:g} {start.y:g}H{lane:g}V{end.y:g}H{end.x:g}", kind)
            if any(other is not wire and other["from"] == wire["from"] and made.points[other["to"]].y == start.y
                   for other in made.about["wire"]):
                made.dot(lane, start.y)
        if "through" in wire:
            _resistor(made, end.x - (64 if far else 104), end.y, wire["through"])


def _resistor(made: Drawing, x: float, y: float, words: str) -> None:
    """Put a resistor, or a part that looks like one here, into a wire."""
    made.box(x - 22, y - 8, 44, 16, "part", 2)
    made.text(x, y - 13, words, "green", "middle")


def _labels(made: Drawing) -> None:
    """Draw a short wire with a name, where a long one would only cross others."""
    for one in made.about.get("label", []):
        end = made.points[one["at"]]
        kind = one.get("kind") or _kind(one["text"])
        made.line(f"M{end.x - 30:g} {end.y:g}H{end.x:g}", kind)
        made.text(end.x - 36, end.y + 5, one["text"], "small", "end")


def _across(made: Drawing) -> None:
    """Put a part between two terminals of one side."""
    for number, one in enumerate(made.about.get("across", [])):
        first, second = made.points[one["a"]], made.points[one["b"]]
        x = first.x + (1 if first.right else -1) * (one.get("at", 34 + 44 * number))
        top, low = min(first.y, second.y), max(first.y, second.y)
        made.line(f"M{x:g} {top:g}V{low:g}", one.get("kind", "signal"))
        made.dot(x, top)
        made.dot(x, low)
        middle = (top + low) / 2
        made.box(x - 8, middle - 15, 16, 30, "part", 2)
        side = -1 if one.get("words", "left") == "left" else 1
        made.text(x + side * 13, middle + 4, one["what"], "green", "end" if side < 0 else "start")
