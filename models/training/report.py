"""One HTML page about a run of the training: figures against their bars, and plots, in one file without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from training import judge, plots
from training.judge import Figures, Judged

STYLE = """
:root { color-scheme: light dark;
  --ink: #1d2329; --page: #fcfcfb; --faint: #8a929a; --good: #2f7d4f; --bad: #c0392b; --line: #2b6cb0 }
@media (prefers-color-scheme: dark) { :root {
  --ink: #dfe3e6; --page: #15191c; --faint: #7d868d; --good: #5cb883; --bad: #e57368; --line: #6aa9e9 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 1180px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.met { color: var(--good) } .short { color: var(--bad); font-weight: 600 }
section { border-top: 1px solid var(--faint); margin-top: 2rem }
.plots { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start }
figure { margin: 1rem 0 } figcaption { color: var(--faint); font-size: 13px }
svg { max-width: 100% } svg text { font-size: 11px; fill: var(--ink) } svg text.on { fill: var(--page) }
.axis { fill: none; stroke: var(--faint) } .aim { stroke: var(--faint); stroke-dasharray: 4 4 }
.line { fill: none; stroke: var(--line); stroke-width: 2 } .dot, .cell { fill: var(--line) }
.right { fill: var(--good) } .wrong { fill: var(--bad) }
"""
GROUPS = 40        # more than these, and only the worst are drawn


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says of one network."""

    name: str
    purpose: str
    figures: Figures
    short: tuple[str, ...]             # what fell short of its bars
    seconds: float
    judged: Judged | None              # None: it did not come so far
    trouble: str = ""
    no_data: bool = False


def page(told: Sequence[Told], command: str) -> str:
    """Write the page."""
    rows = "".join(_row(one) for one in told)
    head = "<tr><th>network</th><th>accuracy</th><th>worst group</th><th>bytes</th><th>seconds</th><th>bars</th></tr>"
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Training report</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><h1>Training report</h1>'
            f"<p><code>{escape(command)}</code></p><table>{head}{rows}</table>{''.join(_section(one) for one in told)}</html>\n")


def _row(one: Told) -> str:
    cells = [_number(one.figures.get(name)) for name in ("accuracy", "worst_group", "size_bytes")]
    state = _state(one)
    return (f'<tr><td><a href="#{one.name}">{one.name}</a></td>{"".join(cells)}<td class="number">{one.seconds:.0f}</td>'
            f'<td class="{state[0]}">{escape(state[1])}</td></tr>')


def _state(one: Told) -> tuple[str, str]:
    if one.trouble:
        return "short", one.trouble
    return ("short", "; ".join(one.short)) if one.short else ("met", "met")


def _number(value: float | None) -> str:
    return f'<td class="number">{"-" if value is None else f"{value:.4g}" if value < 10 else f"{value:.0f}"}</td>'


def _section(one: Told) -> str:
    figures = "".join(f"<tr><td>{escape(name)}</td>{_number(value)}</tr>" for name, value in one.figures.items())
    drawn = "" if one.judged is None else _plots(one.judged)
    kind, state = _state(one)
    return (f'<section id="{one.name}"><h2>{one.name}</h2><p>{escape(one.purpose)}</p><p class="{kind}">Bars: {escape(state)}</p>'
            f'<div class="plots"><table>{figures}</table>{drawn}</div></section>')


def _plots(judged: Judged) -> str:
    groups = judge.by_group(judged)
    worst = dict(sorted(groups.items(), key=lambda one: one[1])[:GROUPS])
    caption = "accuracy of each group" if len(worst) == len(groups) else f"accuracy of the {GROUPS} worst of {len(groups)} groups"
    return plots.confusion(judged) + plots.reliability(judged) + plots.scores(judged) + plots.bars(worst, caption)
