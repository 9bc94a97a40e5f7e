"""Another version of the package, as a process sees it that finds one installed before ours."""

import os
import subprocess
import sys
from pathlib import Path

import defectgen

HERE = Path(__file__).parent


def installed_as(version: str, folder: Path) -> Path:
    """A folder that, first on the path, gives the package another version."""
    about = folder / f"defectgen-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: defectgen\nVersion: {version}\n")
    return folder


def run_as(version: str, folder: Path, script: str, *arguments: object) -> None:
    """Run a script in a process of that version; modules of the tests can be imported there."""
    path = [installed_as(version, folder), HERE, Path(defectgen.__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
