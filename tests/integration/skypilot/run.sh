#!/usr/bin/env bash
# SkyPilot for real: its API server and two Slurm clusters on loopback, made here and gone afterwards.
# Usage: run.sh PYTEST-COMMAND...    or, to look around in that world: run.sh bash
# run.sh install makes no world: it installs what one needs.
set -euo pipefail
cd "$(dirname "$0")/../../.."
: "${1:?usage: run.sh COMMAND...}"
here=tests/integration/skypilot
python=$(command -v "$1") && [[ $(basename "$python") == python* ]] || python=$PWD/.venv/bin/python

programs_are_here() {
    local program
    for program in slurmctld slurmd sbatch munged sshd ssh rsync unshare nsenter setpriv; do
        PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || return 1
    done
}

install_programs() {
    command -v apt-get >/dev/null || { echo "Slurm, munge, OpenSSH or rsync is missing: install them" >&2; exit 1; }
    echo "Installing Slurm, munge and OpenSSH."
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    without_services apt-get -qq install --yes --no-install-recommends \
        slurmctld slurmd slurm-client munge openssh-server openssh-client rsync util-linux >/dev/null
}

without_services() { # the packages bring services of their own, which would start at once
    local policy=/usr/sbin/policy-rc.d code=0
    if [ -e "$policy" ] && ! grep -q spotwise "$policy"; then "$@"; return; fi # a container's: it forbids them already
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\n# of a test run of spotwise: may be removed\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    "$@" || code=$?
    rm -f "$policy"
    trap - EXIT
    return "$code"
}

[ "$(id -u)" -eq 0 ] || { echo "needs root: it makes machines with names and users of their own" >&2; exit 1; }
programs_are_here || install_programs
[ "$*" != install ] || exit 0
exec "$python" "$here/launch.py" "$@"
