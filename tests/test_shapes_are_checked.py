"""The guard of all guards: under pytest, a wrong shape or type at any annotated door of the package is an error."""

import checker
import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError

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


def test_after_many_calls_every_sixteenth_is_checked():
    for _ in range(checker.FIRST):
        widths(np.eye(3))
    refused = 0
    for _ in range(2 * checker.EVERY):
        try:
            widths(np.eye(4))
        except TypeCheckError:
            refused += 1
        except (ValueError, IndexError):
            pass
    assert refused == 2
    checker.begin()
    with pytest.raises(TypeCheckError):
        widths(np.eye(4))


def test_functions_made_in_each_call_share_their_count():
    @checker.checked
    def made(shape):
        @checker.checked
        def inner(x: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
            return x.sum(axis=1) if shape else x

        return inner

    assert made(True)(np.ones((2, 3))).shape == (2,)
    for wrong in (lambda: made(True)(np.ones((3, 2))), lambda: made(False)(np.ones((2, 3)))):
        with pytest.raises(TypeCheckError):
            wrong()
    for _ in range(checker.FIRST):
        made(True)(np.ones((2, 3)))
    made(True)(np.ones((3, 2)))  # not checked
