"""Design a loss for one defect in one crystal, from a small training cell labelled with the crystal's reference."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from ..._input import InputError
from ...ace import ACEBasis
from ...crystal import Cell, Lattice, defect_from_name, supercell
from ...energy.bonds import check_species
from ...energy.potential import Potential
from ...errors.design import LossDesign, design_loss
from ...fit import FitWarning, fit
from ...reference import equilibrate
from ...relax import Equilibrium, relax
from ...training import label, training_cells
from ...training.observations import spell_observations
from ..certificates.steps import RICHER_PRIOR
from ..materials import build_lattice, build_reference, material
from ..settings import with_potentials

REACH = 2.1
"""Cutoff of the basis in nearest-neighbour spacings, if none is given: two shells of bcc and fcc, three of diamond."""

RICHER = 2.0
"""Degrees that the richer basis has more."""


@dataclass(frozen=True, eq=False)
class Designed:
    """A loss for one defect, and a run file that uses it."""

    lattice: Lattice
    """At zero stress."""
    truth: Potential
    wide: ACEBasis
    """That of the richer fit."""
    loss: LossDesign
    cell: Cell
    """In which the defect was relaxed with the models."""
    study: str
    """Text of a run file: the defect, the basis, the weights, and training cells of some sizes."""
    held_out: tuple[str, ...] = ()
    """Names of the defects that stopped the design."""
    potentials: dict[str, float] | None = None
    """Chemical potentials of the atoms that the defect exchanges, eV per atom."""


def design_for(
    name: str,
    defect: str,
    *,
    size: int = 3,
    simulation: int | None = None,
    degree: float = 8,
    cutoff: float | None = None,
    observations: str = "E+F+FC+V",
    share: float = 0.5,
    chemical_potentials: Mapping[str, float] | None = None,
    held_out: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Designed:
    """Weights for `defect` in the material `name`, trained in cells of `size`, judged in a cell of `simulation` (size + 2).

    The reference labels the training cells and relaxes the defects `held_out` in cells of `size`, by default vacancies and a
    divacancy; it computes nothing in the larger cell. The design ends where the errors of these defects are smallest. Raises
    InputError for names, sizes and sets that make no sense, and if the defect is not stable under the default loss.
    """
    given = with_potentials(material(name, Path.cwd()), defect, chemical_potentials)
    observations = spell_observations(observations.split("+"))
    if size < 1 or (simulation is not None and simulation < size):
        raise InputError(
            f"a design needs a training size of at least 1 and no smaller simulation cell; got {size} and {simulation}"
        )
    truth = build_reference(given)
    edit, lattice = defect_from_name(defect), build_lattice(given)
    check_species(truth, edit.apply(supercell(lattice, size)).symbols)
    progress(f"{name}: lattice constant and defect")
    lattice = equilibrate(lattice, truth) if given.equilibrate else lattice
    reach = REACH * lattice.nearest_neighbour if cutoff is None else cutoff
    small, cell = (edit.apply(supercell(lattice, n)) for n in (size, simulation or size + 2))
    species = tuple(dict.fromkeys((*lattice.species, *cell.symbols)))
    wide, own = (ACEBasis(species, cutoff=reach, order=3, degree=d) for d in (degree + RICHER, degree))
    rest = relax(small, truth, chemical_potentials=given.potentials)
    cells = training_cells(
        lattice,
        edit,
        size,
        displacement=rest.displacement,
        rattle={"configurations": 3, "amplitude": 0.015},
        strains={"amplitudes": (0.005, 0.01)},
    )
    others = _relaxed_others(lattice, truth, size, _others(defect, lattice, held_out), given.potentials, progress)
    progress(f"labels and rows of {len(cells)} configurations for {wide.size} functions")
    blocks = label(cells, truth, wide, observations.split("+"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # a pilot may have fewer rows than it needs; the certificate says so
        pilot = fit(blocks.restrict(wide.columns_of(own), own), observations)
        richer = fit(blocks, observations, prior=RICHER_PRIOR)
        progress(f"pilot with {own.size} functions, relaxed in {len(cell)} atoms")
        approx = relax(cell, pilot.model, eigenvalue=False, chemical_potentials=given.potentials)
        progress("weights")
        try:
            loss = design_loss(pilot, approx, richer=richer, share=share, held_out=list(others.values()))
        except InputError as error:
            raise InputError(
                f"a loss is designed from a pilot that holds the defect, and the one of degree {degree:g} does not ({error}); "
                "raise --degree or --size"
            ) from None
    study = _study(name, defect, size, simulation or size + 2, degree, reach, observations, loss, given.potentials)
    return Designed(lattice, truth, wide, loss, cell, study, tuple(others), given.potentials)


def _others(defect: str, lattice: Lattice, held_out: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the defects that stop the design. Raises InputError for none, unknown ones and the defect itself."""
    if held_out is None:
        species = tuple(dict.fromkeys(lattice.species))
        usual = ("vacancy",) if len(species) == 1 else tuple(f"vacancy({s})" for s in species)
        return tuple(name for name in (*usual, "divacancy") if name != defect)
    if not held_out:
        raise InputError("a design is stopped by at least one other defect; got none")
    if defect in held_out:
        raise InputError(f"{defect} is the defect that the loss is designed for, and cannot stop it; leave it out of the others")
    for name in held_out:
        defect_from_name(name)
    return tuple(dict.fromkeys(held_out))


def _relaxed_others(
    lattice: Lattice,
    truth: Potential,
    size: int,
    names: Sequence[str],
    potentials: dict[str, float] | None,
    progress: Callable[[str], None],
) -> dict[str, Equilibrium]:
    """The other defects relaxed with the reference; those that do not settle are left out, and named."""
    found = {}
    for name in names:
        progress(f"held-out defect: {name}, relaxed with the reference")
        cell = defect_from_name(name).apply(supercell(lattice, size))
        check_species(truth, cell.symbols)
        rest = relax(cell, truth, chemical_potentials=potentials)
        if rest.converged and not rest.is_saddle:
            found[name] = rest
        else:
            progress(f"{name} is left out: {rest.message}")
    if not found:
        raise InputError(f"none of the held-out defects {', '.join(names)} rests with the reference; name others (--held-out)")
    return found


def _study(
    name: str,
    defect: str,
    size: int,
    simulation: int,
    degree: float,
    cutoff: float,
    observations: str,
    loss: LossDesign,
    potentials: dict[str, float] | None,
) -> str:
    """The run file; weights are rounded."""
    weights = {
        f"{k}:{g}": float(np.format_float_scientific(w, 3)) for k, groups in loss.weights.items() for g, w in groups.items()
    }
    basis = {"cutoff": round(cutoff, 3), "order": 3, "degree": degree}
    case: dict[str, Any] = {"material": name, "defect": defect, "simulation_size": simulation, "basis": basis}
    if potentials:
        case["chemical_potentials"] = potentials
    return tomli_w.dumps(
        {
            "name": f"{name}-designed",
            "title": f"A loss designed for {defect} in {name}",
            "observations": [observations],
            "cases": [case],
            "training": {"configurations": 3, "rattle": 0.015, "virial_strains": [0.005, 0.01]},
            "fit": {"weights": weights},
            "cell_size": {"sizes": sorted({max(1, size - 1), size, size + 1})},
        }
    )
