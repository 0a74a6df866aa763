"""boto3's clients, made when they are needed: `pip install "spotwise[aws]"`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import CostModelError

Client = Any  # boto3 makes its classes at run time: they have no types
Clients = Callable[[str, str], Client]  # by service and region

_CONNECT_S, _READ_S = 4.0, 10.0  # of one request; boto3's own are a minute each
_REQUESTS = 3


class NotAnAnswerError(CostModelError):
    """Something else answered in AWS' place, such as a proxy's page."""


def boto3_clients(endpoint: str | None = None, *, requests: int = _REQUESTS) -> Clients:
    """Makes clients with the credentials that boto3 finds. Safe to be used by several threads.

    Args:
        endpoint: URL that all requests go to, such as a proxy's; default: AWS' own.
        requests: how often in all a question is asked where AWS says that it is busy.
    """
    lock = threading.Lock()  # neither sessions nor the making of clients are safe; clients are
    made: dict[tuple[str, str], Client] = {}
    sessions: list[Any] = []

    def client(service: str, region: str) -> Client:
        import boto3
        from botocore.config import Config

        with lock:
            if not sessions:
                sessions.append(boto3.session.Session())
            if (service, region) not in made:
                config = Config(
                    connect_timeout=_CONNECT_S,
                    read_timeout=_READ_S,
                    retries={"mode": "standard", "total_max_attempts": requests},
                )
                made[service, region] = sessions[0].client(
                    service, region_name=region, endpoint_url=endpoint, config=config
                )
            return made[service, region]

    return client


def members_of(answer: Mapping[str, Any], name: str) -> Sequence[Any]:
    """A list in an answer. EC2 writes empty ones too; boto3 takes any page of XML for an answer that has none.

    Raises:
        NotAnAnswerError: the list is missing, so AWS has not answered this.
    """
    members = answer.get(name)
    if not isinstance(members, list):
        raise NotAnAnswerError(f"{name} is missing")
    return members


def default_region() -> str | None:
    """The region of the user's AWS profile or environment; None without either, or without boto3."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return None
    try:
        region = boto3.session.Session().region_name
    except BotoCoreError:  # a profile that does not exist: the calls will say so
        return None
    return region if isinstance(region, str) else None
