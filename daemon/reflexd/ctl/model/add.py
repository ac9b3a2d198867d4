"""reflexctl model add: make a bundle of any .tflite file, and install it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from reflexd.ctl.model.common import add_common, add_reading, add_swapping, bare
from reflexd.ctl.model.placing import place

HELP = "make a bundle of a .tflite file, with a hash and a golden case, and install it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("file", metavar="FILE.tflite", type=Path, help="any network; it is tried in a child process first")
    parser.add_argument("--as", dest="name", metavar="NAME", help="the name to install it under; default the file's")
    parser.add_argument("--task", metavar="TASK", help="how its outputs are read; default what the file itself shows")
    parser.add_argument("--size", metavar="WIDTHxHEIGHT",
                        help="what its input has to be, in pixels, to be sure that it is the file you mean")
    add_reading(parser)
    add_common(parser)
    add_swapping(parser)


def run(args: argparse.Namespace) -> int:
    """Make it and install it. Raises: ModelError."""
    from reflexd_models import making, store, tasks
    from reflexd_models.base import ModelError

    if args.task is not None and args.task not in tasks.names():
        raise ModelError(f'--task: there is none called "{args.task}"; there are {", ".join(tasks.names())}')
    bundle = bare(args.file, args, args.task)
    if args.size is not None:
        width, _, height = args.size.partition("x")
        if not (width.isdecimal() and height.isdecimal() and 0 < int(width) <= 8192 and 0 < int(height) <= 8192):
            raise ModelError(f"--size: WIDTHxHEIGHT in pixels, as 224x224, found {args.size[:40]}; correct it")
        bundle = replace(bundle, input=bundle.input.model_copy(update={"width": int(width), "height": int(height)}))
    name = store.check_name(args.name or args.file.stem)
    return place(args, name, making.made(bundle, name), task=bundle.task, decided=bundle.decided, labels=len(bundle.labels))
