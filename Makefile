# make run    creates .venv, installs the pinned requirements and opens the app
# make test   the same set-up, then the linters and all tests
# make lint   only the linters: style, types, and who may import whom
# make setup  only the set-up
# make lock   resolves requirements.txt anew into requirements.lock, with hashes
# make audit  asks the package index which pinned packages have known weaknesses
# make soak   eight people, a killed worker, a full disk; MINUTES=15
# make fuzz   hostile files through the decoder and our parsers, from a random start; SECONDS=600
# make sbom   writes build/sbom.json, a bill of materials (CycloneDX)

ARGS ?=
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
  && command -v $$p && break; done)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-cluster setup lint doctor lock audit sbom soak fuzz clean

help:
	@sed -n 's/^# make/make/p' Makefile

run: .venv/app doctor
	$(BIN)/streamlit run server.py $(ARGS)

# Ray's tests have a process of their own, since Ray stays in the one that used it; they and the
# linters use one core each.
test: .venv/tests doctor
	$(MAKE) -j 2 lint test-cluster
	$(BIN)/python -m pytest $(RAY_TESTS:%=--ignore=%) $(ARGS)

RAY_TESTS := tests/cluster/test_scan.py tests/cluster/test_connection.py

test-cluster: .venv/tests
	$(BIN)/python -m pytest $(RAY_TESTS)

setup: .venv/app doctor

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

# Says in one sentence what is missing, and prepares the models for a quick first page.
doctor: .venv/app
	@$(BIN)/python -m detector doctor

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Veriframe needs Python 3.11, 3.12 or 3.13: install one of them and run make again." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: on Debian and Ubuntu, apt install python3-venv, then remove the folder .venv and run make again." >&2; exit 1; }

PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
LOCK := .tools/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
  --no-emit-index-url --no-emit-find-links --no-header --upgrade

.venv/app: requirements.lock | .venv/bin/python
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

.venv/tests: tests/requirements.lock .venv/app
	$(PIP) --require-hashes -r tests/requirements.lock
	@touch $@

.tools/ready: requirements.tools.txt | .venv/bin/python
	@$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --disable-pip-version-check --quiet -r requirements.tools.txt
	@touch $@

# The tests' file is held to the app's versions; no index is named in either.
lock: .tools/ready
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) tests/requirements.txt -c requirements.lock -o tests/requirements.lock

# Strict: packages that the index does not know are a failure, not a silence.
audit: .tools/ready
	.tools/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

MINUTES ?= 15

soak: .venv/tests
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) --out benchmarks/results $(ARGS)

SECONDS ?= 600

fuzz: .venv/tests
	VERIFRAME_FUZZ_SECONDS=$(SECONDS) VERIFRAME_FUZZ_EXAMPLES=2000 \
	VERIFRAME_FUZZ_FIRST=$$($(BIN)/python -c 'import random; print(random.randrange(10**9))') \
	$(BIN)/python -m pytest -s --timeout 0 tests/fuzz $(ARGS)

sbom: .tools/ready
	@mkdir -p build
	.tools/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
	  --output-reproducible --validate -o build/sbom.json

clean:
	rm -rf .venv .tools build .pytest_cache .mypy_cache .ruff_cache
