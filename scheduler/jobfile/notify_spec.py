"""`notify:` of job files and settings: who is told what. A secret stands here as the name of a variable only."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, model_validator

from .names import is_variable
from .quantities import shown
from .schema import Part, Word
from .validation_errors import Fault, FaultyError

NotifiedEvent = Literal["started", "preempted", "moved", "deadline", "budget", "ended", "promoted"]
_NEEDS = {"webhook": ("url_env",), "slack": ("url_env",), "email": ("host", "sender", "to"), "command": ("command",)}
_YAML_NAMES = {"sender": "from"}


def _variable(name: str) -> str:
    if not is_variable(name):
        raise ValueError(f"found {shown(name)}; allowed: the name of an environment variable that holds it")
    return name


Variable = Annotated[str, AfterValidator(_variable)]


class NotifyChannel(Part):
    """One way to tell somebody."""

    type: Literal["webhook", "slack", "email", "command"] = Field(
        description="webhook: JSON by HTTP; slack: for Slack's incoming webhooks; email; command: a shell command."
    )
    on: tuple[NotifiedEvent, ...] = Field(default=(), description="Which events; none named means all.")
    url_env: Variable | None = Field(default=None, description="webhook, slack: the variable that holds the URL.")
    token_env: Variable | None = Field(default=None, description="webhook: the variable that holds a bearer token.")
    host: Word | None = Field(default=None, description="email: the mail server.")
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] = Field(default=587, description="email: its port.")
    starttls: StrictBool = Field(default=True, description="email: whether the connection is encrypted.")
    user: Word | None = Field(default=None, description="email: who logs in; without it nobody does.")
    password_env: Variable | None = Field(default=None, description="email: the variable that holds the password.")
    sender: Word | None = Field(default=None, alias="from", description="email: the sender's address.")
    to: tuple[Word, ...] = Field(default=(), description="email: the receivers' addresses.")
    command: Word | None = Field(default=None, description="command: it gets the message as JSON on standard input.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        missing = [name for name in _NEEDS[self.type] if not getattr(self, name)]
        if missing:
            names = [_YAML_NAMES.get(name, name) for name in missing]
            raise FaultyError([Fault((name,), f"missing; required: for type {self.type}") for name in names])
        return self
