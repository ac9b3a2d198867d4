"""reflexctl model inspect: what is in a network, which runtimes load it, and how long it takes here."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.ctl.model.common import add_common, tell

if TYPE_CHECKING:
    from reflexd_models.bundle import Bundle

HELP = "tensors, operators, task, runtimes and latency of a network, also of one that is refused"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE|FILE.tflite", help="a name in the zoo or the state directory, or a path")
    parser.add_argument("--no-run", action="store_true", help="look at the file only: no runtime is tried, nothing is measured")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Look at it as far as that goes; 1 when it cannot be used. Raises: ModelError when there is no file."""
    from reflexd_models import files
    from reflexd_models.bundle import LARGEST

    path, bundle, wrong = _found(args)
    content = files.read(path, LARGEST, "the network")
    told: dict[str, Any] = {"file": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    told |= _about(bundle, wrong, content)
    wrong = wrong or told.get("golden_wrong") or ""
    told |= _arrays(path) if path.suffix == ".npz" else _inside(content, str(path))
    if not args.no_run and content[4:8] == b"TFL3":
        told["runtimes"] = _runtimes(content, str(path))
    if wrong:
        told["wrong"] = wrong
    refused = bool(told.get("runtimes")) and all("refused" in one for one in told["runtimes"])
    tell(args, told, *_lines(told))
    return 1 if wrong or refused or "tables_wrong" in told else 0


def _found(args: argparse.Namespace) -> tuple[Path, Bundle | None, str]:
    """Find the file, and the bundle that it is, or why it is none."""
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import find_bundle

    try:
        bundle = find_bundle(args.bundle, args.state_dir)
    except ModelError as problem:
        if not args.bundle.endswith(".tflite"):
            raise
        return Path(args.bundle), None, str(problem)
    return bundle.path, bundle, ""


def _about(bundle: Bundle | None, wrong: str, content: bytes) -> dict[str, Any]:
    """Say what the bundle says, and whether that holds."""
    if bundle is None:
        return {"task": None, "decided": wrong}
    told: dict[str, Any] = {"task": bundle.task, "decided": bundle.decided, "labels": list(bundle.labels),
                            "input": bundle.input.model_dump(exclude_none=True)}
    if bundle.sha256 is not None:
        held = hashlib.sha256(content).hexdigest() == bundle.sha256
        told["hash"] = "as model.toml has it" if held else f"wrong: model.toml has {bundle.sha256}"
        told |= _golden(bundle)
    return told


def _golden(bundle: Bundle) -> dict[str, Any]:
    from reflexd_models.base import ModelError
    from reflexd_models.checking import check

    if bundle.golden is None:
        return {"golden": "there is none"}
    try:
        check(bundle.path.parent)
    except ModelError as problem:
        return {"golden": "it does not hold", "golden_wrong": str(problem)}
    return {"golden": f"it holds, within {bundle.golden.tolerance:g}"}


def _inside(content: bytes, where: str) -> dict[str, Any]:
    from reflexd_models import anatomy
    from reflexd_models.base import ModelError

    try:
        found = anatomy.read(content, where)
    except ModelError as problem:
        return {"tables_wrong": str(problem)}
    return {"inputs": [asdict(one) for one in found.inputs], "outputs": [asdict(one) for one in found.outputs],
            "operators": [asdict(one) for one in found.operators], "tensors": found.tensors, "subgraphs": found.subgraphs}


def _arrays(path: Path) -> dict[str, Any]:
    """Say what a learner that needs no runtime consists of."""
    from reflexd_models import files
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import LARGEST

    try:
        found = files.npz(path, LARGEST, "the learner")
    except ModelError as problem:
        return {"tables_wrong": str(problem)}
    return {"arrays": [{"name": name, "shape": list(array.shape), "dtype": array.dtype.name} for name, array in found.items()]}


def _runtimes(content: bytes, where: str) -> list[dict[str, Any]]:
    """Try each runtime that is installed, in a child process."""
    from reflexd_models import runtime
    from reflexd_models.base import ModelError
    from reflexd_models.measuring import measure

    told: list[dict[str, Any]] = []
    for name in runtime.installed():
        try:
            told.append(measure(content, where, name))
        except ModelError as problem:
            told.append({"runtime": name, "refused": str(problem)})
    return told


def _lines(told: dict[str, Any]) -> list[str]:
    lines = [told["file"], f"  {told['bytes']} bytes, sha256 {told['sha256']}"]
    lines.append(f"  task      {told['task'] or 'not decided'} ({told['decided']})")
    if told.get("labels"):
        shown = ", ".join(told["labels"][:8])
        lines.append(f"  labels    {len(told['labels'])}: {shown}{', …' if len(told['labels']) > 8 else ''}")
    lines += [f"  {key:<9} {told[key]}" for key in ("hash", "golden") if key in told]
    for key in ("inputs", "outputs"):
        lines += [f"  {key[:-1]:<9} {_tensor(one)}" for one in told.get(key, ())]
    lines += [f"  array     {one['name']}: {one['dtype']} {one['shape']}" for one in told.get("arrays", ())]
    if "operators" in told:
        kinds = ", ".join(f"{one['name']} v{one['version']} x{one['count']}" for one in told["operators"])
        lines.append(f"  operators {kinds or 'none'}")
    for one in told.get("runtimes", ()):
        times = ", ".join(f"{ms:g} ms with {threads}" for threads, ms in one.get("ms", {}).items())
        lines.append(f"  {one['runtime']}: {one['refused'] if 'refused' in one else times + ' threads'}")
    return lines + [f"  {told[key]}" for key in ("tables_wrong", "wrong") if key in told]


def _tensor(one: dict[str, Any]) -> str:
    scaled = f", scale {one['scale']:g}, zero point {one['zero_point']}" if one["scale"] else ""
    many = f" (and {one['channels'] - 1} more scales)" if one["channels"] > 1 else ""
    return f"{one['name']}: {one['dtype']} {list(one['shape'])}{scaled}{many}"
