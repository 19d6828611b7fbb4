# `make run` opens the dashboard, `make test` checks everything. Both set themselves up in .venv, once.

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt
# Tests wait for other processes half of their time: two at once for each core.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# A start without compiled modules takes four times as long.
unexport PYTHONDONTWRITEBYTECODE
# The build back end is held to the same versions; newer versions of pip want that said by another name.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Where the virtual environment's Python has gone, it is made again.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.run $(VENV)/.test)

.PHONY: run check test lint coverage torture e2e bench clean

run: $(VENV)/.run
	@exec $(BIN)/wsdash $(ARGS)

# What changes are tried with all the time: lint, types, imports, and the tests that are not slow.
check: lint
	$(BIN)/pytest -q -n auto --dist worksteal -m 'not slow and not long'

# Less the tests that are marked `long`, which `make e2e` runs.
test: lint
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=25 --durations-min=5 -m 'not long and not e2e'

# Lines and branches that the tests that are not slow reach: a table, and coverage.xml.
coverage: $(VENV)/.test
	$(BIN)/pytest -q -n auto --dist worksteal -m 'not slow and not long' --cov --cov-report=term --cov-report=xml

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.words
	$(BIN)/vulture
	$(BIN)/shellcheck wsdash/backend/job/sh/*/*.sh

# Kills everything at random while a user works: tests/torture/README.md.
torture: $(VENV)/.test
	$(BIN)/python -m tests.torture $(ARGS)

# The tests that take long, and an editor in a browser. What it cannot install, its tests say, and are skipped.
e2e: $(VENV)/.test
	@[ -x $(VENV)/editor/bin/code-server ] || { echo "Adding an editor and a browser's driver ..."; \
	    sh .ci/install-editor $(VENV) || echo "They could not be installed." >&2; }
	PATH="$(CURDIR)/$(VENV)/editor/bin:$$PATH" $(BIN)/pytest -n $(WORKERS) --dist worksteal -m 'long or e2e'

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist .coverage .coverage.* coverage.xml
	find wsdash tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: $(SOURCES)
	@echo "Setting up $(VENV), once ..."
	@$(BIN)/python -c '' 2>/dev/null || { \
	    python=$$(PYTHON='$(PYTHON)' sh .ci/find-python) && "$$python" -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --editable .
	@$(BIN)/python -m compileall -q wsdash
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "Adding what the tests use ..."
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
