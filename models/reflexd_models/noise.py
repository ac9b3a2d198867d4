"""Hold back what the C++ part of a library chats on stderr, for commands that promise one line.

Only for a process with one thread: while it holds, what anybody writes to stderr waits. So the daemon
does not use it, and its log has LiteRT's line about XNNPACK once per network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back(*marks: bytes) -> Iterator[None]:
    """Drop the lines that start with one of the marks and pass the others on at the end."""
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
