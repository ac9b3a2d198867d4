"""What `reflexctl setup` does: choices.py asks, writing.py writes, trial.py tries, unit.py knows the service."""

from __future__ import annotations


class SetupError(RuntimeError):
    """Why there is no setup, in one line with what to do; `status` is the exit status."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status
