"""A linear ACE potential: the basis with its coefficients folded into one polynomial of the one-particle sums."""

import hashlib
import json
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._display import shown
from .._input import InputError, InputWarning, check_finite, file_of, reading, save_whole
from .._typing import Array, Float
from ..energy.forms import hessian_of_sums
from ..energy.native import HasNative
from ..energy.site import SiteEnergy, Stencil
from .basis import ACEBasis, basis_from_description
from .one_particle import Motion
from .program import CompiledACE, Program
from .repulsion import Repulsion, as_repulsion, repulsion_from_description
from .slopes import products
from .sparse import SparseSum, rows_of
from .specification import folded
from .yace import PACEModel, read_yace

FORMAT, OLDER = "defectgen linear ACE 2", "defectgen linear ACE 1"
"""Files of the older format have no checksum."""
LONGEST = 2_000_000_000
"""Bytes of the longest model file that is read."""
ADVICE = "give a file written by model.save"


class Provenance(dict):
    """What a model was trained on. Equal to every other one: it does not change results, so nothing is compiled again."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Provenance)

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


class LinearACE(SiteEnergy, HasNative):
    """A fitted linear ACE potential; the cost of an evaluation does not grow with the number of functions.

    Parameters
    ----------
    basis : ACEBasis
        The basis.
    coefficients : sequence of float, (size,)
        theta, eV.
    provenance : dict, optional
        What the model was trained on; it is saved with it.
    repulsion : None, "zbl", ZBL or TabulatedPairs
        Added to the energy of every site; part of the model and its file.

    Raises
    ------
    InputError
        If the coefficients are not finite or not as many as the basis has functions, and for a repulsion of other species or
        beyond the cutoff.

    Examples
    --------
    >>> import numpy as np
    >>> import defectgen as dg
    >>> basis = dg.ACEBasis(["Cu"], cutoff=5.0, order=2, degree=6)
    >>> dg.LinearACE(basis, np.zeros(basis.size))
    LinearACE(Cu, cutoff 5 A, order 2, degree 6, 18 coefficients)
    """

    chunk: ClassVar[int] = 16
    """With the factors of a basis of 500 functions that is half a megabyte."""

    basis: ACEBasis
    coefficients: Float[Array, " size"]
    one_body: Float[Array, " species"]
    weights: Float[Array, "species monomials"]
    slopes: tuple[SparseSum, ...]
    """For each species of the central atom: from products to dV/dA, order by order."""
    program: Program
    """The same polynomial for the compiled kernel."""
    repulsion: Repulsion | None
    """Short-range pair energy on top of the polynomial."""
    provenance: "Provenance" = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        basis: ACEBasis,
        coefficients: object,
        provenance: dict | None = None,
        repulsion: Repulsion | str | None = None,
    ):
        if not isinstance(basis, ACEBasis):
            raise InputError(f"a LinearACE is made of an ACEBasis and its coefficients; got {type(basis).__name__} as the basis")
        try:
            coefficients = np.array(coefficients, dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"coefficients are {basis.size} numbers, eV; got {coefficients!r}") from None
        if coefficients.shape != (basis.size,):
            raise InputError(f"the basis has {basis.size} functions; got coefficients of shape {coefficients.shape}")
        if not np.all(np.isfinite(coefficients)):
            raise InputError(f"coefficients must be finite; {int(np.sum(~np.isfinite(coefficients)))} of {basis.size} are not")
        kinds = len(basis.species)
        self.basis, self.coefficients, self.one_body = basis, *jax.device_put((coefficients, coefficients[:kinds].copy()))
        per_species = coefficients[basis.channel[kinds:]].reshape(kinds, basis.functions_per_species)
        weights = folded(basis.tables, per_species)
        self.weights = jax.device_put(weights)
        self.slopes = tuple(basis.polynomial.weighted(w) for w in weights)
        self.program = Program(basis.tables, basis.radial, weights, coefficients[:kinds], basis.species)
        self.repulsion = as_repulsion(repulsion, basis.species, basis.cutoff)
        self.provenance = Provenance(provenance or {})
        self.cutoff, self.species = basis.cutoff, basis.species

    def __repr__(self) -> str:
        return shown(
            self,
            " ".join(self.species),
            f"cutoff {self.cutoff:.6g} A",
            f"order {self.basis.order}",
            f"degree {self.basis.degree:g}",
            f"{self.coefficients.size:,} coefficients",
            "" if self.repulsion is None else f"on top of {type(self.repulsion).__name__}",
        )

    @property
    def correlation_order(self) -> int:
        """That of its basis."""
        return self.basis.order

    @property
    def compact(self) -> SiteEnergy:
        """What the compiled kernel needs, where there is one."""
        if not self.program.serves:
            return self
        if self.repulsion is None:
            return self.program
        return Repelled(program=self.program, repulsion=self.repulsion)  # pyright: ignore[reportCallIssue] - abstract fields

    def native(self) -> CompiledACE | None:
        """The kernel without JAX around it; a repulsion is added by JAX.

        Returns
        -------
        CompiledACE or None
            None with a repulsion, and where the kernel does not serve.
        """
        return CompiledACE(self.program) if self.repulsion is None and self.program.serves else None

    def parameters(self) -> tuple:
        """Everything that is made of the coefficients.

        Returns
        -------
        tuple of arrays
            JAX traces none of them where the kernel is called without it.
        """
        return self.coefficients, self.one_body, self.weights, *self.program.numbers

    def with_coefficients(self, coefficients, provenance: dict | None = None) -> "LinearACE":
        """The model of the same basis and repulsion with other coefficients.

        Parameters
        ----------
        coefficients : array, (channels,)
            eV.
        provenance : dict, optional
            Where they come from; kept in the file of the model.

        Returns
        -------
        LinearACE
            A new model.
        """
        return LinearACE(self.basis, coefficients, provenance, self.repulsion)

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        one_particle = self.basis.one_particle
        a = one_particle.sums(one_particle.factors(stencil))
        by_species = self.weights @ products(a, self.basis.monomials)  # species, sites
        own = jnp.take_along_axis(by_species, stencil.centre[None, :], axis=0)[0] + self.one_body[stencil.centre]
        return own if self.repulsion is None else own + self.repulsion(stencil)

    def gradient(self, stencil: Stencil) -> tuple[Float[Array, " sites"], Float[Array, "sites slots 3"]]:
        """By the compiled kernel where there is one."""
        own = _gradient(self, stencil) if self.program.serves else self.gradient_in_jax(stencil)
        return own if self.repulsion is None else jax.tree.map(jnp.add, own, self.repulsion.gradient(stencil))

    def gradient_in_jax(self, stencil: Stencil) -> tuple[Float[Array, " sites"], Float[Array, "sites slots 3"]]:
        """Site energies and their gradients without the compiled kernel.

        Parameters
        ----------
        stencil : Stencil
            The surroundings of a batch of sites.

        Returns
        -------
        values : array, (sites,)
            eV.
        gradients : array, (sites, slots, 3)
            eV/A.

        Notes
        -----
        dV/dA of the polynomial, order by order, and from it the forces; the value is sum_v A_v dV/dA_v over the order (Euler).
        """
        one_particle = self.basis.one_particle
        factors = one_particle.factors(stencil)
        a = one_particle.sums(factors)
        by_order = self._by_order(products(a, self.basis.polynomial.monomials), stencil)
        order = 1.0 + jnp.arange(len(by_order))
        values = jnp.einsum("vs,ovs,o->s", a, by_order, 1 / order)
        return values + self.one_body[stencil.centre], one_particle.pull(factors, jnp.sum(by_order, axis=0))

    def hessian(self, stencil: Stencil) -> Float[Array, "sites slots 3 slots 3"]:
        """From the second derivatives of the polynomial in A and of the one-particle functions."""
        a, first, second = self.basis.one_particle.to_second_order(stencil)
        theta = self.coefficients[self.basis.channel[len(self.species) :]].reshape(len(self.species), -1)[stencil.centre].T
        slope, packed = self.basis.slopes.summed(a, theta), rows_of(theta, np.argsort(self.basis.slopes.place))
        own = hessian_of_sums(first, second, slope.T, self.basis.curvature.summed(a, packed))
        return own if self.repulsion is None else own + self.repulsion.hessian(stencil)

    def hessian_operator(self, stencil: Stencil) -> Callable[[Float[Array, "sites slots 3"]], Float[Array, "sites slots 3"]]:
        """V'' dg in two parts: the neighbours move and the slopes dV/dA are kept, and the other way about."""
        one_particle = self.basis.one_particle
        factors = one_particle.factors(stencil)
        curvature = one_particle.curvature(factors, stencil)
        a = one_particle.sums(factors)
        lower, change = jax.linearize(lambda a: products(a, self.basis.polynomial.monomials), a)
        slopes = self._slopes(lower, stencil)
        repelled = None if self.repulsion is None else self.repulsion.hessian_operator(stencil)

        def along(dg):
            motion = Motion(factors, dg)
            turned = self._slopes(change(one_particle.push(factors, motion)), stencil)
            own = one_particle.pull_along(factors, curvature, motion, slopes) + one_particle.pull(factors, turned)
            return own if repelled is None else own + repelled(dg)

        return along

    def hessian_products(
        self, stencil: Stencil, dg: Float[Array, "vectors sites slots 3"]
    ) -> Float[Array, "vectors sites slots 3"]:
        """By the compiled kernel where there is one."""
        if not self.program.serves:
            return super().hessian_products(stencil, dg)
        own = _hessian_products(self, stencil, dg)
        return own if self.repulsion is None else own + self.repulsion.hessian_products(stencil, dg)

    def _by_order(self, lower: Float[Array, "monomials sites"], stencil: Stencil) -> Float[Array, "orders one sites"]:
        """dV/dA of the functions of each order, from the products of their other factors; linear in these."""
        slopes = self.slopes[0](lower)
        for z, others in enumerate(self.slopes[1:], start=1):
            slopes = jnp.where(stencil.centre == z, others(lower), slopes)
        return slopes.reshape(self.basis.order, -1, lower.shape[1])

    def _slopes(self, lower: Float[Array, "monomials sites"], stencil: Stencil) -> Float[Array, "one sites"]:
        return jnp.sum(self._by_order(lower, stencil), axis=0)

    def save(self, path: str | Path) -> Path:
        """Write the model with its basis, versions, training provenance and a checksum (JSON; floats round-trip exactly).

        Parameters
        ----------
        path : str or Path
            The file to write.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        path = Path(path)
        content = {
            "format": FORMAT,
            "basis": self.basis.describe(),
            "functions": [{"factors": [list(t) for t in f.factors], "coupling": f.coupling} for f in self.basis.tables.functions],
            "coefficients": np.asarray(self.coefficients).tolist(),
            "provenance": dict(self.provenance),
            **({} if self.repulsion is None else {"repulsion": self.repulsion.describe()}),
            "versions": {name: version(name) for name in ("jax", "numpy", "wigners")},
        }
        content["checksum"] = _checksum(json.loads(json.dumps(content), parse_float=str))
        return save_whole(path, json.dumps(content, indent=1).encode(), "the model")


class Repelled(SiteEnergy):
    """A potential and a repulsion for the compiled kernel, which has only the first: values, slopes and Hessian products."""

    chunk: ClassVar[int] = Program.chunk
    program: Program
    repulsion: Repulsion

    @property
    def cutoff(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the potential, A."""
        return self.program.cutoff

    @property
    def species(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the potential."""
        return self.program.species

    def __call__(self, stencil: Stencil) -> Float[Array, " sites"]:
        return self.program(stencil) + self.repulsion(stencil)

    def gradient(self, stencil: Stencil):
        return jax.tree.map(jnp.add, self.program.gradient(stencil), self.repulsion.gradient(stencil))

    def hessian_products(self, stencil: Stencil, dg: Float[Array, "vectors sites slots 3"]):
        return self.program.hessian_products(stencil, dg) + self.repulsion.hessian_products(stencil, dg)


@eqx.filter_custom_jvp
def _gradient(model: LinearACE, stencil: Stencil):
    return model.program.gradient(stencil)


@_gradient.def_jvp
def _(primals, tangents):
    return eqx.filter_jvp(LinearACE.gradient_in_jax, primals, tangents)


@eqx.filter_custom_jvp
def _hessian_products(model: LinearACE, stencil: Stencil, dg: Array):
    return model.program.hessian_products(stencil, dg)


@_hessian_products.def_jvp
def _(primals, tangents):
    return eqx.filter_jvp(_products_in_jax, primals, tangents)


def _products_in_jax(model: LinearACE, stencil: Stencil, dg: Array):
    """Hessian products of the polynomial alone."""
    return SiteEnergy.hessian_products(eqx.tree_at(lambda m: m.repulsion, model, None, is_leaf=lambda x: x is None), stencil, dg)


def load_model(path: str | Path) -> LinearACE | PACEModel:
    """Read a model written by `LinearACE.save`, or a `.yace` potential of ML-PACE.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    LinearACE or PACEModel
        The model with its basis and provenance; of a `.yace` file a site energy without basis (see `PACEModel`).

    Raises
    ------
    InputError
        If the file is missing, changed after it was written, no such model, of basis functions other than those that this
        version builds, or a `.yace` file with a feature that is not supported.

    Warns
    -----
    InputWarning
        If the file is of the older format, which has no checksum.
    """
    path = file_of(path, "a model")
    if path.suffix.lower() == ".yace":
        return read_yace(path)
    with reading(path, "a model", ADVICE):
        if path.suffix.lower() in KINDS:
            raise InputError(f"{str(path)!r} is {KINDS[path.suffix.lower()]}; {ADVICE}, in JSON")
        if path.stat().st_size > LONGEST:
            raise InputError(f"{str(path)!r} has {path.stat().st_size:.2g} bytes, more than any model has; {ADVICE}")
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
            content = json.loads(text)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise InputError(f"{str(path)!r} is not a model file (not JSON); {ADVICE}") from None
        if not isinstance(content, dict) or content.get("format") not in (FORMAT, OLDER):
            found = content.get("format") if isinstance(content, dict) else None
            said = f"it says {found!r}" if isinstance(found, str) else f"format {FORMAT!r} was expected"
            raise InputError(f"{str(path)!r} is not a model of this package ({said}); {ADVICE}")
        if "checksum" in content or content["format"] == FORMAT:
            written = json.loads(text, parse_float=str)
            if written.pop("checksum", None) != _checksum(written):
                raise InputError(
                    f"the model {str(path)!r} was changed after it was written (its checksum is wrong); save it "
                    "again, or fit it again"
                )
        else:
            warnings.warn(
                f"the model {path.name} was written without a checksum; save it again to have one", InputWarning, stacklevel=3
            )
        return _model(content, path)


KINDS = {
    ".npz": "a file of arrays, perhaps a domain: load it with dg.load_domain",
    ".toml": "a study: run it with defectgen run",
    ".xyz": "a structure file: read it with dg.read_extxyz",
    ".extxyz": "a structure file: read it with dg.read_extxyz",
    ".alloy": "an EAM table: read it with dg.reference.EAM",
    ".fs": "an EAM table: read it with dg.reference.EAM",
    ".eam": "an EAM table: read it with dg.reference.EAM",
    ".tersoff": "a Tersoff file: read it with dg.reference.Tersoff",
    ".sw": "a Stillinger-Weber file: read it with dg.reference.StillingerWeber",
}
"""What files are that people take for a model, by suffix."""


def _model(content: dict[str, Any], path: Path) -> LinearACE:
    """The model of what a file holds, once its numbers are judged."""
    coefficients, functions = content["coefficients"], content["functions"]
    if not isinstance(coefficients, list) or any(isinstance(c, bool) or not isinstance(c, int | float) for c in coefficients):
        raise InputError(f"the coefficients of {str(path)!r} are not a list of numbers; save the model again")
    check_finite(np.array(coefficients, dtype=float), f"the coefficients of {str(path)!r}")
    basis = basis_from_description(content["basis"])
    saved = [(tuple(tuple(t) for t in f["factors"]), f["coupling"]) for f in functions]
    if saved != [(f.factors, f.coupling) for f in basis.tables.functions]:
        raise InputError(f"{str(path)!r} was written with other basis functions than this version builds; fit the model again")
    provenance = content.get("provenance")
    if not isinstance(provenance, dict | None):
        raise InputError(f"the provenance of {str(path)!r} is not a table; save the model again")
    return LinearACE(basis, coefficients, provenance, repulsion_from_description(content.get("repulsion")))


def _checksum(content: dict[str, Any]) -> str:
    """SHA-256 of the content, independent of its layout and the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
