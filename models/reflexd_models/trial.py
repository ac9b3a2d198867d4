"""Try what nobody vouches for in a child process, with limits of time and memory.

Corrupted files crash tflite-runtime or keep it busy for minutes. A child gets the bytes, not the path,
so what was tried is what is loaded afterwards. try_out() has it allocate, infer once on zeros, and say how that
went; checking.py, making.py and measuring.py have it do more.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from reflexd_models.base import ModelError
from reflexd_models.files import reason

WALL_S = 8.0
CPU_S = 7
ADDRESSES = 2 << 30       # bytes of address space in all; numpy and LiteRT alone reserve half of one
REMEDY = "the file is damaged or too large for this machine, fetch or convert it again"


def try_out(content: bytes, where: str, threads: int = 1) -> None:
    """Load and run a network in a child process; return when that went well.

    Raises: ModelError within WALL_S and a little.
    """
    ask_child("reflexd_models.trial", [where, str(threads)], content, where)


def ask_child(module: str, words: Sequence[str], content: bytes, where: str) -> dict[str, Any]:
    """Run a module, which ends in answer(), in a child process that reads `content`; give what it answered.

    Raises: ModelError within WALL_S and a little.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run([sys.executable, "-m", module, *words], input=content, capture_output=True, timeout=WALL_S,
                              check=False, env={**os.environ, "PYTHONPATH": paths})
    except subprocess.TimeoutExpired:
        raise ModelError(f"{where}: the network was given up: no answer within {WALL_S:g} s in a trial; {REMEDY}") from None
    except (OSError, ValueError) as problem:      # ValueError: a name that no program can be given
        raise ModelError(f"{where}: no trial could be started: {reason(problem)}; see that a process may be started") from None
    return _judge(done, where)


def _judge(done: subprocess.CompletedProcess[bytes], where: str) -> dict[str, Any]:
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        spent = f"more than {CPU_S} s of processor time, or too much memory"
        raise ModelError(f"{where}: the network was given up: {spent}; {REMEDY}")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name if -done.returncode in set(signal.Signals) else str(-done.returncode)
        raise ModelError(f"{where}: the network crashed the runtime in a trial ({name}); {REMEDY}")
    told = _told(done.stdout)
    if done.returncode != 0 or told.get("ok") is not True:
        failed = f"{where}: the trial of the network failed (status {done.returncode}); {REMEDY}"
        raise ModelError(str(told.get("error") or failed))
    return told


def _told(output: bytes) -> dict[str, Any]:
    """Read the child's last line; runtimes may print before it."""
    try:
        told = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _limit() -> None:
    for kind, wanted in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_AS, ADDRESSES)):
        hardest = resource.getrlimit(kind)[1]
        most = wanted if hardest == resource.RLIM_INFINITY else min(wanted, hardest)
        resource.setrlimit(kind, (most, most))


def answer(where: str, work: Callable[[bytes], dict[str, Any]]) -> NoReturn:
    """Be the child: limit this process, do the work on what it reads, tell how that went, and end."""
    sys.stdout.write("\n" + json.dumps(_done(where, work)) + "\n")
    sys.stdout.flush()
    os._exit(0)        # what a damaged network left behind may crash an orderly end


def _done(where: str, work: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    try:
        _limit()
    except OSError as problem:       # as a sandbox may have it; without limits nothing is tried
        return {"ok": False, "error": f"{where}: the limits of a trial are refused: {reason(problem)}; allow setrlimit"}
    try:
        return {"ok": True, **work(sys.stdin.buffer.read())}
    except ModelError as problem:
        return {"ok": False, "error": str(problem)}
    except MemoryError:
        return {"ok": False, "error": f"{where}: the network wants more memory than a trial allows; {REMEDY}"}


def _run_once(content: bytes) -> dict[str, Any]:
    from reflexd_models.runtime import Network

    network = Network(content, sys.argv[1], int(sys.argv[2]))
    network.run(*[lambda tensor: tensor.fill(0) for _ in network.inputs])
    return {}


if __name__ == "__main__":
    answer(sys.argv[1], _run_once)
