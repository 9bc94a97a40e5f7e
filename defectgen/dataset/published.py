"""How published sets of molecules spent their labels: molecules against conformers of each.

Counts are those of the documentation of openQDC (Open Quantum Data Commons, table "Overview of Datasets").
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One data set."""

    name: str
    structures: int
    """Molecules."""
    configurations: int
    """Conformers of all of them."""

    @property
    def each(self) -> float:
        """Configurations of each structure, in the mean."""
        return self.configurations / self.structures


PUBLISHED = (
    Published("Molecule3D", 3_899_647, 3_899_647),
    Published("QMugs", 665_000, 2_000_000),
    Published("SPICE", 19_238, 1_132_808),
    Published("GEOM", 450_000, 37_000_000),
    Published("ANI-1", 57_462, 20_000_000),
    Published("QM7-X", 6_950, 4_195_237),
)
"""By configurations of each structure, fewest first."""
SOURCE = "openQDC documentation, overview of datasets (https://pypi.org/project/openqdc)"
