"""`sources:` of settings: who is asked for prices, capacity and hazards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from .quantities import shown
from .schema import Part, Word, example
from .validation_errors import did_you_mean

Enabled = bool | Literal["auto"]

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_PLACE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _enabled(value: object) -> Enabled:
    if value == "auto" or isinstance(value, bool):
        return "auto" if value == "auto" else bool(value)
    nearest = did_you_mean(str(value), ["auto", "true", "false"])
    raise ValueError(f"found {shown(value)}; allowed: auto, true, false{nearest}")


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        allowed = "a URL such as https://proxy.example.org/aws, without a user, a password or a query"
        raise ValueError(f"found {shown(text)}; allowed: {allowed}")
    return text.rstrip("/")


def _region(text: str) -> str:
    if not _PLACE.fullmatch(text):
        raise ValueError(f"found {shown(text)}; allowed: a region as its cloud names it, such as us-east-1")
    return text


EnabledField = Annotated[
    Enabled, PlainValidator(_enabled), example(["string", "boolean"], "auto", enum=["auto", True, False])
]
Url = Annotated[Word, AfterValidator(_url)]
Region = Annotated[Word, AfterValidator(_region)]


class AwsSourceSettings(Part):
    """AWS' own APIs, through boto3."""

    enabled: EnabledField = Field(
        default="auto", description="auto: asked where boto3 is installed; true: its absence is said; false: not asked."
    )
    regions: tuple[Region, ...] = Field(default=(), description="Only these; default: where an offer would be used.")
    endpoint: Url | None = Field(default=None, description="Asked in place of AWS' own servers: a proxy, a test.")


class GcpSourceSettings(Part):
    """Google's own APIs, through google-cloud-compute and google-cloud-billing."""

    enabled: EnabledField = Field(
        default="auto",
        description="auto: asked where the clients are installed; true: their absence is said; false: not asked.",
    )
    project: Word | None = Field(default=None, description="Whose quota is asked; default: that of the credentials.")
    regions: tuple[Region, ...] = Field(default=(), description="Only these; default: where an offer would be used.")
    endpoint: Url | None = Field(
        default=None, description="Asked in place of Google's own servers; without credentials then anonymously."
    )


class SourceSettings(Part):
    """Who is asked for prices, capacity and hazards besides the engine's own catalog. Nobody, unless named."""

    aws: AwsSourceSettings | None = Field(default=None, description="AWS' own APIs; needs the extra aws.")
    gcp: GcpSourceSettings | None = Field(default=None, description="Google's own APIs; needs the extra gcp.")
    prices: Path | None = Field(
        default=None, description="A file of the team's own prices, relative to this one; they win over all others."
    )


def nothing_enabled(settings: SourceSettings) -> bool:
    """Whether prices are the engine's alone."""
    clouds: tuple[Any, ...] = (settings.aws, settings.gcp)
    return settings.prices is None and all(cloud is None or cloud.enabled is False for cloud in clouds)
