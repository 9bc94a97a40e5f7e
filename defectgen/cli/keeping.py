"""``defectgen store check|gc|export``."""

import shutil
from pathlib import Path

from .. import campaign, study
from ..campaign import Store
from .speak import say


def check(directory: Path) -> int:
    """Say what is in a store; 1 if something is damaged."""
    found = campaign.check(Store(directory))
    by = ", ".join(f"{count} of defectgen {version}" for version, count in sorted(found.versions.items()))
    say(f"{directory}: {found.whole} whole records, {found.failed} of them of failed tasks; {_bytes(found.size)}")
    if by:
        say(f"versions: {by}")
    for name, reason in found.damaged:
        say(f"damaged: {name}: {reason}; the next run computes it again", error=True)
    for what, names in (("arrays without a record", found.orphans), ("unfinished writes", found.partial)):
        if names:
            say(f"{len(names)} {what}; 'defectgen store gc {directory}' removes them")
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
    say(
        f"{verb}: {len(found.records)} records that the study does not need, {len(found.others)} files without a record, "
        f"{_bytes(scratch)} of scratch; {_bytes(found.size + scratch)} in all"
    )
    return 0


def export(directory: Path, out: Path) -> int:
    """Write all records into one file."""
    say(f"wrote {campaign.export(Store(directory), out)} records to {out}")
    return 0


def _bytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number < 1e9 else f"{number / 1e9:.2f} GB"
