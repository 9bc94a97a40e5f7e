"""Which versions are at work."""

import platform
from importlib.metadata import PackageNotFoundError, version

_RECORDED = ("jax", "jaxlib", "equinox", "numpy", "scipy", "ase", "matscipy", "h5py", "pandas", "matplotlib", "rdkit", "tblite")


def own_version() -> str:
    """Of this package; 'source' when it is not installed."""
    return installed("defectgen") or "source"


def installed(distribution: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """What can change a number: this package, Python, and the numerical libraries."""
    found = {name: installed(name) for name in _RECORDED}
    return {"defectgen": own_version(), "python": platform.python_version()} | {k: v for k, v in found.items() if v}
