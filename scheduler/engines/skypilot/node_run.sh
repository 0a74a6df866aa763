export SPOTWISE_LIBRARY="$HOME/.spotwise/lib-@{digest}"
exec "$HOME/.spotwise/env-@{digest}/bin/python" -I -m spotwise.checkpoints.node
