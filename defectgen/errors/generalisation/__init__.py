"""What a fixed budget of labels buys: means over repetitions, the best split of a budget, learning curves. Pure functions."""

from .learning import Exponent, exponent
from .spread import Spread, geometric_mean, ratio
from .tradeoff import Tradeoff, tradeoff

__all__ = ["Exponent", "Spread", "Tradeoff", "exponent", "geometric_mean", "ratio", "tradeoff"]
