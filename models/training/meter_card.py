"""Write the meter reader's model card from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import tensorflow as tf

from reflexd_models.accuracy import Figures

THRESHOLD = 0.6        # a wheel that is read with a smaller score makes the reading unsure
COLUMNS = ("strict", "within_tenth", "within_tenth_covered", "coverage", "wrong_digit", "count")
HEAD = "| {first} | " + " | ".join(("strict", "within a tenth", "of the covered", "coverage", "wrong digit", "pictures")) + " |"
CARD = """\
# meter: digit wheels of gas, water and power meters

Reads one wheel (or one digit of a display): 0 to 9, or "between" two digits. Used by the task `regions`, once per wheel.

| | |
|---|---|
| input | int8 [1, 32, 20, 3], RGB, raw = pixel - 128 |
| output | int8 [1, 11], score = (raw + 128) / 256; labels 0 to 9, between |
| size | {size} bytes, int8 throughout |
| made by | `./scripts/train meter`: TensorFlow {tensorflow}, oneDNN on, one thread, seed 7 |
| data | 14,042 pictures of haverland/Tenth-of-step-of-a-meter-digit (images/collected), Apache-2.0; augmentation, nothing else |

## How to aim a region at a wheel

The pictures of the data set frame **one** digit in 20 x 32 px. Its height takes 60 to 80 % of the crop's height and its width
55 to 75 % of the crop's width (medians of the kinds), and a digit that stands still is in the middle: leave a tenth to a fifth of
the height free above and below, and a sixth of the width on both sides. The next digit of a wheel may show at the edge. Crops are
stretched to 20 x 32, so a region has about the shape 5 : 8. Drawn digits (three fonts of OpenCV, light on dark and dark on
light, blurred and noisy) of 65 to 85 % of the height gave at most 2 % wrong digits; at 55 % up to 6 %.

## Truth and figures

A label of t tenths has the class: last digit of tenths 0 to 2, that digit; 8 and 9, the next digit; 3 to 7, "between".
*Strict*: the answer is class(t). *Within a tenth*: it is class(t-1), class(t) or class(t+1), modulo 100. *Coverage*: share of
answers with a score of at least 0.9. *Of the covered*: within a tenth, of those alone. *Wrong digit*: share of all answers that
are a plain digit and not within a tenth.

The split is by kind of meter, never by picture. {mixed} are collections of unknown meters (or share near copies with
one), so they were always trained on and never judged.

### The shipped file, on the kinds that it never saw (fold {shipped})

{shipped_table}

At the bundle's threshold ({threshold:g}) it answers {answered:.1%} of them, and {wrong:.2%} of these answers are a wrong digit;
at 0.9, {coverage:.1%} and at most {wrong_covered:.2%}. All figures are TensorFlow's own interpreter's; LiteRT and tflite-runtime
differ by up to 9 of 256 steps in a score, and in the third digit of a figure.

Of these, `lcd/lcd_pb` holds pictures in which no digit can be seen. Measure it again with
`reflexctl model evaluate meter meter_digits.npz`: the groups above are held out, all others were seen in training.

### Leave-kinds-out cross-validation: a network of its own per fold, same settings

{folds_table}

{kinds_tables}

## Limits

- Figures differ by kind of meter far more than by picture: try yours (`reflexctl model try meter --region ...`) before
  a valve depends on it, and keep the plausibility check of the daemon on.
- One network reads wheels and seven-segment displays; a display has no "between".
- Decimal points, glare over the whole digit, and digits cut by the region's edge are the usual errors.
- The same machine and settings give the same bytes; another one gives other bytes of the same bands
  (within a tenth at least .955, of the covered .99, coverage .70), which the script asserts.
"""


class Trained(Protocol):
    """What is told of a network."""

    file: bytes
    of_float: Figures
    of_int8: Figures
    float_by_kind: dict[str, Figures]
    int8_by_kind: dict[str, Figures]
    answered: float
    wrong: float


def text(trained: Mapping[str, Trained], folds: Mapping[str, Sequence[str]], shipped: str, mixed: Sequence[str]) -> str:
    """Give the card as Markdown."""
    best = trained[shipped]
    folds_told = {name: one for name, one in trained.items() if len(trained) > 1}
    kinds = [f"Fold {name}, held out: {len(folds[name])} names.\n\n{_kinds(one)}"
             for name, one in sorted(folds_told.items()) if name != shipped]
    rows = [row for name, one in sorted(folds_told.items()) for row in _pair(f"fold {name}", one.of_float, one.of_int8)]
    return CARD.format(
        size=len(best.file), tensorflow=tf.__version__, mixed=", ".join(f"`{name}`" for name in mixed), shipped=shipped,
        shipped_table=_kinds(best), folds_table=_table("fold", rows) if rows else "Not run.",
        kinds_tables="\n\n".join(kinds), threshold=THRESHOLD, answered=best.answered, wrong=best.wrong,
        coverage=best.of_int8["coverage"], wrong_covered=1 - (best.of_int8["within_tenth_covered"] or 0),
    )


def _kinds(one: Trained) -> str:
    rows = [*_pair("all held out", one.of_float, one.of_int8)]
    for kind in one.int8_by_kind:
        rows += _pair(f"`{kind}`", one.float_by_kind[kind], one.int8_by_kind[kind])
    return _table("kind", rows)


def _pair(name: str, of_float: Figures, of_int8: Figures) -> list[str]:
    return [_row(f"{name}, float", of_float), _row(f"{name}, int8", of_int8)]


def _row(name: str, told: Figures) -> str:
    cells = ["-" if told[key] is None else f"{told[key]:.3f}" if key != "count" else str(told[key]) for key in COLUMNS]
    return f"| {name} | {' | '.join(cells)} |"


def _table(first: str, rows: Iterable[str]) -> str:
    return "\n".join([HEAD.format(first=first), "|---" * (len(COLUMNS) + 1) + "|", *rows])
