"""What a running daemon says of itself, written for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Report = dict[str, Any]


def lines(report: Report) -> Iterator[str]:
    """Write a report for a person."""
    dry = f"; no output is driven: {report['dry_run']}" if report["dry_run"] else ""
    yield f"reflexd {report['version']}: {report['state']} for {report['uptime_s']:.0f} s, {report['runtime']}{dry}"
    yield from (f"  ! {why}" for why in report["inhibited"].values())
    for name, one in report["cameras"].items():
        yield f"camera {name}: {_state(one)}, {one['frames']} frames, {one['gaps']} lost by the camera, picture {one['picture']}"
    for name, one in report["models"].items():
        yield f"model {name}: {_state(one)}, {one['predictions']} predictions, {_intake(one)}, {one['late']} late, {_says(one)}"
        yield f"    {_spans(one)}"
    for name, one in report["sensors"].items():
        yield f"sensor {name}: {_state(one)}, {one['readings']} readings, {one['late']} late, {_says(one)}"
    if report["clock"] is not None:
        yield "clock: synchronised" if report["clock"]["synchronised"] else f"clock: not synchronised: {report['clock']['why']}"
    for name, one in report["rules"].items():
        truth = {True: "true", False: "false", None: "unknown"}[one["truth"]]
        due = f", acts in {one['acts_in_s']:.0f} s" if "acts_in_s" in one else ""
        yield f'rule "{name}": {truth}{due}' + "".join(f"\n    {reason}" for reason in one["reasons"])
    for name, one in report["outputs"].items():
        yield f"output {name}: {one['why']}"
    for name, spans in report["latency_ms"].items():
        shown = ", ".join(f"{share} {span:.2f} ms" for share, span in spans.items()) or "nothing yet"
        yield f"{name.replace('_', ' ')}: {shown}"
    yield from _events(report["events"])
    yield from _evidence(report["evidence"])


def _events(one: Report) -> Iterator[str]:
    """Say how the store of events is doing, and what it costs the card."""
    if not one["enabled"]:
        yield "events: not stored, as --dry-run or [events] enabled = false says"
        return
    yield (f"events: {one['stored']} stored, {one['waiting']} waiting, {one['dropped']} dropped; "
           f"{one['kept']} kept in {one['used_mb']:g} MB")
    years = one["card_years_at_budget"]
    yield (f"    {one['written_mb_24h']:g} MB written in 24 h of {one['write_budget_mb_per_day']:g} MB, "
           f"with which a card would last about {years:.{int(years < 10)}f} years")
    if one["trouble"]:
        yield f"    they wait since {one['trouble_s']:.0f} s: {one['trouble']}"


def _evidence(one: Report) -> Iterator[str]:
    """Say how evidence is doing, where there is to be any."""
    if not one["enabled"]:
        return
    yield (f"evidence: {one['written']} kept of this run, {one['waiting']} under way, {one['left_out']} left out; "
           f"{one['kept']} in {one['used_mb']:g} MB")
    pushed = f", {one['pushed_out']} had to make room" if one["pushed_out"] else ""
    yield f"    {one['frames']} frames in memory, {one['memory_mb']:g} MB of {one['memory_bound_mb']:g} MB{pushed}"
    if one["trouble"]:
        yield f"    ! {one['trouble']}"


def _state(one: Report) -> str:
    """Say how a part stands, and what its recovery has counted once there was anything to recover from."""
    state = str(one["state"]) + (f" ({one['why']})" if one["why"] else "")
    if one["state"] == "degraded":
        state += f" for {one['down_s']:.0f} s, opened {_times(one['openings'])}"
    elif one["failures"]:
        state += f", failed {_times(one['failures'])}, last: {one['last_error']}"
    return state


def _spans(one: Report) -> str:
    """Say how long predictions take, and how many things are followed."""
    spans = [f"{name.replace('_', ' ')} p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms"
             for name, found in one["latency_ms"].items() if found]
    tracks = [f"{one['tracks']} followed"] if one["tracks"] else []
    return "; ".join(spans + tracks) or "no prediction yet"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _intake(one: Report) -> str:
    """Say what a network is given, and what was lost of it."""
    if "window" not in one:
        return f"{one['frames_dropped']} frames dropped"
    window = one["window"]
    gaps = f", {window['gaps']} gaps, last: {window['last_gap']}" if window["gaps"] else ""
    return f"window {window['filled']} of {window['length']} from {', '.join(one['sensors'])}{gaps}"


def _says(one: Report) -> str:
    if one["unknown"]:
        return f"unknown: {one['unknown']}"
    scores = ", ".join(f"{label} {score:.2f}" for label, score in one.get("scores", {}).items())
    value = f"{one['value']:g}" if isinstance(one["value"], float) else str(one["value"]).lower()
    said = scores if one["value"] is None else value
    return f"{said or 'no label is watched'}, {one['age_ms']:.0f} ms ago"
