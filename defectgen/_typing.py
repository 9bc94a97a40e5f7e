"""Array types: every array says its shape where it is declared; tests check the shapes at run time.

Arrays of JAX are imported with JAX when a module names them: much of the package does without.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

if TYPE_CHECKING:
    from jaxtyping import Array

    # on the device or on the host: a kernel takes both, and nothing is compiled to move what comes from the host
    Anywhere = Array | np.ndarray

__all__ = ["Anywhere", "Array", "Bool", "Complex", "Float", "Int"]


def __getattr__(name: str) -> Any:
    if name not in ("Anywhere", "Array"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jaxtyping import Array

    globals().update(Array=Array, Anywhere=Array | np.ndarray)
    return globals()[name]
