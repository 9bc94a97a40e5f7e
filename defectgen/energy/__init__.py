"""What a site energy is; energy, forces, Hessian and force constants of cells and of the perfect crystal, for any potential."""

from typing import TYPE_CHECKING

from .._door import door

if TYPE_CHECKING:
    from .applicability import Applicability, DomainWarning, above, outside_sentence
    from .blackbox import BlackBox, Evaluation, blackbox_force_constants, displacements
    from .bonds import Bonds, bonds, pad
    from .crystal_state import CrystalState, crystal_force_constants, crystal_response, crystal_state, require_equilibrium
    from .elastic import ElasticConstants, elastic_constants
    from .forms import PackedBasis, SumEnergy
    from .functional import CellEnergy, cell_energy, evaluate, hessian
    from .perfect import (
        ForceConstants,
        bulk_energy,
        bulk_response,
        bulk_site_energies,
        crystal_bonds,
        force_constants,
        long_wave_elastic_constants,
    )
    from .potential import Potential
    from .site import SiteEnergy, Stencil, autodiff_gradient, autodiff_hessian
    from .total import channel_hessian_product, channel_rows, energy_forces_virial, hessian_product, site_energies

__all__ = [
    "Applicability",
    "BlackBox",
    "Bonds",
    "CellEnergy",
    "CrystalState",
    "DomainWarning",
    "ElasticConstants",
    "Evaluation",
    "ForceConstants",
    "PackedBasis",
    "Potential",
    "SiteEnergy",
    "Stencil",
    "SumEnergy",
    "above",
    "autodiff_gradient",
    "autodiff_hessian",
    "blackbox_force_constants",
    "bonds",
    "bulk_energy",
    "bulk_response",
    "bulk_site_energies",
    "cell_energy",
    "channel_hessian_product",
    "channel_rows",
    "crystal_bonds",
    "crystal_force_constants",
    "crystal_response",
    "crystal_state",
    "displacements",
    "elastic_constants",
    "energy_forces_virial",
    "evaluate",
    "force_constants",
    "hessian",
    "hessian_product",
    "long_wave_elastic_constants",
    "outside_sentence",
    "pad",
    "require_equilibrium",
    "site_energies",
]

__getattr__, __dir__ = door(__name__)
