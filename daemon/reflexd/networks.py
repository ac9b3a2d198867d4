"""The network that a worker runs: which bytes it came from, and how another takes its place between two frames."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from reflexd.config.settings import Settings
from reflexd_models import files
from reflexd_models.bundle import LARGEST, Bundle, find_bundle

M = TypeVar("M")
NOWHERE = Path()


@dataclass(frozen=True, slots=True)
class Origin:
    """What a network was made of. Equal ones are the same network, wherever their files are."""

    sha256: str
    described: Bundle        # without its path


class Holds(Protocol):
    """The job of a worker that runs a network."""

    @property
    def held(self) -> Held[Any]:
        """What it runs."""
        ...


def origin_of(bundle: Bundle) -> Origin:
    """Say what a bundle is made of. Raises: ModelError."""
    sha256 = bundle.sha256 or hashlib.sha256(files.read(bundle.path, LARGEST, "the network")).hexdigest()
    return Origin(sha256, replace(bundle, path=NOWHERE))


def mark(network: Any, bundle: Bundle) -> None:   # noqa: ANN401  any model
    """Note on a network what it was made of."""
    network.origin = origin_of(bundle)


def renewed(standing: Mapping[str, Holds], settings: Settings) -> frozenset[str]:
    """Name the models whose bundle has other bytes, or says something else, than what runs. Raises: ModelError."""
    return frozenset(
        name for name, model in settings.model.items()
        if name in standing and (origin := standing[name].held.origin) is not None
        and origin_of(find_bundle(model.bundle, Path(settings.daemon.state_dir))) != origin)


class Held(Generic[M]):
    """A network in use. One thread opens and takes it, its worker; one other at a time leaves the next."""

    def __init__(self, load: Callable[[], M]) -> None:
        self.network: M | None = None
        self.exchanges = 0          # goes with each prediction: what was remembered of another network is void
        self._load = load
        self._next: M | None = None
        self._lock = threading.Lock()       # around _next, where there is one

    @property
    def origin(self) -> Origin | None:
        """Say what the network in use was made of, where that is known."""
        return getattr(self.network, "origin", None)

    @property
    def waits(self) -> bool:
        """Say whether a network was left that has not been taken yet."""
        return self._next is not None

    def open(self) -> None:
        """Load the network, unless one was left."""
        if not self._taken():
            self.network = self._load()

    def take(self) -> M:
        """Give the network for the next frame."""
        self._taken()
        assert self.network is not None, "opened before"
        return self.network

    def leave(self, network: M) -> None:
        """Have that network run from the next frame on."""
        self._next = network

    def withdraw(self) -> bool:
        """Take back what was left; False when it has been taken."""
        with self._lock:
            waits, self._next = self.waits, None
        return waits

    def close(self) -> None:
        """Let the network go."""
        self.network = None

    def _taken(self) -> bool:
        if self._next is None:
            return False
        with self._lock:
            coming, self._next = self._next, None
            if coming is None:          # withdrawn
                return False
            self.network = coming
            self.exchanges += 1
        return True
