#!/usr/bin/env bash
# Checkpoints and agents on S3: a server of its own on this machine, gone afterwards. Usage: run.sh PYTEST-COMMAND...
set -euo pipefail
cd "$(dirname "$0")/../../.."

"$1" tests/support/s3_server.py "$@" tests/integration/s3 tests/unit/checkpoints/test_storage.py -k s3
