"""The options of a task that gives detections, for configurations that are only read."""

from __future__ import annotations

from typing import ClassVar

from reflexd_models import base


class Options(base.Options):
    """What the task detect has as well."""

    gives_detections: ClassVar[bool] = True

    max_detections: int = 20
