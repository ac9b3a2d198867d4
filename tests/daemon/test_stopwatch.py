"""What the bounds of other tests are taken with: a call that waits counts whole, and a machine that is away does not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.stopwatch import Stopwatch, within

pytestmark = pytest.mark.once
WAIT = """
import time
from tests.stopwatch import Stopwatch
with Stopwatch() as took:
    print("begun", flush=True)
    time.sleep(0.3)
print(took.seconds)
"""


def test_a_call_that_waits_counts_and_breaks_its_bound() -> None:
    with Stopwatch() as took:
        time.sleep(0.5)
    assert 0.1 < took.seconds < 0.6
    with pytest.raises(AssertionError, match="not within"):
        within(0.05, lambda: False)


def test_the_time_in_which_the_process_is_kept_from_looking_does_not_count() -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        assert float(process.stdout.readline()) < 0.8
