"""Files of any content are accepted or refused in one sentence: a few hundred mutations, and faults that must be found."""

import time
from pathlib import Path

import fuzz
import pytest

import defectgen as dg


@pytest.mark.parametrize("name", fuzz.READERS)
def test_the_files_that_are_mutated_are_accepted(name, tmp_path):
    for seed in fuzz.READERS[name].seeds():
        path = tmp_path / f"input{fuzz.READERS[name].suffix}"
        path.write_bytes(seed)
        assert fuzz.judged(fuzz.READERS[name].read, path) == (fuzz.ACCEPTED, "")


def test_mutated_files_are_accepted_or_refused_in_a_sentence():
    results = fuzz.fuzzed(seed=7, count=20 * len(fuzz.READERS), names=list(fuzz.READERS))
    print(fuzz.table(results))
    assert [r for r in results if r[2] in fuzz.FAULTS] == []
    assert {fuzz.ACCEPTED, fuzz.REFUSED} == {r[2] for r in results}


def test_the_fuzzer_finds_faults():
    """Guard of the guard: a foreign exception, an endless loop and a message of two lines are told apart."""

    def fails(path: Path):
        raise KeyError("a")

    def hangs(path: Path):
        while True:
            time.process_time()

    def says_two_lines(path: Path):
        error = dg.InputError("one")
        error.args = ("one\ntwo",)
        raise error

    assert fuzz.judged(hangs, Path("x"), seconds=0.2)[0] == fuzz.HANG
    assert fuzz.judged(fails, Path("x"))[0] == fuzz.FOREIGN
    assert fuzz.judged(says_two_lines, Path("x"))[0] == fuzz.FOREIGN


def test_inputs_are_the_same_for_a_seed():
    names = ["extxyz", "sw"]
    first, again = (fuzz.Inputs(3, names) for _ in range(2))
    assert [first.content(k) for k in range(20)] == [again.content(k) for k in range(20)]
    assert first.content(0) != first.content(2)
