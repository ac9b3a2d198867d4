"""What networks said when they were asked again, written for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reflexd.replay.differing import Differences
from reflexd.replay.inferring import Inferred
from reflexd.replay.telling import SHOWN, Clockwork, times


def asked(found: Inferred, clock: Clockwork) -> Iterator[str]:
    """Tell of each model what became of its predictions, with moments below."""
    if found.lossy:
        yield "frames were kept as JPEG, which loses something: small differences come from that"
    for name, one in sorted(found.models.items()):
        yield f"model {name}: {_counted(one)}"
        yield from (f"  {line}" for line in (*_networks(found, name), *_differences(one, clock)))
        yield from (f"  {clock(at)}: {words}" for at, words in one.moments[:SHOWN])
        if one.differing > SHOWN:
            yield f"  and {one.differing - SHOWN} more"
    for name, why in sorted(found.left.items()):
        yield f"model {name}: not asked: {why}"
    if found.unframed:
        yield f"frames that were not fetched in time while it was recorded: {found.unframed}"
    if found.unused:
        yield f"frames that belong to no prediction in it: {found.unused}"


def _counted(one: Differences) -> str:
    if not one.framed:
        return f"none of {one.predictions} predictions has a frame"
    of = "the frame of each" if one.framed == one.predictions else f"{one.framed} with a frame"
    found = "all identical" if not one.differing else f"{one.identical} identical, {one.differing} otherwise"
    return f"{one.predictions} predictions, {of}: {found}"


def _networks(found: Inferred, name: str) -> Iterator[str]:
    """Tell whether it was the same network."""
    then, now = found.networks[name]
    if now and not then:
        yield "the recording does not tell which network it was"
    elif now - then:
        yield f"another network: sha256 {_short(then)} then, {_short(now)} now"
    if name in found.smaller:
        yield f"frames of which the view that it would be given was not kept, so it was given another: {found.smaller[name]}"
    if len(found.exchanges.get(name, ())) > 1:
        yield "its network was exchanged while it was recorded, and only the one at the beginning is known"


def _short(hashes: set[str]) -> str:
    return " and ".join(sorted(one[:12] for one in hashes))


def _differences(one: Differences, clock: Clockwork) -> Iterator[str]:
    for label, apart in sorted(one.scores.items()):
        yield (f"score of {label}: apart by {apart.by:.4g} at most, {apart.then:.4g} then and {apart.again:.4g} now "
               f"at {clock(apart.now)}")
    yield from (f"{label} at least {threshold:g}: {times(count)} on one side only" for (label, threshold), count in
                sorted(one.crossed.items()))
    if one.values:
        yield f"read otherwise {times(one.values)}"
    if one.missing or one.added:
        yield f"detections: {one.missing} missing, {one.added} added"


def as_plain(found: Inferred, clock: Clockwork) -> dict[str, Any]:
    """Give all of it to programs."""
    return {
        "frames": found.frames, "frames_unused": found.unused, "frames_lost": found.unframed, "lossy": found.lossy,
        "identical": found.identical, "left": found.left,
        "models": {name: {
            "predictions": one.predictions, "with_frame": one.framed, "identical": one.identical, "differing": one.differing,
            "sha256": {"then": sorted(found.networks[name][0]), "now": sorted(found.networks[name][1])},
            "scores": {label: {"apart": apart.by, "at_s": clock.seconds(apart.now), "then": apart.then, "now": apart.again}
                       for label, apart in sorted(one.scores.items())},
            "crossed": [{"label": label, "at_least": threshold, "times": count}
                        for (label, threshold), count in sorted(one.crossed.items())],
            "other_view": found.smaller.get(name, 0), "values": one.values,
            "detections": {"missing": one.missing, "added": one.added},
            "moments": [{"at_s": clock.seconds(at), "what": words} for at, words in one.moments],
        } for name, one in sorted(found.models.items())},
    }
