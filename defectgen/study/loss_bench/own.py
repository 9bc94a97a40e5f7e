"""A loss of one's own in a finished bench: fitted to its training sets, relaxed, and ranked among the losses that are there."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._input import InputError, takes
from ...campaign import Given, Store
from ...campaign.store import Damaged, Outdated
from ...fit import Loss
from ..spec import load
from .settings import LossBench, listed

if TYPE_CHECKING:
    import pandas


@takes(loss=(Loss, "a dg.Loss with a name"), directory=(str | Path, "the directory of a run of loss-bench"))
def bench_loss(loss: Loss, directory: str | Path, progress: Callable[[int, int], None] | None = None) -> "pandas.DataFrame":
    """Rank a loss among those of a finished bench.

    Parameters
    ----------
    loss : Loss
        With a name; its weight may be any function of the rows.
    directory : str or Path
        Of a run of ``defectgen run loss-bench``. Its rows, references and equilibria are used; nothing is written.
    progress : callable, optional
        Called with how many training sets are done and how many there are.

    Returns
    -------
    DataFrame
        The ranking, one line a loss, as in loss_ranking.csv: held-out errors over those of the default with intervals over the
        defects, how often and how much a loss is worse, training errors, elastic constants, phonons and stability.

    Raises
    ------
    InputError
        For a loss without a name or with that of another one, a directory that is no finished bench, and a loss that cannot be
        fitted to the rows.

    Examples
    --------
    >>> mine = Loss("E+F+V", weight=lambda row: 1 / (1 + row.energy), name="mine")
    >>> print(bench_loss(mine, "runs/loss-bench"))  # doctest: +SKIP
    """
    import pandas as pd

    from .planned import trials
    from .steps import BenchTrial, measured
    from .tables import lines_of, ranking, with_chosen

    folder = Path(directory)
    if not (folder / "spec.toml").is_file():
        raise InputError(f"{str(folder)!r} is no directory of a run; give that of a run of loss-bench")
    spec = load(folder / "spec.toml")
    asked = spec.asked(LossBench)
    if asked is None:
        raise InputError(f"the run in {str(folder)!r} has no bench of losses; give that of a run of loss-bench")
    if not loss.name.strip():
        raise InputError("a loss of the bench has a name, by which its line is called; give name='mine'")
    if loss.name in (names := [each.name for each in listed(asked)]):
        raise InputError(f"the bench has a loss {loss.name!r} already; its losses are {', '.join(names)}")
    store = Store(folder)
    steps = list(trials(spec, asked))
    given = _results(store, steps)
    lines: list[dict[str, Any]] = [line for step in steps for line in lines_of(step, given[step])]
    firsts = [step for step in steps if step.first is None]
    for done, step in enumerate(firsts):
        before = given[step]
        starts = [x if not s else None for x, s in zip(before.positions, before.state, strict=True)]
        found = measured(step.scene(given), loss, starts)
        named = BenchTrial(
            crystal=step.crystal,
            rows=step.rows,
            exacts=step.exacts,
            basis=step.basis,
            waves=step.waves,
            loss={"name": loss.name},
            first=step,
        )
        lines += lines_of(named, found)
        if progress is not None:
            progress(done + 1, len(firsts))
    return ranking(with_chosen(pd.DataFrame(lines)), asked.resamples)


def _results(store: Store, steps: list[Any]) -> Given:
    """The results of the steps and of all that they need. Raises InputError if one is not there."""
    records, todo = {}, list(steps)
    while todo:
        step = todo.pop()
        if step.key in records:
            continue
        try:
            record = store.load(step)
        except (Damaged, Outdated):
            record = None
        if record is None or not record.ok:
            raise InputError(
                f"the bench has no result of {step.label!r} that this version computed; finish it first with the command that "
                "started it"
            )
        records[step.key] = record
        todo += step.after
    return Given(records)
