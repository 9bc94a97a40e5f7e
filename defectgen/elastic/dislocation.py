"""A straight dislocation: a clamped cylinder whose atoms sit where anisotropic elasticity puts them."""

from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from .._display import brief
from .._input import InputError
from .._typing import Complex, Float, Int
from ..crystal.cell import Cell
from ..crystal.cut import cylinder
from ..crystal.lattice import Lattice
from ..energy.elastic import elastic_constants
from ..energy.potential import Potential, check_potential
from ..energy.site import SiteEnergy

ANGLES = 512
"""Points of the trapezoidal rule on a full turn: of a smooth periodic function it is exact to rounding."""

NEGLIGIBLE = 1e-13
"""Harmonics smaller than this, relative to the largest, are rounding."""


@dataclass(frozen=True, eq=False)
class LineField:
    """u(r, theta) = a log r + b theta / (2 pi) + periodic(theta), in the frame of the dislocation.

    The line is the third axis; r and theta are polar coordinates across it. Every strain falls exactly like 1/r.
    D. M. Barnett and J. Lothe, Phys. Norv. 7, 13 (1973); J. P. Hirth and J. Lothe, Theory of Dislocations (1982), chapter 13.
    """

    burgers: Float[np.ndarray, " axes"]
    """A."""
    logarithmic: Float[np.ndarray, " axes"]
    """a, A."""
    harmonics: Complex[np.ndarray, "orders axes"]
    """Coefficients of exp(i m theta), m = 1, 2, ..., A; the real part counts twice."""
    traction: Float[np.ndarray, " axes"]
    """r times the traction on every half plane that ends in the line, eV/A^2 (eV/A in two dimensions)."""

    __repr__ = brief

    @property
    def energy_factor(self) -> float:
        """K: the energy between the radii r and R, per length of the line, is K log(R/r); eV/A (eV in two dimensions)."""
        return float(self.burgers @ self.traction) / 2

    def __call__(self, radius: Float[np.ndarray, " n"], angle: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n axes"]:
        """The displacement at polar coordinates across the line.

        Parameters
        ----------
        radius : array, (n,)
            In any unit, which shifts the body as a whole.
        angle : array, (n,)
            Radians; not reduced: a turn adds b.

        Returns
        -------
        array, (n, axes)
            A.
        """
        orders = np.arange(1, len(self.harmonics) + 1)
        periodic = 2 * np.real(np.exp(1j * np.outer(angle, orders)) @ self.harmonics)
        return np.outer(np.log(radius), self.logarithmic) + np.outer(angle / (2 * np.pi), self.burgers) + periodic


def line_field(stiffness: Float[np.ndarray, "axes 2 axes 2"], burgers: Float[np.ndarray, " axes"]) -> LineField:
    """The elastic field of a Burgers vector in an anisotropic body.

    Parameters
    ----------
    stiffness : array, (axes, 2, axes, 2)
        C[i, j, k, l], eV/A^3, j and l across the line.
    burgers : array, (axes,)
        A.

    Returns
    -------
    LineField
        The displacement.

    Notes
    -----
    With n(theta) = (cos, sin), m = n' and (mn)_ik = C_ijkl m_j n_l, strains a n/r + U'(theta) m/r are in equilibrium if the
    traction
    r sigma m = (mn) a + (mm) U' does not depend on theta. So U' = (mm)^-1 [g - (mn) a], and a, g follow from the closure
    failure b of
    the displacement over a turn, and from no net force on the line. Needs no eigenvectors, so that isotropic bodies are no
    exception. theory: bounds/dislocations.
    """
    theta = 2 * np.pi * np.arange(ANGLES) / ANGLES
    n, m = np.stack([np.cos(theta), np.sin(theta)]), np.stack([-np.sin(theta), np.cos(theta)])

    def contract(first, second):
        return np.einsum("ijkl,jt,lt->tik", stiffness, first, second)

    compliance = np.linalg.inv(contract(m, m))
    mixed = contract(m, n)
    turn = 2 * np.pi
    alone = turn * compliance.mean(0)
    crossed = turn * (compliance @ mixed).mean(0)
    pull = turn * (contract(n, n) - np.swapaxes(mixed, 1, 2) @ compliance @ mixed).mean(0)
    axes = len(burgers)
    system = np.block([[-crossed, alone], [pull, crossed.T]])
    logarithmic, traction = np.split(np.linalg.solve(system, np.concatenate([burgers, np.zeros(axes)])), [axes])
    slope = (compliance @ (traction - mixed @ logarithmic)[..., None])[..., 0]
    wave = np.fft.fft(slope, axis=0)[1 : ANGLES // 2] / ANGLES / (1j * np.arange(1, ANGLES // 2))[:, None]
    size = np.abs(wave).max(axis=1)
    kept = int(np.flatnonzero(size > NEGLIGIBLE * np.abs(burgers).max()).max(initial=-1)) + 1
    return LineField(np.asarray(burgers, dtype=float), logarithmic, wave[:kept], traction)


VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Place of the strain (a, b) in the order xx yy zz yz xz xy."""

ROUNDS = 60
"""Iterations of x = X + u(x): a contraction outside the core by |Du| < 1/2; inside, any start will do."""


@dataclass(frozen=True)
class SlipSystem:
    """Burgers vector, line and slip plane of a straight dislocation, in units of the conventional vectors of its crystal.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.SlipSystem(burgers=(0.5, 0.5, 0.5), line=(-1, -1, 2), across=(1, -1, 0))
    SlipSystem(burgers=(0.5, 0.5, 0.5), line=(-1, -1, 2), across=(1, -1, 0), core=(0.0, 0.0, 0.0))
    """

    burgers: tuple[float, float, float]
    line: tuple[float, float, float]
    across: tuple[float, float, float]
    """A direction out of the slip plane; its part normal to line and slip direction counts."""
    core: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """A point of the line, relative to a site."""


SYSTEMS: dict[tuple[str, str], SlipSystem] = {
    ("triangular", "edge"): SlipSystem((1, 0, 0), (0, 0, 1), (0, 1, 0), (0.5, 0.5, 0)),
    ("fcc", "edge"): SlipSystem((0.5, -0.5, 0), (0.5, 0.5, -1), (1, 1, 1), (1 / 6, 1 / 6, 1 / 6)),
    ("fcc", "screw"): SlipSystem((0.5, -0.5, 0), (0.5, -0.5, 0), (1, 1, 1), (1 / 6, 1 / 6, 1 / 6)),
    ("bcc", "edge"): SlipSystem((0.5, 0.5, 0.5), (1, 1, -2), (1, -1, 0), (1 / 4, -1 / 4, 0)),
    ("bcc", "screw"): SlipSystem((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (1, -1, 0), (0.36, -0.3, -0.06)),
}
"""Slip systems by crystal and character: 1/2<110>{111} of fcc, 1/2<111>{110} of bcc, and the close-packed row of the triangular
lattice. J. P. Hirth and J. Lothe, Theory of Dislocations (1982), chapters 9 to 11. Cores lie half way between slip planes; the
screw of bcc nearly in the middle of three rows of atoms, off the symmetry that may be a saddle point."""


def slip_system(lattice: Lattice, kind: str | SlipSystem) -> SlipSystem:
    """The slip system of a name.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    kind : str or SlipSystem
        "edge" or "screw", or a slip system, which is returned as it is.

    Returns
    -------
    SlipSystem
        Burgers vector, line and slip plane.

    Raises
    ------
    InputError
        Where the crystal has none of this name.
    """
    if isinstance(kind, SlipSystem):
        return kind
    structure = lattice.name.split(" ")[0]
    if (structure, kind) not in SYSTEMS:
        known = ", ".join(f"{character} in {name}" for name, character in SYSTEMS)
        raise InputError(f"no {kind!r} dislocation is known in {lattice.name}; known are {known}: or give a SlipSystem")
    return SYSTEMS[structure, kind]


def dislocation(
    lattice: Lattice, kind: str | SlipSystem, radius: float, potential: Potential, clamp: float | None = None
) -> Cell:
    """A dislocation in a cylinder of free atoms, inside clamped ones; `relax` finds its core.

    Parameters
    ----------
    lattice : Lattice
        The relaxed perfect crystal.
    kind : str or SlipSystem
        "edge" or "screw" (the slip systems of `SYSTEMS`), or a slip system.
    radius : float
        Radius of the free atoms, A.
    potential : SiteEnergy or BlackBox
        Its elastic constants make the elastic field.
    clamp : float, optional
        Thickness of the clamped shell, A; by default twice the cutoff and two spacings. A black box, whose cutoff is unknown,
        needs
        it given.

    Returns
    -------
    Cell
        A cylinder; a disc in two dimensions.

    Raises
    ------
    InputError
        For an unknown slip system, a black box without `clamp`, and lines and lengths that `cylinder` refuses.

    Notes
    -----
    An atom of the lattice site X is put at the x with x - u(x) = X, where u is the anisotropic elastic field: across the cut u
    jumps
    by a lattice vector, so that the crystal closes without a seam there. theory: bounds/dislocations.
    """
    check_potential(potential)
    system = slip_system(lattice, kind)
    if clamp is None and not isinstance(potential, SiteEnergy):
        raise InputError(
            "the cutoff of a black box is unknown, and with it how thick the clamped shell of a dislocation must be; give "
            "clamp=, twice the range of the forces in A"
        )
    if clamp is None:
        assert isinstance(potential, SiteEnergy)
        clamp = 2 * potential.cutoff + 2 * lattice.nearest_neighbour
    cell = cylinder(lattice, _whole(lattice, system.line), radius, clamp)
    rows = slip_frame(lattice, system)
    field = elastic_field(lattice, potential, rows, system)
    centre = cell.centre + np.array(system.core) @ (lattice.conventional @ lattice.vectors)
    placed = (cell.positions - centre) @ rows.T
    inside = np.linalg.norm(placed[:, :2], axis=1) <= radius + 1e-9
    axes = len(field.burgers)
    x = placed.copy()
    for _ in range(ROUNDS):
        x[:, :axes] = (placed[:, :axes] + _displacement(field, x, placed[:, 1] > 0) + x[:, :axes]) / 2
    name = kind if isinstance(kind, str) else "dislocation"
    return replace(cell, positions=centre + x @ rows, free=inside, centre=centre, defect=name)


def slip_frame(lattice: Lattice, system: SlipSystem) -> Float[np.ndarray, "3 3"]:
    """The frame of a dislocation.

    Parameters
    ----------
    lattice : Lattice
        The crystal.
    system : SlipSystem
        Burgers vector, line and slip plane.

    Returns
    -------
    array, (3, 3)
        Orthonormal rows: in the slip plane across the line, out of the plane, along the line.
    """
    real = lattice.conventional @ lattice.vectors
    line = np.array(system.line) @ real
    line = line / np.linalg.norm(line)
    out = np.array(system.across) @ real
    burgers = np.array(system.burgers) @ real
    edge = burgers - (burgers @ line) * line
    out = out - (out @ line) * line
    if np.linalg.norm(edge) > 1e-6 * np.linalg.norm(burgers):
        out = out - (out @ edge) * edge / (edge @ edge)
    if not np.linalg.norm(out) > 1e-6:
        raise InputError(f"the direction {system.across} lies in the slip plane; give one that points out of it")
    out = out / np.linalg.norm(out)
    return np.array([np.cross(out, line), out, line])


def elastic_field(lattice: Lattice, potential: Potential, rows: Float[np.ndarray, "3 3"], system: SlipSystem) -> LineField:
    """The elastic field of a slip system for the elastic constants of a potential.

    Parameters
    ----------
    lattice : Lattice
        The relaxed perfect crystal.
    potential : SiteEnergy or BlackBox
        A reference, a fitted model, or another code.
    rows : array, (3, 3)
        The frame, as `slip_frame` gives it.
    system : SlipSystem
        Its Burgers vector counts.

    Returns
    -------
    LineField
        The displacement in the frame.
    """
    constants = np.asarray(elastic_constants(lattice, potential))[VOIGT[:, :, None, None], VOIGT]
    turned = np.einsum("ai,bj,ck,dl,ijkl->abcd", rows, rows, rows, rows, constants, optimize=True)
    burgers = rows @ (np.array(system.burgers) @ lattice.conventional @ lattice.vectors)
    axes = lattice.dimension
    return line_field(turned[:axes, :2, :axes, :2], burgers[:axes])


def _displacement(field: LineField, x: Float[np.ndarray, "atoms 3"], above: np.ndarray) -> Float[np.ndarray, "atoms axes"]:
    """u at points (A) given in the frame of the line, the radius counted in Burgers vectors.

    Atoms that belong above the slip plane have angles in (-pi/2, 3 pi/2), those below in (-3 pi/2, pi/2): however far the field
    carries them across the plane, they stay on their side of the cut.
    """
    radius = np.maximum(np.linalg.norm(x[:, :2], axis=1) / np.linalg.norm(field.burgers), 1e-3)
    quarter = np.where(above, np.pi / 2, -np.pi / 2)
    z = (x[:, 0] + 1j * x[:, 1]) * np.exp(-1j * quarter)
    return field(radius, np.angle(z) + quarter)


def _whole(lattice: Lattice, line: tuple[float, float, float]) -> Int[np.ndarray, "3"]:
    """The primitive lattice vector along a direction given in conventional vectors, in primitive ones."""
    steps = 12 * np.array(line) @ lattice.conventional
    whole = np.rint(steps).astype(int)
    if np.abs(steps - whole).max() > 1e-6 or not whole.any():
        raise InputError(f"the line {line} is no direction of the lattice; give small fractions of the conventional vectors")
    return whole // gcd(*(int(n) for n in whole))
