"""reflexctl: look at a running reflexd, and prepare what it is given.

exit status: 0 done; 1 failed; 2 wrong usage; 78 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

VERBS = ("setup", "probe", "status", "explain", "top", "arm", "disarm", "reload", "log", "events", "export", "prune", "test",
         "watch", "snapshot", "dump", "record", "replay", "check", "schema", "config", "model", "calibrate", "doctor",
         "install-service")


class Verb(Protocol):
    """What a verb's module has: HELP, what it accepts, and what it does."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe the verb's own arguments."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it and give the exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration; doctor has its own."""
        ...


def parser() -> argparse.ArgumentParser:
    """Build the command line from the verbs."""
    top = argparse.ArgumentParser(prog="reflexctl", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERBS:
        verb = cast("Verb", import_module(f"reflexd.ctl.{name.replace('-', '_')}"))
        one = verbs.add_parser(name, help=verb.HELP, description=verb.HELP)
        verb.add_arguments(one)
        one.set_defaults(run=verb.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb."""
    if isinstance(sys.stdout, io.TextIOWrapper):      # a file's name may hold what no encoding can say
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args = parser().parse_args(arguments)
        return int(args.run(args))
    except BrokenPipeError:      # the reader of our output left, as `| head` does
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        print(f"reflexctl: a library cannot be imported: {error}; reflexctl doctor tells which, and what to do", file=sys.stderr)
        return 1
    except OSError as error:
        if not error.errno:          # it has been put into words
            print(f"reflexctl: {error}", file=sys.stderr)
            return 1
        where, why = f"{error.filename}: " if error.filename else "", (error.strerror or str(error)).lower()
        how = "use sudo" if isinstance(error, PermissionError) else "make it usable"
        print(f"reflexctl: {where}{why}; {how}, or name another one", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
