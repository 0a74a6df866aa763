# demo · test · check · docs · test-<real part> · bench-<claim>. Each target makes the virtual environment it needs.
#
# Other Python, place or number of test processes:  make test PYTHON=python3.13 VENV=/tmp/venv WORKERS=4
PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

bin := $(abspath $(VENV))/bin
pip := $(bin)/python -m pip --quiet --disable-pip-version-check install --constraint constraints.txt
# Tests of real parts have targets of their own; so have the docs. Whatever else lies under tests/ is `make test`.
real_parts := postgres browser s3 skypilot
not_in_test := $(addprefix --ignore=tests/integration/,$(real_parts)) --ignore=tests/docs

.DEFAULT_GOAL := demo
.PHONY: demo test check docs $(addprefix test-,$(real_parts)) bench-policy bench-tuning bench-savings bench-early-stopping bench-recovery bench-supervising

# Done once, and again when what is to be installed has changed. PyTorch comes first, by its exact version: a looser
# request may take a build several GB larger. The build backend comes from the constraints too, hence no build isolation.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("spotwise needs Python 3.11 or newer, and \
	$(PYTHON) is " + sys.version.split()[0] + ": name a newer one, as in `make PYTHON=python3.12`")'
	@echo "Installing into $(VENV): about two minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(pip) torch==2.13.0
	@$(pip) setuptools
	@$(pip) --no-build-isolation --editable ".[tune,train,postgres,dev]"
	@touch $@

# SkyPilot and an S3 server, for their tests and benchmarks only.
$(VENV)/.sky-installed: $(VENV)/.installed
	@$(pip) --no-build-isolation --editable ".[sky-test]"
	@touch $@

$(VENV)/.bench-installed: $(VENV)/.installed
	@$(pip) --no-build-isolation --editable ".[bench]"
	@touch $@

demo: $(VENV)/.installed
	PATH="$(bin):$$PATH" bash demo.sh

# Tests run side by side: with more threads of NumPy's each, they wait for each other longer than they work. PyTorch keeps
# its own, as in a user's training.
test $(addprefix test-,$(real_parts)): export OPENBLAS_NUM_THREADS ?= 1

test: $(VENV)/.installed
	$(bin)/python -m pytest tests $(not_in_test) -n $(WORKERS) --dist worksteal

check: $(VENV)/.installed
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(MAKE) --no-print-directory docs

docs: $(VENV)/.installed
	$(bin)/python -m pytest -q tests/docs

test-skypilot test-s3 bench-recovery bench-supervising: $(VENV)/.sky-installed

$(addprefix test-,$(real_parts)): test-%: $(VENV)/.installed
	bash tests/integration/$*/run.sh $(bin)/python -m pytest

bench-tuning bench-savings bench-early-stopping: $(VENV)/.bench-installed
bench-tuning bench-savings bench-policy: bench-%: $(VENV)/.installed
	$(bin)/python benchmarks/$*.py

bench-early-stopping:
	$(bin)/python benchmarks/early_stopping.py

bench-recovery:
	bash tests/integration/skypilot/run.sh $(bin)/python benchmarks/recovery.py

bench-supervising:
	$(bin)/python benchmarks/supervising.py
