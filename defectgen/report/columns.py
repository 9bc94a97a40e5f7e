"""The columns of a run's tables, in order: names that scripts outside rely on."""

RESULTS = (
    "study",
    "material",
    "defect",
    "dimension",
    "observations",
    "training_size",
    "training_radius",
    "training_atoms",
    "basis_functions",
    "degree",
    "perturbation",
    "strength",
    "simulation_atoms",
    "geometry_error",
    "geometry_error_max",
    "energy_error",
    "rmse_energy",
    "rmse_forces",
    "rmse_force_constants",
    "rmse_virial",
    "converged",
    "same_basin",
    "seconds",
)
LATER = ("held_out_forces",)
"""Numbers of results.csv that runs of earlier versions do not have."""
RATES = (
    "study",
    "material",
    "defect",
    "dimension",
    "observations",
    "quantity",
    "slope",
    "low",
    "high",
    "window",
    "predicted",
    "verdict",
    "dropped",
    "local_slopes",
    "judged_by",
    "shifted_slope",
    "shifted_low",
    "shifted_high",
    "shift",
    "rejects_off_by_one",
)
FAILURES = ("label", "reason")

FLAGS = ("converged", "same_basin")
TEXT = (
    "study",
    "material",
    "defect",
    "observations",
    "quantity",
    "window",
    "verdict",
    "dropped",
    "local_slopes",
    "judged_by",
    "rejects_off_by_one",
    "label",
    "reason",
)
