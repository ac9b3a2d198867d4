"""reflexctl snapshot: what the camera sees and what the network is given, as a picture, to aim the camera."""

from __future__ import annotations

import argparse
import base64
import sys
from pathlib import Path

from reflexd.ctl.reach import add_socket, ask_or_explain

HELP = "save what a camera sees and what its networks are given, with regions, zones and what was found drawn in"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("file", type=Path, metavar="FILE.png", help="where to save it")
    parser.add_argument("--camera", metavar="NAME", help="needed where there are several")
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the picture and save it."""
    if args.file.suffix.lower() != ".png":
        print(f"reflexctl: {args.file}: a snapshot is a PNG; name the file something.png", file=sys.stderr)
        return 2
    answer = ask_or_explain(args, "snapshot", {"camera": args.camera} if args.camera else {})
    if answer is None:
        return 1
    try:
        args.file.write_bytes(base64.b64decode(answer["png"]))
    except OSError as error:
        print(f"reflexctl: {args.file}: cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{args.file}: camera {answer['camera']}")
    return 0
