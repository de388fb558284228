# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE ?= 1

.PHONY: demo test test-faults lint docs clean

# The product alone: what `pip install .` brings, no torch.
$(VENV)/product: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e .
	touch $@

# What tests need beside it.
$(VENV)/dev: $(VENV)/product
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(VENV)/product
	$(BIN)/python -m listener.demo --dir demo $(if $(filter 0,$(SERVE)),--no-serve)

test: $(VENV)/dev lint
	$(BIN)/python -m pytest -n 2 -m 'not faults'

test-faults: $(VENV)/dev
	$(BIN)/python -m pytest -m faults

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Pages under docs/ that are made from code; tests fail where they differ.
docs: $(VENV)/dev
	$(BIN)/python -m listener.settings --docs > docs/settings.md
	$(BIN)/python -m listener.cli_docs > docs/cli.md
	$(BIN)/python -m tools.docs_tables

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
