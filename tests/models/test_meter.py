"""The shipped meter reader is as good as its card says, on kinds of meter that it never saw."""

import numpy as np
import pytest

from reflexd_models import accuracy
from reflexd_models.bundle import find_bundle, open_model
from reflexd_models.image import Still
from reflexd_models.tasks.regions import Options, Reader


@pytest.fixture(scope="module")
def figures(shared):
    bundle = find_bundle("meter")
    reader = open_model(bundle, Options(regions=((0, 0, 1, 1),)))
    assert isinstance(reader, Reader)
    with np.load(shared / "data" / "meter_digits.npz", allow_pickle=False) as found:
        held = np.isin(found["group"], bundle.held_out)
        x, y = found["x"][held], found["y"][held]
    told = [reader.read(Still("rgb", (one,))) for one in x]
    answers = np.array([reader.labels.index(label) for label, _ in told])
    return accuracy.figures(y, answers, np.array([score for _, score in told]))


def test_held_out_kinds_are_read_within_a_tenth(figures):
    assert figures["count"] > 1000
    assert figures["within_tenth"] >= 0.955
    assert figures["within_tenth_covered"] >= 0.99
    assert figures["coverage"] >= 0.70


def test_it_is_small():
    assert find_bundle("meter").path.stat().st_size <= 100_000
