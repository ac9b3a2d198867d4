"""A bundle: a folder with model.toml beside a .tflite, which says how the network is to be read and proves that it is whole.

find_bundle() reads model.toml only, so that a configuration is checked quickly. load() reads the network's
bytes once; those bytes are hashed, tried, loaded and checked against the golden case, so nothing can
change in between. What has no hash and no golden case is first tried in a child process.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from reflexd_models import about, ends, files, metadata, tasks
from reflexd_models.about import Anomaly, Detect, Golden, Input, Window
from reflexd_models.base import Model, ModelError, Options, SeriesModel
from reflexd_models.flatbuffer import check_whole
from reflexd_models.identify import Told, identify
from reflexd_models.runtime import Network
from reflexd_models.trial import try_out

PLAIN, UNTOLD = Input(), Detect()
LARGEST = 256 * files.MIB
ABOUT = "model.toml"

@dataclass(frozen=True, slots=True)
class Bundle:
    """A network that was found, not yet read; `sha256` is None for a bare .tflite file."""

    name: str
    path: Path
    task: str
    labels: tuple[str, ...]
    threshold: float = 0.0
    input: Input = PLAIN
    sha256: str | None = None
    golden: Golden | None = None
    held_out: tuple[str, ...] = ()
    window: Window | None = None
    anomaly: Anomaly | None = None
    detect: Detect = UNTOLD
    decided: str = "as its model.toml says"      # what the task was told by

    @property
    def where(self) -> str:
        """Name the network's file in errors."""
        return str(self.path)


def find_bundle(name_or_path: str, state_dir: Path | None = None) -> Bundle:
    """Find a bundle by path, or by name in the state directory's bundles and then in the shipped zoo.

    A path to a .tflite file stands for that network, with the task that it tells and the labels inside it.
    Raises: ModelError.
    """
    if name_or_path.endswith(".tflite"):
        return of_file(Path(name_or_path))
    if "/" in name_or_path or name_or_path in ("", ".", ".."):
        return of_folder(Path(name_or_path))
    places = [state_dir / "bundles" / name_or_path] if state_dir else []
    places.append(zoo() / name_or_path)
    for place in places:
        if _is_there(place / ABOUT):
            return of_folder(place)
    raise ModelError(f'bundle "{name_or_path}": there is none of that name, looked in {", ".join(map(str, places))}; '
                     f"shipped are {', '.join(shipped())}; a path has a slash in it")


def zoo() -> Path:
    """Give the folder of the shipped bundles."""
    try:
        return Path(str(resources.files("reflexd_models.zoo")))
    except ModuleNotFoundError:      # run from a checkout that is not installed: there it is not inside the package
        return Path(__file__).parents[1] / "zoo"


def shipped() -> list[str]:
    """List the names of the shipped bundles."""
    return sorted(path.parent.name for path in zoo().glob(f"*/{ABOUT}"))


def of_folder(folder: Path) -> Bundle:
    """Read a bundle's model.toml.

    Raises: ModelError.
    """
    folder = _followed(folder)
    path = folder / ABOUT
    said = about.read(path)
    if said.task not in tasks.TASKS and said.task not in tasks.modules():
        raise ModelError(f'{path}: task: there is none called "{said.task}"; there are {", ".join(tasks.names())}')
    return Bundle(said.name, folder / said.file, said.task, said.labels, said.threshold, said.input,
                  said.sha256, said.golden, said.held_out, said.window, said.anomaly, said.detect)


def _followed(folder: Path) -> Path:
    """Follow a link once, as an installation leaves it (store.py): all files that are read then are of one version."""
    try:
        return folder.parent / folder.readlink() if folder.is_symlink() else folder
    except OSError:
        return folder


def of_file(path: Path, labels: tuple[str, ...] | None = None, task: str | None = None) -> Bundle:
    """Take a bare .tflite file, with the labels given or those inside it, for the task given or the one that it tells.

    Raises: ModelError.
    """
    content = files.read(path, LARGEST, "the network")
    if content[4:8] != b"TFL3":
        raise ModelError(f"{path}: is not a TensorFlow Lite file: no TFL3 mark in it; give a .tflite file")
    inside = metadata.read(content, str(path))
    found = labels if labels is not None else inside.labels or ()
    try:
        both = ends.read(content)
    except struct.error:
        raise ModelError(_cut(path)) from None
    told = Told(task, "as asked") if task else identify(both, inside, len(found), str(path))
    if told.task not in tasks.modules():
        raise ModelError(f'{path}: there is no task called "{told.task}" ({told.why}); there are {", ".join(tasks.names())}')
    normal = any(end.is_float for end in both.inputs)       # what is quantized was calibrated on pixels as they are
    return Bundle(path.stem, path, told.task, found, inside.threshold or 0.0,
                  Input(mean=inside.mean, std=inside.std) if normal else PLAIN, decided=told.why)


def content_of(bundle: Bundle) -> bytes:
    """Read the file that a bundle is about, whole and by its hash.

    Raises: ModelError.
    """
    content = files.read(bundle.path, LARGEST, "the network")
    if bundle.sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != bundle.sha256:
        raise ModelError(f"{bundle.where}: sha256 should be {bundle.sha256[:12]}…, found {found[:12]}…; "
                         "the file was changed or cut, install the bundle again")
    return content


def load(bundle: Bundle, content: bytes | None = None) -> Network:
    """Read a bundle's network, verified: by hash and golden case, or by a trial in a child process.

    `content` is what content_of() gave, where a task looks into it as well.

    The golden case of a task that watches sensors is checked by open_model(), since it is told in scores.
    Raises: ModelError.
    """
    content = content_of(bundle) if content is None else content
    if bundle.sha256 is None or bundle.golden is None:
        _distrust(content, bundle.where)
    network = Network(content, bundle.where)
    if bundle.golden is not None and tasks.load(bundle.task).Options.watches == "camera":
        _check_golden(network, bundle.path.with_name(bundle.golden.file), bundle.golden.tolerance)
    return network


def open_model(bundle: Bundle, options: Options, watch: AbstractSet[str] | None = None) -> Model | SeriesModel:
    """Load a bundle and make its model; `watch` names the labels whose scores are wanted, None all of them.

    Raises: ModelError.
    """
    model = tasks.load(bundle.task).build(bundle, options, watch)
    if isinstance(model, SeriesModel) and bundle.golden is not None:
        _check_windows(model, bundle.path.with_name(bundle.golden.file), bundle.golden.tolerance)
    return model


def open_camera_model(bundle: Bundle, options: Options, watch: AbstractSet[str] | None = None) -> Model:
    """Open a bundle that watches a camera.

    Raises: ModelError.
    """
    model = open_model(bundle, options, watch)
    if isinstance(model, SeriesModel):
        raise ModelError(f"{bundle.where}: the task {bundle.task} watches sensors, not pictures; give it sensors")
    return model


def _cut(where: str | Path) -> str:
    return f"{where}: the file is cut off or damaged: its tables reach outside it; fetch it again"


def _distrust(content: bytes, where: str) -> None:
    try:
        check_whole(content)
    except struct.error:
        raise ModelError(_cut(where)) from None
    try_out(content, where)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _check_windows(model: SeriesModel, path: Path, tolerance: float) -> None:
    """Refuse a model of readings that does not say what it said where it was made."""
    case, wanted = files.npz(path, 16 * files.MIB, "the golden case"), (model.shape.length, len(model.shape.channels))
    given, told = case.get("given"), case.get("told")
    if (given is None or told is None or given.shape[1:] != wanted or not 0 < len(given) == len(told)
            or told.shape != (len(told), max(1, len(model.labels))) or given.dtype != np.float32):
        raise ModelError(f"{path}: the golden case does not fit the model, which takes float32 windows of {list(wanted)} "
                         f"and gives {max(1, len(model.labels))} numbers of each; make it anew")
    for window, numbers in zip(given, told, strict=True):
        said = model.predict(window, 0)
        found = [said.scores.get(label, np.nan) for label in model.labels] or [np.nan if said.value is None else said.value]
        off = float(np.abs(np.asarray(found) - numbers).max())
        if not off <= tolerance:
            raise ModelError(f"{path}: the model answers otherwise than where it was made: off by {off:g}, allowed are "
                             f"{tolerance:g}; do not use it on this machine")


def _check_golden(network: Network, path: Path, tolerance: float) -> None:
    """Refuse a network that does not answer as it did where it was made."""
    case = files.npz(path, 16 * files.MIB, "the golden case")
    given, told = case.get("given"), case.get("told")
    takes, gives = network.inputs[0], network.outputs[0]
    fits = (len(network.inputs) == 1 and given is not None and told is not None and len(given) == len(told) > 0
            and given.shape[1:] in (takes.shape, takes.shape[1:]) and told.shape[1:] in (gives.shape, gives.shape[1:])
            and given.dtype == takes.dtype and told.dtype == gives.dtype)
    if not fits or given is None or told is None:
        raise ModelError(f"{path}: the golden case does not fit the network, which takes {list(takes.shape)} {takes.dtype} "
                         f"and gives {list(gives.shape)} {gives.dtype}; make it anew")
    for one, wanted in zip(given, told, strict=True):
        (raw,) = network.run(lambda tensor, one=one: np.copyto(tensor, one.reshape(tensor.shape)))[:1]   # type: ignore[misc]
        off = float(np.abs(raw.astype(np.float64).ravel() - wanted.astype(np.float64).ravel()).max())
        if not off <= tolerance:
            raise ModelError(f"{path}: the network answers otherwise than where it was made: off by {off:g} steps, allowed are "
                             f"{tolerance:g}; do not use it on this machine")
