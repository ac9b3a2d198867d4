"""A process that imports once and forks for each installation, so that a hundred of them can be killed in seconds.

It reads lines of JSON: {"folder", "state_dir", "socket", "swap", "after_s"}, and answers each with the wait status of the child.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from reflexd import durable
from reflexd.ctl.model.placing import ask_daemon
from reflexd_models import store
from reflexd_models.bundle import of_folder
from reflexd_models.checking import look_through


def install(request: dict[str, Any]) -> None:
    """Do what reflexctl model install does, but for the child process in which a network is tried: that takes longest."""
    args = argparse.Namespace(socket=Path(request["socket"]), state_dir=Path(request["state_dir"]), no_swap=not request["swap"])

    def would_fit(version: Path) -> None:
        ask_daemon(args, "meter", version=version.name)

    def swapped(name: str) -> None:
        ask_daemon(args, name)

    kept = store.Store(args.state_dir / "bundles", durable)
    content = store.packed(Path(request["folder"]))
    store.install(kept, "meter", content, lambda version: look_through(of_folder(version)), would_fit, last=swapped)


def main() -> None:
    """Serve until the input ends."""
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                install(request)
                status = 0
            finally:
                os._exit(status)
        if request["after_s"] is not None:
            time.sleep(request["after_s"])
            os.kill(pid, signal.SIGKILL)      # a zombie at worst, since nobody else waits for it
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
