"""The guard of all guards: under pytest, a wrong shape or type at any annotated door of the package is an error."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from defectgen.crystal import Sites, neighbours, widths


def test_a_right_shape_passes():
    assert np.allclose(widths(np.eye(3)), 1.0)


def test_a_wrong_shape_is_an_error():
    with pytest.raises(TypeCheckError):
        widths(np.eye(4))


def test_two_shapes_that_must_agree_are_compared():
    Sites(np.zeros((5, 3), dtype=int), np.zeros(5, dtype=int), None)
    with pytest.raises(TypeCheckError):
        Sites(np.zeros((5, 3), dtype=int), np.zeros(4, dtype=int), None)


def test_a_wrong_dtype_is_an_error():
    with pytest.raises(TypeCheckError):
        neighbours(np.zeros((2, 3), dtype=np.float64), np.eye(3), (True, True, True), "2.0")  # pyright: ignore
