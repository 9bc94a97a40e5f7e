"""Which losses a study compares: the designs of [fit], then the grids, each once and named; which rows have weights."""

from typing import Any

import numpy as np

from ..._input import InputError
from ...fit import DEFAULT_WEIGHTS, Loss, losses, spelled
from ...training.observations import INTERNAL, TARGETS, parts_of
from ..materials import build_lattice
from ..settings import Case
from ..spec import RunSpec
from .settings import LossStudy

NAME = "loss"


def designs(spec: RunSpec) -> list[Loss]:
    """The loss of [fit] on each observation set of the study; what others are compared with is that of the largest set."""
    return [canonical(Loss(s, spec.fit.weights, prior=spec.fit.prior, solver=spec.fit.solver)) for s in spec.observations]


def default_of(spec: RunSpec) -> Loss:
    """The design with the most kinds of observation."""
    return max(designs(spec), key=lambda loss: loss.observations.count("+"))


def listed(spec: RunSpec) -> list[Loss]:
    """All losses of a study, each once: the designs, then the grids, which vary them. Raises InputError for an empty grid."""
    asked = spec.asked(LossStudy)
    if asked is None:
        return []
    found = designs(spec)
    for grid in asked.grids:
        common: dict[str, Any] = {"observations": list(spec.observations), "prior": spec.fit.prior, "solver": spec.fit.solver}
        settings = {**common, **grid, "weights": {**spec.fit.weights, **grid.get("weights", {})}}
        settings["prior"] = _priors(settings["prior"])
        settings["weights"] = dict(sorted(settings["weights"].items()))  # a file that is written back orders its keys anew
        made = [canonical(each) for each in losses(**dict(sorted(settings.items())))]
        if grid.get("name") and len(made) > 1:
            raise InputError(
                f"loss.grids: a name belongs to one loss, and the grid {grid['name']!r} makes {len(made)}; leave it out"
            )
        found += made
    listed = [loss for place, loss in enumerate(found) if loss not in found[:place]]
    names = [called(spec, loss) for loss in listed]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(
            f"loss.grids: two losses are called {twice[0]!r} and their results would have one name; give them different names"
        )
    return listed


def _priors(given: Any) -> Any:
    """A prior or several; "none" in a file means that there is none."""
    return [_priors(each) for each in given] if isinstance(given, list) else None if given == "none" else given


def called(spec: RunSpec, loss: Loss) -> str:
    """A loss in short: its name, or its observations and what is not as designed."""
    if loss.name:
        return loss.name
    design = canonical(Loss(loss.observations, spec.fit.weights, prior=spec.fit.prior, solver=spec.fit.solver))
    plain = {"prior": None, "solver": "qr"} | design.settings
    other = {
        key: value for key, value in loss.settings.items() if plain.get(key) != value and key not in ("observations", "weights")
    }
    other |= {key: getattr(loss, key) for key in ("prior", "solver") if getattr(loss, key) != getattr(design, key)}
    weights = {key: value for key, value in loss.weights.items() if design.weights.get(key) != value}
    weights |= {key: DEFAULT_WEIGHTS[key] for key in design.weights if key not in loss.weights and ":" not in key}
    short = spelled(({"weights": weights} if weights else {}) | other)
    return f"{loss.observations}, {short}" if short else loss.observations


def label(spec: RunSpec, loss: Loss) -> str:
    """The entry of a loss in the column `study`."""
    return f"{NAME}: {called(spec, loss)}"


def canonical(loss: Loss) -> Loss:
    """The loss without settings that act on nothing: weights of kinds that it leaves out, and those that are the default."""
    kinds = {*parts_of(loss.observations.split("+")), *TARGETS}

    def acts(key: str, value: Any) -> bool:
        kind = key.partition(":")[0]
        return kind in kinds and not (kind == key and DEFAULT_WEIGHTS[kind] == value)

    has = loss.observations.split("+")
    return Loss(
        loss.observations,
        {key: value for key, value in loss.weights.items() if acts(key, value)},
        force_distance_power=loss.force_distance_power if "F" in has else 0.0,
        force_constant_range_power=loss.force_constant_range_power if "FC" in has else 0.0,
        strains=loss.strains if "V" in has else None,
        strain_pairs=loss.strain_pairs or "V" not in has,
        robust=loss.robust,
        weight=loss.weight,
        residual=loss.residual,
        prior=loss.prior,
        solver=loss.solver,
        constraints=loss.constraints,
        name=loss.name,
    )


def check(spec: RunSpec, case: Case) -> None:
    """Raises InputError for weights and strains that apply to no row of a case, and for powers in [training]."""
    training, several = spec.training, build_lattice(case.material).sublattices > 1
    if training.force_distance_power or training.force_constant_range_power:
        raise InputError(
            "a loss study weighs by distance late: take the powers out of [training] and vary them in [[loss.grids]]"
        )
    groups = {
        "E": ["defect", "bulk"],
        "F": ["defect"] + ["bulk"] * several,
        "FC": ["bulk"] + ["defect-core"] * bool(training.core_atoms),
        "V": ["strain"],
        INTERNAL: ["strain"] * several,
        "V0": ["bulk"],
        "C": ["bulk"],
        "Ef": ["defect"],
    }
    asked = spec.asked(LossStudy)
    for loss in listed(spec):
        if loss.residuals and asked is not None and asked.subdivide != "rows":
            raise InputError(
                f"loss.grids: the residual loss {loss.residual!r} needs every row; give subdivide = 'rows' in [loss]"
            )
        for key in loss.weights:
            kind, _, group = key.partition(":")
            if not groups[kind] or (group and group not in groups[kind]):
                known = ", ".join(f"{k}:{g}" for k, own in groups.items() for g in own)
                raise InputError(
                    f"loss.grids: the weight of {key} has no rows to act on in {case.material.name} (there are {known})"
                )
        if missing := [a for a in loss.strains or () if not any(np.isclose(a, training.virial_strains))]:
            known = ", ".join(f"{a:g}" for a in training.virial_strains)
            raise InputError(f"loss.grids: strains of {missing[0]:g} are not among training.virial_strains ({known})")
