"""`--env` and `--secret`: variables of a job from the command line, as `sky launch` takes them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..jobfile.job_spec import GivenVariables

_FORM = "NAME=VALUE, or NAME for its value here; may be repeated."


def with_variables(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds both options to a command, which gets what they say as ``given``."""

    @functools.wraps(command)
    def with_given(*args: Any, envs: Sequence[str], secrets: Sequence[str], **options: Any) -> Any:
        return command(*args, given=given_variables(envs, secrets), **options)

    secret = click.option("--secret", "secrets", multiple=True, help=f"The same, kept out of the store: {_FORM}")
    return click.option("--env", "envs", multiple=True, help=f"Set a variable of the job: {_FORM}")(secret(with_given))


def given_variables(envs: Sequence[str], secrets: Sequence[str]) -> GivenVariables:
    """The options' values by name.

    Raises:
        click.UsageError: a name that no variable can have, or one without a value here.
    """
    from ..jobfile.job_spec import GivenVariables

    return GivenVariables(dict(map(_env, envs)), dict(map(_secret, secrets)))


def _env(text: str) -> tuple[str, str]:
    return _pair("--env", text)


def _secret(text: str) -> tuple[str, str]:
    return _pair("--secret", text)


def _pair(option: str, text: str) -> tuple[str, str]:
    from ..jobfile.names import is_variable

    name, has_value, value = text.partition("=")
    if not is_variable(name):
        raise click.UsageError(f"{option}: found {name!r}; allowed: NAME or NAME=VALUE, of letters, digits and _")
    if not has_value and name not in os.environ:
        raise click.UsageError(f"{option} {name}: there is no such variable here; write {option} {name}=VALUE")
    return name, value if has_value else os.environ[name]
