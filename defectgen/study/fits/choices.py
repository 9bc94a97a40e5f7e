"""Question: what does each choice behind the rates of fits do to them? An ablation of rattles, prior, weights and basis."""

from collections.abc import Iterator

from ...campaign import Given
from ..fitting import Fits
from ..interface import Study, Tables
from ..materials import build_lattice
from ..page import Page
from ..rates import prediction, rates
from ..run import Run
from ..spec import RunSpec
from ..windows import first_radius
from .checks import check_case, check_radii, smallest
from .names import DESIGNED, study_name
from .settings import FitChoices
from .steps import PureFit
from .tables import pure_tables

NAME = "fit_choices"


class FitChoicesStudy(Study[FitChoices]):
    """Pure fits as designed and with each choice changed alone: a curve per variant, case and observation set."""

    name = NAME
    settings = FitChoices
    fits = True

    def check(self, spec: RunSpec, asked: FitChoices) -> None:
        """Raises InputError for references without site energies, radii out of the window, and variants that make no sense."""
        for case in spec.cases:
            check_case(spec, case)
            check_radii(asked.of(case.material.name), f"{NAME}.radii", case, case.simulation_size)
        _designs(spec, asked)

    def plan(self, spec: RunSpec, asked: FitChoices) -> list[PureFit]:
        """The fits of every variant."""
        return [step for _, step in _steps(spec, asked)]

    def tables(self, spec: RunSpec, asked: FitChoices, given: Given) -> Tables:
        """Lines of results.csv and the rates of every variant."""
        found = Tables()
        for name in (DESIGNED, *asked.variants):
            found += pure_tables((step for own, step in _steps(spec, asked) if own == name), given, study_name(name))
        lattices = {case.material.name: build_lattice(case.material) for case in spec.cases}
        begins = {(case.material.name, case.defect): first_radius(case) for case in spec.cases}
        slopes = rates(
            found.results,
            lambda row, quantity, radii: prediction(row["observations"], quantity, lattices[row["material"]], "fit"),
            lambda row: begins[row["material"], row["defect"]],
            resolution=lambda row: 0.0,  # as for pure fits: the images of a training cell scale with it
        )
        return found + Tables(rates=slopes)

    def page(self, run: Run) -> Page:
        """The curves of every variant over those of the design, a table and sentences."""
        rows = run.results[run.results["study"].str.startswith(study_name(""))]
        if rows.empty:
            return Page()
        from .choices_words import choices_page

        return choices_page(rows, run.rates[run.rates["study"].str.startswith(study_name(""))])


def _designs(spec: RunSpec, asked: FitChoices) -> dict[str, RunSpec]:
    changed = {
        name: spec.varied(each.training, each.fit, each.basis, f"{NAME}.variants.{name}") for name, each in asked.variants.items()
    }
    return {DESIGNED: spec, **changed}


def _steps(spec: RunSpec, asked: FitChoices) -> Iterator[tuple[str, PureFit]]:
    """The fits, each with the name of its variant."""
    for name, varied in _designs(spec, asked).items():
        fits = Fits(varied, "" if name == DESIGNED else name)
        for case in varied.cases:
            lattice = build_lattice(case.material)
            assert case.basis is not None  # the specification refuses a case without one
            for size in sorted({smallest(lattice, radius) for radius in asked.of(case.material.name)}):
                rows = fits.rows(case, size)
                for observations in varied.observations:
                    yield (
                        name,
                        PureFit(
                            crystal=rows.crystal,
                            exact=fits.exact(case, case.simulation_size, False),
                            rows=rows,
                            basis=fits.basis(case, case.basis.degree),
                            observations=observations,
                            fit=varied.fit,
                        ),
                    )
