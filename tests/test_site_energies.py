"""What every site energy must do: three derivatives, a smooth end, symmetry; and the sums of Stillinger-Weber by plain loops."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from toy_potentials import NAMES, SW_TABLE, every_potential, jets_at, some_stencil

import defectgen  # noqa: F401 - float64
from defectgen.energy import Stencil
from defectgen.reference import StillingerWeber, fade, ramp


@pytest.fixture(scope="module")
def potentials(tmp_path_factory):
    return every_potential(tmp_path_factory.mktemp("made_up"))


# -- what every site energy must do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_three_derivatives_agree_with_differences(potentials, name):
    potential = potentials[name]
    stencil = some_stencil(potential)
    direction = np.random.default_rng(0).standard_normal(stencil.g.shape)
    steps = np.geomspace(3e-2, 1e-6, 12)
    exact = jets_at(potential, stencil, direction, 0.0)[:, 0]
    ahead, behind = jets_at(potential, stencil, direction, steps), jets_at(potential, stencil, direction, -steps)
    for order in range(3):
        assert abs(exact[order + 1]) > 1e-5  # there is something to compare
        error = np.abs((ahead[order] - behind[order]) / (2 * steps) - exact[order + 1])
        assert error.min() <= 1e-3 * error.max(), f"{name}: derivative {order + 1} is not the derivative of {order}"
        assert error.min() <= 1e-6 * abs(exact[order + 1])  # rounding 1e-16 over the best step, near 1e-5, generously


@pytest.mark.parametrize("name", NAMES)
def test_blind_beyond_the_cutoff_and_finite_everywhere(potentials, name):
    potential = potentials[name]
    c = potential.cutoff
    padded = some_stencil(potential)
    toss = np.random.default_rng(1).standard_normal(padded.g.shape)
    elsewhere = Stencil(padded.g.at[:, 7:].set([0.0, 1.1 * c, 1.3 * c]), padded.centre, padded.neighbour)
    assert np.array_equal(jets_at(potential, padded, toss, 0.0), jets_at(potential, elsewhere, toss, 0.0))
    live = np.arange(10)[None, :, None] < 7
    assert np.all(jets_at(potential, padded, np.where(live, 0.0, toss), 0.0)[1:] == 0.0)
    assert np.all(jets_at(potential, padded, np.where(live, toss, 0.0), 0.0)[1:] != 0.0)
    straight = [[0.6 * c, 0, 0], [-0.6 * c, 0, 0], [0.7 * c, 0, 0], [0, 0, 0.8 * c], [c, 0, 0]] + 5 * [[2 * c, 0, 0]]
    cases = {
        "padded": padded.g,
        "collinear, and at the cutoff": jnp.asarray([straight]),
        "isolated": jnp.asarray([10 * [[2 * c, 0, 0]]]),
    }
    for case, g in cases.items():
        stencil = Stencil(g, jnp.zeros(1, dtype=int), jnp.zeros(g.shape[:2], dtype=int))
        values = jets_at(potential, stencil, toss, 0.0)
        assert np.all(np.isfinite(values)), f"{name}, {case}"
        if case == "isolated":
            assert np.all(values[1:] == 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_hessians_by_sums_are_those_of_automatic_differentiation(potentials, name):
    """Sites of every species, collinear neighbours, one at the cutoff, and an isolated atom, side by side."""
    potential = potentials[name]
    c, kinds = potential.cutoff, len(potential.species)
    straight = [[0.6 * c, 0, 0], [-0.6 * c, 0, 0], [0.7 * c, 0, 0], [0, 0, 0.8 * c], [c, 0, 0]] + 5 * [[2 * c, 0, 0]]
    one, other = some_stencil(potential), some_stencil(potential, seed=4)
    g = jnp.concatenate([one.g, other.g, jnp.asarray([straight, 10 * [[2 * c, 0, 0]]])])
    neighbour = jnp.concatenate([one.neighbour, other.neighbour, one.neighbour, other.neighbour])
    stencil = Stencil(g, jnp.arange(4) % kinds, neighbour)
    ours = np.asarray(eqx.filter_jit(potential.hessian)(stencil)).reshape(4, 30, 30)
    np.testing.assert_allclose(ours, np.swapaxes(ours, 1, 2), atol=1e-13 * np.abs(ours).max())
    assert np.all(ours[3] == 0.0)
    for site in range(4):
        alone = Stencil(*(a[site : site + 1] for a in (stencil.g, stencil.centre, stencil.neighbour)))
        for toss in np.random.default_rng(2).standard_normal((3, 30)):
            second = jets_at(potential, alone, toss.reshape(1, 10, 3), 0.0)[2, 0]
            # rounding of sums whose terms cancel in part
            assert toss @ ours[site] @ toss == pytest.approx(second, abs=1e-11 * np.abs(ours[site]).max(), rel=1e-11)
            assert site > 1 or abs(second) > 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_no_jump_at_the_cutoff(potentials, name):
    """Third derivatives in the position of one neighbour vanish as it reaches the cutoff from inside.

    With the others at rest V leaves zero like (cutoff - r)^6 or more softly still, so the third derivative goes like the
    cube of the gap: at a thousandth of the window less than a millionth of its maximum is left.
    """
    potential = potentials[name]
    stencil = some_stencil(potential)
    unit = np.zeros(stencil.g.shape)
    unit[0, 0] = stencil.g[0, 0] / jnp.linalg.norm(stencil.g[0, 0])
    rest = Stencil(stencil.g.at[0, 0].set(0.0), stencil.centre, stencil.neighbour)
    reach = potential.cutoff
    if name == "StillingerWeber(file)":  # its pairs end at different radii
        reach = float(potential.reach[0, int(stencil.neighbour[0, 0])])
    inside = np.abs(jets_at(potential, rest, unit, np.linspace(0.7, 0.995, 60) * reach)[3])
    edge = np.abs(jets_at(potential, rest, unit, np.array([1 - 3e-4, 1 + 1e-12, 1 + 1e-6]) * reach)[3])
    assert inside.max() > 1e-4
    assert edge[0] < 1e-4 * inside.max()
    assert np.all(edge[1:] <= 1e-12 * inside.max())  # what other neighbours leave, by rounding


@pytest.mark.parametrize("name", NAMES)
def test_rotations_reflections_and_order_do_not_matter(potentials, name):
    potential = potentials[name]
    stencil = some_stencil(potential)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    order = np.random.default_rng(2).permutation(10)
    turned = Stencil((stencil.g @ turn.T)[:, order], stencil.centre, stencil.neighbour[:, order])
    assert float(potential(turned)[0]) == pytest.approx(float(potential(stencil)[0]), rel=1e-12)  # rounding


def test_the_ends_are_smooth_to_fifth_order():
    """Near its ends the window leaves 1 and 0 like the sixth power, the ramp leaves its lines like the seventh."""
    d = jnp.asarray([0.004, 0.002])  # the next power of the polynomial changes an exponent by about 4 d

    def exponent(rest):
        return float(jnp.log2(rest[0] / rest[1]))

    assert exponent(fade(2.0 - d, 1.0, 2.0)) == pytest.approx(6, abs=0.05)
    assert exponent(1.0 - fade(1.0 + 10 * d, 1.0, 2.0)) == pytest.approx(6, abs=0.5)  # d large enough for 1 - 1e-8
    assert exponent(ramp(d - 0.5, 0.5)) == pytest.approx(7, abs=0.05)
    assert exponent(ramp(0.5 - 10 * d, 0.5) - (0.5 - 10 * d)) == pytest.approx(7, abs=0.5)
    middle = jnp.linspace(1, 2, 11)
    assert np.allclose(fade(middle, 1.0, 2.0) + fade(3.0 - middle, 1.0, 2.0), 1.0, atol=1e-12)  # odd about its middle
    assert float(ramp(jnp.asarray(0.7), 0.5)) == 0.7 and float(ramp(jnp.asarray(-0.7), 0.5)) == 0.0


# -- other people's calculators ------------------------------------------------------------------------------------------------


def test_stillinger_weber_moments_equal_the_triple_loop(potentials):
    """The made-up two-species table, summed over triples in plain Python."""
    potential = potentials["StillingerWeber(file)"]
    rows = [line.split() for line in SW_TABLE.replace("\n  ", " ").splitlines()[1:]]
    table = {tuple(row[:3]): [float(w) for w in row[3:]] for row in rows}
    assert potential.species == ("A", "B") and potential.p == ((4.0, 4.0), (4.0, 3.0))
    for centre in (0, 1):
        stencil = some_stencil(potential, slots=6, seed=11, padding=0)
        stencil = Stencil(stencil.g * 0.8, jnp.full(1, centre), stencil.neighbour)
        g = np.asarray(stencil.g[0])
        names = [potential.species[int(k)] for k in stencil.neighbour[0]]
        me, total, f = potential.species[centre], 0.0, []
        for vector, other in zip(g, names, strict=True):
            eps, sigma, a, _, gamma, _, A, B, p, q, _ = table[me, other, other]
            r = np.linalg.norm(vector)
            inside = r < a * sigma
            total += (
                0.5 * A * eps * (B * (sigma / r) ** p - (sigma / r) ** q) * np.exp(sigma / (r - a * sigma)) if inside else 0.0
            )
            f.append(np.exp(gamma * sigma / (r - a * sigma)) if inside else 0.0)
        pairwise = total
        for j in range(6):
            for k in range(j + 1, 6):
                eps, _, _, stiffness, _, cos0, *_ = table[me, names[j], names[k]]
                cosine = g[j] @ g[k] / np.linalg.norm(g[j]) / np.linalg.norm(g[k])
                total += stiffness * eps * (cosine - cos0) ** 2 * f[j] * f[k]
        assert abs(total - pairwise) > 1e-2
        assert float(potential(stencil)[0]) == pytest.approx(total, abs=1e-11)


def test_pairs_that_do_not_interact_are_harmless(tmp_path):
    """A table whose A-B entries are zero: B is invisible to A, and no derivative is lost over it."""
    rows = [line for line in SW_TABLE.replace("\n  ", " ").splitlines() if not line.startswith("#")]
    mixed = [f"{row[:5]} 0 0 0 0 0 0 0 0 0 0 0" if row[:5] in ("A B B", "B A A") else row for row in rows]
    (tmp_path / "apart.sw").write_text("\n".join(mixed))
    apart = StillingerWeber(tmp_path / "apart.sw")
    kinds = jnp.asarray([[0, 1, 1, 0, 1, 0, 1, 0, 0, 0]])
    stencil = Stencil(some_stencil(apart).g, jnp.zeros(1, dtype=int), kinds)
    toss = np.random.default_rng(1).standard_normal(stencil.g.shape)
    seen = jets_at(apart, stencil, toss, 0.0)
    assert np.all(np.isfinite(seen)) and np.all(seen != 0.0)
    assert np.all(jets_at(apart, stencil, np.where(kinds[..., None] == 1, toss, 0.0), 0.0)[1:] == 0.0)
