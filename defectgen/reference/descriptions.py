"""What references there are, in one line each, without importing them."""

from importlib.metadata import entry_points

DESCRIPTIONS: dict[str, str] = {
    "CleriRosato": "second-moment tight binding, fcc metals (1993)",
    "StillingerWeber": "angular potential of silicon (1985), or any LAMMPS .sw file",
    "FinnisSinclair": "N-body potential of bcc metals (1984) with rounded ends",
    "EAM": "embedded atom from a funcfl, setfl or eam.fs file: EAM(path, interpolation=lammps)",
    "LennardJones": "12-6 pair potential of the noble gases, smooth end",
    "Morse": "Morse pair potential (1959), two or three dimensions, smooth end",
}
"""The reference potentials of this package by name."""

GROUP = "defectgen.references"
"""Entry-point group of references; the name of an entry is the name of the reference."""


def descriptions() -> dict[str, str]:
    """Every reference potential by name; those of installed packages are imported, since their docstrings describe them."""
    if not entry_points(group=GROUP):
        return dict(DESCRIPTIONS)
    from .catalogue import references

    return {name: reference.description for name, reference in references().items()}
