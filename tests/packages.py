"""Packages that are installed into a folder, and processes that find other packages than this one."""

import os
import subprocess
import sys
from pathlib import Path

import defectgen

HERE = Path(__file__).parent
OWN = Path(defectgen.__file__).parents[1]


def installed(folder: Path, name: str, version: str = "1.0", **entries: dict[str, str]) -> Path:
    """A folder that, on the path, has a package of this name and version; `entries`: entry points by group, dots as __."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = [
        f"[{group.replace('__', '.')}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items())
        for group, found in entries.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups))
    return folder


def run_as(version: str, folder: Path, script: str, *arguments: object) -> None:
    """Run a script in a process in which this package has another version; modules of the tests can be imported there."""
    path = [installed(folder, "defectgen", version), HERE, OWN]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_without(absent: tuple[str, ...], folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    """``python -m defectgen ...`` where some modules are not installed: all others are linked into a folder."""
    folder.mkdir(parents=True)
    for site in (Path(entry) for entry in sys.path if Path(entry).name == "site-packages"):
        for found in site.iterdir():
            if found.name.split(".")[0] not in absent and not (folder / found.name).exists():
                (folder / found.name).symlink_to(found)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [OWN, folder]))}
    command = [sys.executable, "-S", "-m", "defectgen", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)
