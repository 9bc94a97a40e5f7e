"""The extension points, as their page in docs/ shows them: a package of somebody else is installed and found."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"

RUN = """
name = "mine"
[[cases]]
material = "triangular"
defect = "vacancy"
simulation_size = 6
[relaxation]
least = 0.001
"""


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


def installed(folder: Path, module: str, code: str, entry_points: str) -> dict[str, str]:
    """Install a package of one module from a wheel, without an index; the environment in which it is there."""
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    about = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{module}.py", code)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/entry_points.txt", entry_points)
        archive.writestr(f"{about}/RECORD", "")
    site = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def entry_points(block: str) -> str:
    """The table of entry points of a pyproject.toml as a wheel has it."""
    group, line = re.fullmatch(r'\[project\.entry-points\."(.*?)"\]\n(.*)\n', block).groups()
    return f"[{group}]\n{line.replace(chr(34), '')}\n"


def test_a_study_of_another_package_is_found_planned_run_and_shown(tmp_path):
    code, points = blocks("python")[0], blocks("toml")[0]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30
    environment = installed(tmp_path, "my_study", code, entry_points(points))
    (tmp_path / "mine.toml").write_text(RUN, encoding="utf-8")
    command = [sys.executable, "-m", "defectgen", "run", "mine.toml", "--out", "out", "--workers", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    header, row = (tmp_path / "out" / "relaxation.csv").read_text(encoding="utf-8").splitlines()
    assert header == "defect,moved,largest" and row.startswith("vacancy,")
    assert f"{row.split(',')[1]} atoms move." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('broken')", "cannot be loaded (RuntimeError: broken)"),
        ("class RelaxationStudy: pass", "no subclass of defectgen's Study"),
        (
            "from defectgen.study import Strict, Study\nclass RelaxationStudy(Study):\n    name, settings = 'boundary', Strict\n",
            "there is one of this name",
        ),
    ],
    ids=["raises", "no study", "a name that is taken"],
)
def test_a_package_that_cannot_be_used_is_one_sentence(code, said, tmp_path):
    environment = installed(tmp_path, "my_study", code, entry_points(blocks("toml")[0]))
    (tmp_path / "mine.toml").write_text(RUN, encoding="utf-8")
    command = [sys.executable, "-m", "defectgen", "run", "mine.toml", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_reference_of_another_package_is_found_by_its_name(tmp_path):
    """Its lattice constant is that of the same energy summed by hand."""
    code, points = blocks("python")[1], blocks("toml")[1]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30
    environment = installed(tmp_path, "my_potential", code, entry_points(points))
    script = """
import numpy as np, defectgen as dg
from defectgen.reference import reference_from_name
truth = reference_from_name("Gaussian(Cu, depth=0.5)")
lattice = dg.fcc("Cu", 3.6)
n = np.array([[i, j, k] for i in range(-3, 4) for j in range(-3, 4) for k in range(-3, 4) if (i, j, k) != (0, 0, 0)])
r = np.linalg.norm(n @ lattice.vectors, axis=1)
r = r[r < 5.0]
wells = (1 - r**2 / 25.0) ** 6 * (np.exp(-4 * (r - 2.55)) - 2 * np.exp(-2 * (r - 2.55)))
print(dg.evaluate(truth, dg.primitive_cell(lattice)).energy - 0.25 * wells.sum(), len(r))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    difference, neighbours = done.stdout.split()
    assert abs(float(difference)) < 1e-12 and int(neighbours) > 12
    listed = [sys.executable, "-m", "defectgen", "list", "references"]
    told = subprocess.run(listed, env=environment, capture_output=True, text=True).stdout
    assert "Gaussian" in told and "Sum of Gaussian wells" in " ".join(told.split())


def test_a_source_of_another_package_is_found_by_its_name(tmp_path):
    code, points = blocks("python")[2], blocks("toml")[2]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30
    environment = installed(tmp_path, "my_source", code, entry_points(points))
    data = """
import numpy as np
from defectgen.dataset import Configuration, Dataset
def everything(copies):
    rng = np.random.default_rng(0)
    made = [(s, n, d) for s, d in (("aa", 1.0), ("ab", 1.2), ("b", 1.4)) for n in range(copies)]
    line = lambda d, n: np.array([[0.0, 0, 0], [d + 0.01 * n, 0, 0]])
    force = lambda d, n: np.array([[-1.0, 0, 0], [1.0, 0, 0]]) * (1.2 - d - 0.01 * n)
    return Dataset(tuple(Configuration(s, n, ("H", "H"), line(d, n), "mild", -4.0 + (d - 1.2) ** 2, force(d, n)) for s, n, d
    in made))
"""
    (tmp_path / "site" / "my_data.py").write_text(data, encoding="utf-8")
    script = """
from defectgen.campaign import Given
from defectgen.study.diversity.sources import find
source = find("mine", {"copies": 3})
print(source.counts(), len(source.pool().run(Given({})).energies))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["(3,", "3)", "9"]
