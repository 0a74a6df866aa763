#!/usr/bin/env bash
# The report and the dashboard in a real browser (Chromium, without a window).
# Usage: run.sh PYTEST-COMMAND...    run.sh install only installs what is missing.
set -euo pipefail
cd "$(dirname "$0")/../../.."

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
fonts() { compgen -G '/usr/share/fonts/truetype/*/*.ttf' >/dev/null; } # without any, text has no width

if ! browser >/dev/null || ! fonts; then
    command -v apt-get >/dev/null || { echo "no Chromium or no fonts here: install both" >&2; exit 1; }
    echo "Installing Chromium and fonts."
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi
[ "$*" != install ] || exit 0
"$(browser)" --version
"$@" tests/integration/browser
