"""Diversity of data sets: effective numbers at their known ends, selections against brute force, the metric against a strain."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import defectgen as dg
from defectgen.crystal import Snapshot
from defectgen.observe import environments, own_columns
from defectgen.training.diversity import (
    covered,
    d_optimal,
    effective_rank,
    farthest_points,
    gaussian_similarity,
    maxvol,
    metric_of,
    nearest_distances,
    similarity_entropy,
    vendi_score,
)

RNG = np.random.default_rng


def random(seed, n=12, m=4):
    return RNG(seed).normal(size=(n, m))


# ---------------------------------------------------------------- effective numbers


@pytest.mark.parametrize("n", [1, 5, 40])
def test_vendi_counts_what_is_different(n):
    assert vendi_score(np.eye(n)) == pytest.approx(n)
    assert vendi_score(np.ones((n, n))) == pytest.approx(1.0)
    assert similarity_entropy(np.eye(n)) == pytest.approx(np.log(n))
    assert similarity_entropy(np.ones((n, n))) == 0.0


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (6, 3, 2, 1)], ids=["equal groups", "unequal groups"])
def test_vendi_of_groups_is_the_exponential_of_their_shannon_entropy(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    similarity = (labels[:, None] == labels[None]).astype(float)
    p = np.array(sizes) / sum(sizes)
    assert vendi_score(similarity) == pytest.approx(np.exp(-np.sum(p * np.log(p))))
    assert np.exp(similarity_entropy(similarity)) == pytest.approx(vendi_score(similarity))  # for groups the two are one


@given(seed=st.integers(0, 99), scale=st.floats(0.01, 10.0))
def test_vendi_lies_between_its_ends_and_knows_neither_order_nor_repetition(seed, scale):
    points = scale * random(seed)
    k = gaussian_similarity(points)
    score, order = vendi_score(k), RNG(seed).permutation(len(k))
    rounding = 1e-12  # of sums of a few numbers about one
    assert 1 - rounding <= score <= len(k) * (1 + rounding)
    assert -rounding <= similarity_entropy(k) <= np.log(len(k)) + rounding
    assert vendi_score(k[np.ix_(order, order)]) == pytest.approx(score)
    twice = gaussian_similarity(np.concatenate([points, points]))
    assert vendi_score(twice) == pytest.approx(score, rel=1e-6)  # eigenvalues that should be zero are rounding, p log p of it
    assert similarity_entropy(twice) == pytest.approx(similarity_entropy(k))
    wider = gaussian_similarity(1.5 * points)
    assert vendi_score(wider) >= score * (1 - 1e-9) and similarity_entropy(wider) >= similarity_entropy(k) - rounding


def test_vendi_is_the_entropy_of_the_density_matrix():
    """-Tr rho log rho by another route: the matrix logarithm."""
    from scipy.linalg import logm

    rho = gaussian_similarity(random(3)) / 12
    assert np.log(vendi_score(rho * 12)) == pytest.approx(-np.trace(rho @ logm(rho)).real, rel=1e-9)


@pytest.mark.parametrize("m", [1, 3, 8])
def test_effective_rank_counts_equal_directions(m):
    q = np.linalg.qr(random(m, 20, m))[0]
    assert effective_rank(q) == pytest.approx(m)
    assert effective_rank(7.0 * q @ np.linalg.qr(random(1, m, m))[0]) == pytest.approx(m)  # scaled and turned
    assert effective_rank(np.outer(np.arange(20.0), np.ones(m))) == pytest.approx(1.0)
    assert effective_rank(np.zeros((20, m))) == 0.0


def test_effective_rank_is_below_the_rank_and_rises_towards_it():
    values = [effective_rank(np.diag([1.0, 0.5, e])) for e in (1e-6, 0.1, 0.4, 0.5)]
    assert np.all(np.diff(values) > 0) and 1 < values[0] < 2 < values[-1] < 3


def test_what_is_no_similarity_is_refused():
    for wrong in (2 * np.eye(3), np.array([[1.0, 0.2], [0.3, 1.0]]), np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros((0, 0))):
        with pytest.raises(dg.InputError, match="similarities"):
            vendi_score(wrong)


# ---------------------------------------------------------------- selection


@given(seed=st.integers(0, 99), start=st.integers(0, 11))
def test_farthest_points_are_those_of_brute_force(seed, start):
    points = random(seed)
    chosen = [start]
    while len(chosen) < 6:
        left = [k for k in range(len(points)) if k not in chosen]
        chosen.append(max(left, key=lambda k: min(np.linalg.norm(points[k] - points[c]) for c in chosen)))
    assert farthest_points(points, 6, start).tolist() == chosen


@pytest.mark.parametrize("seed", range(4))
def test_farthest_points_cover_within_twice_the_best_radius(seed):
    """Gonzalez's bound, against all choices of three points."""
    d = cdist(random(seed, 14, 2), random(seed, 14, 2))

    def radius(chosen):
        return d[:, list(chosen)].min(axis=1).max()

    best = min(radius(c) for c in combinations(range(14), 3))
    assert 0 < best <= radius(farthest_points(random(seed, 14, 2), 3)) <= 2 * best


def test_duplicates_are_chosen_last_and_once_each():
    points = np.array([[0.0], [0.0], [1.0], [1.0], [3.0]])
    order = farthest_points(points, 5)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert sorted(points[order[:3], 0]) == [0.0, 1.0, 3.0]


@given(seed=st.integers(0, 99))
def test_d_optimal_rows_are_those_of_brute_force(seed):
    """Each choice against the determinants of all candidates."""
    rows = random(seed, 10, 3)
    scaled = rows / np.sqrt(np.mean(rows**2, axis=0))
    information, chosen = 1e-12 * np.eye(3), []
    for _ in range(5):
        left = [k for k in range(10) if k not in chosen]
        gain = {k: np.linalg.slogdet(information + np.outer(scaled[k], scaled[k]))[1] for k in left}
        chosen.append(max(left, key=gain.__getitem__))
        information = information + np.outer(scaled[chosen[-1]], scaled[chosen[-1]])
    assert d_optimal(rows, 5).tolist() == chosen
    assert d_optimal(rows * [1e-3, 1.0, 1e4], 5).tolist() == chosen  # the units of the columns do not matter


@given(seed=st.integers(0, 99), extra=st.integers(0, 8))
def test_no_exchange_of_a_row_enlarges_the_volume(seed, extra):
    rows = random(seed, 4 + extra, 4)
    found = maxvol(rows, tolerance=1.0 + 1e-9)
    volume = abs(np.linalg.det(rows[found.index]))
    assert np.allclose(found.coefficients @ rows[found.index], rows) and np.abs(found.coefficients).max() <= 1.0 + 1e-8
    assert np.allclose(found.coefficients[found.index], np.eye(4), atol=1e-9)
    for k in range(len(rows)):
        for place in range(4):
            other = found.index.copy()
            other[place] = k
            ratio = abs(np.linalg.det(rows[other])) / volume
            assert ratio == pytest.approx(abs(found.coefficients[k, place]), abs=1e-9)  # what the coefficients mean
            assert ratio <= 1 + 1e-8
    best = max(abs(np.linalg.det(rows[list(c)])) for c in combinations(range(len(rows)), 4))
    assert best <= 4 ** (4 / 2) * volume * (1 + 1e-9)  # a dominant set is off by at most m^(m/2): Goreinov and others


def test_maxvol_improves_on_its_start_and_refuses_what_has_no_volume():
    exchanges = [maxvol(random(seed, 400, 12)).exchanges for seed in range(5)]
    assert max(exchanges) > 0  # or the test above would only test a QR factorisation
    for rows, said in ((random(0, 3, 4), "3 rows for 4"), (np.ones((6, 2)), "not independent"), (np.zeros((4, 2)), "not indep")):
        with pytest.raises(dg.InputError, match=said):
            maxvol(rows)
    with pytest.raises(dg.InputError, match="above 1"):
        maxvol(random(0), tolerance=1.0)


# ---------------------------------------------------------------- coverage


def test_distances_and_coverage_are_those_of_brute_force():
    points, pool = random(1), 2 * random(2, 30)
    assert nearest_distances(pool, points) == pytest.approx(cdist(pool, points).min(axis=1))
    assert nearest_distances(points) == pytest.approx((cdist(points, points) + 1e9 * np.eye(12)).min(axis=1))
    radius = float(np.median(cdist(pool, points).min(axis=1)))
    assert covered(points, pool, radius) == pytest.approx(0.5, abs=1 / 30)
    assert covered(points, points, 0.0) == 1.0 and nearest_distances(points[:1])[0] == np.inf


# ---------------------------------------------------------------- environments of cells

BASIS = dg.ACEBasis(["Cu"], cutoff=4.2, order=2, degree=5)
ALLOY = dg.ACEBasis(["Ni", "Al"], cutoff=4.2, order=2, degree=4)
LATTICE = dg.fcc("Cu", 3.615)


def rattled(amplitude, defect=None, seed=0, configurations=4):
    rattle = {"configurations": configurations, "amplitude": amplitude}
    return [c for c in dg.training_cells(LATTICE, defect, 2, seed, rattle=rattle) if c.group == "defect"]


def plain(cell):
    return Snapshot(cell, cell.positions, cell.vectors)


def seen(basis, snapshot, positions=None, vectors=None):
    cell = snapshot.cell
    x = snapshot.positions if positions is None else positions
    box = snapshot.vectors if vectors is None else vectors
    return environments(basis, cell.symbols, x, box, cell.periodic)


def test_site_rows_sum_to_the_row_of_the_energy():
    from defectgen.observe import respond

    snapshot = rattled(0.1)[2]
    here, whole = seen(BASIS, snapshot), respond(BASIS, snapshot)
    scale = np.abs(here.sites).max()
    assert here.sites.sum(axis=0) == pytest.approx(whole.energy, abs=1e-11 * scale * len(here))
    assert np.array_equal(here.forces, whole.forces)


def test_a_site_carries_the_channels_of_its_species_and_no_others():
    snapshot = plain(dg.supercell(dg.l12("Ni", "Al", 3.57), 1))
    here = seen(ALLOY, snapshot)
    for symbol in ("Ni", "Al"):
        own = own_columns(ALLOY, symbol)
        others = np.setdiff1d(np.arange(ALLOY.size), own)
        assert len(own) == 1 + ALLOY.functions_per_species and len(others) > 0
        rows = here.sites[here.of(symbol)]
        assert len(rows) == {"Ni": 3, "Al": 1}[symbol] and not rows[:, others].any() and rows[:, own].any()
    assert np.intersect1d(own_columns(ALLOY, "Ni"), own_columns(ALLOY, "Al")).size == ALLOY.pair_degree  # the pair Ni-Al
    with pytest.raises(dg.InputError, match="got the species 'Cu'"):
        own_columns(ALLOY, "Cu")


def test_one_per_cent_of_strain_is_a_distance_of_one():
    snapshot = plain(dg.supercell(LATTICE, 2))
    metric = metric_of([snapshot], BASIS)
    x, box = snapshot.positions, snapshot.vectors
    rest = metric.points(seen(BASIS, snapshot))
    for strain, expected in ((0.01, 1.0), (0.002, 0.2), (-0.01, 1.0)):
        moved = metric.points(seen(BASIS, snapshot, x * (1 + strain), box * (1 + strain)))
        distance = np.linalg.norm(moved - rest, axis=1)
        assert distance == pytest.approx(np.full(len(x), expected), rel=0.1)  # linear but for terms of some strains


def test_distances_know_neither_rotation_nor_translation_nor_the_size_of_the_cell():
    metric = metric_of([plain(dg.supercell(LATTICE, 2))], BASIS)
    snapshot = rattled(0.1)[3]
    turn, shift = np.linalg.qr(random(5, 3, 3))[0], np.array([0.3, 1.7, -0.9])
    turned = metric.points(seen(BASIS, snapshot, (snapshot.positions + shift) @ turn, snapshot.vectors @ turn))
    assert turned == pytest.approx(metric.points(seen(BASIS, snapshot)), abs=1e-9)
    small, large = (metric.points(seen(BASIS, plain(dg.supercell(LATTICE, n)))) for n in (1, 3))
    assert np.ptp(np.concatenate([small, large]), axis=0).max() < 1e-9


def test_species_are_apart():
    snapshot = plain(dg.supercell(dg.l12("Ni", "Al", 3.57), 2))
    metric = metric_of([snapshot], ALLOY)
    here = seen(ALLOY, snapshot)
    points = metric.points(here)
    similarity = gaussian_similarity(points)
    assert similarity[np.ix_(here.of("Ni"), here.of("Al"))].max() == 0.0
    found = dg.diversity([snapshot], ALLOY)
    p = np.array([0.75, 0.25])
    assert found.vendi == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-6)  # two kinds of sites, three to one
    assert found.effective_rank == 0.0  # within a species nothing differs


def test_a_set_is_counted():
    cells = rattled(0.05) + rattled(0.05, dg.vacancy(), configurations=2)
    found = dg.diversity(cells, BASIS)
    assert found.structures == {"fcc Cu, Cu32": 5, "fcc Cu, v_Cu, Cu31": 3}
    assert (found.conformations, found.environments, found.sampled) == (8, 5 * 32 + 3 * 31, 5 * 32 + 3 * 31)
    assert "2 structures, 8 conformations, 253 environments" in str(found)
    assert found.coverage is None and len(found.nearest) == 253


def test_diversity_grows_with_the_rattle_and_with_defects():
    rest = plain(dg.supercell(LATTICE, 2))
    metric = metric_of([rest], BASIS)
    quiet, loud, louder = (dg.diversity(rattled(a), BASIS, metric=metric) for a in (0.0, 0.05, 0.2))
    assert quiet.vendi == pytest.approx(1.0) and quiet.entropy == pytest.approx(0.0, abs=1e-12) and quiet.effective_rank == 0.0
    assert 1 < loud.vendi < louder.vendi and loud.entropy < louder.entropy and np.median(loud.nearest) < np.median(louder.nearest)
    with_vacancy = dg.diversity([plain(dg.vacancy().apply(rest.cell))], BASIS, metric=metric)
    assert with_vacancy.vendi > 1.5  # its neighbours are another kind of site


def test_coverage_is_that_of_the_pool_within_one_per_cent_of_strain():
    rest = plain(dg.supercell(LATTICE, 2))
    metric = metric_of([rest], BASIS)
    pool = [replace(rest, positions=rest.positions * (1 + e), vectors=rest.vectors * (1 + e)) for e in (0.0, 0.008, 0.03, 0.05)]
    found = dg.diversity([rest], BASIS, metric=metric, pool=pool)
    assert found.coverage == 0.5 and "covers 50.0% of the pool" in str(found)
    assert dg.diversity(pool, BASIS, metric=metric, pool=[rest]).coverage == 1.0


def test_an_even_sample_stands_for_the_whole():
    few = dg.diversity(rattled(0.05), BASIS, most=40)
    assert (few.sampled, few.environments) == (40, 160)
    assert 1 < few.vendi <= 40


def test_cells_are_selected_for_what_they_add():
    cells = [*rattled(0.05), *rattled(0.05, dg.vacancy(), configurations=1)]
    copies = [cells[0], cells[0], *cells]  # three times the perfect crystal at rest
    for method in ("d-optimal", "farthest"):
        chosen = dg.select_cells(copies, BASIS, 4, method)
        assert len({int(k) for k in chosen}) == 4
        assert sum(int(k) in (0, 1, 2) for k in chosen) <= 1, method  # a copy of what is there adds nothing
        assert any(k >= 7 for k in chosen), method  # the vacancy is unlike the rest
    assert dg.select_cells(cells, BASIS, 0).tolist() == []


def test_d_optimal_cells_are_those_of_brute_force():
    cells = rattled(0.1, configurations=5)
    rows = [seen(BASIS, c).sites for c in cells]
    size = np.sqrt(np.mean(np.concatenate(rows) ** 2, axis=0))
    information, chosen = 1e-12 * np.eye(BASIS.size), []
    for _ in range(3):
        gain = {k: np.linalg.slogdet(information + (b / size).T @ (b / size))[1] for k, b in enumerate(rows) if k not in chosen}
        chosen.append(max(gain, key=gain.__getitem__))
        information = information + (rows[chosen[-1]] / size).T @ (rows[chosen[-1]] / size)
    assert dg.select_cells(cells, BASIS, 3).tolist() == chosen


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: dg.diversity([], BASIS), "got none"),
        (lambda: dg.diversity([LATTICE], BASIS), "got Lattice"),
        (lambda: dg.diversity(rattled(0.0)[:1], dg.ACEBasis(["Cu"], cutoff=2.0, order=1, degree=2)), "reaches no neighbour"),
        (lambda: dg.select_cells(rattled(0.0), BASIS, 9), "all 5 can be chosen; got 9"),
        (lambda: dg.select_cells(rattled(0.0), BASIS, 2, "best"), "d-optimal or farthest; got 'best'"),
        (lambda: metric_of(rattled(0.0), BASIS, strain=0.0), "small number"),
        (lambda: nearest_distances(random(0), np.zeros((0, 4))), "empty"),
        (lambda: seen(dg.reference.CleriRosato("Cu"), rattled(0.0)[0]), "described by a basis"),
    ],
    ids=["no cells", "no snapshots", "blind basis", "too many", "unknown method", "no strain", "nothing near", "no basis"],
)
def test_bad_input_is_one_sentence(ask, said, unchecked):
    with pytest.raises(dg.InputError, match=said) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_equal_cells_in_another_order_have_equal_diversity():
    cells = rattled(0.1)
    metric = metric_of(cells[:1], BASIS)
    one, other = dg.diversity(cells, BASIS, metric=metric), dg.diversity(cells[::-1], BASIS, metric=metric)
    assert (one.vendi, one.entropy) == pytest.approx((other.vendi, other.entropy))
    named = [replace(c, cell=replace(c.cell, defect="other")) for c in cells]
    assert list(dg.diversity(named, BASIS, metric=metric).structures) == ["fcc Cu, other, Cu32"]
