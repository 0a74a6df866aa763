"""How commands end: every fault with its exit code and a message, never with a traceback alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click


def run_command(command: Callable[[], Any]) -> int:
    """Run it; its exit code. Whatever goes wrong is said."""
    from ..core.errors import SpotwiseError

    try:
        return int(command() or 0)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as left:  # click's own, when the reader of a pipe is gone, as in `spotwise logs | head`
        return 0 if left.code == 1 else int(left.code or 0)
    except SpotwiseError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever else it is, it is said with its exit code
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        return 0
    if type(error).__module__.startswith("spotwise."):  # of checkpoints or cost_models: they say what and where
        print(error, file=sys.stderr)
        return 70
    if isinstance(error, OSError):
        print(f"{error.filename or 'the machine'}: {error.strerror or error}; mend that and try again", file=sys.stderr)
        return 70
    import traceback

    traceback.print_exception(error)
    print(f"this is a fault of spotwise itself ({type(error).__name__}); please report it", file=sys.stderr)
    return 70
