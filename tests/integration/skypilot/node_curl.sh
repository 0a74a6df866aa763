#!/bin/sh
# First on the nodes' PATH as `curl`. SkyPilot fetches one thing with it when it sets a Slurm node up: uv's installer.
for word in "$@"; do
    case $word in
    */uv/install.sh)
        # shellcheck disable=SC2016 # the installer's own variables
        echo 'mkdir -p "$UV_INSTALL_DIR" && ln -sf "'"$(dirname "$0")"'/uv" "$UV_INSTALL_DIR/uv"'
        exit 0
        ;;
    esac
done
exec /usr/bin/curl "$@"
