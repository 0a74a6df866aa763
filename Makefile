# demo · test · check · docs · chaos · test-<part> · bench-<claim>. Each target makes the virtual environment it needs.
#
# Other Python, place or number of test processes:  make test PYTHON=python3.13 VENV=/tmp/venv WORKERS=4
PYTHON  ?= python3
VENV    ?= .venv
cores   := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell expr $(cores) + 1)
# Tests with processes of their own wait for them most of the time.
WAITING_WORKERS ?= $(shell expr $(cores) \* 2)

bin := $(abspath $(VENV))/bin
pip := $(bin)/python -m pip --quiet --disable-pip-version-check install
# Tests of real parts have targets of their own; so have the docs. `make test` is the rest.
real_parts := postgres browser s3 skypilot
unit_tests := tests/unit tests/simulation
process_tests := tests/process tests/contract tests/integration/local tests/chaos
# Targets run side by side, hence a cache of its own for each.
pytest = $(bin)/python -m pytest --durations=15 --dist worksteal -o cache_dir=.pytest_cache/$@
# Each of these waits for one server; on Slurm each process has two clusters of its own in the one world.
workers_postgres := 3
workers_browser  := 2
workers_s3       := 3
workers_skypilot := 3

.DEFAULT_GOAL := demo
.PHONY: demo test test-unit test-process chaos check docs $(addprefix test-,$(real_parts)) bench-policy bench-tuning bench-savings bench-early-stopping bench-recovery bench-supervising bench-store bench-plan bench-prediction

# Done once, and again when what is to be installed has changed. An old pip takes minutes to find out what fits together.
# PyTorch comes first, by its exact version: a looser request may take a build several GB larger. The build backend comes
# from the constraints too, hence no build isolation.
define install
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("spotwise needs Python 3.11 or newer, and \
	$(PYTHON) is " + sys.version.split()[0] + ": name a newer one, as in `make PYTHON=python3.12`")'
	@$(PYTHON) -m venv $(VENV)
	@$(pip) "pip>=25"
	@$(pip) $(PIP_OPTIONS) --constraint constraints.txt torch==2.13.0 setuptools
	@$(pip) $(PIP_OPTIONS) --constraint constraints.txt --no-build-isolation --editable ".[$(1)]"
endef

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV): about two minutes, once."
	$(call install,tune$(comma)train$(comma)postgres$(comma)aws$(comma)gcp$(comma)dev)
	@touch $@
comma := ,

# SkyPilot and an S3 server, for their tests and benchmarks only.
$(VENV)/.sky-installed: $(VENV)/.installed
	@$(pip) --constraint constraints.txt --no-build-isolation --editable ".[sky-test]"
	@touch $@

$(VENV)/.bench-installed: $(VENV)/.installed
	@$(pip) --constraint constraints.txt --no-build-isolation --editable ".[bench]"
	@touch $@

# What all tests need, at one go: for CI.
$(VENV)/.all-installed: pyproject.toml constraints.txt
	$(call install,tune$(comma)train$(comma)postgres$(comma)aws$(comma)gcp$(comma)dev$(comma)sky-test)
	@touch $(VENV)/.installed $(VENV)/.sky-installed $@

demo: $(VENV)/.installed
	PATH="$(bin):$$PATH" bash demo.sh

# Tests run side by side: with more threads of NumPy's each, they wait for each other longer than they work. PyTorch keeps
# its own, as in a user's training.
test-unit test-process $(addprefix test-,$(real_parts)): export OPENBLAS_NUM_THREADS ?= 1

# Side by side: one computes, the other waits and has the right of way.
test: $(VENV)/.installed
	@echo "Unit tests, and beside them those with processes of their own: what they say comes when each ends."
	nice -n 10 $(MAKE) --no-print-directory test-unit & \
	$(MAKE) --no-print-directory test-process >$(VENV)/test-process.log 2>&1; code=$$?; \
	wait $$! || code=$$?; cat $(VENV)/test-process.log; exit $$code

test-unit: $(VENV)/.installed
	$(pytest) $(unit_tests) -n $(WORKERS)

test-process: $(VENV)/.installed
	$(pytest) $(process_tests) -n $(WAITING_WORKERS)

# Kills and damages without end:  make chaos MINUTES=10 SEED=7 STORE=postgres
MINUTES ?= 10
STORE   ?= sqlite
chaos: $(VENV)/.installed
	PYTHONPATH=tests/support $(if $(filter postgres,$(STORE)),bash tests/integration/postgres/run.sh serve) \
	    $(bin)/python tests/chaos/campaign.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

scripts := .ci/run demo.sh $(wildcard tests/integration/*/*.sh)

check: $(VENV)/.installed
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/shellcheck $(scripts)
	$(bin)/mypy
	$(bin)/lint-imports
	$(MAKE) --no-print-directory docs

docs: $(VENV)/.installed
	$(bin)/python -m pytest -q --durations=15 tests/docs

test-skypilot test-s3 bench-recovery bench-supervising: $(VENV)/.sky-installed

$(addprefix test-,$(real_parts)): test-%: $(VENV)/.installed
	bash tests/integration/$*/run.sh $(pytest) -n $(workers_$*)

bench-tuning bench-savings bench-early-stopping: $(VENV)/.bench-installed
bench-tuning bench-savings bench-policy bench-store bench-plan: bench-%: $(VENV)/.installed
	$(bin)/python benchmarks/$*.py

bench-early-stopping:
	$(bin)/python benchmarks/early_stopping.py

bench-prediction: $(VENV)/.installed
	$(bin)/python benchmarks/throughput_prediction.py
	$(bin)/python benchmarks/cost_prediction.py

bench-recovery:
	bash tests/integration/skypilot/run.sh $(bin)/python benchmarks/recovery.py

bench-supervising:
	$(bin)/python benchmarks/supervising.py
