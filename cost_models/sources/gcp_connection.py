"""Google's clients, pointed at Google or at an address of one's own: `pip install "spotwise[gcp]"`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors import CostModelError
from .concurrent_calls import TimeLimit
from .gcp_calls import CallFailedError, CallFailure, call, short

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_COMPUTE = "https://compute.googleapis.com"
_PRODUCT_NAME = Path("/sys/class/dmi/id/product_name")  # says "Google Compute Engine" on Google's machines


class NoAccessError(CostModelError):
    """There are no credentials, or no clients. The message says what to do, for people."""


@dataclass(frozen=True)
class Connection:
    """Clients with one set of credentials, and the project that they ask for; ``""`` where none is named."""

    project: str
    advice: Any
    machine_types: Any
    accelerator_types: Any
    catalog: Any
    session: Any  # for versions of a service that the clients do not have
    compute_url: str


def connect(project: str, endpoint: str) -> Connection:
    """Clients for Google, or for ``endpoint`` where it is not empty: there without credentials if none are found.

    Raises:
        NoAccessError: no credentials, or the clients are not installed.
    """
    try:
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import billing_v1, compute_v1
    except ImportError as error:
        raise NoAccessError(f'{error.name} is not installed: pip install "spotwise[gcp]"') from error
    credentials: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
    if may_have_credentials():
        credentials, found = _credentials()
        project = project or found
    elif not endpoint:
        raise NoAccessError("no credentials for Google: `gcloud auth application-default login` makes some")
    address = endpoint.rstrip("/")
    options = {"api_endpoint": address} if address else {}
    compute = {"credentials": credentials, "client_options": options}
    return Connection(
        project=project,
        advice=compute_v1.AdviceClient(**compute),
        machine_types=compute_v1.MachineTypesClient(**compute),
        accelerator_types=compute_v1.AcceleratorTypesClient(**compute),
        catalog=billing_v1.CloudCatalogClient(**compute, transport="rest"),
        session=AuthorizedSession(credentials),  # type: ignore[no-untyped-call]
        compute_url=_with_scheme(address) or _COMPUTE,
    )


def may_have_credentials() -> bool:
    """Whether it is worth to look for credentials: elsewhere Google's library asks for a machine that is not there."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") or os.environ.get("GCE_METADATA_HOST")
    folder = os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud"
    if named or (Path(folder) / "application_default_credentials.json").exists():
        return True
    try:
        return _PRODUCT_NAME.read_text(encoding="utf-8").startswith("Google")
    except (OSError, UnicodeDecodeError):
        return False


def _credentials() -> tuple[Any, str]:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials, project = google.auth.default(scopes=[_SCOPE])
    except (GoogleAuthError, OSError, ValueError) as error:
        raise NoAccessError(f"the credentials for Google cannot be used: {short(error)}") from error
    return credentials, project or ""


def _with_scheme(address: str) -> str:
    """As Google's clients do: https where an address has no scheme."""
    return address if not address or address.startswith(("http://", "https://")) else f"https://{address}"


class Advice(StrEnum):
    """The questions of the advice service."""

    CAPACITY = "capacity"
    HISTORY = "capacityHistory"


class Adviser:
    """Asks the advice service: its version v1 first, then beta where v1 refuses. Safe to be used by several threads.

    Pages of Google say that v1 refuses spot capacity, and that beta answers; the two speak alike.
    """

    def __init__(self, connection: Connection, deadline: TimeLimit) -> None:
        self._connection = connection
        self._deadline = deadline
        self._lock = threading.Lock()
        self._answered_by: dict[Advice, str] = {}
        self._denied: dict[Advice, CallFailedError] = {}

    def answered_by(self) -> dict[Advice, str]:
        """The version that answered each question, where one did."""
        with self._lock:
            return dict(self._answered_by)

    def ask(self, question: Advice, region: str, body: Callable[[], Any]) -> Any:
        """The answer, a message of compute_v1. ``body`` makes the question.

        Raises:
            CallFailedError: neither version answered. Once permission is denied the question is not asked again.
        """
        with self._lock:
            known, denied = self._answered_by.get(question), self._denied.get(question)
        if denied is not None:
            raise denied
        try:
            version, answer = self._ask(question, region, body, known)
        except CallFailedError as failed:
            if failed.kind is CallFailure.DENIED:
                with self._lock:
                    self._denied[question] = failed
            raise
        with self._lock:
            self._answered_by[question] = version
        return answer

    def _ask(self, question: Advice, region: str, body: Callable[[], Any], known: str | None) -> tuple[str, Any]:
        if known == "beta":
            return "beta", call(lambda timeout_s: self._beta(question, region, body, timeout_s), self._deadline)
        try:
            return "v1", call(lambda timeout_s: self._v1(question, region, body, timeout_s), self._deadline)
        except CallFailedError as failed:
            if failed.kind is not CallFailure.REFUSED or known == "v1":
                raise
            first = failed
        try:
            return "beta", call(lambda timeout_s: self._beta(question, region, body, timeout_s), self._deadline)
        except CallFailedError as failed:
            raise CallFailedError(failed.kind, f"v1 {first}; beta {failed}") from first

    def _v1(self, question: Advice, region: str, body: Callable[[], Any], timeout_s: float) -> Any:
        place = {"project": self._connection.project, "region": region}
        if question is Advice.CAPACITY:
            request = {**place, "capacity_advice_request_resource": body()}
            return self._connection.advice.capacity(request, timeout=timeout_s, retry=None)
        request = {**place, "capacity_history_request_resource": body()}
        return self._connection.advice.capacity_history(request, timeout=timeout_s, retry=None)

    def _beta(self, question: Advice, region: str, body: Callable[[], Any], timeout_s: float) -> Any:
        from google.api_core.exceptions import from_http_response
        from google.cloud import compute_v1
        from google.protobuf import json_format

        kind = compute_v1.CapacityAdviceResponse if question is Advice.CAPACITY else compute_v1.CapacityHistoryResponse
        place = f"projects/{self._connection.project}/regions/{region}"
        message = body()
        response = self._connection.session.post(
            f"{self._connection.compute_url}/compute/beta/{place}/advice/{question.value}",
            data=json_format.MessageToJson(type(message).pb(message)),
            headers={"Content-Type": "application/json"},
            timeout=timeout_s,
        )
        if response.status_code >= 400:
            raise from_http_response(response)  # type: ignore[no-untyped-call]
        answer = kind()
        json_format.Parse(response.content, kind.pb(answer), ignore_unknown_fields=True)
        return answer
