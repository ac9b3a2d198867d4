"""Try a network that nobody vouches for in a child process, with limits of time and memory.

Corrupted files crash tflite-runtime or keep it busy for minutes. The child gets the bytes, not the path,
so what was tried is what is loaded afterwards. It allocates, infers once on zeros, and says how that went.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from typing import Any

from reflexd_models.base import ModelError
from reflexd_models.files import reason

WALL_S = 8.0
CPU_S = 7
ADDRESSES = 2 << 30       # bytes of address space in all; numpy and LiteRT alone reserve half of one


def try_out(content: bytes, where: str, threads: int = 1) -> None:
    """Load and run a network in a child process; return when that went well.

    Raises: ModelError within WALL_S and a little.
    """
    command = [sys.executable, "-m", "reflexd_models.trial", where, str(threads)]
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=WALL_S, check=False,
                              env={**os.environ, "PYTHONPATH": paths})
    except subprocess.TimeoutExpired:
        raise ModelError(f"{where}: the network was given up: no answer within {WALL_S:g} s in a trial; {REMEDY}") from None
    except OSError as problem:
        raise ModelError(f"{where}: no trial could be started: {reason(problem)}; see that a process may be started") from None
    _judge(done, where)


REMEDY = "the file is damaged or too large for this machine, fetch or convert it again"


def _judge(done: subprocess.CompletedProcess[bytes], where: str) -> None:
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


def _child(where: str, threads: int) -> dict[str, Any]:
    try:
        _limit()
    except OSError as problem:       # as a sandbox may have it; without limits nothing is tried
        return {"ok": False, "error": f"{where}: the limits of a trial are refused: {reason(problem)}; allow setrlimit"}
    try:
        from reflexd_models.runtime import Network

        network = Network(sys.stdin.buffer.read(), where, threads)
        network.run(*[lambda tensor: tensor.fill(0) for _ in network.inputs])
    except ModelError as problem:
        return {"ok": False, "error": str(problem)}
    except MemoryError:
        return {"ok": False, "error": f"{where}: the network wants more memory than a trial allows; {REMEDY}"}
    return {"ok": True}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(_child(sys.argv[1], int(sys.argv[2]))) + "\n")
    sys.stdout.flush()
    os._exit(0)        # what a damaged network left behind may crash an orderly end
