# `make demo` and `make test` need Python 3.11+, git and make; the rest they install.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(shell .ci/pythons | head -n 1 | cut -d' ' -f2-)
# Most tests wait for processes: more workers than cores.
JOBS ?= 3

.PHONY: help setup agent-clis demo test lint types imports unit each-python bench clean

help:
	@echo "make demo    a fleet with failures, through the production path (about ten seconds)"
	@echo "make test    lint, types, architecture, all tests; units and processes on every Python found"
	@echo "make bench   the figures, as ratios inside one run"

setup:
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11, 3.12 or 3.13 found; install one"; exit 1; }
	@.ci/venv "$(PYTHON)" $(VENV) test

# The tests need 2 GB of libraries, the product 20 MB.
demo:
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11, 3.12 or 3.13 found; install one"; exit 1; }
	@.ci/venv "$(PYTHON)" $(VENV)
	@$(BIN)/muster demo

# Real agent CLIs, with a Node of their own, against a model server of the tests.
agent-clis: setup
	@.ci/agent-clis $(BIN)/python .agent-clis

test: setup agent-clis lint types imports each-python

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

each-python:
	@.ci/each-python $(JOBS)

unit: setup
	$(BIN)/pytest -q tests/unit -n $(JOBS)

bench: setup agent-clis
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .venvs .agent-clis .mypy_cache .pytest_cache .ruff_cache .hypothesis
