"""Networks asked again about the frames of a recording: whether they say what they said, or what other ones would have said.

A frame and the predictions made of it have the camera and the moment in common, so the order of lines does not matter. What
networks say of a frame depends on nothing before it, so each frame is held only while it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from reflexd.config.settings import DaemonSettings, ModelSettings, Settings
from reflexd.networks import origin_of
from reflexd.replay.differing import Differences, thresholds_of
from reflexd.replay.plain import likeness, settings_of
from reflexd.replay.tape import WRONG, Begin, Framed, Line, Taken, TapeError, Unframed, head, read, shortly, tape_of
from reflexd.rules.asked import labels_of
from reflexd.rules.items import NS, Predicted, Rested
from reflexd.rules.packing import packed, unpacked
from reflexd.stills import decoded
from reflexd_drivers.base import View
from reflexd_models import tasks
from reflexd_models.base import Model, ModelError, Options, view_for
from reflexd_models.bundle import Bundle, find_bundle, open_camera_model
from reflexd_models.noise import CHATTER, held_back


class Wish(NamedTuple):
    """Which network is to be asked, and about what."""

    bundle: str
    options: Mapping[str, Any] | Options      # as they were recorded, or as another configuration has them
    watch: frozenset[str]


class Ready(NamedTuple):
    """A network that can be asked."""

    network: Model
    sha256: str


class Part(NamedTuple):
    """What was recorded under one configuration."""

    settings: Settings
    plain: Mapping[str, Any]
    bundles: Mapping[str, str]


class Look(NamedTuple):
    """A prediction that was recorded."""

    number: int            # of its item, from 0
    now: int
    item: Predicted
    part: Part


@dataclass
class Inferred:
    """What was found."""

    models: dict[str, Differences] = field(default_factory=dict)
    networks: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)     # sha256 of each: recorded, and asked now
    exchanges: dict[str, set[int]] = field(default_factory=dict)       # how often the network had been exchanged by then
    left: dict[str, str] = field(default_factory=dict)       # models that were not asked, and why
    frames: int = 0              # that some network was asked about
    unused: int = 0              # that no prediction was made of
    unframed: int = 0            # that were not recorded in time
    smaller: dict[str, int] = field(default_factory=dict)      # frames of which the view that a model would be given was not kept
    lossy: bool = False          # some came as JPEG
    otherwise: dict[int, Predicted] = field(default_factory=dict)      # by the number of the item, where it differs
    silent: dict[int, Rested] = field(default_factory=dict)            # nobody knows what the other network would have said
    asked: frozenset[str] = frozenset()                                # models whose predictions have frames, all or some

    @property
    def identical(self) -> bool:
        """Say whether nothing differs."""
        return not any(one.differing for one in self.models.values())

    def lines(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Give a recording as it would be with what was said now."""
        number = -1
        for line in lines:
            if isinstance(line, Taken):
                number += 1
                item = self.otherwise.get(number) or self.silent.get(number)
                if item is not None:
                    yield line._replace(item=packed(item))
                    continue
            yield line

    def lacks(self, number: int, model: str | None) -> bool | None:
        """Say whether it is not known what a model would have said in that item; None: that item says nothing of it."""
        return None if model is None or model not in self.asked else number in self.silent


class Source:
    """A recording with its frames: a file, or the folder of an event's evidence."""

    def __init__(self, path: Path) -> None:
        self.folder = path.is_dir()
        self.tape = tape_of(path)
        self._path = path

    @property
    def state_dir(self) -> Path:
        """Say where bundles were. Raises: TapeError, OSError."""
        if self.folder:
            return self._path.resolve().parent.parent       # STATE_DIR/evidence/EVENT
        told = head(self.tape).state_dir
        return Path(DaemonSettings().state_dir if told is None else told)

    def frames(self) -> Iterator[Framed | Unframed]:
        """Give the frames. Raises: TapeError, OSError."""
        if not self.folder:
            yield from (line for line in read(self.tape, frames=True) if isinstance(line, (Framed, Unframed)))
            return
        for number, file in enumerate(sorted(self._path.glob("frames/*/*.jpg"))):
            if file.stem.isdecimal():
                yield Framed(file.parent.name, int(file.stem), number, "jpeg", {"main": ("rgb", [file.read_bytes()])})


class Inference:
    """Asks the networks."""

    def __init__(self, source: Source, settings: Settings | None) -> None:
        """By the recorded configuration, or by another one. Raises: TapeError, OSError."""
        self.found = Inferred()
        self._source = source
        self._settings = settings
        self._state_dir = Path(settings.daemon.state_dir) if settings else source.state_dir
        self._ready: dict[tuple[object, ...], Ready] = {}
        self._looks: dict[tuple[str, int], list[Look]] = {}

    def run(self) -> Inferred:
        """Do it. Raises: TapeError, ModelError, OSError."""
        self._read()
        for frame in self._source.frames():
            if isinstance(frame, Unframed):
                self.found.unframed += frame.frames
            elif looks := self._looks.pop((frame.camera, frame.taken_at), None):
                self._ask(frame, looks)
            else:
                self.found.unused += 1
        if not self.found.frames:
            raise TapeError(f"{self._source.tape}: has no frames that networks looked at; record with --frames")
        self._rest()
        return self.found

    def _read(self) -> None:
        """Collect the predictions."""
        part, number = None, -1
        for line in read(self._source.tape):
            if isinstance(line, Begin):
                part = self._begin(line)
            elif isinstance(line, Taken):
                number += 1
                if part is not None and line.item and line.item[0] == "predicted":
                    self._note(Look(number, line.now, _predicted(line), part))

    def _begin(self, line: Begin) -> Part:
        try:
            hashes = {str(name): str(sha256) for name, sha256 in line.bundles.items()}
            part = Part(settings_of(line.settings), line.settings, hashes)
        except WRONG as error:
            raise TapeError(f"the recording's settings cannot be used: {shortly(error)}; use the reflexd that made it") from None
        for name, model in part.settings.model.items():
            why = self._why_not(name, model)
            if why:
                self.found.left[name] = why
            else:
                self.found.models.setdefault(name, Differences())
                self.found.networks.setdefault(name, (set(), set()))
        return part

    def _why_not(self, name: str, model: ModelSettings) -> str:
        """Say why a network is not asked; empty: it is."""
        if model.camera is None:
            return "watches sensors, whose readings are no frames; left as recorded"
        after = self._settings.model.get(name) if self._settings else model
        if after is None:
            return "is no longer there"
        return "" if after.camera == model.camera else "watches something else now; left as recorded"

    def _note(self, look: Look) -> None:
        model = look.part.settings.model.get(look.item.model)
        if model is not None and look.item.model not in self.found.left:
            self.found.models[look.item.model].predictions += 1
            self._looks.setdefault((str(model.camera), look.item.prediction.taken_at), []).append(look)

    def _ask(self, frame: Framed, looks: list[Look]) -> None:
        try:
            views = {name: decoded(kind, planes) for name, (kind, planes) in frame.views.items()}
            views.setdefault("main", max(views.values(), key=lambda view: view.planes[0].size))
        except WRONG as error:
            raise TapeError(f"{self._source.tape}: the frame of camera {shortly(frame.camera)} at {frame.taken_at / NS:.3f} s "
                            f"is damaged: {shortly(error)}; record anew") from None
        self.found.frames += 1
        self.found.lossy = self.found.lossy or frame.form != "png"
        for look in looks:
            try:
                self._compare(look, views, frame)
            except (TapeError, ModelError):
                raise
            except Exception as error:      # what a damaged prediction, or a picture of no size, leads to
                raise TapeError(f"{self._source.tape}: what model {shortly(look.item.model)} said at {look.now / NS:.3f} s "
                                f"cannot be compared: {type(error).__name__}: {shortly(error)}; record anew") from None

    def _compare(self, look: Look, views: Mapping[str, View], frame: Framed) -> None:
        name, then = look.item.model, look.item.prediction
        network, sha256 = self._open(name, self._wish(name, look.part))
        self.found.exchanges.setdefault(name, set()).add(look.item.exchanges)
        recorded, asked = self.found.networks[name]
        recorded.update({look.part.bundles[name]} if name in look.part.bundles else ())
        asked.add(sha256)
        self.found.asked |= {name}
        wanted = name_for(network, frame.sizes)
        if wanted is not None and wanted not in frame.views:
            self.found.smaller[name] = self.found.smaller.get(name, 0) + 1
        view = views[wanted] if wanted is not None and wanted in frame.views else view_for(network, views)
        again = network.predict(view, then.taken_at)
        thresholds = thresholds_of(self._settings or look.part.settings, name)
        same = self.found.models[name].add(look.now, then, again, thresholds)
        if not same or then.scores.keys() != again.scores.keys():
            self.found.otherwise[look.number] = look.item._replace(prediction=again)

    def _wish(self, name: str, part: Part) -> Wish:
        if self._settings is not None:
            model = self._settings.model[name]
            return Wish(model.bundle, model.options, labels_of(self._settings, name))
        said = part.plain["model"][name]["options"].get("said")
        if not isinstance(said, dict):
            raise TapeError(f"{self._source.tape}: does not tell the options of model {name}; name the configuration by --config")
        return Wish(part.settings.model[name].bundle, said, labels_of(part.settings, name))

    def _open(self, name: str, wish: Wish) -> Ready:
        """Load a network once. Raises: ModelError."""
        key = (wish.bundle, repr(wish.options), wish.watch)
        if key not in self._ready:
            try:
                bundle = find_bundle(wish.bundle, self._state_dir)
                with held_back(CHATTER):
                    network = open_camera_model(bundle, options_of(bundle, wish), wish.watch)
                self._ready[key] = Ready(network, origin_of(bundle).sha256)
            except ModelError as error:
                raise ModelError(f"model {name}: {error}") from None
        return self._ready[key]

    def _rest(self) -> None:
        """See to the predictions without a frame: of the same network they stand as they are, of another one nobody knows."""
        for looks in self._looks.values():
            for look in looks:
                name = look.item.model
                if name in self.found.asked and self._another(name, look.part):
                    self.found.silent[look.number] = Rested(name, look.item.prediction.taken_at)

    def _another(self, name: str, part: Part) -> bool:
        """Say whether what is asked now is not what was asked then."""
        _, asked = self.found.networks[name]
        if name not in part.bundles and self._settings is None:        # it was not open yet when the recording began
            return bool(self.found.models[name].differing)
        if part.bundles.get(name) not in asked:
            return True
        return self._settings is not None and (
            labels_of(self._settings, name) != labels_of(part.settings, name)
            or likeness(self._settings.model[name].options) != likeness(part.settings.model[name].options))


class Stood(NamedTuple):
    """Stands for a view of which only the size is known."""

    name: str
    size_px: tuple[int, int]
    format: Literal["grey"] = "grey"
    planes: tuple[Any, ...] = ()


def name_for(network: Model, sizes: Mapping[str, tuple[int, int]]) -> str | None:
    """Name the view that the camera would have given to a network; None where the recording does not tell."""
    return view_for(network, {name: Stood(name, size) for name, size in sizes.items()}).name if "main" in sizes else None


def options_of(bundle: Bundle, wish: Wish) -> Options:
    """Give the options of a network, read by the task that its bundle has now. Raises: ModelError."""
    if isinstance(wish.options, Options):
        return wish.options
    try:
        return tasks.load(bundle.task).Options(**wish.options)
    except (ValidationError, TypeError):
        raise ModelError(f"the bundle's task is {bundle.task} now, which takes other options than are recorded; name a "
                         "configuration by --config") from None


def _predicted(line: Taken) -> Predicted:
    try:
        item = unpacked(line.item)
    except ValueError as error:
        raise TapeError(f"the recording has a prediction that this version cannot read, at {line.now / NS:.3f} s: "
                        f"{shortly(error)}; use the reflexd that made it") from None
    assert isinstance(item, Predicted), "asked before"
    if not isinstance(item.model, str) or not isinstance(item.prediction.taken_at, int):
        raise TapeError(f"the recording has a prediction of nothing, at {line.now / NS:.3f} s; use the reflexd that made it")
    return item


def infer(path: Path, settings: Settings | None = None) -> Inferred:
    """Ask the networks of a recording, or those of another configuration, about its frames.

    Raises: TapeError, ModelError, OSError.
    """
    return Inference(Source(path), settings).run()
