"""Array types: every array says its shape where it is declared; tests check the shapes at run time."""

from jaxtyping import Array, Bool, Complex, Float, Int

__all__ = ["Array", "Bool", "Complex", "Float", "Int"]
