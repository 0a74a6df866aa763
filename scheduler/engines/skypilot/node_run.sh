export SPOTWISE_LIBRARY="$HOME/.spotwise/lib-@{digest}"
exec "$HOME/.spotwise/env-@{digest}/bin/python" -P -m spotwise.checkpoints.node
