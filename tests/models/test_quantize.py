"""Pixels reach a tensor as it was calibrated, and scores come back as plain numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd_models.quantize import real, reals, table, writer
from reflexd_models.runtime import TensorInfo

PIXELS = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)


def info(kind: str, scale: float = 1 / 255, zero_point: int = 0) -> TensorInfo:
    return TensorInfo(0, "x", (8, 8, 3), np.dtype(kind), scale, zero_point)


def written(tensor: TensorInfo, normal: tuple[float, float] | None) -> np.ndarray:
    kept = np.zeros(tensor.shape, tensor.dtype)
    writer(tensor, normal)(PIXELS, kept)
    return kept


def test_pixels_go_into_uint8_as_they_are():
    assert (written(info("uint8"), None) == PIXELS).all()


def test_pixels_go_into_int8_less_128():
    assert (written(info("int8", zero_point=-128), None) == PIXELS.astype(int) - 128).all()


def test_floats_are_normalised_as_stated():
    assert np.allclose(written(info("float32", 0.0), (127.5, 127.5)), PIXELS / 127.5 - 1)


def test_a_stated_normalisation_of_a_quantized_input_is_kept():
    found = written(info("int8", 1 / 64, 0), (127.5, 127.5)).astype(int)
    assert np.abs(found - np.clip((PIXELS / 127.5 - 1) * 64, -128, 127)).max() <= 0.5


def test_floats_without_a_normalisation_are_refused():
    with pytest.raises(ValueError, match="does not say how pixels become floats"):
        writer(info("float32"), None)


def test_a_kind_of_tensor_that_no_picture_fits_is_refused():
    with pytest.raises(ValueError, match="takes int32"):
        writer(info("int32"), None)


@given(scale=st.floats(1e-4, 1), zero_point=st.integers(-128, 127), mean=st.floats(-50, 300), std=st.floats(0.1, 300))
def test_a_table_never_leaves_the_bounds_and_is_within_half_a_step(scale, zero_point, mean, std):
    found = table(info("int8", scale, zero_point), (mean, std))
    wanted = np.clip((np.arange(256) - mean) / std / scale + zero_point, -128, 127)
    assert np.abs(found - wanted).max() <= 0.5 + 1e-6


@given(raw=st.integers(-128, 127), scale=st.floats(1e-3, 1), zero_point=st.integers(-128, 127))
def test_one_number_and_many_are_read_alike_and_plain(raw, scale, zero_point):
    tensor = info("int8", scale, zero_point)
    one, (many,) = real(raw, tensor), reals(np.array([[raw]], np.int8), tensor)
    assert type(one) is type(many) is float
    assert one == pytest.approx(many) == pytest.approx((raw - zero_point) * scale)
