"""What the page is about, in the sentences above its findings: they depend on the questions that were asked."""

from collections.abc import Iterator

from defectgen.study.run import Run

_MEASURES = (
    "The geometry error sums the differences of all bonds (root of the sum of squares, Å); the energy error is that of the "
    "formation energy (eV)."
)


def lead(run: Run) -> list[str]:
    """One sentence or two per kind of question."""
    only_diversity = "diversity" in run.others and run.results.empty
    return [*_questions(run), *([] if only_diversity else [_MEASURES])]


def _questions(run: Run) -> Iterator[str]:
    asked = set(run.results["study"])
    if asked & {"surrogates", "dislocations", "barriers"}:
        yield (
            "The forces are the reference's up to the radius L around the defect, and beyond it carry one controlled error, "
            "which leaves the named observations exact; the difference from the reference's equilibrium is the error shown here."
        )
    if not asked.issubset({"surrogates", "dislocations", "barriers"}):
        yield (
            "A potential is fitted to chosen observations on finite crystal cells; the defect is relaxed with the reference and "
            "with the fit; the difference is the error shown here. The training radius is that of the largest ball in the "
            "training cell, in nearest-neighbour spacings."
        )
    if "losses" in run.others:
        yield (
            "Labels are computed once; every loss (observations, weights, powers of the distance, strains, priors, robustness, "
            "rows held exactly) is then a small solve, and its model is relaxed like the reference."
        )
    if "design" in run.others:
        yield (
            "For every defect a loss is designed: weights that minimise its certificate; the reference is asked nothing in the "
            "large cell. Each designed loss is then tried on all defects, beside the default and other losses."
        )
    if "design_data" in run.others:
        yield (
            "Training data are chosen from a pool of candidates before any of it is labelled, within a budget, and compared with "
            "random data of the same cost."
        )
