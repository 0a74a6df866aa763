"""What a fault of boto3 means, for people. Told by exception, error code and HTTP status, never by a message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from .aws_clients import NotAnAnswerError

_CLOCK = timedelta(minutes=5)  # signatures hold for so long
_LONGEST = 160  # characters of AWS' own words
_LOGIN = re.compile(r"//[^/\s@]*@")  # of a proxy: //name:password@host

_REFUSED = "credentials refused, or the region is not enabled for the account"
_FORBIDDEN = "not permitted: the account's policy lacks this action"
_THROTTLED = "throttled"
_BY_CODE = {
    "AccessDenied": _FORBIDDEN,
    "AccessDeniedException": _FORBIDDEN,
    "UnauthorizedOperation": _FORBIDDEN,
    "AuthFailure": _REFUSED,
    "ExpiredToken": _REFUSED,
    "ExpiredTokenException": _REFUSED,
    "InvalidClientTokenId": _REFUSED,
    "InvalidSignatureException": _REFUSED,
    "OptInRequired": _REFUSED,
    "RequestExpired": _REFUSED,
    "RequestTimeTooSkewed": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "UnrecognizedClientException": _REFUSED,
    "MaxConfigLimitExceeded": "the account's quota of this day is used up",
    "RequestLimitExceeded": _THROTTLED,
    "RequestThrottled": _THROTTLED,
    "RequestThrottledException": _THROTTLED,
    "SlowDown": _THROTTLED,
    "Throttling": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "ThrottledException": _THROTTLED,
    "TooManyRequestsException": _THROTTLED,
}
_BY_STATUS = {401: _REFUSED, 403: _FORBIDDEN, 404: "no such service there", 429: _THROTTLED}


def why(error: Exception, now: datetime) -> str:
    """Why a call failed and what to do, in one line.

    Args:
        error: what the call raised.
        now: this machine's time, aware: AWS refuses requests signed by a clock that is off.
    """
    if isinstance(error, ImportError):
        return 'boto3 is not installed: pip install "spotwise[aws]"'
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _refusal(error.response, now)
    meaning = next((text for kinds, text in _meanings() if isinstance(error, kinds)), type(error).__name__)
    return f"{meaning}: {_cut(error)}"


def _meanings() -> Iterator[tuple[tuple[type[Exception], ...], str]]:
    """Families of exceptions, the narrow ones first."""
    from botocore import exceptions as known
    from botocore.parsers import ResponseParserError

    credentials = (
        known.NoCredentialsError,
        known.PartialCredentialsError,
        known.CredentialRetrievalError,
        known.TokenRetrievalError,
        known.SSOError,
        known.ProfileNotFound,
    )
    yield credentials, "no credentials; boto3 looks in the environment, ~/.aws and the instance's role"
    yield (known.InvalidRegionError, known.NoRegionError), "no region of AWS"
    yield (known.ConnectTimeoutError, known.ReadTimeoutError), "timed out"
    cut = (NotAnAnswerError, ResponseParserError, known.ResponseStreamingError, known.IncompleteReadError)
    yield cut, "the answer was cut off or is not AWS'"
    reached = (known.ConnectionError, known.HTTPClientError)
    yield reached, "not reached; is the region's name right, is there a network?"


def _refusal(response: Mapping[str, Any], now: datetime) -> str:
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = error.get("Code", ""), metadata.get("HTTPStatusCode", 0)
    meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or "not answered"
    skew = _skew(metadata.get("HTTPHeaders", {}), now)
    if meaning is _REFUSED and skew is not None and abs(skew) > _CLOCK:
        meaning = f"refused: this machine's clock is {_distance(skew)} AWS'"
    said = (str(status or ""), code, _cut(error.get("Message", "")))
    return f"{meaning}: {' '.join(part for part in said if part)}"


def _skew(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How far this machine's clock is ahead of AWS', by the answer's own date."""
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))


def _distance(skew: timedelta) -> str:
    minutes = round(abs(skew) / timedelta(minutes=1))
    size = f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
    return f"{size} {'ahead of' if skew > timedelta() else 'behind'}"


def _cut(text: object) -> str:
    line = _LOGIN.sub("//", " ".join(str(text).split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
