"""reflexctl explain of a stored event: what each condition saw, and all that the trace or its evidence has of that moment."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reflexd.ctl.stored import store_of

if TYPE_CHECKING:
    from reflexd.replay.moments import Recorded
    from reflexd.replay.wording import Row


def of_event(args: argparse.Namespace) -> Iterable[str]:
    """Explain an event. Raises: MomentError where there is none of that id, ReadError, TapeError."""
    from reflexd.ctl.events import line
    from reflexd.ctl.explain import columns
    from reflexd.history.reading import Reader
    from reflexd.replay.moments import MomentError
    from reflexd.replay.wording import aligned

    if args.file is not None:
        raise MomentError("a recording has no events; leave out --file, or the id")
    with Reader(store_of(args)) as reader:
        event = reader.one(args.event)
    if event is None:
        raise MomentError(f"no event is called {args.event}; reflexctl events lists what is stored")
    args.rule = args.rule or event["rule"] or None
    lines, then, why = _known(args, event)
    if args.json:
        return [json.dumps({"event": event, "then": then, "unknown": why}, indent=2, ensure_ascii=False)]
    return [line(event), *aligned(list(_seen(event)), columns()), *(lines or [f"nothing else is known of that moment: {why}"])]


def _seen(event: Mapping[str, Any]) -> Iterator[Row]:
    """Give a row for each condition, as it was stored."""
    from reflexd.replay.wording import TRUTHS

    for one in event["verdicts"]:
        seen = one["observed"]
        shown = f"{seen:.6g}" if isinstance(seen, float) else str(seen).lower()
        shown, by = f"{shown} {one.get('unit', '')}".rstrip(), f"by {one['margin']:+.3g}" if "margin" in one else ""
        yield "  ", TRUTHS[one["truth"]], one["what"], "; ".join(part for part in (shown, by, one.get("note", "")) if part)


def _known(args: argparse.Namespace, event: Mapping[str, Any]) -> tuple[list[str], dict[str, Any] | None, str]:
    """Ask the daemon's trace for that moment, or its evidence; or say why nothing has it. Raises: TapeError, OSError."""
    from reflexd.ctl.explain import at_moment, data, table
    from reflexd.evidence.folders import RECORDING, evidence_of
    from reflexd.history.reading import this_boot
    from reflexd.protocol import ControlError
    from reflexd.replay.moments import Filed, MomentError, Running

    at, why = int(event["monotonic_ns"]), "it was before the computer started"


    def tell(recorded: Recorded) -> tuple[list[str], dict[str, Any] | None, str]:
        found, outputs = at_moment(recorded, args, at)
        return list(table(recorded, at, found, outputs)), data(recorded, at, found, outputs), ""

    if event["boot"] == this_boot():
        try:
            return tell(Running(args.socket))
        except (ControlError, MomentError) as error:
            why = str(error)
    place = evidence_of(store_of(args), event["id"])
    if place is None:
        return [], None, why
    args.file = place / RECORDING
    return tell(Filed(args.file))
