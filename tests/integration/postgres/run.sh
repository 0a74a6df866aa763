#!/usr/bin/env bash
# The store on a real PostgreSQL: a server of its own, made here and removed here.
# Usage: run.sh PYTEST-COMMAND...    run.sh serve COMMAND... runs any command while the server is there.
#        run.sh install makes no server: it installs what one needs.
set -euo pipefail
cd "$(dirname "$0")/../../.."

server_programs() { # the folder of initdb and pg_ctl; Debian keeps it off the PATH
    local found
    found=$(command -v pg_ctl || compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' | sort -V | tail -n 1) || return 1
    dirname "$(readlink -f "$found")"
}

install_server() {
    command -v apt-get >/dev/null || { echo "no pg_ctl here: install the PostgreSQL server" >&2; exit 1; }
    echo "Installing PostgreSQL."
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends postgresql-common >/dev/null
    # Else the package would start a server of its own.
    sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    apt-get -qq install --yes --no-install-recommends postgresql >/dev/null
}

as_server() { # PostgreSQL refuses to run as root
    if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

server_programs >/dev/null || install_server
[ "$*" != install ] || exit 0
programs=$(server_programs)
folder=$(mktemp -d /tmp/spotwise-postgres.XXXXXX) # short: the path of a socket has at most 107 bytes
remove() {
    as_server "$programs/pg_ctl" stop --silent --mode=immediate --pgdata="$folder/data" || true
    rm -rf "$folder"
}
trap remove EXIT
trap 'exit 130' INT TERM
[ "$(id -u)" -ne 0 ] || chown postgres "$folder"

# It listens on a socket in its folder only, so no port can be taken and nobody else can reach it.
as_server "$programs/initdb" --username=spotwise --auth=trust --encoding=UTF8 --locale=C --no-sync \
    --pgdata="$folder/data" >/dev/null
as_server "$programs/pg_ctl" start --silent --wait --pgdata="$folder/data" --log="$folder/log" \
    --options="-c listen_addresses='' -c unix_socket_directories='$folder' -c fsync=off" || { cat "$folder/log"; exit 1; }
"$programs/postgres" --version
# A server that is stopped and started again: for tests that want to see the store come back.
cat >"$folder/restart" <<END
#!/bin/sh
cd / && $([ "$(id -u)" -ne 0 ] || echo "exec runuser -u postgres --") \
    "$programs/pg_ctl" restart --silent --wait --mode=immediate --pgdata="$folder/data" --log="$folder/log"
END
chmod +x "$folder/restart"
export SPOTWISE_TEST_POSTGRES_RESTART="$folder/restart"

export SPOTWISE_TEST_POSTGRES="postgresql+psycopg://spotwise@/postgres?host=$folder"
if [ "$1" = serve ]; then
    "${@:2}"
    exit
fi
"$@" tests/integration/postgres tests/contract/test_store*.py \
    tests/contract/test_occurrences.py tests/unit/scheduler/execution/test_supervisor.py tests/chaos -k postgres
