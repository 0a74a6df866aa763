#!/usr/bin/env bash
# What `make demo` runs: the main job from a YAML file to a cost report, on an emulated spot market on this machine.
# Each time in a new home (or SPOTWISE_DEMO_HOME), so that it begins at the beginning; reports go to SPOTWISE_DEMO_OUT.
set -euo pipefail
cd "$(dirname "$0")"
command -v spotwise >/dev/null || { echo "spotwise is not installed here: start this with \`make demo\`" >&2; exit 1; }
home="${SPOTWISE_DEMO_HOME:-$(mktemp -d "${TMPDIR:-/tmp}/spotwise-demo.XXXXXX")}"
export SPOTWISE_HOME="$home" SPOTWISE_SETTINGS="$PWD/configs/settings.yaml"
export SPOTWISE_SAME_DRAWS=1 # its machines live as long each time: the story stays the same
out="${SPOTWISE_DEMO_OUT:-.}"

bold='' dim='' plain=''
[ ! -t 1 ] || { bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; }
step() { printf '\n%s== %s%s\n\n' "$bold" "$1" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; "$@"; }

step "1. What would a sweep cost? (an emulated market: no real money, 1 market hour = 20 s)"
show spotwise plan configs/sweeps/digits.yaml

step "2. Run it, through real preemptions"
show spotwise submit configs/sweeps/digits.yaml --watch

step "3. A related sweep starts from what the first one learned"
show spotwise plan configs/sweeps/digits-transfer.yaml
show spotwise submit configs/sweeps/digits-transfer.yaml --watch

step "4. Nightly retraining: train, survive, compare with the champion, promote"
show spotwise nightly configs/nightly/digits.yaml
echo
echo "Run again at once:"
code=0
show spotwise nightly configs/nightly/digits.yaml || code=$?
[ "$code" -eq 5 ] || { echo "expected exit code 5 (nothing to do), got $code" >&2; exit 1; }

step "5. Where did the money go?"
show spotwise report --out "$out"

cat <<TEXT

Try next, with the same data:
  export SPOTWISE_HOME=$SPOTWISE_HOME PATH="$(dirname "$(command -v spotwise)"):\$PATH"
  spotwise status
  spotwise web                                   # the report as a live page
  spotwise plan configs/jobs/digits-mlp.yaml     # a training job, commented line by line
  spotwise prices --sheet --accelerators H100:8  # what the shipped price sheet knows
TEXT
