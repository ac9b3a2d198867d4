"""Write what documents repeat of the source, between marks in a page or as whole files. Called by scripts/docs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import fault_table
import zoo_table
from wiring_pictures import drawn

from reflexd.config.schema import driver_keys, keys, schema, task_keys
from reflexd_drivers.header import BOARDS, POSITIONS, PULLED_UP, PWM_FUNCTIONS, SUPPLIES, USES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def between(page: str, mark: str, text: str) -> str:
    """Put a text between `<!-- mark -->` and `<!-- /mark -->`; a page without these stays as it is."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    return re.sub(f"{begin}.*?{end}", lambda _found: f"{begin}{text}\n{end}", page, flags=re.DOTALL)


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def header() -> str:
    """Give the 40 pins as they lie: odd numbers left, even ones right."""
    by_number = {number: (f"GPIO{bcm}", USES.get(bcm, "")) for bcm, number in enumerate(POSITIONS)}
    by_number |= {number: (what, "") for number, what in SUPPLIES.items()}
    return table(("may also be", "name", "pin", "pin", "name", "may also be"), (
        (by_number[odd][1], by_number[odd][0], str(odd), str(odd + 1), by_number[odd + 1][0], by_number[odd + 1][1])
        for odd in range(1, 40, 2)))


def pwm() -> str:
    """Give the pins of hardware PWM of each family of Pi."""
    pins = [f"GPIO{bcm} (pin {POSITIONS[bcm]})" for bcm in PWM_FUNCTIONS]
    return table(("Pi", "device behind the chip", *pins), (
        (board.models, " or ".join(f"`{one}`" for one in board.pwm_device),
         *(f"channel {board.pwm[bcm]}" for bcm in PWM_FUNCTIONS)) for board in BOARDS))


def uarts() -> str:
    """Give the serial ports of each family of Pi."""
    def line(bcm: int) -> str:
        return f"GPIO{bcm} (pin {POSITIONS[bcm]})"

    return table(("Pi", "port", "turned on by", "sends at", "receives at"), (
        (board.models, one.name, one.how, line(one.sends), line(one.receives)) for board in BOARDS for one in board.uarts))


def pulls() -> str:
    """Say what holds a line until somebody claims it."""
    return (f"Until a program claims it a line is an input: GPIO{PULLED_UP[0]} to GPIO{PULLED_UP[-1]} with a pull-up, "
            f"GPIO{PULLED_UP[-1] + 1} to GPIO{len(POSITIONS) - 1} with a pull-down, each of some 50 kΩ.")


def pages() -> Iterator[tuple[Path, str]]:
    """Give each file as it has to be."""
    yield DOCS / "reflexd.schema.json", json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    yield DOCS / "configuration.md", between((DOCS / "configuration.md").read_text(), "keys", keys())
    networks = table(zoo_table.HEAD, zoo_table.rows(ROOT / "models" / "zoo"))
    yield DOCS / "models.md", between((DOCS / "models.md").read_text(), "zoo", networks)
    for page in sorted((DOCS / "drivers").glob("*.md")):
        text = page.read_text()
        yield page, between(text, "keys", driver_keys(page.stem)) if "<!-- keys -->" in text else text
    for page in sorted((DOCS / "tasks").glob("*.md")):
        yield page, between(page.read_text(), "keys", task_keys(page.stem))
    pins = (DOCS / "pins.md").read_text()
    for mark, text in (("header", header()), ("pwm", pwm()), ("uarts", uarts()), ("pulls", pulls())):
        pins = between(pins, mark, text)
    yield DOCS / "pins.md", pins
    for name, picture in drawn(ROOT / "scripts" / "wiring.d"):
        yield DOCS / "drivers" / "wiring" / f"{name}.svg", picture
    yield DOCS / "faults.md", fault_table.page(fault_table.shown(ROOT / "tests"), fault_table.listed())


def main(arguments: list[str]) -> int:
    """Write, or only compare."""
    try:
        stale = [(path, text) for path, text in pages() if not path.exists() or path.read_text() != text]
    except ValueError as error:      # marks of tests that cannot be a table
        print(error, file=sys.stderr)
        return 1
    for path, text in stale:
        print(f"{path.relative_to(ROOT)}: {'not as scripts/docs writes it' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
