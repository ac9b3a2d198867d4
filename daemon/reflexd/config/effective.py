"""Every value that counts, with the file and line that set it, or "default"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from reflexd.config.load import Loaded
from reflexd.config.positions import Location

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Effective:
    """One value, where it is in the configuration, and who set it."""

    location: Location
    value: Any
    origin: str


def effective(loaded: Loaded) -> list[Effective]:
    """List all values in the order of the settings; a list is one value."""
    return [
        Effective(location, _plain(_as_written(loaded, location, value)), _origin(loaded, location))
        for location, value in _walk(loaded.settings, ())
    ]


def _walk(value: Any, location: Location) -> Iterator[tuple[Location, Any]]:   # noqa: ANN401  any setting
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            # A task's options stand in the table of their model.
            deeper = location if name == "options" else (*location, field.alias or name)
            yield from _walk(getattr(value, name), deeper)
    elif isinstance(value, dict) or (location == ("rule",)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(item, (*location, key))
    elif value is not None:
        yield location, value


def _as_written(loaded: Loaded, location: Location, value: Any) -> Any:   # noqa: ANN401
    """Prefer a file's own spelling, "on" to 1.0, but show where a path leads."""
    if isinstance(value, Path) or location[:1] == ("daemon",) or location[2:] == ("bundle",):
        return value
    written: Any = loaded.merged.data
    for part in location:
        if isinstance(written, dict) and part not in written:
            return value
        written = written[part]
    return written


def _plain(value: Any) -> Any:   # noqa: ANN401
    if isinstance(value, BaseModel):
        return {key: _plain(item) for key, item in value.model_dump(by_alias=True, exclude_none=True).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _origin(loaded: Loaded, location: Location) -> str:
    """Name file:line; what [gpio] gave to a driver comes from there."""
    for place in (location, ("gpio", location[-1])) if location[0] in ("sensor", "actuator") else (location,):
        source, there = loaded.merged.origin(place)
        if there in source.places:
            return f"{source.file}:{source.places[there].value.line}"
    return DEFAULT
