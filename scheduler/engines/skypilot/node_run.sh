# The agent.
spotwise_home=$(getent passwd "$(id -u)" | cut -d: -f6)
spotwise_home="${SPOTWISE_NODE_HOME:-${spotwise_home:-$HOME}/.spotwise}"
[ -e "$spotwise_home/env-@{digest}/.ready" ] || spotwise_home="$HOME/.spotwise"
export SPOTWISE_LIBRARY="$spotwise_home/lib-@{digest}"
exec "$spotwise_home/env-@{digest}/bin/python" -I -m spotwise.scheduler.node_agent
