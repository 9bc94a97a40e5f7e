"""How far can a fitted interatomic potential be trusted beyond its training data?

`import defectgen as dg` gives, in the order in which data flows: lattices, references, defects and cells, the ACE basis,
labels and rows, fits, relaxation, errors and rates, and the doors to ASE. Each is imported when it is first used.
"""

import os
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING

from . import kernel
from ._compiled import share_cache
from ._door import door


def _quick_to_compile() -> str:
    """XLA_FLAGS with what shortens the time that XLA takes to compile for processors, and leaves what it writes as fast.

    The older of its two ways to write loops; and fewer passes of LLVM, which only design rows would miss: so where the compiled
    kernel makes these, and not where other devices, which would miss the passes too, are computed on. What the user set stays.
    Nothing for other versions of jaxlib than those that are known to have both flags: XLA ends the process for one it does not
    know.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if not version("jaxlib").startswith("0.10."):
        return flags
    wanted = {"xla_cpu_use_fusion_emitters": "false"}
    if kernel.refused() is None and not entry_points(group="jax_plugins"):
        wanted["xla_backend_optimization_level"] = "1"
    return " ".join([flags, *(f"--{name}={value}" for name, value in wanted.items() if name not in flags)]).strip()


def _home() -> str:
    """The user's home. ASE looks there for its settings and fails without one; nothing can be found or written in this one."""
    try:
        return str(Path.home())
    except RuntimeError:  # no HOME, and a user that the system does not know, as in some containers
        return os.devnull


def _compute_in_float64() -> None:
    """Every number in this package is float64. JAX reads its environment when it is imported; one that is imported is told."""
    os.environ["JAX_ENABLE_X64"] = "1"
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.config.update("jax_enable_x64", True)


os.environ.setdefault("HOME", _home())
os.environ["XLA_FLAGS"] = _quick_to_compile()  # XLA reads it when it makes its first array
_compute_in_float64()
share_cache()

if TYPE_CHECKING:
    from . import ace as ace
    from . import bridge as bridge
    from . import campaign as campaign
    from . import crystal as crystal
    from . import dataset, reference
    from . import elastic as elastic
    from . import energy as energy
    from . import errors as errors
    from . import observe as observe
    from . import plot as plot
    from . import report as report
    from . import study as study
    from . import surrogate as surrogate
    from . import training as training
    from . import units as units
    from ._input import InputError, InputWarning
    from .ace import ZBL, ACEBasis, LinearACE, PACEModel, TabulatedPairs, export, load_model
    from .bridge import (
        ASEReference,
        Calculator,
        StoredReference,
        defect_from_atoms,
        finite_difference_force_constants,
        from_ase,
        read_dataset,
        read_extxyz,
        read_force_constants,
        to_ase,
        write_extxyz,
    )
    from .crystal import (
        Cell,
        Lattice,
        Snapshot,
        antisite,
        antisite_pair,
        ball,
        bcc,
        cscl,
        defect_from_name,
        diamond,
        divacancy,
        dumbbell,
        enumerate_defects,
        fcc,
        hcp,
        interstitial,
        l12,
        microcrack,
        primitive_cell,
        rocksalt,
        sc,
        square,
        substitution,
        supercell,
        triangular,
        vacancy,
        zincblende,
    )
    from .elastic import (
        SlipSystem,
        dislocation,
        elastic_dipole,
        image_correction,
        relax_far_field,
    )
    from .energy.crystal_state import crystal_force_constants
    from .energy.elastic import ElasticConstants, elastic_constants
    from .energy.functional import evaluate
    from .errors import (
        auroc,
        bound,
        certify,
        compare,
        compare_on_both_lattices,
        conformal_quantile,
        design_loss,
        domain,
        elastic_constant_error,
        estimate_rate,
        force_constant_error,
        force_error,
        geometric_mean,
        label_errors,
        load_domain,
        predict,
        predicted_rate,
        relax_from,
        strain_decay,
        tradeoff,
        tune_loss,
        verdict,
    )
    from .fit import Constraint, Loss, comparator, fit, fit_objective, linear_phonons, losses, refit, weight_response, weighting
    from .reference import check_labels, equilibrate
    from .relax import equilibrium, migration_barrier, relax, saddle_point
    from .report import displacement_figure, domain_figure
    from .study.planning import judge_labels, plan_training
    from .training import (
        Cost,
        Rattle,
        Strains,
        combine_energies,
        dataset_rows,
        diversity,
        energy_differences,
        label,
        select_cells,
        training_cells,
    )

__version__ = "0.1.0"

__all__ = [
    "ZBL",
    "ACEBasis",
    "ASEReference",
    "Calculator",
    "Cell",
    "Constraint",
    "Cost",
    "ElasticConstants",
    "InputError",
    "InputWarning",
    "Lattice",
    "LinearACE",
    "Loss",
    "PACEModel",
    "Rattle",
    "SlipSystem",
    "Snapshot",
    "StoredReference",
    "Strains",
    "TabulatedPairs",
    "antisite",
    "antisite_pair",
    "auroc",
    "ball",
    "bcc",
    "bound",
    "certify",
    "check_labels",
    "combine_energies",
    "comparator",
    "compare",
    "compare_on_both_lattices",
    "conformal_quantile",
    "crystal_force_constants",
    "cscl",
    "dataset",
    "dataset_rows",
    "defect_from_atoms",
    "defect_from_name",
    "design_loss",
    "diamond",
    "dislocation",
    "displacement_figure",
    "divacancy",
    "diversity",
    "domain",
    "domain_figure",
    "dumbbell",
    "elastic_constant_error",
    "elastic_constants",
    "elastic_dipole",
    "energy_differences",
    "enumerate_defects",
    "equilibrate",
    "equilibrium",
    "estimate_rate",
    "evaluate",
    "export",
    "fcc",
    "finite_difference_force_constants",
    "fit",
    "fit_objective",
    "force_constant_error",
    "force_error",
    "from_ase",
    "geometric_mean",
    "hcp",
    "image_correction",
    "interstitial",
    "judge_labels",
    "l12",
    "label",
    "label_errors",
    "linear_phonons",
    "load_domain",
    "load_model",
    "losses",
    "microcrack",
    "migration_barrier",
    "plan_training",
    "predict",
    "predicted_rate",
    "primitive_cell",
    "read_dataset",
    "read_extxyz",
    "read_force_constants",
    "reference",
    "refit",
    "relax",
    "relax_far_field",
    "relax_from",
    "rocksalt",
    "saddle_point",
    "sc",
    "select_cells",
    "square",
    "strain_decay",
    "substitution",
    "supercell",
    "to_ase",
    "tradeoff",
    "training_cells",
    "triangular",
    "tune_loss",
    "vacancy",
    "verdict",
    "weight_response",
    "weighting",
    "write_extxyz",
    "zincblende",
]

__getattr__, __dir__ = door(__name__)
