"""The table of an ablation: choices.csv, and which rows of results.csv make curves."""

from ..interface import Tables

NAME = "choices"
DESIGNED = "as designed"


def study_name(variant: str) -> str:
    """The entry of a variant in the column `study`: each variant has its own curves and rates."""
    return f"{NAME}: {variant}"


def curves(results: list[dict]) -> list[dict]:
    """The rows without those of variants that were carried out at one size only."""

    def curve(row: dict) -> tuple:
        return row["study"], row["material"], row["defect"]

    radii: dict[tuple, set[float]] = {}
    for row in results:
        radii.setdefault(curve(row), set()).add(row["training_radius"])
    ours = study_name("")
    return [row for row in results if len(radii[curve(row)]) > 1 or not row["study"].startswith(ours) or _designed(row)]


def _designed(row: dict) -> bool:
    return row["study"] == study_name(DESIGNED)


def worth(results: list[dict]) -> Tables:
    """Errors of every variant over those of the design, at the largest training size both have: the table `choices`."""
    base = {_key(row): row for row in results if row["study"] == study_name(DESIGNED)}
    largest: dict[tuple, int] = {}
    for row in results:
        if row["study"].startswith(study_name("")) and row["study"] != study_name(DESIGNED):
            place = _key(row)[:3]
            largest[place] = max(largest.get(place, 0), row["training_size"])
    rows = []
    for row in results:
        own = base.get(_key(row))
        if not row["study"].startswith(study_name("")) or own is None or row["training_size"] != largest.get(_key(row)[:3]):
            continue
        names = ("material", "defect", "dimension", "observations", "training_size", "training_radius", "training_atoms")
        errors = ("geometry_error", "energy_error", "rmse_forces", "converged", "same_basin")
        rows.append(
            {
                "choice": row["study"].removeprefix(study_name("")),
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
