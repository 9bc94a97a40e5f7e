"""Blocks: compressing, splitting, merging, storing and restricting rows never changes what least squares sees in them."""

import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectgen._input import InputError
from defectgen.ace import ACEBasis
from defectgen.training import Block, Blocks, Compressor, join, parse_observations, residual_sum, spell_observations, triangle
from defectgen.training.compress import Reduction
from defectgen.training.gram import Gram
from defectgen.training.observations import OF_SETS

EPS = np.finfo(float).eps


def rows_and_labels(seed, count, columns):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, columns)), rng.normal(size=count)


def compressed(a, y, cuts=()):
    compressor = Compressor(a.shape[1])
    for part in np.split(np.arange(len(a)), sorted(cuts)):
        compressor.add(a[part], y[part])
    return compressor


def block(a, y, kind="F", group="bulk", atoms=4, scale=1.0, plain=True):
    halved = compressed(a / 2, y / 2).factor() if plain else None
    return Block(kind, group, atoms, scale, len(a), compressed(a, y).factor(), halved, "test")


class Basis:
    """A stand-in that knows its size only."""

    def __init__(self, size):
        self.size = size

    def describe(self):
        return {"size": self.size}


# the factor -------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), count=st.integers(1, 60), columns=st.integers(1, 9), data=st.data())
def test_the_factor_has_the_residual_of_its_rows_however_they_are_cut(seed, count, columns, data):
    a, y = rows_and_labels(seed, count, columns)
    cuts = data.draw(st.lists(st.integers(0, count), max_size=4))
    factor = compressed(a, y, cuts).factor()
    assert np.array_equal(factor, np.triu(factor)) and len(factor) == min(count, columns + 1)
    theta = np.random.default_rng(seed + 1).normal(size=columns)
    # rounding of an orthogonal reduction: a few eps times the squared norm of what is summed
    assert residual_sum(factor, theta) == pytest.approx(np.sum((a @ theta - y) ** 2), rel=100 * columns * EPS)


@pytest.mark.parametrize("columns", [1, 7, 300], ids=["one column", "few columns", "many columns"])
def test_many_buffers_and_one_stack_have_one_gram_matrix(columns):
    a, y = rows_and_labels(3, 6000, columns)
    a[:, 0] = 0.0  # a function that no row sees
    compressor = compressed(a, y, cuts=[1, 700, 5999])
    stacked = np.column_stack([a, y])
    factor = compressor.factor()
    assert compressor.rows == 6000
    assert factor.T @ factor == pytest.approx(
        stacked.T @ stacked, abs=1e3 * EPS * 6000
    )  # entries of the Gram matrix are at most ~6000


def test_asking_for_the_factor_midway_changes_nothing():
    a, y = rows_and_labels(0, 50, 4)
    compressor = compressed(a[:20], y[:20])
    compressor.factor()
    compressor.add(a[20:], y[20:])
    assert np.abs(compressor.factor()) == pytest.approx(np.abs(triangle(np.column_stack([a, y]))), abs=1e-13)


def test_memory_does_not_grow_with_the_number_of_rows():
    def peak(batches):
        tracemalloc.start()
        compressor = Compressor(20)
        for seed in range(batches):
            compressor.add(*rows_and_labels(seed, 500, 20))
        compressor.factor()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    short, long = peak(10), peak(60)
    assert long < 1.1 * short
    assert 60 * 500 * 21 * 8 > 2 * long  # the rows themselves would not have fitted


@pytest.mark.parametrize(("where", "said"), [(0, "basis function 0"), (3, "label")], ids=["in a row", "in a label"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(where, said, value):
    a, y = rows_and_labels(0, 5, 3)
    stacked = np.column_stack([a, y])
    stacked[2, where] = value
    with pytest.raises(InputError, match=rf"F:vacancy rows .* {said} of row 2"):
        Compressor(3, "F:vacancy rows").add(stacked[:, :3], stacked[:, 3])


def test_rows_of_no_known_kind_are_refused():
    with pytest.raises(InputError, match="E, F, FC, V, VF, V0, C, Ef; got 'X'"):
        block(*rows_and_labels(0, 5, 3), kind="X")


def test_a_wrong_number_of_columns_is_refused():
    with pytest.raises(InputError, match="3 columns"):
        Compressor(3).add(np.ones((2, 4)), np.ones(2))


# blocks -----------------------------------------------------------------------------------------------------------


def test_equal_keys_merge_and_others_stay_apart():
    a, y = rows_and_labels(5, 90, 6)
    one = Blocks(None, (block(a[:30], y[:30]), block(a[60:], y[60:], group="vacancy")), "Cu")
    two = Blocks(None, (block(a[30:60], y[30:60]), block(a[30:60], y[30:60], kind="E")), "Cu", {"seed": 1})
    both = one + two
    assert [b.key for b in both.items] == [("F", "bulk", 4), ("F", "vacancy", 4), ("E", "bulk", 4)]
    assert both.kinds == ("E", "F") and both.groups == ("bulk", "vacancy") and both.notes == {"seed": 1}
    assert both.rows("F") == 90 and both.rows() == 120 and both.rows("V") == 0
    theta = np.arange(6.0)
    for factor, part in ((both.items[0].factor, 1.0), (both.items[0].plain, 0.25)):
        assert residual_sum(factor, theta) == pytest.approx(part * np.sum((a[:60] @ theta - y[:60]) ** 2), rel=1e-13)


def test_merging_refuses_what_does_not_belong_together():
    a, y = rows_and_labels(5, 9, 2)
    cu = Blocks(None, (block(a, y),), "Cu")
    with pytest.raises(InputError, match="one reference; got 'Cu' and 'Ni'"):
        cu + Blocks(None, (block(a, y),), "Ni")
    with pytest.raises(InputError, match="one basis"):
        Blocks(Basis(2), (block(a, y),)) + Blocks(Basis(2), (block(a, y),))
    with pytest.raises(InputError, match="same settings"):
        cu + Blocks(None, (block(a, y, scale=2.0),))
    with pytest.raises(InputError, match="one column per basis function"):
        Blocks(None, (block(a, y), block(a[:, :1], y, kind="E")))
    with pytest.raises(InputError, match="one column per basis function"):
        Blocks(Basis(3), (block(a, y),))


@given(seed=st.integers(0, 99), columns=st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True))
def test_a_restricted_block_is_the_block_of_the_chosen_columns(seed, columns):
    a, y = rows_and_labels(seed, 25, 6)
    chosen = Blocks(Basis(6), (block(a, y),)).restrict(columns, Basis(len(columns)))
    theta = np.random.default_rng(seed).normal(size=len(columns))
    assert chosen.items[0].rows == 25 and chosen.columns == len(columns)
    assert residual_sum(chosen.items[0].factor, theta) == pytest.approx(np.sum((a[:, columns] @ theta - y) ** 2), rel=1e-13)
    assert chosen.items[0].squared_error(theta) == pytest.approx(np.sum((a[:, columns] @ theta - y) ** 2) / 4, rel=1e-13)


@pytest.mark.parametrize("columns", [[0, 0], [3], [-1]], ids=["twice", "beyond", "negative"])
def test_columns_that_do_not_exist_are_refused(columns):
    with pytest.raises(InputError, match="from 0 to 2"):
        Blocks(None, (block(*rows_and_labels(0, 9, 3)),)).restrict(columns)


def test_selecting_keeps_the_perfect_crystal_and_refuses_missing_kinds():
    a, y = rows_and_labels(0, 9, 3)
    blocks = Blocks(None, tuple(block(a, y, kind) for kind in ("V0", "F", "E", "VF", "V")))
    assert blocks.kinds == ("E", "F", "V", "VF", "V0")
    assert blocks.select("E").kinds == ("E", "V0")
    assert blocks.select("V").kinds == ("V", "VF", "V0")  # internal forces are a part of V
    with pytest.raises(InputError, match="FC rows, and there are none"):
        blocks.select("E+FC")


def test_saved_blocks_come_back_bit_for_bit(tmp_path):
    a, y = rows_and_labels(1, 40, 5)
    blocks = Blocks(Basis(5), (block(a, y), block(a[:3], y[:3], "E", "vacancy", 107, 0.1, plain=False)), "Cu", {"seed": 3})
    blocks.save(tmp_path / "blocks.h5")
    back = Blocks.load(tmp_path / "blocks.h5", Basis(5))
    assert (back.truth, back.notes, back.columns) == ("Cu", {"seed": 3}, 5)
    for old, new in zip(blocks.items, back.items, strict=True):
        assert (old.key, old.scale, old.rows, old.source) == (new.key, new.scale, new.rows, new.source)
        assert np.array_equal(old.factor, new.factor)
        assert (old.plain is None) == (new.plain is None)
    with pytest.raises(InputError, match="labelled for the basis"):
        Blocks.load(tmp_path / "blocks.h5", Basis(6))


def test_the_basis_comes_back_with_its_blocks(tmp_path):
    basis = ACEBasis(["Cu"], cutoff=4.0, order=2, degree=3.0)
    Blocks(basis, (block(*rows_and_labels(1, 9, basis.size)),), "Cu").save(tmp_path / "blocks.h5")
    back = Blocks.load(tmp_path / "blocks.h5")
    assert back.basis is not basis and back.basis.describe() == basis.describe()
    assert (back + Blocks.load(tmp_path / "blocks.h5", basis)).rows() == 18  # equal bases are one basis


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path):
    blocks = Blocks(None, (block(*rows_and_labels(1, 4, 2)),))
    blocks.save(tmp_path / "b.h5")
    before = (tmp_path / "b.h5").read_bytes()
    with pytest.raises(TypeError):
        Blocks(None, blocks.items, "", {"not json": object()}).save(tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["b.h5"]


def test_files_without_blocks_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    h5py.File(tmp_path / "other.h5", "w").close()
    for name in ("text.h5", "absent.h5", "other.h5"):
        with pytest.raises(InputError, match=r"blocks\.save"):
            Blocks.load(tmp_path / name)


# observation sets --------------------------------------------------------------------------------------------------


@given(kinds=st.lists(st.sampled_from(OF_SETS), min_size=1))
def test_a_set_is_spelled_one_way(kinds):
    assert parse_observations("+".join(kinds)) == parse_observations(kinds) == tuple(k for k in OF_SETS if k in kinds)
    assert spell_observations(reversed(kinds)) == "+".join(parse_observations(kinds))


def test_the_set_without_observations_is_no_set_of_rows():
    with pytest.raises(InputError, match="'none' is the set without observations"):
        parse_observations("none")


@pytest.mark.parametrize("text", ["E+G", "", "EF", "V0"])
def test_other_spellings_are_refused_with_the_list(text):
    with pytest.raises(InputError, match="E, F, FC, V"):
        parse_observations(text)


def test_joining_factors_is_factoring_the_stack():
    a, y = rows_and_labels(8, 60, 4)
    parts = [compressed(a[i : i + 20], y[i : i + 20]).factor() for i in (40, 0, 20)]
    theta = np.ones(4)
    assert residual_sum(join(parts, 4), theta) == pytest.approx(np.sum((a @ theta - y) ** 2), rel=1e-13)


# the ways of a stream ----------------------------------------------------------------------------------------------


COLUMNS = 16


def stream(name, seed=0, count=9000, condition=1e9):
    """Rows [A | y] of one kind of difficulty, with noisy labels unless it is the label that is difficult."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(COLUMNS, COLUMNS)))[0]
    graded = np.geomspace(1, 1 / condition, COLUMNS)[:, None] * turn
    a = rng.normal(size=(count, COLUMNS))
    if name not in ("well conditioned", "columns after one another", "exact label", "twins and zeros"):
        a = a @ graded
    if name == "scaled columns":
        a *= np.geomspace(1e-10, 1e10, COLUMNS)
    if name == "growing rows":
        a *= np.geomspace(1e-6, 1e6, count)[:, None]
    if name == "directions that come late":
        a[: count // 2] = rng.normal(size=(count // 2, 4)) @ graded[:4]
    if name == "columns after one another":
        a[np.arange(count)[:, None] < 400 * np.arange(COLUMNS)] = 0.0
    if name == "outliers":
        a[::3001] *= 1e8
    if name == "twins and zeros":
        a[:, 3], a[:, 5] = a[:, 4], 0.0
    noise = 0.0 if "exact label" in name else 1e-2
    return np.column_stack([a, a @ rng.normal(size=COLUMNS) + noise * rng.normal(size=count)])


def compressed_stream(rows, chunk=700):
    compressor = Compressor(rows.shape[1] - 1)
    for start in range(0, len(rows), chunk):
        compressor.add(rows[start : start + chunk, :-1], rows[start : start + chunk, -1])
    return compressor


def backward(factor, rows):
    """Difference of the Gram matrices in extended precision, columns of unit length: what was done to the rows."""
    norms = np.linalg.norm(rows, axis=0)
    x, r = ((m / np.where(norms > 0, norms, 1.0)).astype(np.longdouble) for m in (rows, factor))
    return float(np.abs(x.T @ x - r.T @ r).max())


def distortion(factor, rows):
    """|Q'Q - 1| of Q = A R^-1 in extended precision: the relative error of the squared norm of some A theta."""
    a, r = rows[:, :-1].astype(np.longdouble), factor[:, :-1].astype(np.longdouble)
    for j in range(a.shape[1]):
        a[:, j] /= r[j, j]
        a[:, j + 1 :] -= np.outer(a[:, j], r[j, j + 1 :])
    return float(np.abs(a.T @ a - np.eye(a.shape[1])).max())


REDUCTIONS = {  # what each stream must use besides the first rows, which are always reduced by Householder's QR
    "well conditioned": "plain",
    "exact label": "plain",
    "ill conditioned": "solved",
    "ill conditioned, exact label": "solved",
    "scaled columns": "solved",
    "growing rows": "solved",
    "directions that come late": "solved",
    "outliers": "solved",
    "columns after one another": "plain",
    "twins and zeros": "solved",
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_stream_gives_the_factor_of_the_whole_as_exactly_as_householder(name):
    rows = stream(name)
    compressor = compressed_stream(rows)
    reduction, factor, oracle = compressor.reduction(), compressor.factor(), np.linalg.qr(rows, mode="r")
    assert getattr(reduction, REDUCTIONS[name]) >= 1000, reduction
    assert reduction.householder + reduction.solved + reduction.plain == len(rows)
    assert np.array_equal(factor, np.triu(factor)) and factor.shape == oracle.shape
    assert backward(factor, rows) < 20 * COLUMNS * EPS  # rounding in each column; measured: 2 to 10 eps on either side
    if name != "twins and zeros":
        # both are rounding times the condition, in a random direction: ten is their scatter
        assert distortion(factor, rows) < 10 * distortion(oracle, rows) + 100 * EPS
        true = np.linalg.cond(rows[:, :-1] / np.linalg.norm(rows[:, :-1], axis=0))
        assert reduction.condition == pytest.approx(true, rel=0.2)  # twelve steps of a power iteration
    else:
        assert reduction.condition == np.inf
        assert not factor[:, 5].any()  # a function that no row sees keeps its column of zeros


def test_rows_unlike_all_before_are_refused_by_the_gram_matrix():
    rows = stream("directions that come late")
    known = triangle(rows[:3000])
    gram = Gram(known)
    assert gram.add(rows[3000:4000].copy())
    before = gram.factor()
    assert not gram.add(rows[5000:6000].copy())
    assert np.array_equal(gram.factor(), before)  # refused rows leave no trace
    assert compressed_stream(rows).reduction().householder > compressed_stream(rows[:4000]).reduction().householder


@pytest.mark.parametrize(
    ("name", "limits"),
    [("ill conditioned", {"plain": 1e40, "limit": 1e40}), ("directions that come late", {"limit": 1e40})],
    ids=["no solving", "no refusing"],
)
def test_without_its_limits_the_gram_matrix_loses_what_the_stream_keeps(name, limits):
    rows = stream(name, condition=3e6)  # rounding times the square of the condition is 2e-3: the factor exists, and is wrong
    kept = distortion(compressed_stream(rows).factor(), rows)
    gram = Gram(triangle(rows[:700]), **limits)
    assert gram.add(rows[700:].copy())
    assert distortion(gram.factor(), rows) > 1e3 * kept


def test_zeros_after_zeros_are_zeros():
    assert not compressed_stream(np.zeros((5000, 4))).factor().any()


def test_the_route_travels_with_its_block(tmp_path):
    rows = stream("ill conditioned", count=4000)
    compressor = compressed_stream(rows)
    reduction = compressor.reduction()
    item = Block("F", "bulk", 4, 1.0, len(rows), compressor.factor(), reduction=reduction)
    blocks = Blocks(None, (item,)) + Blocks(None, (item,))
    assert blocks.items[0].reduction == Reduction(2 * reduction.householder, 2 * reduction.solved, 0, reduction.condition)
    blocks.save(tmp_path / "b.h5")
    assert Blocks.load(tmp_path / "b.h5").items[0].reduction == blocks.items[0].reduction
    assert np.isnan((Reduction() + Reduction()).condition)
