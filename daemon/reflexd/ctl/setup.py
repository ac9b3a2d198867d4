"""reflexctl setup: from what is plugged in to a service that decides in dry run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from reflexd.ctl.check import DEFAULT_CONFIG

HELP = "find cameras, pins and ports, write a configuration, try it in dry run, and start the service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verb's own arguments."""
    parser.add_argument("--yes", action="store_true", help="ask nothing: take the defaults, which is what is found first")
    parser.add_argument("--camera", metavar="DEVICE", help="a device, a recording that is played over and over, or none")
    parser.add_argument("--input", metavar="PIN", help="of a button to ground, as GPIO4; or script to play one, or none")
    parser.add_argument("--output", metavar="PIN", help="of a relay or lamp, as GPIO17; or record to write down what it would do")
    parser.add_argument("--model", metavar="BUNDLE", help="a network: meter, a bundle's path, a .tflite file, or none")
    parser.add_argument("--label", help="of a network that classifies: what the lamp goes on for")
    parser.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"what is written, default {DEFAULT_CONFIG}")
    parser.add_argument("--force", action="store_true", help="replace a configuration that has devices; it is kept beside")
    parser.add_argument("--no-start", action="store_true", help="do not start the service; one that ran runs again")


def run(args: argparse.Namespace) -> int:
    """Do it. 0 done; 1 failed, and everything is as before; 2 wrong usage; 78 the configuration is wrong."""
    from reflexd.setup import SetupError  # heavy: the other verbs start without it
    from reflexd.setup.steps import setup
    from reflexd.setup.unit import Unit

    for number in (signal.SIGTERM, signal.SIGHUP):     # a connection that is lost puts things back as Ctrl-C does
        if signal.getsignal(number) != signal.SIG_IGN:     # nohup
            signal.signal(number, signal.default_int_handler)
    try:
        setup(args, Unit())
    except SetupError as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return error.status
    except (KeyboardInterrupt, EOFError):
        print("\nreflexctl: stopped; what was not said to be done was not done", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)      # nothing is said any more, not even at the end
        print("reflexctl: stopped, since nobody reads what it says; what was not said to be done was not done", file=sys.stderr)
        return 1
    return 0
