"""Array types: every array says its shape where it is declared; tests check the shapes at run time."""

import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

Anywhere = Array | np.ndarray
"""On the device or on the host: a kernel takes both, and nothing is compiled to move what comes from the host."""

__all__ = ["Anywhere", "Array", "Bool", "Complex", "Float", "Int"]
