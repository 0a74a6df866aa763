#!/usr/bin/env bash
# A Slurm login node that cannot be reached looks like a task that cannot be.
#
# Expected: SkyPilot says of a cluster whose login node refuses ssh what it says of ssh elsewhere: a CommandError with exit
#           code 255, which a caller may try again or take elsewhere.
# Happens:  the first question for a cluster's partitions raises ValueError, also what a wrong task raises. The
#           CommandError is its cause only in the server's process; the class that a caller of the API sees is ValueError.
# Versions: skypilot 0.14.1, Python 3.11; 2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export HOME="$folder/home" SKYPILOT_DISABLE_USAGE_COLLECTION=1
mkdir -p "$HOME/.slurm"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pip>=25"
"$folder/venv/bin/pip" install --quiet --no-compile "skypilot[slurm]==0.14.1"
ssh-keygen -q -t ed25519 -N '' -f "$HOME/key"
printf 'Host away\n  HostName 127.0.0.1\n  Port 9\n  User nobody\n  IdentityFile %s\n' "$HOME/key" >"$HOME/.slurm/config"
"$folder/venv/bin/python" - <<'PYTHON'
from sky.provision.slurm import utils

try:
    utils.get_partition_infos("away")
except ValueError as error:
    print(type(error).__name__, "caused by", type(error.__cause__).__name__, "exit code", error.__cause__.returncode)
    assert error.__cause__.returncode == 255
else:
    raise SystemExit("no ValueError any more")
PYTHON
