"""How sure a network can be at most: the last step of a quantized output is mostly a little less than 1."""

from __future__ import annotations

import struct

from reflexd_models import ends, files
from reflexd_models.base import ModelError
from reflexd_models.bundle import LARGEST, Bundle


def largest_score(bundle: Bundle) -> float:
    """Give the greatest score that a network can tell, by its file's tables; 1 where nothing says less. It is not run."""
    try:
        content = files.read(bundle.path, LARGEST, "the network")
        outputs = ends.read(content).outputs if content[4:8] == b"TFL3" else ()
    except (ModelError, struct.error):      # whoever loads it tells what is wrong
        return 1.0
    steps = [end.greatest for end in outputs]
    bounds = [one for one in steps if one is not None]
    return min(1.0, max(bounds)) if bounds and len(bounds) == len(steps) else 1.0       # of several nobody says which has scores
