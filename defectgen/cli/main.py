"""The commands; each imports its modules when it is called, so that short commands stay fast."""

import io
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..campaign.stop import STATUS, heeded, stoppable
from .speak import say, spoken


def _path(text: str) -> Path:
    """A path; an empty word is refused, because Path("") would be the working directory."""
    if not text.strip():
        raise typer.BadParameter("an empty path names no file and no directory")
    return Path(text)


app = typer.Typer(
    name="defectgen",
    help="How far can a fitted interatomic potential be trusted beyond its training data?",
    epilog="Exit status: 0 done, 1 a run has failed cases, structures are outside a domain or labels miss a target, 2 bad input, "
    "130 stopped by Ctrl-C or a terminate signal.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only, no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command(
    epilog="Examples: defectgen run  |  defectgen run fits-2d --workers 2  |  defectgen run mine.toml --out runs/mine --json"
)
def run(
    study: Annotated[str, typer.Argument(help="A TOML file, or the name of an embedded study (see list).")] = "quickstart",
    out: Annotated[
        Path | None, typer.Option(help="Output directory.", parser=_path, metavar="PATH", show_default="runs/NAME")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Number of local worker processes.", show_default="all processors")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, instead of local workers (see docs/cluster.md).")
    ] = None,
    scheduler_file: Annotated[
        Path | None,
        typer.Option(help="File that dask scheduler writes, instead of an address.", parser=_path, metavar="PATH"),
    ] = None,
    tls_ca_file: Annotated[
        Path | None,
        typer.Option(help="Certificate of the authority (PEM), for TLS.", parser=_path, metavar="PATH"),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Your certificate (PEM), for TLS.", parser=_path, metavar="PATH")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Your key (PEM), for TLS.", parser=_path, metavar="PATH")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Time limit of a task in seconds; needs workers.", show_default="none")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed/--keep-failed", help="Whether tasks that failed in an earlier run are computed again.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be computed, and stop.")] = False,
    reuse_old: Annotated[
        bool, typer.Option("--reuse-old", help="Keep records that other code computed; the report lists them.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run a study and write its report; the same command resumes a run that was stopped."""
    with spoken(quiet, as_json):
        from .running import run_study, scheduler_of

        where = scheduler_of(scheduler, scheduler_file, tls_ca_file, tls_cert, tls_key)
        raise typer.Exit(run_study(study, out, workers, where, dry_run, reuse_old, timeout, retry_failed))


@app.command(epilog="Example: defectgen status runs/quickstart")
def status(
    directory: Annotated[Path, typer.Argument(help="The output directory of a run.", parser=_path, metavar="DIRECTORY")],
    as_json: Json = False,
) -> None:
    """Show the progress of a run: tasks done, running and failed, time left, the slowest tasks.

    Status 1 if tasks failed, or the run ended before all was done.
    """
    with spoken(as_json=as_json):
        from .watching import show_status

        raise typer.Exit(show_status(directory))


store = typer.Typer(
    help="Check, clean and export the records of a run.",
    no_args_is_help=True,
    epilog="Example: defectgen store check runs/quickstart",
)
app.add_typer(store, name="store")


@store.command("check", epilog="Example: defectgen store check runs/quickstart")
def store_check(
    directory: Annotated[Path, typer.Argument(help="The output directory of a run.", parser=_path, metavar="DIRECTORY")],
    as_json: Json = False,
) -> None:
    """Read every record and compare it with its checksums; status 1 if one is damaged."""
    with spoken(as_json=as_json):
        from .keeping import check

        raise typer.Exit(check(directory))


@store.command("gc", epilog="Example: defectgen store gc runs/quickstart --dry-run")
def store_gc(
    directory: Annotated[Path, typer.Argument(help="The output directory of a run.", parser=_path, metavar="DIRECTORY")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Remove records that the study in spec.toml does not need, files without a record, and scratch space."""
    with spoken(as_json=as_json):
        from .keeping import collect_garbage

        raise typer.Exit(collect_garbage(directory, dry_run))


@store.command("export", epilog="Example: defectgen store export runs/quickstart --out all.h5")
def store_export(
    directory: Annotated[Path, typer.Argument(help="The output directory of a run.", parser=_path, metavar="DIRECTORY")],
    out: Annotated[Path, typer.Option(help="HDF5 file to write.", parser=_path, metavar="PATH")],
    as_json: Json = False,
) -> None:
    """Write all records into one HDF5 file."""
    with spoken(as_json=as_json):
        from .keeping import export

        raise typer.Exit(export(directory, out))


@app.command(epilog="Example: defectgen report runs/quickstart")
def report(
    directory: Annotated[Path, typer.Argument(help="The output directory of a run.", parser=_path, metavar="DIRECTORY")],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the figures and the page of a run again; of a run that is not finished, in interim/, what is done so far."""
    with spoken(quiet, as_json):
        from .watching import write_report

        write_report(directory)


@app.command(epilog="Examples: defectgen init fits-2d  |  defectgen init fit")
def init(
    name: Annotated[str, typer.Argument(help="The study to start from (see list), or fit; NAME.toml is written here.")],
) -> None:
    """Write a run file to edit, or the file of a fit."""
    with spoken():
        from .starting import start_file

        path = start_file(name)
        say(f"wrote {path}; edit it, then: defectgen {'fit' if path.name == 'fit.toml' else 'run'} {path}")


@app.command(
    epilog="Examples: defectgen fit train.extxyz --out fits/cu  |  defectgen fit relax/OUTCAR md/vasprun.xml --degree 6 "
    "--weights E=30,F=1,E:md=10  |  defectgen fit InP/JSON --test-groups vv,aa  |  defectgen init fit && defectgen fit fit.toml",
)
def fit(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Labelled data: extended XYZ, OUTCAR, vasprun.xml, ASE's .db .json .traj, FitSNAP's .json or a folder of them; "
            "or one TOML file with all settings (see init fit).",
            metavar="DATA...",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Output directory.", parser=_path, metavar="PATH", show_default="fit")] = None,
    observations: Annotated[
        str | None, typer.Option(help="Kinds of labels that are fitted, like E+F+V.", show_default="all in the data")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights by kind, or kind and group, like E=30,F=1,E:liquid=100.", show_default="E=30,F=1,V=1"),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            help="Weight functions by name, like \"relative_force(0.5) * by_column('trust')\" (docs/losses.md).",
            show_default="none",
        ),
    ] = None,
    residual: Annotated[
        str | None,
        typer.Option(help="huber(1.345), l1, log_cosh, tukey; or by kind, like F=huber(1.345),E=l1.", show_default="squared"),
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="Prior: auto, none, smoothness(1e-3), or a number (ridge).", show_default="auto")
    ] = None,
    solver: Annotated[str | None, typer.Option(help="Solver: qr, tsvd, ridge, lsmr or bayes.", show_default="qr")] = None,
    repulsion: Annotated[str | None, typer.Option(help="Short-range repulsion: zbl or none.", show_default="zbl")] = None,
    one_body: Annotated[
        str | None,
        typer.Option(
            help="One-body energies: fitted, isolated, least-squares, or values like In=-0.1,P=-1.8 (eV).", show_default="fitted"
        ),
    ] = None,
    cutoff: Annotated[
        float | None, typer.Option(help="Cutoff radius of the basis, A.", show_default="2.1 nearest-neighbour distances")
    ] = None,
    order: Annotated[int | None, typer.Option(help="Correlation order of the basis.", show_default="3")] = None,
    degree: Annotated[float | None, typer.Option(help="Total degree of the basis.", show_default="8")] = None,
    units: Annotated[
        str | None, typer.Option(help="Units of extended XYZ, like energy=hartree,stress=-kbar.", show_default="eV and A")
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            help="Names of columns, like energy=my_energy,group=phase,weight=w.", show_default="REF_energy, energy, ..."
        ),
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Fraction of the data that is tested and not fitted.", show_default="0.2")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Unit of the split: frame, structure or group.", show_default="frame")] = None,
    test_groups: Annotated[str | None, typer.Option(help="Groups that are tested, like liquid,surface.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split.", show_default="0")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a potential to a labelled data set: writes model.json, errors.csv, fit.toml, figures and report.html."""
    with spoken():
        from .fitting import fit_files, one_body_of, pairs, prior_of, residual_of, weights_of

        options = {
            "observations": observations,
            "weights": weights_of(weights),
            "weight": weight,
            "residual": residual_of(residual),
            "prior": prior_of(prior),
            "solver": solver,
            "repulsion": repulsion,
            "one_body": one_body_of(one_body),
            "basis.cutoff": cutoff,
            "basis.order": order,
            "basis.degree": degree,
            "units": pairs(units, "--units", "energy=hartree,stress=-kbar"),
            "keys": pairs(keys, "--keys", "energy=my_energy,group=phase"),
            "split.test": test,
            "split.by": "group" if test_groups and by is None else by,
            "split.groups": None if test_groups is None else tuple(test_groups.split(",")),
            "split.seed": seed,
        }
        raise typer.Exit(fit_files(data, Path("fit") if out is None else out, options, quiet, as_json))


@app.command("list", epilog="Examples: defectgen list  |  defectgen list defects  |  defectgen list studies --json")
def list_(
    section: Annotated[str | None, typer.Argument(help="Only materials, defects, references or studies.")] = None,
    as_json: Json = False,
) -> None:
    """List the materials, defects, references and studies that a run file can name."""
    with spoken(as_json=as_json):
        from .starting import show_catalogue

        show_catalogue(section)


@app.command(epilog="Example: defectgen domain fits/cu/model.json structures.extxyz")
def domain(
    model: Annotated[Path, typer.Argument(help="A model written by model.save.")],
    structures: Annotated[Path, typer.Argument(help="Structures: extended XYZ (all frames), or any format that ASE reads.")],
    companion: Annotated[
        Path | None, typer.Option("--domain", help="File of domain.save.", show_default="MODEL with the suffix .domain.npz")
    ] = None,
    measure: Annotated[str | None, typer.Option(help="Which measure of the domain to use.", show_default="its first")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check which structures are similar to the training data of a model; status 1 if some are not."""
    with spoken(quiet, as_json):
        from .domain import judge

        raise typer.Exit(judge(model, structures, companion, measure))


@app.command(epilog='Example: defectgen design --material Si --defect "interstitial(tetrahedral)" --budget 3')
def design(
    material: Annotated[str, typer.Option(help="A material (see list).")],
    defect: Annotated[str, typer.Option(help="A defect (see list).")],
    size: Annotated[int, typer.Option(help="Conventional cells along each side of the training cell.")] = 3,
    simulation: Annotated[
        int | None, typer.Option(help="Conventional cells along each side of the large cell.", show_default="size + 2")
    ] = None,
    degree: Annotated[float, typer.Option(help="Degree of the basis.")] = 8,
    cutoff: Annotated[float | None, typer.Option(help="Cutoff radius of the basis, A.", show_default="2.1 spacings")] = None,
    observations: Annotated[str, typer.Option(help="Set of observations.")] = "E+F+FC+V",
    share: Annotated[float, typer.Option(help="Weight of the energy error against the geometry error, 0 to 1.")] = 0.5,
    held_out: Annotated[
        str | None,
        typer.Option(
            help="Other defects, like vacancy,dumbbell(100): the design ends where their errors are smallest, and its harm to "
            "them is printed.",
            show_default="vacancies and a divacancy",
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Also choose training data for this budget, in calculations of the training cell.")
    ] = None,
    criterion: Annotated[
        str, typer.Option(help="Criterion for the data: G or M (for this defect, without or with misfit), A or D.")
    ] = "G",
    chemical_potentials: Annotated[
        str | None, typer.Option(help="Chemical potentials of exchanged atoms, like Ag=-2.95 (eV per atom).", show_default="none")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Run file to write; chosen structures are written next to it.", parser=_path, metavar="PATH")
    ] = Path("designed.toml"),
) -> None:
    """Design the weights of a loss for one defect, and write a run file that uses them; with --budget the data as well."""
    with spoken():
        from .designing import design as designed
        from .designing import names_of
        from .planning import potentials_of

        settings: dict[str, Any] = {"chemical_potentials": potentials_of(chemical_potentials)}
        settings |= {"size": size, "simulation": simulation, "degree": degree, "cutoff": cutoff, "share": share}
        settings["held_out"] = names_of(held_out)
        raise typer.Exit(designed(out, material, defect, budget, criterion, observations=observations, **settings))


@app.command(epilog="Example: defectgen diversity train.extxyz --structure smiles")
def diversity(
    datasets: Annotated[list[Path], typer.Argument(help="Labelled data sets: what fit reads, or HDF5 (a group a molecule).")],
    structure: Annotated[
        str | None, typer.Option(help="Key of the structure id of a configuration.", show_default="its composition")
    ] = None,
    energy: Annotated[str | None, typer.Option(help="Key of the energies.", show_default="the usual ones")] = None,
    forces: Annotated[str | None, typer.Option(help="Key of the forces.", show_default="the usual ones")] = None,
    energy_unit: Annotated[
        str | None, typer.Option(help="Unit of energies: eV, meV, hartree, kcal/mol, kJ/mol.", show_default="eV; hartree")
    ] = None,
    length_unit: Annotated[
        str | None, typer.Option(help="Unit of lengths: A, bohr or nm.", show_default="A; bohr in HDF5")
    ] = None,
    cutoff: Annotated[float, typer.Option(help="Cutoff radius of an environment, A.")] = 4.0,
    study: Annotated[Path | None, typer.Option(help="Output directory of a finished study of diversity to compare with.")] = None,
) -> None:
    """Describe a data set: how many structures, how many configurations of each, and how different they are."""
    with spoken():
        from .diversity import describe

        keys = {"energy": energy, "forces": forces, "energy_unit": energy_unit, "length_unit": length_unit}
        raise typer.Exit(describe(datasets, structure, keys, cutoff, study))


@app.command(
    epilog="Examples: defectgen plan --material W --defect vacancy --target-energy 0.01  |  the same with --labelled done.extxyz"
)
def plan(
    material: Annotated[str, typer.Option(help="A material (see list).")],
    defect: Annotated[str, typer.Option(help="A defect (see list).")],
    target_energy: Annotated[float | None, typer.Option(help="Error of the formation energy to reach, eV.")] = None,
    target_geometry: Annotated[float | None, typer.Option(help="Error of the relaxed geometry to reach, A.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Output directory.", parser=_path, metavar="PATH", show_default="plans/MATERIAL-DEFECT")
    ] = None,
    labelled: Annotated[list[Path] | None, typer.Option(help="Extended XYZ with labels; may be given several times.")] = None,
    units: Annotated[
        str | None, typer.Option(help="Units of the labels, like energy=hartree,stress=kbar.", show_default="eV and A")
    ] = None,
    lattice_constant: Annotated[
        float | None, typer.Option(help="Lattice constant of the labelling code, A.", show_default="that of the reference")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Cheap reference in place of the labelling code (see list).", show_default="the material's own"),
    ] = None,
    chemical_potentials: Annotated[
        str | None,
        typer.Option(
            help="Chemical potentials of exchanged atoms, like Ag=-2.95 (eV per atom), of the cheap reference.",
            show_default="none",
        ),
    ] = None,
    order: Annotated[int, typer.Option(help="Correlation order of the basis: body order minus one.")] = 3,
    by: Annotated[str, typer.Option(help="Errors of plans: measured, or certified.")] = "measured",
    sizes: Annotated[
        str | None, typer.Option(help="Sizes of training cells, like 2,3,4.", show_default="those with up to 256 atoms")
    ] = None,
    configurations: Annotated[str, typer.Option(help="Numbers of rattled copies of the defect.")] = "1,3,6",
    observations: Annotated[str, typer.Option(help="Sets of observations.")] = "E+F,E+F+V,E+F+FC,E+F+FC+V",
    degrees: Annotated[str, typer.Option(help="Degrees of the basis.")] = "6,8,10",
    cutoff: Annotated[
        float | None, typer.Option(help="Cutoff radius of the basis, A.", show_default="twice the nearest neighbours")
    ] = None,
    simulation_size: Annotated[
        int | None,
        typer.Option(
            help="Size of the cell in which errors are measured.", show_default="two more than the largest training cell"
        ),
    ] = None,
    rattle: Annotated[float, typer.Option(help="Largest standard deviation of the displacements, A.")] = 0.03,
    step: Annotated[float, typer.Option(help="Displacement for force constants, A.")] = 0.015,
    cost_exponent: Annotated[float, typer.Option(help="Exponent of the cost: hours = prefactor * atoms^exponent.")] = 3.0,
    cost_prefactor: Annotated[float, typer.Option(help="Prefactor of the cost, hours.")] = 1e-6,
    cost_stress: Annotated[float, typer.Option(help="Additional cost of a stress, as a fraction.")] = 0.1,
    cost_column: Annotated[float, typer.Option(help="Cost of a displaced supercell, in calculations of its size.")] = 1.0,
    cost_smallest: Annotated[float, typer.Option(help="A smaller cell costs as much as one of this number of atoms.")] = 1.0,
    workers: Annotated[int, typer.Option(help="Number of local worker processes.")] = 1,
    reuse_old: Annotated[bool, typer.Option("--reuse-old", help="Keep records that other code computed.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find the cheapest labels with which a fit reaches a target error, and write their structures; assess returned labels.

    Status 1 if the labels do not reach the target, 2 if no plan does.
    """
    with spoken(quiet, as_json):
        from .planning import numbers, plan_labels, potentials_of, stated

        grid = {
            "chemical_potentials": potentials_of(chemical_potentials),
            "target_energy": target_energy,
            "target_geometry": target_geometry,
            "reference": reference,
            "by": by,
            "sizes": numbers(sizes, int, "--sizes"),
            "configurations": numbers(configurations, int, "--configurations"),
            "observations": tuple(observations.split(",")),
            "degrees": numbers(degrees, float, "--degrees"),
            "order": order,
            "cutoff": cutoff,
            "simulation_size": simulation_size,
            "rattle": rattle,
            "step": step,
        }
        cost = {
            "exponent": cost_exponent,
            "prefactor": cost_prefactor,
            "stress": cost_stress,
            "column": cost_column,
            "smallest": cost_smallest,
        }
        told = lattice_constant, workers, grid, stated(units), reuse_old
        raise typer.Exit(plan_labels(material, defect, cost, out, labelled or [], *told))


@app.command(epilog="Example: defectgen export fits/cu/model.json --format yace --out cu.yace")
def export(
    model: Annotated[
        str, typer.Argument(help="A model; for phonopy and extxyz also a reference, a .yace or another potential file.")
    ],
    kind: Annotated[str, typer.Option("--format", help="yace (LAMMPS, pair_style pace), phonopy or extxyz.")],
    out: Annotated[Path, typer.Option(help="File to write; for phonopy a folder.", parser=_path, metavar="PATH")],
    material: Annotated[str | None, typer.Option(help="For phonopy: a material (see list).")] = None,
    size: Annotated[int, typer.Option(help="For phonopy: conventional cells along each side of the supercell.")] = 3,
    structures: Annotated[Path | None, typer.Option(help="For extxyz: structures to label.")] = None,
) -> None:
    """Write a model for LAMMPS, force constants for phonopy, or structures with the labels of a potential."""
    with spoken():
        from .exporting import export as exported

        raise typer.Exit(exported(model, kind, out, material, size, structures))


@app.command(
    epilog='Examples: defectgen audit --model "EAM(Cu_zhou.eam.alloy)" --reference "EAM(Cu_mishin1.eam.alloy)" --material Cu  |  '
    'defectgen audit --model model.json --material W --defects "vacancy,dumbbell(110)" --sizes 3,4,5  |  defectgen audit '
    "--model mymodule:calculator --reference Si.tersoff --lattice POSCAR --out audits/si",
)
def audit(
    model: Annotated[
        str,
        typer.Option(
            help="The potential that is audited: a reference with arguments, model.json, model.yace, a potential file, "
            "LAMMPS(pair_style=..., pair_coeff=...), or module:callable, which makes an ASE calculator.",
            metavar="SPEC",
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            help="The potential that it is compared with, in the same forms.", metavar="SPEC", show_default="the material's own"
        ),
    ] = None,
    material: Annotated[str | None, typer.Option(help="A material (see list).")] = None,
    lattice: Annotated[
        Path | None, typer.Option(help="Instead of a material: a structure file of the crystal.", metavar="FILE")
    ] = None,
    defects: Annotated[str, typer.Option(help="Defects (see list), like vacancy,dumbbell(100).")] = "vacancy",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Sizes of cells, like 2,3,4: conventional cells along each side.", show_default="those with 30 to 260 atoms"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Output directory.", parser=_path, metavar="PATH", show_default="audits/NAME")
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Radius of the core in the bound, nearest-neighbour spacings.", show_default="2.5")
    ] = None,
    strain: Annotated[float | None, typer.Option(help="Largest strain of the strained crystals.", show_default="0.05")] = None,
    mesh: Annotated[int | None, typer.Option(help="Wave vectors along each axis for the phonons.", show_default="16")] = None,
    mu_reference: Annotated[
        str | None, typer.Option(help="Chemical potentials of the reference, like Ga=-2.8,As=-4.6 (eV per atom).")
    ] = None,
    mu_model: Annotated[str | None, typer.Option(help="Chemical potentials of the model, in its own zero of energy.")] = None,
    barrier: Annotated[bool, typer.Option(help="Compute the barrier of a hop into a vacancy.")] = True,
    bound: Annotated[bool, typer.Option(help="Compute the terms of the bound.")] = True,
    workers: Annotated[int | None, typer.Option(help="Number of local worker processes.", show_default="all processors")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be computed, and stop.")] = False,
    reuse_old: Annotated[bool, typer.Option("--reuse-old", help="Keep records that other code computed.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare a potential with another one: crystal, phonons, strains, defects, a barrier, the terms of the bound.

    Writes report.html, scorecard.json, results.csv and figures; given again, it goes on where it stopped.
    """
    with spoken(quiet, as_json):
        from .auditing import audit as audited
        from .auditing import potentials_of

        options = {
            "radius": radius,
            "strain": strain,
            "mesh": mesh,
            "barrier": barrier,
            "bound": bound,
            "chemical_potentials": potentials_of(mu_reference, "--mu-reference"),
            "chemical_potentials_model": potentials_of(mu_model, "--mu-model"),
        }
        how = workers, dry_run, reuse_old
        raise typer.Exit(audited(model, reference, material, lattice, defects, sizes, out, options, *how))


@app.command(epilog="Examples: defectgen doctor  |  defectgen doctor --json")
def doctor(as_json: Json = False) -> None:
    """Check the installation and report what is missing."""
    with spoken(as_json=as_json):
        from .doctor import examine

        raise typer.Exit(examine())


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and stop.")] = False) -> None:
    if version:
        from ..campaign.provenance import own_version

        say(f"defectgen {own_version()}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status; a wrong call is one sentence on stderr and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without the sign of the Angstrom still shows the rest
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it finds no home or no font and goes on
    with stoppable(interruptible=True, last=arguments is None):
        try:
            status = app(args=None if arguments is None else list(arguments), prog_name="defectgen", standalone_mode=False)
        except (KeyboardInterrupt, typer.Abort):  # before a verb began
            heeded()
            say("stopped", error=True)
            status = STATUS
        except Exception as error:
            message = getattr(error, "format_message", None)
            if message is None:  # not typer's own: a fault of ours, shown as it is
                raise
            if text := " ".join(message().split()):  # empty when the help was requested by giving no command
                say(f"error: {text} (defectgen --help shows what there is)", error=True)
            status = 2
    sys.exit(status if isinstance(status, int) else 0)
