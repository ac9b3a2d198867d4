"""reflexctl calibrate: learn from a recording of normal windows how far from normal is too far, and install that as a bundle."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:       # numpy and a TFLite runtime take half a second: only where they are used
    from reflexd_models.about import Window
    from reflexd_models.bundle import Bundle
    from reflexd_models.calibration import Calibrated
    from reflexd_models.series import Samples

from reflexd.ctl.reach import add_socket
from reflexd.ctl.test import duration_ms

HELP = "learn from normal windows of readings what is too far from normal"
STATE_DIR = "/var/lib/reflexd"
METHODS = ("rms", "mahalanobis", "autoencoder")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("recordings", metavar="RECORDING", nargs="*", type=Path,
                        help=".csv with a column for each channel (and time_s), or .npz with x; of normal running only")
    parser.add_argument("--sensor", metavar="NAME", action="append", default=[],
                        help="instead of a recording: a slow sensor of the running daemon; repeat it for each channel")
    parser.add_argument("--for", dest="for_ms", metavar="TIME", type=duration_ms(1000, 30 * 86_400_000),
                        help="how long to listen to --sensor, as 2h or 600s")
    add_socket(parser)
    parser.add_argument("--as", dest="name", metavar="NAME", required=True,
                        help="what the bundle is to be called; one of that name is renewed")
    parser.add_argument("--method", choices=METHODS, help="how the distance is measured; default the bundle's, else rms")
    parser.add_argument("--bundle", metavar="BUNDLE", help="an autoencoder, or a bundle whose window and method to take")
    parser.add_argument("--channels", metavar="NAME,NAME", type=lambda text: tuple(text.split(",")), default=(),
                        help="columns of the recording, in order; default all, or the bundle's")
    parser.add_argument("--rate-hz", metavar="HZ", type=rate, help="samples a second; default the bundle's, or the recording's")
    parser.add_argument("--length", metavar="N", type=count, help="samples of a window; default the bundle's")
    parser.add_argument("--hop", metavar="N", type=count, help="samples to the next window; default half a window")
    parser.add_argument("--windows-at-least", metavar="N", type=count, help="fewer are refused; default 300")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--state-dir", metavar="FOLDER", type=Path, default=Path(STATE_DIR), help=f"default {STATE_DIR}")


def rate(text: str) -> float:
    """Read samples a second.

    Raises: ArgumentTypeError.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 100000")
    return value


def count(text: str) -> int:
    """Read how many.

    Raises: ArgumentTypeError.
    """
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 100000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Do it; 1 with one line on stderr when it fails, 2 for words that do not go together."""
    from reflexd.protocol import ControlError
    from reflexd_models.base import ModelError

    if bool(args.recordings) == bool(args.sensor) or bool(args.sensor) != bool(args.for_ms):
        print("reflexctl: give recordings, or --sensor with --for", file=sys.stderr)
        return 2
    try:
        return _calibrate(args)
    except (ModelError, ControlError) as problem:
        print("reflexctl:", " ".join(str(problem).split()), file=sys.stderr)
        return 1


def _calibrate(args: argparse.Namespace) -> int:
    from reflexd import durable
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import find_bundle
    from reflexd_models.checking import check
    from reflexd_models.store import Store, check_name, install

    check_name(args.name)
    bundle = find_bundle(args.bundle, args.state_dir) if args.bundle else None
    method = args.method or _usual_method(bundle)
    if method == "autoencoder" and bundle is None:
        raise ModelError("--method autoencoder: needs a network; name its bundle with --bundle")
    window, windows = _listened(args, bundle) if args.sensor else _recorded(args, bundle)
    _check_count(args, windows, window)
    calibrated = _measure(args.name, method, bundle, window, windows)
    install(Store(args.state_dir / "bundles", durable), args.name, calibrated.files, check)
    _tell(args, method, window, len(windows), calibrated)
    return 0


def _usual_method(bundle: Bundle | None) -> str:
    """Give the method of a bundle; a bare network that gives back what it takes is an autoencoder."""
    if bundle is None or bundle.task != "anomaly":
        return "rms"
    return bundle.anomaly.method if bundle.anomaly is not None else "autoencoder"


def _window(args: argparse.Namespace, bundle: Bundle | None, rate_hz: float | None, length: int | None,
            channels: tuple[str, ...], where: str) -> Window:
    """Put the window together from the arguments, the bundle, and what a recording tells. Raises: ModelError."""
    from pydantic import ValidationError

    from reflexd_models.about import Window
    from reflexd_models.base import ModelError

    made = bundle.window if bundle is not None else None
    rate_hz = args.rate_hz or (made.rate_hz if made else rate_hz)
    length = args.length or (made.length if made else length)
    for name, value in (("--rate-hz", rate_hz), ("--length", length)):
        if value is None:
            raise ModelError(f"{where}: nothing says {name}; add it, or name a bundle with --bundle")
    if made is not None and len(channels) != len(made.channels):
        raise ModelError(f"{where}: has {len(channels)} channels ({', '.join(channels)}), and {len(made.channels)} are wanted; "
                         "choose them with --channels")
    try:
        said = {"channels": made.channels if made else channels, "rate_hz": rate_hz, "length": length,
                "hop": args.hop or (made.hop if made else None)}
        return Window.model_validate({**(made.model_dump() if made else {}), **said})
    except ValidationError as problem:
        raise ModelError(f"the window: {problem.errors()[0]['msg']}; change --channels or --length") from None


def _recorded(args: argparse.Namespace, bundle: Bundle | None) -> tuple[Window, Samples]:
    """Cut all recordings. Raises: ModelError."""
    import numpy as np

    from reflexd import recording
    from reflexd_models.series import shape_of

    wanted = args.channels or (bundle.window.channels if bundle is not None and bundle.window else ())
    found = [recording.read(path, () if path.suffix == ".npz" and not args.channels else wanted) for path in args.recordings]
    made = [_window(args, bundle, found[0].rate_hz, one.length, one.channels, str(one.path)) for one in found]
    return made[0], np.concatenate([recording.windows(one, *shape_of(made[0])[1:]) for one in found])


def _listened(args: argparse.Namespace, bundle: Bundle | None) -> tuple[Window, Samples]:
    """Listen to sensors of the running daemon. Raises: ModelError, ControlError."""
    from time import monotonic, sleep

    import numpy as np

    from reflexd.ctl.listening import FASTEST_HZ, Clock, listen
    from reflexd.protocol import ask
    from reflexd_models.base import ModelError
    from reflexd_models.series import shape_of

    window = _window(args, bundle, None, None, tuple(args.sensor), "--sensor")
    shape = shape_of(window)
    if shape.rate_hz > FASTEST_HZ:
        raise ModelError(f"--sensor: looks at a sensor 6 times a second, too seldom for windows at {shape.rate_hz:g} Hz; "
                         f"record to a file, or lower --rate-hz to {FASTEST_HZ:g}")
    found: list[Samples] = []
    for one in listen(lambda name: ask(args.socket, "watch", {"source": name}), args.sensor, shape[1:], args.for_ms / 1000,
                      Clock(monotonic, sleep)):
        found.append(one)
        if sys.stderr.isatty():
            print(f"\r{len(found)} windows", end="", file=sys.stderr, flush=True)
    return window, np.stack(found) if found else np.zeros((0, shape.length, len(shape.channels)), np.float32)


def _check_count(args: argparse.Namespace, windows: Samples, window: Window) -> None:
    """Refuse too few windows. Raises: ModelError."""
    from reflexd_models.base import ModelError
    from reflexd_models.calibration import FEWEST, LEAST

    least = max(args.windows_at_least or LEAST, FEWEST)
    if len(windows) < least:
        anyway = f", or say --windows-at-least {len(windows)}" if len(windows) >= FEWEST else ""
        where = ", ".join(map(str, args.recordings or args.sensor))
        raise ModelError(f"{where}: {len(windows)} whole windows of {window.length} samples at {window.rate_hz:g} Hz, "
                         f"and a limit needs {least}; record longer{anyway}")


def _measure(name: str, method: str, bundle: Bundle | None, window: Window, windows: Samples) -> Calibrated:
    from dataclasses import replace

    from reflexd_models import calibration
    from reflexd_models.noise import CHATTER, held_back

    if method != "autoencoder":
        return calibration.of_statistics(name, method, window.model_copy(update={"mean": (), "std": ()}), windows)
    assert bundle is not None
    with held_back(CHATTER):
        return calibration.of_bundle(name, replace(bundle, window=window), windows)


def _tell(args: argparse.Namespace, method: str, window: Window, windows: int, found: Calibrated) -> None:
    from reflexd_models.calibration import MARGIN, PERCENTILE

    place = args.state_dir / "bundles" / args.name
    if args.json:
        print(json.dumps({"bundle": str(place), "method": method, "windows": windows, "percentile": found.percentile,
                          "limit": found.limit, "over": found.over}))
        return
    print(f"{args.name}: {method} of {', '.join(window.channels)}")
    print(f"  {windows} windows of {window.length} samples at {window.rate_hz:g} Hz")
    print(f"  {PERCENTILE:g}th percentile {found.percentile:.4g}, times {MARGIN:g}: limit {found.limit:.4g}")
    print(f"  {found.over:.2%} of these windows would be above 1")
    print(f'  written to {place}; use it with bundle = "{args.name}" and a rule with above = 1')
