# Everything a newcomer needs: `make demo` and `make test`. Both make the environment they run in.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
SEED ?= 1
OUT ?= demo
UV ?= uv
# The first Python that is new enough; `make demo PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

BIN := $(VENV)/bin
RUN := $(OUT)/seed-$(SEED)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: help demo test lint lock

help:
	@echo "make demo [SEED=1] [OUT=demo]   the whole line, from a simulation to a report; real traces too where TOWNSEND_DATA is set"
	@echo "make test                       run all tests"
	@echo "make lint                       ruff, mypy, import contract"
	@echo "make lock [UPGRADE=--upgrade]   renew the lock files (needs uv)"

demo: private export PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(BIN):$(PATH)
demo: $(VENV)/.runtime
	townsend simulate drifttube -n 3000 --seed $(SEED)1 --impact uniform -o $(RUN)/mc-finder
	townsend sweep peaks-demo.yaml --sample $(RUN)/mc-finder --seed $(SEED) -o $(RUN)/finder-sweep
	townsend board $(RUN)/finder-sweep
	townsend choose $(RUN)/finder-sweep -o $(RUN)/finder
	townsend simulate drifttube -n 5000 --seed $(SEED)2 --impact uniform -o $(RUN)/mc-clusters
	townsend sweep clusters-demo.yaml --sample $(RUN)/mc-clusters --finder $(RUN)/finder --seed $(SEED) -o $(RUN)/clusters-sweep
	townsend board $(RUN)/clusters-sweep
	townsend choose $(RUN)/clusters-sweep -o $(RUN)/clusteriser
	townsend simulate drifttube -n 10000 --seed $(SEED)3 --impact uniform -o $(RUN)/mc-calibration
	townsend assemble $(RUN)/finder $(RUN)/clusteriser --calibrate $(RUN)/mc-calibration -o $(RUN)/reconstruction
	townsend simulate drifttube -n 10000 --seed $(SEED)4 --impact uniform -o $(RUN)/mc-test
	townsend reconstruct $(RUN)/reconstruction $(RUN)/mc-test -o $(RUN)/counted
ifdef TOWNSEND_DATA
	townsend find-peaks $(RUN)/finder "$(TOWNSEND_DATA)/drift_tube_traces.npz" -o $(RUN)/real
endif
	townsend report $(RUN) -o $(RUN)/report.html
	@echo "Open $(RUN)/report.html: verdicts, figures, waveforms, how to repeat it"

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# One environment, two states: requirements-dev.lock holds all of requirements.lock at the same versions.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/pip
	@echo "Installing townsend and its libraries into $(VENV); this takes some minutes"
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/pip
	@echo "Installing townsend, its libraries and the tools of its developers into $(VENV); this takes some minutes"
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(INSTALL) --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "townsend needs Python 3.11 or newer (found none); install one, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "townsend needs Python 3.11 or newer (got $(PYTHON)); say make PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

COMPILE := $(UV) pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --group build $(UPGRADE)

lock:
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
