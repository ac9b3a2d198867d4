"""Whether [evidence] fits what it is to be kept of, and what it has room in."""

from __future__ import annotations

from reflexd.config.evidence import EvidenceSettings
from reflexd.config.messages import show, suggest
from reflexd.config.parts import Draft
from reflexd.config.references import names_of
from reflexd.history.budget import BURST, MB, RESERVE


def judge_evidence(draft: Draft) -> None:
    """Refuse evidence that there can be none of; warn where memory or the write budget is too small for it."""
    found = draft.evidence
    if found is None:
        return
    cameras = names_of(draft.merged, "camera") if found.cameras is None else list(found.cameras)
    if not cameras:
        draft.merged.report(("evidence",), "there is no camera whose frames could be kept", absent=True,
                            remedy="add [camera.NAME], or remove this")
    if not draft.events.enabled:
        draft.merged.report(("evidence",), "evidence belongs to stored events, and [events] enabled is false",
                            remedy="remove one of both")
    _judge_rules(draft, found)
    _judge_room(draft, found, len(cameras))


def _judge_rules(draft: Draft, found: EvidenceSettings) -> None:
    tables = draft.merged.data.get("rule")
    known = [str(one["name"]) for one in tables if isinstance(one, dict) and "name" in one] if isinstance(tables, list) else []
    for place, name in enumerate(found.rules or ()):
        if name not in known:
            draft.merged.report(("evidence", "rules", place), f"there is no rule called {show(name)}", found=show(name),
                                absent=True, remedy=suggest(name, known, "add a [[rule]] of that name"))


def _judge_room(draft: Draft, found: EvidenceSettings, cameras: int) -> None:
    """Warn of bounds that one event may well exceed; its size is an estimate."""
    needed_mb = found.frames_bytes(cameras) / MB
    if needed_mb > found.memory_mb:
        draft.merged.report(("evidence", "memory_mb"), f"frames of {found.spans_s:g} s may take about {needed_mb:.0f} MB, "
                            "and the oldest make room", found=f"{found.memory_mb:g}", severity="warning",
                            remedy=f"write {needed_mb:.0f}, or lower rate_hz, size_px or quality")
    at_once_mb = draft.events.write_budget_mb_per_day * BURST * (1 - RESERVE)
    if needed_mb > at_once_mb:
        draft.merged.report(("evidence",), f"an event may take about {needed_mb:.0f} MB, and {at_once_mb:.1f} MB may be "
                            "written at once: evidence may be left out", severity="warning",
                            remedy=f"write_budget_mb_per_day = {needed_mb / BURST / (1 - RESERVE) * 10:.0f} in [events] is "
                                   "enough for some events a day")
