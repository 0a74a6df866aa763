#!/usr/bin/env bash
# One line that stands for the state of all that the tests on Slurm are for. `passed` holds that of their last whole pass:
#
#     make test-skypilot && bash tests/integration/skypilot/state.sh > tests/integration/skypilot/passed
#
# What is committed or staged counts.
set -euo pipefail
cd "$(dirname "$0")/../../.."
git ls-files --stage -- constraints.txt checkpoints scheduler/engines scheduler/execution scheduler/node_agent \
    tests/integration/skypilot tests/support/installation.py 'tests/support/sky_*.py' 'tests/support/slurm_*.py' \
    ':!tests/integration/skypilot/passed' | sha256sum | cut -d ' ' -f 1
