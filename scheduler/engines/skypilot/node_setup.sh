# A Python for spotwise's agent, apart from the job's own; made once for each version of it. On Slurm every cluster has
# a home of its own within the user's, which outlives it, so it is made in that.
spotwise_home=$(getent passwd "$(id -u)" | cut -d: -f6)
spotwise_home="${SPOTWISE_NODE_HOME:-${spotwise_home:-$HOME}/.spotwise}"
mkdir -p "$spotwise_home" 2>/dev/null && [ -w "$spotwise_home" ] || spotwise_home="$HOME/.spotwise"
mkdir -p "$spotwise_home"
spotwise_env="$spotwise_home/env-@{digest}"
# The wheel may lie in the folder where nodes and scheduler are to meet; a network drive shows what is new a bit late.
spotwise_looks=10
until [ -e "@{wheel}" ]; do
    spotwise_looks=$((spotwise_looks - 1))
    if [ "$spotwise_looks" -le 0 ]; then
        echo "[spotwise] nobody asks for this attempt: $(uname -n) sees no @{wheel}"
        # For the scheduler: StorageNotSeen in node_agent/log_message.py.
        echo '[spotwise:message] {"format": 1, "kind": "storage_not_seen", "node": "'"$(uname -n)"'", "file": "'"@{wheel}"'"}'
        exit 78
    fi
    sleep 1
done
(
    set -e
    unset PYTHONPATH PYTHONHOME # a cluster's modules may set them, for another Python
    export PIP_USER=0
    exec 9>"$spotwise_env.lock"
    flock 9 # several nodes may share this home
    [ ! -e "$spotwise_env/.ready" ] || exit 0
    library="$spotwise_home/lib-@{digest}"
    rm -rf "$spotwise_env" "$library"
    for python in python3.13 python3.12 python3.11 python3 python /usr/bin/python3; do
        "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$python" -m venv "$spotwise_env"; then break; fi
        rm -rf "$spotwise_env"
    done
    uv=$(command -v uv || echo "$HOME/.local/bin/uv")
    [ -x "$spotwise_env/bin/python" ] || "$uv" venv --quiet --seed --python '>=3.11' "$spotwise_env"
    "$spotwise_env/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile @{requirements}
    "$spotwise_env/bin/python" -m zipfile -e "@{wheel}" "$library"
    site=$("$spotwise_env/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    echo "$library" > "$site/spotwise.pth"
    touch "$spotwise_env/.ready"
)
if [ $? -ne 0 ]; then
    echo "[spotwise] no Python for the agent: it needs Python 3.11 or newer, or uv, and a package index"
    exit 1
fi
