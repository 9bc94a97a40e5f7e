"""Units: eV and Angstrom inside; conversions happen only at doors (bridge, cli, report)."""

EV_PER_A3_IN_GPA = 160.2176634
"""1 eV/A^3 in GPa (exact from the 2019 SI elementary charge)."""
