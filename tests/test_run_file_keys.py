"""The keys of run files: all documented, and a new run file has every one of them as a comment with its default."""

import re

import pytest

from defectgen import study
from defectgen.study.keys import run_file_keys, template
from defectgen.study.listing import embedded

COMMENT = re.compile(r"^# (\w+ = )(?!\.\.\.)")
HEADING = re.compile(r"^# (\[\w+\])$")


def test_every_key_has_a_meaning_and_not_only_a_unit():
    short = [f"{key.table}.{key.name}: {key.meaning}" for key in run_file_keys() if len(key.meaning.split()) < 5]
    assert short == []
    assert [key.name for key in run_file_keys() if key.meaning.startswith("Of ") or not key.meaning.endswith(".")] == []


def test_keys_of_all_tables_are_there():
    found = {(key.table, key.name): key for key in run_file_keys()}
    assert found["training", "configurations"].default == "6" and found["training", "configurations"].kind == "whole number"
    assert found["", "name"].default is None  # must be given
    assert found["fits.beyond", "radii"].kind == "list of number"
    assert found["cases.basis", "cutoff"].meaning


@pytest.mark.parametrize("name", ["fits-2d", "quickstart", "certificate", "diversity-crystals"])
def test_a_new_run_file_with_its_comments_as_keys_means_the_same(name, tmp_path):
    text = template(name)
    lines = [HEADING.sub(r"\1", COMMENT.sub(r"\1", line)) for line in text.splitlines()]
    assert sum(COMMENT.match(line) is not None for line in text.splitlines()) > 5
    spelled_out = tmp_path / f"{name}.toml"
    spelled_out.write_text("\n".join(lines), encoding="utf-8")
    assert study.load(str(spelled_out)) == study.load(name)


def test_a_key_without_a_value_by_default_is_shown():
    assert any(line.startswith("# rattle_radius = ...") for line in template("quickstart").splitlines())
    assert set(embedded()) >= {"quickstart"}
