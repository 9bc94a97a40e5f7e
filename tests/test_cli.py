"""Command line: what is printed, what is written, and the exit status that scripts rely on."""

import ast
import errno
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packages import run_as

import defectgen
from defectgen.campaign import Event, Store
from defectgen.cli import live, main
from defectgen.cli.speak import answer, spoken

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    """The toy study in place of the real one; a fresh working directory."""
    monkeypatch.syspath_prepend(str(HERE))
    import toy_study

    import defectgen.report  # the page of a fit uses the study that is there, before the toy takes its place

    monkeypatch.setitem(sys.modules, "defectgen.study", toy_study)
    monkeypatch.setattr(defectgen, "study", toy_study, raising=False)
    bound = ["defectgen.cli.running", "defectgen.cli.starting"]  # they have bound the study that was there
    for module in bound:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.chdir(tmp_path)
    yield toy_study
    for module in bound:  # and now the toy
        sys.modules.pop(module, None)


@pytest.fixture
def call(capsys):
    """``call("run", ...) -> (status, stdout, stderr)``."""

    def _call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return _call


def test_run_writes_everything(call):
    status, out, err = call("run", "--workers", 1)
    assert status == 0 and err == ""
    folder = Path("runs/quickstart")
    expected = ["spec.toml", "results.csv", "rates.csv", "failures.csv", "report.html", "events.jsonl", "figures", "records"]
    assert all((folder / name).exists() for name in expected)
    assert "2 tasks, none failed" in out and "agrees" in out and "report: runs/quickstart/report.html" in out
    assert "[1/2] Cu vacancy L=2 (" in out and out.count("\n") < 15
    spec = tomllib.loads((folder / "spec.toml").read_text())
    assert spec["sizes"] == [2, 3] and spec["versions"]["jax"]
    assert (folder / "results.csv").read_text().startswith("study,material,defect,dimension,observations,training_size,")
    status, out, _ = call("run", folder / "spec.toml", "--workers", 1)  # the resolved copy runs, and finds all done
    assert status == 0 and "2 of 2 tasks were finished before and are kept" in out


def test_failed_cases_are_status_one(call, tmp_path):
    (tmp_path / "bad.toml").write_text(f'name = "bad"\nsizes = [2]\nuntil = "{tmp_path / "later"}"\n')
    status, out, err = call("run", "bad.toml", "--out", "o", "--workers", 1)
    assert status == 1 and "2 tasks, 1 failed" in out
    assert err == "failed: bad: the cell is too small; use size >= 4\n"
    assert "the cell is too small" in Path("o/report.html").read_text()
    (tmp_path / "later").touch()
    status, out, _ = call("run", "bad.toml", "--out", "o", "--workers", 1)
    assert status == 0 and "1 of 2 tasks were finished before" in out


def test_what_needs_a_failure_is_not_a_failure_of_its_own(call, tmp_path):
    """One crystal that cannot be used is one sentence, however many cases wait for it."""
    (tmp_path / "bad.toml").write_text(f'name = "bad"\nsizes = [2]\nuntil = "{tmp_path / "later"}"\nneeding = 3\n')
    status, out, err = call("run", "bad.toml", "--out", "o", "--workers", 1)
    assert status == 1 and "5 tasks, 1 failed, 3 not run because they need what failed" in out
    assert err == "failed: bad: the cell is too small; use size >= 4\n"
    assert out.count("the cell is too small") == 1 and out.count("not run, it needs what failed") == 3
    assert Path("o/failures.csv").read_text().count("the cell is too small") == 4  # the table names every case


@pytest.mark.parametrize("written", [0, 3, 9], ids=["specification", "a record", "the report"])
def test_a_full_disk_is_one_sentence_and_costs_nothing(call, monkeypatch, written):
    """The disk is full after so many files; with room again the same command goes on, and ends as if nothing had been."""
    call("run", "--out", "whole", "--workers", 1)
    real, files = os.replace, []

    def full(source, target):
        if len(files) >= written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        files.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        status, _, err = call("run", "--out", "o", "--workers", 1)
    assert status == 2 and err.count("\n") == 1 and err.startswith("error: the disk is full: o/") and "it resumes" in err
    kept = {path: path.read_bytes() for path in Path("o").rglob("records/*.json")}
    assert len(kept) == {0: 0, 3: 1, 9: 2}[written] and not list(Path("o").rglob(".*.part"))
    status, out, _ = call("run", "--out", "o", "--workers", 1)
    assert status == 0 and all(path.read_bytes() == content for path, content in kept.items())
    assert f"{len(kept)} of 2 tasks were finished before" in out or not kept
    assert Path("o/results.csv").read_bytes() == Path("whole/results.csv").read_bytes()


def _wrong_calls(folder: Path) -> None:
    (folder / "file").write_text("x")
    (folder / "bad.toml").write_text("name = [")
    (folder / "empty").mkdir()
    Store(folder / "other").claim("else", 'name = "else"\n')
    (folder / "quickstart.toml").write_text("")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "no-such-study"], "there is no study 'no-such-study'"),
        (["run", "bad.toml"], "bad.toml is no TOML file"),
        (["run", "--out", "file"], "file is a file"),
        (["run", "--out", "file/below"], "cannot write file/below"),
        (["run", "--out", ""], "an empty path names no file and no directory"),
        (["report", ""], "an empty path names no file and no directory"),
        (["run", "--out", "other"], "holds the study 'else', not 'quickstart'"),
        (["run", "--workers", "two"], "valid integer"),
        (["run", "--workers", "-1"], "must be 0 or more"),
        (["run", "--workers", "1", "--scheduler", "x"], "not both"),
        (["run", "--scheduler", "nowhere"], "no dask scheduler responds"),
        (["run", "--no-such-option"], "No such option"),
        (["no-such-verb"], "No such command"),
        (["report", "nowhere"], "there is no directory nowhere"),
        (["report", "file"], "there is no directory file"),
        (["report", "empty"], "no spec.toml, so it is no run"),
        (["report"], "Missing argument"),
        (["init", "quickstart"], "quickstart.toml is there already"),
        (["init", "no-such-study"], "there is no study"),
        (["list", "planets"], "choose from materials, defects"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence_and_status_two(call, tmp_path, arguments, sentence):
    _wrong_calls(tmp_path)
    status, _, err = call(*arguments)
    assert status == 2
    assert err.startswith("error: ") and err.count("\n") == 1 and sentence.lower() in err.lower()


def test_a_scheduler_that_does_not_respond_leaves_nothing_behind(call, tmp_path):
    status, _, err = call("run", "--scheduler", "nowhere", "--out", str(tmp_path / "run"))
    assert status == 2 and "no dask scheduler responds" in err
    assert not (tmp_path / "run").exists()


def test_dry_run_computes_nothing(call):
    status, out, _ = call("run", "--dry-run")
    assert status == 0 and "2 tasks (2 toy_tasks:draw); nothing was computed" in out and "Cu vacancy L=3" in out
    assert not Path("runs").exists()


def test_report_again_gives_the_same_page(call):
    call("run", "--out", "o", "--workers", 1)
    before = {path: path.read_bytes() for path in [Path("o/report.html"), *Path("o/figures").iterdir()]}
    Path("o/report.html").unlink()
    assert call("report", "o") == (0, "report: o/report.html\n", "")
    assert json.loads(call("report", "o", "--json")[1]) == {"report": str(Path("o/report.html").absolute()), "complete": True}
    assert all(path.read_bytes() == content for path, content in before.items())
    assert {path.suffix for path in before} == {".html", ".csv", ".pdf", ".png", ".svg"}


def test_init_then_run(call, tmp_path):
    (tmp_path / "sub").mkdir()
    os.chdir(tmp_path / "sub")
    assert call("init", "quickstart")[1] == "wrote quickstart.toml; edit it, then: defectgen run quickstart.toml\n"
    assert call("run", "quickstart.toml", "--dry-run")[0] == 0


def test_list_shows_names(call):
    status, out, _ = call("list")
    assert status == 0 and "copper [fcc]" in out and "quickstart" in out
    assert "copper" not in call("list", "studies")[1]


def test_doctor_knows_what_is_missing(call, monkeypatch, tmp_path):
    status, out, _ = call("doctor")
    assert status == 0 and "float64 on cpu" in out and "6 neighbours" in out
    (tmp_path / "spglib.py").write_text("raise ModuleNotFoundError(\"No module named 'spglib'\")\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(defectgen.__file__).parents[1])]))
    done = subprocess.run([sys.executable, "-m", "defectgen", "doctor"], capture_output=True, text=True)
    assert done.returncode == 2 and "MISSING  spglib" in done.stdout and "pip install spglib" in done.stdout


def test_lines_read_well():
    assert live.line(Event("done", "Si vacancy L=2", 12.3, 3, 24, 130.0)) == "[ 3/24] Si vacancy L=2 (12 s); about 2 min left"
    assert live.line(Event("done", "last", 0.42, 24, 24, 0.0)) == "[24/24] last (0.4 s)"
    assert live.line(Event("failed", "x", 1.0, 1, 2, detail="why")) == "[1/2] x: failed: why"
    assert live.line(Event("start", "x")) == ""
    assert (live.brief(200.0), live.brief(59.7), live.brief(7500.0)) == ("3 min 20 s", "1 min 0 s", "2 h 5 min")


def test_terminal_shows_a_bar():
    import io

    from rich.console import Console

    screen = io.StringIO()
    with live.Live(Console(file=screen, force_terminal=True, width=100)) as show:
        for event in [
            Event("begin", total=2),
            Event("start", "[odd] label", total=2),
            Event("done", "[odd] label", 1.0, 1, 2, 60.0),
        ]:
            show(event)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())  # without colours and cursor moves
    assert "[1/2] [odd] label (1.0 s); about 1 min left" in shown and "━━━" in shown


def test_module_runs_as_a_process(tmp_path):
    wrong = subprocess.run(
        [sys.executable, "-m", "defectgen.cli", "report", "nowhere"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (wrong.returncode, wrong.stdout) == (2, "") and wrong.stderr.startswith("error: there is no directory nowhere")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_stdout_that_cannot_be_written_is_one_sentence(tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "defectgen.cli", "list", "studies"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: [Errno 28] No space left")


def test_interrupted_run_resumes(tmp_path):
    (tmp_path / "slow.toml").write_text('name = "slow"\nsizes = [2]\nseconds = 600.0\n')
    script = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import toy_study\nfrom defectgen.cli import running\nrunning.study = toy_study\n"
        "from defectgen.cli import main\nmain(['run', 'slow.toml', '--out', 'o', '--workers', '1'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while "[1/2]" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert err == "stopped with 1 of 2 tasks done; give the same command again to go on from there\n"
    text = (tmp_path / "slow.toml").read_text().replace("600.0", "0.01")
    (tmp_path / "slow.toml").write_text(text)
    again = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0 and "1 of 2 tasks were finished before" in again.stdout


# --- every locale, every home ---------------------------------------------------------------------------------------


def test_text_is_utf8_in_every_call():
    """No call of the package leaves the encoding of a text file or of a process to the locale."""
    found = []
    for path in sorted(Path(defectgen.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _takes_the_locale(node):
                found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert found == []
    wrong = ("open(p)", "open(p, 'w')", "p.read_text()", "p.write_text(t)", "subprocess.run(c, text=True)", "pd.read_csv(p)")
    right = ("open(p, 'rb')", "os.open(p, 0)", "p.open(mode='wb')", "p.read_text(encoding='utf-8')", "subprocess.run(c)")
    assert all(_takes_the_locale(ast.parse(text).body[0].value) for text in wrong)
    assert not any(_takes_the_locale(ast.parse(text).body[0].value) for text in right)


def _takes_the_locale(node: ast.Call) -> bool:
    keywords = {keyword.arg for keyword in node.keywords}
    if "encoding" in keywords:
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if name == "open" and owner != "os" and not owner.endswith("zip"):
        modes = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
        binary = any(isinstance(mode, ast.Constant) and isinstance(mode.value, str) and "b" in mode.value for mode in modes)
        return not binary
    if name in ("run", "Popen", "check_output"):
        return bool(keywords & {"text", "universal_newlines"})
    return name in ("read_text", "write_text", "read_csv", "TextIOWrapper", "NamedTemporaryFile", "loadtxt", "savetxt")


def test_ascii_terminals_and_users_without_a_home(tmp_path):
    """The C locale with nothing to repair it, no HOME, and a user that the system does not know: everything is written."""
    (tmp_path / "\u00e9tude.toml").write_text("\ufeff" + 'name = "\u03c3"\r\nsizes = [2]\r\n', encoding="utf-8")
    script = (
        "import pwd, sys\ndef unknown(*_): raise KeyError\npwd.getpwuid = pwd.getpwnam = unknown\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "import toy_study\nfrom defectgen.cli import running\nrunning.study = toy_study\n"
        "from defectgen.cli import main\nmain(['run', sys.argv[1], '--out', sys.argv[2], '--workers', '1'])\n"
    )
    command = [sys.executable, "-c", script, "\u00e9tude.toml".encode(), "\u00c5".encode()]
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    package = str(Path(defectgen.__file__).parents[1])
    environment = kept | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": package}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    page = (tmp_path / "\u00c5" / "report.html").read_text(encoding="utf-8")
    assert "\u03c3" in page and "\u00e9tude.toml" in page


def test_the_page_escapes_what_a_study_says(call, tmp_path):
    (tmp_path / "evil.toml").write_text('name = "<script>alert(1)<script>"\nsizes = [2]\nuntil = "<b>no</b>"\n')
    call("run", "evil.toml", "--out", "o", "--workers", 1)
    page = Path("o/report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1 and "<script>alert" not in page and "&lt;script&gt;" in page  # the one that sorts


def test_old_records_are_listed(call, tmp_path):
    script = (
        "import toy_study\nfrom defectgen.cli import running\nrunning.study = toy_study\n"
        "from defectgen.cli import main\nmain(['run', '--out', 'o', '--workers', '1'])\n"
    )
    run_as("0.0.1", tmp_path / "other", script)
    status, out, _ = call("run", "--out", "o", "--workers", 1, "--reuse-old")
    assert status == 0 and "2 of 2 records are from defectgen 0.0.1" in out and "they are kept" in out
    page = Path("o/report.html").read_text(encoding="utf-8")
    assert "Records of other code" in page and page.count("from defectgen 0.0.1") == 2
    status, out, _ = call("run", "--out", "o", "--workers", 1)
    assert status == 0 and "they are computed again; --reuse-old would keep them" in out
    assert "Records of other code" not in Path("o/report.html").read_text(encoding="utf-8")


def test_exit_statuses_are_told(call):
    assert all(
        word in " ".join(call("--help")[1].split()) for word in ("0 done", "1 a run has failed", "2 bad input", "130 stopped")
    )


VERBS = ("run", "report", "init", "fit", "list", "domain", "design", "diversity", "plan", "export", "doctor")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_short_help_option_and_an_example(call, verb):
    status, out, _ = call(verb, "-h")
    assert status == 0 and "Usage" in out
    assert "Example" in out


def test_version_has_a_short_option(call):
    assert call("-V") == call("--version")


def test_json_is_one_object_and_nothing_else(call):
    status, out, _ = call("run", "--workers", 1, "--json")
    found = json.loads(out)
    assert status == 0 and found["tasks"] == 2 and found["failed"] == [] and Path(found["report"]).is_file()
    assert json.loads(call("list", "--json")[1])["studies"]
    assert json.loads(call("doctor", "--json")[1])["findings"][0]["state"] == "ok"


def test_quiet_prints_the_answer_only(call):
    status, out, _ = call("run", "--workers", 1, "--quiet")
    assert status == 0 and out.splitlines() == ["report: runs/quickstart/report.html"]
    assert "tasks" in call("run", "--workers", 1)[1]  # the next call prints everything again


def test_numbers_that_json_cannot_hold_are_null(capsys):
    with spoken(as_json=True):
        answer("", {"error": float("nan"), "sizes": np.array([1, 2]).tolist(), "folder": Path("runs"), "energy": np.float64(2)})
    assert json.loads(capsys.readouterr().out) == {"error": None, "sizes": [1, 2], "folder": "runs", "energy": 2.0}


def test_names_are_readable_in_a_narrow_terminal(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(len(line) for line in call("list")[1].splitlines()) <= 60
