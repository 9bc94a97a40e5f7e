"""The linear ACE basis: invariant polynomials of the one-particle sums A_{mu n l m} = sum_k R_n(r_k) Y_lm(g_k/r_k) [z_k = mu].

The channels are, for every species of the central atom, one constant (the one-body energy), then the invariant functions
of its specification; a pair function of two species is one channel of both ends (from one end or from the
other it has the same sum over a structure, so two channels could not be distinguished).
Theory: R. Drautz, Phys. Rev. B 99, 014104 (2019); G. Dusson et al., J. Comput. Phys. 454, 110946 (2022).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._display import shown
from .._input import InputError, did_you_mean, real, whole
from .._typing import Anywhere, Array, Float, Int
from ..crystal.elements import element
from ..energy.forms import PackedBasis, PackedHessian
from ..energy.site import Stencil
from .one_particle import OneParticle
from .program import RowProgram
from .radial import Radial
from .slopes import Curvature, Polynomial, Slopes, products
from .sparse import Layout, SparseSum, Table
from .specification import Tables, channels, check_count, followed, species_of, tables


class ACEBasis(PackedBasis):
    """Linear ACE basis functions; those of a smaller degree are a subset of those of a larger one.

    Parameters
    ----------
    species : str or sequence of str
        Chemical symbols.
    cutoff : float
        A.
    order : int
        Highest correlation order, 1 to 4.
    degree : float
        Total degree: functions with sum_t (n_t + w_l l_t) <= degree are kept.
    w_l : float
        Weight of angular momenta in the total degree.
    pair_degree : int, optional
        Number of pair functions per pair of species; `degree` if not given (`for_reference` takes more).
    r0 : float or array, (species, species), optional
        Distance of best resolution, A; the sum of covalent radii if not given.
    envelope : int
        Power with which functions vanish at the cutoff.
    transform : sequence of int
        p and q of the distance transform.

    Raises
    ------
    InputError
        For an order outside 1..4, a degree below the order, unknown species, a cutoff that is not positive, or distances `r0`
        that
        are not positive, or not the same from both ends of a pair.

    Examples
    --------
    >>> import defectgen as dg
    >>> dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=6)
    ACEBasis(Cu, cutoff 5 A, order 2, degree 6, 18 functions)
    """

    species: tuple[str, ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    order: int = eqx.field(static=True)
    degree: float = eqx.field(static=True)
    w_l: float = eqx.field(static=True)
    pair_degree: int = eqx.field(static=True)
    envelope: int = eqx.field(static=True)
    transform: tuple[int, int] = eqx.field(static=True)
    one_particle: OneParticle
    monomials: Table = eqx.field(static=True)
    entries: SparseSum
    polynomial: Polynomial
    slopes: Slopes
    curvature: Curvature
    program: RowProgram
    """The same functions for the compiled kernel."""

    def __init__(
        self,
        species: str | Sequence[str],
        cutoff: float,
        order: int = 3,
        degree: float = 10,
        *,
        w_l: float = 1.5,
        pair_degree: int | None = None,
        r0: object = None,
        envelope: int = 4,
        transform: Sequence[int] = (2, 4),
    ):
        if not isinstance(species, str | list | tuple):
            raise InputError(f"the species of a basis are chemical symbols, as ['Cu', 'Ni']; got {species!r}")
        species = (species,) if isinstance(species, str) else tuple(species)
        for symbol in species:
            element(symbol)
        if not species or len(set(species)) != len(species):
            raise InputError(f"a basis needs a list of different chemical symbols; got {list(species)}")
        if isinstance(order, bool) or not isinstance(order, int | float | np.number) or order not in (1, 2, 3, 4):
            raise InputError(f"correlation order must be 1, 2, 3 or 4; got {order!r}")
        cutoff = real(cutoff, "the cutoff (A) of a basis")
        degree, w_l = real(degree, "the degree of a basis"), real(w_l, "the w_l of a basis")
        if pair_degree is not None:
            pair_degree = whole(pair_degree, "pair_degree, the number of pair functions,")
        envelope = whole(envelope, "the envelope of a basis, the power with which its functions vanish at the cutoff,", 1, 100)
        if not isinstance(transform, list | tuple) or len(transform) != 2:
            raise InputError(f"the transform of a basis is a pair of whole numbers, as (2, 4); got {transform!r}")
        transform = [whole(power, "a power of the transform of a basis", 0, 100) for power in transform]
        if not degree >= order:
            raise InputError(
                f"degree {degree:g} has no function of order {order} (each factor costs at least 1); use degree >= {order}"
            )
        if not cutoff > 0:
            raise InputError(f"the cutoff must be a positive length in A; got {cutoff!r}")
        if not w_l > 0:
            raise InputError(f"w_l, the cost of one angular momentum in degrees, must be positive; got {w_l!r}")
        self.species, self.cutoff = species, float(cutoff)
        self.order, self.degree, self.w_l = int(order), float(degree), float(w_l)
        check_count(len(species), int(order), degree, w_l, degree if pair_degree is None else pair_degree)
        self.pair_degree = int(degree) if pair_degree is None else pair_degree
        self.envelope, self.transform = int(envelope), (int(transform[0]), int(transform[1]))
        if r0 is None:
            radii = np.array([element(s).covalent_radius for s in species])
            r0 = radii[:, None] + radii[None, :]
        r0 = _distances(r0, len(species))
        table = self.tables
        count = int(table.one_particle[:, 1].max(initial=1))
        self.one_particle = OneParticle(
            Radial(cutoff, count, r0, self.envelope, self.transform), table.one_particle, table.pair, len(species)
        )
        self.monomials = Table(table.monomials)
        entries = Layout(table.function, len(table.functions))
        self.entries = SparseSum(entries, entries.spread_indices(table.monomial), table.coefficient)
        self.polynomial = Polynomial(table)
        self.slopes = Slopes(table)
        self.curvature = Curvature(table, self.slopes)
        channel = self.channel[len(species) :].reshape(len(species), -1)
        self.program = RowProgram(table, self.radial, channel)

    def __repr__(self) -> str:
        return shown(
            self,
            " ".join(self.species),
            f"cutoff {self.cutoff:.6g} A",
            f"order {self.order}",
            f"degree {self.degree:g}",
            f"{self.size:,} functions",
        )

    @classmethod
    def for_reference(
        cls,
        truth: Any,
        species: str | Sequence[str] | None = None,
        degree: float | None = None,
        *,
        cutoff: float | None = None,
        order: int | None = None,
        pair_degree: int | None = None,
        **options,
    ) -> "ACEBasis":
        """A basis that follows the reference potential where nothing else is given.

        Parameters
        ----------
        truth
            The reference: a site energy, such as `dg.reference.EAM(...)`, or a fitted model.
        species
            Chemical symbols; those of the reference if not given. A reference that was read from a file may know more species
            than the crystal has: name those of the crystal, because the number of functions grows with the species.
        degree
            Total degree; if not given 10, and 18 for order 2, where functions are few.
        cutoff
            A; that of the reference. A long one costs: the number of neighbours, and with it the time, grows like its cube,
            and the simulation cell must be twice as wide.
        order
            Correlation order; that of the reference (1 for pair potentials, 2 for Stillinger-Weber), and 3 where it has none,
            as embedding functions do.
        pair_degree
            Pair functions of each pair of species; 30. With 40 and `prior="smoothness(1e-6)"` in the fit, forces are twice to
            three times more exact.
        **options
            As `ACEBasis` takes them: w_l, r0, envelope, transform.

        Returns
        -------
        ACEBasis

        Raises
        ------
        InputError
            For a reference without a cutoff (a calculator of another code) if none is given, and for what `ACEBasis` refuses.

        Notes
        -----
        Held-out force errors behind these numbers: theory, fit/defaults.

        Examples
        --------
        >>> import defectgen as dg
        >>> basis = dg.ACEBasis.for_reference(dg.reference.StillingerWeber("Si"))
        >>> basis.order, round(basis.cutoff, 2), basis.size
        (2, 3.77, 235)
        """
        given = {"cutoff": cutoff, "order": order, "degree": degree, "pair_degree": pair_degree}
        settings = followed(truth, order, cutoff) | {name: value for name, value in given.items() if value is not None}
        return cls(species_of(truth, species), **settings, **options)

    # ---- what it holds
    @property
    def tables(self) -> Tables:
        """The specification on the host."""
        return tables(len(self.species), self.order, self.degree, self.w_l, self.pair_degree)

    @property
    def functions_per_species(self) -> int:
        """Invariant functions of one central species, without the one-body constant."""
        return len(self.tables.functions)

    @property
    def size(self) -> int:
        """Number of basis functions: (1 + functions per species) for every central species, shared pair functions once."""
        return int(self.channel.max()) + 1

    @property
    def channel(self) -> Int[np.ndarray, " every"]:
        """The channel of every constant and then of every function of every central species; twins share one."""
        return channels(len(self.species), self.tables)

    @property
    def r0(self) -> Float[np.ndarray, "species species"]:
        """Distances of best resolution, A."""
        return np.asarray(self.radial.r0)

    @property
    def radial(self) -> Radial:
        """The radial functions."""
        radial = self.one_particle.radial
        assert isinstance(radial, Radial)
        return radial

    def smoothness(self, power: float = 4) -> Float[np.ndarray, " size"]:
        """Prior scale of every function: sum over its factors of n^power + (w_l l)^power.

        Parameters
        ----------
        power : float
            The order of the prior.

        Returns
        -------
        array, (size,)
            0 for one-body constants.
        """
        each = [sum(n**power + (self.w_l * l) ** power for _, n, l in f.factors) for f in self.tables.functions]  # noqa: E741
        every = np.array([0.0] * len(self.species) + each * len(self.species))
        return every[np.unique(self.channel, return_index=True)[1]]

    def columns_of(self, smaller: "ACEBasis") -> Int[np.ndarray, " columns"]:
        """Positions of the functions of a smaller basis in this one.

        Parameters
        ----------
        smaller : ACEBasis
            A basis whose functions this one has.

        Returns
        -------
        integer array, (columns,)
            Rows for the smaller basis are these columns of rows for this one.

        Raises
        ------
        InputError
            If the smaller basis is not contained in this one.
        """
        same = ("species", "cutoff", "envelope", "transform")
        if any(getattr(self, k) != getattr(smaller, k) for k in same) or not np.allclose(self.r0, smaller.r0):
            raise InputError("only a basis with the same species, cutoff, envelope, transform and r0 can be a part of another")
        place = {f: k for k, f in enumerate(self.tables.functions)}
        missing = [f for f in smaller.tables.functions if f not in place]
        if missing:
            raise InputError(
                f"{len(missing)} functions of the smaller basis are not in the larger one; raise its degree or order"
            )
        each = np.array([place[f] for f in smaller.tables.functions])
        kinds = len(self.species)
        blocks = [kinds + z * self.functions_per_species + each for z in range(kinds)]
        every = np.concatenate([np.arange(kinds), *blocks])
        return self.channel[every[np.unique(smaller.channel, return_index=True)[1]]]

    def describe(self) -> dict:
        """Everything needed to build the basis again.

        Returns
        -------
        dict
            Plain values, which JSON can hold.
        """
        return {
            "species": list(self.species),
            "cutoff": self.cutoff,
            "order": self.order,
            "degree": self.degree,
            "w_l": self.w_l,
            "pair_degree": self.pair_degree,
            "r0": self.r0.tolist(),
            "envelope": self.envelope,
            "transform": list(self.transform),
        }

    # ---- values and jets
    def __call__(self, stencil: Stencil) -> Float[Array, "sites size"]:
        a = self.one_particle.sums(self.one_particle.factors(stencil))
        return self._by_species(self.entries(products(a, self.monomials)).T, stencil)

    def gradient(self, stencil: Stencil) -> tuple[Float[Array, "sites size"], Float[Array, "sites slots 3 size"]]:
        sites, slots, _ = stencil.g.shape
        values, packed = (x[:, self.slopes.place] for x in self.packed(stencil))
        each = jnp.transpose(packed[:, :, : 3 * slots].reshape(sites, -1, 3, slots), (0, 3, 2, 1))
        return self._by_species(values, stencil), self._by_species(each, stencil)

    def packed(self, stencil: Stencil) -> tuple[Float[Array, "sites functions"], Float[Array, "sites functions columns"]]:
        """dB/dA times the derivatives of the one-particle functions. The value is sum_v A_v dB/dA_v over the order (Euler)."""
        factors = self.one_particle.factors(stencil)
        a = self.one_particle.sums(factors)
        d_phi = self.one_particle.derivative(factors)
        virial = jnp.einsum("ska,svbk->svab", stencil.g, d_phi)
        sites, one = d_phi.shape[:2]
        columns = [d_phi.reshape(sites, one, -1), jnp.sum(d_phi, axis=3), virial.reshape(sites, one, 9), a.T[..., None]]
        rows = self.slopes.along(a, jnp.concatenate(columns, axis=2))
        return rows[:, :, -1] / self.slopes.order, rows

    def unpack(
        self, packed: Float[Array, "*batch species functions"], constants: Float[Array, "*batch species"] | None = None
    ) -> Float[Array, "*batch channels"]:
        """See PackedBasis. Twins, pair functions that both species carry, are added."""
        kinds = len(self.species)
        each = packed[..., self.slopes.place].reshape(*packed.shape[:-2], -1)
        every = jnp.concatenate([jnp.zeros((*each.shape[:-1], kinds)) if constants is None else constants, each], axis=-1)
        return self._joined(every)

    def compiled_rows(
        self, stencil: Stencil, index: Int[Anywhere, "rows slots"], live: Int[Anywhere, ""]
    ) -> tuple[Float[Array, " channels"], Float[Array, "rows 3 channels"], Float[Array, "3 3 channels"]] | None:
        """See PackedBasis."""
        return self.program.rows(stencil, index, live) if self.program.serves else None

    def packed_hessian(self, stencil: Stencil) -> PackedHessian:
        """V''(k, l) = sum_vw B_vw dphi_v(k) dphi_w(l) + [k = l] sum_v B_v d2phi_v(k), v and w among the sums of the function."""
        a, first, second = self.one_particle.to_second_order(stencil)
        slopes = self.slopes(a)[:, np.argsort(self.slopes.place)]
        own = jnp.einsum("vcs,svabk->scabk", slopes, second)
        return PackedHessian(first, jnp.asarray(self.curvature.support.array), self.curvature(a), own)

    def channels_of(self, kind: int) -> Int[np.ndarray, " functions"]:
        """See PackedBasis."""
        kinds, count = len(self.species), self.functions_per_species
        return self.channel[kinds + kind * count :][np.argsort(self.slopes.place)]

    def hessian(self, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3 size"]:
        """The packed Hessian written out."""
        packed = self.packed_hessian(stencil)
        sites, _, _, slots = packed.slopes.shape
        place = self.slopes.place
        directions = jnp.take(packed.slopes.reshape(sites, -1, 3 * slots), packed.support[place], axis=1, mode="clip")
        turned = jnp.einsum("scvw,scwj->scvj", packed.middle[:, place], directions)
        hessian = jnp.einsum("scvi,scvj->sijc", directions, turned).reshape(sites, 3, slots, 3, slots, -1)
        hessian = jnp.transpose(hessian, (0, 2, 1, 4, 3, 5))
        k = jnp.arange(slots)
        hessian = hessian.at[:, k, :, k].add(jnp.transpose(packed.own[:, place], (4, 0, 2, 3, 1)))
        return self._by_species(hessian, stencil)

    def _by_species(self, values: Float[Array, "sites *inner functions"], stencil: Stencil):
        """Functions moved to the channels of the central species; the one-body constants in front (with no derivatives)."""
        kinds = len(self.species)
        mine = jax.nn.one_hot(stencil.centre, kinds, dtype=values.dtype)
        shape = values.shape[:-1]
        inner = (1,) * (len(shape) - 1)
        spread = values[..., None, :] * mine.reshape(mine.shape[0], *inner, kinds, 1)
        constants = mine if not inner else jnp.zeros((*shape, kinds))
        every = jnp.concatenate([constants, spread.reshape(*shape, -1)], axis=-1)
        return self._joined(every)

    def _joined(self, every: Float[Array, "*batch every"]) -> Float[Array, "*batch size"]:
        if len(self.species) == 1:
            return every
        first = np.unique(self.channel, return_index=True)[1]
        twin = np.setdiff1d(np.arange(len(self.channel)), first)
        return every[..., first].at[..., self.channel[twin]].add(every[..., twin])


def basis_from_description(given: Mapping[str, Any]) -> ACEBasis:
    """The basis that `ACEBasis.describe` wrote.

    Parameters
    ----------
    given : mapping
        Arguments of `ACEBasis` by name.

    Returns
    -------
    ACEBasis
        The basis.

    Raises
    ------
    InputError
        For keys that are missing or not known.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"the description of a basis is a table; got {type(given).__name__}")
    config = dict(given)
    known = ("species", "cutoff", "order", "degree", "w_l", "pair_degree", "r0", "envelope", "transform")
    for key in config:
        if key not in known:
            raise InputError(f"the description of a basis has no key {key!r}{did_you_mean(key, known)}")
    if missing := [key for key in known[:4] if key not in config]:
        raise InputError(f"the description of a basis has no {missing[0]!r}")
    return ACEBasis(config.pop("species"), config.pop("cutoff"), config.pop("order"), config.pop("degree"), **config)


def _distances(r0: object, kinds: int) -> Float[np.ndarray, "species species"]:
    """A symmetric matrix of positive lengths, A."""
    wrong = InputError(f"r0 is a positive length in A, or a symmetric {kinds} x {kinds} matrix of them; got {r0!r}")
    try:
        matrix = np.broadcast_to(np.asarray(r0, dtype=float), (kinds, kinds))
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if not (np.all((matrix > 0) & (matrix < np.inf)) and np.array_equal(matrix, matrix.T)):
        raise wrong
    return matrix
