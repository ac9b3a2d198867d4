"""reflexctl doctor: what is wrong with this computer, this configuration and this service, and what to do about each.

exit status: 0 nothing but notes; 3 a warning; 4 a fault; 1 the support bundle could not be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from reflexd.ctl.check import DEFAULT_CONFIG
from reflexd.ctl.reach import DEFAULT_SOCKET, add_socket

if TYPE_CHECKING:
    from reflexd.doctor.context import Context
    from reflexd.doctor.table import Finding

HELP = "find what is wrong around the daemon, with a remedy for each; --bundle collects it for somebody who helps"
SCHEMA = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("-c", "--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"default {DEFAULT_CONFIG}")
    add_socket(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--list", action="store_true", help="print every finding that there is, and look at nothing")
    parser.add_argument("--bundle", type=Path, metavar="FILE.tar.gz",
                        help="write what was found, with the state, configuration and log, without secrets and pictures")
    parser.add_argument("--force", action="store_true", help="let --bundle replace a file")


def run(args: argparse.Namespace) -> int:
    """Examine and tell."""
    from reflexd.doctor.examine import examine
    from reflexd.doctor.table import exit_status

    if args.list:
        print("\n".join(table(args.json)))
        return 0
    with redirect_stdout(sys.stderr):       # a library that is broken talks; what programs read stays clean
        context = context_of(args)
        findings = examine(context)
    print(json.dumps(as_json(findings), indent=2, ensure_ascii=False) if args.json else "\n".join(lines(findings)))
    if args.bundle is not None and not write_bundle(args, context, findings):
        return 1
    return exit_status(findings)


def context_of(args: argparse.Namespace) -> Context:
    """Look where the configuration says that the daemon listens, unless told otherwise."""
    from dataclasses import replace

    from reflexd.doctor.context import Context

    context = Context(args.config.absolute(), args.socket)
    if context.settings is not None and str(args.socket) == DEFAULT_SOCKET:
        return replace(context, socket=Path(context.settings.daemon.socket))
    return context


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Write for programs."""
    return {"schema": SCHEMA, "findings": [one.as_dict() for one in findings]}


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Write for a person: the worst first, each with its remedy, and a count."""
    from reflexd.config.problems import escape
    from reflexd.doctor.table import SEVERITIES, TABLE

    counts = []
    for severity in SEVERITIES:
        some = [one for one in findings if one.severity == severity]
        for one in some:
            yield f"{severity} {one.id}: {TABLE[one.id].means}"
            yield f"    found: {escape(one.found)}"
            yield f"    remedy: {escape(one.remedy)}"
        counts.append(f"{len(some)} {severity}{'' if len(some) == 1 else 's'}")
    yield ", ".join(counts)


def table(as_json: bool) -> Iterator[str]:
    """List what doctor knows."""
    from reflexd.doctor.table import TABLE, placeholders

    if as_json:
        yield json.dumps({id_: one._asdict() for id_, one in TABLE.items()}, indent=2)
        return
    for id_, one in TABLE.items():
        yield f"{one.severity} {id_}: {one.means}\n    {placeholders(one.remedy)}"


def write_bundle(args: argparse.Namespace, context: Context, findings: Sequence[Finding]) -> bool:
    """Write the support bundle, and say what is in it."""
    from reflexd.doctor.support import collect, write

    try:
        members = collect(context, json.dumps(as_json(findings), indent=2, ensure_ascii=False))
        write(args.bundle, members, args.force)
    except OSError as error:
        why = f"{error.strerror}; name another file" if error.strerror else str(error)
        print(f"reflexctl: {args.bundle}: cannot be written: {why}", file=sys.stderr)
        return False
    told = "\n".join(f"    {name}, {len(text)} characters" for name, text in members.items())
    print(f"{args.bundle}: read it before you give it away\n{told}", file=sys.stderr if args.json else sys.stdout)
    return True
