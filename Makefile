# `make demo` and `make test` need Python 3.11 to 3.14 and make, nothing else.
#
#   make demo        distils the shipped LunarLander teacher: a table, and the path of its run
#   make test        everything that CI runs
#   make test-slow   statistics and long runs
#   make docs        the documentation, in site/
#   make clean       removes the virtual environment, caches and site/; never runs/
#
# Variables: PYTHON (the interpreter that makes the virtual environment), VENV (where it goes),
# PYTEST_FLAGS (in place of one process per core, for example "-k verdict").

PYTHON ?= python3
VENV ?= .venv
PYTEST_FLAGS ?= --numprocesses=auto --maxprocesses=8
export NO_MKDOCS_2_WARNING := 1

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
# Nothing is upgraded, pip included; what is not pinned in constraints.txt is what pip picks.
INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-slow docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	$(BIN)/rldistill demo

test: $(VENV)/dev.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest --doctest-modules src tests $(PYTEST_FLAGS)
	$(BIN)/mkdocs build --strict --quiet

test-slow: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m slow $(PYTEST_FLAGS)

docs: $(VENV)/dev.stamp
	$(BIN)/mkdocs build --strict

# A stamp is older than what it was installed from: then, and only then, pip runs.
$(VENV)/python.stamp:
	$(PYTHON) -c "import sys; v = sys.version_info; v[:2] >= (3, 11) or sys.exit('rldistill needs Python 3.11 to 3.14; $(PYTHON) is ' + sys.version.split()[0] + '. Try: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/%.stamp: pyproject.toml constraints.txt | $(VENV)/python.stamp
	@echo "Installing rldistill[$*] into $(VENV); the first time this takes a few minutes."
	$(INSTALL) -e ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) .venv-ci-* site .pytest_cache .ruff_cache .hypothesis
