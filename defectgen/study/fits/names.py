"""Entries of the column `study` of results.csv for fits to one relaxed cell and for the variants of their design."""

PURE, BEYOND = "fits: pure", "fits: beyond"
"""One potential everywhere, or the reference's forces within L and the fit's beyond."""
RELAXED, RATTLED = "fits: one relaxed cell", "fits: rattled copies too"
"""Ways to train in the study of floors."""
WAYS = {RELAXED: "one relaxed cell", RATTLED: "rattled copies too"}
"""The same in words."""
DESIGNED = "as designed"
"""The variant that changes nothing."""


def study_name(variant: str) -> str:
    """Pure fits of a variant: each has curves and rates of its own."""
    return f"{PURE}, {variant}"


def variant_name(study: str) -> str:
    """The variant of `study_name`."""
    return study.removeprefix(study_name(""))
