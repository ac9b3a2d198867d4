"""reflexctl explain of a stored event: what each condition saw, and as long as the trace has that moment, all that was known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reflexd.ctl.stored import store_of

if TYPE_CHECKING:
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
    """Ask the daemon's trace for that moment; or say why it does not have it."""
    from reflexd.ctl.explain import at_moment, data, table
    from reflexd.history.reading import this_boot
    from reflexd.protocol import ControlError
    from reflexd.replay.moments import MomentError, Running

    if event["boot"] != this_boot():
        return [], None, "it was before the computer started"
    try:
        recorded, at = Running(args.socket), int(event["monotonic_ns"])
        found, outputs = at_moment(recorded, args, at)
    except (ControlError, MomentError) as error:
        return [], None, str(error)
    return list(table(recorded, at, found, outputs)), data(recorded, at, found, outputs), ""
