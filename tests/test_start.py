"""What is imported when: nothing heavy before it is needed, and double precision whoever imports JAX first."""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import defectgen as dg

PACKAGE = Path(dg.__file__).parent
DOORS = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "= door(__name__)" in path.read_text()]
HEAVY = ["jax", "scipy", "matscipy", "vesin", "ase", "pandas", "matplotlib", "dask", "h5py"]


def told(script: str, **environment: str):
    """What a new process prints as JSON."""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def loaded(script: str) -> set[str]:
    """The heavy packages that a process has imported after a script."""
    return set(told(f"import sys, json\n{script}\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"))


def test_nothing_heavy_is_imported_before_it_is_needed():
    assert loaded("import defectgen") == set()
    call = "from defectgen.cli import main\ntry: main({!r})\nexcept SystemExit: pass"
    assert loaded(call.format(["--help"])) == set()
    assert loaded(call.format(["list"])) <= {"ase"}  # for its table of elements: 15 ms
    assert loaded("import defectgen as dg; dg.fcc('Cu', 3.6)") <= {"scipy", "vesin", "ase"}


@pytest.mark.parametrize(
    "first",
    [
        "import defectgen",
        "import jax, defectgen",
        "import jax; jax.config.update('jax_enable_x64', False); import defectgen",
        "from defectgen.ace import ACEBasis",
        "import defectgen.units",
    ],
)
@pytest.mark.parametrize("flag", ["", "0"])
def test_numbers_are_float64(first, flag):
    script = f"import json\n{first}\nimport jax.numpy as jnp\nprint(json.dumps(str(jnp.ones(1).dtype)))"
    assert told(script, **({"JAX_ENABLE_X64": flag} if flag else {})) == "float64"


def test_flags_of_the_user_stay():
    script = "import json, os, defectgen\nprint(json.dumps(os.environ['XLA_FLAGS'].split()))"
    flags = told(script, XLA_FLAGS="--xla_cpu_use_fusion_emitters=true")
    assert flags[0] == "--xla_cpu_use_fusion_emitters=true" and "--xla_cpu_use_fusion_emitters=false" not in flags


@pytest.mark.parametrize("first", ["import defectgen", "import jax, defectgen"])
def test_compiled_programs_are_kept_for_the_next_process(first, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    show = f"{first}\nimport json, jax\nprint(json.dumps(jax.config.jax_compilation_cache_dir))"
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    assert told(show, **home).startswith(str(tmp_path / "defectgen" / "jax"))
    assert told(show, **home, DEFECTGEN_CACHE="0") is None
    assert told(show, **home, JAX_COMPILATION_CACHE_DIR="/elsewhere") == "/elsewhere"
    (tmp_path / "file").write_text("")
    assert told(show, XDG_CACHE_HOME=str(tmp_path / "file")) is None  # no folder can be made there


def test_functions_win_over_rooms_of_the_same_name():
    script = (
        "import json, defectgen as dg\n"
        "import defectgen.fit.problem, defectgen.relax, defectgen.campaign.run, defectgen.reference.equilibrate\n"
        "from defectgen import fit\n"
        "from defectgen.campaign import run\n"
        "found = dg.fit, dg.relax, fit, run, dg.campaign.run, dg.equilibrate, dg.reference.equilibrate\n"
        "print(json.dumps([type(each).__name__ for each in found]))\n"
    )
    assert set(told(script)) == {"function"}


@pytest.mark.parametrize("path", DOORS, ids=lambda path: path.parent.name)
def test_every_public_name_is_behind_the_door(path):
    """`__all__` names what the imports for type checkers name, and nothing that is not there."""
    package = importlib.import_module(".".join(("defectgen", *path.parent.relative_to(PACKAGE).parts)))
    tree = ast.parse(path.read_text())
    promised = {each.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level for each in node.names}
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} | {"FOLDER", "HIGHEST_L", "LIBRARY"}
    assert set(package.__all__) <= promised | own
    for name in package.__all__:
        assert getattr(package, name) is not None and name in dir(package)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        package.nonsense  # noqa: B018
