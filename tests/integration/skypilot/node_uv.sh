#!/usr/bin/env bash
# uv on the nodes, which have SkyPilot's runtime in their image: no more than the calls of its node set-up.
set -euo pipefail
image=$(dirname "$(dirname "$(readlink -f "$0")")")
target=${*: -1}
case "$*" in
-V) echo "uv of the image" ;;
"venv --seed "*/skypilot-runtime*) for word in "$@"; do [[ $word != */skypilot-runtime ]] || ln -sfn "$image/sky-runtime" "$word"; done ;;
"venv --seed --relocatable --system-site-packages"*) cp -a --no-preserve=ownership "$image/user-env" "$target" ;;
"pip list") "$image/sky-runtime/bin/python" -c 'import importlib.metadata as m; print("skypilot", m.version("skypilot"))' ;;
"pip uninstall skypilot" | "pip install "*/.sky/wheels/*) ;;
*)
    echo "the nodes' uv does not know: $*" >&2
    exit 64
    ;;
esac
