"""The steps of an audit: one potential in the perfect crystal, two potentials in one crystal, and one defect with both."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._input import InputError, InputWarning
from ..._typing import Float, Int
from ...bridge import band_path, phonon_frequencies
from ...campaign import Given, Step
from ...campaign.files import unchanged
from ...crystal import Lattice, defect_from_name, primitive_cell, sc
from ...energy import BlackBox, evaluate
from ...energy.blackbox import own_force_constant
from ...energy.crystal_state import crystal_force_constants, crystal_response, crystal_state
from ...energy.elastic import elastic_constants
from ...energy.potential import Potential
from ...errors import bound, compare_on_both_lattices, force_constant_error
from ...reference import equilibrate
from ..bounds.steps import Measured, measured
from ..materials import Material, build_lattice
from ..tasks import Crystal, Rest, defect_cell, spelled, truth_of

NAME = "audit"
ALONE = 40.0
"""A: side of the box of a single atom, wider than twice the cutoff of any potential that is known."""
POINTS = 200
"""Wave vectors along the path of the bands."""


@dataclass(frozen=True, eq=False)
class BulkFound:
    """The perfect crystal at zero stress of one potential."""

    vectors: Float[np.ndarray, "3 3"]
    """Primitive vectors as rows, A."""
    motif: Float[np.ndarray, "atoms 3"]
    """A."""
    energy: float
    """eV per atom, in the potential's own zero."""
    alone: float | None
    """Mean energy of the isolated atoms, eV per atom; None if the potential has none."""
    elastic: Float[np.ndarray, "6 6"]
    """Relaxed-ion elastic constants, eV/A^3."""
    elastic_error: float | None
    """Of the finite differences behind them, eV/A^3; None if they are analytic."""

    def lattice(self, material: Material) -> Lattice:
        """The lattice at zero stress."""
        return replace(build_lattice(material), vectors=self.vectors, motif=self.motif)


@dataclass(frozen=True, eq=False, kw_only=True)
class Bulk(Step[BulkFound]):
    """Lattice, energy and elastic constants of one potential. Whether the crystal is stable is left to its phonons."""

    material: Material
    """Its reference is the potential."""

    @property
    def label(self) -> str:
        return f"{self.material.name}: perfect crystal"

    def run(self, given: Given) -> BulkFound:
        """Equilibrate, then differentiate."""
        unchanged(self.material.files)
        potential, lattice = truth_of(self.material), build_lattice(self.material)
        if self.material.equilibrate:
            lattice = equilibrate(lattice, potential)
        elastic = elastic_constants(lattice, potential)
        return BulkFound(
            lattice.vectors,
            lattice.motif,
            crystal_state(lattice, potential).energy,
            _isolated(lattice, potential),
            np.asarray(elastic),
            elastic.error,
        )


def _isolated(lattice: Lattice, potential: Potential) -> float | None:
    """Mean energy of the isolated atoms of a crystal, eV per atom; None where the potential refuses single atoms."""
    try:
        alone = {s: evaluate(potential, primitive_cell(sc(s, ALONE)), stress=False).energy for s in set(lattice.species)}
    except InputError:
        return None
    return float(np.mean([alone[symbol] for symbol in lattice.species]))


@dataclass(frozen=True, eq=False)
class VibrationsFound:
    """Force constants of one potential on its own lattice, and the frequencies of their waves (THz; unstable ones negative)."""

    pairs: Int[np.ndarray, "pairs 5"]
    """First and second sublattice, and the primitive cell of the second."""
    separations: Float[np.ndarray, "pairs 3"]
    """A."""
    phi: Float[np.ndarray, "pairs 3 3"]
    """eV/A^2."""
    axis: Float[np.ndarray, " points"]
    """Length along the path, 1/A."""
    ticks: Float[np.ndarray, " corners"]
    labels: tuple[str, ...]
    bands: Float[np.ndarray, "points modes"]
    mesh: Float[np.ndarray, "waves modes"]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Vibrations(Step[VibrationsFound]):
    """Force constants and phonons of one potential. The path is that of the reference's crystal, in reduced coordinates."""

    bulk: Bulk
    path: Bulk
    mesh: int

    @property
    def label(self) -> str:
        return f"{self.bulk.material.name}: phonons"

    @property
    def weight(self) -> float:
        return 2.0

    def run(self, given: Given) -> VibrationsFound:
        """Force constants, then their waves on the path and on a half-shifted mesh."""
        material = self.bulk.material
        lattice = given[self.bulk].lattice(material)
        constants = crystal_force_constants(lattice, truth_of(material))
        path = band_path(given[self.path].lattice(self.path.material), POINTS)
        ticks = (np.arange(self.mesh) + 0.5) / self.mesh - 0.5
        mesh = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), -1).reshape(-1, 3)
        mesh = mesh[: (len(mesh) + 1) // 2]  # the waves q and -q have the same frequencies
        return VibrationsFound(
            np.column_stack([constants.first, constants.second, constants.translations]),
            constants.separations,
            constants.phi,
            path.axis,
            path.ticks,
            path.labels,
            phonon_frequencies(lattice, constants, path.points),
            phonon_frequencies(lattice, constants, mesh),
            roughness(lattice, truth_of(material)),
        )


SMOOTH = 0.05
"""Relative change of a differenced force constant between the step and a quarter of it from which the step is named: the
truncation of a smooth potential is a hundred times less, and the noise of single precision a tenth."""


def roughness(lattice: Lattice, potential: Potential) -> tuple[str, ...]:
    """That force constants of another code depend on the displacement that they are differenced with, where they do."""
    if not isinstance(potential, BlackBox):
        return ()
    steps = potential.step, potential.step / 4
    first, second = (own_force_constant(lattice, potential, step) for step in steps)
    if abs(first - second) <= SMOOTH * max(abs(first), abs(second)):
        return ()
    return (
        "force constants depend on the displacement that they are taken with: the force on a displaced atom gives "
        f"{first:.3g} eV/A^2 with {steps[0]:g} A and {second:.3g} eV/A^2 with {steps[1]:g} A; the potential is not smooth at the "
        "perfect crystal, or its forces are noisy, so its phonons and elastic constants depend on the step",
    )


@dataclass(frozen=True)
class ConstantsError:
    """Norms of the difference of the force constants, both on the reference's lattice; see `dg.force_constant_error`."""

    l2: float
    """eV/A^2."""
    dual: float
    """eV/A^2."""
    long_wave: float
    """eV."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SameLattice(Step[ConstantsError]):
    """Force constants of both potentials on the lattice of the reference."""

    bulk: Bulk
    model: Material

    @property
    def label(self) -> str:
        return f"{self.bulk.material.name}: force constants on one lattice"

    def run(self, given: Given) -> ConstantsError:
        """Both, and the norms of their difference."""
        material = self.bulk.material
        found = force_constant_error(given[self.bulk].lattice(material), truth_of(material), truth_of(self.model))
        return ConstantsError(found.l2, found.dual, found.long_wave)


MODES = {
    "volume": np.eye(3),
    "uniaxial": np.diag([1.0, 0.0, 0.0]),
    "shear": np.array([[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]),
}
"""Strains of amplitude 1: all lengths; the first axis; the first two axes against each other (engineering strain)."""


@dataclass(frozen=True, eq=False)
class StrainedFound:
    """Energies and stresses of strained crystals; rows as MODES."""

    amplitudes: Float[np.ndarray, " amplitudes"]
    energies: Float[np.ndarray, "modes amplitudes"]
    """eV per atom, the relaxed crystal subtracted."""
    stresses: Float[np.ndarray, "modes amplitudes 3 3"]
    """Cauchy stress, tensile positive, eV/A^3; NaN from a calculator without a stress."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Strained(Step[StrainedFound]):
    """The crystal of one potential under finite strains. Atoms follow the strain: sublattices are not relaxed."""

    bulk: Bulk
    strain: float

    @property
    def label(self) -> str:
        return f"{self.bulk.material.name}: strained crystals"

    def run(self, given: Given) -> StrainedFound:
        """Evaluate every strain."""
        material = self.bulk.material
        potential, lattice = truth_of(material), given[self.bulk].lattice(material)
        amplitudes = np.linspace(-self.strain, self.strain, 11)
        stressed = potential.has_stress if isinstance(potential, BlackBox) else True
        rest = float(crystal_response(lattice, potential, stress=False)[0])
        energies, stresses = np.zeros((len(MODES), len(amplitudes))), np.full((len(MODES), len(amplitudes), 3, 3), np.nan)
        for m, mode in enumerate(MODES.values()):
            for a, amplitude in enumerate(amplitudes):
                strained = lattice.deformed(np.eye(3) + amplitude * mode)
                energy, _, virial = crystal_response(strained, potential, stress=stressed)
                energies[m, a] = (float(energy) - rest) / lattice.sublattices
                if virial is not None:
                    stresses[m, a] = -np.asarray(virial) / strained.volume
        return StrainedFound(amplitudes, energies, stresses)


@dataclass(frozen=True, eq=False)
class ComparedFound:
    """A defect with both potentials, in the two conventions of `dg.compare_on_both_lattices`."""

    atoms: int
    energies: tuple[float, float, float]
    """E - N E_bulk of the reference, of the model on the reference's lattice, and on its own, eV."""
    formation: bool
    """Whether these are formation energies (with the chemical potentials, if some were given)."""
    held: float
    """Model minus reference, eV, on the reference's lattice."""
    own: float
    """The same, each on its own lattice."""
    held_geometry: float
    """Norm of the differences of all bonds, A."""
    own_geometry: float
    pressure: float
    """Of the model's crystal on the reference's lattice, GPa."""
    same_basin: bool
    why_not: str
    saddle: bool
    """Whether the reference's equilibrium is no minimum."""
    exact: Rest
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Compared(Step[ComparedFound]):
    """One defect relaxed with both potentials."""

    crystal: Crystal
    model: Crystal
    """The crystal of the model: a defect in a crystal that is not stable is not relaxed."""
    defect: str
    size: Any
    chemical_potentials: tuple[dict[str, float], dict[str, float]]

    @property
    def label(self) -> str:
        return f"{self.crystal.material.name} {self.defect}, size {spelled(self.size)}: both potentials"

    @property
    def weight(self) -> float:
        return 4.0

    def run(self, given: Given) -> ComparedFound:
        """Relax three times, compare twice."""
        material = self.crystal.material
        lattice = given[self.crystal].lattice(material)
        mus = self.chemical_potentials if any(self.chemical_potentials) else None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = compare_on_both_lattices(
                defect_from_name(self.defect),
                lattice,
                self.size if isinstance(self.size, int) else np.array(self.size) if _rows(self.size) else tuple(self.size),
                truth_of(material),
                truth_of(self.model.material),
                chemical_potentials=mus,
            )
        three = (found.exact, found.on_reference, found.on_own)
        formation = True
        try:
            first, second, third = (one.formation_energy for one in three)
        except InputError:
            first, second, third = (one.energy for one in three)
            formation = False
        return ComparedFound(
            atoms=len(found.exact.cell),
            energies=(first, second, third),
            formation=formation,
            held=found.held.energy_signed,
            own=found.energy_own,
            held_geometry=found.held.geometry,
            own_geometry=found.geometry_own,
            pressure=found.pressure,
            same_basin=found.held.same_basin,
            why_not=found.held.why_not,
            saddle=bool(found.exact.is_saddle),
            exact=Rest.of(found.exact),
            remarks=tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, InputWarning))),
        )


def _rows(size: Any) -> bool:
    """Whether a size is a matrix."""
    return not isinstance(size[0], int)


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditBound(Step[Measured]):
    """All terms of the bound of the model, at the reference's equilibrium of a defect and on its lattice."""

    compared: Compared
    radius: float

    @property
    def after(self) -> tuple[Step[Any], ...]:
        """The equilibrium and the crystal of its cell."""
        return (self.compared.crystal, self.compared)

    @property
    def label(self) -> str:
        return f"{self.compared.crystal.material.name} {self.compared.defect}: terms of the bound"

    def run(self, given: Given) -> Measured:
        """Measure every term."""
        one = self.compared
        material = one.crystal.material
        cell = defect_cell(given[one.crystal].lattice(material), one.defect, one.size)
        exact = given[one].exact.at(cell)
        return measured(bound(exact, truth_of(material), truth_of(one.model.material), self.radius))
