"""Write the manual pages and the bash completion, from what --help and the settings say. Called by scripts/manual.

The same source gives the same bytes: the date is that of SOURCE_DATE_EPOCH, else of the last commit, else none.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from manual_roff import bold, heading, item, markdown, options, plain, prose, slanted, usage, verbs

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "/etc/reflexd/reflexd.toml": "the configuration; drop-ins are /etc/reflexd/conf.d/*.toml",
    "/run/reflexd/control.sock": "where reflexctl finds the daemon",
    "/run/reflexd/safe-state.json": "what sets each output safe, left for reflexd-safe",
    "/var/lib/reflexd": "bundles that were added, and how the last run ended",
    "/usr/share/reflexd/drop-ins": "drop-ins for the unit",
}
PAGES = {
    "reflexd": ("8", "watch cameras and sensors and drive outputs by rules"),
    "reflexctl": ("1", "look at a running reflexd, and prepare what it is given"),
    "reflexd-safe": ("8", "set every output of reflexd safe after its death"),
    "reflexd.toml": ("5", "configuration of reflexd"),
}
SIGNALS = {
    "SIGTERM, SIGINT": "set every output safe and leave", "SIGHUP": "take the configuration over anew",
    "SIGUSR1": "put the state into the log",
}


def date() -> str:
    """Give the day of the source, which does not change from build to build."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds:
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        seconds = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d") if seconds else ""


def page(name: str, *body: str) -> str:
    """Put a page together, with what stands at its top and its end."""
    section, short = PAGES[name]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    also = ", ".join(f"{bold(other)}({its})" for other, (its, _) in sorted(PAGES.items()) if other != name)
    lines = [f'.TH {name.upper()} {section} "{date()}" "reflexd {version}"', ".nh", ".ad l",
             *heading("Name"), f"{plain(name)} \\- {plain(short)}", *body,
             *heading("See also"), f"{also}, {bold('systemd.service')}(5), {bold('journalctl')}(1)", ""]
    needless = [line == ".PP" and before[:3] in (".SH", ".SS") for before, line in pairwise(["", *lines])]
    return "\n".join(line for line, skip in zip(lines, needless, strict=True) if not skip)


def told(table: dict[str, str]) -> list[str]:
    """Set names and what they are."""
    return [line for name, text in table.items() for line in item(bold(name), plain(text))]


def statuses(text: str) -> list[str]:
    """Set what a description says after `exit status:`."""
    said = " ".join(text.split("exit status:")[1].split())
    return heading("Exit status") + told(dict(re.findall(r"(\d+) (.+?)(?:[;,] (?=\d)|\.?$)", said)))


def description(text: str) -> list[str]:
    """Set a description in paragraphs, without its exit statuses."""
    told_already = re.compile(r"^[a-z-]+: ")       # the name of the program
    paragraphs = told_already.sub("", text.split("exit status:", maxsplit=1)[0].strip()).split("\n\n")
    return heading("Description") + [line for one in paragraphs for line in (".PP", prose(sentence(" ".join(one.split()))))]


def sentence(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def reflexd(parser: argparse.ArgumentParser) -> str:
    """Give the page of the daemon."""
    text = parser.description or ""
    return page("reflexd", *heading("Synopsis"), usage(parser), *description(text), *heading("Options"), *options(parser),
                *heading("Signals"), *told(SIGNALS), *statuses(text), *heading("Files"), *told(FILES))


def reflexctl(parser: argparse.ArgumentParser) -> str:
    """Give the page of the command, with a part for each verb."""
    text = parser.description or ""
    body = [line for short, verb in verbs(parser) for line in [
        *heading(verb.prog.removeprefix("reflexctl "), ".SS"), usage(verb), ".PP", plain(short), *options(verb)]]
    synopsis = f"{bold('reflexctl')} {slanted('VERB')} [{slanted('OPTION')}]..."
    environment = {"REFLEXD_SOCKET": "path of the control socket, where --socket is not given"}
    return page("reflexctl", *heading("Synopsis"), synopsis, *description(text), *heading("Verbs"),
                "Every verb has --help.".replace("--", "\\-\\-"), *body, *heading("Environment"), *told(environment),
                *statuses(text), *heading("Files"), *told(FILES))


def reflexd_safe(text: str) -> str:
    """Give the page of the program that runs after a death."""
    environment = {"RUNTIME_DIRECTORY": "where the daemon left what to do, default /run/reflexd",
                   "STATE_DIRECTORY": "where the end is recorded; without it, it is not"}
    return page("reflexd-safe", *heading("Synopsis"), bold("reflexd-safe"), *description(text), *statuses(text),
                *heading("Environment"), *told(environment), *heading("Files"), *told(FILES))


def reflexd_toml() -> str:
    """Give the page of the configuration, which is docs/configuration.md."""
    first, rest = (ROOT / "docs" / "configuration.md").read_text().split("\n## ", 1)
    return page("reflexd.toml", *heading("Synopsis"), plain("/etc/reflexd/reflexd.toml"), ".br",
                plain("/etc/reflexd/conf.d/*.toml"), *heading("Description"), *markdown(first)[1:],
                *markdown("## " + rest), *heading("Files"), *told(FILES))


def completion(make: Callable[[], argparse.ArgumentParser]) -> str:
    """Give the bash completion of a command: verbs, options, choices, and files where a file is meant."""
    import shtab

    parser = make()
    for _, verb in [("", parser), *verbs(parser)]:
        for action in verb._actions:                   # noqa: SLF001  argparse shows them nowhere else
            shown = str(action.metavar or "")
            if shown == "FOLDER":
                action.complete = shtab.DIRECTORY      # type: ignore[attr-defined]
            elif action.type is Path or "FILE" in shown:
                action.complete = shtab.FILE           # type: ignore[attr-defined]
    return shtab.complete(parser, "bash")


def main(folder: Path) -> int:
    """Write all of them."""
    os.environ.pop("REFLEXD_SOCKET", None)             # is a default that --help tells
    from reflexd import safe_state
    from reflexd.__main__ import parser as daemon
    from reflexd.ctl.__main__ import parser as control

    written = {
        "reflexd.8": reflexd(daemon()), "reflexctl.1": reflexctl(control()), "reflexd.toml.5": reflexd_toml(),
        "reflexd-safe.8": reflexd_safe(safe_state.__doc__ or ""),
        "completions/reflexd": completion(daemon), "completions/reflexctl": completion(control),
    }
    for name, text in written.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except ModuleNotFoundError as error:
        sys.exit(f"manual: {error.name} is missing; run: .venv/bin/python -m pip install -e '.[package]'")
