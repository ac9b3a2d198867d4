"""Hold back what the C++ part of a library chats on stderr while a network is loaded.

While it holds, what anybody writes to descriptor 2 waits; so the daemon's log has a descriptor of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = b"INFO: "                   # how LiteRT begins what it tells of its delegates
ONE_AT_A_TIME = threading.Lock()      # two that load at once would put each other's descriptor back


@contextmanager
def held_back(*marks: bytes) -> Iterator[None]:
    """Drop the lines that start with one of the marks and pass the others on at the end."""
    with ONE_AT_A_TIME:
        kept, hold = os.dup(2), os.memfd_create("stderr")
        os.dup2(hold, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said = os.pread(hold, 1 << 16, 0)
            os.close(hold)
            os.write(2, b"".join(line for line in said.splitlines(keepends=True) if not line.startswith(marks)))
