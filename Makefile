# `make` alone lists what there is. Every target sets up what it needs; nothing has to be installed by hand but Python.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check format organism clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Crescent needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Crescent and its dependencies into $(VENV) (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(READY)

setup: $(READY) ## create the environment and install

demo: $(READY) ## a model improves itself, every step explained (minutes, on a CPU, no network)
	@$(BIN)/crescent

test: $(READY) ## run the tests
	@$(BIN)/python -m pytest

test-slow: $(READY) ## run all tests, the slow ones too
	@$(BIN)/python -m pytest -m ''

check: $(READY) ## lint, types and import contracts, as CI runs them
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

format: $(READY) ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

organism: $(READY) ## train the model organism anew from its seed (CARD.md says how long)
	@$(BIN)/python -m crescent.organism.build

clean: ## remove the environment and caches; outputs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
