"""Settings of the study of the bound."""

from ..settings import Strict


class Bounds(Strict):
    """For which fits every term of the bound is measured (theory: bounds/term-by-term)."""

    cell_size: bool = True
    choices: bool = True
    fit_accuracy: bool = False
    """Each degree triggers its own compilation, which takes about as long as its fits."""
