#!/usr/bin/env bash
# `python3.13` on the nodes, the first that spotwise asks for, of whatever version: in an environment that it makes, pip
# finds already there what it is to install for the agent and the sweep host.
set -euo pipefail
image=$(dirname "$(dirname "$(readlink -f "$0")")")
"$image/user-env/bin/python" "$@"
if [[ ${1:-} == -m && ${2:-} == venv ]]; then
    for packages in "${*: -1}"/lib/python*/site-packages; do echo "$image/agent-packages" >"$packages/image.pth"; done
fi
