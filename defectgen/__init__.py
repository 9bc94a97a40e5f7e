"""How far can a fitted interatomic potential be trusted beyond its training data?"""

import jax

jax.config.update("jax_enable_x64", True)  # set once, here: every number in this package is float64
