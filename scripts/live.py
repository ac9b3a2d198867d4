"""Run the daemon for a while with a live line, then say what happened and what to try next."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reflexd.protocol import ControlError, ask

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "meter"
CONFIGS = {"recording": EXAMPLE / "reflexd.toml", "usb": EXAMPLE / "usb.toml"}
Report = dict[str, Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/try", description="Run reflexd on an example, or on your own file.")
    parser.add_argument("--seconds", type=float, default=20, metavar="N", help="how long, default 20")
    parser.add_argument("--camera", choices=list(CONFIGS), default="recording", help="where the frames come from")
    parser.add_argument("--config", type=Path, metavar="FILE", help="run this configuration instead")
    args = parser.parse_args()
    if not 0 < args.seconds < 1e6:
        parser.error("--seconds has to be above 0")
    args.config = Path(os.environ.get("CALLED_FROM", "."), args.config) if args.config else CONFIGS[args.camera]
    return args


def said(model: Report) -> str:
    """Tell what a network says now: the number it reads, or the scores of the labels that rules watch."""
    if model["value"] is not None:
        return f"reads {model['value']:g}"
    return ", ".join(f"{label} {score:.2f}" for label, score in model["scores"].items()) or "says ?"


def line(report: Report, started: float) -> str:
    frames = sum(one["frames"] for one in report["cameras"].values())
    outputs = ", ".join(f"{name} {one['level']}" for name, one in report["outputs"].items())
    spans = report["latency_ms"]["frame_to_pin"]
    latency = f"frame to pin {spans['p50']:.2f} ms" if spans else "no frame yet"
    actions = sum(one["changes"] for one in report["outputs"].values())
    return (f"{time.monotonic() - started:5.1f} s  {report['state']:8} {frames} frames, {report['decided']} predictions, "
            f"{', '.join(map(said, report['models'].values()))} | {actions} actions | {outputs} | {latency}")


class Screen:
    """Draws the live line over the one before, whole, on as many rows as it needs; without a terminal it is a line of its own."""

    def __init__(self) -> None:
        self._rows = 1

    def show(self, text: str, last: bool = False) -> None:
        """Draw it; the last is not drawn over."""
        if not sys.stdout.isatty():
            print(text, flush=True)
            return
        up = f"\x1b[{self._rows - 1}A" if self._rows > 1 else ""
        print(f"\r{up}\x1b[J{text}", end="\n" if last else "", flush=True)
        self._rows = 1 if last else -(-len(text) // shutil.get_terminal_size().columns)


def pass_on_log(log: Any, screen: Screen) -> None:
    """Print what the daemon said since the last look, above the live line."""
    for text in log.read().splitlines():
        screen.show(text, last=True)


def watch(daemon: subprocess.Popen[bytes], socket: Path, log: Any, screen: Screen, seconds: float, report: Report) -> None:
    """Follow the daemon into the report; the time counts from its first answer, so that a slow start costs nothing of it."""
    begun = started = time.monotonic()
    ends, shown = started + seconds + 30, 0.0
    while daemon.poll() is None and time.monotonic() < ends:
        try:
            fresh = ask(socket, "status")
        except ControlError:
            fresh = None
        if fresh:
            if not report:
                started = time.monotonic()
                ends = started + seconds
            report.update(fresh)
            if fresh["decided"]:
                report.setdefault("first_decision_s", time.monotonic() - begun)
        pass_on_log(log, screen)
        if report and time.monotonic() >= shown + (0.25 if sys.stdout.isatty() else 2.0):
            shown = time.monotonic()
            screen.show(line(report, started))
        time.sleep(0.1)


def summary(report: Report, config: Path) -> None:
    frames = sum(one["frames"] for one in report["cameras"].values())
    first = report.get("first_decision_s")
    soon = "" if first is None else f"; the first was decided {first:.1f} s after the start"
    print(f"\n{frames} frames, {report['decided']} predictions with {report['runtime']}{soon}.")
    for name, one in report["outputs"].items():
        activations = (one["changes"] + 1) // 2
        print(f"  {name}: active {activations} time{'' if activations == 1 else 's'}; {one['why']}")
    for name, spans in report["latency_ms"].items():
        if spans:
            print(f"  {name.replace('_', ' ')}: p50 {spans['p50']:.2f} ms, p99 {spans['p99']:.2f} ms")
    print(f"""
Try next:
  less {_short(config)}    the configuration that just ran
  .venv/bin/reflexctl check {_short(config)}    after you changed it
  .venv/bin/reflexctl schema    every key, for an editor that completes and checks
  ./scripts/try --camera usb    with a webcam in front of a meter""")


def _short(path: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else str(path)


def main() -> int:
    args, screen = arguments(), Screen()
    report: Report = {}
    with tempfile.TemporaryDirectory(prefix="reflexd-") as folder:
        socket, log_path = Path(folder, "control.sock"), Path(folder, "log")
        command = [sys.executable, "-m", "reflexd", "--config", str(args.config), "--socket", str(socket)]
        with log_path.open("w") as sink, log_path.open() as log:
            daemon = subprocess.Popen(command, stderr=sink, stdin=subprocess.DEVNULL)
            try:
                watch(daemon, socket, log, screen, args.seconds, report)
            except KeyboardInterrupt:
                pass             # the daemon got it too; what was seen until then is summed up
            finally:             # also when the reader of our output left
                if daemon.poll() is None:
                    daemon.send_signal(signal.SIGTERM)
                status = daemon.wait()
            pass_on_log(log, screen)
    if report:
        summary(report, args.config)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:      # the reader of our output left, as `| head` does
        sys.stderr.close()
    except KeyboardInterrupt:    # the second one
        sys.exit(130)
