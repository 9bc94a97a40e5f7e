"""The tables of an audit: the scorecard, and the curves behind its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...campaign import Given
from ...units import EV_PER_A3_IN_GPA
from ..barriers.steps import Hop
from ..interface import Tables
from ..materials import Material
from ..settings import Case
from .scorecard import (
    STRESSES,
    Number,
    bound_numbers,
    bulk_numbers,
    constants_numbers,
    defect_numbers,
    pair,
    phonon_numbers,
    strain_numbers,
)
from .steps import (
    MODES,
    NAME,
    AuditBound,
    Bulk,
    Compared,
    ComparedFound,
    SameLattice,
    Strained,
    StrainedFound,
    Vibrations,
    VibrationsFound,
)
from .words import answer

BINS = 240
"""Frequencies of the density of states."""
BROAD = 0.018
"""Width of a wave in the density of states, of the highest frequency."""
SHELL = 0.02
"""Nearest-neighbour spacings: pairs that are so close in length are one shell."""


@dataclass(frozen=True, eq=False)
class CrystalPlan:
    """The steps about one crystal with both potentials."""

    material: Material
    bulk: tuple[Bulk, Bulk]
    vibrations: tuple[Vibrations, Vibrations]
    constants: SameLattice
    strained: tuple[Strained, Strained]
    names: tuple[str, str]
    """Reference and model, as people read them."""


@dataclass(frozen=True, eq=False)
class DefectPlan:
    """The steps about one defect with both potentials, the largest cell last."""

    case: Case
    compared: tuple[Compared, ...]
    hops: tuple[Hop, Hop] | None
    bound: AuditBound | None


def tables(crystals: Sequence[CrystalPlan], defects: Sequence[DefectPlan], given: Given) -> Tables:
    """audit.csv and the others; a step without a result is left out."""
    scorecard, about, failures = [], [], []
    others: dict[str, list[dict]] = {
        name: [] for name in ("bands", "corners", "states", "constants", "strains", "cells", "terms")
    }
    results = []
    for crystal in crystals:
        numbers: list[Number] = []
        name = crystal.material.name
        bulk = _both(crystal.bulk, given)
        if bulk is not None:
            numbers += bulk_numbers(crystal.material, *bulk)
        waves = _both(crystal.vibrations, given)
        for step in crystal.vibrations:
            if (found := given.get(step)) is not None:
                failures += [{"label": step.label, "reason": reason} for reason in found.remarks]
        if waves is not None:
            numbers += phonon_numbers(*waves)
            others["bands"] += _bands(name, *waves)
            others["corners"] += [
                {"material": name, "place": place, "label": label}
                for place, label in zip(waves[0].ticks.tolist(), waves[0].labels, strict=True)
            ]
            others["states"] += _states(name, *waves)
        if waves is not None and bulk is not None:
            spacings = [found.lattice(crystal.material).nearest_neighbour for found in bulk]
            others["constants"] += _constants(name, waves, spacings)
        if (constants := given.get(crystal.constants)) is not None:
            numbers += constants_numbers(constants)
        strained = _both(crystal.strained, given)
        if strained is not None:
            numbers += strain_numbers(*strained)
            others["strains"] += _strains(name, *strained)
        for defect in (d for d in defects if d.case.material.name == name):
            for step in defect.compared:
                if (found := given.get(step)) is None:
                    continue
                numbers += defect_numbers(defect.case.defect, found)
                others["cells"].append(_cell(defect.case, found))
                results += _lines(defect.case, found, given.seconds(step))
                failures += [{"label": step.label, "reason": reason} for reason in _remarks(found)]
            if defect.hops is not None and (hops := _both(defect.hops, given)) is not None:
                case = f"{defect.case.defect}, {len(hops[0].minimum.positions)} atoms"
                numbers.append(
                    pair("barrier", "migration barrier, each on its own lattice", "eV", (h.barrier for h in hops), case)
                )
            if defect.bound is not None and (found := given.get(defect.bound)) is not None:
                numbers += bound_numbers(defect.case.defect, found)
                others["terms"] += [
                    {"material": name, "defect": defect.case.defect, "radius": defect.bound.radius, **_term(term)}
                    | {"floor": found.floor, "energy_floor": found.energy_floor}
                    for term in found.terms
                ]
        rows = [number.row(name) for number in numbers]
        scorecard += rows
        said = answer(name, *crystal.names, rows, [row for row in others["terms"] if row["material"] == name])
        about.append({"material": name, "reference": crystal.names[0], "model": crystal.names[1], "answer": said})
    card = {
        "materials": [
            {
                **line,
                "quantities": [{k: v for k, v in row.items() if k != "material"} for row in scorecard if row["material"] == m],
            }
            for line in about
            if (m := line["material"])
        ]
    }
    found = {NAME: scorecard, f"{NAME}_about": about, **{f"{NAME}_{name}": rows for name, rows in others.items()}}
    return Tables(
        results,
        failures=failures,
        others={k: v for k, v in found.items() if v},
        documents={"scorecard": card} if scorecard else {},
        answers=[line["answer"] for line in about] if scorecard else [],
    )


def _both(steps: Sequence[Any], given: Given) -> list[Any] | None:
    """The results for both potentials, if both are there."""
    found = [given.get(step) for step in steps]
    return None if any(each is None for each in found) else found


def _bands(name: str, reference: VibrationsFound, model: VibrationsFound) -> Iterator[dict]:
    for place, own, other in zip(reference.axis.tolist(), reference.bands.tolist(), model.bands.tolist(), strict=True):
        for band, (one, two) in enumerate(zip(own, other, strict=True)):
            yield {"material": name, "path": place, "band": band, "reference": one, "model": two}


def _states(name: str, reference: VibrationsFound, model: VibrationsFound) -> Iterator[dict]:
    """Densities of states (1/THz per atom, so that the area is 3), every wave a Gaussian."""
    top = max(found.mesh.max() for found in (reference, model))
    low = min(0.0, *(found.mesh.min() for found in (reference, model)))
    grid, width = np.linspace(1.05 * low, 1.05 * top, BINS), BROAD * top
    edges = np.linspace(low - 1e-9, top + 1e-9, 4001)
    middle = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-0.5 * ((grid[:, None] - middle) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    curves = [3.0 * kernel @ np.histogram(found.mesh, edges)[0] / found.mesh.size for found in (reference, model)]
    for row in zip(grid.tolist(), *(curve.tolist() for curve in curves), strict=True):
        yield {"material": name, **dict(zip(("frequency", "reference", "model"), row, strict=True))}


def _constants(name: str, waves: Sequence[VibrationsFound], spacings: Sequence[float]) -> Iterator[dict]:
    """Norms of the force constants by distance (nearest-neighbour spacings of each crystal): both, and their difference."""
    found: dict[tuple[int, ...], list[Any]] = {}
    for which, (wave, spacing) in enumerate(zip(waves, spacings, strict=True)):
        for key, separation, phi in zip(map(tuple, wave.pairs.tolist()), wave.separations, wave.phi, strict=True):
            line = found.setdefault(key, [0.0, np.zeros((3, 3)), np.zeros((3, 3))])
            line[0] = line[0] or float(np.linalg.norm(separation)) / spacing
            line[1 + which] = line[1 + which] + phi
    lines = sorted(found.values(), key=lambda line: line[0])
    shells: list[list[Any]] = []
    for line in lines:
        if line[0] < SHELL:
            continue  # an atom with itself: minus the sum of the others
        if not shells or line[0] - shells[-1][0][0] > SHELL:
            shells.append([])
        shells[-1].append(line)
    for shell in shells:
        norm = [float(np.sqrt(sum(np.sum(value(line) ** 2) for line in shell))) for value in (_first, _second, _gap)]
        if max(norm[:2]) > 0:
            yield {
                "material": name,
                "distance": float(np.mean([line[0] for line in shell])),
                "pairs": len(shell),
                "reference": norm[0],
                "model": norm[1],
                "difference": norm[2],
            }


def _first(line: list[Any]) -> np.ndarray:
    return line[1]


def _second(line: list[Any]) -> np.ndarray:
    return line[2]


def _gap(line: list[Any]) -> np.ndarray:
    return line[2] - line[1]


def _strains(name: str, reference: StrainedFound, model: StrainedFound) -> Iterator[dict]:
    for m, mode in enumerate(MODES):
        i, j = STRESSES[mode]
        for a, amplitude in enumerate(reference.amplitudes.tolist()):
            stress = [float(found.stresses[m, a, i, j] * EV_PER_A3_IN_GPA) for found in (reference, model)]
            yield {
                "material": name,
                "mode": mode,
                "strain": amplitude,
                "reference_energy": float(reference.energies[m, a]),
                "model_energy": float(model.energies[m, a]),
                "reference_stress": stress[0] if np.isfinite(stress[0]) else None,
                "model_stress": stress[1] if np.isfinite(stress[1]) else None,
            }


def _cell(case: Case, found: ComparedFound) -> dict:
    reference, held, own = found.energies if found.formation else (None, None, None)
    return {
        "material": case.material.name,
        "defect": case.defect,
        "atoms": found.atoms,
        "reference": reference,
        "model_own_lattice": own,
        "model_reference_lattice": held,
        "difference_own_lattice": found.own,
        "difference_reference_lattice": found.held,
        "geometry_own_lattice": found.own_geometry,
        "geometry_reference_lattice": found.held_geometry,
        "pressure": found.pressure,
        "same_basin": found.same_basin,
        "defined": found.formation,
    }


def _lines(case: Case, found: ComparedFound, seconds: float) -> Iterator[dict]:
    """Lines of results.csv."""
    for lattice, energy, geometry in (("reference", found.held, found.held_geometry), ("own", found.own, found.own_geometry)):
        yield {
            "study": f"{NAME}: {lattice} lattice",
            "material": case.material.name,
            "defect": case.defect,
            "dimension": 3,
            "observations": "",
            "simulation_atoms": found.atoms,
            "geometry_error": geometry,
            "energy_error": abs(energy),
            "converged": True,
            "same_basin": found.same_basin,
            "seconds": seconds,
        }


def _remarks(found: ComparedFound) -> Iterator[str]:
    """Remarks that are needed to read the numbers correctly."""
    if not found.same_basin:
        yield f"the model rests in another basin than the reference: {found.why_not}"
    if found.saddle:
        yield "the reference rests at a saddle point; its defect is no minimum"
    yield from found.remarks


def _term(term: Any) -> dict:
    return {
        "term": term.term,
        "symbol": term.symbol,
        "value": term.value,
        "unit": term.unit,
        "geometry_response": term.geometry_response,
        "geometry_contribution": term.geometry_contribution,
        "energy_contribution": term.energy_contribution,
        "group": term.group,
        "joint_response": term.joint_response,
        "energy_group": term.energy_group,
        "joint_energy": term.joint_energy,
    }
