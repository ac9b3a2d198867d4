"""Plots as SVG text: four kinds, drawn here, so that a report is one small file and needs no library.

Colours come from the page's style sheet (classes), so that they fit a light and a dark page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from training import judge
from training.judge import Judged

SIDE = 240         # of a square plot, px
LEFT, BOTTOM = 44, 34


def confusion(judged: Judged) -> str:
    """Draw a square for each truth (down) and answer (across): its shade is the share of the truth's row."""
    counts = judge.confusion(judged)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    cell, names = SIDE / len(judged.labels), 74
    parts = []
    for row, label in enumerate(judged.labels):
        middle = (row + 0.5) * cell
        parts.append(_text(names - 6, middle + 4, label, "end"))
        parts.append(f'<text transform="translate({names + middle + 4:.1f} {SIDE + 8}) rotate(50)">{escape(label)}</text>')
        for column in range(len(judged.labels)):
            share, x = float(shares[row, column]), names + column * cell
            title = f"<title>{escape(label)} taken for {escape(judged.labels[column])}: {counts[row, column]}</title>"
            shade = f'class="cell" fill-opacity="{max(share, 0.02):.3f}"'
            parts.append(f'<rect x="{x:.1f}" y="{row * cell:.1f}" width="{cell:.1f}" height="{cell:.1f}" {shade}>{title}</rect>')
            if counts[row, column]:
                kind = "on" if share > 0.5 else ""
                parts.append(_text(x + cell / 2, middle + 4, str(counts[row, column]), "middle", kind))
    return _svg(names + SIDE + 40, SIDE + 70, parts, "what was taken for what: truth down, answer across")


def reliability(judged: Judged) -> str:
    """Draw the share of right answers over the score: a network that knows what it does not know lies on the diagonal."""
    points = [(score, share) for score, share, _ in judge.reliability(judged)]
    parts = [*_frame("score", "share right"), f'<line class="aim" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>']
    parts.append(f'<polyline class="line" points="{" ".join(f"{_x(score):.1f},{_y(share):.1f}" for score, share in points)}"/>')
    parts += [f'<circle class="dot" cx="{_x(score):.1f}" cy="{_y(share):.1f}" r="3"/>' for score, share in points]
    return _svg(LEFT + SIDE + 10, SIDE + BOTTOM + 8, parts, "reliability: share of right answers over their score")


def scores(judged: Judged) -> str:
    """Draw how often each best score is given, right answers and wrong ones; counts as their logarithm, or wrong ones vanish."""
    best = judged.scores.max(1)
    right, wrong = (np.histogram(best[chosen], 20, (0, 1))[0] for chosen in (judged.right, ~judged.right))
    top, width = np.log1p(max(right.max(), wrong.max())), SIDE / 20
    parts = _frame("best score", "windows or pictures (log)", numbers=False)
    for at, pair in enumerate(zip(right, wrong, strict=True)):
        for half, (count, kind) in enumerate(zip(pair, ("right", "wrong"), strict=True)):
            high = float(np.log1p(count) / top * SIDE)
            title = f"<title>{count} {kind} at {at / 20:.2f} to {(at + 1) / 20:.2f}</title>"
            parts.append(f'<rect class="{kind}" x="{LEFT + (at + half / 2) * width:.1f}" y="{4 + SIDE - high:.1f}" '
                         f'width="{width / 2:.1f}" height="{high:.1f}">{title}</rect>')
    return _svg(LEFT + SIDE + 10, SIDE + BOTTOM + 8, parts, "scores of right and of wrong answers")


def bars(values: Mapping[str, float], caption: str) -> str:
    """Draw a bar for each name, from 0 to 1."""
    high, names, wide = 16, 210, 300
    parts: list[str] = []
    for row, (name, share) in enumerate(values.items()):
        y = row * (high + 4)
        parts += [_text(names - 6, y + 12, name[-32:], "end"),
                  f'<rect class="right" x="{names}" y="{y}" width="{share * wide:.1f}" height="{high}"/>',
                  _text(names + wide + 6, y + 12, f"{share:.3f}")]
    return _svg(names + wide + 60, len(values) * (high + 4), parts, caption)


def _frame(across: str, up: str, numbers: bool = True) -> list[str]:
    """Draw axes from 0 to 1."""
    parts = [f'<path class="axis" d="M{LEFT} 4V{4 + SIDE}H{LEFT + SIDE}"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_text(_x(share), SIDE + 20, f"{share:g}", "middle"))
        if numbers:
            parts.append(_text(LEFT - 6, _y(share) + 4, f"{share:g}", "end"))
    up_at = f"translate({12} {4 + SIDE / 2}) rotate(-90)"
    return [*parts, _text(LEFT + SIDE / 2, SIDE + 36, across, "middle"),
            f'<text text-anchor="middle" transform="{up_at}">{escape(up)}</text>']


def _x(share: float) -> float:
    return LEFT + share * SIDE


def _y(share: float) -> float:
    return 4 + (1 - share) * SIDE


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], caption: str) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<figure><svg {size} role="img">{"".join(parts)}</svg><figcaption>{escape(caption)}</figcaption></figure>'
