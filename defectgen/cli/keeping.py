"""``defectgen store check|gc|export``."""

import shutil
from dataclasses import asdict
from pathlib import Path

from .. import campaign, study
from ..campaign import Store
from .speak import answer, say


def check(directory: Path) -> int:
    """Print what is in a store; 1 if something is damaged."""
    found = campaign.check(Store(directory))
    by = ", ".join(f"{count} of defectgen {version}" for version, count in sorted(found.versions.items()))
    text = [f"{directory}: {found.whole} whole records, {found.failed} of them of failed tasks; {_bytes(found.size)}"]
    text += [f"versions: {by}"] if by else []
    for what, names in (("arrays without a record", found.orphans), ("unfinished writes", found.partial)):
        text += [f"{len(names)} {what}; 'defectgen store gc {directory}' removes them"] if names else []
    for name, reason in found.damaged:
        say(f"damaged: {name}: {reason}; the next run computes it again", error=True)
    damaged = [{"file": name, "reason": reason} for name, reason in found.damaged]
    answer("\n".join(text), {"directory": directory.absolute()} | asdict(found) | {"damaged": damaged})
    return 1 if found.damaged else 0


def collect_garbage(directory: Path, dry_run: bool) -> int:
    """Remove what the study of the run does not need."""
    store = Store(directory)
    keys = {task.key for task in campaign.in_order(study.plan(study.load(directory / "spec.toml")))}
    with store.lock():
        found = campaign.collect_garbage(store, keys, dry_run)
        rest = directory / "scratch"
        scratch = sum(path.stat().st_size for path in rest.rglob("*") if path.is_file()) if rest.is_dir() else 0
        if not dry_run and scratch:
            shutil.rmtree(rest, ignore_errors=True)
    verb = "would be removed" if dry_run else "removed"
    text = (
        f"{verb}: {len(found.records)} records that the study does not need, {len(found.others)} files without a record, "
        f"{_bytes(scratch)} of scratch; {_bytes(found.size + scratch)} in all"
    )
    told = {"directory": directory.absolute(), "removed": not dry_run, "scratch": scratch}
    answer(text, told | asdict(found) | {"size": found.size + scratch})
    return 0


def export(directory: Path, out: Path) -> int:
    """Write all records into one file."""
    count = campaign.export(Store(directory), out)
    answer(f"wrote {count} records to {out}", {"directory": directory.absolute(), "file": out.absolute(), "records": count})
    return 0


def _bytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number < 1e9 else f"{number / 1e9:.2f} GB"
