"""Labels and design rows of one training set, for the largest basis of a run: smaller bases are a selection of columns."""

from dataclasses import dataclass

from ...campaign import Given, Step
from ...crystal import Cell, defect_from_name
from ...energy.site import SiteEnergy
from ...training import Blocks, label, training_cells
from ...training.blocks import Block
from ...training.observations import ELASTIC, FORMATION, KINDS
from ..materials import build_lattice
from ..settings import Basis, Training
from .cells import defect_cell, truth_of
from .crystal import Crystal
from .exact import Exact


@dataclass(frozen=True, eq=False)
class Rows:
    """Compressed rows of a training set."""

    blocks: tuple[Block, ...]
    truth: str
    """Name of the reference that gave the labels."""
    radius: float
    """Of the training cell, nearest-neighbour spacings."""
    atoms: int
    """Of the training cell."""
    held: tuple[tuple[Block, ...], ...] = ()
    """Rows of the configurations that the fit is tested on by leaving them out, one configuration at a time."""

    def of(self, basis: Basis, full: Basis, cell: Cell) -> Blocks:
        """The rows for a basis; `full` is the basis that they were made for, `cell` names the species."""
        whole, part = full.build(cell), basis.build(cell)
        return Blocks(whole, self.blocks, self.truth, held=self.held).restrict(whole.columns_of(part), part)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingRows(Step[Rows]):
    """Rows of the training set of one size."""

    crystal: Crystal
    rest: Exact | None
    """The relaxed defect in the training cell; None: training cells are not relaxed."""
    defect: str
    training_size: int
    """Conventional cells along each side of the training cell."""
    basis: Basis
    """The largest of the run."""
    training: Training
    subdivide: bool | str = False
    """Whether rows are kept apart that losses weigh apart, and how (see `label`)."""
    elastic: bool = False
    """Whether a set of the run holds the elastic constants, "E+F+C"."""
    formation: bool = False
    """Whether a fit of the run weighs the formation energy of the training cell, Ef."""
    variant: str = ""
    """Name of the variant of a study, for the label."""

    apart = ("study", "variant")

    @property
    def label(self) -> str:
        parts, variant = ", in parts" if self.subdivide else "", f", {self.variant}" if self.variant else ""
        return f"{self.crystal.material.name} {self.defect} training rows{parts}, size {self.training_size}{variant}"

    @property
    def weight(self) -> float:
        return 1.0 + self.training_size ** build_lattice(self.crystal.material).dimension / 8

    def run(self, given: Given) -> Rows:
        """Make the cells, label them with the reference, compress the rows."""
        lattice = given[self.crystal].lattice(self.crystal.material)
        displacement = None
        if self.rest is not None:
            displacement = given[self.rest].positions - defect_cell(lattice, self.defect, self.training_size).positions
        cells = training_cells(
            lattice,
            defect_from_name(self.defect),
            self.training_size,
            self.training.seed,
            displacement=displacement,
            rattle=self.training.rattles(),
            strains=self.training.strains(),
        )
        truth, cell = truth_of(self.crystal.material), cells[0].cell
        elastic = self.elastic or (self.subdivide and isinstance(truth, SiteEnergy))
        targets = (*((ELASTIC,) if elastic else ()), *((FORMATION,) if self.subdivide or self.formation else ()))
        blocks = label(
            cells,
            truth,
            self.basis.build(cell),
            (*KINDS, *targets),
            force_distance_power=self.training.force_distance_power,
            force_constant_range_power=self.training.force_constant_range_power,
            core_atoms=self.training.core_atoms,
            subdivide=self.subdivide,
        )
        return Rows(tuple(blocks.items), blocks.truth, cell.radius, len(cell), tuple(tuple(each) for each in blocks.held))
