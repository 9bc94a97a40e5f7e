"""Question: what is each choice of a design worth? Every variant changes one of them, everything else stays."""

from ..campaign import Task
from .interface import Tables
from .plan import Kitchen
from .spec import RunSpec

NAME = "choices"
DESIGNED = "as designed"


def variants(spec: RunSpec) -> dict[str, RunSpec]:
    """The study as it is and each of its variants, by name."""
    if spec.choices is None:
        return {}
    return {DESIGNED: spec, **{name: spec.varied(change) for name, change in spec.choices.variants.items()}}


def plan(spec: RunSpec, kitchen: Kitchen) -> list[Task]:
    """One trial per variant, case, training size and observation set."""
    return [task for name, varied in variants(spec).items() for task in _trials(varied, name)]


def _trials(varied: RunSpec, name: str) -> list[Task]:
    assert varied.choices is not None
    kitchen = Kitchen(varied, "" if name == DESIGNED else name)
    sizes = varied.choices.sizes if name == DESIGNED else varied.choices.varied_at or varied.choices.sizes
    return [
        kitchen.trial(case, size, case.basis.degree, observations)
        for case in varied.cases
        if case.basis is not None
        for size in sorted(set(sizes))
        for observations in varied.observations
    ]


def variants_of(spec: RunSpec) -> dict[str, list[str]]:
    """Names of the variants that each trial, by its key, belongs to."""
    found: dict[str, list[str]] = {}
    for name, varied in variants(spec).items():
        for task in _trials(varied, name):
            found.setdefault(task.key, []).append(name)
    return found


def label(name: str) -> str:
    """What the study column of a variant's rows says: each variant has curves and rates of its own."""
    return f"{NAME}: {name}"


def curves(results: list[dict]) -> list[dict]:
    """The rows without those of variants that were carried out at one size only."""

    def curve(row: dict) -> tuple:
        return row["study"], row["material"], row["defect"]

    radii: dict[tuple, set[float]] = {}
    for row in results:
        radii.setdefault(curve(row), set()).add(row["training_radius"])
    ours = f"{NAME}: "
    return [row for row in results if len(radii[curve(row)]) > 1 or not row["study"].startswith(ours) or _designed(row)]


def _designed(row: dict) -> bool:
    return row["study"] == label(DESIGNED)


def worth(results: list[dict]) -> Tables:
    """Errors of every variant over those of the design, at the largest training size both have: the table `choices`."""
    base = {_key(row): row for row in results if row["study"] == label(DESIGNED)}
    largest: dict[tuple, int] = {}
    for row in results:
        if row["study"].startswith(f"{NAME}: ") and row["study"] != label(DESIGNED):
            place = _key(row)[:3]
            largest[place] = max(largest.get(place, 0), row["training_size"])
    rows = []
    for row in results:
        own = base.get(_key(row))
        if not row["study"].startswith(f"{NAME}: ") or own is None or row["training_size"] != largest.get(_key(row)[:3]):
            continue
        names = ("material", "defect", "dimension", "observations", "training_size", "training_radius", "training_atoms")
        errors = ("geometry_error", "energy_error", "rmse_forces", "converged", "same_basin")
        rows.append(
            {
                "choice": row["study"].removeprefix(f"{NAME}: "),
                **{name: row[name] for name in (*names, "basis_functions", *errors)},
                "geometry_ratio": _ratio(row["geometry_error"], own["geometry_error"]),
                "energy_ratio": _ratio(row["energy_error"], own["energy_error"]),
            }
        )
    return Tables(others={NAME: rows}) if rows else Tables()


def _key(row: dict) -> tuple:
    return row["material"], row["defect"], row["observations"], row["training_size"]


def _ratio(error: float, designed: float) -> float | None:
    return error / designed if designed else None
