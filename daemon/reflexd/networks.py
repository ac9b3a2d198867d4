"""The network that a worker runs: which bytes it came from, how another takes its place between two frames, what it told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from reflexd.config.settings import Settings
from reflexd.pace import Spans
from reflexd.rules.items import NS, Predicted, Rested
from reflexd.workers import GIVE_UP_NS, WAIT_S, Inbox, Wake
from reflexd_models import files
from reflexd_models.base import Prediction
from reflexd_models.bundle import LARGEST, Bundle, find_bundle
from reflexd_models.runtime import runtime

M = TypeVar("M")
INFERENCE_BOUND_NS = 5 * NS
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
        self.origin: Origin | None = None      # what the network in use, or the last one, was made of, where that is known
        self.exchanges = 0          # goes with each prediction: what was remembered of another network is void
        self._load = load
        self._next: M | None = None
        self._lock = threading.Lock()       # around _next, where there is one

    @property
    def waits(self) -> bool:
        """Say whether a network was left that has not been taken yet."""
        return self._next is not None

    def open(self) -> None:
        """Load the network, unless one was left."""
        if not self._taken():
            self._use(self._load())

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
            self._use(coming)
            self.exchanges += 1
        return True

    def _use(self, network: M) -> None:
        self.network, self.origin = network, getattr(network, "origin", None)


class NetworkJob(Generic[M]):
    """What the workers of models share, whatever they watch."""

    def __init__(self, name: str, load: Callable[[], M], watch: frozenset[str], age_ns: int,
                 out: Inbox[Predicted | Rested]) -> None:
        """`watch` has the labels whose scores the network computes; `age_ns` is how long a call may take and not be slow."""
        self.name = f"model.{name}"
        self.watch = watch
        self.slow_ns = round(WAIT_S * NS) + age_ns
        self.bound_ns = max(self.slow_ns, INFERENCE_BOUND_NS) + GIVE_UP_NS
        self.resting = False          # set by the decision loop while only_while does not hold
        self.predictions = 0
        self.spans = Spans()
        self.held = Held(load)
        self._model_name = name
        self._wake = Wake()
        self._out = out

    @property
    def predictions_dropped(self) -> int:
        """Count the predictions that newer ones replaced before they were decided on."""
        return self._out.dropped

    @property
    def about(self) -> str:
        """Say what evaluates the network: a task that needs no runtime says what it uses."""
        return str(getattr(self.held.network, "about", "")) or runtime()

    @property
    def model(self) -> M | None:
        """Give the network while it is open."""
        return self.held.network

    def exchange(self, network: M) -> None:
        """Have another network run from the next frame or window on."""
        self.held.leave(network)
        self._wake.set()

    def open(self) -> None:
        """Load the network."""
        self.held.open()

    def close(self) -> None:
        """Let the network go."""
        self.held.close()

    def _tell(self, prediction: Prediction, began: int) -> None:
        """Tell what the network said, asked at `began`."""
        self.spans.add(prediction.taken_at, began)
        self.predictions += 1
        self._out.put(Predicted(self._model_name, prediction, self.held.exchanges))
