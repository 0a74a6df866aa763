# demo · test · check · docs · test-<real part> · bench-<claim>. Every target makes the virtual environment it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
WORKERS ?= 2

.DEFAULT_GOAL := demo
.PHONY: demo test check docs test-postgres test-browser bench-tuning

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[tune,train,postgres,dev]"
	touch $@

demo: $(VENV)/.installed
	PATH="$(abspath $(BIN)):$$PATH" bash demo.sh

test: $(VENV)/.installed
	$(BIN)/pytest tests/unit tests/contract tests/simulation tests/integration/local -n $(WORKERS) --dist loadfile

check: $(VENV)/.installed docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed
	$(BIN)/pytest -q tests/docs

test-postgres: $(VENV)/.installed
	bash tests/integration/postgres/run.sh $(abspath $(BIN))/pytest

test-browser: $(VENV)/.installed
	bash tests/integration/browser/run.sh $(abspath $(BIN))/pytest

bench-tuning: $(VENV)/.installed
	$(BIN)/python benchmarks/tuning.py
