"""How far can a fitted interatomic potential be trusted beyond its training data?

`import defectgen as dg` gives, in the order in which data flows: lattices, references, defects and cells, the ACE basis,
labels and rows, fits, relaxation, errors and rates, and the doors to ASE.
"""

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from . import kernel

jax.config.update("jax_enable_x64", True)  # set once, here: every number in this package is float64


def _quick_to_compile() -> str:
    """XLA_FLAGS with what shortens the time that XLA takes to compile for processors, and leaves what it writes as fast.

    The older of its two ways to write loops; and fewer passes of LLVM, which only design rows would miss: so where the compiled
    kernel makes these, and not where other devices, which would miss the passes too, are computed on. What the user set stays.
    """
    flags = os.environ.get("XLA_FLAGS", "")
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


os.environ.setdefault("HOME", _home())
os.environ["XLA_FLAGS"] = _quick_to_compile()  # XLA reads it when it makes its first array, and none is made before this line

from . import reference  # noqa: E402  after the line above, before which no array may exist
from ._input import InputError, InputWarning  # noqa: E402
from .ace import ACEBasis, LinearACE, load_model  # noqa: E402
from .bridge import (  # noqa: E402
    ASEReference,
    Calculator,
    defect_from_atoms,
    from_ase,
    read_extxyz,
    to_ase,
    write_extxyz,
)
from .crystal import (  # noqa: E402
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
from .elastic import (  # noqa: E402
    SlipSystem,
    dislocation,
    elastic_dipole,
    image_correction,
    relax_far_field,
)
from .energy.elastic import ElasticConstants, elastic_constants  # noqa: E402
from .energy.functional import crystal_force_constants, evaluate  # noqa: E402
from .errors import (  # noqa: E402
    bound,
    certify,
    compare,
    compare_on_both_lattices,
    design_loss,
    domain,
    elastic_constant_error,
    estimate_rate,
    force_constant_error,
    force_error,
    load_domain,
    predict,
    predicted_rate,
    verdict,
)
from .fit import Constraint, Loss, fit, losses, refit, weight_response  # noqa: E402
from .reference import equilibrate  # noqa: E402
from .relax import migration_barrier, relax, saddle_point  # noqa: E402
from .training import Cost, Rattle, Strains, diversity, label, select_cells, training_cells  # noqa: E402

if TYPE_CHECKING:
    from .study.planning import judge_labels, plan_training

__version__ = "0.1.0"

__all__ = [
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
    "Rattle",
    "SlipSystem",
    "Snapshot",
    "Strains",
    "antisite",
    "antisite_pair",
    "ball",
    "bcc",
    "bound",
    "certify",
    "compare",
    "compare_on_both_lattices",
    "crystal_force_constants",
    "cscl",
    "defect_from_atoms",
    "defect_from_name",
    "design_loss",
    "diamond",
    "dislocation",
    "divacancy",
    "diversity",
    "domain",
    "dumbbell",
    "elastic_constant_error",
    "elastic_constants",
    "elastic_dipole",
    "equilibrate",
    "estimate_rate",
    "evaluate",
    "fcc",
    "fit",
    "force_constant_error",
    "force_error",
    "from_ase",
    "hcp",
    "image_correction",
    "interstitial",
    "judge_labels",
    "l12",
    "label",
    "load_domain",
    "load_model",
    "losses",
    "microcrack",
    "migration_barrier",
    "plan_training",
    "predict",
    "predicted_rate",
    "primitive_cell",
    "read_extxyz",
    "reference",
    "refit",
    "relax",
    "relax_far_field",
    "rocksalt",
    "saddle_point",
    "sc",
    "select_cells",
    "square",
    "substitution",
    "supercell",
    "to_ase",
    "training_cells",
    "triangular",
    "vacancy",
    "verdict",
    "weight_response",
    "write_extxyz",
    "zincblende",
]


def __getattr__(name: str) -> Any:
    """The planner, imported when first asked for: it brings all studies with it, half a second that most scripts do not need."""
    if name not in ("judge_labels", "plan_training"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .study import planning

    return getattr(planning, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
