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
    (code,), (points,) = blocks("python"), blocks("toml")
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
